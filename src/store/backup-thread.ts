import { parentPort, workerData } from 'node:worker_threads'
import { AppError } from '../errors.js'
import type { BackupManifest, BackupOptions, BackupProgress } from './backup.js'
import { runBackup } from './backup.js'

/** A thread that makes one backup and ends. */

export type BackupJob = Pick<BackupOptions, 'dataDir' | 'targetDir' | 'version'>

/** The one message that it takes: stop. */
export type ToBackup = 'stop'

export type FromBackup =
  | { readonly kind: 'progress', readonly progress: BackupProgress }
  | { readonly kind: 'succeeded', readonly manifest: BackupManifest }
  /** A defect's message is for the log, not for who asks. */
  | { readonly kind: 'failed', readonly message: string, readonly isDefect: boolean }

if (parentPort === null) throw new Error('backup-thread is a worker')
const port = parentPort
const stop = new AbortController()
port.on('message', (_message: ToBackup) => stop.abort(new AppError('unavailable', 'the server was stopped')))

try {
  const manifest = await runBackup({
    ...workerData as BackupJob,
    now: Date.now,
    signal: stop.signal,
    onProgress: progress => post({ kind: 'progress', progress }),
  })
  post({ kind: 'succeeded', manifest })
} catch (error) {
  const isDefect = !(error instanceof AppError)
  post({ kind: 'failed', message: isDefect ? (error as Error).stack ?? String(error) : error.message, isDefect })
}
port.close()

function post (message: FromBackup): void {
  port.postMessage(message)
}
