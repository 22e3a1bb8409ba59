import { createHash } from 'node:crypto'
import type { Metadata, Scalar, Value } from '../event.js'
import { toSeconds } from '../event.js'
import { jsonFields, lookupJsonField, parseJsonObject, toFieldValue, toValue } from '../json.js'
import type { FieldTables } from './field-tables.js'
import type { Mapping, MetadataField } from './tables.js'
import { COLUMNS, COMMAND_LINE_MEMBERS, isMetadata, isWrappable, METADATA_FIELDS, TETRAGON_KEYS, WRAPPING_KEY } from './tables.js'

/** An event as search sees it. `payload` is the JSON object that its fields are read from, where it holds one. */
export interface IndexedEvent extends Metadata {
  readonly timeUs: number
  /** Its text, which is made when it is asked for. A method, since a getter of an object literal is a hidden class of its own for each event. */
  raw (): string
  readonly payload: object | null
  readonly fields: Readonly<Record<string, unknown>>
}

/** The other fields of an event, as its calculated fields see them. */
export interface EventFields { get (name: string): Value | undefined }

/** Makes a function of the text of an eval expression. What it gives need not be a field's value yet. */
export type CompileEval = (text: string) => (fields: EventFields) => Value | boolean | undefined

/** Reads the fields of events by the tables. In the order of Splunk's props.conf: what is in the event, aliases, calculated fields. */
export function openFields (tables: FieldTables, compileEval: CompileEval) {
  const sourcetypes = new Map(tables.sourcetypes.map(({ sourcetype, mapped, aliases, evals }) => [sourcetype, {
    mapped: toMap(mapped),
    aliases: toMap(aliases),
    evals: new Map(Object.entries(evals).map(([name, text]) => [name, compileEval(text)])),
  }]))
  /** Wrapped events keep their payload where a route gives them another sourcetype. */
  const routedFromWrappable = new Set(tables.routes.filter(({ from }) => isWrappable(from)).map(({ to }) => to))
  const mayBeWrapped = (sourcetype: string) => isWrappable(sourcetype) || routedFromWrappable.has(sourcetype)

  /**
   * The JSON object or array that an event's fields come from: the event, the object that it is the text of, or the Tetragon
   * event inside `{"log": …}`. Null for any other text and for scalars.
   */
  function toPayload (event: unknown, sourcetype: string): object | null {
    const payload = toObject(event)
    return payload !== null && mayBeWrapped(sourcetype) ? unwrap(payload) : payload
  }

  return {
    hash: fieldsHashOf(tables),

    toPayload,

    /** The sourcetype that an event is indexed under, and its payload. */
    route (event: unknown, sourcetype: string): { sourcetype: string, payload: object | null } {
      const payload = toPayload(event, sourcetype)
      if (payload === null) return { sourcetype, payload }
      const route = tables.routes.find(({ from, key }) => from === sourcetype && Object.hasOwn(payload, key))
      if (route === undefined) return { sourcetype, payload }
      // Whoever reads the event later knows its new sourcetype only.
      return { sourcetype: route.to, payload: mayBeWrapped(route.to) && !mayBeWrapped(sourcetype) ? unwrap(payload) : payload }
    },

    /** The value of one field; undefined where the event has none. The event's own value wins over the envelope's. */
    fieldOf (event: IndexedEvent, name: string): Value | undefined {
      if (isMetadata(name)) return metadataOf(event, name)
      const table = sourcetypes.get(event.sourcetype) ?? NO_FIELDS
      const evaluate = table.evals.get(name)
      if (evaluate === undefined) return aliasedField(event, name, table)
      return toEventValue(evaluate({ get: other => aliasedField(event, other, table) }))
    },

    /** All fields of an event, as `fieldOf` gives each. */
    fieldsOf (event: IndexedEvent): Map<string, Value> {
      const table = sourcetypes.get(event.sourcetype) ?? NO_FIELDS
      const fields = uncalculatedFields(event, table)
      if (table.aliases.size > 0) {
        const aliased = [...table.aliases].map(([name, other]) => [name, fields.get(other)] as const)
        for (const [name, value] of aliased) if (value !== undefined) fields.set(name, value)
      }
      if (table.evals.size > 0) {
        const calculated = [...table.evals].map(([name, evaluate]) => [name, toEventValue(evaluate(fields))] as const)
        for (const [name, value] of calculated) {
          if (value === undefined) fields.delete(name)
          else fields.set(name, value)
        }
      }
      return fields
    },
  }
}
export type Fields = ReturnType<typeof openFields>

