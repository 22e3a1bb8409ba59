import { isEnvelope } from './envelope.js'
import type { ByteSpan } from './scan.js'
import { scanEnvelope, skipSpace } from './scan.js'

/** What a log file holds, one after the other: an HEC envelope, or a line, which is the event itself (text, or bare JSON). */
export interface LogItem extends ByteSpan { readonly kind: 'envelope' | 'line' }

/** Items that are whole; their spans are of `bytes`. */
export interface CutLog { readonly bytes: Uint8Array, readonly items: readonly LogItem[] }

const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
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

  /** The end of the envelope at `at`; null where there is none, or where it isn't whole yet and more may come. */
  function takeEnvelope (bytes: Uint8Array, at: number, items: LogItem[]): number | null {
    const span = bytes[at] === OPEN_BRACE ? scanEnvelope(bytes, at) : null
    if (span === null || !isEnvelope(bytes, span)) return null
    items.push({ kind: 'envelope', start: span.start, end: span.end })
    return span.end
  }

  function takeLine (bytes: Uint8Array, start: number, end: number, items: LogItem[]): void {
    const line = bytes.subarray(0, end)
    const envelopes: LogItem[] = []
    let at = skipSpace(line, start)
    if (at === end) return
    while (at < end) {
      const next = takeEnvelope(line, at, envelopes)
      if (next === null) break
      at = skipSpace(line, next)
    }
    if (at === end) items.push(...envelopes)
    else if (end - start > maxEventBytes) tooLong++
    else items.push({ kind: 'line', start, end })
  }

  return {
    /** Lines and envelopes that were left out because they are longer than an event may be. */
    get tooLong () { return tooLong },
    /** The items of the next piece of the file; `isLast` with its end, then also what no line break ends. */
    cut (piece: Uint8Array, isLast: boolean): CutLog {
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const items: LogItem[] = []
      const ends = openLineEnds(bytes)
      let at = 0
      if (state === 'start' && bytes.length > 0) {
        state = 'body'
        if (BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte)) at = BYTE_ORDER_MARK.length
      }
      for (;;) {
        if (state === 'body') {
          at = skipSpace(bytes, at)
          if (at === bytes.length) break
          const end = takeEnvelope(bytes, at, items)
          if (end !== null) at = end
          else if (bytes[at] === OPEN_BRACE && scanEnvelope(bytes, at) === null && !isLast && bytes.length - at <= maxItemBytes) break
          else state = 'lines'
          continue
        }
        if (at === bytes.length) break
        const end = ends(at)
        if (end === -1 && !isLast) {
          if (state === 'lines' && bytes.length - at > maxItemBytes) {
            tooLong++
            state = 'skip'
          }
          if (state === 'skip') at = bytes.length
          break
        }
        if (state === 'lines') takeLine(bytes, at, end === -1 ? bytes.length : end, items)
        else state = 'lines'
        at = end === -1 ? bytes.length : end + 1
      }
      rest = bytes.subarray(at)
      return { bytes, items }
    },
  }
}

/** Gives the offset of the line's CR or LF at or behind an offset that only grows; -1 without. Each byte is looked at once for each of them. */
function openLineEnds (bytes: Uint8Array): (at: number) => number {
  const next = (byte: number) => {
    let found = -2
    return (at: number) => {
      if (found !== -1 && found < at) found = bytes.indexOf(byte, at)
      return found === -1 ? Infinity : found
    }
  }
  const [lineFeed, carriageReturn] = [next(LINE_FEED), next(CARRIAGE_RETURN)]
  return at => {
    const end = Math.min(lineFeed(at), carriageReturn(at))
    return end === Infinity ? -1 : end
  }
}
