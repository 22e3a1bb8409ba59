import { createHash } from 'node:crypto'
import type { Throttling } from '../detection.js'
import type { Row } from '../spl/row.js'
import type { Throttle } from '../store/control/findings.js'
import { textOf } from './findings.js'

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds of a period such as `3600s`, `60m`, `24h` or `1d`, without a unit of seconds; null where it is none. */
export function parsePeriod (text: string): number | null {
  const [, count, unit = 's'] = /^(\d+)([smhd])?$/.exec(text) ?? []
  const seconds = Number(count) * UNIT_SECONDS[unit]!
  return seconds > 0 && Number.isSafeInteger(seconds * 1000) ? seconds : null
}

/** Why a field can't be one that findings are throttled by; null where it can. */
export function fieldProblem (field: string): string | null {
  return field.includes('*') ? `${field}: wildcards are not supported, the fields have to be named` : null
}

/**
 * What throttles the finding of a row that is new at a slot. The slot's time decides, not the clock: a slot that is caught up with gives what it would have
 * given in time. In digest mode the slot's own findings throttle none of it, whichever of its evaluations they come from (R98).
 */
export function throttleOf ({ fields, period_seconds: periodSeconds, mode }: Throttling, { values }: Row, slotMs: number): Throttle {
  const key = fields.map(field => {
    const value = values.get(field)
    return [field, value === undefined ? null : textOf(value)] // as stats tells values apart, and a missing one from all others
  })
  return {
    key: createHash('sha256').update(JSON.stringify(key)).digest('hex'),
    afterMs: slotMs - periodSeconds * 1000,
    untilMs: mode === 'digest' ? slotMs - 1 : slotMs,
  }
}
