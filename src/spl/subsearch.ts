import type { Predicate, Span, Stage, Subsearch } from './ast.js'
import type { Row } from './row.js'
import { toScalars, toText } from './value.js'

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
  const alternatives = rows.flatMap(({ values }): Predicate[] => {
    const terms = [...values].filter(([field]) => !field.startsWith('_')).map(([field, value]): Predicate => {
      const tests = toScalars(value).map((scalar): Predicate => isWord(field)
        ? { kind: 'raw', text: toText(scalar), span }
        : { kind: 'compare', field, op: '=', text: toText(scalar), span })
      return join('or', tests, span)
    })
    return terms.length === 0 ? [] : [join('and', terms, span)]
  })
  return alternatives.length === 0 ? { kind: 'not', term: { kind: 'all', span }, span } : join('or', withLists(alternatives, span), span)
}

/** Of fields that are called so Splunk puts the value alone into the search. */
function isWord (field: string): boolean {
  return field === 'search' || field === 'query'
}

/** Alternatives that compare one and the same field become one list, which is tested at once. */
function withLists (alternatives: readonly Predicate[], span: Span): Predicate[] {
  const texts = new Map<string, string[]>()
  const others: Predicate[] = []
  for (const one of alternatives) {
    if (one.kind !== 'compare') others.push(one)
    else if (texts.has(one.field)) texts.get(one.field)!.push(one.text)
    else texts.set(one.field, [one.text])
  }
  return [...[...texts].map(([field, list]): Predicate => ({ kind: 'in', field, texts: list, span })), ...others]
}

function join (kind: 'and' | 'or', terms: readonly Predicate[], span: Span): Predicate {
  return terms.length === 1 ? terms[0]! : { kind, terms, span }
}
