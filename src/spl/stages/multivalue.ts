import type { MakemvStage, MvexpandStage, NomvStage } from '../ast.js'
import { compileRegex } from '../regex.js'
import type { Row, Scalar } from '../row.js'
import { isMultivalue, toScalars, toText, toValue } from '../value.js'

/** A row for each value of the field, at most so many; the value is part of where the row comes from. Without the field, the row as it is. */
export function mvexpand ({ field, limit }: MvexpandStage): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    for (const row of rows) {
      const scalars = toScalars(row.values.get(field))
      if (scalars.length === 0) yield row
      for (const value of limit === 0 ? scalars : scalars.slice(0, limit)) {
        yield { values: new Map(row.values).set(field, value), origin: [...row.origin, value] }
      }
    }
  }
}

/** Splits the field's text into values, by a delimiter or into what a pattern finds. Empty ones are left out unless they are allowed. */
export function compileMakemv (stage: MakemvStage, warn: (message: string) => void): (row: Row) => void {
  const split = stage.tokenizer === null ? (text: string) => text.split(stage.delim) : compileTokenizer(stage.tokenizer, warn)
  return ({ values }) => {
    const value = values.get(stage.field)
    if (value === undefined) return
    const pieces = toScalars(value).flatMap((scalar): Scalar[] => typeof scalar === 'number' ? [scalar] : split(scalar))
    const made = toValue(stage.allowempty ? pieces : pieces.filter(piece => piece !== ''))
    if (made === undefined) values.delete(stage.field)
    else values.set(stage.field, made)
  }
}

/** What the first group of a pattern takes, match after match; of one without groups the whole match. */
function compileTokenizer (pattern: string, warn: (message: string) => void): (text: string) => string[] {
  const regex = compileRegex(pattern, () => warn(`makemv: the pattern ${pattern} takes too many steps on a value`))
  const group = Math.min(1, regex.groupCount)
  return text => [...regex.matches(text)].flatMap(({ groups }) => groups[group] ?? [])
}

/** Joins the field's values with line feeds. */
export function compileNomv ({ field }: NomvStage): (row: Row) => void {
  return ({ values }) => {
    const value = values.get(field)
    if (value !== undefined && isMultivalue(value)) values.set(field, value.map(toText).join('\n'))
  }
}
