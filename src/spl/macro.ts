import type { Span } from './ast.js'
import { nearestHint, quote, SplError } from './errors.js'

/** A macro as in macros.conf; `$name$` in its definition stands for an argument. */
export interface Macro { readonly args: readonly string[], readonly definition: string }

/** Keys as in macros.conf: `name`, or `name(2)` for the macro of that name with two arguments. */
export type Macros = ReadonlyMap<string, Macro>

/** The longest search, as written and as expanded. */
export const MAX_TEXT = 100_000
const MAX_DEPTH = 32
/** Bounds the time that expanding takes, also where the macros expand to nothing. Each call counts as CALL_COST characters. */
const MAX_SCANNED = 1_000_000
const CALL_COST = 100

const BUILT_IN: Macros = new Map([
  ['security_content_ctime(1)', { args: ['field'], definition: 'convert timeformat="%Y-%m-%dT%H:%M:%S" ctime($field$)' }], // R71
])

/** A search whose macros are replaced and whose comments are gone. It knows where each piece of `text` was written. */
export interface ExpandedText {
  readonly text: string
  /** The place in the text as written of a range of `text`; of what a macro gave, the macro's call. */
  spanOf (start: number, end: number): Span
  /** An error about a range of `text`, shown in the text as written. Inside a macro it names the macro. */
  error (detail: string, start: number, end: number): SplError
}

/** A piece of the expanded text. `macro` names the macros it came through; else it stands in the written text as it is. */
interface Piece { readonly start: number, readonly span: Span, readonly macro: string | null }

/** Replaces macros by their definitions, recursively, and comments by a blank (R17, R18). Text in double quotes stays as it is. */
export function expandMacros (written: string, macros: Macros): ExpandedText {
  if (written.length > MAX_TEXT) throw new SplError(`A search can have ${MAX_TEXT} characters, this one has ${written.length}`, written, { start: 0, end: 0 })
  const pieces: Piece[] = []
  let text = ''
  let scanned = 0
  expand(written, [], null)
  return { text, spanOf, error }

  /** `call` is where the outermost macro is called; null for the written text itself. */
  function expand (body: string, chain: readonly string[], call: Span | null): void {
    let from = 0
    for (const { kind, start, end } of backquoted(body)) {
      emit(body.slice(from, start), call ?? { start: from, end: start }, chain)
      if (end === null) throw fail(kind === 'comment' ? 'This comment has no closing ```' : 'This macro call has no closing `', call ?? { start, end: start + (kind === 'comment' ? 3 : 1) }, chain)
      const span = call ?? { start, end }
      if (kind === 'comment') emit(' ', span, chain)
      else {
        if (/\b(?:AND|OR|NOT)$/.test(body.slice(Math.max(0, start - 4), start))) emit(' ', span, chain) // R17: NOT may stand directly before
        expandCall(body.slice(start + 1, end - 1), chain, span)
        if (/^(?:AND|OR|NOT)\b/.test(body.slice(end, end + 4))) emit(' ', span, chain)
      }
      from = end
    }
    emit(body.slice(from), call ?? { start: from, end: body.length }, chain)
  }

  function expandCall (callText: string, chain: readonly string[], call: Span): void {
    const { name, args } = parseCall(callText) ?? { name: null, args: [] }
    if (name === null) throw fail(`Expected a macro such as \`name\` or \`name(argument)\`, found ${quote(callText)}`, call, chain)
    const key = args.length === 0 ? name : `${name}(${args.length})`
    const macro = macros.get(key) ?? BUILT_IN.get(key)
    if (macro === undefined) {
      if (!key.endsWith('_filter')) throw fail(undefinedMacro(name, args.length, macros), call, chain)
      emit('search *', call, [...chain, name]) // R17: a filter that nobody has written
      return
    }
    if (chain.includes(key)) throw fail(`The macro "${name}" uses itself`, call, chain)
    if (chain.length >= MAX_DEPTH) throw fail(`Macros are nested more than ${MAX_DEPTH} levels deep`, call, chain)
    const body = substitute(macro, args)
    scanned += CALL_COST + (body?.length ?? 0)
    if (body === null || scanned > MAX_SCANNED) throw fail('The macros of this search expand to too much text', call, chain)
    expand(body, [...chain, key], call)
  }

  function emit (piece: string, span: Span, chain: readonly string[]): void {
    if (piece === '') return
    if (text.length + piece.length > MAX_TEXT) throw fail(`The search expands to more than ${MAX_TEXT} characters`, span, chain)
    pieces.push({ start: text.length, span, macro: chain.length === 0 ? null : chain.map(key => `"${key}"`).join(' → ') })
    text += piece
  }

  function fail (detail: string, span: Span, chain: readonly string[]): SplError {
    const within = chain.length === 0 ? '' : ` (inside the macro ${chain.map(key => `"${key}"`).join(' → ')})`
    return new SplError(detail + within, written, span)
  }

  function spanOf (start: number, end: number): Span {
    return { start: place(start, 'start'), end: place(end, 'end') }
  }

  function place (offset: number, edge: 'start' | 'end'): number {
    const piece = pieceAt(edge === 'end' ? offset - 1 : offset)
    if (piece === undefined) return offset === 0 ? 0 : written.length
    return piece.macro === null && !isBlank(piece) ? Math.min(piece.span.start + offset - piece.start, piece.span.end) : piece.span[edge]
  }

  /** A comment's piece is one blank, however long the comment. */
  function isBlank ({ span }: Piece): boolean {
    return written.startsWith('```', span.start)
  }

  /** The piece that an offset lies in; undefined before the first and after the last character. */
  function pieceAt (offset: number): Piece | undefined {
    if (offset < 0 || offset >= text.length) return undefined
    let low = 0
    let high = pieces.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (pieces[middle]!.start <= offset) low = middle
      else high = middle - 1
    }
    return pieces[low]
  }

  function error (detail: string, start: number, end: number): SplError {
    const macro = pieceAt(start)?.macro
    return new SplError(macro == null ? detail : `${detail} (inside the macro ${macro})`, written, spanOf(start, end))
  }
}

