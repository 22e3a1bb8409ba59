import type { Predicate, Span, Stage, Subsearch } from './ast.js'
import { joinTerms, nothing } from './predicate.js'
import type { Row, Value } from './row.js'
import { isMultivalue, toKey, toScalars, toText } from './value.js'

/** How many rows of a search in brackets count. Splunk takes 10,000 of a condition's and 50,000 of a join's (limits.conf). */
export const MAX_SUBSEARCH_ROWS = 50_000

/** Gives the rows of a search in brackets. */
export type RunSubsearch = (search: Subsearch) => readonly Row[]

/** The searches in brackets of a search, without those within them. */
export function subsearchesOf (stage: Stage): Subsearch[] {
  switch (stage.kind) {
    case 'search': return predicateSubsearches(stage.predicate)
    case 'inputlookup': return stage.where === null ? [] : predicateSubsearches(stage.where)
    case 'join': return [stage.search]
    default: return []
  }
}

export function predicateSubsearches (predicate: Predicate): Subsearch[] {
  switch (predicate.kind) {
    case 'and':
    case 'or': return predicate.terms.flatMap(predicateSubsearches)
    case 'not': return predicateSubsearches(predicate.term)
    case 'subsearch': return [predicate.search]
    default: return []
  }
}

/** The same condition with what each search in brackets says in its place. */
export function resolveSubsearches (predicate: Predicate, run: RunSubsearch): Predicate {
  switch (predicate.kind) {
    case 'and':
    case 'or': return { ...predicate, terms: predicate.terms.map(term => resolveSubsearches(term, run)) }
    case 'not': return { ...predicate, term: resolveSubsearches(predicate.term, run) }
    case 'subsearch': return toPredicate(run(predicate.search), predicate.span)
    default: return predicate
  }
}

/** Whether a search in brackets is in it, so that its fields aren't known. */
export function hasSubsearch (predicate: Predicate): boolean {
  return predicateSubsearches(predicate).length > 0
}

/** Rows as `format` makes a condition of them: any of the rows, all of its fields, any of a field's values. Of no rows nothing meets it. */
function toPredicate (rows: readonly Row[], span: Span): Predicate {
  const tables = new Map<string, { readonly fields: readonly string[], readonly rows: string[][] }>()
  const alternatives: Predicate[] = []
  for (const { values } of rows) {
    const cells = [...values].filter(([field]) => !field.startsWith('_'))
    if (cells.length === 0) continue
    const lines = toLines(cells)
    if (lines === null) {
      alternatives.push(joinTerms('and', cells.map(([field, value]) => anyOf(field, value, span)), span))
      continue
    }
    const fields = cells.map(([field]) => field)
    const key = toKey(fields)
    const table = tables.get(key) ?? { fields, rows: [] }
    for (const line of lines) table.rows.push(line)
    tables.set(key, table)
  }
  const terms = [...[...tables.values()].map(table => ofTable(table, span)), ...alternatives]
  return terms.length === 0 ? nothing(span) : joinTerms('or', terms, span)
}

function anyOf (field: string, value: Value, span: Span): Predicate {
  return joinTerms('or', toScalars(value).map((scalar): Predicate => isWord(field)
    ? { kind: 'raw', text: toText(scalar), span }
    : { kind: 'compare', field, op: '=', text: toText(scalar), span }), span)
}

/** What of a row is compared in a table of rows: of one field each value, of several their texts, if none is a pattern or a network. */
function toLines (cells: readonly (readonly [field: string, value: Value])[]): string[][] | null {
  if (cells.some(([field]) => isWord(field))) return null
  if (cells.length === 1) return toScalars(cells[0]![1]).map(scalar => [toText(scalar)])
  const texts = cells.flatMap(([, value]) => isMultivalue(value) ? [] : toText(value))
  return texts.length < cells.length || texts.some(text => text.includes('*') || /^[\d.:a-f]+\/\d+$/i.test(text)) ? null : [texts]
}

/** Of one field a list. Of several each has a list too, which a store can look up, beside the rows, which say what belongs together. */
function ofTable ({ fields, rows }: { readonly fields: readonly string[], readonly rows: readonly (readonly string[])[] }, span: Span): Predicate {
  const lists = fields.map((field, i): Predicate => ({ kind: 'in', field, texts: [...new Set(rows.map(texts => texts[i]!))], span }))
  return lists.length === 1 ? lists[0]! : { kind: 'and', terms: [...lists, { kind: 'rows', fields, rows, span }], span }
}

/** Of fields that are called so Splunk puts the value alone into the search. */
function isWord (field: string): boolean {
  return field === 'search' || field === 'query'
}
