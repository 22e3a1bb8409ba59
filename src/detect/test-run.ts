import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Window } from '../event.js'
import { toMicroseconds } from '../event.js'
import { AppError } from '../errors.js'
import type { FieldTables } from '../fields/field-tables.js'
import type { Row } from '../spl/row.js'
import { parseTimeText } from '../spl/time-modifier.js'
import type { EventStore } from '../store/events.js'
import type { LogFileOutcome } from '../store/log-file.js'
import { appendLogFile } from '../store/log-file.js'
import { openInlineEvents } from '../store/sqlite/inline.js'
import type { CompiledDefinition } from './definition.js'
import { differences } from './expected.js'
import { messageFields, toFindings } from './findings.js'
import { evaluate } from './run.js'
import { findStretch } from './scan.js'
import type { DetectionTest } from './tests.js'

export interface TestRunDeps {
  /** Indexes of the configuration; those that the test names come on top. */
  readonly indexes: readonly string[]
  readonly maxEventBytes: number
  readonly fieldTables: FieldTables
  /** When the events of a test arrive; it is the time of those that say none. Epoch milliseconds. */
  readonly now: () => number
  readonly signal: AbortSignal
}

export interface TestOutcome {
  readonly status: 'passed' | 'failed' | 'not_run'
  /** Why it isn't passed, in lines; empty where it is. Text of events is in it as it was. */
  readonly reasons: readonly string[]
  /** What the search says of itself, such as texts that were too costly for a regular expression. */
  readonly warnings: readonly string[]
  /** Events stored and rows given; null where it didn't come to that. */
  readonly events: number | null
  readonly rows: number | null
}

const MINUTE_US = 60_000_000

/** Splunk's default host of what a file is read into. */
const DEFAULT_HOST = 'localhost'

/** Runs one test of a detection file in an event store of its own, by the code that runs it on the server. */
export async function runTest (compiled: CompiledDefinition, test: DetectionTest, file: string, deps: TestRunDeps): Promise<TestOutcome> {
  const url = test.attack_data.find(({ data }) => /^[a-z][a-z\d+.-]+:\/\//i.test(data))
  if (url !== undefined) return { status: 'not_run', reasons: [`${url.data} is not fetched`], warnings: [], events: null, rows: null }
  const dataDir = mkdtempSync(join(tmpdir(), 'hecate-test-run-'))
  const events = openInlineEvents({
    dataDir,
    durability: 'normal',
    existingIndexes: new Set([...deps.indexes, ...test.attack_data.flatMap(({ custom_index: index }) => index ?? [])]),
    maxEventBytes: deps.maxEventBytes,
    fieldTables: deps.fieldTables,
    compatibility: 'keep',
    resendWindowUs: 0, // a log may say the same twice
  })
  try {
    const unread = await load(events, test, file, deps)
    if (unread.length > 0) return failed(unread, events)
    return await judge(events, compiled, test, deps)
  } catch (error) {
    if (!(error instanceof AppError) || deps.signal.aborted) throw error
    return failed([error.message], events)
  } finally {
    await events.close()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function failed (reasons: readonly string[], events: EventStore): TestOutcome {
  return { status: 'failed', reasons, warnings: [], events: events.stats().events, rows: null }
}

/** Stores the logs of a test. Gives what of them could not be stored. */
async function load (events: EventStore, test: DetectionTest, file: string, { indexes, maxEventBytes, now, signal }: TestRunDeps): Promise<string[]> {
  const unread: string[] = []
  for (const { data, source, sourcetype, custom_index: index = indexes[0] ?? 'main', host = DEFAULT_HOST } of test.attack_data) {
    const outcome = await appendLogFile(events, resolve(dirname(file), data), {
      defaults: { host, source, sourcetype, index }, arrivalUs: toMicroseconds(now() / 1000), maxEventBytes, signal,
    })
    unread.push(...problemsOf(outcome).map(problem => `${data}: ${problem}`))
  }
  return unread
}

function problemsOf ({ stored, tooLong, refused, firstRefused, skipped }: LogFileOutcome): string[] {
  return [
    ...stored === 0 ? ['holds no event'] : [],
    ...tooLong === 0 ? [] : [`${tooLong} are longer than an event may be (hec.max_event_bytes)`],
    ...refused === 0 ? [] : [`${refused} are refused: ${firstRefused.map(({ number, code }) => `the ${number}. with HEC's code ${code}`).join(', ')}`],
    ...skipped === 0 ? [] : [`${skipped} are metrics without a measurement`],
  ]
}

async function judge (events: EventStore, compiled: CompiledDefinition, test: DetectionTest, { signal }: TestRunDeps): Promise<TestOutcome> {
  const when = await whenOf(events, compiled, test, signal)
  if ('problem' in when) return failed([when.problem], events)
  const { slotMs, window } = when
  const { rows, warnings } = await evaluate(compiled, slotMs, window, events.position(), { events, signal })
  const reasons = [...differences(test.expected ?? undefined, rows), ...riskProblems(compiled, rows, slotMs, window)]
  return { status: reasons.length === 0 ? 'passed' : 'failed', reasons, warnings, events: events.stats().events, rows: rows.length }
}

/**
 * The slot and the window of a test. Without `scheduled_time` the slot is the full minute after the last event and the window all time
 * of the events, as in contentctl; with it the window is the one that the detection has at that slot. `earliest_time` and `latest_time` win.
 */
async function whenOf (events: EventStore, { definition: { time_zone: timeZone }, windowOf }: CompiledDefinition, test: DetectionTest, signal: AbortSignal): Promise<{ slotMs: number, window: Window } | { problem: string }> {
  const { firstUs, lastUs } = (await findStretch(events, signal))! // a test whose logs hold nothing doesn't come to this
  const all: Window = { earliestUs: firstUs, latestUs: lastUs + 1 }
  const afterAllUs = Math.ceil(all.latestUs / MINUTE_US) * MINUTE_US
  const { scheduled_time: scheduled, earliest_time: earliest, latest_time: latest } = test
  const slotUs = scheduled == null ? afterAllUs : parseTimeText(scheduled, afterAllUs / 1000, timeZone)
  if (slotUs === null) return { problem: `scheduled_time "${scheduled}" is no time` }
  const slotMs = Math.floor(slotUs / 1000)
  const own = scheduled == null ? all : windowOf(slotMs)
  const earliestUs = earliest == null ? own.earliestUs : parseTimeText(earliest, slotMs, timeZone)
  const latestUs = latest == null ? own.latestUs : parseTimeText(latest, slotMs, timeZone)
  if (earliestUs === null) return { problem: `earliest_time "${earliest}" is no time` }
  if (latestUs === null) return { problem: `latest_time "${latest}" is no time` }
  if (earliestUs >= latestUs) return { problem: 'the window ends before it begins' }
  return { slotMs, window: { earliestUs, latestUs } }
}

/** What of the risk block the rows can't fill: places of messages, and risk objects that no finding has. */
function riskProblems ({ definition, plan }: CompiledDefinition, rows: readonly Row[], slotMs: number, window: Window): string[] {
  const { risk } = definition
  if (risk === null || rows.length === 0) return []
  const unfilled = messageFields(risk).filter(field => rows.some(({ values }) => !values.has(field)))
  const { findings } = toFindings(definition, plan, rows, slotMs, window)
  const without = risk.risk_objects.filter(({ field }) => !findings.some(({ body }) => body.risk.objects.some(object => object.field === field)))
  return [
    ...unfilled.map(field => `the message has $${field}$, and a row has no such field`),
    ...without.map(({ field }) => `the risk object ${field} is in no row`),
  ]
}
