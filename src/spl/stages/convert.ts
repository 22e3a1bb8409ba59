import type { ConvertStage } from '../ast.js'
import type { Row } from '../row.js'
import { compileTimeFormat } from '../strftime.js'
import { mapValue, toNumber } from '../value.js'

/** R70: writes times as text in the run's time zone. A missing field is left alone, and what isn't a number stays as it is. */
export function compileConvert (stage: ConvertStage, timeZone: string): (row: Row) => void {
  const format = compileTimeFormat(stage.timeformat, timeZone)
  return ({ values }) => {
    for (const { field, as } of stage.conversions) {
      const value = values.get(field)
      if (value === undefined) continue
      values.set(as, mapValue(value, scalar => {
        const number = toNumber(scalar)
        return (number === null ? null : format(number)) ?? scalar
      }))
    }
  }
}
