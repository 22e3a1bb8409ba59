import type { InputlookupStage, JoinStage, LookupStage, Stage } from './ast.js'
import { nearestHint, quote } from './errors.js'
import type { Token, Tokens } from './lex.js'
import type { LookupTable } from './lookup.js'
import { parseField, Options } from './parse-stages.js'
import { parseFieldsAndOptions } from './parse-fields.js'
import { parsePredicate } from './parse-predicate.js'
import { nothing } from './predicate.js'

/** What join matches at most where the search says no number. */
const DEFAULT_JOIN_MAX = 1

/** join = "join" { option | [ "," ] field } "[" search "]" */
export function parseJoin (tokens: Tokens, start: Token): JoinStage {
  const options = new Options(tokens, 'join')
  const fields = parseFieldsAndOptions(tokens, options, () => tokens.isSymbol('['))
  if (!tokens.isSymbol('[')) throw tokens.unexpected('[ and the search to join with')
  const typeToken = options.token('type')
  const type = typeToken?.text.toLowerCase() ?? 'inner'
  if (typeToken !== null && !['inner', 'left', 'outer'].includes(type)) throw tokens.error(`Expected inner, left or outer, found ${quote(typeToken.text)}`, typeToken)
  const usetime = options.token('usetime')
  if (usetime !== null && options.flag('usetime', false)) throw tokens.error('Joining by time isn\'t supported', usetime)
  const search = tokens.inBrackets()
  return {
    kind: 'join',
    type: type === 'inner' ? 'inner' : 'left',
    fields,
    max: options.count('max', DEFAULT_JOIN_MAX),
    overwrite: options.flag('overwrite', true),
    search,
    span: tokens.spanFrom(start),
  }
}

/** lookup = "lookup" { option } name { [ "," ] column [ "AS" field ] } [ ( "OUTPUT" | "OUTPUTNEW" ) { [ "," ] column [ "AS" field ] } ] */
export function parseLookup (tokens: Tokens, start: Token): LookupStage {
  const options = new Options(tokens, 'lookup')
  while (options.take());
  const { name, table } = parseTable(tokens)
  const isOutput = () => tokens.isKeyword('OUTPUT') || tokens.isKeyword('OUTPUTNEW')
  const inputs = parseColumns(tokens, table, () => tokens.next.kind === 'end' || isOutput())
  if (inputs.length === 0) throw tokens.unexpected(`a column of the lookup ${quote(name)}`)
  const mode = tokens.isKeyword('OUTPUTNEW') ? 'new' : 'all'
  const outputs = isOutput() && tokens.take() !== null
    ? parseColumns(tokens, table, () => tokens.next.kind === 'end')
    : table.columns.filter(column => !inputs.some(input => input.column === column)).map(column => ({ column, field: column }))
  return { kind: 'lookup', name, inputs, outputs, mode, span: tokens.spanFrom(start) }
}

/** Columns of a lookup, each with the field of the results that it is compared with or goes into. */
function parseColumns (tokens: Tokens, table: LookupTable, isAtEnd: () => boolean): { column: string, field: string }[] {
  const columns: { column: string, field: string }[] = []
  while (!isAtEnd()) {
    const token = tokens.next
    const column = parseField(tokens)
    if (!table.columns.includes(column)) throw tokens.error(`The lookup has no column ${quote(column)}${nearestHint(column, table.columns)}`, token)
    columns.push({ column, field: tokens.takeKeyword('AS') ? parseField(tokens) : column })
    while (tokens.takeSymbol(','));
  }
  return columns
}

/** inputlookup = "inputlookup" { option } name [ "where" condition ] */
export function parseInputlookup (tokens: Tokens, start: Token): Stage[] {
  const options = new Options(tokens, 'inputlookup')
  while (options.take());
  const { name, table } = parseTable(tokens)
  while (options.take());
  const where = tokens.takeKeyword('WHERE') ? parsePredicate(tokens) : null
  const span = tokens.spanFrom(start)
  const stage: InputlookupStage = { kind: 'inputlookup', name, columns: table.columns, where, start: options.count('start', 0), max: options.count('max', null), span }
  return options.flag('append', false) ? [stage] : [{ kind: 'search', predicate: nothing(span), span }, stage]
}

function parseTable (tokens: Tokens): { name: string, table: LookupTable } {
  const token = tokens.next
  if (token.kind !== 'word' && token.kind !== 'quoted') throw tokens.unexpected('the name of a lookup')
  tokens.take()
  const { lookups } = tokens.source
  const table = lookups.get(token.text)
  if (table === undefined) throw tokens.error(`The lookup ${quote(token.text)} isn't there${nearestHint(token.text, lookups.keys())}; its CSV file or YAML goes in a folder of detections.lookups`, token)
  return { name: token.text, table }
}
