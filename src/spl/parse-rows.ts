import type { DedupStage, HeadStage, ReverseStage, SortKey, SortStage, SortType, TailStage } from './ast.js'
import { quote } from './errors.js'
import type { Token, Tokens } from './lex.js'
import { parseFieldsAndOptions } from './parse-fields.js'
import { Options, parseField, toCount } from './parse-stages.js'

/** What head and tail give where the search says no number. */
const DEFAULT_HEAD = 10

/** What sort gives at most where the search says no number (R77). */
const DEFAULT_SORT = 10_000

const SORT_TYPES: readonly SortType[] = ['auto', 'num', 'str', 'ip']

/** dedup = "dedup" [ count ] { option | field } [ "sortby" key { [ "," ] key } ] (R77) */
export function parseDedup (tokens: Tokens, start: Token): DedupStage {
  const options = new Options(tokens, 'dedup')
  const countToken = tokens.next
  const count = takeCount(tokens) ?? 1
  if (count === 0) throw tokens.error('Expected a number of 1 or more', countToken)
  const fields = parseFieldsAndOptions(tokens, options, 'SORTBY')
  if (fields.length === 0) throw tokens.unexpected('a field')
  const sortby = tokens.takeKeyword('SORTBY') ? parseSortKeys(tokens) : []
  return {
    kind: 'dedup',
    count,
    fields,
    keepempty: options.flag('keepempty', false),
    consecutive: options.flag('consecutive', false),
    sortby,
    span: tokens.spanFrom(start),
  }
}

/** sort = "sort" [ count | "limit" "=" count ] key { [ "," ] key } [ "d" | "desc" ], which turns every key around (R77) */
export function parseSort (tokens: Tokens, start: Token): SortStage {
  const options = new Options(tokens, 'sort')
  while (options.take());
  const count = takeCount(tokens)
  const limit = options.count('limit', count ?? DEFAULT_SORT)
  while (options.take());
  return { kind: 'sort', count: limit, keys: parseSortKeys(tokens), span: tokens.spanFrom(start) }
}

function parseSortKeys (tokens: Tokens): SortKey[] {
  const keys: SortKey[] = []
  do {
    if (keys.length > 0 && tokens.peek(1).kind === 'end' && (tokens.isKeyword('D') || tokens.isKeyword('DESC'))) {
      tokens.take()
      return keys.map(key => ({ ...key, order: key.order === 'asc' ? 'desc' : 'asc' }))
    }
    keys.push(parseSortKey(tokens))
  } while (tokens.takeSymbol(',') || tokens.next.kind !== 'end')
  return keys
}

/** key = [ "+" | "-" ] ( field | ( "auto" | "num" | "str" | "ip" ) "(" field ")" ) */
function parseSortKey (tokens: Tokens): SortKey {
  const order = tokens.takeSign() === '-' ? 'desc' : 'asc'
  const name = tokens.next
  const type = SORT_TYPES.find(one => tokens.isKeyword(one.toUpperCase()))
  if (tokens.peek(1).kind !== 'symbol' || tokens.peek(1).text !== '(') return { field: parseField(tokens), type: 'auto', order }
  if (type === undefined) throw tokens.error(`Expected auto, num, str or ip, found ${quote(name.text)}`, name)
  tokens.take()
  tokens.take()
  const field = parseField(tokens)
  tokens.expectSymbol(')', `at the end of ${type}(…)`)
  return { field, type, order }
}

/** head = "head" [ count | "limit" "=" count ] (R77) */
export function parseHead (tokens: Tokens, start: Token): HeadStage {
  return { kind: 'head', count: parseRowCount(tokens, 'head'), span: tokens.spanFrom(start) }
}

/** tail = "tail" [ count | "limit" "=" count ] */
export function parseTail (tokens: Tokens, start: Token): TailStage {
  return { kind: 'tail', count: parseRowCount(tokens, 'tail'), span: tokens.spanFrom(start) }
}

function parseRowCount (tokens: Tokens, command: string): number {
  if (tokens.isSymbol('(')) throw tokens.error(`A condition of ${command} isn't supported; use where`, tokens.next)
  const options = new Options(tokens, command)
  options.take()
  return options.count('limit', null) ?? (tokens.next.kind === 'end' ? DEFAULT_HEAD : toCount(tokens, tokens.take()))
}

/** reverse = "reverse" */
export function parseReverse (tokens: Tokens, start: Token): ReverseStage {
  return { kind: 'reverse', span: tokens.spanFrom(start) }
}

/** A number that more follows. */
function takeCount (tokens: Tokens): number | null {
  if (tokens.next.kind !== 'word' || !/^\d+$/.test(tokens.next.text) || tokens.peek(1).kind === 'end') return null
  return toCount(tokens, tokens.take())
}
