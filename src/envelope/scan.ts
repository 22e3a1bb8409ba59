import { MAX_JSON_DEPTH } from '../event.js'

/** A JSON value's place in a body: [start, end) in bytes. */
export interface ByteSpan { readonly start: number, readonly end: number }

/** What the scanner says of an envelope without parsing it: where it is, and where its `time` and `event` are. */
export interface EnvelopeSpan extends ByteSpan {
  readonly time: ByteSpan | null
  readonly event: ByteSpan | null
  readonly fields: ByteSpan | null
}

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const BACKSLASH = 0x5c
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/** JSON's white space (RFC 8259, section 2). */
export function isJsonSpace (byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/**
 * Walks the envelopes of a body one by one: objects back to back with or without white space between, and arrays of
 * objects (hec.md 4.1). `next` gives the next envelope, `null` at the end of the body, and `'faulty'` where no whole object
 * of at most MAX_JSON_DEPTH levels begins; nothing can be read after that. What is inside an object is only balanced, not
 * checked: that is `JSON.parse`'s work.
 */
export function openScanner (body: Uint8Array, start = 0): { next: () => EnvelopeSpan | null | 'faulty' } {
  let at = start
  let inArray = false
  let first = true // no element of this array came yet

  function next (): EnvelopeSpan | null | 'faulty' {
    for (;;) {
      at = skipSpace(body, at)
      const byte = body[at]
      if (byte === undefined) return inArray ? 'faulty' : null
      if (inArray) {
        if (byte === CLOSE_BRACKET) {
          inArray = false
          at++
          continue
        }
        if (!first) {
          if (byte !== COMMA) return 'faulty'
          at = skipSpace(body, at + 1)
        }
        first = false
      } else if (byte === OPEN_BRACKET) {
        inArray = first = true
        at++
        continue
      }
      const envelope = scanEnvelope(body, at)
      if (envelope === null) return 'faulty'
      at = envelope.end
      return envelope
    }
  }
  return { next }
}

/** The envelope that begins at `start`, or null where none does. Of a key given twice the last counts, as in JSON.parse. */
export function scanEnvelope (body: Uint8Array, start: number): EnvelopeSpan | null {
  return scanMembers(body, start, 'whole')
}

/** Where the `time` of the envelope that begins at `start` is, if it comes before its `event`. */
export function scanHead (body: Uint8Array, start: number): ByteSpan | null {
  return scanMembers(body, start, 'head')?.time ?? null
}

/** The head ends before the event; it says nothing of what comes then. */
function scanMembers (body: Uint8Array, start: number, part: 'head' | 'whole'): EnvelopeSpan | null {
  if (body[start] !== OPEN_BRACE) return null
  let time: ByteSpan | null = null
  let event: ByteSpan | null = null
  let fields: ByteSpan | null = null
  let at = skipSpace(body, start + 1)
  if (body[at] === CLOSE_BRACE) return { start, end: at + 1, time, event, fields }
  for (;;) {
    if (body[at] !== QUOTE) return null
    const keyEnd = skipString(body, at)
    if (keyEnd === -1) return null
    const key = keyText(body, at, keyEnd)
    if (part === 'head' && key === 'event') return { start, end: at, time, event, fields }
    at = skipSpace(body, keyEnd)
    if (body[at] !== COLON) return null
    const valueStart = skipSpace(body, at + 1)
    const valueEnd = skipValue(body, valueStart)
    if (valueEnd === -1) return null
    const span = { start: valueStart, end: valueEnd }
    if (key === 'event') event = span
    else if (key === 'time') time = span
    else if (key === 'fields') fields = span
    at = skipSpace(body, valueEnd)
    if (body[at] === CLOSE_BRACE) return { start, end: at + 1, time, event, fields }
    if (body[at] !== COMMA) return null
    at = skipSpace(body, at + 1)
  }
}

/** The offset of the first byte from `at` on that is no white space; `end` where all before it is. */
export function skipSpace (body: Uint8Array, at: number, end = body.length): number {
  while (at < end && isJsonSpace(body[at]!)) at++
  return at
}

/** The offset after the string whose opening quote is at `at`; -1 where it does not end. */
function skipString (body: Uint8Array, at: number): number {
  const { length } = body
  for (let i = at + 1; i < length; i++) {
    const byte = body[i]
    if (byte === QUOTE) return i + 1
    if (byte === BACKSLASH) i++
  }
  return -1
}

/** The offset after the value at `at`; -1 where it does not end or is too deep. The envelope itself is the first level. */
function skipValue (body: Uint8Array, at: number): number {
  const { length } = body
  const first = body[at]
  if (first === QUOTE) return skipString(body, at)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    let end = at
    while (end < length && !isDelimiter(body[end]!)) end++
    return end === at ? -1 : end
  }
  let depth = 1
  for (let i = at; i < length; i++) {
    const byte = body[i]
    if (byte === QUOTE) {
      i = skipString(body, i) - 1
      if (i === -2) return -1
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      if (++depth > MAX_JSON_DEPTH) return -1
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth === 1) return i + 1
    }
  }
  return -1
}

function isDelimiter (byte: number): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || isJsonSpace(byte)
}

/** A key as JSON.parse reads it. Only the envelope's own keys matter, so long ones are not decoded. */
function keyText (body: Uint8Array, start: number, end: number): string {
  if (end - start > 64) return ''
  let text = ''
  let escaped = false
  for (let i = start + 1; i < end - 1; i++) {
    const byte = body[i]!
    if (byte === BACKSLASH) escaped = true
    text += String.fromCharCode(byte)
  }
  if (!escaped) return text
  try {
    return JSON.parse(`"${text}"`) as string
  } catch {
    return '' // the whole envelope fails in JSON.parse
  }
}
