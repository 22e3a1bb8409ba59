import type { FillnullStage } from '../ast.js'
import type { Row, Scalar } from '../row.js'
import { holdRows } from './hold.js'

/** R75: gives missing fields a value. Without a list these are the fields that any of the rows has, so all are read first. */
export function fillNull (stage: FillnullStage): (rows: Iterable<Row>) => Iterable<Row> {
  const value = toFiller(stage.value)
  const { fields } = stage
  return function * (rows) {
    const held = fields === null ? holdRows(rows, 'fillnull without fields') : rows
    const names = fields ?? namesOf(held)
    for (const row of held) {
      for (const name of names) if (!row.values.has(name)) row.values.set(name, value)
      yield row
    }
  }
}

/** A number where the text is the very text of one, as a JSON field would be. */
export function toFiller (text: string): Scalar {
  const number = Number(text)
  return Number.isSafeInteger(number) && String(number) === text ? number : text
}

/** The fields that any of the rows has, in the order in which they come up. */
export function namesOf (rows: Iterable<Row>): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { values } of rows) for (const name of values.keys()) names.add(name)
  return names
}
