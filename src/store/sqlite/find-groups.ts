import { gzipSync } from 'node:zlib'
import type { Scalar, Value } from '../../event.js'
import type { Predicate } from '../../spl/ast.js'
import { andTerms } from '../../spl/predicate.js'
import { compilePredicate, predicateFields } from '../../spl/stages/search.js'
import { isMultivalue, toKey, toText } from '../../spl/value.js'
import type { EventGroup, EventOrder, FoundGroup } from '../events.js'
import type { Block, Place, Scope } from './blocks.js'
import { compareIn, placesInScope } from './blocks.js'
import type { BlockColumns } from './column-block.js'
import { toCondition } from './condition.js'
import type { PartitionReader } from './partition-reader.js'
import { isEven } from './partition-reader.js'
import type { StoredEvent } from './rows.js'
import { columnReader, decodeEvents, hasColumn, rememberFields, toEvent } from './rows.js'

/** Its window is that of all groups. */
export interface FindGroupsJob extends Scope {
  readonly predicate: Predicate
  readonly groups: readonly EventGroup[]
  readonly order: EventOrder
  readonly limit: number
  readonly maxBytes: number
}

type Get = (field: string) => Value | undefined

/**
 * Collects the events of groups from blocks that are added. A block is read once for all groups, and decoded for those events alone that some group keeps, as far as
 * columns say which these are.
 */
export function openGroupFinder ({ predicate, groups: asked, order, limit, maxBytes, ...scope }: FindGroupsJob) {
  const condition = toCondition(predicate)
  const matches = compilePredicate(predicate)
  const compare = compareIn(order)
  const groups = asked.map(group => openGroup(group, limit, compare))
  const isNarrow = condition.exact && groups.every(({ isNarrow }) => isNarrow)
  const candidatesOf = indexGroups(groups)

  const groupsOf = (event: Place, get: Get) => candidatesOf(get).filter(group => group.holds(event) && group.matches(get))

  /** Adds what columns say all of, and decodes what is kept of it. */
  function addColumns (reader: PartitionReader, block: Block, columns: BlockColumns, places: readonly number[]): void {
    const found = new Map<number, readonly Kept[]>()
    const getAt = columnsReader(columns, reader)
    for (const place of places) {
      const event = { id: block.first_id + place, timeUs: columns.timeAt(place) }
      const kept = groupsOf(event, getAt(place)).flatMap(group => group.add(event) ?? [])
      if (kept.length > 0) found.set(place, kept)
    }
    const wanted = [...found.keys()].filter(place => found.get(place)!.some(({ isDropped }) => !isDropped))
    if (wanted.length === 0) return
    for (const { event, place, indexTimeUs } of decodeEvents(reader, block, columns, wanted)) setJson(found.get(place)!, event, indexTimeUs)
  }

  /** Adds events that have to be decoded before it can be said which groups they are of. */
  function addDecoded (reader: PartitionReader, block: Block, columns: BlockColumns, places: readonly number[]): void {
    if (places.length === 0) return
    for (const { event, place, indexTimeUs } of decodeEvents(reader, block, columns, places)) {
      const get = rememberFields(event, reader.fields)
      if (!matches(get)) continue
      const found = { id: block.first_id + place, timeUs: event.timeUs }
      setJson(groupsOf(found, get).flatMap(group => group.add(found) ?? []), event, indexTimeUs)
    }
  }

  return {
    add (reader: PartitionReader, block: Block): void {
      if (!groups.some(group => group.touches(block))) return
      const columns = reader.columnsOf(block)
      if (!isEven(reader, block)) return addDecoded(reader, block, columns, placesInScope(block, columns, scope, 'all'))
      const places = placesInScope(block, columns, scope, condition.mark(columns, reader.dictionary))
      if (isNarrow) return addColumns(reader, block, columns, places)
      const getAt = columnsReader(columns, reader)
      addDecoded(reader, block, columns, places.filter(place => {
        const event = { id: block.first_id + place, timeUs: columns.timeAt(place) }
        return candidatesOf(getAt(place)).some(group => group.holds(event))
      }))
    },
    results: (): FoundGroup[] => groups.map(({ result }) => result(maxBytes)),
  }
}

