import { randomUUID } from 'node:crypto'
import { createReadStream, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import type { Config } from '../config.js'
import { loadConfig } from '../config.js'
import type { ActiveDetection } from '../detect/active.js'
import type { CompiledDefinition } from '../detect/definition.js'
import type { RunDeps } from '../detect/run.js'
import { findStretch, scanSlots } from '../detect/scan.js'
import { AppError } from '../errors.js'
import type { FieldTables } from '../fields/field-tables.js'
import { buildFieldTables } from '../fields/field-tables.js'
import { HEC_REPLY } from '../hec/reply.js'
import { systemClock } from '../schedule/loop.js'
import { escapeControls, nearestHint, quote } from '../spl/errors.js'
import { AT_ONCE, openFindingStore } from '../store/control/findings.js'
import { openControlDatabase } from '../store/control/open.js'
import type { EventStore } from '../store/events.js'
import type { LogFileOutcome } from '../store/log-file.js'
import { appendLog } from '../store/log-file.js'
import { openSqliteEvents } from '../store/sqlite/open.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { openActivation, readContent } from './detections.js'
import { CONFIG_OPTIONS, parseOptions, toSource } from './options.js'
import type { Progress } from './progress.js'
import { openProgress } from './progress.js'
import { isFormat, writeFindings } from './write-findings.js'

export const usage = `hecate scan FILE… [--config FILE] [--detection ID]… [OPTIONS]

  Reads log files into a temporary store, runs every detection over every slot whose window meets
  their events, as the server does, and prints the findings, oldest first.

    FILE                     lines of JSON or text, HEC envelopes, plain or gzip; - is standard input
    --detection ID           this one, enabled or not; may be given more than once (all that are enabled)
    --sourcetype S           of lines, and of envelopes without one (cisco:isovalent)
    --index I                alike (the first of the configuration)
    --format ndjson|table    how findings are printed (ndjson)

  The store takes a fifth of the logs' size below TMPDIR and is removed in the end. Exit code
  1 when a file could not be read to its end, or a detection or a slot of it could not be run.
`

const SCAN_OPTIONS = {
  detection: { type: 'string', multiple: true },
  sourcetype: { type: 'string' },
  index: { type: 'string' },
  format: { type: 'string' },
} as const

/** Detections whose slots are run side by side: the store has as many readers. */
const SIDE_BY_SIDE = 2

/** So far each detection's part of the bar reaches. */
const BAR_STEPS = 1_000

interface Scan {
  readonly context: CommandContext
  readonly config: Config
  readonly events: EventStore
  readonly progress: Progress
  /** Tells of something that went wrong; the exit code is 1 then. */
  readonly complain: (message: string) => void
}

/** Runs detections over log files, without a server. */
export async function scan (context: CommandContext): Promise<number> {
  const { values, positionals: files } = parseOptions(context.args, { ...CONFIG_OPTIONS, ...SCAN_OPTIONS })
  const format = values.format ?? 'ndjson'
  if (!isFormat(format)) throw new UsageError('--format is ndjson or table')
  if (files.length === 0) throw new UsageError('say which files to scan')
  const config = loadConfig(toSource(values, context))
  const index = values.index ?? config.indexes[0]!
  if (!config.indexes.includes(index)) throw new UsageError(`--index: ${quote(index)} is not in the indexes of the configuration`)
  const fieldTables = buildFieldTables(config)
  const { runnable, broken } = chooseDetections(config, fieldTables, values.detection)

  const progress = openProgress(context.stderr)
  let isWhole = true
  const complain = (message: string) => {
    isWhole = false
    say(context, progress, message)
  }
  for (const { id, errors } of broken) complain(`${escapeControls(id)} can't run: ${escapeControls(errors[0]?.message ?? '')}`)
  const dir = await mkdtemp(join(tmpdir(), 'hecate-scan-'))
  try {
    const events = await openSqliteEvents({
      dataDir: dir,
      durability: 'normal', // nobody needs it after a crash
      existingIndexes: new Set(config.indexes),
      maxEventBytes: config.hec.max_event_bytes,
      compatibility: config.hec.compatibility,
      resendWindowUs: 0,
      fieldTables,
    })
    const control = openControlDatabase(dir)
    control.pragma('synchronous = OFF')
    try {
      const startedMs = performance.now()
      const scanning: Scan = { context, config, events, progress, complain }
      const read = await readFiles(files, { index, sourcetype: values.sourcetype ?? 'cisco:isovalent' }, scanning)
      const findings = openFindingStore(control, [], undefined, AT_ONCE)
      const { slots, throttled } = await runDetections(runnable, { events, findings, now: systemClock.now, newId: randomUUID, signal: context.signal }, scanning)
      progress.end()
      const count = await writeFindings(findings.each(), format, context.stdout)
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
      say(context, progress, `${counted(read.stored, 'event')} of ${counted(read.bytes, 'byte')} in ${seconds} s; ${counted(slots, 'slot')} of ${counted(runnable.length, 'detection')}; ${counted(count, 'finding')}${throttled === 0 ? '' : `, ${throttled.toLocaleString('en')} throttled`}`)
    } finally {
      progress.end()
      control.close()
      await events.close()
    }
  } catch (error) {
    if (!context.signal.aborted) throw error
    say(context, progress, 'stopped')
    return 1
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return isWhole ? 0 : 1
}

/** What was named, or all that is enabled. Throws UsageError for a name that is none. */
function chooseDetections (config: Config, fieldTables: FieldTables, ids: readonly string[] | undefined): { runnable: CompiledDefinition[], broken: ActiveDetection[] } {
  const content = readContent(config, [])
  const known = content.detections.map(({ id }) => id)
  const unknown = ids?.find(id => !known.includes(id))
  if (unknown !== undefined) throw new UsageError(`--detection: there is no ${quote(unknown)}${nearestHint(unknown, known)}`)
  const all = content.detections.map(openActivation(config, content, fieldTables))
  const chosen = all.filter(({ id, settings }) => ids === undefined ? settings.enabled : ids.includes(id))
  return { runnable: chosen.flatMap(({ compiled }) => compiled ?? []), broken: chosen.filter(({ compiled }) => compiled === null) }
}

interface Read { readonly stored: number, readonly bytes: number }

async function readFiles (files: readonly string[], { index, sourcetype }: { index: string, sourcetype: string }, { context, config, events, progress, complain }: Scan): Promise<Read> {
  const total = totalBytes(files.map(file => resolve(context.cwd, file)), files)
  progress.begin('reading', total)
  const done = { stored: 0, bytes: 0 }
  for (const file of files) {
    const isInput = file === '-'
    const name = isInput ? 'standard input' : file
    const stream: Readable = isInput ? process.stdin : createReadStream(resolve(context.cwd, file), { highWaterMark: 1 << 20 })
    let here: Read = { stored: 0, bytes: 0 }
    try {
      const outcome = await appendLog(events, name, stream, {
        defaults: { host: hostname(), source: name, sourcetype, index },
        arrivalUs: systemClock.now() * 1000,
        maxEventBytes: config.hec.max_event_bytes,
        signal: context.signal,
        onProgress (read) {
          here = read
          progress.at(done.bytes + read.bytes, `${(done.stored + read.stored).toLocaleString('en')} events`)
        },
      })
      for (const line of describeLosses(name, outcome)) say(context, progress, line)
      if (outcome.stored === 0 && outcome.refused + outcome.tooLong > 0) complain(`${escapeControls(name)}: nothing of it could be read`)
    } catch (error) {
      if (context.signal.aborted || !(error instanceof AppError) || error.code !== 'invalid') throw error
      complain(escapeControls(error.message))
    }
    done.stored += here.stored
    done.bytes += here.bytes
  }
  return done
}

/** Null where one of them is no file, so that nobody knows what is to come. */
function totalBytes (paths: readonly string[], files: readonly string[]): number | null {
  const stats = paths.map((path, i) => files[i] === '-' ? undefined : statSync(path, { throwIfNoEntry: false }))
  return stats.some(stat => stat !== undefined && !stat.isFile()) || files.includes('-') ? null : stats.reduce((sum, stat) => sum + (stat?.size ?? 0), 0)
}

/** Gives how many slots were run, and findings throttled. */
async function runDetections (detections: readonly CompiledDefinition[], deps: Omit<RunDeps, 'definitions'>, { context, events, progress, complain }: Scan): Promise<{ slots: number, throttled: number }> {
  const stretch = await findStretch(events, context.signal)
  if (stretch === null) return { slots: 0, throttled: 0 }
  const { firstUs, lastUs } = stretch
  const queue = [...detections]
  const reached = new Map<CompiledDefinition, number>()
  let slots = 0
  let throttled = 0
  progress.begin('running', detections.length * BAR_STEPS)
  const runOne = async (compiled: CompiledDefinition) => {
    const id = escapeControls(compiled.definition.detection_id)
    const warned = new Set<string>()
    let rows = 0
    for await (const { run, failure } of scanSlots(compiled, stretch, deps)) {
      slots++
      rows += run.row_count
      throttled += run.throttled
      reached.set(compiled, Math.min(1, (run.latest_us - firstUs) / (lastUs - firstUs + 1)))
      progress.at([...reached.values()].reduce((sum, share) => sum + share, 0) * BAR_STEPS, `${slots.toLocaleString('en')} slots`)
      if (failure !== null) complain(`${id} failed at ${new Date(run.slot_ms).toISOString()}: ${escapeControls(run.error ?? '')}`)
      for (const warning of run.warnings) if (!warned.has(warning) && warned.add(warning).size <= MAX_NAMED) say(context, progress, `${id}: ${escapeControls(warning)}`)
    }
    reached.set(compiled, 1)
    if (compiled.definition.type === 'Hunting' && rows > 0) say(context, progress, `${id}: ${counted(rows, 'row')}; a Hunting search gives no findings`)
  }
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await runOne(next)
  }))
  return { slots, throttled }
}

