import { AppError } from '../../errors.js'
import type { Scalar } from '../../event.js'
import type { Fields } from '../../fields/fields.js'
import type { FieldTest } from './condition.js'
import { openDictionaryReader } from './dictionary.js'
import { openPartitionReadOnly } from './partition.js'

/** Throws to stop a search. It is called about once in a thousand events. */
export type Alive = () => void

/** Stops a search that nobody waits for any more, or that takes longer than `timeoutMs`. */
export function aliveUntil (timeoutMs: number, isStopped: () => boolean): Alive {
  const deadline = performance.now() + timeoutMs
  return () => {
    if (isStopped()) throw new AppError('unavailable', 'the search was stopped')
    if (performance.now() > deadline) throw new AppError('unavailable', `the search took longer than ${timeoutMs / 1000} s`)
  }
}

export type PartitionReader = ReturnType<typeof openPartitionReader>

/** A connection with the functions that the SQL of searches calls. One search at a time. */
export function openPartitionReader (dir: string, day: string, fields: Fields) {
  const db = openPartitionReadOnly(dir, day)
  let tests: readonly FieldTest[] = []
  let alive: Alive = () => {}
  db.function('spl_test', { deterministic: true }, (number, value) => value !== null && tests[number as number]!.matches(value as Scalar) ? 1 : 0) // SQLite asks of NULL too, whatever stands before AND
  db.function('alive', { deterministic: false }, () => {
    alive()
    return 1
  })
  return {
    db,
    dictionary: openDictionaryReader(db),
    fields,
    /** Of the tables that the columns were written with. */
    fieldsHash: '',
    selectData: db.prepare<[number], Buffer>('SELECT data FROM block_data WHERE first_id = ?').pluck(),
    /** Makes a search's tests known and looks up which dictionary entries match them. */
    prepare (searchTests: readonly FieldTest[], searchAlive: Alive): void {
      tests = searchTests
      alive = searchAlive
      tests.forEach(({ field, byDictionary }, number) => {
        if (!byDictionary) return
        db.exec(`CREATE TEMP TABLE IF NOT EXISTS match_${number} (id INTEGER PRIMARY KEY)`)
        db.exec(`DELETE FROM temp.match_${number}`)
        // uses dictionary_field_value_idx
        db.prepare(`
          INSERT INTO temp.match_${number}
          SELECT id FROM dictionary WHERE field = ? AND (id % 1024 <> 0 OR alive()) AND spl_test(?, value)
        `).run(field, number)
      })
    },
  }
}

/** Whether the columns were written with the tables that fields are read with. */
export function hasCurrentColumns (reader: PartitionReader): boolean {
  return reader.fieldsHash === reader.fields.hash
}

/** Whether a block's columns say all that its events' fields say. */
export function isEven (reader: PartitionReader, block: { readonly odd: number }): boolean {
  return block.odd === 0 && hasCurrentColumns(reader)
}

/** A statement of one search for each reader that it meets. */
export function oncePerReader<S> (prepare: (reader: PartitionReader) => S): (reader: PartitionReader) => S {
  const prepared = new Map<PartitionReader, S>()
  return reader => {
    let statement = prepared.get(reader)
    if (statement === undefined) {
      statement = prepare(reader)
      prepared.set(reader, statement)
    }
    return statement
  }
}
