import type Database from 'better-sqlite3'
import type { Scalar } from '../../event.js'
import { DamageError, reading } from './damage.js'

/** Entries that are kept in memory, of one field or to be read; above it the older half goes. About 5 MB at 50 bytes an entry. */
const MAX_CACHED = 50_000

/** Longer values are looked up each time: a value may be as long as an event, and many of them would fill the memory. */
const MAX_CACHED_CHARS = 512

/** Ids of the values of dictionary columns, for the writer. Must be told when a transaction was rolled back. */
export function openDictionary (db: Database.Database) {
  // By field, then by value: 42 and '42' are two entries, as they are two keys.
  const cache = new Map<string, Map<Scalar, number>>()
  // uses dictionary_field_value_idx
  const select = db.prepare<[string, string, number], number>('SELECT id FROM dictionary WHERE field = ? AND value = ? AND is_number = ?').pluck()
  const insert = db.prepare('INSERT INTO dictionary (field, value, is_number) VALUES (?, ?, ?)')

  function lookup (field: string, value: Scalar): number {
    const isNumber = typeof value === 'number' ? 1 : 0
    const text = String(value)
    return select.get(field, text, isNumber) ?? Number(insert.run(field, text, isNumber).lastInsertRowid)
  }

  return {
    /** The value's id in the partition; makes one within the transaction under way. */
    idOf (field: string, value: Scalar): number {
      if (typeof value === 'string' && value.length > MAX_CACHED_CHARS) return lookup(field, value)
      let ids = cache.get(field)
      if (ids === undefined) cache.set(field, ids = new Map())
      let id = ids.get(value)
      if (id === undefined) {
        id = lookup(field, value)
        if (ids.size >= MAX_CACHED) dropOlderHalf(ids)
        ids.set(value, id)
      }
      return id
    },
    forget: () => cache.clear(),
  }
}

/** Values of dictionary ids, for searches: entries never change once they are committed. Throws DamageError where one is missing. */
export function openDictionaryReader (db: Database.Database, partition: string) {
  const cache = new Map<number, Scalar>()
  const select = db.prepare<[number], { value: string, is_number: number }>('SELECT value, is_number FROM dictionary WHERE id = ?')
  return {
    valueOf (id: number): Scalar {
      let value = cache.get(id)
      if (value === undefined) {
        const row = reading(partition, () => select.get(id))
        if (row === undefined) throw new DamageError(partition, `dictionary entry ${id} is missing`)
        if (row.value.length > MAX_CACHED_CHARS) return row.value
        value = row.is_number === 1 ? Number(row.value) : row.value
        if (cache.size >= MAX_CACHED) dropOlderHalf(cache)
        cache.set(id, value)
      }
      return value
    },
  }
}
export type DictionaryReader = ReturnType<typeof openDictionaryReader>

function dropOlderHalf (cache: Map<unknown, unknown>): void {
  let left = cache.size / 2
  for (const key of cache.keys()) {
    if (left-- <= 0) return
    cache.delete(key)
  }
}
