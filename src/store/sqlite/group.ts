import type { Scalar } from '../../event.js'
import { toMicroseconds, toSeconds } from '../../event.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Aggregate, BinStage, StatsStage } from '../../spl/ast.js'
import type { Partial } from '../../spl/stages/stats.js'
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
type Values = Omit<KeptColumn, 'places'> & { readonly places: KeptColumn['places'] | Uint32Array }

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
    const name = keys.length === 1 ? String(keys[0]) : keys.map(key => typeof key === 'string' ? `${key.length}:${key}` : key).join()
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
      const here = firsts.map(event => groupOf(by.map(field => {
        const { places, keep } = valuesOf(field)
        return keep(places[event]!)!
      })))
      aggregates.forEach((aggregate, i) => {
        const seen = here.map(group => group.seen[i]!)
        if (aggregate.field === null) for (const number of numbers) seen[number]!.count++
        else if (chosen.length > 0) addValues(valuesOf(aggregate.field), chosen, numbers, seen, isTimeRange(aggregate) ? addTime : addValue)
      })
    },

    /** The groups as `spl/` adds them up. */
    * partials (): Generator<{ by: Scalar[], partials: Partial[] }> {
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

/** Cuts events into groups of equal BY values: of each chosen event the number of its group, of each group its first event. Without a value of each field an event is in none (R31). */
function splitEvents (events: readonly number[], fields: readonly Values[]): { chosen: readonly number[], numbers: readonly number[], firsts: readonly number[] } {
  let chosen = events
  let numbers: number[] = new Array<number>(events.length).fill(0)
  let firsts = events.slice(0, 1)
  for (const { distinct, places, keep } of fields) {
    const known: (boolean | undefined)[] = new Array<undefined>(distinct)
    const groups = new Map<number, number>()
    const [nextChosen, nextNumbers, nextFirsts]: [number[], number[], number[]] = [[], [], []]
    for (let i = 0; i < chosen.length; i++) {
      const event = chosen[i]!
      const place = places[event]!
      if (!(known[place] ??= keep(place) !== null)) continue
      const key = numbers[i]! * distinct + place
      let group = groups.get(key)
      if (group === undefined) {
        groups.set(key, group = nextFirsts.length)
        nextFirsts.push(event)
      }
      nextChosen.push(event)
      nextNumbers.push(group)
    }
    chosen = nextChosen
    numbers = nextNumbers
    firsts = nextFirsts
  }
  return { chosen, numbers, firsts }
}

/** Adds each group's different values, each once. */
function addValues ({ distinct, places, keep }: Values, chosen: readonly number[], numbers: readonly number[], groups: readonly Seen[], add: (seen: Seen, value: Kept) => void): void {
  const isAdded = new Uint8Array(groups.length * distinct)
  for (let i = 0; i < chosen.length; i++) {
    const place = places[chosen[i]!]!
    const key = numbers[i]! * distinct + place
    if (isAdded[key] === 1) continue
    isAdded[key] = 1
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
  const times = columns.times()
  const places = new Uint32Array(columns.count)
  const distinct = new Map<number, number>()
  for (const event of events) {
    const timeUs = times[event]!
    const into = timeUs % spanUs
    const edge = timeUs - (into < 0 ? into + spanUs : into)
    let place = distinct.get(edge)
    if (place === undefined) distinct.set(edge, place = distinct.size)
    places[event] = place
  }
  const edges = [...distinct.keys()]
  return { distinct: edges.length, places, keep: place => edges[place]! }
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
