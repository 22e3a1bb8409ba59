import type { Span } from './ast.js'

/** How much of the source line a message shows on each side of the caret. */
const EXCERPT_WIDTH = 60

/** A search that can't be run: what is wrong, and where in the text as its author wrote it. */
export class SplError extends Error {
  override name = 'SplError'
  /** Counted from 1; the column counts UTF-16 units. */
  readonly line: number
  readonly column: number

  /** `detail` is one line. `message` adds the position before it, and the source line with a caret below it. */
  constructor (readonly detail: string, text: string, readonly span: Span) {
    const { line, column, excerpt } = locate(text, span.start)
    super(`${line}:${column}: ${detail}\n${excerpt}`)
    this.line = line
    this.column = column
  }
}

function locate (text: string, offset: number) {
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  const lineEnd = text.indexOf('\n', offset)
  const from = Math.max(lineStart, offset - EXCERPT_WIDTH)
  const to = Math.min(lineEnd < 0 ? text.length : lineEnd, offset + EXCERPT_WIDTH)
  const left = (from > lineStart ? '…' : '') + escapeControls(text.slice(from, offset))
  const right = escapeControls(text.slice(offset, to).trimEnd())
  return {
    line: before.split('\n').length,
    column: offset - lineStart + 1,
    excerpt: `  ${left}${right}\n  ${' '.repeat(left.length)}^`,
  }
}

/** Makes text fit for one line of a terminal or a log: tabs become spaces, other invisible characters `\u{…}`. */
export function escapeControls (text: string): string {
  return text.replaceAll('\t', ' ').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, char => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

/** A piece of user text for a message: bounded, escaped, in double quotes. */
export function quote (text: string): string {
  return `"${escapeControls(text.length > 40 ? text.slice(0, 40) + '…' : text)}"`
}

/** The known name that a mistyped one is most likely meant to be, as the end of a message; empty when none is near. */
export function nearestHint (name: string, known: Iterable<string>): string {
  const wanted = name.toLowerCase()
  if (wanted.length < 3 || wanted.length > 100) return ''
  let nearest = ''
  let smallest = Math.min(3, Math.floor((wanted.length + 1) / 3)) + 1
  for (const candidate of known) {
    if (Math.abs(candidate.length - wanted.length) >= smallest) continue
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < smallest) [nearest, smallest] = [candidate, distance]
  }
  return nearest && `; the nearest name that is: "${nearest}"`
}

/** Levenshtein's distance. */
function editDistance (a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(previous[j]! + 1, row[j - 1]! + 1, replaced))
    }
    previous = row
  }
  return previous[b.length]!
}
