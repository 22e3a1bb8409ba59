import type { InputlookupStage, LookupStage } from '../ast.js'
import type { LookupTable } from '../lookup.js'
import { compileLookup } from '../lookup.js'
import type { Row, Scalar, Value } from '../row.js'
import type { RunSubsearch } from '../subsearch.js'
import { resolveSubsearches } from '../subsearch.js'
import { toScalars, toText, toValue } from '../value.js'
import { toFiller } from './fillnull.js'
import { compilePredicate } from './search.js'

/** Values of one field that are looked up; a longer multivalue is looked up as far as that. */
const MAX_VALUES = 1_000

/** Sets the outputs to the cells of the rows that match: of several a multivalue, in the order of the table. Of none an output is no value. */
export function compileLookupStage ({ inputs, outputs, mode }: LookupStage, table: LookupTable): (row: Row) => void {
  const find = compileLookup(table, inputs.map(({ column }) => column))
  const places = outputs.map(({ column }) => table.columns.indexOf(column))
  return ({ values }) => {
    if (mode === 'new' && outputs.some(({ field }) => values.has(field))) return
    const found = findAll(inputs.map(({ field }) => toScalars(values.get(field)).map(toText)), find, table.maxMatches)
    const fillers = table.defaultMatch === null ? [] : Array<string>(Math.max(0, table.minMatches - found.length)).fill(table.defaultMatch)
    outputs.forEach(({ field }, i) => {
      const value = toValue([...found.map(cells => cells[places[i]!]!), ...fillers].filter(cell => cell !== '').map(toFiller))
      if (value === undefined) values.delete(field)
      else values.set(field, value)
    })
  }
}

/** Of a multivalue each value is looked up, beside the same one of other inputs or their only one. */
function findAll (inputs: readonly (readonly string[])[], find: ReturnType<typeof compileLookup>, maxMatches: number): (readonly string[])[] {
  const count = Math.min(inputs.some(input => input.length === 0) ? 0 : Math.max(...inputs.map(input => input.length)), MAX_VALUES)
  const found = new Set<readonly string[]>()
  for (let n = 0; n < count; n++) {
    const texts = inputs.map(input => input.length === 1 ? input[0] : input[n])
    if (texts.some(text => text === undefined)) continue
    for (const row of find(texts as string[])) found.add(row)
  }
  return [...found].slice(0, maxMatches)
}

/** The rows that came, then those of the table that meet the condition. */
export function inputlookup ({ name, where, start, max }: InputlookupStage, table: LookupTable, run: RunSubsearch): (rows: Iterable<Row>) => Iterable<Row> {
  const test = where === null ? () => true : compilePredicate(resolveSubsearches(where, run))
  return function * (rows) {
    yield * rows
    let given = 0
    for (const cells of table.rows.slice(start)) {
      if (max !== null && given === max) return
      const values = new Map<string, Value>()
      cells.forEach((cell, i) => { if (cell !== '') values.set(table.columns[i]!, toFiller(cell)) })
      if (!test(field => values.get(field))) continue
      given++
      yield { values, origin: [name, ...cells] satisfies Scalar[] } // by its content: a line that is put in before it changes nothing
    }
  }
}
