import { parentPort, workerData } from 'node:worker_threads'
import Database from 'better-sqlite3'

/** A thread that takes what was committed from the WAL of a database into the database itself. */

export interface CheckpointJob {
  /** Of the database. */
  readonly path: string
  readonly intervalMs: number
  /** Pages that are let lie in the WAL. */
  readonly minPages: number
}

/** The one message that it takes: close. */
export type ToCheckpoints = 'close'

/** What could not be done, and is tried again; once until it works. */
export interface FromCheckpoints { readonly failed: string }

interface WalState { readonly log: number, readonly checkpointed: number }

if (parentPort === null) throw new Error('checkpoint-thread is a worker')
const port = parentPort
const { path, intervalMs, minPages } = workerData as CheckpointJob
let db: Database.Database | null = null
/** As the last look found it. */
let lastLog = 0
let isFailing = false

const timer = setInterval(() => {
  try {
    db ??= new Database(path, { fileMustExist: true })
    const [{ log, checkpointed }] = db.pragma('wal_checkpoint(NOOP)') as [WalState] // looks, and does nothing
    // Where nothing has come since, also the last of a long WAL is taken, so that the next commit begins it anew.
    const isDue = log - checkpointed >= minPages || (log === lastLog && log >= minPages && log > checkpointed)
    lastLog = log
    if (!isDue) return
    db.pragma('wal_checkpoint(PASSIVE)') // waits for nobody, and nobody for it
    isFailing = false
  } catch (error) {
    if (!isFailing) port.postMessage({ failed: (error as Error).message } satisfies FromCheckpoints) // and not again until it works: a full disk may last for hours
    isFailing = true
  }
}, intervalMs)

port.once('message', (_message: ToCheckpoints) => {
  clearInterval(timer)
  db?.close()
  port.close()
})
