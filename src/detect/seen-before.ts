import type { Event, Window } from '../event.js'
import { toMicroseconds, toRfc3339, toSeconds } from '../event.js'
import { BUILT_IN_TABLES } from '../fields/field-tables.js'
import { openFields } from '../fields/fields.js'
import type { Evidence, Finding, RiskObjectValue, SeenBefore } from '../finding.js'
import type { Aggregate, Predicate, StatsStage } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import { planSearch } from '../spl/plan.js'
import { joinTerms } from '../spl/predicate.js'
import type { Row } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'
import type { FindingStore } from '../store/control/findings.js'
import type { EventStore, Position } from '../store/events.js'
import { toIndexed } from './evidence.js'
import { textOf } from './processes.js'
import { STORE_COLUMNS } from './search.js'

const NOWHERE = { start: 0, end: 0 }

/** The most risk objects, and the most command lines, that are told of. */
const MAX_OBJECTS = 20
const MAX_COMMANDS = 20

/** The most detections that are told of by name for each risk object. */
const MAX_DETECTIONS = 20

const DAY_US = 86_400_000_000

/** Days before the finding's window. Each stretch is searched as a whole, since numbers of different pods can't be added up; the last that is done in time is what is told. */
const STRETCHES = [1, 7, 30]

/** What all stretches together may take. */
const MAX_MS = 15_000

export interface SeenBeforeDeps {
  readonly findings: Pick<FindingStore, 'seen'>
  readonly events: EventStore
  /** Whether retention has taken events of a window. */
  readonly isDropped: (window: Window) => boolean
  /** Nobody waits any more. */
  readonly signal: AbortSignal
  /** The time for searches is over: what was found by then is told. */
  readonly limit?: AbortSignal
}

/** What was known of a finding's risk objects and command lines before it. */
export async function findSeenBefore (finding: Finding, evidence: Evidence | null, position: Position, { findings, signal, ...deps }: SeenBeforeDeps): Promise<SeenBefore> {
  const timeUs = toMicroseconds(finding.time)
  const riskObjects = []
  for (const object of finding.risk.objects.slice(0, MAX_OBJECTS)) {
    signal.throwIfAborted()
    riskObjects.push(await seenObject(object, timeUs, findings))
  }
  const commands = commandsOf(evidence?.events ?? [])
  const asked = [...commands].slice(0, MAX_COMMANDS)
  const found = asked.length === 0 ? null : await searchCommands(asked.map(([command]) => command), toMicroseconds(Date.parse(finding.window.earliest) / 1000), position, { ...deps, signal })
  return {
    risk_objects: riskObjects,
    commands: asked.map(([command, name]) => ({ process: textOf(command)!, process_name: textOf(name), ...toCounts(found === null || found.window === null ? undefined : found.rows.get(command) ?? 'none') })),
    searched: found === null || found.window === null ? null : { earliest: toRfc3339(found.window.earliestUs), latest: toRfc3339(found.window.latestUs) },
    complete: found?.complete ?? true,
    events_gone: found?.eventsGone ?? false,
    truncated: finding.risk.objects.length > MAX_OBJECTS || commands.size > MAX_COMMANDS || (evidence !== null && evidence.event_count > evidence.events.length),
  }
}

async function seenObject ({ field, type, value }: RiskObjectValue, beforeUs: number, findings: SeenBeforeDeps['findings']): Promise<SeenBefore['risk_objects'][number]> {
  const { groups, throttled, suppressed, capped } = await findings.seen(value, beforeUs)
  const byDetection = new Map<string, SeenBefore['risk_objects'][number]['by_detection'][number]>()
  for (const { detection, disposition, findings: count } of groups) {
    const one = byDetection.get(detection) ?? { detection, findings: 0, dispositions: { true_positive: 0, benign: 0, false_positive: 0, other: 0, none: 0 } }
    one.findings += count
    one.dispositions[disposition ?? 'none'] += count
    byDetection.set(detection, one)
  }
  return {
    field, type, value,
    findings: groups.reduce((sum, { findings: count }) => sum + count, 0),
    first: groups.length === 0 ? null : toSeconds(groups.reduce((first, { firstUs }) => Math.min(first, firstUs), Infinity)),
    last: groups.length === 0 ? null : toSeconds(groups.reduce((last, { lastUs }) => Math.max(last, lastUs), 0)),
    by_detection: [...byDetection.values()].sort((a, b) => b.findings - a.findings || (a.detection < b.detection ? -1 : 1)).slice(0, MAX_DETECTIONS),
    detections: byDetection.size,
    throttled,
    suppressed,
    capped,
  }
}

