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
  ['c', 'count'],
  ['count', 'count'],
  ['dc', 'dc'],
  ['distinct_count', 'dc'],
  ['max', 'max'],
  ['min', 'min'],
  ['values', 'values'],
])

/** Functions of convert, by lower-case name. */
export const CONVERT_FUNCTIONS: ReadonlyMap<string, ConvertFunction> = new Map(
  (['auto', 'ctime', 'dur2sec', 'memk', 'mstime', 'none', 'num', 'rmcomma', 'rmunit'] as const).map(name => [name, name])
)
