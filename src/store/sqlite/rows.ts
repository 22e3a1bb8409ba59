import { readStored } from '../../envelope/envelope.js'
import { readStoredLine } from '../../envelope/lines.js'
import type { Event, Metadata, Value } from '../../event.js'
import { toSeconds } from '../../event.js'
import type { IndexedEvent } from '../../fields/fields.js'
import { joinFilled } from '../../fields/fields.js'
import { COLUMNS } from '../../fields/tables.js'
import type { StoreQuery } from '../../spl/plan.js'
import type { Row } from '../../spl/row.js'
import { compilePredicate } from '../../spl/stages/search.js'
import type { BlockItem } from './block.js'
import { decodeBlock } from './block.js'
import type { Found, ReadBlock, Scope } from './blocks.js'
import { IN_SCOPE, scopeParams } from './blocks.js'
import type { Condition } from './condition.js'
import { join } from './condition.js'
import type { Alive, PartitionReader } from './partition-reader.js'
import { isEven, oncePerReader } from './partition-reader.js'
import { columnName } from './partition.js'

export function hasColumn (field: string): boolean {
  return field === '_time' || Object.hasOwn(COLUMNS, field)
}

/** Reads rows from the columns alone. */
export function narrowReader (fields: readonly string[], scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
  const columns = fields.filter(field => field !== '_time')
  const sql = `
    SELECT e.id, e.time_us${columns.map(field => `, e.${columnName(field)}`).join('')}
    FROM event AS e
    WHERE e.id BETWEEN @firstId AND @blockLastId AND ${IN_SCOPE} AND ${condition.sql}
  `
  const select = oncePerReader(({ db }) => db.prepare(sql).raw())
  return (reader, { first_id: firstId, last_id: blockLastId }) => {
    alive()
    const rows = select(reader).all({ ...scopeParams(scope), firstId, blockLastId }) as [number, number, ...(number | string | null)[]][]
    return rows.map(([id, timeUs, ...cells]) => {
      const values = new Map<string, Value>()
      let cell = 0
      for (const field of fields) {
        if (field === '_time') {
          values.set(field, toSeconds(timeUs))
          continue
        }
        const value = cells[cell++]!
        if (value !== null) values.set(field, COLUMNS[field] === 'dictionary' ? reader.dictionary.valueOf(value as number) : value)
      }
      return { id, timeUs, item: { values, origin: [id] } }
    })
  }
}

/** Reads rows from the envelopes. */
export function rowDecoder (query: StoreQuery, scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
  const matches = compilePredicate(query.predicate)
  const { fields: wanted } = query
  return decodingReader(scope, condition, alive, (event, id, _, { fields }) => {
    if (!matches(name => fields.fieldOf(event, name))) return null
    return { values: wanted === null ? fields.fieldsOf(event) : pick(wanted, field => fields.fieldOf(event, field)), origin: [id] }
  })
}

/** A search that reads events beside others. */
export interface SharedQuery { readonly query: StoreQuery, readonly condition: Condition }

/** Reads rows of several searches from the envelopes, each decoded once: what an event gives is told with the number of its search. */
export function sharedDecoder (searches: readonly SharedQuery[], scope: Scope, alive: Alive): ReadBlock<readonly (readonly [search: number, row: Row])[]> {
  const tests = searches.map(({ query }) => compilePredicate(query.predicate))
  const marks = searches.map(({ condition }) => condition.sql)
  return decodingReader(scope, { sql: join(marks, 'OR'), marks }, alive, (event, id, _, { fields }, row) => {
    const known = new Map<string, Value | undefined>() // searches ask for the same fields
    const get = (name: string): Value | undefined => {
      let value = known.get(name)
      if (value === undefined && !known.has(name)) {
        value = fields.fieldOf(event, name)
        known.set(name, value)
      }
      return value
    }
    let all: ReadonlyMap<string, Value> | null = null
    const rows = searches.flatMap(({ query: { fields: wanted } }, i): (readonly [number, Row])[] => {
      if (row[`m${i}`] === 0 || !tests[i]!(get)) return []
      if (wanted === null) all ??= fields.fieldsOf(event)
      return [[i, { values: wanted === null ? new Map(all) : pick(wanted, get), origin: [id] }]]
    })
    return rows.length === 0 ? null : rows
  })
}

function pick (wanted: readonly string[], get: (field: string) => Value | undefined): Map<string, Value> {
  const values = new Map<string, Value>()
  for (const field of wanted) {
    const value = get(field)
    if (value !== undefined) values.set(field, value)
  }
  return values
}

interface NarrowRow extends Metadata { id: number, time_us: number, readonly [mark: `m${number}`]: number }

type Take<T> = (event: IndexedEvent, id: number, indexTimeUs: number, reader: PartitionReader, row: NarrowRow) => T | null

/**
 * Decodes a block for the events that the condition lets through, and keeps what `take` makes of them. `marks` are conditions besides: it
 * is told which of them may hold, by a number for each, in `m0`, `m1` and so on.
 */
export function decodingReader<T> (scope: Scope, { sql: condition, marks = [] }: { readonly sql: string, readonly marks?: readonly string[] }, alive: Alive, take: Take<T>): ReadBlock<T> {
  const sql = (where: string, marks: readonly string[]) => `
    SELECT e.id, e.time_us, e.host, e.source, e.sourcetype, e."index"${marks.map((mark, i) => `, ${mark} AS m${i}`).join('')}
    FROM event AS e
    WHERE e.id BETWEEN @firstId AND @blockLastId AND ${IN_SCOPE} AND ${where}
  `
  const selectEven = oncePerReader(({ db }) => db.prepare<object, NarrowRow>(sql(condition, marks)))
  const selectOdd = oncePerReader(({ db }) => db.prepare<object, NarrowRow>(sql('1', marks.map(() => '1'))))
  return (reader, block) => {
    alive()
    const { first_id: firstId, last_id: blockLastId } = block
    const select = isEven(reader, block) ? selectEven : selectOdd
    const rows = select(reader).all({ ...scopeParams(scope), firstId, blockLastId })
    if (rows.length === 0) return []
    const data = reader.selectData.get(firstId)
    if (data === undefined) throw new Error(`block ${firstId} has no data`)
    const items = decodeBlock(data)
    const found: Found<T>[] = []
    for (const row of rows) {
      const stored = items[row.id - firstId]!
      const item = take(toIndexedEvent(row, stored, reader), row.id, stored.indexTimeUs, reader, row)
      if (item !== null) found.push({ id: row.id, timeUs: row.time_us, item })
    }
    return found
  }
}

function toIndexedEvent (row: NarrowRow, { kind, bytes, filled }: BlockItem, { dictionary, fields }: PartitionReader): StoredEvent {
  const stored = kind === 'line' ? readStoredLine(bytes) : readStored(bytes)
  const text = (id: unknown) => String(dictionary.valueOf(id as number))
  const sourcetype = text(row.sourcetype)
  return {
    ...stored,
    fields: joinFilled(stored.fields, filled),
    timeUs: row.time_us,
    host: text(row.host),
    source: text(row.source),
    index: text(row.index),
    sourcetype,
    payload: fields.toPayload(stored.event, sourcetype),
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
    raw,
    fields: fields as Record<string, unknown>,
  }
}
