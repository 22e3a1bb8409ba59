import type { CompareOp, Predicate } from './ast.js'
import type { Token, Tokens } from './lex.js'
import { quote } from './errors.js'
import { joinTerms } from './predicate.js'

const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>='])

/** Words that look like fields and have a meaning of their own in Splunk, with what to do instead. */
const SPECIAL_FIELDS: ReadonlyMap<string, string> = new Map([
  ...['earliest', 'latest', '_index_earliest', '_index_latest', 'starttime', 'endtime'].map(
    name => [name, 'The time range comes from the schedule'] as const),
])

/** Fields that only the tables of `fields` give events: Splunk's own event types and tags are not there. */
const TABLE_FIELDS: ReadonlySet<string> = new Set(['eventtype', 'tag'])

/** Indexes that Splunk's own findings are in. */
const FINDING_INDEXES: ReadonlySet<string> = new Set(['risk', 'notable'])

/** How many comparisons and list items a search may have. */
const MAX_TERMS = 10_000

/** How a condition is read where it isn't that of a `search`. */
export interface PredicateOptions {
  /** Whether what comes next isn't of the condition any more. */
  readonly isAtEnd: () => boolean
  /** The field that a token names. Only comparisons of fields can be in the condition then. */
  readonly toField: (token: Token) => string
}

/** Parses the condition of one `search` command, up to its end. */
export function parsePredicate (tokens: Tokens, options: PredicateOptions | null = null): Predicate {
  const parser = new PredicateParser(tokens, options)
  const predicate = parser.parseAnd()
  if (!parser.isAtEnd()) throw tokens.unexpected('a condition or the end of the command')
  return predicate
}

class PredicateParser {
  #terms = 0
  constructor (readonly tokens: Tokens, readonly options: PredicateOptions | null) {}

  isAtEnd (): boolean { return this.tokens.next.kind === 'end' || this.options?.isAtEnd() === true }

