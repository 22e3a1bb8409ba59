import { readStored } from '../../envelope/envelope.js'
import { readStoredLine } from '../../envelope/lines.js'
import type { Event, Metadata, Scalar, Value } from '../../event.js'
import { toSeconds } from '../../event.js'
import type { Fields, IndexedEvent } from '../../fields/fields.js'
import { joinFilled } from '../../fields/fields.js'
import { COLUMNS } from '../../fields/tables.js'
import type { StoreQuery } from '../../spl/plan.js'
import type { Row } from '../../spl/row.js'
import { compilePredicate } from '../../spl/stages/search.js'
import type { BlockItem } from './block.js'
import type { Block, Found, ReadBlock, Scope } from './blocks.js'
import { placesInScope } from './blocks.js'
import type { BlockColumns } from './column-block.js'
import { keptColumn } from './column-block.js'
import type { Condition, MarkBlock } from './condition.js'
import { joinMarks } from './condition.js'
import { decoding } from './damage.js'
import type { Alive, PartitionReader } from './partition-reader.js'
import { isEven } from './partition-reader.js'

export function hasColumn (field: string): boolean {
  return field === '_time' || Object.hasOwn(COLUMNS, field)
}

/** Reads rows from the columns alone. */
export function narrowReader (fields: readonly string[], scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
  return (reader, block) => {
    alive()
    const columns = reader.columnsOf(block)
    const places = placesInScope(block, columns, scope, condition.mark(columns, reader.dictionary))
    if (places.length === 0) return []
    const valueOf = fields.map(field => columnReader(field, columns, reader))
    const times = columns.times()
    return places.map(place => {
      const values = new Map<string, Value>()
      fields.forEach((field, i) => {
        const value = valueOf[i]!(place)
        if (value !== null) values.set(field, value)
      })
      const id = block.first_id + place
      return { id, timeUs: times[place]!, item: { values, origin: [id] } }
    })
  }
}

/** Reads an event's value of a field, by its place; null is none. */
export function columnReader (field: string, columns: BlockColumns, { dictionary }: PartitionReader): (event: number) => Scalar | null {
  if (field === '_time') {
    const times = columns.times()
    return event => toSeconds(times[event]!)
  }
  const { places, keep } = keptColumn(columns, field)
  if (COLUMNS[field] === 'text') return event => keep(places[event]!)
  return event => {
    const id = keep(places[event]!)
    return id === null ? null : dictionary.valueOf(id as number)
  }
}

/** Reads rows from the envelopes. */
export function rowDecoder (query: StoreQuery, scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
  const matches = compilePredicate(query.predicate)
  const { fields: wanted } = query
  return decodingReader(scope, [condition.mark], alive, (event, id, _, { fields }) => {
    if (!matches(name => fields.fieldOf(event, name))) return null
    return { values: wanted === null ? fields.fieldsOf(event) : pick(wanted, field => fields.fieldOf(event, field)), origin: [id] }
  })
}

/** A search that reads events beside others. */
export interface SharedQuery { readonly query: StoreQuery, readonly condition: Condition }

/** Reads rows of several searches from the envelopes, each decoded once: what an event gives is told with the number of its search. */
export function sharedDecoder (searches: readonly SharedQuery[], scope: Scope, alive: Alive): ReadBlock<readonly (readonly [search: number, row: Row])[]> {
  const tests = searches.map(({ query }) => compilePredicate(query.predicate))
  return decodingReader(scope, searches.map(({ condition }) => condition.mark), alive, (event, id, _, { fields }, isMarked) => {
    const get = rememberFields(event, fields)
    let all: ReadonlyMap<string, Value> | null = null
    const rows = searches.flatMap(({ query: { fields: wanted } }, i): (readonly [number, Row])[] => {
      if (!isMarked(i) || !tests[i]!(get)) return []
      if (wanted === null) all ??= fields.fieldsOf(event)
      return [[i, { values: wanted === null ? new Map(all) : pick(wanted, get), origin: [id] }]]
    })
    return rows.length === 0 ? null : rows
  })
}

