import { createHash } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { open, readFile, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { z } from 'zod'
import { AppError } from '../errors.js'
import { copyIdMark } from './sqlite/id-mark.js'
import { databaseBytes } from './sqlite/partition-files.js'
import { readSummary } from './sqlite/partition.js'
import { syncFolder } from './sync.js'

const CONTROL = 'control.db'
const EVENTS = 'events'
const ID_MARK = 'event-id-mark'
const MANIFEST = 'backup.json'

/** Where a backup is until all of it is on disk. */
const UNFINISHED = 'unfinished'

/** 4 MB: a step holds up its thread for some 30 ms. */
const PAGES_A_STEP = 1024

/** 64 MB: gigabytes that are synced at once hold up the syncs of the server, and who wants to stop the backup. */
const STEPS_A_SYNC = 16

/**
 * The server goes on and deals ids after the backup; clients and findings know them by then. One that starts on the copy passes over so many, so that
 * it deals none of them again: the events of a year at 30,000 a second. Numbers are exact up to 2^53, which is 8,000 restores of one another.
 */
const PASSED_OVER_IDS = 2 ** 40

/** What a backup holds, in `backup.json`. A folder without it is no backup: it is written last. */
export const BackupManifest = z.object({
  format: z.literal(1),
  hecate_version: z.string(),
  started_at: z.string(),
  finished_at: z.string(),
  position: z.string(),             // of the copy: events up to it are in there, as far as the data folder still had them
  event_count: z.number().int(),
  bytes: z.number().int(),
  files: z.array(z.object({
    path: z.string().regex(/^(control\.db|event-id-mark|events\/[^/]+\.db)$/),
    bytes: z.number().int(),
    sha256: z.string(),
  })),
})
export type BackupManifest = z.infer<typeof BackupManifest>

/** `file` is the one that is copied, or about to be; its size is an estimate before it is begun. */
export interface BackupProgress { readonly file: string, readonly bytes: number, readonly total_bytes: number }

export interface BackupOptions {
  readonly dataDir: string
  /** Made where it is missing, in a folder that is there; must be empty. */
  readonly targetDir: string
  readonly version: string
  readonly now: () => number
  /** Stops the backup and removes what there is of it; the promise rejects with the signal's reason. */
  readonly signal: AbortSignal
  readonly onProgress: (progress: BackupProgress) => void
}

/**
 * Copies a data folder, beside a server that writes it or without one. Each file is copied as it is at one moment, and these moments follow one another:
 * first control.db, then the partitions, then the mark of ids. So the copy has every event that its ledger has seen. Those that arrive in between are above all
 * positions of the ledger: to a server that starts on the copy they are as if they had just come. The other way round slots would be done at
 * positions whose events are missing.
 *
 * Throws AppError: `invalid` where there is no data folder or the target is not empty, `unavailable` where something can't be read or written.
 */
export async function runBackup (options: BackupOptions): Promise<BackupManifest> {
  const { dataDir, targetDir, signal } = options
  if (!existsSync(join(dataDir, CONTROL))) throw new AppError('invalid', `${dataDir} is no data folder: there is no ${CONTROL} in it`)
  let isClaimed = false
  let isMade = false
  try {
    isMade = makeTarget(targetDir)
    mkdirSync(join(targetDir, UNFINISHED), { mode: 0o700 })
    isClaimed = true
    const manifest = await copyAll(options, join(targetDir, UNFINISHED))
    publish(targetDir, isMade)
    return manifest
  } catch (error) {
    if (isClaimed) for (const name of [UNFINISHED, MANIFEST, CONTROL, ID_MARK, EVENTS]) rmSync(join(targetDir, name), { recursive: true, force: true })
    if (isMade && readdirSync(targetDir).length === 0) rmdirSync(targetDir)
    if (signal.aborted || error instanceof AppError || !isSystemError(error)) throw error
    throw new AppError('unavailable', error.message, { cause: error })
  }
}

/** That of a whole backup; null where the folder is none. Throws AppError `invalid` where the file is not one that a backup has. */
export async function readManifest (dir: string): Promise<BackupManifest | null> {
  try {
    return BackupManifest.parse(JSON.parse(await readFile(join(dir, MANIFEST), 'utf8')))
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    if (!(error instanceof SyntaxError || error instanceof z.ZodError)) throw error
    throw new AppError('invalid', `${MANIFEST} is not one that this version of Hecate can read`, { cause: error })
  }
}

/** What is wrong with the files of a backup, a line for each; empty where they are as they were written. Throws AppError `invalid` where the folder is no backup. */
export async function verifyBackup (dir: string, { signal, onProgress }: Pick<BackupOptions, 'signal' | 'onProgress'>): Promise<{ manifest: BackupManifest, faults: string[] }> {
  const manifest = await readManifest(dir)
  if (manifest === null) throw new AppError('invalid', `${dir} holds no whole backup: there is no ${MANIFEST} in it`)
  const faults: string[] = []
  let bytes = 0
  for (const file of manifest.files) {
    onProgress({ file: file.path, bytes, total_bytes: manifest.bytes })
    const path = join(dir, file.path)
    if (!existsSync(path)) faults.push(`${file.path} is missing`)
    else if ((await hashFile(path, signal)).sha256 !== file.sha256) faults.push(`${file.path} is not as it was written`)
    bytes += file.bytes
  }
  return { manifest, faults }
}

/** Gives whether it had to be made. */
function makeTarget (dir: string): boolean {
  const names = namesIn(dir)
  if (names === null) mkdirSync(dir, { mode: 0o700 }) // not its parents: what is missing there may be a volume
  else if (names.includes(UNFINISHED)) throw new AppError('invalid', `${dir} holds a backup that is not finished; give another folder, or remove it where nothing writes it any more`)
  else if (names.length > 0) throw new AppError('invalid', `${dir} is not empty`)
  return names === null
}

/** Null where there is no such folder. */
function namesIn (dir: string): string[] | null {
  try {
    return readdirSync(dir)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (code === 'ENOTDIR') throw new AppError('invalid', `${dir} is no folder`)
    throw error
  }
}

async function copyAll (options: BackupOptions, workDir: string): Promise<BackupManifest> {
  const { dataDir, version, now, signal } = options
  const startedAt = new Date(now()).toISOString()
  const copies = openCopies(options, workDir)
  await checkSpace(workDir, copies.expectedBytes)
  mkdirSync(join(workDir, EVENTS), { mode: 0o700 })
  await copies.copy(CONTROL, takeSnapshot)
  let lastId = 0
  let eventCount = 0
  // Looked for only now: of a partition that was made a moment ago, the ledger may have seen events.
  for (const path of partitionsOf(dataDir)) {
    const seen = await copies.copy(path, db => takeSnapshot(db) === 0 ? null : readSummary(db, path)) // schema 0: it is only just made
    lastId = Math.max(lastId, seen?.lastId ?? 0)
    eventCount += seen?.eventCount ?? 0
  }
  copyIdMark(dataDir, workDir, PASSED_OVER_IDS)
  await copies.add(ID_MARK)
  signal.throwIfAborted()
  const manifest: BackupManifest = {
    format: 1,
    hecate_version: version,
    started_at: startedAt,
    finished_at: new Date(now()).toISOString(),
    position: String(lastId),
    event_count: eventCount,
    ...copies.list(),
  }
  writeFileSync(join(workDir, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true })
  return manifest
}

/** The files of a backup, one after the other, and how far it is. */
function openCopies ({ dataDir, signal, onProgress }: BackupOptions, workDir: string) {
  const expected = new Map([CONTROL, ...partitionsOf(dataDir)].map(path => [path, databaseBytes(join(dataDir, path))]))
  const expectedOf = (path: string) => expected.get(path) ?? 0
  const expectedBytes = [...expected.values()].reduce((sum, size) => sum + size, 0)
  const files: BackupManifest['files'] = []
  let bytes = 0
  let totalBytes = expectedBytes // corrected by each file when its size is known

  /** Takes a file in that is in its place. */
  async function add (path: string): Promise<void> {
    const hashed = await hashFile(join(workDir, path), signal)
    files.push({ path, ...hashed })
    bytes += hashed.bytes
    totalBytes += hashed.bytes - expectedOf(path)
  }

  return {
    expectedBytes,
    list: () => ({ bytes, files }),
    add,
    /** Null where the file is gone meanwhile, as retention makes them. */
    async copy<T> (path: string, look: (db: Database.Database) => T): Promise<T | null> {
      const [from, to] = [join(dataDir, path), join(workDir, path)]
      onProgress({ file: path, bytes, total_bytes: totalBytes })
      try {
        const seen = await copyDatabase(from, to, look, (done, size) => {
          signal.throwIfAborted()
          onProgress({ file: path, bytes: bytes + done, total_bytes: totalBytes - expectedOf(path) + size })
        })
        await add(path)
        return seen
      } catch (error) {
        if (path !== CONTROL && !existsSync(from)) {
          rmSync(to, { force: true })
          totalBytes -= expectedOf(path)
          return null
        }
        if (error instanceof Database.SqliteError) throw new AppError('unavailable', `${path} can not be copied: ${error.message}`, { cause: error })
        throw error
      }
    },
  }
}

/** Every database of the events' folder, whatever its name says. */
function partitionsOf (dataDir: string): string[] {
  return (namesIn(join(dataDir, EVENTS)) ?? []).filter(name => name.endsWith('.db')).sort().map(name => `${EVENTS}/${name}`)
}

async function checkSpace (dir: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir)
  const toMegabytes = (bytes: number) => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`
  if (bavail * bsize < neededBytes) throw new AppError('unavailable', `there is not enough space for the backup: ${toMegabytes(neededBytes)} are needed, ${toMegabytes(bavail * bsize)} are free`)
}

/** Begins to see the database as it is now; gives the version of its schema. */
function takeSnapshot (db: Database.Database): number {
  return db.pragma('user_version', { simple: true }) as number
}

/**
 * Copies a database as it is when `look` first reads it, and gives what `look` says. Read-only: nothing is checkpointed, and the server's commits wait for nothing.
 * The read transaction is held until the end, or SQLite would begin anew with each commit of somebody else: beside a server that takes events a copy would
 * never end. Until then the WAL of the source grows.
 */
async function copyDatabase<T> (from: string, to: string, look: (db: Database.Database) => T, onBytes: (done: number, size: number) => void): Promise<T> {
  const file = openSync(to, 'wx', 0o600) // SQLite would let others read it
  let steps = 0
  let db: Database.Database | null = null
  try {
    db = new Database(from, { readonly: true, fileMustExist: true })
    db.exec('BEGIN')
    const seen = look(db)
    const pageBytes = db.pragma('page_size', { simple: true }) as number
    await db.backup(to, {
      progress ({ totalPages, remainingPages }) {
        onBytes((totalPages - remainingPages) * pageBytes, totalPages * pageBytes)
        if (++steps % STEPS_A_SYNC === 0) fsyncSync(file)
        return PAGES_A_STEP
      },
    })
    return seen
  } finally {
    db?.close()
    closeSync(file)
  }
}

async function hashFile (path: string, signal: AbortSignal): Promise<{ bytes: number, sha256: string }> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(1 << 20) // one for all of the file: a stream leaves many for the garbage collector
  const file = await open(path)
  try {
    for (let bytes = 0; ;) {
      signal.throwIfAborted()
      const { bytesRead } = await file.read(buffer)
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') }
      hash.update(buffer.subarray(0, bytesRead))
      bytes += bytesRead
    }
  } finally {
    await file.close()
  }
}

/** Makes a whole backup of what is on disk: the manifest comes when all else is in its place for good. */
function publish (targetDir: string, isMade: boolean): void {
  const workDir = join(targetDir, UNFINISHED)
  syncFolder(join(workDir, EVENTS))
  for (const name of [EVENTS, ID_MARK, CONTROL]) renameSync(join(workDir, name), join(targetDir, name))
  syncFolder(targetDir)
  renameSync(join(workDir, MANIFEST), join(targetDir, MANIFEST))
  rmdirSync(workDir)
  syncFolder(targetDir)
  if (isMade) syncFolder(dirname(targetDir))
}

/** Of the file system or of SQLite: what its message says is all that there is to say. */
function isSystemError (error: unknown): error is Error {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string'
}
