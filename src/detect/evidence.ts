import type { Event, Window } from '../event.js'
import { toMicroseconds } from '../event.js'
import { BUILT_IN_TABLES } from '../fields/field-tables.js'
import type { Fields, IndexedEvent } from '../fields/fields.js'
import { openFields } from '../fields/fields.js'
import type { Evidence, FindingChange } from '../finding.js'
import type { Predicate } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import { contributingPredicate } from '../spl/plan.js'
import type { Row } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'
import type { EventStore, Position } from '../store/events.js'
import { cutText } from './change.js'
import { countEvents } from './search.js'

/** The most events that are kept with a finding. */
const MAX_EVIDENCE_EVENTS = 100

/** The most nodes that are named. */
const MAX_NODES = 5

/** Meets every event. */
export const EVERY: Predicate = { kind: 'all', span: { start: 0, end: 0 } }

/** The events behind a row: the event that it is, or those of the base predicate, the row's BY values, its bin within the window. */
export async function findEvidence (plan: SearchPlan, row: Row, window: Window, position: Position, { events, signal }: { events: EventStore, signal: AbortSignal }): Promise<Evidence> {
  if (plan.identity.kind === 'event') {
    if (typeof row.origin[0] !== 'number') return { event_count: 0, approximate: true, events: [] } // a row of a lookup
    const after = { timeUs: 0, id: Number(row.origin[0]) - 1 }
    const found = await events.find({ predicate: EVERY, window, position, order: 'id', after, limit: 1, signal })
    return { event_count: 1, approximate: false, events: found.map(({ event }) => event) }
  }
  const { predicate, approximate } = contributingPredicate(plan, row.origin)
  const scope = { window: binOfRow(plan, row, window), position, signal }
  const found = await events.find({ predicate, ...scope, order: 'time', limit: MAX_EVIDENCE_EVENTS })
  return {
    event_count: found.length < MAX_EVIDENCE_EVENTS ? found.length : await countEvents(events, predicate, scope),
    approximate,
    events: found.map(({ event }) => event),
  }
}

/** How late the events came that a row has since a position, and from which nodes; null where there are none, or it can't be told which they are. */
export async function findLate (plan: SearchPlan, row: Row, window: Window, { after, position }: { after: Position, position: Position }, { events, signal }: { events: EventStore, signal: AbortSignal }): Promise<FindingChange['late']> {
  if (plan.identity.kind === 'event') return null
  const { predicate } = contributingPredicate(plan, row.origin)
  const found = await events.find({ predicate, window: binOfRow(plan, row, window), position, since: after, signal, order: 'id', limit: MAX_EVIDENCE_EVENTS })
  if (found.length === 0) return null
  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  const nodes = found.flatMap(({ event }) => {
    return toScalars(own.fieldOf(toIndexed(event, own), 'node_name') ?? event.host).map(toText)
  })
  return {
    event_count: found.length,
    max_seconds: Math.max(0, ...found.map(({ event, timeUs }) => (Date.parse(event.index_time) * 1000 - timeUs) / 1e6)),
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
