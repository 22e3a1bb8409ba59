import type { Predicate, Subsearch } from './ast.js'
import type { SearchPlan } from './plan.js'
import { planSearch } from './plan.js'
import { hasSubsearch, predicateSubsearches, subsearchesOf } from './subsearch.js'

/**
 * A condition that every event meets which can change what a search gives. Other events may meet it too: what a search in brackets gives isn't known here, so its
 * own events count, and those that it would leave out.
 */
export function relevantPredicate ({ query: { predicate }, stages, lookups }: SearchPlan): Predicate {
  const inner = [...predicateSubsearches(predicate), ...stages.flatMap(subsearchesOf)].map(search => ofSubsearch(search, lookups))
  return inner.length === 0 ? predicate : { kind: 'or', terms: [withoutSubsearches(predicate), ...inner], span: predicate.span }
}

function ofSubsearch (search: Subsearch, lookups: SearchPlan['lookups']): Predicate {
  return relevantPredicate(planSearch(search, { columns: new Set(), pushDown: 'on', lookups }))
}

/** Met by all that meet it, whatever its searches in brackets give. */
function withoutSubsearches (predicate: Predicate): Predicate {
  if (!hasSubsearch(predicate)) return predicate
  const { span } = predicate
  return predicate.kind === 'and' ? { kind: 'and', terms: predicate.terms.map(withoutSubsearches), span } : { kind: 'all', span }
}
