import type { Event, Scalar, Window } from '../event.js'
import { toMicroseconds } from '../event.js'
import { BUILT_IN_TABLES } from '../fields/field-tables.js'
import type { Fields } from '../fields/fields.js'
import { openFields } from '../fields/fields.js'
import type { Predicate } from '../spl/ast.js'
import type { SearchPlan } from '../spl/plan.js'
import { contributingPredicate } from '../spl/plan.js'
import { allOf, lacks } from '../spl/predicate.js'
import type { EventStore, Position } from '../store/events.js'
import { binOf, EVERY, toIndexed } from './evidence.js'
import { countEvents } from './search.js'

const NOWHERE = { start: 0, end: 0 }

/** How many events are looked at for fields that they don't have of themselves. */
const LOOKED_AT = 100

/** What the store has of the events that a row of a detection comes from, or would come from. */
export interface Explanation {
  /** What was looked at: of the window, the row's bin where it has one. */
  readonly window: Window
  /** Events that meet the search and have the row's BY values. */
  readonly eventCount: number
  /** Stages or computed BY fields hold back some of these events, so the row may be of fewer. */
  readonly approximate: boolean
  /** When the last of them arrived; RFC 3339. Null where there are none. */
  readonly lastIndexTime: string | null
  /** Events that have the row's BY values, whatever the search asks for. */
  readonly keyEventCount: number
  /** Events that meet the search and have the other BY values, but none of this one. */
  readonly lacking: readonly { readonly field: string, readonly eventCount: number }[]
  /** BY fields that the events don't have of themselves: their envelope or their token gave them. */
  readonly added: readonly string[]
}

export interface ExplainDeps { readonly events: EventStore, readonly signal: AbortSignal }

/** Looks for the events behind a row, known by the values of its BY fields and its `_time`; a BY field that is not in `key` may have any value. */
export async function explainRow (plan: SearchPlan, key: ReadonlyMap<string, Scalar>, window: Window, position: Position, { events, signal }: ExplainDeps): Promise<Explanation> {
  const scope = { window: narrow(plan, key, window), position, signal }
  // Without an identity the predicate is the search's own part.
  const { predicate: base } = contributingPredicate({ ...plan, identity: { kind: 'none' } }, [])
  const { approximate } = contributingPredicate(plan, [])
  const fields = plan.identity.kind === 'by' ? plan.identity.fields.filter(({ name, computed }) => !computed && name !== '_time' && key.has(name)) : []
  const terms = fields.map(field => keyTerm(plan, field, key.get(field.name)!))
  const predicate = allOf([base, ...terms], NOWHERE)

  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  const eventCount = await countEvents(events, predicate, scope)
  const [last] = eventCount === 0 ? [] : await events.find({ predicate, ...scope, order: '-id', limit: 1 })
  const sample = eventCount === 0 ? [] : await events.find({ predicate, ...scope, order: 'time', limit: LOOKED_AT })
  const lacking: { field: string, eventCount: number }[] = []
  for (const [index, { name, fillers }] of fields.entries()) {
    if (fillers !== undefined) continue // an event without it is in the row
    const count = await countEvents(events, allOf([base, lacks(name, NOWHERE), ...terms.filter((_, other) => other !== index)], NOWHERE), scope)
    if (count > 0) lacking.push({ field: name, eventCount: count })
  }
  return {
    window: scope.window,
    eventCount,
    approximate,
    lastIndexTime: last?.event.index_time ?? null,
    keyEventCount: await countEvents(events, allOf(terms, NOWHERE), scope),
    lacking,
    added: fields.map(({ name }) => name).filter(name => sample.some(({ event }) => isAdded(event, name, own))),
  }
}

/** The row's bin within the window; of a row that is an event without a bin, its own moment. */
function narrow (plan: SearchPlan, key: ReadonlyMap<string, Scalar>, window: Window): Window {
  const time = key.get('_time')
  const { identity, binSeconds } = plan
  if (typeof time !== 'number' || (identity.kind === 'by' && !identity.fields.some(({ name }) => name === '_time'))) return window
  if (binSeconds !== null) return binOf(time, binSeconds, window)
  const timeUs = toMicroseconds(time)
  return identity.kind === 'event' ? { earliestUs: timeUs, latestUs: timeUs + 1 } : window
}

function keyTerm (plan: SearchPlan, field: Extract<SearchPlan['identity'], { kind: 'by' }>['fields'][number], value: Scalar): Predicate {
  const ofKeyAlone: SearchPlan = { ...plan, query: { ...plan.query, predicate: EVERY }, stages: [], identity: { kind: 'by', fields: [field] } }
  return contributingPredicate(ofKeyAlone, [value]).predicate
}

/** Where the configuration calculates a field, what the envelope has of it counts as added too: the built-in tables know nothing of it. */
function isAdded (event: Event, name: string, own: Fields): boolean {
  if (!Object.hasOwn(event.fields as object, name)) return false
  return own.fieldOf({ ...toIndexed(event, own), fields: {} }, name) === undefined
}