/** An event's fields with those that it got because it had none of their names: JSON text of an object, or null. */
export function joinFilled (fields: IndexedEvent['fields'], filled: string | null): IndexedEvent['fields'] {
  return filled === null ? fields : { ...fields, ...JSON.parse(filled) as object }
}

/** Changes with whatever decides the value of a column: a partition that was written under another one is read from its raw events. The number in it is raised when this code gives other values of the same tables. */
export function fieldsHashOf ({ routes, sourcetypes, timeZone }: FieldTables): string {
  return createHash('sha256').update(JSON.stringify([2, TETRAGON_KEYS, COLUMNS, routes, sourcetypes, timeZone])).digest('hex')
}

interface SourcetypeTable {
  readonly mapped: ReadonlyMap<string, Mapping>
  readonly aliases: ReadonlyMap<string, string>
  readonly evals: ReadonlyMap<string, ReturnType<CompileEval>>
}

const NO_FIELDS: SourcetypeTable = { mapped: new Map(), aliases: new Map(), evals: new Map() }

function toMap<T> (record: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  return new Map(Object.entries(record))
}

function toObject (event: unknown): object | null {
  if (typeof event === 'object') return event
  return typeof event === 'string' ? parseJsonObject(event) : null
}

/** The Tetragon event that a container's log line holds; where it holds none, what was given. */
function unwrap (payload: object): object {
  if (!Object.hasOwn(payload, WRAPPING_KEY)) return payload
  const inner = toObject((payload as Record<typeof WRAPPING_KEY, unknown>)[WRAPPING_KEY])
  return inner !== null && TETRAGON_KEYS.some(key => Object.hasOwn(inner, key)) ? inner : payload
}

function metadataOf (event: IndexedEvent, name: MetadataField): Scalar {
  switch (name) {
    case '_time': return toSeconds(event.timeUs)
    case '_raw': return event.raw().toWellFormed()
    default: return event[name]
  }
}

/** A field before anything is calculated: of an alias the other field, where the event has it. */
function aliasedField (event: IndexedEvent, name: string, table: SourcetypeTable): Value | undefined {
  const other = table.aliases.get(name)
  return (other === undefined ? undefined : ownField(event, other, table)) ?? ownField(event, name, table)
}

function ownField (event: IndexedEvent, name: string, { mapped }: SourcetypeTable): Value | undefined {
  if (isMetadata(name)) return metadataOf(event, name)
  const { payload } = event
  if (payload === null) return envelopeField(event, name)
  const mapping = mapped.get(name)
  return (mapping === undefined ? undefined : applyMapping(mapping, payload)) ?? lookupJsonField(payload, name) ?? envelopeField(event, name)
}

function uncalculatedFields (event: IndexedEvent, { mapped }: SourcetypeTable): Map<string, Value> {
  const { payload } = event
  const json = payload === null ? new Map<string, Value>() : jsonFields(payload) // all in one pass, not each by its own
  const fields = new Map<string, Value>()
  for (const name of METADATA_FIELDS) fields.set(name, metadataOf(event, name))
  const add = (name: string, value: Value | undefined) => {
    if (value !== undefined && !fields.has(name)) fields.set(name, value)
  }
  if (payload !== null) for (const [name, mapping] of mapped) add(name, applyMapping(mapping, payload))
  for (const [name, value] of json) add(name, value)
  for (const name of Object.keys(event.fields)) add(name, envelopeField(event, name))
  return fields
}

/** What an expression gave, as a field has it: the same text, so that columns and events say the same. */
function toEventValue (result: Value | boolean | undefined): Value | undefined {
  if (typeof result !== 'object') return toFieldValue(result)
  return toValue(result.map(toFieldValue).filter(value => value !== undefined))
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
  if (typeof value !== 'string') return value
  switch (mapping.via) {
    case 'value': return value
    case 'lower_case': return value.toLowerCase()
    case 'basename': return value.slice(value.lastIndexOf('/') + 1)
    default: return mapping satisfies never
  }
}

/** A process object's binary and, one space behind it, its arguments; the binary alone where it has none. */
function commandLine (process: unknown): Value | undefined {
  const binary = toFieldValue(memberOf(process, COMMAND_LINE_MEMBERS[0]))
  const args = toFieldValue(memberOf(process, COMMAND_LINE_MEMBERS[1]))
  return binary === undefined || args === undefined ? binary : `${binary} ${args}`
}

function follow (json: unknown, path: readonly string[]): unknown {
  for (const key of path) json = memberOf(json, key)
  return json
}

function memberOf (json: unknown, key: string): unknown {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, key) ? (json as Record<string, unknown>)[key] : undefined
}
