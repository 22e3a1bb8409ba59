import assert from 'node:assert/strict'
import type { Metadata } from '../../src/event.js'
import { ACK_TOKEN, ARRIVAL_MS, FILLING_TOKEN, OTHER_TOKEN, QUERY_TOKEN } from '../fixtures/app.js'

/**
 * What a request means, written a second time from docs/hec.md and hec.md, over parts whose borders are known: nothing here
 * looks for an envelope in a body.
 */

/** Text of one character per byte, so that it holds what is no UTF-8 too. */
export type Bytes = string

export const utf8 = (text: string): Bytes => Buffer.from(text).toString('latin1')
const decode = (bytes: Bytes): string => Buffer.from(bytes, 'latin1').toString()

/** A member of an envelope as it is written; `us` is what a `time` means, null where it is none. */
export interface Member { readonly key: string, readonly json: Bytes, readonly us?: bigint | null }
/** An object of a body, or something at whose place no object can be read. */
export type Part = { readonly kind: 'envelope', readonly members: readonly Member[] } | { readonly kind: 'broken' }

export interface Sending {
  readonly format: 'envelopes' | 'lines'
  readonly token: string
  readonly query: Readonly<Partial<Metadata>>
  /** The parameter `time`. */
  readonly time: { readonly text: string, readonly us: bigint | null } | null
  readonly extract: boolean
  readonly gzip: boolean
  readonly body: Bytes
  /** What is in the body; of lines the body says it. */
  readonly parts: readonly Part[]
}

export interface Settings {
  readonly compatibility: 'keep' | 'splunk'
  readonly timeFrom: 'arrival' | 'event'
  readonly maxEventBytes: number
}

export interface Outcome { readonly code: number, readonly number?: number, readonly events: readonly object[], readonly isReceipted: boolean }

/** Codes with their statuses and texts, hec.md section 3. */
export const REPLIES: Readonly<Record<number, readonly [status: number, text: string]>> = {
  0: [200, 'Success'],
  5: [400, 'No data'],
  6: [400, 'Invalid data format'],
  7: [400, 'Incorrect index'],
  12: [400, 'Event field is required'],
  13: [400, 'Event field cannot be blank'],
  15: [400, 'Error in handling indexed fields'],
}

const INDEXES = ['main', 'cisco_isovalent', 'metrics']
const KEYS = ['time', 'host', 'source', 'sourcetype', 'index', 'event', 'fields']
const FILL: Readonly<Record<string, string>> = { cluster_name: 'prod', team: 'blue' }

/** Times inside events that the generators use, and what they mean. No other text of an event looks like a time. */
export const OWN_TIMES: readonly (readonly [text: string, us: bigint])[] = [
  ['2026-03-10T11:05:10.000000001Z', 1773140710_000000n],
  ['2026-03-10 11:05:11,25 +01:00', 1773137111_250000n],
  ['1773140712.500001', 1773140712_500001n],
  ['1773140713', 1773140713_000000n],
  ['1773140714001', 1773140714_001000n],
]

/** What becomes of a request, where its token and channel are good. */
export function outcomeOf (sending: Sending, settings: Settings): Outcome {
  const nothing = { events: [], isReceipted: false }
  if (sending.body === '') return { code: 5, ...nothing }
  if (sending.time !== null && sending.time.us === null) return { code: 15, number: 0, ...nothing }
  const read = sending.format === 'lines' ? readLines(sending, settings) : readParts(sending, settings)
  return { ...read, isReceipted: read.code === 0 || read.events.length > 0 }
}

function readParts (sending: Sending, settings: Settings): Omit<Outcome, 'isReceipted'> {
  const events: object[] = []
  let taken = 0
  for (const [position, part] of sending.parts.entries()) {
    const envelope = part.kind === 'broken' ? null : toEnvelope(part.members)
    if (envelope === null) return { code: 6, number: position, events }
    if (settings.compatibility === 'splunk' && [...envelope.keys()].some(key => !KEYS.includes(key))) break
    const result = readEnvelope(envelope, sending, settings)
    if (result === 7) return { code: 7, number: position + 1, events }
    if (typeof result === 'number') return { code: result, number: position, events }
    if (result !== 'skipped') events.push(result)
    taken++
  }
  return { code: taken > 0 ? 0 : 5, events }
}

type Envelope = ReadonlyMap<string, { readonly text: string, readonly value: unknown, readonly us: bigint | null | undefined, readonly bytes: number }>

/** Null where some member is no JSON, or too deep. */
function toEnvelope (members: readonly Member[]): Envelope | null {
  try {
    const entries = members.map(({ key, json, us }) => {
      const text = decode(json)
      const value = JSON.parse(text) as unknown
      assert.ok(depthOf(value) < 256)
      return [JSON.parse(`"${key}"`) as string, { text, value, us, bytes: json.length }] as const
    })
    return new Map(entries) // of two of one name the last
  } catch {
    return null
  }
}

function depthOf (value: unknown): number {
  return typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
}

