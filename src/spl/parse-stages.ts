import type { Aggregate, BinStage, ConvertStage, EvalStage, Expr, StatsStage, TableStage, WhereStage } from './ast.js'
import { nearestHint, quote } from './errors.js'
import { CONVERT_FUNCTIONS, findStatsFunction, PERCENTILE_FUNCTIONS, STATS_FUNCTIONS } from './functions.js'
import type { Token, Tokens } from './lex.js'
import { parseAny, parseCondition, parseValue } from './parse-expression.js'
import { checkField } from './parse-predicate.js'
import { DEFAULT_TIME_FORMAT, parseTimeFormat } from './strftime.js'

const DAY = 86_400

/** Spellings of the units of a span, in seconds. Days are those of the time zone (R21); longer units aren't supported. */
const SPAN_UNITS: ReadonlyMap<string, number> = new Map([
  ...['s', 'sec', 'secs', 'second', 'seconds'].map(name => [name, 1] as const),
  ...['m', 'min', 'mins', 'minute', 'minutes'].map(name => [name, 60] as const),
  ...['h', 'hr', 'hrs', 'hour', 'hours'].map(name => [name, 3600] as const),
  ...['d', 'day', 'days'].map(name => [name, DAY] as const),
])

/** Spans up to about 317 years, which keeps every bin an exact number of microseconds. */
const MAX_SPAN_SECONDS = 1e10

/** Options of commands, by command. */
export const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  addtotals: ['fieldname', 'row', 'col'],
  bin: ['span'],
  convert: ['timeformat'],
  dedup: ['keepempty', 'consecutive'],
  eventstats: [],
  fields: [],
  fillnull: ['value'],
  foreach: [],
  head: ['limit'],
  inputlookup: ['append', 'start', 'max'],
  join: ['type', 'max', 'overwrite', 'usetime'],
  lookup: ['local', 'update'],
  makemv: ['delim', 'tokenizer', 'allowempty'],
  mvexpand: ['limit'],
  nomv: [],
  rare: ['limit', 'showcount', 'showperc', 'countfield', 'percentfield'],
  regex: [],
  rename: [],
  replace: [],
  reverse: [],
  rex: ['field', 'mode', 'max_match'],
  sort: ['limit'],
  spath: ['input', 'output', 'path'],
  stats: [],
  table: [],
  tail: ['limit'],
  tstats: ['summariesonly', 'allow_old_summaries', 'fillnull_value', 'prestats', 'local', 'append', 'include_reduced_buckets', 'chunk_size'],
  top: ['limit', 'showcount', 'showperc', 'countfield', 'percentfield'],
}

/** bin = "bin" { "span" "=" span | field | "AS" field }, options anywhere (R20–R23) */
export function parseBin (tokens: Tokens, start: Token): BinStage {
  let field: string | null = null
  let as: string | null = null
  let span: ParsedSpan | null = null
  while (tokens.next.kind !== 'end') {
    const option = takeOption(tokens, 'bin')
    if (option !== null) {
      if (span !== null) throw tokens.error('The option "span" is there twice', option.name)
      span = parseSpan(tokens, option.value)
    } else if (field === null) field = parseField(tokens)
    else if (as === null && tokens.isKeyword('AS')) as = parseAs(tokens)
    else throw tokens.unexpected('the end of the command')
  }
  if (field === null) throw tokens.unexpected('a field')
  if (span === null) throw tokens.errorFrom('Expected span=, for example span=5m', start)
  if (!span.hasUnit && field !== '_time') throw tokens.errorFrom('Numeric bins, which Splunk turns into ranges such as 0-10, aren\'t supported; of a time field, write the span with its unit', start)
  return { kind: 'bin', field, spanSeconds: span.seconds, ...daysOf(span), as: as ?? field, span: tokens.spanFrom(start) }
}

export interface ParsedSpan { readonly seconds: number, readonly hasUnit: boolean, readonly days: number | null }

