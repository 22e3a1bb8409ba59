import type { Aggregate, EvalStage, Expr, LookupColumn, Predicate, Search, SortKey, Stage, StatsStage, TopStage } from './ast.js'
import { LEVEL, OPERATOR_WORDS, SIGN_LEVEL } from './parse-expression.js'

/** What an expression reads as one bare name. */
const NAME = /^[A-Za-z_]\w*$/

/** The canonical text of a search, macros expanded: parsed again, it gives the same search. */
export function printSearch (search: Search): string {
  return printStages(search.stages)
}

/** The same of some stages. */
export function printStages (stages: readonly Stage[], separator = '\n| '): string {
  return stages.map(printStage).join(separator)
}

function printStage (stage: Stage): string {
  switch (stage.kind) {
    case 'search': return `search ${printPredicate(stage.predicate)}`
    case 'bin': return `bin ${printWord(stage.field)} span=${stage.days === undefined ? printSpan(stage.spanSeconds) : `${stage.days}d`}${printAs(stage.as, stage.field)}`
    case 'stats': return `stats ${printAggregates(stage)}`
    case 'eval': return printEval(stage)
    case 'where': return `where ${printExpression(stage.expr, 0)}`
    case 'table': return `table ${stage.fields.map(printWord).join(', ')}`
    case 'convert': {
      const conversions = stage.conversions.map(({ function: name, field, as }) => `${name}(${printWord(field)})${printAs(as, field)}`)
      return `convert timeformat=${quoteText(stage.timeformat)} ${conversions.join(', ')}`
    }
    case 'fields': return `fields ${stage.mode === 'remove' ? '- ' : ''}${printWords(stage.fields)}`
    case 'rename': return `rename ${stage.renames.map(({ field, as }) => `${printWord(field)} AS ${printWord(as)}`).join(', ')}`
    case 'fillnull': return `fillnull value=${quoteText(stage.value)}${stage.fields === null ? '' : ` ${printWords(stage.fields)}`}`
    case 'dedup': return `dedup ${stage.count} ${printWords(stage.fields)}${printFlag('keepempty', stage)}${printFlag('consecutive', stage)}${stage.sortby.length > 0 ? ` sortby ${printSortKeys(stage.sortby)}` : ''}`
    case 'sort': return `sort ${stage.count} ${printSortKeys(stage.keys)}`
    case 'head':
    case 'tail': return `${stage.kind} ${stage.count}`
    case 'reverse': return 'reverse'
    case 'top':
    case 'rare': return printTop(stage)
    case 'eventstats': return `eventstats ${printAggregates(stage)}`
    case 'mvexpand': return `mvexpand ${printWord(stage.field)} limit=${stage.limit}`
    case 'makemv': return `makemv ${printWord(stage.field)} delim=${quoteText(stage.delim)}${stage.tokenizer === null ? '' : ` tokenizer=${quoteText(stage.tokenizer)}`}${printFlag('allowempty', stage)}`
    case 'nomv': return `nomv ${printWord(stage.field)}`
    case 'addtotals': return `addtotals fieldname=${quoteText(stage.as)} ${printWords(stage.fields)}`
    case 'replace': return `replace ${stage.pairs.map(({ from, to }) => `${quoteText(from)} WITH ${quoteText(to)}`).join(', ')}${stage.fields === null ? '' : ` IN ${printWords(stage.fields)}`}`
    case 'foreach': return `foreach ${printWords(stage.fields)} [${printEval(stage)}]`
    case 'spath': return `spath input=${quoteText(stage.input)}${stage.path === null ? '' : ` path=${quoteText(stage.path)} output=${quoteText(stage.output)}`}`
    case 'regex': return `regex ${printWord(stage.field)}${stage.op}${quoteText(stage.pattern)}`
    case 'rex': return `rex field=${quoteText(stage.field)} max_match=${stage.limit} ${quoteText(stage.pattern)}`
    case 'sed': return `rex field=${quoteText(stage.field)} mode=sed ${quoteText(stage.text)}`
    case 'join': return `join type=${stage.type} max=${stage.max} overwrite=${stage.overwrite} ${printWords(stage.fields)} [${printStages(stage.search.stages, ' | ')}]`
    case 'lookup': return `lookup ${printWord(stage.name)} ${printColumns(stage.inputs)}${stage.outputs.length === 0 ? '' : ` OUTPUT${stage.mode === 'new' ? 'NEW' : ''} ${printColumns(stage.outputs)}`}`
    case 'inputlookup': return `inputlookup append=true start=${stage.start}${stage.max === null ? '' : ` max=${stage.max}`} ${printWord(stage.name)}${stage.where === null ? '' : ` where ${printPredicate(stage.where)}`}`
    default: return stage satisfies never
  }
}

function printColumns (columns: readonly LookupColumn[]): string {
  return columns.map(({ column, field }) => `${printWord(column)}${printAs(field, column)}`).join(', ')
}

