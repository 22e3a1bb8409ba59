import type { DedupStage, EventstatsStage, HeadStage, MvexpandStage, ReverseStage, SortKey, SortStage, SortType, TailStage, TopStage } from './ast.js'
import { quote } from './errors.js'
import type { Token, Tokens } from './lex.js'
import { parseFieldsAndOptions, parseOneField } from './parse-fields.js'
import { Options, parseField, parseStats, takeOption, toCount } from './parse-stages.js'

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
  const fields = parseFieldsAndOptions(tokens, options, () => tokens.isKeyword('SORTBY'))
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

/** top = ( "top" | "rare" ) [ count ] { option | field } [ "BY" field { [ "," ] field } ] */
export function parseTop (tokens: Tokens, start: Token, kind: 'top' | 'rare'): TopStage {
  const options = new Options(tokens, kind)
  while (options.take());
  const count = takeCount(tokens)
  const fields = parseFieldsAndOptions(tokens, options, () => tokens.isKeyword('BY'))
  if (fields.length === 0) throw tokens.unexpected('a field')
  const hasBy = tokens.takeKeyword('BY')
  const by = hasBy ? parseFieldsAndOptions(tokens, options) : []
  if (hasBy && by.length === 0) throw tokens.unexpected('a field')
  const countfield = options.flag('showcount', true) ? options.field('countfield', 'count') : null
  const percentfield = options.flag('showperc', true) ? options.field('percentfield', 'percent') : null
  const columns = [...by, ...fields, countfield, percentfield].filter(name => name !== null)
  const twice = columns.find((name, index) => columns.indexOf(name) !== index)
  if (twice !== undefined) throw tokens.errorFrom(`Two columns are called ${quote(twice)}`, start)
  return { kind, count: options.count('limit', count ?? DEFAULT_HEAD), fields, by, countfield, percentfield, span: tokens.spanFrom(start) }
}

/** eventstats = "eventstats" …, as stats */
export function parseEventstats (tokens: Tokens, start: Token): EventstatsStage {
  takeOption(tokens, 'eventstats')
  return { ...parseStats(tokens, start), kind: 'eventstats' }
}

/** mvexpand = "mvexpand" field [ "limit" "=" count ] (R77) */
export function parseMvexpand (tokens: Tokens, start: Token): MvexpandStage {
  const options = new Options(tokens, 'mvexpand')
  const field = parseOneField(tokens, options)
  return { kind: 'mvexpand', field, limit: options.count('limit', 0), span: tokens.spanFrom(start) }
}

/** A number that more follows. */
function takeCount (tokens: Tokens): number | null {
  if (tokens.next.kind !== 'word' || !/^\d+$/.test(tokens.next.text) || tokens.peek(1).kind === 'end') return null
  return toCount(tokens, tokens.take())
}
