import { compare } from '../compare.js'
import { compileLike } from '../match.js'
import { compileNetworks } from '../stages/search.js'
import type { Evaluate, FunctionTable } from './function.js'
import { anyValue, asNumber, asScalars, literalText, prepared } from './function.js'

/** Functions that choose, and conditions (spl-semantics.md section 5). */
export const CONDITION_FUNCTIONS: FunctionTable = [
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
  ['cidrmatch', {
    arity: [2, 2],
    gives: 'condition',
    check: ([network]) => {
      const text = literalText(network)
      return text === null || compileNetworks([text]) !== null ? null : { argument: 0, detail: 'Expected a network such as 10.0.0.0/8' }
    },
    compile: ([network, address], _, [expr]) => anyValue(address!, prepared(network!, expr, text => compileNetworks([text]))),
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
  ['in', {
    arity: [2, Infinity],
    gives: 'condition',
    compile: ([value, ...wanted]) => fields => {
      const values = asScalars(value!(fields))
      if (values.length === 0) return undefined
      return wanted.some(one => asScalars(one(fields)).some(other => values.some(scalar => compare(scalar, other) === 0)))
    },
  }],
  ['isbool', { arity: [1, 1], gives: 'condition', takes: () => 'any', compile: ([x]) => fields => typeof x!(fields) === 'boolean' }],
  ['isint', { arity: [1, 1], gives: 'condition', compile: ([x]) => fields => Number.isInteger(asNumber(x!(fields))) }],
  ['isnotnull', { arity: [1, 1], gives: 'condition', takes: () => 'any', compile: ([x]) => fields => x!(fields) !== undefined }],
  ['isnull', { arity: [1, 1], gives: 'condition', takes: () => 'any', compile: ([x]) => fields => x!(fields) === undefined }],
  ['isnum', { arity: [1, 1], gives: 'condition', compile: ([x]) => fields => asNumber(x!(fields)) !== null }],
  ['isstr', { arity: [1, 1], gives: 'condition', compile: ([x]) => fields => typeof x!(fields) === 'string' && asNumber(x!(fields)) === null }],
  ['like', { arity: [2, 2], gives: 'condition', compile: ([x, pattern], _, exprs) => anyValue(x!, prepared(pattern!, exprs[1], compileLike)) }],
  ['null', { arity: [0, 0], gives: 'value', compile: () => () => undefined }],
  ['nullif', {
    arity: [2, 2],
    gives: 'value',
    compile: ([x, y]) => fields => {
      const value = x!(fields)
      return isEqual(value, y!(fields)) ? undefined : value
    },
  }],
  ['true', { arity: [0, 0], gives: 'condition', compile: () => () => true }],
  ['typeof', {
    arity: [1, 1],
    gives: 'value',
    takes: () => 'any',
    compile: ([x]) => fields => {
      const result = x!(fields)
      if (result === undefined) return 'Invalid'
      if (typeof result === 'boolean') return 'Boolean'
      return asNumber(result) !== null ? 'Number' : 'String'
    },
  }],
  ['validate', {
    arity: [2, Infinity],
    gives: 'value',
    takes: index => index % 2 === 0 ? 'condition' : 'value',
    compile: args => fields => {
      for (let i = 0; i + 1 < args.length; i += 2) {
        if (args[i]!(fields) !== true) return args[i + 1]!(fields)
      }
      return undefined
    },
  }],
]

/** Whether two results are one value each, the same. */
function isEqual (a: ReturnType<Evaluate>, b: ReturnType<Evaluate>): boolean {
  const [x, ...more] = asScalars(a)
  const [y, ...others] = asScalars(b)
  return x !== undefined && y !== undefined && more.length === 0 && others.length === 0 && compare(x, y) === 0
}
