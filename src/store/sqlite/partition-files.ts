import { readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A partition is named by its day of arrival, `YYYY-MM-DD` (UTC); from the day's second file on with `.2`, `.3` and so on behind it. Its
 * file is the name with `.db`. What ends otherwise is a partition no more.
 */
const NAME = /^\d{4}-\d\d-\d\d(?:\.(?:[2-9]|[1-9]\d+))?$/

/** How a file ends that is no partition: it is one no more and to be removed, a packed copy is in its place, it is left for somebody to look at, or it is going to be a packed copy. */
type Ending = 'dropped' | 'unpacked' | 'damaged' | 'packing'

/** A database with its WAL and the index of that. */
const COMPANIONS = ['', '-wal', '-shm'] as const

export function partitionPath (dir: string, name: string, ending: 'db' | Ending = 'db'): string {
  return join(dir, `${name}.${ending}`)
}

export function dayOf (name: string): string {
  return name.slice(0, 10)
}

const DAY_MS = 86_400_000

/** Epoch milliseconds. */
export function dayEndOf (name: string): number {
  return Date.parse(dayOf(name)) + DAY_MS
}

/** The place of a file among those of its day, from 1. */
export function numberOf (name: string): number {
  return Number(name.slice(11) || 1)
}

/** By day, then by number. */
export function compareNames (a: string, b: string): number {
  if (dayOf(a) !== dayOf(b)) return dayOf(a) < dayOf(b) ? -1 : 1
  return numberOf(a) - numberOf(b)
}

/** The names of what ends so in the folder, oldest first. */
export function partitionNames (dir: string, ending: 'db' | Ending = 'db'): string[] {
  return readdirSync(dir)
    .filter(file => file.endsWith(`.${ending}`))
    .map(file => file.slice(0, -ending.length - 1))
    .filter(name => NAME.test(name))
    .sort(compareNames)
}

/** Of the file and its WAL. */
export function partitionBytes (dir: string, name: string, ending: 'db' | Ending = 'db'): number {
  return databaseBytes(partitionPath(dir, name, ending))
}

/** Of a database's file and its WAL, as far as they are there. A copy has at most as many. */
export function databaseBytes (path: string): number {
  return [path, `${path}-wal`].reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0)
}

/** Gives a partition that nobody writes another ending. Whoever reads it can go on. Throws where somebody has put a damaged one there before. */
export function renamePartition (dir: string, name: string, ending: Ending): void {
  if (ending === 'damaged' && isThere(partitionPath(dir, name, ending))) throw new Error(`${join(dir, name)} is damaged, and so is ${name}.${ending} that is there already`)
  // The database goes first: who opens it and still finds it under its name has opened its WAL too.
  for (const companion of COMPANIONS) {
    const path = partitionPath(dir, name) + companion
    if (companion === '' || isThere(path)) renameSync(path, partitionPath(dir, name, ending) + companion)
  }
}

/** Removes a packed copy that is not going to be put in its place. */
export function removePacking (dir: string, name: string): void {
  for (const companion of COMPANIONS) rmSync(partitionPath(dir, name, 'packing') + companion, { force: true })
}

/** Ends what a stop in the middle of a rename, or of packing, has left. Nobody has a partition open yet. */
export function tidyStrays (dir: string): void {
  for (const name of partitionNames(dir, 'packing')) removePacking(dir, name)
  const files = new Set(readdirSync(dir))
  for (const file of files) {
    const [, database, name, companion] = /^((.*)\.(?:db|dropped|packing))(-wal|-shm)$/.exec(file) ?? []
    if (database === undefined || !NAME.test(name!) || files.has(database)) continue
    if (files.has(`${name}.damaged`)) renameSync(join(dir, file), join(dir, `${name}.damaged${companion}`)) // events may be in it alone
    else rmSync(join(dir, file))
  }
}

/** Removes a partition that never held anything. Nobody has it open. */
export function removePartition (dir: string, name: string): void {
  for (const companion of COMPANIONS) rmSync(partitionPath(dir, name) + companion, { force: true })
}

export function isThere (path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
