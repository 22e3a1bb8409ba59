import { createHash } from 'node:crypto'
import type { Metadata, Value } from '../event.js'
import { toSeconds } from '../event.js'
import { jsonFields, lookupJsonField, parseJsonObject, toFieldValue, toValue } from '../json.js'
import type { Mapping } from './tables.js'
import { COLUMNS, isWrappable, MAPPED_FIELDS, ROUTES, TETRAGON_KEYS } from './tables.js'

/** An event as search sees it. `payload` is the JSON object that its fields are read from, where it holds one. */
export interface IndexedEvent extends Metadata {
  readonly timeUs: number
  readonly raw: string
  readonly payload: object | null
  readonly fields: Readonly<Record<string, unknown>>
}

/** Changes with whatever decides the value of a column: a partition that was written under another one is read from its raw events. */
export const FIELDS_HASH = createHash('sha256')
  .update(JSON.stringify([1, ROUTES, TETRAGON_KEYS, MAPPED_FIELDS, COLUMNS]))
  .digest('hex')

/**
 * The JSON object or array that an event's fields come from: the event, the object that it is the text of, or the Tetragon
 * event inside `{"log": …}`. Null for any other text and for scalars.
 */
export function toPayload (event: unknown, sourcetype: string): object | null {
  const payload = toObject(event)
  if (payload !== null && isWrappable(sourcetype) && Object.hasOwn(payload, 'log')) {
    const inner = toObject((payload as { log: unknown }).log)
    if (inner !== null && TETRAGON_KEYS.some(key => Object.hasOwn(inner, key))) return inner
  }
  return payload
}

/** An event's fields with those that it got because it had none of their names: JSON text of an object, or null. */
export function joinFilled (fields: IndexedEvent['fields'], filled: string | null): IndexedEvent['fields'] {
  return filled === null ? fields : { ...fields, ...JSON.parse(filled) as object }
}

/** The sourcetype that an event of this payload is indexed under. */
export function routeSourcetype (sourcetype: string, payload: object | null): string {
  if (payload === null) return sourcetype
  const route = ROUTES.find(({ from, key }) => from === sourcetype && Object.hasOwn(payload, key))
  return route?.to ?? sourcetype
}

/** The value of one field; undefined where the event has none. The event's own value wins over the envelope's. */
export function fieldOf (event: IndexedEvent, name: string): Value | undefined {
  switch (name) {
    case '_time': return toSeconds(event.timeUs)
    case '_raw': return event.raw.toWellFormed()
    case 'host': case 'source': case 'sourcetype': case 'index': return event[name]
    default: return ownField(event, name) ?? envelopeField(event, name)
  }
}

/** All fields of an event, as `fieldOf` gives each. */
export function fieldsOf (event: IndexedEvent): Map<string, Value> {
  const { payload } = event
  const json = payload === null ? new Map<string, Value>() : jsonFields(payload) // all in one pass, not each by its own
  const fields = new Map<string, Value>()
  for (const name of ['_time', '_raw', 'host', 'source', 'sourcetype', 'index']) fields.set(name, fieldOf(event, name)!)
  const add = (name: string, value: Value | undefined) => {
    if (value !== undefined && !fields.has(name)) fields.set(name, value)
  }
  if (payload !== null) for (const [name, mapping] of Object.entries(mappedFields(event.sourcetype))) add(name, applyMapping(mapping, payload))
  for (const [name, value] of json) add(name, value)
  for (const name of Object.keys(event.fields)) add(name, envelopeField(event, name))
  return fields
}

function toObject (event: unknown): object | null {
  if (typeof event === 'object') return event
  return typeof event === 'string' ? parseJsonObject(event) : null
}

const NO_FIELDS: Readonly<Record<string, Mapping>> = {}

function mappedFields (sourcetype: string): Readonly<Record<string, Mapping>> {
  return Object.hasOwn(MAPPED_FIELDS, sourcetype) ? MAPPED_FIELDS[sourcetype]! : NO_FIELDS
}

function ownField ({ sourcetype, payload }: IndexedEvent, name: string): Value | undefined {
  if (payload === null) return undefined
  const mapped = mappedFields(sourcetype)
  const own = Object.hasOwn(mapped, name) ? applyMapping(mapped[name]!, payload) : undefined
  return own ?? lookupJsonField(payload, name)
}

function envelopeField ({ fields }: IndexedEvent, name: string): Value | undefined {
  if (!Object.hasOwn(fields, name)) return undefined
  const json = fields[name]
  if (!Array.isArray(json)) return toFieldValue(json)
  return toValue(json.map(toFieldValue).filter(value => value !== undefined))
}

function applyMapping (mapping: Mapping, payload: object): Value | undefined {
  if (mapping.via === 'constant') return mapping.value
  const json = follow(payload, mapping.path)
  if (mapping.via === 'command_line') return commandLine(json)
  const value = toFieldValue(json)
  return mapping.via === 'basename' && typeof value === 'string' ? value.slice(value.lastIndexOf('/') + 1) : value
}

/** A process object's binary and, one space behind it, its arguments; the binary alone where it has none. */
function commandLine (process: unknown): Value | undefined {
  const binary = toFieldValue(follow(process, ['binary']))
  const args = toFieldValue(follow(process, ['arguments']))
  return binary === undefined || args === undefined ? binary : `${binary} ${args}`
}

function follow (json: unknown, path: readonly string[]): unknown {
  for (const key of path) {
    if (typeof json !== 'object' || json === null || !Object.hasOwn(json, key)) return undefined
    json = (json as Record<string, unknown>)[key]
  }
  return json
}
