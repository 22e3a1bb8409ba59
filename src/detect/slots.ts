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

/** The first slot whose window ends after a time, so that it may hold an event of that time. */
export function firstSlotEndingAfter ({ nextSlot, windowOf }: Scheduled, timeUs: number): number {
  return nextSlot(firstTimeMs(ms => windowOf(ms).latestUs > timeUs, timeUs / 1000) - 1)
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
