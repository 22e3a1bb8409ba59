import type { Event, Window } from '../event.js'
import { toMicroseconds } from '../event.js'
import { BUILT_IN_TABLES } from '../fields/field-tables.js'
import type { Fields, IndexedEvent } from '../fields/fields.js'
import { openFields } from '../fields/fields.js'
import type { FindingChange } from '../finding.js'
import type { Predicate } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import { contributingPredicate } from '../spl/plan.js'
import type { Row } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'
import type { PackedEvidence } from '../store/control/findings.js'
import { unpackEvents } from '../store/control/findings.js'
import type { EventGroup, EventStore, Position } from '../store/events.js'
import { cutText } from './change.js'

/** The most events that are kept with a finding. */
const MAX_EVIDENCE_EVENTS = 100

/** The most that they may take, compressed. */
const MAX_EVIDENCE_BYTES = 256 << 10

/** The most nodes that are named. */
const MAX_NODES = 5

/** Meets every event. */
export const EVERY: Predicate = { kind: 'all', span: { start: 0, end: 0 } }

/** What a run sees of the events. */
export interface RunScope { readonly window: Window, readonly position: Position }

interface EvidenceDeps { readonly events: Pick<EventStore, 'findGroups'>, readonly signal: AbortSignal }

/** The events behind each of some rows of a run, in their order: the event that a row is, or those of the base predicate, the row's BY values, its bin within the window. */
export async function findEvidence (plan: SearchPlan, rows: readonly Row[], { window, position }: RunScope, { events, signal }: EvidenceDeps): Promise<PackedEvidence[]> {
  const isEvent = plan.identity.kind === 'event'
  const contributing = rows.map(({ origin }) => contributingPredicate(plan, origin))
  const groups = rows.map((row, i): EventGroup => isEvent ? { predicate: EVERY, window, id: eventOf(row) } : { predicate: contributing[i]!.own, window: binOfRow(plan, row, window) })
  const predicate = isEvent ? EVERY : contributing[0]?.base ?? EVERY
  const found = await events.findGroups({ predicate, groups, position, order: 'time', limit: MAX_EVIDENCE_EVENTS, maxBytes: MAX_EVIDENCE_BYTES, signal })
  return found.map(({ events, kept, count }, i) => ({ event_count: count, kept_count: kept, approximate: isEvent ? count === 0 : contributing[i]!.approximate, events }))
}

/** The id of the event that a row is; none has that of a row of a lookup. */
function eventOf ({ origin: [id] }: Row): number {
  return typeof id === 'number' ? id : -1
}

/** How late the events came that each of some rows has since a position, and from which nodes; null where there are none, or it can't be told which they are. */
export async function findLate (plan: SearchPlan, rows: readonly Row[], { window, position, after }: RunScope & { readonly after: Position }, { events, signal }: EvidenceDeps): Promise<FindingChange['late'][]> {
  if (plan.identity.kind === 'event' || rows.length === 0) return rows.map(() => null)
  const contributing = rows.map(({ origin }) => contributingPredicate(plan, origin))
  const groups = rows.map((row, i): EventGroup => ({ predicate: contributing[i]!.own, window: binOfRow(plan, row, window) }))
  const found = await events.findGroups({ predicate: contributing[0]!.base, groups, position, since: after, order: 'id', limit: MAX_EVIDENCE_EVENTS, maxBytes: Infinity, signal })
  return found.map(({ events }) => toLate(unpackEvents(events)))
}

function toLate (events: readonly Event[]): FindingChange['late'] {
  if (events.length === 0) return null
  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  const nodes = events.flatMap(event => toScalars(own.fieldOf(toIndexed(event, own), 'node_name') ?? event.host).map(toText))
  return {
    event_count: events.length,
    max_seconds: Math.max(0, ...events.map(({ index_time: indexTime, time }) => (Date.parse(indexTime) * 1000 - toMicroseconds(time)) / 1e6)),
    nodes: [...new Set(nodes)].slice(0, MAX_NODES).map(cutText),
  }
}

/** The part of the window that the row's bin takes; all of it where the row is of no bin. */
export function binOfRow ({ identity, binSeconds }: SearchPlan, row: Row, window: Window): Window {
  const place = identity.kind === 'by' ? identity.fields.findIndex(({ name }) => name === '_time') : -1
  const time = row.origin[place]
  return binSeconds === null || typeof time !== 'number' ? window : binOf(time, binSeconds, window)
}

/** The part of the window that the bin from `time` on takes; both in epoch seconds. */
export function binOf (time: number, binSeconds: number, window: Window): Window {
  const startUs = toMicroseconds(time)
  return {
    earliestUs: Math.max(window.earliestUs, startUs),
    latestUs: Math.min(window.latestUs, startUs + toMicroseconds(binSeconds)),
  }
}

/** An event of the store as search sees it. */
export function toIndexed ({ time, host, source, sourcetype, index, raw, event, fields }: Event, own: Fields): IndexedEvent {
  return { host, source, sourcetype, index, raw: () => raw, payload: own.toPayload(event, sourcetype), fields: fields as Record<string, unknown>, timeUs: toMicroseconds(time) }
}
