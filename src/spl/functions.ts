import type { AggregateFunction, ConvertFunction } from './ast.js'
import { CONDITION_FUNCTIONS } from './functions/condition.js'
import type { EvalFunction } from './functions/function.js'
import { JSON_FUNCTIONS } from './functions/json.js'
import { MULTIVALUE_FUNCTIONS } from './functions/multivalue.js'
import { NUMBER_FUNCTIONS } from './functions/number.js'
import { TEXT_FUNCTIONS } from './functions/text.js'
import { TIME_FUNCTIONS } from './functions/time.js'

/** Functions of eval and where, by lower-case name (spl-semantics.md section 5). */
export const EVAL_FUNCTIONS: ReadonlyMap<string, EvalFunction> = new Map([
  ...CONDITION_FUNCTIONS, ...TEXT_FUNCTIONS, ...NUMBER_FUNCTIONS, ...MULTIVALUE_FUNCTIONS, ...TIME_FUNCTIONS, ...JSON_FUNCTIONS,
])

/** Functions of stats, by lower-case name, aliases included (spl-semantics.md section 4). */
export const STATS_FUNCTIONS: ReadonlyMap<string, AggregateFunction> = new Map<string, AggregateFunction>([
  ['avg', 'avg'],
  ['c', 'count'],
  ['count', 'count'],
  ['dc', 'dc'],
  ['distinct_count', 'dc'],
  ['earliest', 'earliest'],
  ['earliest_time', 'earliest_time'],
  ['estdc', 'dc'], // exact is as good an estimate as any
  ['first', 'first'],
  ['last', 'last'],
  ['latest', 'latest'],
  ['latest_time', 'latest_time'],
  ['list', 'list'],
  ['max', 'max'],
  ['mean', 'avg'],
  ['median', 'perc'],
  ['min', 'min'],
  ['mode', 'mode'],
  ['range', 'range'],
  ['stdev', 'stdev'],
  ['stdevp', 'stdevp'],
  ['sum', 'sum'],
  ['sumsq', 'sumsq'],
  ['values', 'values'],
  ['var', 'var'],
  ['varp', 'varp'],
])

/** Functions of stats whose name ends in a number from 0 to 100, such as p95 and perc99.9. All are exact here. */
export const PERCENTILE_FUNCTIONS: ReadonlySet<string> = new Set(['exactperc', 'p', 'perc', 'upperperc'])

/** What the name of a stats function means, in any letter case; null if it means nothing. */
export function findStatsFunction (name: string): { readonly function: AggregateFunction, readonly percent?: number } | null {
  const lower = name.toLowerCase()
  const [, family = '', number] = /^([a-z]+)(\d{1,3}(?:\.\d{1,6})?)$/.exec(lower) ?? []
  if (PERCENTILE_FUNCTIONS.has(family) && Number(number) <= 100) return { function: 'perc', percent: Number(number) }
  const known = STATS_FUNCTIONS.get(lower)
  return known === undefined ? null : known === 'perc' ? { function: 'perc', percent: 50 } : { function: known }
}

/** Functions of convert, by lower-case name. */
export const CONVERT_FUNCTIONS: ReadonlyMap<string, ConvertFunction> = new Map(
  (['auto', 'ctime', 'dur2sec', 'memk', 'mktime', 'mstime', 'none', 'num', 'rmcomma', 'rmunit'] as const).map(name => [name, name])
)
