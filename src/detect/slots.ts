import { DateTime } from 'luxon'
import type { Window } from '../event.js'
import type { CompiledDefinition } from './definition.js'

type Scheduled = Pick<CompiledDefinition, 'nextSlot' | 'windowOf'>

const DAY_MS = 86_400_000

/** The slots whose whole window lies in a stretch of time, in order, those after `afterMs` where given; epoch milliseconds. */
export function * slotsWithin ({ nextSlot, windowOf }: Scheduled, { earliestUs, latestUs }: Window, afterMs = -Infinity): Generator<number> {
  const firstMs = firstTimeMs(ms => windowOf(ms).earliestUs >= earliestUs, earliestUs / 1000)
  let slotMs = nextSlot(Math.max(firstMs - 1, afterMs))
  for (; windowOf(slotMs).latestUs <= latestUs; slotMs = nextSlot(slotMs)) yield slotMs
}

/**
 * How many slots `slotsWithin` gives, as numbers to add up. A cron expression has as many slots on any day of 24 hours as on any other, or none: a day costs about what a
 * slot does.
 */
export function * countsWithin ({ nextSlot, windowOf }: Scheduled, { earliestUs, latestUs }: Window, timeZone: string): Generator<number> {
  const firstMs = firstTimeMs(ms => windowOf(ms).earliestUs >= earliestUs, earliestUs / 1000)
  const endMs = firstTimeMs(ms => windowOf(ms).latestUs > latestUs, latestUs / 1000)
  let ofDay: number | null = null
  for (let slotMs = nextSlot(firstMs - 1); slotMs < endMs;) {
    const day = DateTime.fromMillis(slotMs, { zone: timeZone }).startOf('day')
    const [startMs, nextDayMs] = [day.toMillis(), day.plus({ days: 1 }).toMillis()]
    const isWhole = startMs >= firstMs && nextDayMs <= endMs && nextDayMs - startMs === DAY_MS
    let count: number | null = isWhole ? ofDay : null
    if (count === null) {
      count = 0
      for (let ms = slotMs; ms < Math.min(nextDayMs, endMs); ms = nextSlot(ms)) count++
      if (isWhole) ofDay = count
    }
    yield count
    slotMs = nextSlot(nextDayMs - 1)
  }
}

/** The first slot whose window ends after a time, so that it may hold an event of that time. */
export function firstSlotEndingAfter ({ nextSlot, windowOf }: Scheduled, timeUs: number): number {
  return nextSlot(firstTimeMs(ms => windowOf(ms).latestUs > timeUs, timeUs / 1000) - 1)
}

/** Local time goes back by less, and with it windows that count in days. */
const CLOCK_CHANGE_MS = 3 * 3_600_000

/** The slots whose windows touch a stretch of time are at `fromMs` or later and before `toMs`; not all that are have such a window. */
export function timesTouching ({ windowOf }: Pick<Scheduled, 'windowOf'>, { earliestUs, latestUs }: Window): { fromMs: number, toMs: number } {
  return {
    fromMs: firstTimeMs(ms => windowOf(ms).latestUs > earliestUs, earliestUs / 1000) - CLOCK_CHANGE_MS,
    toMs: firstTimeMs(ms => windowOf(ms).earliestUs >= latestUs, latestUs / 1000) + CLOCK_CHANGE_MS,
  }
}

/** No slot at a time or later has a window that begins earlier than this. */
export function noneBefore ({ windowOf }: Pick<Scheduled, 'windowOf'>, slotMs: number): number {
  return windowOf(slotMs - CLOCK_CHANGE_MS).earliestUs
}

/** The first moment at which `isReached`, which from then on stays true, as the ends of windows never go back in time. */
function firstTimeMs (isReached: (ms: number) => boolean, nearMs: number): number {
  let before = Math.floor(nearMs)
  let reached = before
  for (let step = DAY_MS; isReached(before); step *= 2) before -= step
  for (let step = DAY_MS; !isReached(reached); step *= 2) reached += step
  while (reached - before > 1) {
    const middle = Math.floor((before + reached) / 2)
    if (isReached(middle)) reached = middle
    else before = middle
  }
  return reached
}
