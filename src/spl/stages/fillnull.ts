import type { Row, Scalar } from '../row.js'
import { holdRows } from './hold.js'

/** R75: gives these fields a value where they are missing. */
export function compileFill (text: string, fields: Iterable<string>): (row: Row) => void {
  const value = toFiller(text)
  const names = [...fields]
  return ({ values }) => {
    for (const name of names) if (!values.has(name)) values.set(name, value)
  }
}

/** The same for the fields that any of the rows has, so all are read first. */
export function * fillNull (rows: Iterable<Row>, text: string): Iterable<Row> {
  const held = holdRows(rows, 'fillnull without fields')
  const fill = compileFill(text, namesOf(held))
  for (const row of held) {
    fill(row)
    yield row
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
