import { join } from 'node:path'
import Database from 'better-sqlite3'

/** Another process has the data folder. */
export class LockedError extends Error {
  override name = 'LockedError'
}

/**
 * Takes the data folder for this process; gives back what lets it go. It is SQLite's own lock on a file, which the kernel
 * releases with the process, however that ends. Throws LockedError.
 */
export function lockDataDir (dataDir: string): () => void {
  const db = new Database(join(dataDir, 'lock'), { timeout: 0 })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if ((error as { code?: string }).code !== 'SQLITE_BUSY') throw error
    throw new LockedError(`the data folder ${dataDir} is in use by another process`)
  }
  return () => db.close()
}
