import type { Window } from '../event.js'
import { AppError } from '../errors.js'
import { saysTheSame } from '../finding.js'
import type { SearchPlan } from '../spl/plan.js'
import type { FindingDraft, FindingStore, RunRecord } from '../store/control/findings.js'
import type { EventStore, Position, SearchResult } from '../store/events.js'
import type { CompiledDefinition } from './definition.js'
import type { RowFinding } from './findings.js'
import { findEvidence } from './evidence.js'
import { toFindings } from './findings.js'

/** A run that gives more rows is refused: they are no findings that anybody could read. */
export const MAX_ROWS = 10_000

export interface RunDeps {
  readonly events: EventStore
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

/**
 * Evaluates one slot and commits what it gives: findings, the run and the slot's position, in one transaction. A failure is
 * committed too, with the time of the next try, and is the run's status.
 */
export async function runSlot (compiled: CompiledDefinition, slotMs: number, nextTryMs: (nowMs: number) => number, deps: RunDeps): Promise<{ run: RunRecord, twins: number, failure: unknown }> {
  const { events, findings, now, newId } = deps
  const window = compiled.windowOf(slotMs)
  const base = {
    id: newId(), detection_id: compiled.definition.detection_id, slot_ms: slotMs, definition_hash: compiled.hash,
    earliest_us: window.earliestUs, latest_us: window.latestUs, started_ms: now(),
  }
  try {
    const position = events.position() // what the run sees, however long it takes
    const { rows, scannedEvents, warnings: ofSearch } = await evaluate(compiled, slotMs, window, position, deps)
    const { findings: found, twins } = compiled.definition.type === 'Hunting' // its rows are all that it gives
      ? { findings: [], twins: 0 }
      : toFindings(compiled.definition, compiled.plan, rows, slotMs, window)
    const warnings = [...ofSearch, ...twins > 0 ? [`rows with the key of another: ${twins}; their findings are told apart by their order`] : []]
    const drafts: FindingDraft[] = []
    for (const one of found) drafts.push(await toDraft(one, compiled.plan, window, position, deps))
    const run = findings.commitRun({
      ...base, status: 'succeeded', position, finished_ms: now(), row_count: rows.length, scanned_events: scannedEvents, error: null, warnings,
    }, position, drafts, events.isAfter)
    return { run, twins, failure: null }
  } catch (error) {
    if (deps.signal.aborted) throw error // the process ends: the slot is owed to the next one
    const finishedMs = now()
    const run: RunRecord = {
      ...base, status: 'failed', position: null, finished_ms: finishedMs, row_count: 0, scanned_events: 0, created: 0, revised: 0, unchanged: 0,
      error: error instanceof Error ? error.message : String(error), warnings: [],
    }
    findings.failRun(run, nextTryMs(finishedMs))
    return { run, twins: 0, failure: error }
  }
}

/** With its events, where the row is new or says something new. */
async function toDraft ({ id, body, row }: RowFinding, plan: SearchPlan, window: Window, position: Position, deps: RunDeps): Promise<FindingDraft> {
  const before = deps.findings.body(id)
  const isKnown = before !== undefined && saysTheSame(before, body)
  return { id, body, evidence: isKnown ? null : await findEvidence(plan, row, window, position, deps) }
}
