import type { Predicate, Stage } from './ast.js'
import { nearestHint, quote } from './errors.js'
import type { DataModel } from './knowledge.js'
import type { Token, Tokens } from './lex.js'
import { parsePredicate } from './parse-predicate.js'
import type { ParsedSpan } from './parse-stages.js'
import { daysOf, Options, parseAggregates, parseField, parseSpan, takeSeparator } from './parse-stages.js'
import { allOf, lacks } from './predicate.js'
import { compileTest } from './stages/search.js'
import type { FieldTest } from './stages/search.js'

/** What a data model gives where an event has no value. Source: CIM's data models, `if(isnull(x) OR x="","unknown",x)`. */
const UNKNOWN = 'unknown'

/** Fields that every event has. Without a data model tstats reads these. */
const METADATA: readonly string[] = ['index', 'host', 'source', 'sourcetype']

/** What names of a tstats mean: `prefix.` before a data model's fields; null where it reads no data model. */
interface Source { readonly prefix: string, readonly model: DataModel | null }

/**
 * tstats = "tstats" { option } aggregate { [ "," ] aggregate } [ "FROM" "datamodel" [ "=" ] name ] [ "WHERE" condition ]
 *          [ ( "BY" | "GROUPBY" ) { [ "," ] field | "span" "=" span } ]
 *
 * Written over the fields that a data model's are mapped from: search, fillnull, bin, stats and rename give what tstats does.
 */
export function parseTstats (tokens: Tokens, start: Token): Stage[] {
  const options = new Options(tokens, 'tstats')
  while (options.take());
  for (const name of ['prestats', 'append'] as const) {
    if (options.flag(name, false)) throw tokens.error(`tstats with ${name}=true isn't supported: its rows are for another command to go on with`, options.token(name)!)
  }
  const aggregates = parseAggregates(tokens, () => isClause(tokens))
  const computed = aggregates.find(({ aggregate }) => aggregate.expr !== undefined)
  if (computed !== undefined) throw tokens.error('Expressions inside the functions of tstats aren\'t supported; compute them behind it', computed.token)
  const source = tokens.takeKeyword('FROM') ? parseSource(tokens) : { prefix: '', model: null }
  const condition = tokens.takeKeyword('WHERE') ? parseWhere(tokens, source) : null
  const by = takeBy(tokens) ? parseBy(tokens, source) : { fields: [], binSpan: null }
  if (tokens.next.kind !== 'end') throw tokens.unexpected('WHERE, BY or the end of the command')
  const span = tokens.spanFrom(start)
  const own = aggregates.map(({ aggregate, token }) => ({ ...aggregate, field: aggregate.field === null ? null : toOwnName(tokens, source, aggregate.field, token) }))
  const filled = [...new Set([...by.fields.map(({ own }) => own), ...own.flatMap(({ field }) => field ?? [])])].filter(field => source.model?.fields.includes(field))
  const renamed = by.fields.filter(({ name, own }) => name !== own)
  return [
    { kind: 'search', predicate: baseOf(source, condition, span), span },
    ...filled.length === 0 ? [] : [{ kind: 'fillnull', value: UNKNOWN, fields: filled, span } as const],
    ...by.binSpan === null ? [] : [{ kind: 'bin', field: '_time', spanSeconds: by.binSpan.seconds, ...daysOf(by.binSpan), as: '_time', span } as const],
    { kind: 'stats', aggregates: own, by: by.fields.map(({ own }) => own), span },
    ...renamed.length === 0 ? [] : [{ kind: 'rename', renames: renamed.map(({ name, own }) => ({ field: own, as: name })), span } as const],
  ]
}

function isClause (tokens: Tokens): boolean {
  return tokens.next.kind === 'end' || ['FROM', 'WHERE', 'BY', 'GROUPBY'].some(word => tokens.isKeyword(word))
}

function takeBy (tokens: Tokens): boolean {
  return tokens.takeKeyword('BY') || tokens.takeKeyword('GROUPBY')
}

