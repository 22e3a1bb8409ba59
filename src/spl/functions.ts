import type { AggregateFunction, ConvertFunction } from './ast.js'
import type { Value } from './row.js'
import { isMultivalue, toNumber, toText } from './value.js'

/** What an expression gives: a value, the truth of a condition, or null (`undefined`). */
export type Result = Value | boolean | undefined

/** An expression, ready to run over a row's fields. */
export type Evaluate = (fields: ReadonlyMap<string, Value>) => Result

/** The parser sees to it that values and conditions stand only where they may. */
export type ResultKind = 'value' | 'condition'

/** A function of eval and where. */
export interface EvalFunction {
  /** The least and the greatest number of arguments. */
  readonly arity: readonly [min: number, max: number]
  readonly gives: ResultKind
  /** What an argument must be; values where it isn't said. */
  readonly takes?: (index: number) => ResultKind | 'any'
  /** Makes the function of its arguments. */
  readonly compile: (args: readonly Evaluate[]) => Evaluate
}

/** Functions of eval and where, by lower-case name (spl-semantics.md section 5). */
export const EVAL_FUNCTIONS: ReadonlyMap<string, EvalFunction> = new Map<string, EvalFunction>([
  ['case', {
    arity: [2, Infinity],
    gives: 'value',
    takes: index => index % 2 === 0 ? 'condition' : 'value',
    compile: args => fields => {
      for (let i = 0; i + 1 < args.length; i += 2) {
        if (args[i]!(fields) === true) return args[i + 1]!(fields)
      }
      return undefined
    },
  }],
  ['coalesce', {
    arity: [1, Infinity],
    gives: 'value',
    compile: args => fields => {
      for (const arg of args) {
        const value = arg(fields)
        if (value !== undefined) return value
      }
      return undefined
    },
  }],
  ['false', { arity: [0, 0], gives: 'condition', compile: () => () => false }],
  ['if', {
    arity: [3, 3],
    gives: 'value',
    takes: index => index === 0 ? 'condition' : 'value',
    compile: args => fields => args[0]!(fields) === true ? args[1]!(fields) : args[2]!(fields), // null takes the second (R51)
  }],
  ['isnotnull', { arity: [1, 1], gives: 'condition', compile: args => fields => args[0]!(fields) !== undefined }],
  ['isnull', { arity: [1, 1], gives: 'condition', compile: args => fields => args[0]!(fields) === undefined }],
  ['len', ofText(text => [...text].length)], // characters, not UTF-16 units
  ['lower', ofText(text => text.toLowerCase())],
  ['mvcount', {
    arity: [1, 1],
    gives: 'value',
    compile: args => fields => {
      const value = args[0]!(fields)
      return value === undefined || typeof value === 'boolean' ? undefined : isMultivalue(value) ? value.length : 1
    },
  }],
  ['null', { arity: [0, 0], gives: 'value', compile: () => () => undefined }],
  ['round', {
    arity: [1, 2],
    gives: 'value',
    compile: ([x, digits]) => fields => {
      const number = asNumber(x!(fields))
      const places = digits === undefined ? 0 : asNumber(digits(fields))
      return number === null || places === null ? undefined : round(number, Math.trunc(places))
    },
  }],
  ['tostring', {
    arity: [1, 1],
    gives: 'value',
    takes: () => 'any',
    compile: args => fields => {
      const value = args[0]!(fields)
      if (typeof value === 'boolean') return value ? 'True' : 'False'
      return asText(value) ?? undefined
    },
  }],
  ['true', { arity: [0, 0], gives: 'condition', compile: () => () => true }],
  ['upper', ofText(text => text.toUpperCase())],
])

function ofText (change: (text: string) => Value): EvalFunction {
  return {
    arity: [1, 1],
    gives: 'value',
    compile: args => fields => {
      const text = asText(args[0]!(fields))
      return text === null ? undefined : change(text)
    },
  }
}

/** A result as a number (R50); null for null, for other text and for multivalues. */
export function asNumber (result: Result): number | null {
  if (typeof result === 'number') return result
  return typeof result === 'string' ? toNumber(result) : null
}

/** A result as text; null for null and for multivalues. */
export function asText (result: Result): string | null {
  return typeof result === 'string' || typeof result === 'number' ? toText(result) : null
}

/** Ties go toward +infinity, as `Math.round` has it. More digits than a double holds leave the number as it is. */
function round (number: number, digits: number): number {
  if (digits === 0) return Math.round(number) + 0 // + 0 makes 0 of -0
  const scale = 10 ** digits
  const scaled = number * scale
  if (scale === 0) return 0
  return Number.isFinite(scaled) ? Math.round(scaled) / scale + 0 : number
}

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
