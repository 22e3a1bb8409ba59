import type { Span, Subsearch } from './ast.js'
import { quote } from './errors.js'
import type { SplError } from './errors.js'
import { endOfQuoted, unescapeQuoted } from './macro.js'
import type { DataModel, Knowledge } from './knowledge.js'
import type { ExpandedText } from './macro.js'

/**
 * `word`: what most commands are made of, ended by blanks, quotes, brackets, commas and comparisons. `quoted`: text in double quotes.
 * Expressions have `name` and `number` instead of words, and `field` for a name in single quotes. `text` is without quotes and escapes.
 */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'symbol' | 'name' | 'field' | 'number' | 'end'
  readonly text: string
  /** Offsets into the expanded text. */
  readonly start: number
  readonly end: number
}

/**
 * The ways to read a command: `process=/bin/ls` is three words to `search`, a division to `where`. A template is an expression whose names
 * may have placeholders such as `<<FIELD>>`.
 */
export type Lexicon = 'words' | 'expression' | 'template'

type Rule = readonly [kind: Token['kind'], pattern: RegExp]

const NUMBER: Rule = ['number', /\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y]
const OPERATOR: Rule = ['symbol', /==|!=|<=|>=|[-+*/%.=<>(),[\]]/y]

const RULES: Record<Lexicon, readonly Rule[]> = {
  words: [
    ['symbol', /!=|<=|>=|[()=,<>[\]]/y],
    ['word', /(?:[^\s|(),"=<>[\]!]|!(?!=))+/y],
  ],
  expression: [NUMBER, ['name', /[A-Za-z_]\w*/y], OPERATOR],
  template: [NUMBER, ['name', /(?:[A-Za-z_]|<<\w+>>)(?:\w|<<\w+>>)*/y], OPERATOR],
}

/** How deep parentheses, NOT and function calls may nest. */
const MAX_NESTING = 200

/** The text of a search, with what commands need beside their own words. */
export interface SearchText extends ExpandedText {
  readonly lookups: Knowledge['lookups']
  /** The data model of a name, or the first object of one; notes that the search reads it. */
  readonly useDataModel: (name: string) => { readonly name: string, readonly model: DataModel } | null
  readonly dataModelNames: readonly string[]
  /** How deep what is being parsed is nested, in brackets too. */
  readonly nesting: { levels: number }
  /** Parses the search between two offsets, which stands in brackets. */
  readonly parseSubsearch: (from: number, to: number) => Subsearch
}

/** The text of something that names nothing but fields and has no search in brackets. */
export function toPlainText (expanded: ExpandedText): SearchText {
  const parseSubsearch = (from: number): Subsearch => { throw expanded.error('A search can\'t stand here', from - 1, from) }
  return { ...expanded, lookups: new Map(), useDataModel: () => null, dataModelNames: [], nesting: { levels: 0 }, parseSubsearch }
}

/** The tokens of one command, up to the next pipe, and a place in them. */
export class Tokens {
  /** Messages about what was read leniently. */
  readonly warnings: string[] = []
  readonly #tokens: Token[]
  #index = 0

  constructor (readonly source: SearchText, readonly lexicon: Lexicon, from: number, readonly to = source.text.length) {
    this.#tokens = lex(source, lexicon, from, to)
  }

  /** The next token; at the end of the command always `end`. */
  get next (): Token { return this.peek(0) }

  /** The token so many places after the next one. */
  peek (ahead: number): Token { return this.#tokens[Math.min(this.#index + ahead, this.#tokens.length - 1)]! }

  /** Where the command ends: at a pipe, or at the end of the text. */
  get end (): number { return this.#tokens.at(-1)!.start }

  take (): Token {
    const token = this.next
    this.#index = Math.min(this.#index + 1, this.#tokens.length - 1)
    return token
  }

  isSymbol (text: string): boolean { return this.next.kind === 'symbol' && this.next.text === text }

  takeSymbol (text: string): boolean {
    if (!this.isSymbol(text)) return false
    this.take()
    return true
  }

  expectSymbol (text: string, where: string): void {
    if (!this.takeSymbol(text)) throw this.unexpected(`"${text}" ${where}`)
  }

  /** Whether the next token is this word in any letter case (R78). */
  isKeyword (upper: string): boolean {
    return (this.next.kind === 'word' || this.next.kind === 'name') && this.next.text.toUpperCase() === upper
  }

  takeKeyword (upper: string): boolean {
    if (!this.isKeyword(upper)) return false
    this.take()
    return true
  }

  /** Takes a sign: a word of its own, or what a word begins with, as in `-count`. */
  takeSign (): '+' | '-' | null {
    const { kind, text, start, end } = this.next
    const sign = text[0]
    if (kind !== 'word' || (sign !== '+' && sign !== '-')) return null
    if (text.length === 1) this.take()
    else this.#tokens[this.#index] = { kind, text: text.slice(1), start: start + 1, end }
    return sign
  }

  /** Parses the expression in the parentheses that begin here, which may hold more of them; what follows is read as before. */
  inParentheses<T> (parse: (inner: Tokens) => T): T {
    const open = this.take()
    const end = endOfParentheses(this.source.text, open.start)
    if (end === null) throw this.error('This ( has no closing )', open)
    const inner = new Tokens(this.source, 'expression', open.end, end - 1)
    const result = parse(inner)
    if (inner.next.kind !== 'end') throw inner.unexpected('the end of the expression')
    this.warnings.push(...inner.warnings)
    this.#goBehind(end)
    return result
  }

  /** Parses the search in the brackets that begin here, pipes and all; what follows is read as before. */
  inBrackets (): Subsearch {
    const open = this.take()
    const end = endOfBrackets(this.source.text, open.start, this.to)
    if (end === null) throw this.error('This [ has no closing ]', open)
    const subsearch = this.source.parseSubsearch(open.end, end - 1)
    this.#goBehind(end)
    return subsearch
  }

  /** Goes on behind the ) or ] that ends at `end`. A pipe before it has ended the tokens: then what follows is read only now. */
  #goBehind (end: number): void {
    while (this.next.kind !== 'end' && this.next.start < end - 1) this.take()
    if (this.next.kind === 'end') {
      const close: Token = { kind: 'symbol', text: this.source.text[end - 1]!, start: end - 1, end }
      this.#tokens.splice(this.#index, Infinity, close, ...lex(this.source, this.lexicon, end, this.to))
    }
    this.take()
  }

  /** The text as it stands from a token to the last one taken. */
  textFrom ({ start }: Token): string { return this.source.text.slice(start, this.#lastEnd) }

  /** The place in the written text from a token to the last one taken. */
  spanFrom (token: Token): Span {
    return this.source.spanOf(token.start, Math.max(token.end, this.#lastEnd))
  }

  /** `Expected X, found "Y"` at the next token. */
  unexpected (expected: string): SplError { return this.error(`Expected ${expected}, found ${describe(this.next)}`, this.next) }

  /** An error at a token. */
  error (detail: string, { start, end }: Token): SplError { return this.source.error(detail, start, end) }

  /** An error at one character of what a token in quotes says, its escapes resolved. */
  errorInQuoted (detail: string, { start, end }: Token, offset: number): SplError {
    const { text } = this.source
    let at = start + 1
    for (let i = 0; i < offset && at < end - 1; i++) at += text[at] === '\\' && (text[at + 1] === '\\' || text[at + 1] === text[start]) ? 2 : 1
    return this.source.error(detail, at, at + 1)
  }

  /** Notes a message about a token, in the form of an error's. */
  warn (detail: string, token: Token): void { this.warnings.push(this.error(detail, token).message) }

  /** An error about what stands from a token to the last one taken. */
  errorFrom (detail: string, token: Token): SplError {
    return this.source.error(detail, token.start, Math.max(token.end, this.#lastEnd))
  }

  /** Runs a parser one level deeper; too many levels are an error, not a stack overflow. */
  nested<T> (parse: () => T): T {
    const { nesting } = this.source
    if (++nesting.levels > MAX_NESTING) throw this.error(`This is nested more than ${MAX_NESTING} levels deep`, this.next)
    const node = parse()
    nesting.levels--
    return node
  }

  get #lastEnd (): number { return this.#tokens[this.#index - 1]?.end ?? 0 }
}

function describe ({ kind, text }: Token): string {
  return kind === 'end' ? 'the end of the command' : quote(text)
}

function lex (source: SearchText, lexicon: Lexicon, from: number, to: number): Token[] {
  const { text } = source
  const tokens: Token[] = []
  let at = from
  for (;;) {
    while (at < to && /\s/.test(text[at]!)) at++ // newlines count as spaces (R78)
    if (at === to || text[at] === '|') break
    const token = tokenAt(text, lexicon, at)
    if (token === null) throw source.error(isQuote(text[at], lexicon) ? `This ${text[at]} has no closing ${text[at]}` : unreadable(text, at), at, at + 1)
    if (token.kind === 'field' && /["`]/.test(token.text)) throw source.error('A field name in single quotes can\'t hold " or `', at, token.end)
    tokens.push(token)
    at = token.end
  }
  return [...tokens, { kind: 'end', text: '', start: at, end: at }]
}

/** The offset behind the parenthesis that closes the one at `at`; those in quotes close nothing. */
function endOfParentheses (text: string, at: number): number | null {
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const char = text[i]
    if (char === '"' || char === "'") i = (endOfQuoted(text, i) ?? text.length) - 1
    else if (char === '(') depth++
    else if (char === ')' && --depth === 0) return i + 1
  }
  return null
}

/** The offset behind the bracket that closes the one at `at`; those in double quotes close nothing. */
function endOfBrackets (text: string, at: number, to: number): number | null {
  let depth = 0
  for (let i = at; i < to; i++) {
    const char = text[i]
    if (char === '"') i = (endOfQuoted(text, i) ?? text.length) - 1
    else if (char === '[') depth++
    else if (char === ']' && --depth === 0) return i + 1
  }
  return null
}

/** What stands at `at`; null where nothing can be read there, such as a quote that isn't closed. */
export function tokenAt (text: string, lexicon: Lexicon, at: number): Token | null {
  const mark = text[at]
  if (isQuote(mark, lexicon)) {
    const end = endOfQuoted(text, at)
    return end === null ? null : { kind: mark === '"' ? 'quoted' : 'field', text: unescapeQuoted(text.slice(at, end)), start: at, end }
  }
  for (const [kind, pattern] of RULES[lexicon]) {
    pattern.lastIndex = at
    const [found] = pattern.exec(text) ?? []
    if (found !== undefined) return { kind, text: found, start: at, end: at + found.length }
  }
  return null
}

function isQuote (char: string | undefined, lexicon: Lexicon): boolean {
  return char === '"' || (char === "'" && lexicon !== 'words')
}

function unreadable (text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at)!)
  return `${quote(char)} can't stand here; field names with such characters go in single quotes, text in double quotes`
}
