import type { Expr } from '../ast.js'
import type { Scalar, Value } from '../row.js'
import { isMultivalue, toNumber, toText, toValue } from '../value.js'

/** What an expression gives: a value, the truth of a condition, or null (`undefined`). */
export type Result = Value | boolean | undefined

/** The fields of a row. */
export interface Fields { get (name: string): Value | undefined }

/** An expression, ready to run over a row's fields. */
export type Evaluate = (fields: Fields) => Result

/** The parser sees to it that values and conditions stand only where they may. */
export type ResultKind = 'value' | 'condition'

/** What expressions know of their run. */
export interface EvalContext {
  /** IANA name of the zone in which times are read and written as text. */
  readonly timeZone: string
  /** Epoch milliseconds. What now() gives: the start of the search, of a scheduled one its slot. */
  readonly nowMs: number
  /** Notes, as often as it happens, what the rows of the result don't show. */
  readonly warn: (message: string) => void
  /** Called every so many rows or values; stops the search by throwing. */
  readonly alive: () => void
}

/** What is wrong with an argument that is a literal; `offset` is the place in its text. */
export interface Fault { readonly argument: number, readonly detail: string, readonly offset?: number }

/** A function of eval and where. */
export interface EvalFunction {
  /** The least and the greatest number of arguments. */
  readonly arity: readonly [min: number, max: number]
  readonly gives: ResultKind
  /** What an argument must be; values where it isn't said. */
  readonly takes?: (index: number) => ResultKind | 'any'
  /** Finds what is wrong before anything runs. */
  readonly check?: (exprs: readonly Expr[]) => Fault | null
  /** Makes the function of its arguments; `exprs` are the same as written. */
  readonly compile: (args: readonly Evaluate[], context: EvalContext, exprs: readonly Expr[]) => Evaluate
}

export type FunctionTable = readonly (readonly [name: string, definition: EvalFunction])[]

/** Text that eval makes is cut at this length: x=x.x, said often enough, would be longer than any string can be. */
export const MAX_TEXT = 1_000_000

/** Multivalues that eval makes are cut at this many values. */
export const MAX_VALUES = 100_000

/** A result as a number (R50); null for null, for other text and for multivalues. */
export function asNumber (result: Result): number | null {
  if (typeof result === 'number') return result
  return typeof result === 'string' ? toNumber(result) : null
}

/** A result as text; null for null and for multivalues. */
export function asText (result: Result): string | null {
  return typeof result === 'string' || typeof result === 'number' ? toText(result) : null
}

/** A result's values; of null and of conditions none. */
export function asScalars (result: Result): readonly Scalar[] {
  if (result === undefined || typeof result === 'boolean') return []
  return isMultivalue(result) ? result : [result]
}

/** Null for what is no number, which division by zero gives. */
export function toFinite (number: number): number | undefined {
  return Number.isFinite(number) ? number + 0 : undefined // + 0 makes 0 of -0
}

/** Text as long as it may be. */
export function cut (text: string): string {
  return text.length <= MAX_TEXT ? text : text.slice(0, MAX_TEXT).toWellFormed()
}

/** A list as a result, of as many values as there may be. */
export function toResult (scalars: readonly Scalar[]): Value | undefined {
  return toValue(scalars.length > MAX_VALUES ? scalars.slice(0, MAX_VALUES) : scalars)
}

/** The text of an argument that is one in the search; null where it is computed. */
export function literalText (expr: Expr | undefined): string | null {
  return expr?.kind === 'string' ? expr.value : expr?.kind === 'number' ? toText(expr.value) : null
}

/** A function of one text, done for each value of a multivalue. */
export function ofText (change: (text: string) => Scalar | undefined): EvalFunction {
  return { arity: [1, 1], gives: 'value', compile: args => perValue(args[0]!, () => change) }
}

/**
 * Applies a function to the text of an argument, or to each text of a multivalue; `prepare` makes it of the row's other arguments,
 * null where one of them is.
 */
export function perValue (argument: Evaluate, prepare: (fields: Fields) => ((text: string) => Scalar | undefined) | null): Evaluate {
  return fields => {
    const result = argument(fields)
    if (result === undefined || typeof result === 'boolean') return undefined
    const change = prepare(fields)
    if (change === null) return undefined
    if (!isMultivalue(result)) return change(toText(result))
    return toResult(result.map(one => change(toText(one))).filter(one => one !== undefined))
  }
}

/** A test of an argument's text, true if it is of one value; null for null. */
export function anyValue (argument: Evaluate, prepare: (fields: Fields) => ((text: string) => boolean) | null): Evaluate {
  return fields => {
    const result = argument(fields)
    if (result === undefined || typeof result === 'boolean') return undefined
    const test = prepare(fields)
    if (test === null) return undefined
    return isMultivalue(result) ? result.some(one => test(toText(one))) : test(toText(result))
  }
}

/** A function of one number. */
export function ofNumber (change: (number: number) => number): EvalFunction {
  return {
    arity: [1, 1],
    gives: 'value',
    compile: ([x]) => fields => {
      const number = asNumber(x!(fields))
      return number === null ? undefined : toFinite(change(number))
    },
  }
}

/** How many different computed patterns, formats and the like are kept ready. */
const MAX_READY = 100

/**
 * What is made of an argument's text: at once where it is a literal, else row by row, with the last ones kept. Null where the argument is
 * null, or where nothing can be made of it.
 */
export function prepared<T> (argument: Evaluate, expr: Expr | undefined, make: (text: string) => T | null): (fields: Fields) => T | null {
  const literal = literalText(expr)
  if (literal !== null) {
    const made = make(literal)
    return () => made
  }
  const ready = new Map<string, T | null>()
  return fields => {
    const text = asText(argument(fields))
    if (text === null) return null
    let made = ready.get(text)
    if (made === undefined) {
      made = make(text)
      if (ready.size >= MAX_READY) ready.clear()
      ready.set(text, made)
    }
    return made
  }
}
