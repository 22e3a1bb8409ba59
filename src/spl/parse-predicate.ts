import type { CompareOp, Predicate, Span } from './ast.js'
import type { Token, Tokens } from './lex.js'
import { quote } from './errors.js'

const COMPARISONS: ReadonlySet<string> = new Set(['=', '!=', '<', '<=', '>', '>='])

/** Words that look like fields and have a meaning of their own in Splunk, with what to do instead. */
const SPECIAL_FIELDS: ReadonlyMap<string, string> = new Map([
  ...['earliest', 'latest', '_index_earliest', '_index_latest', 'starttime', 'endtime'].map(
    name => [name, 'The time range comes from the schedule'] as const),
  ['eventtype', 'Write its condition instead'],
  ['tag', 'Write its condition instead'],
])

/** How many comparisons and list items a search may have. */
const MAX_TERMS = 10_000

/** Parses the condition of one `search` command, up to its end. */
export function parsePredicate (tokens: Tokens): Predicate {
  const parser = new PredicateParser(tokens)
  const predicate = parser.parseAnd()
  if (tokens.next.kind !== 'end') throw tokens.unexpected('a condition or the end of the command')
  return predicate
}

class PredicateParser {
  #terms = 0
  constructor (readonly tokens: Tokens) {}

  /** and = or { [ "AND" ] or }; terms side by side are joined by AND (R2), OR binds tighter (R3) */
  parseAnd (): Predicate {
    const { tokens } = this
    const start = tokens.next
    const terms = [this.#parseOr()]
    while (tokens.next.kind !== 'end' && !tokens.isSymbol(')')) {
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

  /** term = "*" | field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value | field "IN" "(" value { [ "," ] value } ")" */
  #parseTerm (): Predicate {
    const { tokens } = this
    const start = tokens.next
    if (tokens.isSymbol('[')) throw tokens.error("Subsearches aren't supported", start)
    if ((start.kind !== 'word' && start.kind !== 'quoted') || isWord(start, 'AND') || isWord(start, 'OR')) throw tokens.unexpected('a condition such as field=value')
    tokens.take()
    if (tokens.next.kind === 'symbol' && COMPARISONS.has(tokens.next.text)) {
      const field = this.#toField(start)
      const op = tokens.take().text as CompareOp // it is in COMPARISONS
      const text = this.#parseValue(start)
      return { kind: 'compare', field, op, text, span: tokens.spanFrom(start) }
    }
    if (isWord(tokens.next, 'IN') && tokens.peek(1).text === '(' && tokens.peek(1).kind === 'symbol') {
      const field = this.#toField(start)
      tokens.take()
      return { kind: 'in', field, texts: this.#parseList(start), span: tokens.spanFrom(start) }
    }
    if (isWord(start, '*')) return { kind: 'all', span: tokens.spanFrom(start) }
    throw tokens.error(bareWord(start, tokens.next), start)
  }

  /** R7: commas are optional. Published content has a full stop in place of one, and C comments between values. */
  #parseList (start: Token): string[] {
    const { tokens } = this
    tokens.expectSymbol('(', 'after IN')
    const texts: string[] = []
    do {
      this.#skipComments()
      texts.push(this.#parseValue(start))
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
    const special = SPECIAL_FIELDS.get(token.text) ?? (token.text.startsWith('tag::') ? SPECIAL_FIELDS.get('tag') : undefined)
    if (special !== undefined) throw tokens.error(`${quote(token.text)} isn't supported in a search. ${special}`, token)
    return checkField(tokens, token)
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

/** A list of terms as one node: nested lists of the same kind become one, a single term stands for itself. */
function joinTerms (kind: 'and' | 'or', terms: readonly Predicate[], span: Span): Predicate {
  const flat = terms.flatMap(term => term.kind === kind ? term.terms : [term])
  return flat.length === 1 ? flat[0]! : { kind, terms: flat, span }
}

function bareWord (word: Token, next: Token): string {
  if (word.kind === 'word' && ['AND', 'OR', 'NOT'].includes(word.text.toUpperCase())) return `Boolean words are written in upper case, found ${quote(word.text)}`
  if (next.kind === 'word' && next.text.toUpperCase() === 'IN') return `Expected ${quote(word.text)} IN (…), found ${quote(next.text)}`
  return `Expected field=value, found ${quote(word.text)}; searching the raw text for words isn't supported`
}
