import { readFileSync } from 'node:fs'
import Database from 'better-sqlite3'
import { resourcePath } from '../../resource.js'
import { DamageError } from './damage.js'
import { compareNames, dayOf, numberOf, partitionPath } from './partition-files.js'

/** The schema of new partitions, in each file's `user_version`. None of another schema gets new events; it stays as it was written until it is packed. */
export const WRITE_SCHEMA = 3

/** The schemas that searches can read, with their tables. */
const READABLE_SCHEMAS: ReadonlyMap<number, readonly string[]> = new Map([
  [1, ['partition', 'dictionary', 'block', 'block_data', 'event', 'resend']],
  [2, ['partition', 'dictionary', 'block', 'resend']],
  [3, ['partition', 'dictionary', 'block', 'resend']],
])

/** What the catalogue knows of a partition. Times and ids are inclusive; null while it is empty. */
export interface PartitionSummary {
  readonly name: string
  readonly schema: number
  readonly fieldsHash: string
  /** Whether its blocks are as small as they become. */
  readonly packed: boolean
  readonly firstId: number | null
  readonly lastId: number
  readonly eventCount: number
  readonly minTimeUs: number | null
  readonly maxTimeUs: number | null
}

interface PartitionRow {
  fields_hash: string
  first_id: number | null
  last_id: number
  event_count: number
  min_time_us: number | null
  max_time_us: number | null
  /** From schema 3 on. */
  packed?: number
}

export type Durability = 'full' | 'normal'

/** The partition that events of a day go to: its newest, or a new one where that has another schema. No new one gets a name in `taken`. */
export function nameForAppend (day: string, partitions: Iterable<Pick<PartitionSummary, 'name' | 'schema'>>, taken: Iterable<string>): string {
  const ofDay = [...partitions].filter(({ name }) => dayOf(name) === day).sort((a, b) => compareNames(a.name, b.name))
  const newest = ofDay.at(-1)
  if (newest?.schema === WRITE_SCHEMA) return newest.name
  const names = [...taken, ...ofDay.map(({ name }) => name)].filter(name => dayOf(name) === day)
  return names.length === 0 ? day : `${day}.${Math.max(...names.map(numberOf)) + 1}`
}

/** Of the partition that is written. What it reads is a few pages that it has just written, and better-sqlite3's 16 MB make nothing faster. */
const WRITE_CACHE_KIB = 2_048

export interface PartitionOptions {
  readonly durability: Durability
  /** Of a new file: the id that the last event before it had, and the field tables that its columns are written with. */
  readonly mark: number
  readonly fieldsHash: string
}

/** Opens a partition for new events; makes it where it is missing. */
export function openPartition (dir: string, name: string, { durability, mark, fieldsHash }: PartitionOptions): Database.Database {
  const db = new Database(partitionPath(dir, name))
  db.pragma('journal_mode = WAL')
  // better-sqlite3's build takes NORMAL with WAL; FULL syncs the WAL before a commit returns.
  db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
  db.pragma(`cache_size = -${WRITE_CACHE_KIB}`)
  if (schemaOf(db) === 0) {
    db.transaction(() => {
      makeTables(db)
      db.prepare('INSERT INTO partition (one, fields_hash, last_id, event_count, merged_id, packed) VALUES (1, ?, ?, 0, ?, 0)').run(fieldsHash, mark, mark)
    })()
  }
  return db
}

/** Those of a new partition, in a transaction of who fills them. */
export function makeTables (db: Database.Database): void {
  db.exec(readFileSync(resourcePath(`migrations/events/${String(WRITE_SCHEMA).padStart(4, '0')}.sql`), 'utf8'))
  db.pragma(`user_version = ${WRITE_SCHEMA}`)
}

/** Of each partition that a search has looked into, in each reader thread: better-sqlite3's 16 MB would be a gigabyte for a month. Searches go through a file from one end to the other. */
const READ_CACHE_KIB = 1_024

/** Opens a partition for searches. The file is there, its writer has opened it before. */
export function openPartitionReadOnly (dir: string, name: string): Database.Database {
  const db = new Database(partitionPath(dir, name), { readonly: true })
  db.pragma('temp_store = MEMORY')
  db.pragma(`cache_size = -${READ_CACHE_KIB}`)
  return db
}

/** 0 of a file that was begun and not finished. Throws where a newer Hecate wrote it. */
export function schemaOf (db: Database.Database): number {
  const schema = db.pragma('user_version', { simple: true }) as number
  if (schema > WRITE_SCHEMA) throw new Error(`${db.name} was written by a newer version of Hecate (schema ${schema})`)
  if (schema !== 0 && !READABLE_SCHEMAS.has(schema)) throw new Error(`${db.name} was written by a version of Hecate that is too old for this one (schema ${schema})`)
  return schema
}

/** Throws DamageError where the schema or one of its tables is missing. */
export function checkTables (db: Database.Database, name: string): void {
  const tables = db.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  const wanted = READABLE_SCHEMAS.get(schemaOf(db))
  if (wanted === undefined) throw new DamageError(name, 'its schema has no version')
  const missing = wanted.find(table => !tables.includes(table))
  if (missing !== undefined) throw new DamageError(name, `it has no table ${missing}`)
}

/** Throws DamageError where there is none. */
export function readSummary (db: Database.Database, name: string): PartitionSummary {
  const row = db.prepare<[], PartitionRow>('SELECT * FROM partition').get()
  if (row === undefined) throw new DamageError(name, 'it has no summary')
  return {
    name,
    schema: schemaOf(db),
    fieldsHash: row.fields_hash,
    packed: row.packed === 1,
    firstId: row.first_id,
    lastId: row.last_id,
    eventCount: row.event_count,
    minTimeUs: row.min_time_us,
    maxTimeUs: row.max_time_us,
  }
}
