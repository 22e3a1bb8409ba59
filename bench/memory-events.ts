import type { Event } from '../src/event.js'
import type { Scalar } from '../src/event.js'
import { toSeconds } from '../src/event.js'
import { compileBin } from '../src/spl/stages/bin.js'
import { runStages } from '../src/spl/stages/run.js'
import { compilePredicate } from '../src/spl/stages/search.js'
import { openStats } from '../src/spl/stages/stats.js'
import type { Row } from '../src/spl/row.js'
import type { ArrivalQuery, ArrivalResult, EventStore, FindOptions, FoundEvent, FoundGroup, Position, SearchResult } from '../src/store/events.js'
import type { SearchPlan } from '../src/spl/plan.js'
import { packEvents } from '../src/store/sqlite/find-groups.js'

/** An event of a few fields, which are as search sees them. */
export interface MemoryEvent { readonly timeUs: number, readonly arrivalMs: number, readonly fields: Readonly<Record<string, Scalar>> }

interface Stored extends MemoryEvent { readonly id: number }

/**
 * The simplest event store there can be, for what is looked at is the ledger: a list, of which an id is the place. Searches in brackets it has none. Each call waits
 * at `pause` before and behind its work, where a test may let others run, or end all.
 */
export function openMemoryEvents (pause: () => Promise<void>): EventStore & { readonly add: (event: MemoryEvent) => void, readonly count: () => number } {
  /** In the order of arrival, and in that of time. */
  const byId: Stored[] = []
  const byTime: Stored[] = []
  const idOf = (position: Position) => Number(position)
  const toPosition = (id: number) => String(id) as Position

  /** The place of the first event at or after a time. */
  function placeOf (timeUs: number): number {
    let low = 0
    let high = byTime.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (byTime[middle]!.timeUs < timeUs) low = middle + 1
      else high = middle
    }
    return low
  }

  function matching (predicate: SearchPlan['query']['predicate'], { window, position, since }: Pick<FindOptions, 'window' | 'position' | 'since'>): Stored[] {
    const test = compilePredicate(predicate)
    const [after, last] = [since === undefined ? 0 : idOf(since), idOf(position)]
    return byTime.slice(placeOf(window.earliestUs), placeOf(window.latestUs)).filter(event => event.id > after && event.id <= last && test(name => fieldOf(event, name)))
  }

  return {
    add (event) {
      const stored = { ...event, id: byId.length + 1 }
      byId.push(stored)
      byTime.splice(placeOf(event.timeUs + 1), 0, stored)
    },
    count: () => byId.length,
    position: () => toPosition(byId.length),
    isAfter: (a, b) => idOf(a) > idOf(b),
    async search (plan, options): Promise<SearchResult> {
      await pause()
      const { query, stages, lookups } = plan
      const events = matching(query.predicate, options)
      const rows = events.map((event): Row => ({ values: new Map<string, Scalar>([['_time', toSeconds(event.timeUs)], ...Object.entries(event.fields)]), origin: [event.id] }))
      if (query.bin !== null) rows.forEach(compileBin(query.bin, options.timeZone))
      const stats = query.stats === null ? null : openStats(query.stats)
      if (stats !== null) for (const row of rows) stats.add(row)
      const context = { timeZone: options.timeZone, nowMs: options.nowMs, alive: () => {}, warn: () => {}, lookups, subsearch: () => [] }
      const result = [...runStages(stages, stats === null ? rows.reverse() : stats.rows(), context)]
      await pause()
      return { rows: result.slice(0, options.limit), truncated: result.length > options.limit, scannedEvents: events.length, warnings: [] }
    },
    async find ({ predicate, order, limit, after, ...scope }: FindOptions): Promise<FoundEvent[]> {
      await pause()
      const sign = order.startsWith('-') ? -1 : 1
      const keyOf = order.endsWith('id') ? ({ id }: Stored) => id : ({ timeUs }: Stored) => timeUs
      const found = matching(predicate, scope).sort((a, b) => sign * (keyOf(a) - keyOf(b) || a.id - b.id))
      const rest = after === undefined ? found : found.filter(event => order.endsWith('id') ? sign * (event.id - after.id) > 0 : sign * (event.timeUs - after.timeUs || event.id - after.id) > 0)
      await pause()
      return rest.slice(0, limit).map(event => ({ event: toEvent(event), timeUs: event.timeUs }))
    },
    async findGroups ({ predicate, groups, order, limit, maxBytes, ...scope }): Promise<FoundGroup[]> {
      await pause()
      const sign = order.startsWith('-') ? -1 : 1
      const found = groups.map(group => {
        const test = compilePredicate(group.predicate)
        const events = matching(predicate, { ...scope, window: group.window }).filter(event => (group.id ?? event.id) === event.id && test(name => fieldOf(event, name)))
        const first = events.sort((a, b) => sign * (order.endsWith('id') ? a.id - b.id : a.timeUs - b.timeUs || a.id - b.id)).slice(0, limit)
        return { ...packEvents(first.map(event => JSON.stringify(toEvent(event))), maxBytes), count: events.length }
      })
      await pause()
      return found
    },
    async since ({ after, position, queries }): Promise<ArrivalResult[]> {
      await pause()
      const fresh = byId.slice(idOf(after), idOf(position))
      const result = queries.map(query => arrivalsOf(query, fresh, toPosition))
      await pause()
      return result
    },
    append: () => Promise.reject(new Error('events are added')),
    stats: () => ({ partitions: 1, packedPartitions: 0, damagedPartitions: 0, events: byId.length, bytesOnDisk: 0 }),
    isDamaged: () => false,
    partitions: () => [],
    sourceCounts: () => Promise.resolve([]),
    retain: () => Promise.resolve([]),
    pack: () => Promise.resolve(null),
    failure: () => null,
    close: () => Promise.resolve(),
  }
}

function fieldOf ({ timeUs, fields }: Stored, name: string): Scalar | undefined {
  return name === '_time' ? toSeconds(timeUs) : Object.hasOwn(fields, name) ? fields[name] : undefined
}

function arrivalsOf ({ predicate, bordersUs, fields }: ArrivalQuery, events: readonly Stored[], toPosition: (id: number) => Position): ArrivalResult {
  const test = compilePredicate(predicate)
  const found = events.filter(event => test(name => fieldOf(event, name)))
  const arrivals = bordersUs.slice(1).flatMap((toUs, stretch) => {
    const within = found.filter(({ timeUs }) => timeUs >= bordersUs[stretch]! && timeUs < toUs)
    return within.length === 0 ? [] : [{ stretch, events: within.length, last: toPosition(within.at(-1)!.id) }]
  })
  const lacking = fields.flatMap(field => {
    const events = found.filter(event => fieldOf(event, field) === undefined).length
    return events === 0 ? [] : [{ field, source: null, events }]
  })
  return { arrivals, lacking }
}

function toEvent ({ id, timeUs, arrivalMs, fields }: Stored): Event {
  const { host = 'host', source = 'source', sourcetype = 'sourcetype', index = 'main' } = fields as Record<string, string>
  return { id, time: toSeconds(timeUs), index_time: new Date(arrivalMs).toISOString(), host, source, sourcetype, index, event: fields, raw: JSON.stringify(fields), fields: {} }
}
