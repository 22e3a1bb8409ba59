import type { RexStage, SedStage } from '../ast.js'
import { MAX_VALUES } from '../functions/function.js'
import { replaceMatches } from '../functions/text.js'
import type { Regex, RegexMatch } from '../regex.js'
import { compileRegex } from '../regex.js'
import type { Row, Scalar } from '../row.js'
import { mapValue, toScalars, toText, toValue } from '../value.js'

/**
 * Sets fields to what the pattern's named groups take: of the first match, or of as many as there may be. Of a multivalue the values
 * are searched one after the other. Where nothing matches, or a group takes no part, a field stays as it is.
 */
export function compileRex ({ field, pattern, limit }: RexStage, warn: (message: string) => void): (row: Row) => void {
  const regex = compileRegex(pattern, () => warn(`rex: the pattern ${pattern} takes too many steps on a value, in which no more is found`))
  const most = limit === 0 ? MAX_VALUES : Math.min(limit, MAX_VALUES)
  const groups = [...regex.names]
  return ({ values }) => {
    const found = groups.map((): Scalar[] => [])
    let matches = 0
    for (const match of matchesIn(toScalars(values.get(field)), regex)) {
      groups.forEach(([, number], index) => {
        const text = match.groups[number]
        if (text !== undefined) found[index]!.push(text)
      })
      if (++matches === most) break
    }
    groups.forEach(([name], index) => {
      const value = toValue(found[index]!)
      if (value !== undefined) values.set(name, value)
    })
  }
}

function * matchesIn (scalars: readonly Scalar[], regex: Regex): Iterable<RegexMatch> {
  for (const scalar of scalars) yield * regex.matches(toText(scalar))
}

/** Rewrites a field's text, or each text of a multivalue. */
export function compileSed ({ field, script }: SedStage, warn: (message: string) => void): (row: Row) => void {
  const change = compileScript(script, () => warn('rex mode=sed: the pattern takes too many steps on a value, in which no more is replaced'))
  return ({ values }) => {
    const value = values.get(field)
    if (value === undefined) return
    values.set(field, mapValue(value, scalar => {
      const text = toText(scalar)
      const changed = change(text)
      return changed === text ? scalar : changed
    }))
  }
}

function compileScript (script: SedStage['script'], tooCostly: () => void): (text: string) => string {
  if (script.kind === 'transliterate') {
    const to = [...script.to]
    const letters = new Map([...script.from].map((letter, index) => [letter, to[index]!]))
    return text => Array.from(text, letter => letters.get(letter) ?? letter).join('')
  }
  const regex = compileRegex(script.pattern, tooCostly)
  return text => replaceMatches(text, regex, script.parts, script.which) ?? text
}
