import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { partitionNames, partitionPath } from '../src/store/sqlite/partition-files.js'

/** Bytes of each table and index, the largest first. */
export type DiskFigures = readonly { readonly name: string, readonly bytes: number }[]

/** What the partitions below `dataDir` hold. Nobody has them open: the WAL is in the file. */
export function measureDisk (dataDir: string): DiskFigures {
  const dir = join(dataDir, 'events')
  const sums = new Map<string, number>()
  for (const name of partitionNames(dir)) {
    const db = new Database(partitionPath(dir, name), { readonly: true })
    for (const { name, bytes } of db.prepare<[], { name: string, bytes: number }>('SELECT name, pgsize AS bytes FROM dbstat WHERE aggregate = TRUE').all()) {
      sums.set(name, (sums.get(name) ?? 0) + bytes)
    }
    db.close()
  }
  return [...sums].map(([name, bytes]) => ({ name, bytes })).sort((a, b) => b.bytes - a.bytes)
}

/** Bytes of the partitions' files, without what is in the WAL only. */
export function storedBytes (dataDir: string): number {
  return sizeOfFiles(dataDir, '.db')
}

export function walBytes (dataDir: string): number {
  return sizeOfFiles(dataDir, '.db-wal')
}

function sizeOfFiles (dataDir: string, ending: string): number {
  const dir = join(dataDir, 'events')
  return readdirSync(dir).filter(name => name.endsWith(ending)).reduce((sum, name) => sum + (statSync(join(dir, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

/** What SQLite finds wrong with the partitions below `dataDir`, a line each. */
export function checkDisk (dataDir: string): string[] {
  const dir = join(dataDir, 'events')
  return partitionNames(dir).flatMap(name => {
    const db = new Database(partitionPath(dir, name), { readonly: true })
    const found = db.prepare<[], string>('PRAGMA integrity_check').pluck().all()
    db.close()
    return found.filter(line => line !== 'ok').map(line => `${name}: ${line}`)
  })
}
