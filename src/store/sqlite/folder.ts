import Database from 'better-sqlite3'
import type { Damage } from './damage.js'
import { DamageError, reading } from './damage.js'
import { partitionNames, partitionPath, removePartition, renamePartition, tidyStrays } from './partition-files.js'
import type { PartitionSummary } from './partition.js'
import { checkTables, readSummary, schemaOf } from './partition.js'

export interface Folder {
  /** Oldest first. */
  readonly partitions: readonly PartitionSummary[]
  /** Those that were set aside now. */
  readonly damaged: readonly Damage[]
  /** The names of those that were set aside before. */
  readonly aside: readonly string[]
}

/** What the start finds in the folder. Nobody has any of it open. Damaged partitions are set aside; no more of them is read than their first pages. */
export function readFolder (dir: string): Folder {
  tidyStrays(dir)
  const partitions: PartitionSummary[] = []
  const damaged: Damage[] = []
  const aside = partitionNames(dir, 'damaged')
  for (const name of partitionNames(dir)) {
    try {
      const summary = readPartition(dir, name)
      if (summary !== null) partitions.push(summary)
      else removePartition(dir, name)
    } catch (error) {
      if (!(error instanceof DamageError)) throw error
      renamePartition(dir, name, 'damaged')
      damaged.push({ partition: name, reason: error.reason })
    }
  }
  return { partitions, damaged, aside }
}

/** Null where a stop came before the first commit, which makes the tables: nothing was ever in it. */
function readPartition (dir: string, name: string): PartitionSummary | null {
  return reading(name, () => {
    // Opening for writing recovers a WAL that a crash left. Where there is none it costs no more than opening for reading, and leaves no files behind.
    const db = new Database(partitionPath(dir, name))
    try {
      if (schemaOf(db) === 0 && db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined) return null
      checkTables(db, name)
      return readSummary(db, name)
    } finally {
      db.close()
    }
  })
}
