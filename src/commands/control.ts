import { mkdirSync } from 'node:fs'
import type Database from 'better-sqlite3'
import type { Config } from '../config.js'
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
