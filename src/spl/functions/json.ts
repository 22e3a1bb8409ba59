import type { Expr } from '../ast.js'
import type { Scalar } from '../row.js'
import { isMultivalue, toText } from '../value.js'
import type { EvalFunction, FunctionTable, Result } from './function.js'
import { asScalars, asText, cut, prepared, toResult } from './function.js'

/** One step down a path: a key, or the elements of an array, all of them or one. */
type Step = { readonly key: string } | { readonly element: number | 'all' }

/** Functions of JSON text (spl-semantics.md section 5). JSON in a field is text; its numbers and strings come out as values. */
export const JSON_FUNCTIONS: FunctionTable = [
  ['json_array', {
    arity: [0, Infinity],
    gives: 'value',
    takes: () => 'any',
    compile: (args, _, exprs) => fields => write(args.map((arg, index) => toJson(arg(fields), exprs[index]))),
  }],
  ['json_array_to_mv', {
    arity: [1, 2],
    gives: 'value',
    takes: index => index === 0 ? 'value' : 'any',
    compile: ([x, quoted]) => fields => {
      const json = parse(x!(fields))
      if (!Array.isArray(json)) return undefined
      const keepQuotes = quoted?.(fields) === true
      return toResult(json.flatMap(element => (keepQuotes ? write(element) : toScalar(element)) ?? []))
    },
  }],
  ['json_extract', {
    arity: [1, Infinity],
    gives: 'value',
    compile: ([x, ...paths], _, exprs) => {
      const stepsOf = paths.map((path, index) => prepared(path, exprs[index + 1], text => parsePath(text)))
      return fields => {
        const json = parse(x!(fields))
        if (json === undefined) return undefined
        const found = stepsOf.map(steps => {
          const path = steps(fields)
          const values = path === null ? [] : walk(json, path)
          return path?.some(step => 'element' in step && step.element === 'all') === true && values.length > 0 ? values : values[0]
        })
        if (found.length === 0) return toScalar(json)
        if (found.length === 1) return toScalar(found[0])
        return write(found.map(one => one ?? null))
      }
    },
  }],
  ['json_keys', {
    arity: [1, 1],
    gives: 'value',
    compile: ([x]) => fields => {
      const json = parse(x!(fields))
      return typeof json === 'object' && json !== null && !Array.isArray(json) ? write(Object.keys(json)) : undefined
    },
  }],
  ['json_object', {
    arity: [0, Infinity],
    gives: 'value',
    takes: () => 'any',
    compile: (args, _, exprs) => fields => {
      const members = new Map<string, unknown>()
      for (let i = 0; i + 1 < args.length; i += 2) {
        const key = asText(args[i]!(fields))
        if (key !== null) members.set(key, toJson(args[i + 1]!(fields), exprs[i + 1]))
      }
      return write(Object.fromEntries(members))
    },
  }],
  ['json_valid', {
    arity: [1, 1],
    gives: 'condition',
    compile: ([x]) => fields => {
      const value = x!(fields)
      return value === undefined ? undefined : parse(value) !== undefined
    },
  }],
  ['mv_to_json_array', {
    arity: [1, 2],
    gives: 'value',
    takes: index => index === 0 ? 'value' : 'any',
    compile: ([x, infer]) => fields => {
      const values = asScalars(x!(fields))
      if (values.length === 0) return undefined
      const inferTypes = infer?.(fields) === true
      return write(values.map(value => inferTypes ? parse(value) ?? toText(value) : toText(value)))
    },
  }],
  ['spath', spath()],
]

/** Names of the functions whose result is JSON, which stays JSON inside of another one. */
const GIVES_JSON: ReadonlySet<string> = new Set(['json_array', 'json_extract', 'json_keys', 'json_object', 'mv_to_json_array'])

function spath (): EvalFunction {
  return {
    arity: [2, 2],
    gives: 'value',
    compile: ([x, path], _, exprs) => {
      const stepsOf = prepared(path!, exprs[1], text => parsePath(text))
      return fields => {
        const json = parse(x!(fields))
        const steps = stepsOf(fields)
        return json === undefined || steps === null ? undefined : toResult(walk(json, steps).flatMap(value => toScalar(value) ?? []))
      }
    },
  }
}

/** `a.b{}.c{2}`, elements counted from 0. Null where it is no path. */
function parsePath (text: string): Step[] | null {
  const steps: Step[] = []
  for (const part of text.split('.')) {
    const [, key, elements] = /^([^{}]*)((?:\{\d*\})*)$/.exec(part) ?? []
    if (key === undefined || (key === '' && elements === '')) return null
    if (key !== '') steps.push({ key })
    for (const [, index] of elements!.matchAll(/\{(\d*)\}/g)) steps.push({ element: index === '' ? 'all' : Number(index) })
  }
  return steps
}

/** What stands at the end of a path. A key may have dots itself. */
function walk (json: unknown, steps: readonly Step[]): unknown[] {
  const [step, ...rest] = steps
  if (step === undefined) return [json]
  if ('element' in step) {
    if (!Array.isArray(json)) return []
    const elements: unknown[] = step.element === 'all' ? json : step.element in json ? [json[step.element]] : []
    return elements.flatMap(element => walk(element, rest))
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return []
  let { key } = step
  for (let taken = 0; ; taken++) {
    if (Object.hasOwn(json, key)) {
      const found = walk((json as Record<string, unknown>)[key], rest.slice(taken))
      if (found.length > 0) return found
    }
    const next = rest[taken]
    if (next === undefined || !('key' in next)) return []
    key += `.${next.key}`
  }
}

/** Undefined for what is no JSON. */
function parse (result: Result): unknown {
  if (typeof result === 'number') return result
  if (typeof result !== 'string') return undefined
  try {
    return JSON.parse(result)
  } catch {
    return undefined
  }
}

/** JSON text as a value; too deep for JSON.stringify it is none. */
function write (json: unknown): string | undefined {
  try {
    return cut(JSON.stringify(json).toWellFormed())
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Text and numbers as they are, conditions as text, objects and arrays as JSON; null is no value. */
function toScalar (json: unknown): Scalar | undefined {
  switch (typeof json) {
    case 'string': return cut(json.toWellFormed())
    case 'number': return Number.isFinite(json) ? json + 0 : undefined
    case 'boolean': return String(json)
    case 'object': return json === null ? undefined : write(json)
    default: return undefined
  }
}

/** A result inside of JSON: text is text, also where it looks like a number, but what a JSON function made is JSON. */
function toJson (result: Result, expr: Expr | undefined): unknown {
  if (result === undefined) return null
  if (typeof result === 'string' && expr?.kind === 'call' && GIVES_JSON.has(expr.name)) return parse(result) ?? result
  return typeof result !== 'boolean' && isMultivalue(result) ? [...result] : result
}