/** What a stage has of a span in days. */
export function daysOf ({ days }: ParsedSpan): { days?: number } {
  return days === null ? {} : { days }
}

/** span = number [ unit ]; without a unit it is seconds, and may have up to six decimals */
export function parseSpan (tokens: Tokens, token: Token): ParsedSpan {
  const [, digits, unit = ''] = /^(\d+(?:\.\d{1,6})?)([a-z]*)$/i.exec(token.text) ?? []
  const scale = unit === '' ? 1 : SPAN_UNITS.get(unit)
  if (digits === undefined || scale === undefined || (unit !== '' && digits.includes('.'))) {
    throw tokens.error(`Expected a span in seconds, minutes, hours or days such as 30s, 5m, 1h or 1d, found ${quote(token.text)}`, token)
  }
  const seconds = Number(digits) * scale
  if (seconds <= 0 || seconds > MAX_SPAN_SECONDS) throw tokens.error(`The span ${quote(token.text)} is out of range`, token)
  return { seconds, hasUnit: unit !== '', days: scale === DAY ? Number(digits) : null }
}

/** stats = "stats" aggregate { [ "," ] aggregate } [ "BY" field { [ "," ] field } ] (R30–R44) */
export function parseStats (tokens: Tokens, start: Token): StatsStage {
  takeOption(tokens, 'stats')
  const aggregates = parseAggregates(tokens, () => tokens.next.kind === 'end' || tokens.isKeyword('BY')).map(({ aggregate }) => aggregate)
  const columns = new Set(aggregates.map(({ as }) => as))
  const by: string[] = []
  if (tokens.takeKeyword('BY')) {
    do {
      const token = tokens.next
      const field = parseField(tokens)
      if (by.includes(field)) throw tokens.error(`The field ${quote(field)} is there twice`, token)
      if (columns.has(field)) throw tokens.error(`An aggregate is called ${quote(field)} as well; give it another name with AS`, token)
      by.push(field)
    } while (takeSeparator(tokens))
  }
  return { kind: 'stats', aggregates, by, span: tokens.spanFrom(start) }
}

/** aggregates = aggregate { [ "," ] aggregate }, each with the token that it begins with */
export function parseAggregates (tokens: Tokens, isAtEnd: () => boolean): { aggregate: Aggregate, token: Token }[] {
  const aggregates: { aggregate: Aggregate, token: Token }[] = []
  do {
    const token = tokens.next
    const aggregate = parseAggregate(tokens)
    if (aggregates.some(one => one.aggregate.as === aggregate.as)) throw tokens.errorFrom(`Two columns are called ${quote(aggregate.as)}`, token)
    aggregates.push({ aggregate, token })
  } while (takeSeparator(tokens, isAtEnd))
  return aggregates
}

/** aggregate = function [ "(" ( field | "eval" "(" expression ")" ) ")" ] [ "AS" field ]; only count goes without a field */
function parseAggregate (tokens: Tokens): Aggregate {
  const start = tokens.next
  const found = start.kind === 'word' ? findStatsFunction(start.text) : null
  if (start.kind === 'word' && found === null && !tokens.isKeyword('BY') && !tokens.isKeyword('AS')) {
    const isPercentile = PERCENTILE_FUNCTIONS.has(start.text.toLowerCase().replace(/[\d.]+$/, ''))
    const hint = isPercentile ? '; percentiles have a number from 0 to 100 in their name, such as perc95' : nearestHint(start.text, STATS_FUNCTIONS.keys())
    throw tokens.error(`The stats function ${quote(start.text)} isn't supported${hint}`, start)
  }
  if (found === null) throw tokens.unexpected('a stats function such as count')
  tokens.take()
  let field: string | null = null
  let expr: Expr | null = null
  if (tokens.takeSymbol('(')) {
    if (tokens.isKeyword('EVAL') && tokens.peek(1).kind === 'symbol' && tokens.peek(1).text === '(') {
      tokens.take()
      expr = tokens.inParentheses(inner => found.function === 'count' ? parseAny(inner) : parseValue(inner))
    } else field = parseField(tokens)
    tokens.expectSymbol(')', `at the end of ${start.text}(…)`)
  } else if (found.function !== 'count') throw tokens.unexpected(`"(" after ${quote(start.text)}`)
  const written = expr === null ? (field === null ? start.text : `${start.text}(${field})`) : tokens.textFrom(start)
  const as = parseAs(tokens) ?? written // R41
  return { ...found, field, ...(expr === null ? {} : { expr }), as, span: tokens.spanFrom(start) }
}

