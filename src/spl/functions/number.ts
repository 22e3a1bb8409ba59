import type { Scalar } from '../row.js'
import { compareScalars } from '../value.js'
import type { EvalFunction, FunctionTable } from './function.js'
import { asNumber, asScalars, ofNumber, toFinite } from './function.js'

const CEILING = ofNumber(Math.ceil)

/** Functions of numbers (spl-semantics.md section 5). */
export const NUMBER_FUNCTIONS: FunctionTable = [
  ['abs', ofNumber(Math.abs)],
  ['ceil', CEILING],
  ['ceiling', CEILING],
  ['exp', ofNumber(Math.exp)],
  ['floor', ofNumber(Math.floor)],
  ['ln', ofNumber(Math.log)],
  ['log', {
    arity: [1, 2],
    gives: 'value',
    compile: ([x, base]) => fields => {
      const number = asNumber(x!(fields))
      const by = base === undefined ? 10 : asNumber(base(fields))
      if (number === null || by === null) return undefined
      return toFinite(by === 10 ? Math.log10(number) : by === 2 ? Math.log2(number) : Math.log(number) / Math.log(by))
    },
  }],
  ['max', extreme(1)],
  ['min', extreme(-1)],
  ['pi', { arity: [0, 0], gives: 'value', compile: () => () => Math.PI }],
  ['pow', {
    arity: [2, 2],
    gives: 'value',
    compile: ([x, y]) => fields => {
      const number = asNumber(x!(fields))
      const power = asNumber(y!(fields))
      return number === null || power === null ? undefined : toFinite(number ** power)
    },
  }],
  ['round', {
    arity: [1, 2],
    gives: 'value',
    compile: ([x, digits]) => fields => {
      const number = asNumber(x!(fields))
      const places = digits === undefined ? 0 : asNumber(digits(fields))
      return number === null || places === null ? undefined : round(number, Math.trunc(places))
    },
  }],
  ['sqrt', ofNumber(Math.sqrt)],
]

/** R38: of all values of all arguments the least (-1) or greatest (1); nulls don't count. */
function extreme (sign: 1 | -1): EvalFunction {
  return {
    arity: [1, Infinity],
    gives: 'value',
    compile: args => fields => {
      let best: Scalar | undefined
      for (const arg of args) {
        for (const value of asScalars(arg(fields))) {
          if (best === undefined || compareScalars(value, best) * sign > 0) best = value
        }
      }
      return best
    },
  }
}

/** Ties go toward +infinity, as `Math.round` has it. More digits than a double holds leave the number as it is. */
function round (number: number, digits: number): number {
  if (digits === 0) return Math.round(number) + 0 // + 0 makes 0 of -0
  const scale = 10 ** digits
  const scaled = number * scale
  if (scale === 0) return 0
  return Number.isFinite(scaled) ? Math.round(scaled) / scale + 0 : number
}
