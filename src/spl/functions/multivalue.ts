import type { Expr } from '../ast.js'
import { expressionFields } from '../expression-fields.js'
import type { Scalar } from '../row.js'
import { compareUtf8, isMultivalue, toText } from '../value.js'
import type { EvalContext, Evaluate, Fault, Fields, FunctionTable } from './function.js'
import { asNumber, asScalars, asText, cut, MAX_VALUES, prepared, toResult } from './function.js'
import { checkRegex, toRegex } from './text.js'

/** How many values pass between two calls of `alive`. */
const VALUES_PER_CHECK = 256

/** Functions of multivalues (spl-semantics.md section 5). */
export const MULTIVALUE_FUNCTIONS: FunctionTable = [
  ['mvappend', {
    arity: [1, Infinity],
    gives: 'value',
    compile: args => fields => toResult(args.flatMap(arg => asScalars(arg(fields)))),
  }],
  ['mvcount', {
    arity: [1, 1],
    gives: 'value',
    compile: args => fields => {
      const count = asScalars(args[0]!(fields)).length
      return count === 0 ? undefined : count
    },
  }],
  ['mvdedup', {
    arity: [1, 1],
    gives: 'value',
    compile: ([x]) => fields => {
      const seen = new Map<string, Scalar>()
      for (const value of asScalars(x!(fields))) if (!seen.has(toText(value))) seen.set(toText(value), value)
      return toResult([...seen.values()])
    },
  }],
  ['mvfilter', {
    arity: [1, 1],
    gives: 'value',
    takes: () => 'condition',
    check: exprs => checkOneField(exprs),
    compile: ([condition], context, [expr]) => overEach([...expressionFields(expr!)][0]!, context, (value, fields) => condition!(fields) === true ? [value] : []),
  }],
  ['mvfind', {
    arity: [2, 2],
    gives: 'value',
    check: exprs => checkRegex(exprs, 1),
    compile: ([x, pattern], context, exprs) => {
      const regexOf = prepared(pattern!, exprs[1], text => toRegex(text, context))
      return fields => {
        const regex = regexOf(fields)
        const index = regex === null ? -1 : asScalars(x!(fields)).findIndex(value => regex.test(toText(value)))
        return index < 0 ? undefined : index
      }
    },
  }],
  ['mvindex', {
    arity: [2, 3],
    gives: 'value',
    compile: ([x, first, last]) => fields => {
      const values = asScalars(x!(fields))
      const from = placeIn(values, first!(fields))
      const to = last === undefined ? from : placeIn(values, last(fields))
      return from === null || to === null || from < 0 ? undefined : toResult(values.slice(from, to + 1))
    },
  }],
  ['mvjoin', {
    arity: [2, 2],
    gives: 'value',
    compile: ([x, separator]) => fields => {
      const value = x!(fields)
      const border = asText(separator!(fields))
      if (value === undefined || typeof value === 'boolean' || border === null) return undefined
      return isMultivalue(value) ? joinTexts(value, border) : value
    },
  }],
  ['mvmap', {
    arity: [2, 2],
    gives: 'value',
    check: ([field]) => field?.kind === 'field' ? null : { argument: 0, detail: 'Expected a field, whose values the second argument is worked out for' },
    compile: ([, change], context, [field]) => overEach(field!.kind === 'field' ? field!.name : '', context, (_, fields) => asScalars(change!(fields))),
  }],
  ['mvrange', {
    arity: [2, 3],
    gives: 'value',
    compile: ([start, end, step]) => fields => {
      const from = asNumber(start!(fields))
      const to = asNumber(end!(fields))
      const by = step === undefined ? 1 : toStep(asText(step(fields)))
      if (from === null || to === null || by === null || by <= 0) return undefined
      const count = Math.min(Math.ceil((to - from) / by), MAX_VALUES)
      return count > 0 ? toResult(Array.from({ length: count }, (_, index) => from + index * by)) : undefined
    },
  }],
  ['mvsort', {
    arity: [1, 1],
    gives: 'value',
    compile: ([x]) => fields => toResult([...asScalars(x!(fields))].sort((a, b) => compareUtf8(toText(a), toText(b)))),
  }],
  ['mvzip', {
    arity: [2, 3],
    gives: 'value',
    compile: ([x, y, separator]) => fields => {
      const border = separator === undefined ? ',' : asText(separator(fields))
      const [left, right] = [asScalars(x!(fields)), asScalars(y!(fields))]
      if (border === null) return undefined
      return toResult(left.slice(0, right.length).map((value, index) => cut(toText(value) + border + toText(right[index]!))))
    },
  }],
]

/** The values that something makes of each value of a field, with the field standing for that one value. */
function overEach (name: string, { alive }: EvalContext, make: (value: Scalar, fields: Fields) => readonly Scalar[]): Evaluate {
  return fields => {
    const values: Scalar[] = []
    let done = 0
    for (const value of asScalars(fields.get(name))) {
      if (++done % VALUES_PER_CHECK === 0) alive() // inside one another these make much of one row
      values.push(...make(value, { get: field => field === name ? value : fields.get(field) }))
      if (values.length > MAX_VALUES) break
    }
    return toResult(values)
  }
}

function checkOneField (exprs: readonly Expr[]): Fault | null {
  const count = expressionFields(exprs[0]!).size
  return count === 1 ? null : { argument: 0, detail: `The condition of mvfilter looks at one field, found ${count}` }
}

/** An index from the start, negative from the end, as one from the start. */
function placeIn (values: readonly Scalar[], index: ReturnType<Evaluate>): number | null {
  const number = asNumber(index)
  if (number === null) return null
  return number < 0 ? values.length + Math.trunc(number) : Math.trunc(number)
}

/** Joined, but not much longer than text may be. */
function joinTexts (values: readonly Scalar[], border: string): string {
  let joined = toText(values[0]!)
  for (const value of values.slice(1)) {
    joined += border + toText(value)
    if (joined.length > 1_000_000) break
  }
  return cut(joined)
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** A number, or a span such as 5m. */
function toStep (text: string | null): number | null {
  const [, count, unit] = /^(\d+)([smhdw])$/.exec(text ?? '') ?? []
  return count === undefined ? asNumber(text ?? undefined) : Number(count) * SECONDS[unit!]!
}
