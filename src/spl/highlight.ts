import type { Lexicon, Token } from './lex.js'
import { tokenAt } from './lex.js'
import { backquoted } from './macro.js'
import { COMMANDS } from './parse.js'
import { OPTIONS } from './parse-stages.js'

/** What a piece of a search can be. `value` is what a condition or an option compares or says without quotes. */
export const HIGHLIGHTS = ['command', 'function', 'keyword', 'option', 'field', 'value', 'string', 'number', 'operator', 'pipe', 'macro', 'comment'] as const

export interface Highlight { readonly kind: typeof HIGHLIGHTS[number], readonly start: number, readonly end: number }

/** Words that are no field where a command has them; conditions know the first four alone. */
const KEYWORDS: ReadonlySet<string> = new Set(['AND', 'OR', 'NOT', 'IN', 'XOR', 'LIKE', 'AS', 'BY', 'GROUPBY', 'FROM', 'WHERE', 'OUTPUT', 'OUTPUTNEW', 'WITH'])
const KEYWORDS_OF_CONDITIONS: ReadonlySet<string> = new Set(['AND', 'OR', 'NOT', 'IN'])

/** A command, what is in brackets, or the expression in `eval(…)`. `depth` counts parentheses within an expression. */
interface Context { readonly kind: 'pipeline' | 'expression', command: string, lexicon: Lexicon, depth: number }

/**
 * The pieces of a search as it is written, in order; blanks are in none. It is read by the lexer that searches are parsed with, and goes on behind what is
 * wrong, as text is while somebody writes it. Takes time in proportion to the text.
 */
export function highlight (written: string): Highlight[] {
  const marks: Highlight[] = []
  let text = ''
  let from = 0
  for (const { kind, start, end } of backquoted(written)) {
    const to = end ?? written.length
    marks.push({ kind, start, end: to })
    text += written.slice(from, start) + ' '.repeat(to - start)
    from = to
  }
  text += written.slice(from)
  return merge(marks, highlightPlain(text))
}

/** All pieces in order. One that reaches over a mark, as what is in single quotes may, is there before and behind it. */
function merge (marks: readonly Highlight[], pieces: Iterable<Highlight>): Highlight[] {
  const merged: Highlight[] = []
  let next = 0
  for (const { kind, start, end } of pieces) {
    let at = start
    for (let mark = marks[next]; mark !== undefined && mark.start < end; mark = marks[++next]) {
      if (mark.start > at) merged.push({ kind, start: at, end: mark.start })
      merged.push(mark)
      at = Math.max(at, mark.end)
    }
    if (at < end) merged.push({ kind, start: at, end })
  }
  return [...merged, ...marks.slice(next)]
}

/** The same of a text without macros and comments. */
function * highlightPlain (text: string): Generator<Highlight> {
  const stack: Context[] = [{ kind: 'pipeline', command: 'search', lexicon: 'words', depth: 0 }]
  let expects: 'first' | 'command' | null = 'first' // a pipeline begins with an implied search
  let before: Highlight['kind'] | null = null
  let beforeText = ''
  let at = 0
  while (at < text.length) {
    if (/\s/.test(text[at]!)) {
      at++
      continue
    }
    if (text[at] === '|') {
      while (stack.at(-1)!.kind === 'expression') stack.pop()
      yield { kind: 'pipe', start: at, end: ++at }
      expects = 'command'
      before = null
      continue
    }
    const context = stack.at(-1)!
    if (expects !== null) {
      const name = wordAt(text, at)
      const command = name.toLowerCase()
      const isNamed: boolean = name !== '' && (expects === 'command' || command === 'search')
      const isTemplate = context.lexicon === 'template'
      context.command = isNamed ? command : 'search'
      if (!isTemplate) context.lexicon = isNamed ? COMMANDS.get(command)?.lexicon ?? 'words' : 'words'
      expects = null
      before = null
      if (isNamed) {
        yield { kind: 'command', start: at, end: at += name.length }
        continue
      }
    }
    const token = tokenAt(text, context.lexicon, at)
    if (token === null) {
      const isOpenQuote = text[at] === '"' || text[at] === "'"
      if (isOpenQuote) yield { kind: 'string', start: at, end: text.length }
      if (isOpenQuote) return
      at++
      continue
    }
    at = token.end
    const kind = kindOf(token, context, { before, beforeText, next: nextIn(text, at) })
    yield { kind, start: token.start, end: token.end }
    if (token.kind === 'symbol') {
      if (token.text === '[' && context.lexicon !== 'expression') {
        const isTemplate = context.command === 'foreach'
        stack.push({ kind: 'pipeline', command: 'search', lexicon: isTemplate ? 'template' : 'words', depth: 0 })
        expects = isTemplate ? 'command' : 'first'
      } else if (token.text === ']' && stack.length > 1) {
        while (stack.at(-1)!.kind === 'expression') stack.pop()
        if (stack.length > 1) stack.pop()
      } else if (token.text === '(' && context.kind === 'expression') context.depth++
      else if (token.text === '(' && context.lexicon === 'words' && before === 'function' && beforeText === 'eval') stack.push({ kind: 'expression', command: 'eval', lexicon: 'expression', depth: 1 })
      else if (token.text === ')' && context.kind === 'expression' && --context.depth === 0) stack.pop()
    }
    before = kind
    beforeText = token.text.toLowerCase()
  }
}

function kindOf ({ kind, text }: Token, { command, lexicon }: Context, { before, beforeText, next }: { before: Highlight['kind'] | null, beforeText: string, next: string }): Highlight['kind'] {
  switch (kind) {
    case 'quoted': return 'string'
    case 'field': return 'field'
    case 'number': return 'number'
    case 'symbol': return 'operator'
  }
  const isCondition = command === 'search'
  if (next === '(' && text.toUpperCase() === 'LIKE') return 'function'
  if ((isCondition ? KEYWORDS_OF_CONDITIONS : KEYWORDS).has(text.toUpperCase())) return 'keyword'
  if (next === '(' && !isCondition) return 'function'
  if (lexicon !== 'words') return 'field'
  if (next === '=' && OPTIONS[command]?.includes(text.toLowerCase()) === true) return 'option'
  if (/^[-+]?\d+(?:\.\d+)?$/.test(text)) return 'number'
  if (isCondition && /[=<>!]|in/.test(next)) return 'field'
  if (isCondition || (before === 'operator' && /[=<>]/.test(beforeText))) return 'value'
  return /^c(?:ount)?$/i.test(text) && before !== 'keyword' && /stats$/.test(command) ? 'function' : 'field'
}

function wordAt (text: string, at: number): string {
  const word = /\w*/y
  word.lastIndex = at
  return word.exec(text)![0]
}

/** The next character that is no blank, or `in` where that word is next; '' at the end. */
function nextIn (text: string, at: number): string {
  const next = /\s*(in(?=[\s(])|\S|)/iy
  next.lastIndex = at
  return next.exec(text)![1]!.toLowerCase()
}