/** Gives what columns say of an event's fields, by its place. */
function columnsReader (columns: BlockColumns, reader: PartitionReader): (place: number) => Get {
  const readers = new Map<string, (place: number) => Scalar | null>()
  return place => field => {
    let read = readers.get(field)
    if (read === undefined) readers.set(field, read = columnReader(field, columns, reader))
    return read(place) ?? undefined
  }
}

/** One of the first events of a group, until others are found before it. */
interface Kept extends Place { json: string, isDropped: boolean }

function setJson (found: readonly Kept[], event: StoredEvent, indexTimeUs: number): void {
  let json: string | null = null
  for (const one of found) if (!one.isDropped) one.json = json ??= JSON.stringify(toEvent(event, one.id, indexTimeUs))
}

type Group = ReturnType<typeof openGroup>

/** What was found of a group so far: the first events in the order, and how many there are. */
function openGroup ({ predicate, window, id: onlyId }: EventGroup, limit: number, compare: (a: Place, b: Place) => number) {
  const kept: Kept[] = []
  let count = 0
  return {
    predicate,
    /** Whether columns say all that it asks for. */
    isNarrow: [...predicateFields(predicate)].every(hasColumn),
    matches: compilePredicate(predicate),
    touches: ({ first_id: firstId, last_id: lastId, min_time_us: minTimeUs, max_time_us: maxTimeUs }: Block): boolean => {
      return maxTimeUs >= window.earliestUs && minTimeUs < window.latestUs && (onlyId === undefined || (firstId <= onlyId && lastId >= onlyId))
    },
    /** Whether an event is at the right time and place; what it says is not looked at. */
    holds: ({ id, timeUs }: Place): boolean => timeUs >= window.earliestUs && timeUs < window.latestUs && (onlyId === undefined || id === onlyId),
    /** Counts an event; gives it where it is one of the first, for its JSON to be set. */
    add ({ id, timeUs }: Place): Kept | null {
      count++
      const one: Kept = { id, timeUs, json: '', isDropped: false }
      let at = kept.length
      while (at > 0 && compare(one, kept[at - 1]!) < 0) at-- // blocks come about in order, so most events come last
      if (at === limit) return null
      kept.splice(at, 0, one)
      if (kept.length > limit) kept.pop()!.isDropped = true
      return one
    },
    result: (maxBytes: number): FoundGroup => ({ ...packEvents(kept.map(({ json }) => json), maxBytes), count }),
  }
}

/** As many of the events, from the first, as fit compressed; each is JSON. */
export function packEvents (events: readonly string[], maxBytes: number): Omit<FoundGroup, 'count'> {
  for (let kept = events.length; ; kept = Math.floor(kept / 2)) {
    const packed = gzipSync(`[${events.slice(0, kept).join()}]`)
    if (packed.length <= maxBytes || kept === 0) return { events: packed, kept }
  }
}

/** Gives the groups that an event may be in, by the values that they ask for to the letter: what costs more is looked at for these alone. */
function indexGroups (groups: readonly Group[]): (get: Get) => readonly Group[] {
  const indexes = new Map<string, { readonly fields: readonly string[], readonly all: Group[], readonly byKey: Map<string, Group[]> }>()
  for (const group of groups) {
    const values = valuesOf(group.predicate)
    const name = JSON.stringify([...values.keys()])
    let index = indexes.get(name)
    if (index === undefined) indexes.set(name, index = { fields: [...values.keys()], all: [], byKey: new Map() })
    index.all.push(group)
    const key = toKey([...values.values()])
    const same = index.byKey.get(key)
    if (same === undefined) index.byKey.set(key, [group])
    else same.push(group)
  }
  const all = [...indexes.values()]
  return get => all.flatMap(({ fields, all, byKey }) => {
    const values = fields.map(get)
    if (values.some(value => value === undefined)) return []
    // Of several values each would be looked for: few events have them.
    return values.some(value => isMultivalue(value!)) ? all : byKey.get(toKey(values as Scalar[])) ?? []
  })
}

/** The fields of columns that must have one value, the first that each is asked for, in the order of their names. */
function valuesOf (predicate: Predicate): Map<string, string> {
  const values = new Map<string, string>()
  for (const term of andTerms(predicate)) {
    if (term.kind === 'is' && hasColumn(term.field) && !values.has(term.field)) values.set(term.field, toText(term.value))
  }
  return new Map([...values].sort(([a], [b]) => a < b ? -1 : 1))
}
