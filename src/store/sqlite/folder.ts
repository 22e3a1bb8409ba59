import Database from 'better-sqlite3'
import { partitionNames, partitionPath, removePartition, removeStrays } from './partition-files.js'
import type { PartitionSummary } from './partition.js'
import { readSummary, schemaOf } from './partition.js'

/** The partitions that the start finds in the folder, oldest first. Nobody has any of them open. */
export function readFolder (dir: string): PartitionSummary[] {
  removeStrays(dir)
  return partitionNames(dir).flatMap(name => {
    // Opening for writing recovers a WAL that a crash left. Where there is none it costs no more than opening for reading, and leaves no files behind.
    const db = new Database(partitionPath(dir, name))
    try {
      if (!isUnfinished(db)) return readSummary(db, name)
    } finally {
      db.close()
    }
    removePartition(dir, name)
    return []
  })
}

/** A stop came before the first commit, which makes the tables: nothing was ever in it. */
function isUnfinished (db: Database.Database): boolean {
  return schemaOf(db) === 0 && db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined
}
