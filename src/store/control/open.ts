import { readdirSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { resourcePath } from '../../resource.js'

/** A database that this version can't use. */
export class SchemaError extends Error {
  override name = 'SchemaError'
}

/** Opens control.db, made and migrated as needed. Throws SchemaError where a newer Hecate wrote it. */
export function openControlDatabase (dataDir: string): Database.Database {
  const db = new Database(join(dataDir, 'control.db'))
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL') // WAL alone means NORMAL in better-sqlite3's build
  db.pragma('foreign_keys = ON')
  try {
    migrate(db)
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

/** Runs the migrations that the database has not seen, each in a transaction; its `user_version` counts them. */
export function migrate (db: Database.Database): void {
  const folder = resourcePath('migrations/control/')
  const files = readdirSync(folder).filter(name => /^\d{4}_.*\.sql$/.test(name)).sort()
  const readVersion = () => db.pragma('user_version', { simple: true }) as number
  if (readVersion() > files.length) {
    throw new SchemaError(`control.db was written by a newer version of Hecate (schema ${readVersion()}, this one knows ${files.length})`)
  }
  files.forEach((name, i) => {
    if (readVersion() > i) return
    db.transaction(() => {
      if (readVersion() > i) return // another process, a command beside the server, was first
      db.exec(readFileSync(join(folder, name), 'utf8'))
      db.pragma(`user_version = ${i + 1}`)
    }).immediate()
  })
}

/** Databases with commits that may not be on the disk, and that no sync has begun for. */
const behind = new WeakSet<Database.Database>()
/** The sync that is under way. */
const syncing = new WeakMap<Database.Database, Promise<void>>()

/**
 * Commits of `write` don't wait for the disk: a power cut may undo them, the newest first. The next commit that waits, or `syncWal`, makes them last. For what
 * would be made again as it was; who tells somebody of it waits for `syncWal` first.
 */
export function withoutSync<T> (db: Database.Database, write: () => T): T {
  const before = db.pragma('synchronous', { simple: true }) as number
  db.pragma('synchronous = NORMAL')
  behind.add(db)
  try {
    return write()
  } finally {
    db.pragma(`synchronous = ${before}`)
  }
}

/** Waits, while others go on, until all that was committed without sync is on the disk. */
export async function syncWal (db: Database.Database): Promise<void> {
  await syncing.get(db)?.catch(() => {}) // it may have begun before what the caller means; what it fails for is still to be synced
  if (behind.has(db) && !syncing.has(db)) {
    behind.delete(db)
    syncing.set(db, datasync(db).catch((error: unknown) => {
      behind.add(db)
      throw error
    }).finally(() => syncing.delete(db)))
  }
  await syncing.get(db)
}

async function datasync (db: Database.Database): Promise<void> {
  if (db.memory) return
  const file = await open(`${db.name}-wal`) // SQLite holds no locks on it, which closing would release
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}
