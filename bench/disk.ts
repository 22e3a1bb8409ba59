import { join } from 'node:path'
import Database from 'better-sqlite3'
import { partitionPath } from '../src/store/sqlite/partition.js'
import { partitionDays } from '../src/store/sqlite/writer.js'

/** Bytes of each table and index, the largest first. */
export type DiskFigures = readonly { readonly name: string, readonly bytes: number }[]

/** What the partitions below `dataDir` hold. Nobody has them open: the WAL is in the file. */
export function measureDisk (dataDir: string): DiskFigures {
  const dir = join(dataDir, 'events')
  const sums = new Map<string, number>()
  for (const day of partitionDays(dir)) {
    const db = new Database(partitionPath(dir, day), { readonly: true })
    for (const { name, bytes } of db.prepare<[], { name: string, bytes: number }>('SELECT name, pgsize AS bytes FROM dbstat WHERE aggregate = TRUE').all()) {
      sums.set(name, (sums.get(name) ?? 0) + bytes)
    }
    db.close()
  }
  return [...sums].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes)
}