/** Of lines and warnings so many are shown. */
const MAX_NAMED = 10

/** What of a file is not in the store as its author meant it, a line for each. */
function describeLosses (name: string, { broken, firstBroken, tooLong, firstTooLong, refused, firstRefused, skipped }: LogFileOutcome): string[] {
  const describe = (count: number, what: string, lines: readonly string[]) => count === 0
    ? []
    : [...lines.map(line => `${escapeControls(name)}:${line}`), ...count > lines.length ? [`${escapeControls(name)}: ${(count - lines.length).toLocaleString('en')} more ${what}`] : []]
  return [
    ...describe(broken, 'broken JSON objects', firstBroken.map(line => `${line}: a broken JSON object; it is read as text`)),
    ...describe(tooLong, 'too long', firstTooLong.map(line => `${line}: longer than an event may be; left out`)),
    ...describe(refused, 'refused', firstRefused.map(({ line, code }) => `${line}: HEC would refuse it (${HEC_REPLY[code].text}); left out`)),
    ...skipped === 0 ? [] : [`${escapeControls(name)}: ${counted(skipped, 'metric')} without a measurement; left out`],
  ]
}

function counted (count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}

/** A line on stderr; the bar, where there is one, gives way and is drawn again. */
function say ({ stderr }: CommandContext, { pause }: Progress, message: string): void {
  pause()
  stderr.write(`${message}\n`)
}
