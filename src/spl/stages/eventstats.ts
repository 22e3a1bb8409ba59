import type { EventstatsStage } from '../ast.js'
import type { EvalContext } from '../functions/function.js'
import type { Row, Scalar } from '../row.js'
import { toKey, toScalars } from '../value.js'
import { holdRows } from './hold.js'
import { openStats } from './stats.js'

/**
 * Gives each row the aggregates of its group, as `stats` makes them; a row without one of the BY fields is left as it is. A row
 * whose BY field is a multivalue counts in the group of each value, and gets what the group of the first has.
 */
export function eventstats (stage: EventstatsStage, context: EvalContext): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    const held = holdRows(rows, 'eventstats')
    const stats = openStats({ ...stage, kind: 'stats' }, context)
    for (const row of held) stats.add(row)
    const groups = new Map(stats.rows().map(({ values, origin }) => [toKey(origin as readonly Scalar[]), values]))
    for (const row of held) {
      const by = stage.by.map(field => toScalars(row.values.get(field))[0])
      const group = by.includes(undefined) ? undefined : groups.get(toKey(by as readonly Scalar[]))
      if (group !== undefined) {
        for (const { as } of stage.aggregates) {
          const value = group.get(as)
          if (value === undefined) row.values.delete(as)
          else row.values.set(as, value)
        }
      }
      yield row
    }
  }
}
