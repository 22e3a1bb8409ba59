import type { ReplaceStage } from '../ast.js'
import { compileCapture, fillWildcards } from '../match.js'
import type { Row } from '../row.js'
import { mapValue, toText } from '../value.js'

/** Puts texts in place of whole values, with case; of several that match the first is taken. Without fields, in all but the internal ones. */
export function compileReplace ({ pairs, fields }: ReplaceStage): (row: Row) => void {
  const compiled = pairs.map(({ from, to }) => ({ capture: compileCapture(from), to }))
  const replace = (text: string): string | null => {
    for (const { capture, to } of compiled) {
      const captures = capture(text)
      if (captures !== null) return fillWildcards(to, captures)
    }
    return null
  }
  return ({ values }) => {
    for (const name of fields ?? [...values.keys()].filter(name => !name.startsWith('_'))) {
      const value = values.get(name)
      if (value !== undefined) values.set(name, mapValue(value, scalar => replace(toText(scalar)) ?? scalar))
    }
  }
}
