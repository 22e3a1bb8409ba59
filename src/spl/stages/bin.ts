import type { BinStage } from '../ast.js'
import type { Row } from '../row.js'
import { mapValue, toNumber } from '../value.js'

/** The largest number of seconds of which every microsecond is an exact integer. */
const MAX_EXACT_SECONDS = Number.MAX_SAFE_INTEGER / 1e6

/**
 * The lower edge of the bin that holds `t`, both in seconds: floor(t / span) * span, half-open, aligned to epoch 0
 * (R21, R22). It is worked out in whole microseconds, so that no rounding moves an event over an edge.
 */
export function binSeconds (t: number, spanSeconds: number): number {
  if (Math.abs(t) > MAX_EXACT_SECONDS) return Math.floor(t / spanSeconds) * spanSeconds
  const timeUs = Math.round(t * 1e6)
  const spanUs = Math.round(spanSeconds * 1e6)
  const into = timeUs % spanUs
  return (timeUs - (into < 0 ? into + spanUs : into)) / 1e6 + 0 // + 0 makes 0 of -0
}

/** R20: replaces the field, or sets the one behind AS. What is no number stays as it is, a null stays null (R23). */
export function compileBin (stage: BinStage): (row: Row) => void {
  return ({ values }) => {
    const value = values.get(stage.field)
    if (value === undefined) return
    values.set(stage.as, mapValue(value, scalar => {
      const number = toNumber(scalar)
      return number === null ? scalar : binSeconds(number, stage.spanSeconds)
    }))
  }
}
