import type { Scalar } from '../../event.js'
import { toMicroseconds, toSeconds } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Aggregate, BinStage, StatsStage } from '../../spl/ast.js'
import type { Partial, PartialGroup } from '../../spl/stages/stats.js'
import type { BlockColumns, KeptColumn } from './column-block.js'
import { keptColumn } from './column-block.js'
import type { DictionaryReader } from './dictionary.js'

/** A value as it is kept while events are counted: a dictionary id, a text, a time in microseconds. */
type Kept = number | string

/** A group of a partition: its BY values and what its aggregates have seen. */
interface Group { readonly by: readonly Kept[], readonly seen: readonly Seen[] }

/** What an aggregate has seen of a group: how many events, the different values of its field, or of times the first and the last alone. */
interface Seen { count: number, earliestUs: number, latestUs: number, readonly values: Set<Kept> }

/** A field of a block; of `_time` the values are bins. */
type Values = Omit<KeptColumn, 'places'> & { readonly places: KeptColumn['places'] | readonly number[] }

/**
 * `bin` and `stats` over the columns of one partition's blocks. It collects of each group the different values of a field; dc, values, min and max
 * are made of them by `spl/`, once for all partitions.
 */
export function openGroups (bin: BinStage | null, { by, aggregates }: StatsStage, dictionary: DictionaryReader) {
  const spanUs = bin === null ? 1 : toMicroseconds(bin.spanSeconds)
  if (!Number.isSafeInteger(spanUs) || spanUs <= 0) throw new Error(`a bin of ${spanUs} microseconds`)
  for (const { function: name, field } of aggregates) if (field !== null && !PUSHED.has(name)) throw new Error(`${name} of a field is not pushed down`)
  const groups = new Map<string, Group>()

  function groupOf (keys: readonly Kept[]): Group {
    let name = ''
    for (const key of keys) name += typeof key === 'string' ? `${key.length}:${key},` : `${key},`
    let group = groups.get(name)
    if (group === undefined) groups.set(name, group = { by: keys, seen: aggregates.map(() => ({ count: 0, earliestUs: Infinity, latestUs: -Infinity, values: new Set() })) })
    return group
  }

  return {
    /** Adds events of a block, by their places in it. */
    add (columns: BlockColumns, events: readonly number[]): void {
      const known = new Map<string, Values>()
      const valuesOf = (field: string) => {
        let values = known.get(field)
        if (values === undefined) known.set(field, values = field === '_time' ? timesOf(columns, events, spanUs) : keptColumn(columns, field))
        return values
      }
      const { chosen, numbers, firsts } = splitEvents(events, by.map(valuesOf))
      if (chosen.length === 0) return
      const here = firsts.map(event => groupOf(by.map(field => {
        const { places, keep } = valuesOf(field)
        return keep(places[event]!)!
      })))
      aggregates.forEach((aggregate, i) => {
        const seen = here.map(group => group.seen[i]!)
        if (aggregate.field === null) for (const number of numbers) seen[number]!.count++
        else addValues(valuesOf(aggregate.field), chosen, numbers, seen, isTimeRange(aggregate) ? addTime : addValue)
      })
    },

    /** The groups as `spl/` adds them up. */
    * partials (): Generator<PartialGroup> {
      for (const group of groups.values()) {
        yield {
          by: by.map((field, i) => toScalar(field, group.by[i]!, dictionary)),
          partials: aggregates.map((aggregate, i) => toPartial(aggregate, group.seen[i]!, dictionary)),
        }
      }
    },
  }
}

const PUSHED: ReadonlySet<string> = new Set(['dc', 'max', 'min', 'values'])

/** Above it the numbers of groups are dealt again before another field is looked at, so that they stay exact. */
const MAX_KEY = 2 ** 36

