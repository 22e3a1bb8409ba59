import type { Predicate, Span } from './ast.js'

/** A list of terms as one node: nested lists of the same kind become one, a single term stands for itself. */
export function joinTerms (kind: 'and' | 'or', terms: readonly Predicate[], span: Span): Predicate {
  const flat = terms.flatMap(term => term.kind === kind ? term.terms : [term])
  return flat.length === 1 ? flat[0]! : { kind, terms: flat, span }
}

/** What meets all of the terms, without those that everything meets; of none everything. */
export function allOf (terms: readonly Predicate[], span: Span): Predicate {
  const asked = terms.flatMap(andTerms).filter(({ kind }) => kind !== 'all')
  return asked.length === 0 ? { kind: 'all', span } : joinTerms('and', asked, span)
}

export function andTerms (predicate: Predicate): readonly Predicate[] {
  return predicate.kind === 'and' ? predicate.terms : [predicate]
}

/** What has no value in the field. */
export function lacks (field: string, span: Span): Predicate {
  return { kind: 'not', term: { kind: 'compare', field, op: '=', text: '*', span }, span }
}

/** The condition that nothing meets: of no rows in brackets, and of a search that begins with a table, whose rows are appended to no events. */
export function nothing (span: Span): Predicate {
  return { kind: 'not', term: { kind: 'all', span }, span }
}

export function isNothing (predicate: Predicate): boolean {
  return predicate.kind === 'not' && predicate.term.kind === 'all'
}
