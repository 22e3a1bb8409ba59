import type Database from 'better-sqlite3'
import { AppError } from '../../errors.js'
import type { Fields } from '../../fields/fields.js'
import type { BlockItem } from './block.js'
import { decodeBlock, decodeLz4Block } from './block.js'
import type { BlockColumns } from './column-block.js'
import { decodeColumns, toColumns } from './column-block.js'
import { decoding, decodingBlock, reading } from './damage.js'
import { openDictionaryReader } from './dictionary.js'
import { checkTables, openPartitionReadOnly, schemaOf } from './partition.js'
import { isThere, partitionPath } from './partition-files.js'

/** Throws to stop a search. It is called for every block. */
export type Alive = () => void

/** Stops a search that nobody waits for any more, or that takes longer than `timeoutMs`. */
export function aliveUntil (timeoutMs: number, isStopped: () => boolean): Alive {
  const deadline = performance.now() + timeoutMs
  return () => {
    if (isStopped()) throw new AppError('unavailable', 'the search was stopped')
    if (performance.now() > deadline) throw new AppError('unavailable', `the search took longer than ${timeoutMs / 1000} s`)
  }
}

/** What of a block is read, and how: it changes with the schema. */
export interface BlockReader {
  columnsOf (block: BlockIds): BlockColumns
  itemsOf (block: BlockIds): BlockItem[]
}

interface BlockIds { readonly first_id: number, readonly last_id: number }

export type PartitionReader = ReturnType<typeof openPartitionReader>

/** A connection for searches, and what reads blocks over it. All of it throws DamageError. Throws AppError `unavailable` where the partition was dropped. */
export function openPartitionReader (dir: string, name: string, fields: Fields) {
  const path = partitionPath(dir, name)
  try {
    const reader = reading(name, () => connect(dir, name, fields))
    if (isThere(path)) return reader
    reader.db.close() // it may have opened the file and not its WAL
  } catch (error) {
    if (isThere(path)) throw error
  }
  throw new AppError('unavailable', `the partition ${name} was dropped or set aside before the search came to it`)
}

function connect (dir: string, name: string, fields: Fields) {
  const db = openPartitionReadOnly(dir, name)
  checkTables(db, name)
  return {
    name,
    db,
    /** Runs what reads in one transaction, which spares most of what a single block costs. It is to be short: a WAL is not begun again meanwhile. */
    atOnce: db.transaction((work: () => void) => work()),
    dictionary: openDictionaryReader(db, name),
    fields,
    /** Of the tables that the columns were written with. */
    fieldsHash: '',
    ...openBlocks(db, name),
  }
}

/** Reads the blocks of a partition, whatever its schema. Throws DamageError. */
export function openBlocks (db: Database.Database, name: string): BlockReader {
  return wholeBlocks(name, schemaOf(db) === 1 ? openRowReader(db) : openBlockReader(db))
}

/** With an eye on damage. */
function wholeBlocks (name: string, { columnsOf, itemsOf }: BlockReader): BlockReader {
  return {
    columnsOf (block) {
      const columns = reading(name, () => decodingBlock(name, block, () => columnsOf(block), ({ count }) => count))
      return {
        count: columns.count,
        times: () => decoding(name, columns.times),
        timeAt: columns.timeAt,
        dictionary: field => decoding(name, () => columns.dictionary(field)),
        text: field => decoding(name, () => columns.text(field)),
      }
    },
    itemsOf: block => reading(name, () => decodingBlock(name, block, () => itemsOf(block), ({ length }) => length)),
  }
}

function openBlockReader (db: Database.Database): BlockReader {
  const selectColumns = db.prepare<[number], Buffer>('SELECT columns FROM block WHERE first_id = ?').pluck()
  const selectData = db.prepare<[number], Buffer>('SELECT data FROM block WHERE first_id = ?').pluck()
  return {
    columnsOf: ({ first_id: firstId }) => decodeColumns(found(selectColumns.get(firstId), firstId)),
    itemsOf: ({ first_id: firstId }) => decodeBlock(found(selectData.get(firstId), firstId)),
  }
}

/** Of schema 1, which has a row for each event in place of columns. */
function openRowReader (db: Database.Database): BlockReader {
  const selectRows = db.prepare<[number, number], Record<string, number | string | null>>('SELECT * FROM event WHERE id BETWEEN ? AND ? ORDER BY id')
  const selectData = db.prepare<[number], Buffer>('SELECT data FROM block_data WHERE first_id = ?').pluck()
  return {
    columnsOf ({ first_id: firstId, last_id: lastId }) {
      const rows = selectRows.all(firstId, lastId)
      return toColumns(rows.map(row => row.time_us as number), {
        ids: field => rows.map(row => (row[field] ?? 0) as number),
        texts: field => rows.map(row => (row[field] ?? null) as string | null),
      })
    },
    itemsOf: ({ first_id: firstId }) => decodeLz4Block(found(selectData.get(firstId), firstId)),
  }
}

function found (data: Buffer | undefined, firstId: number): Buffer {
  if (data === undefined) throw new Error(`block ${firstId} is missing`)
  return data
}

/** Whether the columns were written with the tables that fields are read with. */
function hasCurrentColumns (reader: PartitionReader): boolean {
  return reader.fieldsHash === reader.fields.hash
}

/** Whether a block's columns say all that its events' fields say. */
export function isEven (reader: PartitionReader, block: { readonly odd: number }): boolean {
  return block.odd === 0 && hasCurrentColumns(reader)
}
