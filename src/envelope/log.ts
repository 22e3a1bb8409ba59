import { isEnvelope } from './envelope.js'
import { openLineEnds } from './lines.js'
import type { ByteSpan, EnvelopeSpan } from './scan.js'
import { scanEnvelope, skipSpace } from './scan.js'

/** What a log file holds, one after the other: an HEC envelope, or a line, which is the event itself (text, or bare JSON). */
export interface LogItem extends ByteSpan {
  readonly kind: 'envelope' | 'line'
  /** Of the file, from 1: where it begins. */
  readonly line: number
  /** A line that begins as a JSON object and is none to its end: somebody cut it, or wrote into it. */
  readonly isBroken: boolean
}

/** Items that are whole; their spans are of `bytes`. `tooLong`: lines where something was left out, longer than an event may be. */
export interface CutLog { readonly bytes: Uint8Array, readonly items: readonly LogItem[], readonly tooLong: readonly number[] }

const LINE_FEED = 0x0a
const OPEN_BRACE = 0x7b
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf]

/** What an envelope may have beside its event. */
const METADATA_BYTES = 1 << 16

/**
 * Cuts the bytes of a log file into envelopes and lines, in pieces as they come, and holds no more than one piece and one event.
 * A file that begins with an envelope is read as a body of HEC is, with line breaks anywhere, until something else comes; from
 * there on, and in any other file, a line holds an event or envelopes, as many as there are.
 */
export function openLogCutter (maxEventBytes: number) {
  const maxItemBytes = maxEventBytes + METADATA_BYTES
  /** body: the file has held envelopes alone. skip: the rest of a line that is too long. */
  let state: 'start' | 'body' | 'lines' | 'skip' = 'start'
  let rest: Uint8Array = new Uint8Array(0)
  let tooLong = 0
  let lineNumber = 1

  /** The end of the envelope of a span; null where it is none, or isn't whole yet and more may come. */
  function takeEnvelope (bytes: Uint8Array, span: EnvelopeSpan | null, items: LogItem[]): number | null {
    if (span === null || !isEnvelope(bytes, span)) return null
    items.push({ kind: 'envelope', start: span.start, end: span.end, line: lineNumber, isBroken: false })
    return span.end
  }

  /** Whether it is short enough. */
  function takeLine (bytes: Uint8Array, start: number, end: number, items: LogItem[]): boolean {
    const line = bytes.subarray(0, end)
    const envelopes: LogItem[] = []
    const first = skipSpace(line, start)
    if (first === end) return true
    const object = scanEnvelope(line, first)
    let at = first
    for (let span = object; at < end; span = scanEnvelope(line, at)) {
      const next = takeEnvelope(line, span, envelopes)
      if (next === null) break
      at = skipSpace(line, next)
    }
    if (at === end) for (const one of envelopes) items.push(one)
    else if (end - start > maxEventBytes) return false
    else {
      const isObject = object !== null && skipSpace(line, object.end) === end
      items.push({ kind: 'line', start, end, line: lineNumber, isBroken: line[first] === OPEN_BRACE && !isObject })
    }
    return true
  }

  return {
    /** Lines and envelopes that were left out because they are longer than an event may be. */
    get tooLong () { return tooLong },
    /** The items of the next piece of the file; `isLast` with its end, then also what no line break ends. */
    cut (piece: Uint8Array, isLast: boolean): CutLog {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const items: LogItem[] = []
      const tooLongHere: number[] = []
      const leaveOut = () => {
        tooLong++
        tooLongHere.push(lineNumber)
      }
      const ends = openLineEnds(bytes)
      let at = 0
      if (state === 'start' && bytes.length > 0) {
        state = 'body'
        if (BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte)) at = BYTE_ORDER_MARK.length
      }
      for (;;) {
        if (state === 'body') {
          const begin = skipSpace(bytes, at)
          lineNumber += countLineFeeds(bytes, at, begin)
          at = begin
          if (at === bytes.length) break
          const span = scanEnvelope(bytes, at)
          const end = takeEnvelope(bytes, span, items)
          if (end !== null) {
            lineNumber += countLineFeeds(bytes, at, end)
            at = end
          } else if (bytes[at] === OPEN_BRACE && span === null && !isLast && bytes.length - at <= maxItemBytes) break
          else state = 'lines'
          continue
        }
        if (at === bytes.length) break
        const end = ends(at)
        if (end === -1 && !isLast) {
          if (state === 'lines' && bytes.length - at > maxItemBytes) {
            leaveOut()
            state = 'skip'
          }
          if (state === 'skip') at = bytes.length
          break
        }
        if (state === 'skip') state = 'lines'
        else if (!takeLine(bytes, at, end === -1 ? bytes.length : end, items)) leaveOut()
        if (bytes[end] === LINE_FEED) lineNumber++
        at = end === -1 ? bytes.length : end + 1
      }
      rest = bytes.subarray(at)
      return { bytes, items, tooLong: tooLongHere }
    },
  }
}

function countLineFeeds (bytes: Uint8Array, start: number, end: number): number {
  const part = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
  let count = 0
  for (let at = part.indexOf(LINE_FEED); at !== -1; at = part.indexOf(LINE_FEED, at + 1)) count++
  return count
}
