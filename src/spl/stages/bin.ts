import { DateTime } from 'luxon'
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
export function compileBin (stage: BinStage, timeZone: string): (row: Row) => void {
  const floor = stage.days === undefined ? (time: number) => binSeconds(time, stage.spanSeconds) : compileDays(stage.days, timeZone)
  return ({ values }) => {
    const value = values.get(stage.field)
    if (value === undefined) return
    values.set(stage.as, mapValue(value, scalar => {
      const number = toNumber(scalar)
      return number === null ? scalar : floor(number)
    }))
  }
}

/** The midnight that a bin of so many days begins with, counted from the first day of 1970. Times outside the calendar stay as they are. */
function compileDays (days: number, timeZone: string): (time: number) => number {
  let [from, to] = [0, 0] // of the bin found last: most times are of that one
  return time => {
    if (time >= from && time < to) return from
    const local = DateTime.fromSeconds(time, { zone: timeZone })
    if (!local.isValid) return time
    const day = Math.floor(Date.UTC(local.year, local.month - 1, local.day) / 86_400_000)
    const start = local.startOf('day').minus({ days: day - Math.floor(day / days) * days })
    from = start.toSeconds()
    to = start.plus({ days }).toSeconds()
    return from
  }
}
