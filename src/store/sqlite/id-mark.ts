import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { syncFolder } from '../sync.js'

/** Ids are reserved in such runs, so that the file is written once in a million events. */
const RUN = 1 << 20

/**
 * The highest id that may have been dealt, in a file beside `control.db`: partitions can be removed or lost, and no id is
 * dealt twice even then. After a crash the rest of a run is passed over.
 */
export function openIdMark (eventsDir: string) {
  const path = join(dirname(eventsDir), 'event-id-mark')
  let value = read(path)
  return {
    get value () { return value },
    /** Makes sure, on disk, that ids up to `id` are reserved. */
    reach (id: number): void {
      if (id <= value) return
      write(path, id + RUN) // where that fails nothing is reserved
      value = id + RUN
    },
    /** Gives back what was reserved but not dealt. On a full disk it is passed over, as after a crash. */
    close (lastId: number): void {
      try {
        write(path, lastId)
        value = lastId
      } catch (error) {
        if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
      }
    },
  }
}
export type IdMark = ReturnType<typeof openIdMark>

function read (path: string): number {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
    throw error
  }
  const value = Number(text)
  if (!Number.isSafeInteger(value) || text.trim() === '') throw new Error(`${path} does not hold a number`)
  return value
}

function write (path: string, value: number): void {
  const temporary = `${path}.new`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeSync(file, `${value}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
  syncFolder(dirname(path))
}

/** Writes the mark of one data folder, raised, into another, which is a copy of it. */
export function copyIdMark (from: string, to: string, raisedBy: number): void {
  write(join(to, 'event-id-mark'), read(join(from, 'event-id-mark')) + raisedBy)
}
