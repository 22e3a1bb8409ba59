import type { RegexStage } from '../ast.js'
import { compileRegex } from '../regex.js'
import type { Row } from '../row.js'
import { toScalars, toText } from '../value.js'

/** R76: whether a row is kept. A pattern is looked for anywhere in the text, with case; of a multivalue one value is enough. */
export function compileRegexStage ({ field, op, pattern }: RegexStage, warn: (message: string) => void): (row: Row) => boolean {
  const regex = compileRegex(pattern, () => warn(`regex: the pattern ${pattern} takes too many steps on a value, which counts as no match`))
  const finds = ({ values }: Row) => toScalars(values.get(field)).some(value => regex.test(toText(value)))
  return op === '=' ? finds : row => !finds(row)
}
