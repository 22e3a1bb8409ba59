import { mkdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import type Database from 'better-sqlite3'
import type { AuditDetail } from '../audit.js'
import { openAudit } from '../audit.js'
import type { Config } from '../config.js'
import { openAuditStore } from '../store/control/audit.js'
import { openControlDatabase } from '../store/control/open.js'

/** Calls `work` with control.db of the data folder, which is made where it isn't, whether or not a server runs on it. */
export function withControl<T> ({ data: { dir } }: Config, work: (control: Database.Database) => T): T {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const control = openControlDatabase(dir)
  try {
    return work(control)
  } finally {
    control.close()
  }
}

/** Runs a change of control.db that a command makes, with its entry of the audit log, in one transaction. */
export function recordChange<T> (control: Database.Database, action: string, work: () => T, detail: (result: T) => AuditDetail): T {
  const audit = openAudit({ store: openAuditStore(control), now: Date.now })
  return audit.record({ by: userName(), role: null, how: 'command', action, request_id: null, address: null }, work, detail)
}

/** Of the user whose process this is; a container may have one that has no name. */
function userName (): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
