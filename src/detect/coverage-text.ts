import { DateTime } from 'luxon'
import type { Window } from '../event.js'
import { toRfc3339 } from '../event.js'
import type { Coverage, GapCause } from './coverage.js'
import { GAP_CAUSES, HARMLESS_CAUSES } from './coverage.js'

/** One sentence to quote: how many windows of which stretch were evaluated, and what of event time was not. */
export function summarize ({ window, totals }: Coverage, timeZone: string): string {
  const { slots, evaluated, states, late } = totals
  const also = ([count, what]: readonly [number, string]) => count > 0 ? [`${count.toLocaleString('en')} ${what}`] : []
  return [
    `${evaluated.toLocaleString('en')} of ${counted(slots, 'window')} ${nameOf(window, timeZone)} evaluated`,
    describeGaps(totals),
    `${counted(late.slots, 'window')} again for late events`,
    `${(states.owed + states.running).toLocaleString('en')} owed`,
    ...([[states.failed, 'failed'], [states.waived, 'waived'], [states.missing, 'missing'], [late.waiting_events, 'late events waiting'], [late.too_late_events, 'events too late']] as const).flatMap(also),
  ].join(', ')
}

/** The name of a month where it is one in the zone, else both ends. */
function nameOf ({ earliestUs, latestUs }: Window, timeZone: string): string {
  const from = DateTime.fromMillis(Math.floor(earliestUs / 1000), { zone: timeZone, locale: 'en' })
  const isMonth = earliestUs === from.startOf('month').toMillis() * 1000 && latestUs === from.plus({ months: 1 }).toMillis() * 1000
  if (isMonth) return `of ${from.toFormat('LLLL yyyy')}`
  return `from ${shortTime(earliestUs)} to ${shortTime(latestUs)}`
}

/** RFC 3339 without decimals that are none. */
export function shortTime (timeUs: number): string {
  return toRfc3339(timeUs).replace('.000Z', 'Z')
}

function describeGaps ({ gaps, covered_seconds: covered }: Coverage['totals']): string {
  const causes = GAP_CAUSES.filter(cause => gaps[cause].count > 0)
  const real = causes.filter(cause => !HARMLESS_CAUSES.has(cause))
  const harmless = causes.filter(cause => HARMLESS_CAUSES.has(cause)).map(cause => `${lengthText(gaps[cause].seconds)} ${nameCause(cause)}`)
  const rest = harmless.length === 0 ? '' : ` (${harmless.join(', ')})`
  if (real.length === 0) return `${covered > 0 ? 'event time covered without a gap' : 'no event time covered'}${rest}`
  const sum = (one: 'count' | 'seconds') => real.reduce((total, cause) => total + gaps[cause][one], 0)
  return `event time has ${counted(sum('count'), 'gap')}, ${lengthText(sum('seconds'))} in all (${real.map(nameCause).join(', ')})${rest}`
}

export function nameCause (cause: GapCause): string {
  return cause.replaceAll('_', ' ')
}

/** A length of event time, `1 h 10 min`: the two largest units that it has. */
export function lengthText (seconds: number): string {
  const units = [['d', 86_400], ['h', 3_600], ['min', 60], ['s', 1]] as const
  let rest = Math.round(seconds)
  const parts = units.map(([name, size]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return { name, count }
  })
  const first = parts.findIndex(({ count }) => count > 0)
  if (first < 0) return `${seconds} s`
  return parts.slice(first, first + 2).filter(({ count }) => count > 0).map(({ name, count }) => `${count.toLocaleString('en')} ${name}`).join(' ')
}

function counted (count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}
