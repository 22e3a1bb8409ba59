import { ALL_TIME } from '../event.js'
import { isSilentWithoutEvents } from '../spl/no-events.js'
import type { EventStore } from '../store/events.js'
import type { CompiledDefinition } from './definition.js'
import { EVERY } from './evidence.js'
import type { RunDeps } from './run.js'
import { runSlot } from './run.js'
import { firstSlotEndingAfter } from './slots.js'

/** The times of the first and the last event. */
export interface Stretch { readonly firstUs: number, readonly lastUs: number }

/** From the first event of a store to its last; null where it has none. */
export async function findStretch (events: EventStore, signal: AbortSignal): Promise<Stretch | null> {
  const find = async (order: 'time' | '-time') => (await events.find({ predicate: EVERY, window: ALL_TIME, position: events.position(), order, limit: 1, signal }))[0]?.timeUs
  const [firstUs, lastUs] = [await find('time'), await find('-time')]
  return firstUs === undefined || lastUs === undefined ? null : { firstUs, lastUs }
}

/**
 * Runs every slot whose window meets the stretch, oldest first, as the ledger does. Slots whose window holds no event are passed over
 * where the search says nothing of those: a log may span years.
 */
export async function * scanSlots (compiled: CompiledDefinition, { firstUs, lastUs }: Stretch, deps: Omit<RunDeps, 'definitions'>): AsyncGenerator<Awaited<ReturnType<typeof runSlot>>> {
  const { windowOf, nextSlot, plan } = compiled
  const nextEventUs = openTimeline(deps)
  let slotMs = firstSlotEndingAfter(compiled, firstUs)
  while (windowOf(slotMs).earliestUs <= lastUs) {
    const { earliestUs, latestUs } = windowOf(slotMs)
    const timeUs = isSilentWithoutEvents(plan) ? await nextEventUs(earliestUs) : earliestUs
    if (timeUs === null) return
    if (timeUs >= latestUs) {
      slotMs = firstSlotEndingAfter(compiled, timeUs)
      continue
    }
    const slot = { detection_id: compiled.definition.detection_id, slot_ms: slotMs, definition_hash: compiled.hash, earliest_us: earliestUs, latest_us: latestUs, position: null, late_due_ms: null }
    yield await runSlot(slot, { isShort: false, nextTryMs: nowMs => nowMs }, { ...deps, definitions: { get: () => compiled } })
    slotMs = nextSlot(slotMs)
  }
}

/** The time of the first event at or after a time; null where there is none. */
function openTimeline ({ events, signal }: Pick<RunDeps, 'events' | 'signal'>): (fromUs: number) => Promise<number | null> {
  let known: { readonly fromUs: number, readonly timeUs: number } | null = null
  return async fromUs => {
    if (known !== null && known.fromUs <= fromUs && fromUs <= known.timeUs) return known.timeUs
    const window = { earliestUs: fromUs, latestUs: ALL_TIME.latestUs }
    const [found] = await events.find({ predicate: EVERY, window, position: events.position(), order: 'time', limit: 1, signal })
    if (found === undefined) return null
    known = { fromUs, timeUs: found.timeUs }
    return found.timeUs
  }
}