/** eval = "eval" assignment { "," assignment } (R55) */
export function parseEval (tokens: Tokens, start: Token): EvalStage {
  const assignments: EvalStage['assignments'][number][] = []
  do {
    const target = tokens.next
    if (target.kind !== 'name' && target.kind !== 'field' && target.kind !== 'quoted') throw tokens.unexpected('a field to set')
    const field = checkField(tokens, tokens.take())
    tokens.expectSymbol('=', `after ${quote(field)}`)
    assignments.push({ field, expr: parseValue(tokens) })
  } while (tokens.takeSymbol(','))
  return { kind: 'eval', assignments, span: tokens.spanFrom(start) }
}

/** where = "where" condition (R53) */
export function parseWhere (tokens: Tokens, start: Token): WhereStage {
  return { kind: 'where', expr: parseCondition(tokens), span: tokens.spanFrom(start) }
}

/** table = "table" field { [ "," ] field }; a field may have wildcards (R72) */
export function parseTable (tokens: Tokens, start: Token): TableStage {
  takeOption(tokens, 'table')
  const fields: string[] = []
  do fields.push(parseField(tokens, 'with wildcards'))
  while (takeSeparator(tokens))
  return { kind: 'table', fields: [...new Set(fields)], span: tokens.spanFrom(start) }
}

/** convert = "convert" { "timeformat" "=" text | [ "," ] conversion } (R70) */
export function parseConvert (tokens: Tokens, start: Token): ConvertStage {
  let timeformat: string | null = null
  const conversions: ConvertStage['conversions'][number][] = []
  do {
    const option = takeOption(tokens, 'convert')
    if (option === null) conversions.push(parseConversion(tokens))
    else if (timeformat !== null) throw tokens.error('The option "timeformat" is there twice', option.name)
    else {
      timeformat = option.value.text
      const { unsupported } = parseTimeFormat(timeformat)
      if (unsupported !== null) throw tokens.error(`The directive ${quote(unsupported)} isn't supported in a time format`, option.value)
    }
  } while (tokens.takeSymbol(',') || tokens.next.kind !== 'end')
  if (conversions.length === 0) throw tokens.unexpected('a conversion such as ctime(field)')
  return { kind: 'convert', timeformat: timeformat ?? DEFAULT_TIME_FORMAT, conversions, span: tokens.spanFrom(start) }
}

/** conversion = function "(" field ")" [ "AS" field ]; a field with wildcards is converted in place */
function parseConversion (tokens: Tokens): ConvertStage['conversions'][number] {
  const token = tokens.next
  if (token.kind !== 'word') throw tokens.unexpected('a conversion such as ctime(field)')
  const name = CONVERT_FUNCTIONS.get(token.text.toLowerCase())
  if (name === undefined) throw tokens.error(`The convert function ${quote(token.text)} isn't supported${nearestHint(token.text, CONVERT_FUNCTIONS.keys())}`, token)
  tokens.take()
  tokens.expectSymbol('(', `after ${quote(token.text)}`)
  const field = parseField(tokens, 'with wildcards')
  tokens.expectSymbol(')', `at the end of ${token.text}(…)`)
  if (field.includes('*') && tokens.isKeyword('AS')) throw tokens.error('AS names one field, and a wildcard may be several', tokens.next)
  return { function: name, field, as: parseAs(tokens) ?? field }
}