/** Gives an event's fields, each read once: searches ask for the same ones. */
export function rememberFields (event: IndexedEvent, fields: Fields): (field: string) => Value | undefined {
  const known = new Map<string, Value | undefined>()
  return name => {
    let value = known.get(name)
    if (value === undefined && !known.has(name)) {
      value = fields.fieldOf(event, name)
      known.set(name, value)
    }
    return value
  }
}

function pick (wanted: readonly string[], get: (field: string) => Value | undefined): Map<string, Value> {
  const values = new Map<string, Value>()
  for (const field of wanted) {
    const value = get(field)
    if (value !== undefined) values.set(field, value)
  }
  return values
}

/** `isMarked` says which of several conditions may hold. */
type Take<T> = (event: IndexedEvent, id: number, indexTimeUs: number, reader: PartitionReader, isMarked: (condition: number) => boolean) => T | null

/** Decodes a block for the events that one of the conditions lets through, and keeps what `take` makes of them. */
export function decodingReader<T> (scope: Scope, conditions: readonly MarkBlock[], alive: Alive, take: Take<T>): ReadBlock<T> {
  return (reader, block) => {
    alive()
    const columns = reader.columnsOf(block)
    const marks = isEven(reader, block) ? conditions.map(mark => mark(columns, reader.dictionary)) : ['all' as const]
    const isMarked = (condition: number, place: number) => {
      const ofCondition = marks[condition] ?? 'all'
      return typeof ofCondition === 'string' ? ofCondition === 'all' : ofCondition[place] === 1
    }
    const places = placesInScope(block, columns, scope, joinMarks(marks, 'or'))
    if (places.length === 0) return []
    const found: Found<T>[] = []
    for (const { event, place, indexTimeUs } of decodeEvents(reader, block, columns, places)) {
      const id = block.first_id + place
      const item = take(event, id, indexTimeUs, reader, condition => isMarked(condition, place))
      if (item !== null) found.push({ id, timeUs: event.timeUs, item })
    }
    return found
  }
}

/** The events of a block at these places. */
export function * decodeEvents (reader: PartitionReader, block: Block, columns: BlockColumns, places: Iterable<number>): Generator<{ readonly event: StoredEvent, readonly place: number, readonly indexTimeUs: number }> {
  const items = reader.itemsOf(block)
  const times = columns.times()
  const metadata = METADATA.map(field => columnReader(field, columns, reader))
  for (const place of places) {
    const stored = items[place]!
    const [host, source, sourcetype, index] = metadata.map(valueOf => String(valueOf(place))) as [string, string, string, string]
    yield { event: toIndexedEvent({ host, source, sourcetype, index }, times[place]!, stored, reader), place, indexTimeUs: stored.indexTimeUs }
  }
}

const METADATA = ['host', 'source', 'sourcetype', 'index'] as const satisfies readonly (keyof Metadata)[]

function toIndexedEvent (metadata: Metadata, timeUs: number, { kind, bytes, filled }: BlockItem, { name, fields }: PartitionReader): StoredEvent {
  const stored = decoding(name, () => kind === 'line' ? readStoredLine(bytes) : readStored(bytes))
  return {
    ...stored,
    ...metadata,
    fields: joinFilled(stored.fields, filled),
    timeUs,
    payload: fields.toPayload(stored.event, metadata.sourcetype),
  }
}

export interface StoredEvent extends IndexedEvent { readonly event: unknown }

export function toEvent (event: IndexedEvent, id: number, indexTimeUs: number): Event {
  const { timeUs, host, source, sourcetype, index, raw, fields } = event
  return {
    id,
    time: toSeconds(timeUs),
    index_time: new Date(indexTimeUs / 1000).toISOString(),
    host,
    source,
    sourcetype,
    index,
    event: (event as StoredEvent).event,
    raw: raw(),
    fields: fields as Record<string, unknown>,
  }
}