  /** and = or { [ "AND" ] or }; terms side by side are joined by AND (R2), OR binds tighter (R3) */
  parseAnd (): Predicate {
    const { tokens } = this
    const start = tokens.next
    const terms = [this.#parseOr()]
    while (!this.isAtEnd() && !tokens.isSymbol(')')) {
      if (isWord(tokens.next, 'AND')) tokens.take()
      terms.push(this.#parseOr())
    }
    return joinTerms('and', terms, tokens.spanFrom(start))
  }

  /** or = not { "OR" not } */
  #parseOr (): Predicate {
    const { tokens } = this
    const start = tokens.next
    const terms = [this.#parseNot()]
    while (isWord(tokens.next, 'OR')) {
      tokens.take()
      terms.push(this.#parseNot())
    }
    return joinTerms('or', terms, tokens.spanFrom(start))
  }

  /** not = "NOT" not | "(" and ")" | term */
  #parseNot (): Predicate {
    const { tokens } = this
    const start = tokens.next
    if (isWord(start, 'NOT')) {
      tokens.take()
      const term = tokens.nested(() => this.#parseNot()) // R4: only the next term or group
      return { kind: 'not', term, span: tokens.spanFrom(start) }
    }
    if (tokens.takeSymbol('(')) {
      const group = tokens.nested(() => this.parseAnd())
      tokens.expectSymbol(')', 'at the end of the group')
      return group
    }
    return this.#parseTerm()
  }

  /** term = "*" | field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value | field "IN" "(" value { [ "," ] value } ")" | word | text | "[" search "]" */
  #parseTerm (): Predicate {
    const { tokens } = this
    const start = tokens.next
    if (tokens.isSymbol('[') && this.options === null) {
      const search = tokens.inBrackets()
      return { kind: 'subsearch', search, span: tokens.spanFrom(start) }
    }
    if ((start.kind !== 'word' && start.kind !== 'quoted') || isWord(start, 'AND') || isWord(start, 'OR')) throw tokens.unexpected('a condition such as field=value')
    tokens.take()
    if (tokens.next.kind === 'symbol' && COMPARISONS.has(tokens.next.text)) {
      const field = this.#toField(start)
      const op = tokens.take().text as CompareOp // it is in COMPARISONS
      const value = tokens.next
      const text = this.#parseValue(start)
      this.#refuseFindings(field, op, [value])
      return { kind: 'compare', field, op, text, span: tokens.spanFrom(start) }
    }
    if (isWord(tokens.next, 'IN') && tokens.peek(1).text === '(' && tokens.peek(1).kind === 'symbol') {
      const field = this.#toField(start)
      tokens.take()
      return { kind: 'in', field, texts: this.#parseList(start, field), span: tokens.spanFrom(start) }
    }
    if (isWord(start, '*')) return { kind: 'all', span: tokens.spanFrom(start) }
    if (this.options !== null) throw tokens.error(`Expected field=value, found ${quote(start.text)}`, start)
    return this.#toRaw(start)
  }

  /** R13: a word or phrase of the raw text. Words that are meant for something else are errors. */
  #toRaw (word: Token): Predicate {
    const { tokens } = this
    if (++this.#terms > MAX_TERMS) throw tokens.error(`A search can have ${MAX_TERMS} comparisons`, word)
    if (word.kind === 'word' && ['AND', 'OR', 'NOT'].includes(word.text.toUpperCase())) throw tokens.error(`Boolean words are written in upper case, found ${quote(word.text)}`, word)
    if (tokens.next.kind === 'word' && tokens.next.text.toUpperCase() === 'IN') throw tokens.error(`Expected ${quote(word.text)} IN (…), found ${quote(tokens.next.text)}`, word)
    if (tokens.isSymbol('(') && tokens.next.start === word.end) throw tokens.error(/^(?:TERM|CASE)$/.test(word.text) ? `${word.text}(…) isn't supported; give the word alone` : `Expected a condition, found ${quote(word.text)} and (`, word)
    if (/^\**$/.test(word.text)) throw tokens.error(word.text === '' ? 'Expected a condition, found an empty text' : 'Expected a condition, found only wildcards', word)
    return { kind: 'raw', text: word.text, span: tokens.spanFrom(word) }
  }

  /** Splunk's detections of detections read what was found before. Here that is no index: it is kept as findings. */
  #refuseFindings (field: string, op: CompareOp | 'IN', values: readonly Token[]): void {
    if (field !== 'index' || op === '!=') return
    const named = values.find(({ text }) => FINDING_INDEXES.has(text.toLowerCase()))
    if (named !== undefined) throw this.tokens.error(`There is no index ${quote(named.text)} to search: what detections find is kept as findings, with the score of their risk objects`, named)
  }

  /** R7: commas are optional. Published content has a full stop in place of one, and C comments between values. */
  #parseList (start: Token, field: string): string[] {
    const { tokens } = this
    tokens.expectSymbol('(', 'after IN')
    const texts: string[] = []
    do {
      this.#skipComments()
      const value = tokens.next
      texts.push(this.#parseValue(start))
      this.#refuseFindings(field, 'IN', [value])
      this.#skipComments()
      if (tokens.isSymbol(',')) tokens.take()
      else if (isWord(tokens.next, '.')) tokens.warn('A full stop between the values of a list is taken for a comma', tokens.take())
      this.#skipComments()
    } while (!tokens.takeSymbol(')'))
    return texts
  }

  // What opens and closes a comment are words of their own: /*bin*/ is a value.
  #skipComments (): void {
    const { tokens } = this
    while (isWord(tokens.next, '/*')) {
      const start = tokens.take()
      while (!isWord(tokens.next, '*/')) {
        if (tokens.next.kind === 'end') throw tokens.error('This comment has no closing */; as a value, /* goes in double quotes', start)
        tokens.take()
      }
      tokens.take()
      tokens.warn('A C comment in a list is left out; SPL has ```comments```', start)
    }
  }

  #parseValue (start: Token): string {
    const { tokens } = this
    if (++this.#terms > MAX_TERMS) throw tokens.error(`A search can have ${MAX_TERMS} comparisons`, start)
    const token = tokens.next
    if (token.kind !== 'word' && token.kind !== 'quoted') throw tokens.unexpected('a value')
    return tokens.take().text
  }

  #toField (token: Token): string {
    const { tokens } = this
    const special = SPECIAL_FIELDS.get(token.text)
    if (special !== undefined) throw tokens.error(`${quote(token.text)} isn't supported in a search. ${special}`, token)
    if (TABLE_FIELDS.has(token.text) || token.text.startsWith('tag::')) tokens.warn(`${quote(token.text)} is a field that only the tables of fields give events; event types and tags of Splunk are not there`, token)
    const field = checkField(tokens, token)
    return this.options === null ? field : this.options.toField(token)
  }
}

/** The text of a token that names one field; what can't be meant so is an error. */
export function checkField (tokens: Tokens, token: Token): string {
  const { text } = token
  if (text === '') throw tokens.error('Expected a field, found an empty name', token)
  if (text.includes('*')) throw tokens.error(`Expected one field, found ${quote(text)}; a wildcard isn't supported here`, token)
  if (token.kind === 'word' && text.startsWith("'")) throw tokens.error('Single quotes mark fields only in eval and where; use double quotes here', token)
  return text
}

/** Boolean words are words only in upper case and without quotes (R2). */
function isWord (token: Token, text: string): boolean {
  return token.kind === 'word' && token.text === text
}