/** separator = { "," }: whether a list goes on. A comma behind its last item, as published content has it, changes nothing. */
export function takeSeparator (tokens: Tokens, isAtEnd: () => boolean = () => tokens.next.kind === 'end'): boolean {
  while (tokens.takeSymbol(','));
  return !isAtEnd()
}

/** field = word | text; one with a wildcard only where it may have one */
export function parseField (tokens: Tokens, wildcards?: 'with wildcards'): string {
  const token = tokens.next
  if (token.kind !== 'word' && token.kind !== 'quoted') throw tokens.unexpected('a field')
  tokens.take()
  return wildcards === undefined || !token.text.includes('*') ? checkField(tokens, token) : token.text
}

/** [ "AS" field ]; published content has names such as flags(inherited) without quotes */
export function parseAs (tokens: Tokens): string | null {
  if (!tokens.takeKeyword('AS')) return null
  const name = tokens.next
  const field = parseField(tokens)
  if (name.kind !== 'word' || !tokens.isSymbol('(') || tokens.next.start !== name.end) return field
  while (!tokens.isSymbol(')') && tokens.next.kind !== 'end') tokens.take()
  tokens.expectSymbol(')', `in the name ${quote(`${field}(`)}`)
  return tokens.textFrom(name)
}

/** option = name "=" value. Null where there is none; an option that the command doesn't have is an error. */
export function takeOption (tokens: Tokens, command: string): { name: Token, value: Token } | null {
  const name = tokens.next
  if (name.kind !== 'word' || tokens.peek(1).kind !== 'symbol' || tokens.peek(1).text !== '=') return null
  const known = OPTIONS[command] ?? []
  if (!known.includes(name.text.toLowerCase())) throw tokens.error(`The option ${quote(name.text)} of ${command} isn't supported${nearestHint(name.text, known)}`, name)
  tokens.take()
  tokens.take()
  if (tokens.next.kind !== 'word' && tokens.next.kind !== 'quoted') throw tokens.unexpected(`a value after "${name.text}="`)
  return { name, value: tokens.take() }
}

/** The options of one command, taken where they stand. Each may be there once. */
export class Options {
  readonly #values = new Map<string, Token>()
  constructor (readonly tokens: Tokens, readonly command: string) {}

  /** Takes the option that comes next, if one does. */
  take (): boolean {
    const option = takeOption(this.tokens, this.command)
    if (option === null) return false
    const name = option.name.text.toLowerCase()
    if (this.#values.has(name)) throw this.tokens.error(`The option ${quote(option.name.text)} is there twice`, option.name)
    this.#values.set(name, option.value)
    return true
  }

  token (name: string): Token | null { return this.#values.get(name) ?? null }

  text<T> (name: string, otherwise: T): string | T { return this.#values.get(name)?.text ?? otherwise }

  field<T> (name: string, otherwise: T): string | T {
    const token = this.#values.get(name)
    return token === undefined ? otherwise : checkField(this.tokens, token)
  }

  /** Of a whole number. */
  count<T> (name: string, otherwise: T): number | T {
    const token = this.#values.get(name)
    return token === undefined ? otherwise : toCount(this.tokens, token)
  }

  /** Of true, t, 1, false, f or 0. */
  flag (name: string, otherwise: boolean): boolean {
    const token = this.#values.get(name)
    if (token === undefined) return otherwise
    const text = token.text.toLowerCase()
    if (['true', 't', '1'].includes(text)) return true
    if (['false', 'f', '0'].includes(text)) return false
    throw this.tokens.error(`Expected true or false, found ${quote(token.text)}`, token)
  }
}

/** The number of rows that a token says. */
export function toCount (tokens: Tokens, token: Token): number {
  const count = /^\d+$/.test(token.text) ? Number(token.text) : NaN
  if (!Number.isSafeInteger(count)) throw tokens.error(`Expected a whole number, found ${quote(token.text)}`, token)
  return count
}