function printAggregates ({ aggregates, by }: Pick<StatsStage, 'aggregates' | 'by'>): string {
  return `${aggregates.map(printAggregate).join(', ')}${by.length > 0 ? ` BY ${printWords(by)}` : ''}`
}

function printEval ({ assignments }: Pick<EvalStage, 'assignments'>): string {
  return `eval ${assignments.map(({ field, expr }) => `${NAME.test(field) ? field : quoteText(field)} = ${printExpression(expr, 0)}`).join(', ')}`
}

function printTop ({ kind, count, fields, by, countfield, percentfield }: TopStage): string {
  const options = [
    countfield === null ? 'showcount=false' : `countfield=${quoteText(countfield)}`,
    percentfield === null ? 'showperc=false' : `percentfield=${quoteText(percentfield)}`,
  ]
  return `${kind} limit=${count} ${options.join(' ')} ${printWords(fields)}${by.length > 0 ? ` BY ${printWords(by)}` : ''}`
}

function printSortKeys (keys: readonly SortKey[]): string {
  return keys.map(({ field, type, order }) => {
    return (order === 'desc' ? '-' : '+') + (type === 'auto' ? printWord(field) : `${type}(${printWord(field)})`)
  }).join(', ')
}

/** A flag that is off where it isn't said. */
function printFlag<F extends string> (name: F, stage: Readonly<Record<F, boolean>>): string {
  return stage[name] ? ` ${name}=true` : ''
}

/** Terms below `and`, `or` and NOT go in parentheses where they are lists themselves. */
function printPredicate (predicate: Predicate): string {
  switch (predicate.kind) {
    case 'all': return '*'
    case 'and': return predicate.terms.map(printTerm).join(' ')
    case 'or': return predicate.terms.map(printTerm).join(' OR ')
    case 'not': return `NOT ${printTerm(predicate.term)}`
    case 'compare': return `${printWord(predicate.field)}${predicate.op}${quoteText(predicate.text)}`
    case 'in': return `${printWord(predicate.field)} IN (${predicate.texts.map(quoteText).join(', ')})`
    case 'is': return `${printWord(predicate.field)}=${quoteText(String(predicate.value))}` // the nearest that SPL can say
    case 'raw': return quoteText(predicate.text)
    case 'rows': return `(${predicate.rows.map(texts => `(${predicate.fields.map((field, i) => `${printWord(field)}=${quoteText(texts[i]!)}`).join(' ')})`).join(' OR ')})`
    case 'subsearch': return `[${printStages(predicate.search.stages, ' | ')}]`
    default: return predicate satisfies never
  }
}

function printTerm (term: Predicate): string {
  return term.kind === 'and' || term.kind === 'or' ? `(${printPredicate(term)})` : printPredicate(term)
}

function printAggregate ({ function: kind, percent, field, expr, as }: Aggregate): string {
  const name = kind + (percent ?? '')
  if (expr !== undefined) return `${name}(eval(${printExpression(expr, 0)})) AS ${printWord(as)}`
  const call = field === null ? name : `${name}(${printWord(field)})`
  return call + printAs(as, field === null ? name : `${name}(${field})`)
}

function printAs (as: string, otherwise: string): string {
  return as === otherwise ? '' : ` AS ${printWord(as)}`
}

/** Whole seconds get a unit, which says that the field is a time. */
function printSpan (seconds: number): string {
  return Number.isInteger(seconds) ? `${seconds}s` : seconds.toFixed(6)
}

/** An expression, in parentheses where it binds less tightly than what it stands in. */
function printExpression (expr: Expr, level: number): string {
  switch (expr.kind) {
    case 'string': return quoteText(expr.value)
    case 'number': return String(expr.value)
    case 'field': return NAME.test(expr.name) && !OPERATOR_WORDS.has(expr.name.toUpperCase()) ? expr.name : `'${escape(expr.name, "'")}'`
    case 'unary': {
      const own = expr.op === 'NOT' ? LEVEL.NOT : SIGN_LEVEL
      return within(own, level, `${expr.op} ${printExpression(expr.operand, own)}`)
    }
    case 'binary': {
      const own = LEVEL[expr.op]
      return within(own, level, `${printExpression(expr.left, own)} ${expr.op} ${printExpression(expr.right, own + 1)}`)
    }
    case 'call': return `${expr.name}(${expr.args.map(arg => printExpression(arg, 0)).join(', ')})`
    default: return expr satisfies never
  }
}

function within (own: number, level: number, text: string): string {
  return own < level ? `(${text})` : text
}

/** A field, in quotes unless it is a plain word that no command reads as a keyword. */
function printWord (text: string): string {
  return /^[A-Za-z_][\w.:{}*-]*$/.test(text) && !/^(?:as|by|and|or|not|in|search|sortby|d|desc|with|output|outputnew|where)$/i.test(text) ? text : quoteText(text)
}

function printWords (texts: readonly string[]): string {
  return texts.map(printWord).join(', ')
}

/** Text in double quotes, whatever it holds. */
export function quoteText (text: string): string {
  return `"${escape(text, '"')}"`
}

function escape (text: string, mark: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(mark, '\\' + mark)
}
