import { isShallow } from '../json.js'
import type { Projector } from './projection.js'
import { openProjected } from './projection.js'
import type { ByteSpan } from './scan.js'
import { isJsonSpace, openScanner, skipSpace } from './scan.js'

/** A JSON object of a body, an envelope or an event, parsed; of an event there may be no more than a projector was asked for. */
export interface ParsedObject extends ByteSpan { readonly object: Readonly<Record<string, unknown>> }

const OPEN_BRACE = 0x7b

/** So much of an envelope's beginning is looked for behind the one before it. */
const HEAD_BYTES = 8

/** A body up to this size may be one envelope; to look whether a longer one is costs more than it saves. */
const MAX_SINGLE_BYTES = 1 << 16

/** What guesses may cost where a body is made to mislead them: each wrong one is decoded and parsed in part. */
const MAX_GUESS_BYTES = 1 << 20
const MAX_WRONG_GUESSES = 8

const decoder = new TextDecoder()

/** The text of a part of a body. In pieces of one envelope it is fast; of a whole body it is not. */
export function textOf (body: Uint8Array, { start, end }: ByteSpan): string {
  return decoder.decode(body.subarray(start, end))
}

/**
 * Walks the envelopes of a body as `openScanner` does, and parses each; `'faulty'` also where one is no JSON. A sender's envelopes look alike, so the end of
 * one is guessed: before the next bytes that are between the first two. JSON.parse proves a guess, since no object is the beginning of another one; where it
 * is wrong, the bytes are scanned. Scanning takes half as long as parsing, guessing next to nothing. Where there is a projector all this is for what it isn't sure of.
 */
export function openEnvelopes (body: Uint8Array, projector: Projector | null = null): { next: () => ParsedObject | null | 'faulty' } {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
  const bodyEnd = trimEnd(body)
  let at = 0
  /** What ends an envelope and begins the next one. */
  let border: Buffer | null = null
  /** From an array on, and where no two envelopes are alike, the rest is scanned. */
  let scanner: ReturnType<typeof openScanner> | null = null

  let wrongGuesses = 0

  const projected = projector === null ? null : openProjected(projector(body, 'envelopes'))

  /** Null where it can't be guessed. */
  function guessEnd (): number | null {
    if (border === null) {
      const isSingle = at === 0 && bodyEnd <= MAX_SINGLE_BYTES && !bytes.includes('}{"') && !bytes.includes('}\n{"')
      return isSingle ? bodyEnd : null
    }
    const found = bytes.indexOf(border, at)
    if (found !== -1) return found + 1
    wrongGuesses = MAX_WRONG_GUESSES // it is the last of its kind, and nothing is to be looked for behind it
    return bodyEnd
  }

  function guess (): ParsedObject | null {
    if (wrongGuesses >= MAX_WRONG_GUESSES) return null
    const end = guessEnd()
    if (end === null) return null
    const text = end - at > MAX_GUESS_BYTES ? null : textOf(body, { start: at, end })
    const object = text !== null && isShallow(text) ? parseEnvelope(text) : null
    if (object === null) wrongGuesses++
    return object === null ? null : { start: at, end, object }
  }

  function scan (): ParsedObject | null | 'faulty' {
    scanner ??= openScanner(body, at)
    const span = scanner.next()
    if (span === null || span === 'faulty') return span
    const { start, end } = span
    const object = parseEnvelope(textOf(body, span))
    return object === null ? 'faulty' : { start, end, object }
  }

  return {
    next () {
      if (scanner !== null) return scan()
      at = skipSpace(body, at)
      if (body[at] !== OPEN_BRACE) return scan()
      const read = projected?.at(at) ?? guess()
      if (read !== null) {
        at = read.end
        return read
      }
      const found = scan()
      if (found === null || found === 'faulty') return found
      scanner = null
      at = found.end
      border = borderAt(body, at) ?? border
      return found
    },
  }
}

/** The bytes from the end of an envelope into the next one; null where they are no border that could be looked for. */
function borderAt (body: Uint8Array, end: number): Buffer | null {
  const next = skipSpace(body, end)
  if (body[next] !== OPEN_BRACE) return null
  return Buffer.from(body.subarray(end - 1, next + HEAD_BYTES))
}

function trimEnd (body: Uint8Array): number {
  let end = body.length
  while (end > 0 && isJsonSpace(body[end - 1]!)) end--
  return end
}

/** The value of a JSON text that begins as an object; null where it is no JSON. */
export function parseEnvelope (text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}
