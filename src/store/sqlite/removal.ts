import { rm, stat, truncate } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { partitionNames, partitionPath } from './partition-files.js'

/**
 * A file of some gigabytes is let go in pieces. All at once it holds up everybody's fsync meanwhile: on ext4 with `discard`, 4 GB took the
 * 99th percentile of commits from 0.1 to 0.5 s for as long as it lasted, in pieces it stayed.
 */
const PIECE_BYTES = 64 << 20
const PAUSE_MS = 50

/** Removes the files of partitions that were dropped, or that a packed copy has replaced. Not in the writer's thread: a file system takes its time. */
export function openRemoval (dir: string, onFailure: (error: unknown) => void) {
  const closing = new AbortController()
  let underway: Promise<void> | null = null
  return {
    /** Nobody waits for it. What is left in the end, or by a failure, is there for the next call. */
    begin (): void {
      if (closing.signal.aborted) return
      underway ??= removeDropped(dir, closing.signal)
        .catch((error: unknown) => { if (!closing.signal.aborted) onFailure(error) })
        .finally(() => { underway = null })
    },
    async close (): Promise<void> {
      closing.abort()
      await underway
    },
  }
}

async function removeDropped (dir: string, signal: AbortSignal): Promise<void> {
  const paths = (['dropped', 'unpacked'] as const).flatMap(ending => partitionNames(dir, ending).map(name => partitionPath(dir, name, ending)))
  for (const path of paths) {
    for (const companion of ['-shm', '-wal']) await rm(path + companion, { force: true }) // a WAL would be put into the file first
    await shrink(path, signal)
    await rm(path)
  }
}

/** Cuts a file off piece by piece where nobody else would miss it. */
async function shrink (path: string, signal: AbortSignal): Promise<void> {
  const { size, nlink } = await stat(path)
  if (size <= PIECE_BYTES || nlink > 1 || isInUse(path)) return // a copy by hard link is somebody's backup
  for (let left = size - PIECE_BYTES; left > 0; left -= PIECE_BYTES) {
    await truncate(path, left)
    await setTimeout(PAUSE_MS, undefined, { signal })
  }
}

/** Whether a search that began before, or another process, has the database open. By this name nobody opens it any more. */
function isInUse (path: string): boolean {
  const db = new Database(path, { timeout: 0 })
  try {
    db.pragma('locking_mode = EXCLUSIVE')
    db.prepare('SELECT 1 FROM sqlite_schema').get()
    db.exec('BEGIN EXCLUSIVE') // what a packed copy has replaced has no WAL, and is seen to be in use by that alone
    return false
  } catch (error) {
    return (error as { code?: string }).code === 'SQLITE_BUSY'
  } finally {
    db.close()
  }
}
