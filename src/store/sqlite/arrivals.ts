import { compilePredicate } from '../../spl/stages/search.js'
import type { ArrivalQuery } from '../events.js'
import type { Block, Scope } from './blocks.js'
import { blocksOf, placesInScope } from './blocks.js'
import { keptColumn } from './column-block.js'
import { toCondition } from './condition.js'
import type { Alive, PartitionReader } from './partition-reader.js'
import { isEven } from './partition-reader.js'
import { decodingReader, hasColumn } from './rows.js'

export interface ArrivalJob extends Scope {
  readonly queries: readonly ArrivalQuery[]
}

/** What arrived for one query; `lastId` is the last event's of a stretch. */
export interface FoundArrivals {
  readonly arrivals: readonly { readonly stretch: number, readonly events: number, readonly lastId: number }[]
  readonly lacking: Readonly<Record<string, number>>
}

/** Goes through the events of the job's ids once for all queries. Blocks that touch no stretch of a query that asks for nothing else are not read. */
export function findArrivals (partitions: readonly PartitionReader[], job: ArrivalJob, alive: Alive): FoundArrivals[] {
  const counters = job.queries.map(query => openCounter(query, job, alive))
  for (const partition of partitions) {
    for (const block of blocksOf(partition, job, 'id')) {
      alive()
      const asking = counters.filter(counter => counter.asksFor(block))
      if (asking.length === 0) continue
      const columns = isEven(partition, block) && asking.some(({ isNarrow }) => isNarrow) ? partition.columnsOf(block) : null
      for (const counter of asking) {
        if (columns !== null && counter.isNarrow) counter.addColumns(partition, block, columns)
        else counter.addEvents(partition, block)
      }
    }
  }
  return counters.map(({ found }) => found())
}

function openCounter ({ predicate, bordersUs, fields }: ArrivalQuery, scope: Scope, alive: Alive) {
  const condition = toCondition(predicate)
  const matches = compilePredicate(predicate)
  const stretches = new Map<number, { events: number, lastId: number }>()
  const lacking = new Map(fields.map(field => [field, 0]))
  const [firstUs, endUs] = [bordersUs[0] ?? Infinity, bordersUs.at(-1) ?? -Infinity]

  function count (id: number, timeUs: number): void {
    if (timeUs < firstUs || timeUs >= endUs) return
    const stretch = stretchOf(bordersUs, timeUs)
    const known = stretches.get(stretch)
    if (known === undefined) stretches.set(stretch, { events: 1, lastId: id })
    else {
      known.events++
      known.lastId = Math.max(known.lastId, id)
    }
  }

  function lack (field: string, events: number): void {
    if (events > 0) lacking.set(field, lacking.get(field)! + events)
  }

  const decode = decodingReader(scope, [condition.mark], alive, (event, _id, _indexTimeUs, { fields: reader }) => {
    if (!matches(name => reader.fieldOf(event, name))) return null
    return fields.filter(field => reader.fieldOf(event, field) === undefined)
  })

  return {
    /** Whether columns say all that is asked for. */
    isNarrow: condition.exact && fields.every(hasColumn),
    asksFor: ({ min_time_us: minTimeUs, max_time_us: maxTimeUs }: Block): boolean => fields.length > 0 || (minTimeUs < endUs && maxTimeUs >= firstUs),
    addColumns (partition: PartitionReader, block: Block, columns: ReturnType<PartitionReader['columnsOf']>): void {
      const places = placesInScope(block, columns, scope, condition.mark(columns, partition.dictionary))
      if (places.length === 0) return
      const times = columns.times()
      for (const place of places) count(block.first_id + place, times[place]!)
      for (const field of fields) {
        if (field === '_time') continue
        const { places: valueAt, keep } = keptColumn(columns, field)
        lack(field, places.filter(place => keep(valueAt[place]!) === null).length)
      }
    },
    addEvents (partition: PartitionReader, block: Block): void {
      for (const { id, timeUs, item } of decode(partition, block)) {
        count(id, timeUs)
        for (const field of item) lack(field, 1)
      }
    },
    found: (): FoundArrivals => ({
      arrivals: [...stretches].sort(([a], [b]) => a - b).map(([stretch, one]) => ({ stretch, ...one })),
      lacking: Object.fromEntries(lacking),
    }),
  }
}

/** The stretch that holds a time, which lies within the borders. */
function stretchOf (bordersUs: readonly number[], timeUs: number): number {
  let low = 0
  let high = bordersUs.length - 1
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (bordersUs[middle]! <= timeUs) low = middle
    else high = middle
  }
  return low
}
