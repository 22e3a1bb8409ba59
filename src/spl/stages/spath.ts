import type { SpathStage } from '../ast.js'
import { jsonFields, parseJsonObject, toFieldValue } from '../../json.js'
import type { Row, Scalar } from '../row.js'
import { toScalars, toText, toValue } from '../value.js'

/**
 * Sets a field to what a path finds in the JSON text of another, or without a path every field that the JSON has. Objects and arrays
 * at the end of a path are given as JSON text. Text that is no JSON, and a path that leads nowhere, change nothing.
 */
export function compileSpath ({ input, path, output }: SpathStage): (row: Row) => void {
  return ({ values }) => {
    for (const scalar of toScalars(values.get(input)).slice(0, 1)) {
      const json = parseJsonObject(toText(scalar))
      if (json === null) continue
      if (path === null) {
        for (const [name, value] of jsonFields(json)) values.set(name, value)
      } else {
        const found: Scalar[] = []
        descend(json, Array.isArray(json) ? path : `.${path}`, found)
        const value = toValue(found)
        if (value !== undefined) values.set(output, value)
      }
    }
  }
}

/** `path` is what is left of the way down: nothing, `.key…` into an object, `{}…` or `{0}…` into an array. A key may have dots itself. */
function descend (json: unknown, path: string, found: Scalar[]): void {
  if (path === '') {
    const scalar = typeof json === 'object' && json !== null ? JSON.stringify(json).toWellFormed() : toFieldValue(json)
    if (scalar !== undefined) found.push(scalar)
  } else if (Array.isArray(json)) {
    const [step, index = ''] = /^\{(\d*)\}/.exec(path) ?? []
    if (step === undefined) return
    const elements: unknown[] = index === '' ? json : json.slice(Number(index), Number(index) + 1)
    for (const element of elements) descend(element, path.slice(step.length), found)
  } else if (typeof json === 'object' && json !== null && path.startsWith('.')) {
    for (const key of Object.keys(json)) {
      const next = path[1 + key.length]
      const isWhole = next === undefined || next === '.' || next === '{'
      if (isWhole && path.startsWith(key, 1)) descend((json as Record<string, unknown>)[key], path.slice(1 + key.length), found)
    }
  }
}