/** source = "datamodel" [ "=" | ":" ] name, such as Endpoint.Processes; or Endpoint, with `nodename=Processes` in the condition */
function parseSource (tokens: Tokens): Source {
  if (!tokens.takeKeyword('DATAMODEL')) throw tokens.unexpected('datamodel=, for example datamodel=Endpoint.Processes')
  tokens.takeSymbol('=')
  const token = tokens.next
  const name = parseField(tokens)
  const { useDataModel, dataModelNames } = tokens.source
  const found = useDataModel(name)
  if (found === null) {
    throw tokens.error(`The data model ${quote(name)} isn't supported: no events have its fields${dataModelNames.length === 0 ? '' : `; there is ${dataModelNames.join(', ')}`}`, token)
  }
  return { prefix: `${found.name.slice(found.name.indexOf('.') + 1)}.`, model: found.model }
}

function parseWhere (tokens: Tokens, source: Source): Predicate {
  const predicate = parsePredicate(tokens, {
    isAtEnd: () => (tokens.isKeyword('BY') || tokens.isKeyword('GROUPBY')),
    toField: token => token.text === 'nodename' && source.model !== null ? token.text : toOwnName(tokens, source, token.text, token),
  })
  return source.model === null ? predicate : overFilled(predicate, source.model)
}

/** by = { [ "," ] field | "span" "=" span }; a span is that of _time */
function parseBy (tokens: Tokens, source: Source): { fields: { name: string, own: string }[], binSpan: ParsedSpan | null } {
  const fields: { name: string, own: string }[] = []
  let time: Token | null = null
  let binSpan: ParsedSpan | null = null
  do {
    const token = tokens.next
    const next = tokens.peek(1)
    if (tokens.isKeyword('SPAN') && next.kind === 'symbol' && next.text === '=') {
      tokens.take()
      tokens.take()
      if (binSpan !== null) throw tokens.error('The option "span" is there twice', token)
      binSpan = parseSpan(tokens, tokens.take())
      continue
    }
    const name = parseField(tokens)
    if (fields.some(field => field.name === name)) throw tokens.error(`The field ${quote(name)} is there twice`, token)
    if (name === '_time') time = token
    fields.push({ name, own: toOwnName(tokens, source, name, token) })
  } while (takeSeparator(tokens))
  if (time !== null && binSpan === null) throw tokens.error('Expected span= behind _time, for example BY _time span=5m: a range chosen by the length of the window isn\'t supported', time)
  return { fields, binSpan: time === null ? null : binSpan }
}

/** The name that an event has the field under. */
function toOwnName (tokens: Tokens, { prefix, model }: Source, name: string, token: Token): string {
  if (name === '_time' || METADATA.includes(name)) return name
  if (model === null) throw tokens.error(`Without a data model tstats reads _time, ${METADATA.join(', ')}; found ${quote(name)}`, token)
  const own = name.startsWith(prefix) ? name.slice(prefix.length) : null
  if (own !== null && (model.fields.includes(own) || METADATA.includes(own))) return own
  throw tokens.error(`The data model has no field ${quote(name)}${nearestHint(name, model.fields.map(field => prefix + field))}`, token)
}

/** The same condition over events, of which some have not the fields that their data model fills with "unknown". */
function overFilled (predicate: Predicate, model: DataModel): Predicate {
  switch (predicate.kind) {
    case 'and':
    case 'or': return { ...predicate, terms: predicate.terms.map(term => overFilled(term, model)) }
    case 'not': return { ...predicate, term: overFilled(predicate.term, model) }
    case 'compare':
    case 'in': return overFilledTest(predicate, model)
    default: return predicate
  }
}

function overFilledTest (test: FieldTest, model: DataModel): Predicate {
  const { span } = test
  if (test.field === 'nodename') return { kind: 'all', span }
  if (!model.fields.includes(test.field) || !compileTest(test)(UNKNOWN)) return test
  return { kind: 'or', terms: [test, lacks(test.field, span)], span }
}

function baseOf ({ model }: Source, condition: Predicate | null, span: Predicate['span']): Predicate {
  return allOf([
    ...model === null ? [] : [{ kind: 'in', field: 'sourcetype', texts: model.sourcetypes, span } as const],
    ...condition === null ? [] : [condition],
  ], span)
}