/** Cuts events into groups of equal BY values: of each chosen event the number of its group, of each group its first event. Without a value of each field an event is in none (R31). */
function splitEvents (events: readonly number[], fields: readonly Values[]): { chosen: readonly number[], numbers: readonly number[], firsts: readonly number[] } {
  const chosen = events.filter(event => fields.every(({ places, has }) => has(places[event]!)))
  let keys: number[] = new Array<number>(chosen.length).fill(0)
  let size = 1 // keys are below it
  for (const { distinct, places } of fields) {
    if (distinct === 1) continue
    if (size > MAX_KEY) ({ numbers: keys, firsts: { length: size } } = number(keys))
    for (let i = 0; i < keys.length; i++) keys[i] = keys[i]! * distinct + places[chosen[i]!]!
    size *= distinct
  }
  const { numbers, firsts } = number(keys)
  return { chosen, numbers, firsts: firsts.map(i => chosen[i]!) }
}

/** Numbers the different ones of keys in the order in which they come, and says where each comes first. */
function number (keys: readonly number[]): { numbers: number[], firsts: number[] } {
  const known = new Map<number, number>()
  const firsts: number[] = []
  const numbers = keys.map((key, i) => {
    let number = known.get(key)
    if (number === undefined) {
      known.set(key, number = firsts.length)
      firsts.push(i)
    }
    return number
  })
  return { numbers, firsts }
}

/** Adds each group's different values, each once. */
function addValues ({ distinct, places, keep }: Values, chosen: readonly number[], numbers: readonly number[], groups: readonly Seen[], add: (seen: Seen, value: Kept) => void): void {
  const isAdded = groups.length === chosen.length ? null : new Uint8Array(groups.length * distinct) // a group of one event has no value twice
  for (let i = 0; i < chosen.length; i++) {
    const place = places[chosen[i]!]!
    if (isAdded !== null) {
      const key = numbers[i]! * distinct + place
      if (isAdded[key] === 1) continue
      isAdded[key] = 1
    }
    const value = keep(place)
    if (value !== null) add(groups[numbers[i]!]!, value)
  }
}

function addValue ({ values }: Seen, value: Kept): void {
  values.add(value)
}

function addTime (seen: Seen, timeUs: Kept): void {
  seen.earliestUs = Math.min(seen.earliestUs, timeUs as number)
  seen.latestUs = Math.max(seen.latestUs, timeUs as number)
}

/** For the smallest and the largest time two are enough of all that there are. */
function isTimeRange ({ function: name, field }: Aggregate): boolean {
  return field === '_time' && (name === 'min' || name === 'max')
}

/** The lower edges of the bins that the times are in, also before 1970. */
function timesOf (columns: BlockColumns, events: readonly number[], spanUs: number): Values {
  const places: number[] = []
  const distinct = new Map<number, number>()
  let lastEdge = NaN // most events are in the bin of the one before
  let place = 0
  for (const event of events) {
    const timeUs = columns.timeAt(event)
    const into = timeUs % spanUs
    const edge = timeUs - (into < 0 ? into + spanUs : into)
    if (edge !== lastEdge) {
      place = distinct.get(edge) ?? distinct.size
      if (place === distinct.size) distinct.set(edge, place)
      lastEdge = edge
    }
    places[event] = place
  }
  const edges = [...distinct.keys()]
  return { distinct: edges.length, places, has: () => true, keep: place => edges[place]! }
}

function toPartial (aggregate: Aggregate, { count, earliestUs, latestUs, values }: Seen, dictionary: DictionaryReader): Partial {
  const { field } = aggregate
  if (field === null) return count
  if (isTimeRange(aggregate)) return earliestUs === Infinity ? [] : [toSeconds(earliestUs), toSeconds(latestUs)]
  return Array.from(values, value => toScalar(field, value, dictionary))
}

export function toScalar (field: string, kept: Kept, dictionary: DictionaryReader): Scalar {
  if (field === '_time') return toSeconds(kept as number)
  return COLUMNS[field] === 'dictionary' ? dictionary.valueOf(kept as number) : kept
}
