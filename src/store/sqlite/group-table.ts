import type { Scalar } from '../../event.js'
import { toSeconds } from '../../event.js'
import type { Aggregate, StatsStage } from '../../spl/ast.js'
import type { Partial, PartialGroup } from '../../spl/stages/stats.js'
import { openNumbers } from './numbers.js'
import { openTuples } from './tuples.js'

/** What is kept of each group, whatever the aggregates: the values of these fields, each once. dc, values, min and max are made of them. */
export function keptFields ({ aggregates }: StatsStage): string[] {
  return [...new Set(aggregates.flatMap(aggregate => aggregate.field === null || isTimeRange(aggregate) ? [] : aggregate.field))]
}

/** For the smallest and the largest time two are enough of all that there are. */
function isTimeRange ({ function: name, field }: Aggregate): boolean {
  return field === '_time' && (name === 'min' || name === 'max')
}

/** Groups with what they have seen, for another thread to add to its own: numbers, and a list of the values that they are places in. Arrays are in the order of the groups. */
export interface GroupSet {
  readonly count: number
  /** BY values and those of kept fields; one may stand in it twice. */
  readonly scalars: readonly Scalar[]
  /** The places of a group's BY values, one behind the other. */
  readonly by: Uint32Array
  /** How many events. */
  readonly counts: Float64Array
  /** Epoch microseconds. */
  readonly earliestUs: Float64Array
  readonly latestUs: Float64Array
  /** Of each kept field the places of all values, group by group, and how many each group has. */
  readonly kept: readonly { readonly counts: Uint32Array, readonly places: Uint32Array }[]
}

/** Groups by their BY values, and what they have seen; values are numbers of whoever fills it, from 1 on. */
export function openGroupTable (byCount: number, keptCount: number) {
  const groups = openTuples(byCount)
  const counts: number[] = []
  const earliestUs: number[] = []
  const latestUs: number[] = []
  const kept = Array.from({ length: keptCount }, () => ({ pairs: openTuples(2), lasts: [] as number[], befores: [] as number[] }))
  const pair = new Uint32Array(2)
  return {
    /** The number of a group. */
    groupOf (by: Uint32Array): number {
      const group = groups.numberOf(by)
      if (group === counts.length) {
        counts.push(0)
        earliestUs.push(Infinity)
        latestUs.push(-Infinity)
        for (const { lasts } of kept) lasts.push(-1)
      }
      return group
    },
    /** So many events of a time. */
    add (group: number, count: number, firstUs: number, lastUs: number): void {
      counts[group]! += count
      if (firstUs < earliestUs[group]!) earliestUs[group] = firstUs
      if (lastUs > latestUs[group]!) latestUs[group] = lastUs
    },
    addValue (field: number, group: number, value: number): void {
      const { pairs, lasts, befores } = kept[field]!
      pair[0] = group
      pair[1] = value
      const number = pairs.numberOf(pair)
      if (number < befores.length) return
      befores.push(lasts[group]!)
      lasts[group] = number
    },
    /** All groups. `scalarOf` gives the value of a number: of a BY field by its place, of the kept fields by theirs behind those. */
    toSet (scalarOf: readonly ((number: number) => Scalar)[]): GroupSet {
      const scalars: Scalar[] = []
      const openPlaces = (toScalar: (number: number) => Scalar) => {
        const known = new Map<number, number>()
        return (number: number): number => {
          let place = known.get(number)
          if (place === undefined) {
            known.set(number, place = scalars.length)
            scalars.push(toScalar(number))
          }
          return place
        }
      }
      const placesOf = scalarOf.map(openPlaces)
      const by = new Uint32Array(groups.count * byCount)
      for (let group = 0; group < groups.count; group++) {
        for (let i = 0; i < byCount; i++) by[group * byCount + i] = placesOf[i]!(groups.valueAt(group, i))
      }
      return {
        count: groups.count,
        scalars,
        by,
        counts: Float64Array.from(counts),
        earliestUs: Float64Array.from(earliestUs),
        latestUs: Float64Array.from(latestUs),
        kept: kept.map(({ pairs, lasts, befores }, field) => {
          const valueCounts = new Uint32Array(groups.count)
          const places = new Uint32Array(pairs.count)
          let at = 0
          lasts.forEach((last, group) => {
            const start = at
            for (let number = last; number !== -1; number = befores[number]!) places[at++] = placesOf[byCount + field]!(pairs.valueAt(number, 1))
            valueCounts[group] = at - start
          })
          return { counts: valueCounts, places }
        }),
      }
    },
  }
}

/** Makes one set of several, in which no group is twice; each is added before the next is made, so that what they have in common is in memory once. */
export function openJoin (byCount: number, keptCount: number) {
  /** Of one set there is nothing to join. */
  let only: GroupSet | null = null
  let joined: ReturnType<typeof openJoined> | null = null
  return {
    add (set: GroupSet): void {
      if (joined === null && only === null) only = set
      else {
        joined ??= openJoined(byCount, keptCount)
        if (only !== null) joined.add(only)
        only = null
        joined.add(set)
      }
    },
    toSet: (): GroupSet | null => joined === null ? only : joined.toSet(),
  }
}

function openJoined (byCount: number, keptCount: number) {
  const table = openGroupTable(byCount, keptCount)
  const numbers = openNumbers<Scalar>()
  const tuple = new Uint32Array(byCount)
  return {
    add ({ count, scalars, by, counts, earliestUs, latestUs, kept }: GroupSet): void {
      const ofPlace = Uint32Array.from(scalars, numbers.numberOf)
      const at = kept.map(() => 0)
      for (let group = 0; group < count; group++) {
        for (let i = 0; i < byCount; i++) tuple[i] = ofPlace[by[group * byCount + i]!]!
        const number = table.groupOf(tuple)
        table.add(number, counts[group]!, earliestUs[group]!, latestUs[group]!)
        kept.forEach(({ counts: valueCounts, places }, field) => {
          const end = at[field]! + valueCounts[group]!
          while (at[field]! < end) table.addValue(field, number, ofPlace[places[at[field]!++]!]!)
        })
      }
    },
    toSet: (): GroupSet => table.toSet(Array.from({ length: byCount + keptCount }, () => numbers.valueOf)),
  }
}

/** The groups of a set as `spl/` adds them up. */
export function * partialsOf (stage: StatsStage, { count, scalars, by, counts, earliestUs, latestUs, kept }: GroupSet): Generator<PartialGroup> {
  const fields = keptFields(stage)
  const byCount = stage.by.length
  const at = fields.map(() => 0)
  for (let group = 0; group < count; group++) {
    const values = kept.map(({ counts: valueCounts, places }, field) => {
      const start = at[field]!
      at[field] = start + valueCounts[group]!
      return Array.from(places.subarray(start, at[field]), place => scalars[place]!)
    })
    const toPartial = (aggregate: Aggregate): Partial => {
      if (aggregate.field === null) return counts[group]!
      if (isTimeRange(aggregate)) return [toSeconds(earliestUs[group]!), toSeconds(latestUs[group]!)]
      return values[fields.indexOf(aggregate.field)]!
    }
    yield { by: Array.from({ length: byCount }, (_, i) => scalars[by[group * byCount + i]!]!), partials: stage.aggregates.map(toPartial) }
  }
}
