import { DateTime } from 'luxon'
import { fractionUs } from '../event.js'

const UNITS: Readonly<Record<string, 'seconds' | 'minutes' | 'hours' | 'days' | 'weeks' | 'months' | 'quarters' | 'years'>> = {
  s: 'seconds', sec: 'seconds', secs: 'seconds', second: 'seconds', seconds: 'seconds',
  m: 'minutes', min: 'minutes', mins: 'minutes', minute: 'minutes', minutes: 'minutes',
  h: 'hours', hr: 'hours', hrs: 'hours', hour: 'hours', hours: 'hours',
  d: 'days', day: 'days', days: 'days',
  w: 'weeks', week: 'weeks', weeks: 'weeks',
  mon: 'months', month: 'months', months: 'months',
  q: 'quarters', qtr: 'quarters', qtrs: 'quarters', quarter: 'quarters', quarters: 'quarters',
  y: 'years', yr: 'years', yrs: 'years', year: 'years', years: 'years',
}

const STEP = /([+-])(\d{0,9})([a-z]+)|@(w[0-7]|[a-z]+)/gy

/** Longest that a time modifier may be: `-1mon@mon-7d+12h` and the like are far shorter. */
const MAX_LENGTH = 100

/**
 * Splunk's relative time (`now`, `-70m@m`, `@w1+6h`, `+1d`): offsets and snaps from left to right, days and up in the given
 * zone (spl-semantics.md R81). Epoch milliseconds; null where the text is none.
 */
export function parseTimeModifier (text: string, nowMs: number, timeZone: string): number | null {
  if (text.length > MAX_LENGTH) return null
  const modifier = text.trim()
  const steps = modifier.startsWith('now') ? modifier.slice(3) : modifier
  if (steps === '') return modifier === 'now' ? nowMs : null
  let time: DateTime = DateTime.fromMillis(nowMs, { zone: timeZone })
  let at = 0
  for (const { 0: step, 1: sign, 2: count, 3: unit, 4: snap, index } of steps.matchAll(STEP)) {
    if (index !== at) return null
    at += step.length
    const next = snap !== undefined ? snapTo(time, snap) : offsetBy(time, sign!, count!, unit!)
    if (next === null || !next.isValid) return null
    time = next
  }
  return at === steps.length ? time.toMillis() : null
}

/** Epoch seconds, RFC 3339 or a relative time, as the API takes times. Epoch microseconds; null where the text is none. */
export function parseTimeText (text: string, nowMs: number, timeZone: string): number | null {
  if (text.length > MAX_LENGTH) return null
  const seconds = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?$/.exec(text)
  if (seconds !== null) {
    const [, sign, whole, fraction] = seconds
    const micros = Number(whole) * 1_000_000 + fractionUs(fraction)
    return sign === '-' ? -micros : micros
  }
  const date = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:[Zz]|[+-]\d\d:\d\d)$/.exec(text)
  if (date !== null) {
    const time = DateTime.fromISO(text.replace(' ', 'T').replace(/\.\d+/, '').toUpperCase())
    if (!time.isValid) return null
    return time.toMillis() * 1000 + fractionUs(date[1])
  }
  const relative = parseTimeModifier(text, nowMs, timeZone)
  return relative === null ? null : relative * 1000
}

function offsetBy (time: DateTime, sign: string, count: string, unit: string): DateTime | null {
  const unitName = Object.hasOwn(UNITS, unit) ? UNITS[unit]! : null
  if (unitName === null) return null
  const amount = count === '' ? 1 : Number(count) // `-h` is one hour back
  return time.plus({ [unitName]: sign === '-' ? -amount : amount })
}

/** The start of the unit that the time is in; `@w0` (and `@w7`) to `@w6` are the last Sunday to Saturday. */
function snapTo (time: DateTime, unit: string): DateTime | null {
  const weekday = /^w([0-7])$/.exec(unit)?.[1] ?? (UNITS[unit] === 'weeks' ? '0' : null)
  if (weekday !== null) {
    const daysBack = (time.weekday - Number(weekday) + 7) % 7
    return time.startOf('day').minus({ days: daysBack })
  }
  if (!Object.hasOwn(UNITS, unit)) return null
  const name = UNITS[unit]!
  // Seconds to hours snap on the time line, so that the hour that a zone repeats in autumn is not left for its twin.
  return time.startOf(name.slice(0, -1) as 'day')
}