/** The different command lines of events in the order in which they first came, each with the name of its process where the event says one. */
function commandsOf (kept: readonly Event[]): ReadonlyMap<string, string | null> {
  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  const commands = new Map<string, string | null>()
  for (const event of kept) {
    const indexed = toIndexed(event, own)
    const textsOf = (name: string) => toScalars(own.fieldOf(indexed, name)).map(value => toText(value).toWellFormed())
    const [name = null] = textsOf('process_name')
    for (const command of textsOf('process')) if (command !== '' && !commands.has(command)) commands.set(command, name)
  }
  return commands
}

/** `window` is what was looked through, null where the time was over before. */
interface FoundCommands { readonly window: Window | null, readonly rows: ReadonlyMap<string, Row>, readonly complete: boolean, readonly eventsGone: boolean }

async function searchCommands (commands: readonly string[], beforeUs: number, position: Position, { events, isDropped, signal, limit = AbortSignal.timeout(MAX_MS) }: Omit<SeenBeforeDeps, 'findings'>): Promise<FoundCommands> {
  const plan = planCommands(commands)
  let found: FoundCommands = { window: null, rows: new Map(), complete: false, eventsGone: false }
  for (const days of STRETCHES) {
    const window = { earliestUs: Math.max(0, beforeUs - days * DAY_US), latestUs: beforeUs }
    try {
      const { rows } = await events.search(plan, { window, position, timeZone: 'UTC', nowMs: 0, limit: commands.length, signal: AbortSignal.any([signal, limit]) })
      found = { window, rows: new Map(rows.flatMap(row => toScalars(row.values.get('process')).map(value => [toText(value), row]))), complete: days === STRETCHES.at(-1), eventsGone: isDropped(window) || events.isDamaged(window) }
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error
      break // what was found by then is told
    }
  }
  return found
}

/** How often each command line came, when, and where; a row for each that did. */
function planCommands (commands: readonly string[]): SearchPlan {
  // To the letter, and never as text of a search: a command line may hold anything.
  const predicate = joinTerms('or', commands.map((value): Predicate => ({ kind: 'is', field: 'process', value, span: NOWHERE })), NOWHERE)
  const aggregate = (name: Aggregate['function'], field: string | null, as: string): Aggregate => ({ function: name, field, as, span: NOWHERE })
  const stats: StatsStage = {
    kind: 'stats',
    aggregates: [aggregate('count', null, 'events'), aggregate('min', '_time', 'first'), aggregate('max', '_time', 'last'), aggregate('dc', 'pod_name', 'pods'), aggregate('dc', 'node_name', 'nodes')],
    by: ['process'],
    span: NOWHERE,
  }
  const search = { kind: 'search', predicate, span: NOWHERE } as const
  // Asked again of the rows: an event with several values is in the groups of the others too.
  return planSearch({ stages: [search, stats, search], span: NOWHERE }, { columns: STORE_COLUMNS, pushDown: 'on' })
}

/** Nothing is known where nothing was looked through; `none` is that there was none. */
function toCounts (row: Row | 'none' | undefined): Pick<SeenBefore['commands'][number], 'events' | 'pods' | 'nodes' | 'first' | 'last'> {
  if (row === undefined) return { events: null, pods: null, nodes: null, first: null, last: null }
  if (row === 'none') return { events: 0, pods: 0, nodes: 0, first: null, last: null }
  const [events, pods, nodes, first, last] = ['events', 'pods', 'nodes', 'first', 'last'].map(name => Number(row.values.get(name))) as [number, number, number, number, number]
  return { events, pods, nodes, first, last }
}
