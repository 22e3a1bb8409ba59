import Database from 'better-sqlite3'
import { AppError } from '../../errors.js'

/** A partition that was set aside, and why. */
export interface Damage { readonly partition: string, readonly reason: string }

/** A partition that does not hold what was written to it. */
export class DamageError extends Error {
  override name = 'DamageError'
  constructor (readonly partition: string, readonly reason: string, options?: ErrorOptions) {
    super(`the partition ${partition} is damaged: ${reason}`, options)
  }
}

/** What a search that meets damage fails with. The next one goes on without the partition. */
export function toUnavailable (partition: string, reason: string): AppError {
  return new AppError('unavailable', `the partition ${partition} is damaged (${reason}) and is set aside; searches go on without it`)
}

/** What SQLite says of a file that isn't whole. What it says of a full disk, of rights or of locks is no such thing: that passes, and the file is good. */
const DAMAGE = /^SQLITE_(?:CORRUPT|NOTADB|IOERR_(?:READ|SHORT_READ|CORRUPTFS|DATA)$)/

/** Reads by SQL. Throws DamageError where SQLite finds damage. */
export function reading<T> (partition: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError) || !DAMAGE.test(cause.code)) throw cause
    throw new DamageError(partition, cause.message, { cause })
  }
}

/** Makes something of bytes that could be made when they were written. Throws DamageError where it can't be made any more. */
export function decoding<T> (partition: string, decode: () => T): T {
  try {
    return decode()
  } catch (cause) {
    if (cause instanceof Database.SqliteError) throw cause
    throw new DamageError(partition, (cause as Error).message, { cause })
  }
}

/** Decodes what is kept of a block's events. Throws DamageError where that can't be done, or is not of so many. */
export function decodingBlock<T> (partition: string, { first_id: firstId, last_id: lastId }: { readonly first_id: number, readonly last_id: number }, decode: () => T, countOf: (decoded: T) => number): T {
  const decoded = decoding(partition, decode)
  const count = lastId - firstId + 1
  if (countOf(decoded) !== count) throw new DamageError(partition, `block ${firstId} has ${countOf(decoded)} events, not ${count}`)
  return decoded
}
