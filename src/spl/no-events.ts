import type { Stage } from './ast.js'
import type { SearchPlan } from './plan.js'

/** Commands that give no row where none comes in. One that isn't here may: `stats count` gives 0. */
const GIVE_NOTHING: ReadonlySet<Stage['kind']> = new Set<Stage['kind']>([
  'search', 'where', 'regex', 'bin', 'eval', 'convert', 'table', 'fields', 'rename', 'fillnull', 'replace', 'rex', 'sed', 'spath', 'foreach', 'addtotals',
  'dedup', 'sort', 'head', 'tail', 'reverse', 'mvexpand', 'makemv', 'nomv', 'eventstats', 'top', 'rare', 'lookup', 'join',
])

/** Whether a search surely gives no row where there is no event (R43). */
export function isSilentWithoutEvents ({ query, stages }: Pick<SearchPlan, 'query' | 'stages'>): boolean {
  return (query.stats === null || isSilent(query.stats)) && stages.every(isSilent)
}

function isSilent (stage: Stage): boolean {
  return stage.kind === 'stats' ? stage.by.length > 0 : GIVE_NOTHING.has(stage.kind)
}
