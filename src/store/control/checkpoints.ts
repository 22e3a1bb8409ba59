import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type Database from 'better-sqlite3'
import { codeUrl } from '../../resource.js'
import type { CheckpointJob, FromCheckpoints, ToCheckpoints } from './checkpoint-thread.js'

/** A quarter of what SQLite lets lie before a commit has to do it. */
const MIN_PAGES = 250
const INTERVAL_MS = 200
/** 40 MB: who commits does it only where the thread could not, since a search or a backup goes on for long. */
const MAX_PAGES = 10_000
/** SQLite's own, where there is no such thread. */
const MAX_PAGES_ALONE = 1_000

/** As small as it goes: all that it has is a statement. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 }

/**
 * Has a thread of its own take what is committed from the WAL into the database, which needs two syncs and more writing than most commits, and which the thread that takes events would
 * have to wait for. `report` is told what can't be done; it is tried again, but where the thread is gone commits do it themselves.
 */
export function startCheckpoints (db: Database.Database, report: (message: string) => void) {
  db.pragma(`wal_autocheckpoint = ${MAX_PAGES}`)
  const worker = new Worker(codeUrl('store/control/checkpoint-thread.js'), { workerData: { path: db.name, intervalMs: INTERVAL_MS, minPages: MIN_PAGES } satisfies CheckpointJob, resourceLimits: THREAD_LIMITS })
  let isClosing = false
  const exited = once(worker, 'exit').catch(() => {}) // where it fails, `error` comes in place of it
  worker.on('message', ({ failed }: FromCheckpoints) => report(failed))
  worker.on('error', error => report(error.message))
  worker.on('exit', () => { if (!isClosing && db.open) db.pragma(`wal_autocheckpoint = ${MAX_PAGES_ALONE}`) })
  return {
    /** Resolves when the thread has let go of the database. */
    async close (): Promise<void> {
      isClosing = true
      worker.postMessage('close' satisfies ToCheckpoints)
      await exited
    },
  }
}
export type Checkpoints = ReturnType<typeof startCheckpoints>
