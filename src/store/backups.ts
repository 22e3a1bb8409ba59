import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import { AppError } from '../errors.js'
import { codeUrl } from '../resource.js'
import type { BackupManifest } from './backup.js'
import { readManifest } from './backup.js'
import type { BackupJob, FromBackup, ToBackup } from './backup-thread.js'

/** A backup that runs, is there, or failed. */
export const Backup = z.object({
  id: z.string().describe('when it was begun, and the name of its folder'),
  state: z.enum(['running', 'succeeded', 'failed']),
  started_at: z.string(),
  finished_at: z.string().nullable(),
  bytes: z.number().int().describe('copied so far'),
  total_bytes: z.number().int().describe('while it runs an estimate'),
  event_count: z.number().int().nullable(),
  position: z.string().nullable().describe('events up to it are in the backup'),
  error: z.string().nullable(),
}).meta({ id: 'Backup' })
export type Backup = z.infer<typeof Backup>

export interface BackupsOptions {
  readonly dataDir: string
  /** Where backups go, each to a folder of its own; null where nobody has said. */
  readonly backupDir: string | null
  readonly version: string
  readonly now: () => number
  /** Hears of each backup that ended; `defect` is what the log is to have of one that should not have failed. */
  readonly report: (backup: Backup, defect: string | null) => void
}

/** `20261124T191500.123Z`: sorts by time, and is a name on every file system. */
const ID = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3}Z)$/

/** Of a backup that failed nothing is left but what is remembered here, until the process ends. */
const MAX_REMEMBERED = 100

/** Backups that this server makes, one at a time, in a thread of their own; they are known by their folders. */
export function openBackups ({ dataDir, backupDir, version, now, report }: BackupsOptions) {
  const failed = new Map<string, Backup>()
  let running: { backup: Backup, readonly worker: Worker, readonly exited: Promise<void> } | null = null
  let lastStartedMs = 0

  function follow (worker: Worker, id: string): void {
    const end = (backup: Backup, defect: string | null = null) => {
      running = null
      if (backup.state === 'failed') failed.set(id, backup)
      if (failed.size > MAX_REMEMBERED) failed.delete(failed.keys().next().value!)
      report(backup, defect)
    }
    const fail = (error: string, defect: string | null) => {
      if (running?.worker === worker) end({ ...running.backup, state: 'failed', finished_at: new Date(now()).toISOString(), error }, defect)
    }
    worker.on('message', (message: FromBackup) => {
      if (message.kind === 'succeeded') end(toBackup(id, message.manifest))
      else if (message.kind === 'failed') fail(message.isDefect ? UNEXPECTED : message.message, message.isDefect ? message.message : null)
      else if (running !== null) running.backup = { ...running.backup, bytes: message.progress.bytes, total_bytes: message.progress.total_bytes }
    })
    worker.on('error', error => fail(UNEXPECTED, error.stack ?? String(error))) // for lack of memory, say
    worker.on('exit', code => fail(UNEXPECTED, `the backup thread ended with code ${code}`))
  }

  /** Newest first. Folders of other names are somebody else's. */
  async function ids (): Promise<string[]> {
    const names = backupDir === null ? [] : await readdir(backupDir).catch(emptyWhereMissing)
    const known = new Set([...names.filter(name => ID.test(name)), ...failed.keys(), ...running === null ? [] : [running.backup.id]])
    return [...known].sort().reverse()
  }

  async function get (id: string): Promise<Backup | undefined> {
    if (running?.backup.id === id) return running.backup
    if (failed.has(id) || backupDir === null || !ID.test(id)) return failed.get(id)
    try {
      const manifest = await readManifest(join(backupDir, id))
      if (manifest !== null) return toBackup(id, manifest)
      return (await ids()).includes(id) ? toFailed(id, 'it was not finished; what there is of it can be removed') : undefined
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return toFailed(id, error.message)
    }
  }

  return {
    ids,
    get,
    /** Begins a backup. Throws AppError `conflict` where one runs, or nobody has said where backups go. */
    start (): Backup {
      if (backupDir === null) throw new AppError('conflict', 'the configuration does not say where backups go: data.backup_dir')
      if (running !== null) throw new AppError('conflict', `the backup ${running.backup.id} runs; there is one at a time`)
      lastStartedMs = Math.max(now(), lastStartedMs + 1) // an id of its own, even where the clock stands still
      const startedAt = new Date(lastStartedMs).toISOString()
      const id = startedAt.replace(/[-:]/g, '')
      const workerData: BackupJob = { dataDir, targetDir: join(backupDir, id), version }
      const worker = new Worker(codeUrl('store/backup-thread.js'), { workerData })
      running = { worker, exited: new Promise(resolve => worker.once('exit', () => resolve())), backup: { ...toFailed(id, ''), state: 'running', error: null } }
      follow(worker, id)
      return running.backup
    },
    /** Stops the backup that runs. */
    async close (): Promise<void> {
      if (running === null) return
      const { worker, exited } = running
      worker.postMessage('stop' satisfies ToBackup)
      await exited
    },
  }
}
export type Backups = ReturnType<typeof openBackups>

const UNEXPECTED = 'an unexpected error; the log has it'

function emptyWhereMissing (error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}

function toBackup (id: string, { started_at, finished_at, bytes, event_count, position }: BackupManifest): Backup {
  return { id, state: 'succeeded', started_at, finished_at, bytes, total_bytes: bytes, event_count, position, error: null }
}

/** What is known of a backup by its folder's name alone. */
function toFailed (id: string, error: string): Backup {
  return { id, state: 'failed', started_at: id.replace(ID, '$1-$2-$3T$4:$5:$6'), finished_at: null, bytes: 0, total_bytes: 0, event_count: null, position: null, error }
}
