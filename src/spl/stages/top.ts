import type { TopStage } from '../ast.js'
import type { Row, Scalar, Value } from '../row.js'
import { toText } from '../value.js'
import { openHolder } from './hold.js'
import { openStats } from './stats.js'

/** What no field is called. */
const COUNT = ''

/**
 * The most, or least, frequent combinations of values in each group of the BY fields, with the number of results and their share
 * of the group in percent, to six decimals. Equally frequent ones are ordered by value. Results without one of the fields count nowhere.
 */
export function top (stage: TopStage): (rows: Iterable<Row>) => Iterable<Row> {
  const { by, fields, countfield, percentfield } = stage
  const names = [...by, ...fields]
  const sign = stage.kind === 'top' ? -1 : 1
  return function * (rows) {
    const holder = openHolder(stage.kind)
    const counting = { kind: 'stats', aggregates: [{ function: 'count', field: null, as: COUNT, span: stage.span }], by: names, span: stage.span } as const
    const stats = openStats(counting, null, values => holder.add(values.reduce<number>((size, value) => size + toText(value).length, 0)))
    for (const row of rows) stats.add(row)
    for (const group of groupsOf(stats.rows(), by.length)) {
      const total = group.reduce((sum, row) => sum + countOf(row), 0)
      const ordered = group.sort((a, b) => sign * (countOf(a) - countOf(b)))
      for (const row of stage.count === 0 ? ordered : ordered.slice(0, stage.count)) {
        const values = new Map(names.map((name, index): [string, Value] => [name, row.origin[index]!]))
        if (countfield !== null) values.set(countfield, countOf(row))
        if (percentfield !== null) values.set(percentfield, Math.round(countOf(row) / total * 1e8) / 1e6)
        yield { values, origin: row.origin }
      }
    }
  }
}

function countOf ({ values }: Row): number {
  return values.get(COUNT) as number
}

/** Runs of rows whose first BY values are the same. */
function groupsOf (rows: readonly Row[], length: number): Row[][] {
  const groups: Row[][] = []
  for (const row of rows) {
    const group = groups.at(-1)
    const isSame = group?.[0]!.origin.slice(0, length).every((value, index) => toText(value as Scalar) === toText(row.origin[index] as Scalar))
    if (isSame === true) group!.push(row)
    else groups.push([row])
  }
  return groups
}
