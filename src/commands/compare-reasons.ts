import type { z } from 'zod'
import type { RowEvents } from '../api/detections.js'
import type { Window } from '../event.js'
import { toMicroseconds } from '../event.js'

/** Why a row is not the same on both sides, as far as can be seen from here (docs/compare.md). */
export type Reason = 'case' | 'window_edge' | 'null_by_field' | 'late' | 'not_sent_here' | 'unknown'

export interface Explained { readonly reason: Reason, readonly detail: string }

export interface ComparedSlot { readonly slotMs: number, readonly window: Window }

/** A row that is to be explained. */
export interface Unequal {
  readonly result: 'different' | 'only_there' | 'only_here'
  readonly isCaseOnly: boolean
  /** Epoch seconds; null where it has no `_time`. */
  readonly time: number | null
  /** Of the run that gave it; of a row that is only there, the one whose window it is in. Null where there is none. */
  readonly slot: ComparedSlot | null
}

type Events = z.infer<typeof RowEvents>

/**
 * The most probable reason: what is certain from the rows alone first, then what the events show, and last a bin that only touches the
 * end of its window. `look` asks for the events behind the row; null where the row doesn't say which they are.
 */
export async function explain (row: Unequal, binSeconds: number | null, look: () => Promise<Events | null>): Promise<Explained> {
  if (row.isCaseOnly) return { reason: 'case', detail: row.result === 'different' ? 'the values differ in letter case alone' : 'the other side has this row in other letter case' }
  const edge = edgeOf(row, binSeconds)
  if (edge?.isCertain === true) return { reason: 'window_edge', detail: edge.detail }
  const events = await look()
  const seen = events === null ? null : whatEventsShow(row, events)
  if (seen !== null && seen.reason !== 'unknown') return seen
  if (edge !== null) return { reason: 'window_edge', detail: edge.detail }
  return seen ?? { reason: 'unknown', detail: 'the row has not all the fields that say which events are behind it' }
}

/** Whether the row's bin, or its moment where it has none, lies outside all windows, is cut by its window, or touches the end of it. */
function edgeOf ({ time, slot }: Unequal, binSeconds: number | null): { isCertain: boolean, detail: string } | null {
  if (time === null) return null
  if (slot === null) return { isCertain: true, detail: 'it lies in no window of this range' }
  if (binSeconds === null) return null
  const startUs = toMicroseconds(time)
  const endUs = startUs + toMicroseconds(binSeconds)
  const { earliestUs, latestUs } = slot.window
  if (startUs < earliestUs || endUs > latestUs) return { isCertain: true, detail: 'its window cuts its bin' }
  if (startUs === earliestUs) return { isCertain: false, detail: 'its bin is the first of its window' }
  return endUs === latestUs ? { isCertain: false, detail: 'its bin is the last of its window' } : null
}

function whatEventsShow ({ result, slot }: Unequal, events: Events): Explained {
  const { event_count: count, key_event_count: ofKey, last_index_time: last, lacking, added } = events
  const lackingText = lacking.map(({ field, event_count: without }) => `${eventsText(without)} here that would belong to it, without ${field}`).join('; ')
  if (result !== 'only_here' && count === 0 && lacking.length > 0) return { reason: 'null_by_field', detail: lackingText }
  if (result === 'only_there' && ofKey === 0) return { reason: 'not_sent_here', detail: 'no event of its BY values is here' }
  if (slot !== null && last !== null && Date.parse(last) > slot.slotMs) {
    return { reason: 'late', detail: `an event of it arrived at ${last}, after its run of ${new Date(slot.slotMs).toISOString()}` }
  }
  if (result !== 'only_there' && added.length > 0) return { reason: 'null_by_field', detail: `the events have ${added.join(', ')} not of themselves: the token or the envelope adds it` }
  if (result !== 'only_here' && lacking.length > 0) return { reason: 'null_by_field', detail: lackingText }
  if (count === 0) return { reason: 'unknown', detail: `${eventsText(ofKey)} here of its BY values; none meets the search` }
  return { reason: 'unknown', detail: `${eventsText(count)} here meet the search and have its BY values` }
}

function eventsText (count: number): string {
  return count === 1 ? '1 event' : `${count} events`
}
