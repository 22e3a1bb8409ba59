import type { BodyOutcome, BodyRules, Fault, ParsedEvent } from './envelope.js'
import { isIndexAllowed, isTooLarge, NO_FIELDS } from './envelope.js'
import type { Projector } from './projection.js'
import { openProjected } from './projection.js'
import type { ByteSpan } from './scan.js'
import { skipSpace } from './scan.js'
import type { ParsedObject } from './split.js'
import { textOf } from './split.js'

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const OPEN_BRACE = 0x7b

/**
 * Reads the body of `/raw` and hands over one event per line, until the first fault. Lines end with a run of CR and LF, the last
 * one also with the body (hec.md section 5); those of white space alone are none, as an `event` of it is none.
 */
export function parseLines (body: Uint8Array, rules: BodyRules, take: (event: ParsedEvent) => void): BodyOutcome {
  const done = (fault: Fault | null): BodyOutcome => ({ fault, unknownKeys: 0, skipped: 0 })
  const ends = openLineEnds(body)
  const objectOf = rules.projector === null ? () => null : openLineObjects(body, rules.projector)
  const { host, source, sourcetype, index } = rules.defaults
  let position = 0
  for (let start = 0; start < body.length;) {
    const next = ends(start)
    const end = next === -1 ? body.length : next
    const item = { start, end }
    start = end + 1
    if (end === item.start) continue
    if (isTooLarge(item, rules)) return done({ code: 6, number: position })
    const object = objectOf(item)
    const text = object === null ? textOf(body, item) : ''
    if (object === null && text.trim() === '') continue
    if (!isIndexAllowed(index, rules)) return done({ code: 7, number: position + 1 }) // from one, as of an envelope
    take({ host, source, sourcetype, index, timeUs: rules.timeUs, event: object ?? text, raw: () => object === null ? text : textOf(body, item), fields: NO_FIELDS, item })
    position++
  }
  return done(null)
}

/** Gives what is wanted of the object that a line is the JSON of, with nothing but white space beside it; null where it is none, or not sure to be. Lines come in their order. */
function openLineObjects (body: Uint8Array, projector: Projector): (line: ByteSpan) => ParsedObject['object'] | null {
  const projected = openProjected(projector(body, 'events'))
  return ({ start, end }) => {
    const at = skipSpace(body, start, end)
    if (at === end || body[at] !== OPEN_BRACE) return null
    const found = projected.at(at)
    if (found === null) return null
    if (found.end <= end && skipSpace(body, found.end, end) === end) return found.object
    projected.refuse()
    return null
  }
}

/** Reads a stored line again, as `readStored` does an envelope. */
export function readStoredLine (line: Uint8Array): Pick<ParsedEvent, 'event' | 'raw' | 'fields'> {
  const text = textOf(line, { start: 0, end: line.length })
  return { event: text, raw: () => text, fields: NO_FIELDS }
}

/** Gives the offset of the line's CR or LF at or behind an offset that only grows; -1 without. Each byte is looked at once for each of them. */
export function openLineEnds (bytes: Uint8Array): (at: number) => number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) // its indexOf is fifteen times as fast
  const next = (byte: number) => {
    let found = -2
    return (at: number) => {
      if (found !== -1 && found < at) found = buffer.indexOf(byte, at)
      return found === -1 ? Infinity : found
    }
  }
  const [lineFeed, carriageReturn] = [next(LINE_FEED), next(CARRIAGE_RETURN)]
  return at => {
    const end = Math.min(lineFeed(at), carriageReturn(at))
    return end === Infinity ? -1 : end
  }
}