function readEnvelope (envelope: Envelope, sending: Sending, settings: Settings): object | 'skipped' | number {
  for (const key of ['event', 'fields']) if ((envelope.get(key)?.bytes ?? 0) > settings.maxEventBytes + 1) return 6
  const metadata = { ...metadataOf(sending) }
  for (const key of ['host', 'source', 'sourcetype', 'index'] as const) {
    const value = envelope.get(key)?.value
    if (value === undefined || value === '') continue
    if (typeof value !== 'string' && typeof value !== 'number') return 6
    metadata[key] = String(value).toWellFormed()
  }
  const event = envelope.get('event')?.value ?? null
  const fields = envelope.get('fields')?.value ?? null
  if (event === null && fields === null) return 12
  if (typeof event === 'string' && /^\s*$/.test(event)) return 13
  const time = envelope.get('time')
  if (time?.value === null) return 6
  if (time !== undefined && typeof time.us !== 'bigint') return 15
  if (fields !== null && !isFlat(fields)) return 15
  const names = Object.keys(fields ?? {})
  if (event === null && !names.some(name => name.startsWith('metric_name:')) && !['metric_name', '_value'].every(name => names.includes(name))) return 'skipped'
  if (!isIndexAllowed(metadata.index, sending)) return 7
  const raw = typeof event === 'string' ? event : envelope.get(event === null ? 'fields' : 'event')!.text
  return toStored({ metadata, event, raw, fields: fields ?? {}, us: time?.us ?? null }, sending, settings.timeFrom === 'event' || sending.extract)
}

function isFlat (fields: unknown): boolean {
  const isScalar = (value: unknown) => typeof value !== 'object' || value === null
  if (isScalar(fields) || Array.isArray(fields)) return false
  return Object.values(fields as object).every(value => isScalar(value) || (Array.isArray(value) && value.every(isScalar)))
}

function readLines (sending: Sending, settings: Settings): Omit<Outcome, 'isReceipted'> {
  const metadata = metadataOf(sending)
  const events: object[] = []
  for (const line of sending.body.split(/[\r\n]+/)) {
    if (line.length > settings.maxEventBytes + 1) return { code: 6, number: events.length, events }
    const raw = decode(line).replace(/^\ufeff/, '') // a mark of the byte order is none of the text
    if (/^\s*$/.test(raw)) continue
    if (!isIndexAllowed(metadata.index, sending)) return { code: 7, number: events.length + 1, events }
    events.push(toStored({ metadata, event: raw, raw, fields: {}, us: null }, sending, true))
  }
  return { code: events.length > 0 ? 0 : 5, events }
}

/** What holds where an envelope says nothing. */
export function metadataOf ({ token, query }: Sending): Metadata {
  const other = token === OTHER_TOKEN
  const name = { [FILLING_TOKEN]: 'filling', [QUERY_TOKEN]: 'query', [ACK_TOKEN]: 'ack' }[token] ?? 'test'
  const builtIn = other ? { host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' } : { host: '127.0.0.1', source: `http:${name}`, sourcetype: 'httpevent', index: 'main' }
  return { ...builtIn, ...Object.fromEntries(Object.entries(query).filter(([, value]) => value !== '')) }
}

function isIndexAllowed (index: string, { token }: Sending): boolean {
  return token === OTHER_TOKEN ? index === 'metrics' : INDEXES.includes(index)
}

interface Taken { readonly metadata: Metadata, readonly event: unknown, readonly raw: string, readonly fields: object, readonly us: bigint | null }

/** The event as GET /api/v1/events shows it. */
function toStored ({ metadata, event, raw, fields, us }: Taken, { token, time }: Sending, isExtracted: boolean): object {
  const payload = payloadOf(event, metadata.sourcetype)
  const timeUs = us ?? time?.us ?? (isExtracted ? ownTimeOf(payload, raw) : null) ?? BigInt(ARRIVAL_MS) * 1_000n
  const routes = { process_exec: 'cisco:isovalent:processExec', process_connect: 'cisco:isovalent:processConnect' }
  const route = Object.entries(routes).find(([key]) => metadata.sourcetype === 'cisco:isovalent' && payload !== null && Object.hasOwn(payload, key))
  const filled = Object.entries(token === FILLING_TOKEN ? FILL : {}).filter(([name]) => !inPayload(payload, name) && !inFields(fields, name))
  return asJson({
    ...metadata,
    sourcetype: route?.[1] ?? metadata.sourcetype,
    time: Number(timeUs) / 1_000_000,
    index_time: new Date(ARRIVAL_MS).toISOString(),
    event,
    raw,
    fields: { ...fields, ...Object.fromEntries(filled) },
  })
}

/** The object that an event's fields are in. */
function payloadOf (event: unknown, sourcetype: string): object | null {
  const toObject = (value: unknown): object | null => {
    if (typeof value === 'object') return value
    try {
      const parsed = JSON.parse(String(value)) as unknown
      return typeof value === 'string' && typeof parsed === 'object' ? parsed : null
    } catch {
      return null
    }
  }
  const payload = toObject(event)
  const inner = /^cisco:isovalent(:|$)/.test(sourcetype) && payload !== null && Object.hasOwn(payload, 'log') ? toObject((payload as { log: unknown }).log) : null
  return inner !== null && Object.keys(inner).some(key => ['process_exec', 'process_connect', 'process_exit'].includes(key)) ? inner : payload
}

function ownTimeOf (payload: object | null, raw: string): bigint | null {
  const member = payload !== null && Object.hasOwn(payload, 'time') ? String((payload as { time: unknown }).time) : undefined
  const found = OWN_TIMES.find(([text]) => text === member) ??
    OWN_TIMES.find(([text]) => text.includes('-') ? raw.slice(0, 128).includes(text) : raw.trimStart().startsWith(text) && !/^\d/.test(raw.trimStart().slice(text.length)))
  return found?.[1] ?? null
}

const isSaid = (value: unknown): boolean => value !== null && typeof value !== 'object'

function inPayload (payload: object | null, name: string): boolean {
  return payload !== null && !Array.isArray(payload) && Object.hasOwn(payload, name) && isSaid((payload as Record<string, unknown>)[name])
}

/** Of the fields of an envelope a list counts too. */
function inFields (fields: object, name: string): boolean {
  return Object.hasOwn(fields, name) && [(fields as Record<string, unknown>)[name]].flat().some(isSaid)
}

function asJson (value: object): object {
  return JSON.parse(JSON.stringify(value)) as object
}
