import type { Scalar } from '../../event.js'
import type { Loss } from '../../fields/loss.js'
import type { Source, SourceArrivals } from '../events.js'
import { HOUR_MS, MAX_SOURCE_CHARS, MAX_SOURCES } from '../events.js'
import { LAST_LAG_BUCKET, lagBucketOf } from '../lag.js'
import { COLUMN_FIELDS } from './columns.js'

/** An event that is stored. */
export interface StoredEvent {
  readonly timeUs: number
  readonly indexTimeUs: number
  /** In the order of COLUMN_FIELDS. */
  readonly columns: readonly (Scalar | null)[]
  readonly loss: Loss | null
}

/** As it grows; `lag` by bucket. */
interface Counts {
  readonly hour: number
  readonly names: Names | null
  events: number
  readonly firstArrivalUs: number
  lastArrivalUs: number
  lastTimeUs: number
  readonly lag: Uint32Array
  maxLagUs: number
  fromTheFuture: number
  lostEvents: number
  throttled: number
}

type Name = Scalar | null
/** Of SOURCE_FIELDS. */
type Names = readonly [Name, Name, Name, Name]

/** The fields that tell sources apart. */
export const SOURCE_FIELDS = ['index', 'sourcetype', 'cluster_name', 'node_name'] as const

const [INDEX, SOURCETYPE, CLUSTER, NODE] = SOURCE_FIELDS.map(field => COLUMN_FIELDS.indexOf(field)) as [number, number, number, number]

const HOUR_US = HOUR_MS * 1_000

/** By hour, then by name: a map in a map costs less than a key that is made of all. */
type Tree = Map<number, Map<Name, Map<Name, Map<Name, Map<Name, Counts>>>>>

/** Counts stored events by source and hour of arrival, until somebody takes the counts. Of the writer's loop, which calls it for each event. */
export function openSourceCounts () {
  let tree: Tree = new Map()
  let all: Counts[] = []
  /** Of each hour, those of the sources that are too many. */
  let others = new Map<number, Counts>()
  /** What the event before was counted in: those of a request are mostly of one source. */
  let last: Counts | null = null

  function countsOf ({ indexTimeUs, columns }: StoredEvent): Counts {
    const hour = Math.floor(indexTimeUs / HOUR_US)
    const [index, sourcetype, cluster, node] = [columns[INDEX]!, columns[SOURCETYPE]!, columns[CLUSTER]!, columns[NODE]!]
    if (last !== null && last.names !== null && last.hour === hour) {
      const { names } = last
      if (names[3] === node && names[2] === cluster && names[1] === sourcetype && names[0] === index) return last
    }
    last = tree.get(hour)?.get(index)?.get(sourcetype)?.get(cluster)?.get(node) ?? addCounts(hour, [index, sourcetype, cluster, node], indexTimeUs)
    return last
  }

  function addCounts (hour: number, names: Names, arrivalUs: number): Counts {
    if (all.length >= MAX_SOURCES || toSource(names) === null) {
      return getOrMake(others, hour, () => noCounts(hour, null, arrivalUs))
    }
    const counts = noCounts(hour, names, arrivalUs)
    const [index, sourcetype, cluster, node] = names
    const byIndex = getOrMake(tree, hour, newMap<Map<Name, Map<Name, Map<Name, Counts>>>>)
    getOrMake(getOrMake(getOrMake(byIndex, index, newMap<Map<Name, Map<Name, Counts>>>), sourcetype, newMap<Map<Name, Counts>>), cluster, newMap<Counts>).set(node, counts)
    all.push(counts)
    return counts
  }

  return {
    count (event: StoredEvent): void {
      const counts = countsOf(event)
      const { timeUs, indexTimeUs, loss } = event
      const lagUs = indexTimeUs - timeUs
      counts.events++
      counts.lag[lagBucketOf(lagUs)]!++
      if (lagUs < 0) counts.fromTheFuture++
      else if (lagUs > counts.maxLagUs) counts.maxLagUs = lagUs
      if (timeUs > counts.lastTimeUs) counts.lastTimeUs = timeUs
      if (indexTimeUs > counts.lastArrivalUs) counts.lastArrivalUs = indexTimeUs
      if (loss !== null) {
        counts.lostEvents = Math.min(counts.lostEvents + loss.lostEvents, Number.MAX_SAFE_INTEGER) // what the sender says, which may be anything
        counts.throttled += loss.throttled
      }
    },
    /** Gives what was counted since the last time. */
    take (): SourceArrivals[] {
      const taken = [...all, ...others.values()].map(toArrivals)
      tree = new Map()
      all = []
      others = new Map()
      last = null
      return taken
    },
  }
}

function noCounts (hour: number, names: Names | null, arrivalUs: number): Counts {
  return {
    hour, names, events: 0, firstArrivalUs: arrivalUs, lastArrivalUs: arrivalUs, lastTimeUs: -Infinity,
    lag: new Uint32Array(LAST_LAG_BUCKET + 1), maxLagUs: 0, fromTheFuture: 0, lostEvents: 0, throttled: 0,
  }
}

function toArrivals ({ hour, names, lag, ...counts }: Counts): SourceArrivals {
  const used: Record<number, number> = {}
  for (let bucket = 0; bucket < lag.length; bucket++) if (lag[bucket]! > 0) used[bucket] = lag[bucket]!
  return { ...counts, source: names === null ? null : toSource(names), hourMs: hour * HOUR_MS, lag: used }
}

/** 42 and "42" are one name, as they are one value to a search (spl-semantics.md R50). Null where a name is too long to be told apart. */
export function toSource (names: Names): Source | null {
  if (names.some(name => typeof name === 'string' && name.length > MAX_SOURCE_CHARS)) return null
  const [index, sourcetype, cluster, node] = names
  const toText = (name: Name) => name === null ? null : String(name)
  return { index: String(index), sourcetype: String(sourcetype), cluster_name: toText(cluster), node_name: toText(node) }
}

function newMap<V> (): Map<Name, V> {
  return new Map()
}

function getOrMake<K, V> (map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, value = make())
  return value
}
