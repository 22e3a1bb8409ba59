import type { ReplaceStage } from '../ast.js'
import { compileCapture, countWildcards, fillWildcards } from '../match.js'
import type { Row } from '../row.js'
import { mapValue, toText } from '../value.js'

/**
 * Puts texts in place of whole values, with case. Of several that match, one without wildcards goes first, the last of those; else the one
 * that says the most. Without fields, in all but the internal ones.
 */
export function compileReplace ({ pairs, fields }: ReplaceStage): (row: Row) => void {
  const exact = new Map(pairs.filter(({ from }) => !from.includes('*')).map(({ from, to }) => [from, to]))
  const wildcards = pairs
    .filter(({ from }) => from.includes('*'))
    .map(({ from, to }) => ({ capture: compileCapture(from), to, said: from.length - countWildcards(from) }))
    .sort((a, b) => b.said - a.said)
  const replace = (text: string): string | null => {
    const whole = exact.get(text)
    if (whole !== undefined) return whole
    for (const { capture, to } of wildcards) {
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
