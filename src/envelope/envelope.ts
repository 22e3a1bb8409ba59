import type { Metadata } from '../event.js'
import type { Projector } from './projection.js'
import { scanEnvelope, scanHead } from './scan.js'
import type { ByteSpan, EnvelopeSpan } from './scan.js'
import { openEnvelopes, parseEnvelope, textOf } from './split.js'
import type { ParsedObject } from './split.js'
import { parseTime } from './time.js'

/** HEC's codes for a faulty object (hec.md section 3); their texts and statuses are in `hec/reply.ts`. */
export type FaultCode = 6 | 7 | 12 | 13 | 15

/** What stopped the reading of a body. `number` is what Splunk calls `invalid-event-number`. */
export interface Fault { readonly code: FaultCode, readonly number: number }

/**
 * One event of a request, read from its envelope or from a line of `/raw`. `raw` is the text of `event`, of a metric without
 * one that of `fields`.
 */
export interface ParsedEvent extends Metadata {
  /** Null where nothing of the request says it. */
  readonly timeUs: number | null
  /** Of a line its text, or the object that it is the JSON of. Of an object there may be no more than a projector was asked for. */
  readonly event: unknown
  raw (): string
  /** Indexed fields; empty without. Keys come from the sender: own keys only. */
  readonly fields: Readonly<Record<string, unknown>>
  /** The place in the body of the envelope or line. */
  readonly item: ByteSpan
}

/** What a body is read by, whatever its form. */
export interface BodyRules {
  /** What holds where an envelope says nothing: query parameter, token's setting, built-in default, already resolved. */
  readonly defaults: Metadata
  /** The query's `time`, which holds where an envelope has none. */
  readonly timeUs: number | null
  /** Indexes that events may go to, wherever their name comes from; null is any that exists. */
  readonly allowedIndexes: ReadonlySet<string> | null
  readonly existingIndexes: ReadonlySet<string>
  readonly maxEventBytes: number
  /** Leaves out of events what nobody asks for; null: all is read. */
  readonly projector: Projector | null
}

export interface EnvelopeRules extends BodyRules {
  /** keep: an unknown key is counted and the event stored. splunk: reading ends there without an error (hec.md 4.3). */
  readonly compatibility: 'keep' | 'splunk'
}

export interface BodyOutcome {
  readonly fault: Fault | null
  /** Envelope keys that HEC does not know. */
  readonly unknownKeys: number
  /** Objects without event whose fields are no measurement: Splunk answers 200 and indexes nothing (hec.md 4.2). */
  readonly skipped: number
}

/** Of an event that has no indexed fields. */
export const NO_FIELDS: ParsedEvent['fields'] = {}

const KNOWN_KEYS = new Set(['time', 'host', 'source', 'sourcetype', 'index', 'event', 'fields'])

/** Reads the body of `/event` by Splunk's rules and hands over one event after the other, until the first fault (hec.md 4.4). */
export function parseBody (body: Uint8Array, rules: EnvelopeRules, take: (event: ParsedEvent) => void): BodyOutcome {
  const envelopes = openEnvelopes(body, rules.projector)
  let unknownKeys = 0
  let skipped = 0
  for (let position = 0; ; position++) {
    const done = (fault: Fault | null): BodyOutcome => ({ fault, unknownKeys, skipped })
    const item = envelopes.next()
    if (item === null) return done(null)
    if (item === 'faulty') return done({ code: 6, number: position })
    const unknown = countUnknown(item.object)
    unknownKeys += unknown
    if (unknown > 0 && rules.compatibility === 'splunk') return done(null)
    const outcome = readEnvelope(body, item, rules)
    if (outcome === 'skip') skipped++
    else if (typeof outcome === 'number') {
      // Splunk counts the object of a wrong index from one, all others from zero (hec.md 4.4).
      return done({ code: outcome, number: outcome === 7 ? position + 1 : position })
    } else take(outcome)
  }
}

/** Whether an object is an envelope of an event and nothing else: it has `event`, and no key that HEC doesn't know. */
export function isEnvelope (body: Uint8Array, span: EnvelopeSpan): boolean {
  if (span.event === null) return false
  const envelope = parseEnvelope(textOf(body, span))
  return envelope !== null && countUnknown(envelope) === 0
}

function countUnknown (envelope: ParsedObject['object']): number {
  let count = 0
  for (const key of Object.keys(envelope)) if (!KNOWN_KEYS.has(key)) count++
  return count
}

