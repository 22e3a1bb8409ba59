import type { AddtotalsStage } from '../ast.js'
import type { Row } from '../row.js'
import { isMultivalue, toNumber } from '../value.js'
import { compileColumnTest } from './table.js'

/** Sets a field to the sum of the row's numbers, or of those in the fields named, in that order; a multivalue is no number. */
export function compileAddtotals ({ fields, as }: AddtotalsStage): (row: Row) => void {
  const tests = (fields.length === 0 ? ['*'] : fields).map(compileColumnTest)
  return ({ values }) => {
    let sum = 0
    for (const name of new Set(tests.flatMap(test => [...values.keys()].filter(test)))) {
      const value = values.get(name)!
      if (!isMultivalue(value)) sum += toNumber(value) ?? 0
    }
    values.set(as, Number.isFinite(sum) ? sum : 0)
  }
}
