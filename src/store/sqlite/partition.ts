import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { resourcePath } from '../../resource.js'

/** Version of the schema of new partitions, migrations/events/, in each file's `user_version`. Old partitions stay as they were written. */
const SCHEMA_VERSION = 2

/** What the catalogue knows of a partition. Times and ids are inclusive; null while it is empty. */
export interface PartitionSummary {
  /** Day of arrival, `YYYY-MM-DD` (UTC), and the name of the file. */
  readonly day: string
  readonly fieldsHash: string
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
}

export type Durability = 'full' | 'normal'

export function partitionPath (dir: string, day: string): string {
  return join(dir, `${day}.db`)
}

export interface PartitionOptions {
  readonly durability: Durability
  /** Of a new file: the id that the last event before it had, and the field tables that its columns are written with. */
  readonly mark: number
  readonly fieldsHash: string
}

/** Opens a day's file for writing; makes it where it is missing. */
export function openPartition (dir: string, day: string, { durability, mark, fieldsHash }: PartitionOptions): Database.Database {
  const db = new Database(partitionPath(dir, day))
  db.pragma('journal_mode = WAL')
  // better-sqlite3's build takes NORMAL with WAL; FULL syncs the WAL before a commit returns.
  db.pragma(`synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`)
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > SCHEMA_VERSION) throw new Error(`events of ${day} were written by a newer version of Hecate (schema ${version})`)
  if (version === 0) {
    const schema = readFileSync(resourcePath('migrations/events/0002.sql'), 'utf8')
    db.transaction(() => {
      db.exec(schema)
      db.prepare('INSERT INTO partition (one, fields_hash, last_id, event_count, merged_id) VALUES (1, ?, ?, 0, ?)').run(fieldsHash, mark, mark)
      db.pragma(`user_version = ${SCHEMA_VERSION}`)
    })()
  }
  return db
}

/** Opens a day's file for searches. The file is there, its writer has opened it before. */
export function openPartitionReadOnly (dir: string, day: string): Database.Database {
  const db = new Database(partitionPath(dir, day), { readonly: true })
  db.pragma('temp_store = MEMORY')
  return db
}

export function readSummary (db: Database.Database, day: string): PartitionSummary {
  const row = db.prepare<[], PartitionRow>('SELECT * FROM partition').get()
  if (row === undefined) throw new Error(`partition ${day} has no summary`)
  return {
    day,
    fieldsHash: row.fields_hash,
    firstId: row.first_id,
    lastId: row.last_id,
    eventCount: row.event_count,
    minTimeUs: row.min_time_us,
    maxTimeUs: row.max_time_us,
  }
}
