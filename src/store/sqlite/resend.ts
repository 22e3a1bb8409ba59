import { createHash } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { FaultCode } from '../../envelope/envelope.js'
import type { AppendOutcome, AppendRequest } from '../events.js'

/** What tells one request from another: the sender, whatever decides its events, and the body. */
export function hashOf ({ sender, format, defaults: { host, source, sourcetype, index }, timeUs, timeFrom, body }: AppendRequest): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([sender, format, host, source, sourcetype, index, timeUs, timeFrom]))
    .update(new Uint8Array(body))
    .digest()
}

interface ResendRow { arrival_us: number, stored: number, unknown_keys: number, skipped: number, fault_code: FaultCode | null, fault_number: number | null }

/** Rows that one commit removes at most: a few more than it adds. */
const REMOVED_AT_ONCE = 1000

/** The requests of a partition by their hash, for as long as a re-send of them is looked for. */
export function openResends (db: Database.Database, windowUs: number) {
  // uses resend_hash_idx
  const select = db.prepare<[Buffer], ResendRow>('SELECT arrival_us, stored, unknown_keys, skipped, fault_code, fault_number FROM resend WHERE hash = ?')
  return {
    /** What became of the request when it came first, not longer ago than the window. */
    find (hash: Buffer, nowUs: number): AppendOutcome | undefined {
      const row = select.get(hash)
      if (row === undefined || row.arrival_us < nowUs - windowUs) return undefined
      const fault = row.fault_code === null ? null : { code: row.fault_code, number: row.fault_number! }
      return { stored: row.stored, unknownKeys: row.unknown_keys, skipped: row.skipped, fault, ownTimes: 0, filled: 0, resent: true }
    },
  }
}

/** Writes them; within the transaction of the events. */
export function openResendWriter (db: Database.Database, windowUs: number) {
  const insert = db.prepare<ResendRow & { hash: Buffer }>(`
    INSERT OR REPLACE INTO resend (hash, arrival_us, stored, unknown_keys, skipped, fault_code, fault_number)
    VALUES (@hash, @arrival_us, @stored, @unknown_keys, @skipped, @fault_code, @fault_number)
  `)
  const remove = db.prepare<[before: number]>(`
    DELETE FROM resend WHERE id <= (SELECT max(id) FROM (SELECT id, arrival_us FROM resend ORDER BY id LIMIT ${REMOVED_AT_ONCE}) WHERE arrival_us < ?)
  `)
  return {
    add (hash: Buffer, arrivalUs: number, { stored, unknownKeys, skipped, fault }: AppendOutcome): void {
      insert.run({ hash, arrival_us: arrivalUs, stored, unknown_keys: unknownKeys, skipped, fault_code: fault?.code ?? null, fault_number: fault?.number ?? null })
    },
    removeOld (nowUs: number): void {
      remove.run(nowUs - windowUs)
    },
  }
}
