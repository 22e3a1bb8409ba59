import { resolve } from 'node:path'
import { loadConfig } from '../config.js'
import { AppError } from '../errors.js'
import { escapeControls } from '../spl/errors.js'
import type { BackupManifest, BackupProgress } from '../store/backup.js'
import { runBackup, verifyBackup } from '../store/backup.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { CONFIG_OPTIONS, parseOptions, toSource } from './options.js'
import { openProgress } from './progress.js'

export const usage = `hecate backup DIR [--config FILE] [--verify]

  Copies the data folder to DIR, whether or not a server runs on it. DIR is made where it is
  missing, and must be empty. What it holds is a data folder that a server can start on
  (docs/backup.md); it is whole when there is a backup.json in it.

    --verify     copies nothing; reads the backup in DIR and says whether its files are as
                 they were written
`

/** So far the bar reaches. */
const BAR_STEPS = 1_000

/** Copies the data folder, or looks at a copy. */
export async function backup (context: CommandContext): Promise<number> {
  const { values, positionals: [dir, ...rest] } = parseOptions(context.args, { ...CONFIG_OPTIONS, verify: { type: 'boolean' } } as const)
  if (dir === undefined || dir === '' || rest.length > 0) throw new UsageError('say which folder: hecate backup DIR')
  const targetDir = resolve(context.cwd, dir)
  try {
    return await (values.verify === true ? verify(targetDir, context) : copy(targetDir, loadConfig(toSource(values, context)).data.dir, context))
  } catch (error) {
    if (!context.signal.aborted && !(error instanceof AppError)) throw error
    if (error instanceof AppError && error.code === 'invalid') throw new UsageError(escapeControls(error.message), { cause: error })
    context.stderr.write(`hecate backup: ${context.signal.aborted ? 'stopped' : escapeControls((error as Error).message)}\n`)
    return 1
  }
}

async function copy (targetDir: string, dataDir: string, context: CommandContext): Promise<number> {
  const startedMs = performance.now()
  const manifest = await withBar('copying', context, onProgress => {
    return runBackup({ dataDir, targetDir, version: context.version, now: Date.now, signal: context.signal, onProgress })
  })
  context.stdout.write(`${describe(manifest)} copied to ${escapeControls(targetDir)} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`)
  return 0
}

async function verify (dir: string, context: CommandContext): Promise<number> {
  const { manifest, faults } = await withBar('reading', context, onProgress => verifyBackup(dir, { signal: context.signal, onProgress }))
  for (const fault of faults) context.stderr.write(`${escapeControls(fault)}\n`)
  if (faults.length === 0) context.stdout.write(`${describe(manifest)}, begun ${escapeControls(manifest.started_at)}: as it was written\n`)
  return faults.length === 0 ? 0 : 1
}

async function withBar<T> (what: string, { stderr }: CommandContext, work: (onProgress: (progress: BackupProgress) => void) => Promise<T>): Promise<T> {
  const progress = openProgress(stderr)
  progress.begin(what, BAR_STEPS)
  try {
    return await work(({ file, bytes, total_bytes: totalBytes }) => {
      progress.at(totalBytes === 0 ? 0 : bytes / totalBytes * BAR_STEPS, `${toMegabytes(bytes)} of ${toMegabytes(totalBytes)}, ${escapeControls(file)}`)
    })
  } finally {
    progress.end()
  }
}

function describe ({ files, event_count: events, bytes }: BackupManifest): string {
  return `${events.toLocaleString('en')} event${events === 1 ? '' : 's'}, ${files.length} files, ${toMegabytes(bytes)}`
}

function toMegabytes (bytes: number): string {
  return `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 1 })} MB`
}