function readEnvelope (body: Uint8Array, { object: envelope, start, end }: ParsedObject, rules: EnvelopeRules): ParsedEvent | FaultCode | 'skip' {
  const spanOf = () => scanEnvelope(body, start)! // for what is seldom asked for
  if (isTooLarge({ start, end }, rules)) {
    const span = spanOf()
    if ([span.event, span.fields].some(part => part !== null && isTooLarge(part, rules))) return 6
  }
  const metadata = readMetadata(envelope, rules.defaults)
  if (metadata === null) return 6

  const event = envelope.event ?? null
  const fields = envelope.fields ?? null
  if (event === null && fields === null) return 12
  if (typeof event === 'string' && event.trim() === '') return 13

  let { timeUs } = rules
  if (Object.hasOwn(envelope, 'time')) {
    const { time } = envelope
    if (time === null) return 6
    if (typeof time !== 'string' && typeof time !== 'number') return 15
    timeUs = parseTime(typeof time === 'string' ? time : numberText(body, start, time))
    if (timeUs === null) return 15
  }
  if (fields !== null && !isFlat(fields)) return 15
  if (event === null && !isMeasurement(fields as object)) return 'skip'
  if (!isIndexAllowed(metadata.index, rules)) return 7
  const { host, source, sourcetype, index } = metadata // a spread takes microseconds
  return {
    host,
    source,
    sourcetype,
    index,
    timeUs,
    event,
    raw: () => rawOf(body, spanOf(), event), // whoever only indexes the event never asks for it
    fields: (fields ?? NO_FIELDS) as Record<string, unknown>,
    item: { start, end },
  }
}

/** An envelope's time as it is written: a double may not hold all its digits. Most senders have it before the event, and so it is found fast. */
function numberText (body: Uint8Array, start: number, time: number): string {
  const head = scanHead(body, start)
  if (head !== null) {
    const text = textOf(body, head)
    if (Number(text) === time) return text // else it is given again behind the event, and that one counts
  }
  return textOf(body, scanEnvelope(body, start)!.time!)
}

function rawOf (body: Uint8Array, span: EnvelopeSpan, event: unknown): string {
  return typeof event === 'string' ? event : textOf(body, (event === null ? span.fields : span.event) ?? span)
}

/** Reads an accepted envelope again. Throws where the bytes are none: the disk is damaged. */
export function readStored (envelope: Uint8Array) {
  const span = scanEnvelope(envelope, 0)
  if (span === null) throw new Error('a stored envelope is damaged')
  const { event = null, fields } = JSON.parse(textOf(envelope, span)) as Record<string, unknown>
  return { event, raw: () => rawOf(envelope, span, event), fields: (fields ?? NO_FIELDS) as Readonly<Record<string, unknown>> }
}

/** 5 MB and one byte was seen to pass on a real Splunk, 6,000,000 not (hec.md section 7). */
export function isTooLarge ({ start, end }: ByteSpan, { maxEventBytes }: BodyRules): boolean {
  return end - start > maxEventBytes + 1
}

/** Null where a member is null or no text: a format error (hec.md 4.2). Numbers count as text; '' as not given. */
function readMetadata (envelope: Record<string, unknown>, defaults: Metadata): Metadata | null {
  const host = readName(envelope, 'host', defaults)
  const source = readName(envelope, 'source', defaults)
  const sourcetype = readName(envelope, 'sourcetype', defaults)
  const index = readName(envelope, 'index', defaults)
  return host === null || source === null || sourcetype === null || index === null ? null : { host, source, sourcetype, index }
}

function readName (envelope: Record<string, unknown>, key: keyof Metadata, defaults: Metadata): string | null {
  if (!Object.hasOwn(envelope, key)) return defaults[key]
  const value = envelope[key]
  if (typeof value !== 'string') return typeof value === 'number' ? String(value) : null
  return value === '' ? defaults[key] : value.toWellFormed()
}

/** Scalars and arrays of scalars only (hec.md 4.7). */
function isFlat (fields: unknown): boolean {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return false
  return Object.values(fields).every(value => isScalar(value) || (Array.isArray(value) && value.every(isScalar)))
}

function isScalar (value: unknown): boolean {
  return typeof value !== 'object' || value === null
}

/** A metric without event, in the multiple or the single form (hec.md 4.8). */
function isMeasurement (fields: object): boolean {
  const keys = Object.keys(fields)
  return keys.some(key => key.startsWith('metric_name:')) || (keys.includes('metric_name') && keys.includes('_value'))
}

export function isIndexAllowed (index: string, { allowedIndexes, existingIndexes }: BodyRules): boolean {
  return existingIndexes.has(index) && (allowedIndexes === null || allowedIndexes.has(index))
}