function undefinedMacro (name: string, arity: number, macros: Macros): string {
  const known = [...macros.keys(), ...BUILT_IN.keys()]
  const counts = known.filter(key => key.replace(/\(\d+\)$/, '') === name).map(key => /\((\d+)\)$/.exec(key)?.[1] ?? '0')
  if (counts.length > 0) return `The macro "${name}" takes ${counts.join(' or ')} ${counts.join() === '1' ? 'argument' : 'arguments'}, found ${arity}`
  return `The macro ${quote(name)} isn't defined${nearestHint(name, new Set(known.map(key => key.replace(/\(\d+\)$/, ''))))}`
}

/** Comments and calls of macros, which stand in backquotes outside of double quotes. `end` is null where one isn't closed; it is the last then. */
export function * backquoted (text: string): Generator<{ readonly kind: 'comment' | 'macro', readonly start: number, readonly end: number | null }> {
  let at = 0
  while (at < text.length) {
    if (text[at] === '"') at = endOfQuoted(text, at) ?? text.length
    else if (text[at] !== '`') at++
    else {
      const kind = text.startsWith('```', at) ? 'comment' : 'macro'
      const close = kind === 'comment' ? text.indexOf('```', at + 3) : -1
      const end = kind === 'macro' ? endOfCall(text, at) : close < 0 ? null : close + 3
      yield { kind, start: at, end }
      if (end === null) return
      at = end
    }
  }
}

/** The offset behind the closing quote of the text that opens at `at`; `\` takes the next character with it (R11). */
export function endOfQuoted (text: string, at: number): number | null {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === text[at]) return i + 1
  }
  return null
}

/** The offset behind the backtick that closes the call at `at`; one in double quotes closes nothing. */
function endOfCall (text: string, at: number): number | null {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '`') return i + 1
    if (text[i] !== '"') continue
    const end = endOfQuoted(text, i)
    if (end === null) return null
    i = end - 1
  }
  return null
}

/** call = name [ "(" [ argument { "," argument } ] ")" ] */
function parseCall (call: string): { name: string, args: string[] } | null {
  const [, name = '', inner] = /^([\w-]+)\s*(?:\(([^]*)\))?$/.exec(call.trim()) ?? []
  if (name === '') return null
  return { name, args: inner === undefined || inner.trim() === '' ? [] : splitArguments(inner) }
}

/** Commas part arguments, except in quotes and inner parentheses. The quotes around an argument are not part of it. */
function splitArguments (text: string): string[] {
  const args: string[] = []
  let from = 0
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '"') i = (endOfQuoted(text, i) ?? text.length) - 1
    else if (char === '(') depth++
    else if (char === ')') depth--
    else if (char === ',' && depth <= 0) {
      args.push(text.slice(from, i))
      from = i + 1
    }
  }
  return [...args, text.slice(from)].map(arg => arg.trim()).map(arg => /^"[^]*"$/.test(arg) ? unescapeQuoted(arg) : arg)
}

/** The text between quotes: `\` is dropped before the quote itself and before `\`, and stays elsewhere (R11). */
export function unescapeQuoted (quoted: string): string {
  const mark = quoted[0]
  return quoted.slice(1, -1).replace(/\\([^])/g, (pair, char: string) => char === mark || char === '\\' ? char : pair)
}

/** The definition with its arguments put in; null if it gets too long. */
function substitute ({ args: names, definition }: Macro, args: readonly string[]): string | null {
  let text = ''
  let from = 0
  for (const match of definition.matchAll(/\$([\w-]+)\$/g)) {
    const index = names.indexOf(match[1]!)
    if (index < 0) continue
    text += definition.slice(from, match.index) + (args[index] ?? '')
    from = match.index + match[0].length
    if (text.length > MAX_TEXT) return null
  }
  text += definition.slice(from)
  return text.length > MAX_TEXT ? null : text
}
