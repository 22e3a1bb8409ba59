import type { Window } from '../event.js'
import { AppError } from '../errors.js'
import type { ChangeReason } from '../finding.js'
import { saysTheSame } from '../finding.js'
import type { FindingDraft, FindingStore, RunOfBackfill, RunRecord } from '../store/control/findings.js'
import type { RunnableSlot } from '../store/control/ledger.js'
import type { EventStore, Position, SearchResult } from '../store/events.js'
import type { CompiledDefinition } from './definition.js'
import type { Definitions } from './definitions.js'
import type { RowFinding } from './findings.js'
import { toAppearance, toChange } from './change.js'
import { toDrillDown } from './drill-down.js'
import { binOfRow, findEvidence, findLate } from './evidence.js'
import { spokenForBy, toFindings } from './findings.js'
import { throttleOf } from './throttling.js'

/** A run that gives more rows is refused: they are no findings that anybody could read. */
export const MAX_ROWS = 10_000

export interface RunDeps {
  readonly events: EventStore
  readonly definitions: Pick<Definitions, 'get'>
  readonly findings: FindingStore
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly newId: () => string
  readonly signal: AbortSignal
}

/** The rows that a definition gives for a window at a position, as if it were `nowMs`. Repeatable: nothing else decides them. */
export async function evaluate ({ plan, definition }: Pick<CompiledDefinition, 'plan' | 'definition'>, nowMs: number, window: Window, position: Position, { events, signal }: Pick<RunDeps, 'events' | 'signal'>): Promise<SearchResult> {
  const result = await events.search(plan, { window, position, timeZone: definition.time_zone, nowMs, limit: MAX_ROWS, signal })
  if (result.truncated) throw new AppError('invalid', `the search gives more than ${MAX_ROWS} rows`)
  return result
}

/** What the ledger says of a run that is to be. */
export interface RunOptions {
  /** Events of the window were dropped before, or are in a damaged partition. */
  readonly isShort: boolean
  /** When to try again after a failure at a time. */
  readonly nextTryMs: (nowMs: number) => number
  readonly backfill?: RunOfBackfill | undefined
}

/**
 * Evaluates one slot and commits what it gives: findings, and with the last of them the run and the slot's position. A failure is
 * committed too, with the time of the next try, and is the run's status.
 */
export async function runSlot (slot: RunnableSlot, { isShort, nextTryMs, backfill }: RunOptions, deps: RunDeps): Promise<{ run: RunRecord, twins: number, failure: unknown }> {
  const { events, definitions, findings, now, newId } = deps
  const { slot_ms: slotMs } = slot
  const window = { earliestUs: slot.earliest_us, latestUs: slot.latest_us }
  const base = {
    id: newId(), detection_id: slot.detection_id, slot_ms: slotMs, definition_hash: slot.definition_hash,
    earliest_us: window.earliestUs, latest_us: window.latestUs, started_ms: now(),
  }
  try {
    const compiled = definitions.get(slot.definition_hash)
    const position = events.position() // what the run sees, however long it takes
    const { rows, scannedEvents, warnings: ofSearch } = await evaluate(compiled, slotMs, window, position, deps)
    const { findings: found, twins } = compiled.definition.type === 'Hunting' // its rows are all that it gives
      ? { findings: [], twins: 0 }
      : toFindings(compiled.definition, compiled.plan, rows, slotMs, window)
    const warnings = [
      ...ofSearch,
      ...twins > 0 ? [`rows with the key of another: ${twins}; their findings are told apart by their order`] : [],
      ...isShort ? ['events of the window had been dropped or damaged before'] : [],
    ]
    const drafts = await toDrafts(found, { slot, compiled, window, position }, deps)
    const run = await findings.commitRun({
      ...base, status: 'succeeded', position, finished_ms: now(), row_count: rows.length, scanned_events: scannedEvents, error: null, warnings,
    }, { position, drafts, slot, isShort, backfill, isAfter: events.isAfter, speaksFor: spokenForBy(compiled.plan, window), appearance: (row, hashBefore) => toAppearance(row, reasonOf(slot, hashBefore)) }, deps.signal)
    return { run, twins, failure: null }
  } catch (error) {
    if (deps.signal.aborted) throw error // the process ends: the slot is owed to the next one
    const finishedMs = now()
    const run: RunRecord = {
      ...base, status: 'failed', position: null, finished_ms: finishedMs, row_count: 0, scanned_events: 0, created: 0, throttled: 0, suppressed: 0, revised: 0, unchanged: 0, gone: 0,
      error: error instanceof Error ? error.message : String(error), warnings: [],
    }
    findings.failRun(run, nextTryMs(finishedMs))
    return { run, twins: 0, failure: error }
  }
}

interface DraftContext { readonly slot: RunnableSlot, readonly compiled: CompiledDefinition, readonly window: Window, readonly position: Position }

/** Rows whose events are looked for together. So many times as many events as are kept of a row may be in memory before they are packed. */
const ROWS_TOGETHER = 100

/** In the order of the rows. Those that are new or say something new get their events. */
async function toDrafts (found: readonly RowFinding[], context: DraftContext, deps: RunDeps): Promise<FindingDraft[]> {
  const { compiled: { plan }, window } = context
  const drafts: FindingDraft[] = []
  const news: News[] = []
  found.forEach(({ id, body, row }, place) => {
    const before = deps.findings.last(id)
    if (before === undefined || !saysTheSame(before.body, body)) news.push({ id, body, row, place, before, fromUs: binOfRow(plan, row, window).earliestUs })
    else drafts[place] = { id, body, evidence: null, change: null, throttle: null }
  })
  news.sort((a, b) => a.fromUs - b.fromUs) // rows of one bin have their events in the same blocks
  for (let from = 0; from < news.length; from += ROWS_TOGETHER) {
    for (const [place, draft] of await toNewDrafts(news.slice(from, from + ROWS_TOGETHER), context, deps)) drafts[place] = draft
  }
  return drafts
}

/** A row that is new or says something new; `before` is what was said. */
interface News extends RowFinding {
  /** Among the rows. */
  readonly place: number
  readonly before: ReturnType<FindingStore['last']>
  readonly fromUs: number
}

async function toNewDrafts (news: readonly News[], { slot, compiled: { plan, definition: { throttling } }, window, position }: DraftContext, deps: RunDeps): Promise<[place: number, FindingDraft][]> {
  const evidence = await findEvidence(plan, news.map(({ row }) => row), { window, position }, deps)
  const known = news.filter(({ before }) => before !== undefined)
  const late = slot.position === null ? [] : await findLate(plan, known.map(({ row }) => row), { window, position, after: slot.position }, deps)
  return news.map((one, i): [number, FindingDraft] => {
    const { id, body, row, place, before } = one
    const found = { evidence: evidence[i]!, drillDown: toDrillDown(plan, row, window, evidence[i]!) }
    if (before === undefined) return [place, { id, body, ...found, change: null, throttle: throttling === null ? null : throttleOf(throttling, row, slot.slot_ms) }]
    return [place, { id, body, ...found, change: toChange(before.body, body, { reason: reasonOf(slot, before.definitionHash), late: late[known.indexOf(one)] ?? null }), throttle: null }]
  })
}

/** Why a slot that was evaluated is evaluated again. */
function reasonOf ({ definition_hash: hash, position, late_due_ms: lateDueMs }: RunnableSlot, hashBefore: string | null): ChangeReason {
  if (hashBefore !== null && hash !== hashBefore) return 'definition'
  return position === null || lateDueMs === null ? 'again' : 'late_events'
}
