import TinyQueue from 'tinyqueue'
import { readStored } from '../../envelope/envelope.js'
import { readStoredLine } from '../../envelope/lines.js'
import type { Event, Metadata, Scalar, Value, Window } from '../../event.js'
import { toSeconds } from '../../event.js'
import type { FieldTables } from '../../fields/field-tables.js'
import type { Fields, IndexedEvent } from '../../fields/fields.js'
import { joinFilled } from '../../fields/fields.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Predicate, Subsearch } from '../../spl/ast.js'
import type { SearchPlan, StoreQuery } from '../../spl/plan.js'
import { planSearch } from '../../spl/plan.js'
import type { Row } from '../../spl/row.js'
import { compileBin } from '../../spl/stages/bin.js'
import { runStages } from '../../spl/stages/run.js'
import { compilePredicate } from '../../spl/stages/search.js'
import { openStats } from '../../spl/stages/stats.js'
import { MAX_SUBSEARCH_ROWS, predicateSubsearches, resolveSubsearches, subsearchesOf } from '../../spl/subsearch.js'
import type { EventOrder, FoundEvent, SearchResult } from '../events.js'
import type { BlockItem } from './block.js'
import { decodeBlock } from './block.js'
import type { Condition, FieldTest } from './condition.js'
import { toCondition } from './condition.js'
import { openDictionaryReader } from './dictionary.js'
import type { Watch } from './event-fields.js'
import { openEventFields } from './event-fields.js'
import type { PartitionSummary } from './partition.js'
import { columnName, openPartitionReadOnly } from './partition.js'
import { groupSql, toPartials } from './group.js'

/** Fields that columns hold, for what is planned here. */
const STORE_COLUMNS: ReadonlySet<string> = new Set(Object.keys(COLUMNS))

export interface ReaderOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly fieldTables: FieldTables
}

/** What a search looks at: partitions, event time, and ids up to the position. */
export interface Scope {
  readonly partitions: readonly PartitionSummary[]
  readonly window: Window
  readonly lastId: number
}

export interface SearchJob extends Scope {
  readonly plan: SearchPlan
  readonly timeZone: string
  readonly nowMs: number
  readonly limit: number
}

export interface FindJob extends Scope {
  readonly predicate: Predicate
  readonly order: EventOrder
  readonly limit: number
  readonly after?: { readonly timeUs: number, readonly id: number } | undefined
}

/** Throws to stop a search. It is called about once in a thousand events. */
export type Alive = () => void

interface Block {
  readonly first_id: number
  readonly last_id: number
  readonly min_time_us: number
  readonly max_time_us: number
  readonly odd: number
}

/** One event that a search found; `read` makes of it what is wanted. */
interface Found<T> { readonly id: number, readonly timeUs: number, readonly item: T }

type ReadBlock<T> = (reader: PartitionReader, block: Block) => readonly Found<T>[]

/** Searches over read-only connections, which stay open. It runs in a reader thread. */
export function openReader ({ dir, fieldTables }: ReaderOptions) {
  const readers = new Map<string, PartitionReader>()
  /** Of the search under way. */
  let watch: Watch = { warn: () => {}, alive: () => {} }
  const fields = openEventFields(fieldTables, { warn: message => watch.warn(message), alive: () => watch.alive() })

  function readersOf ({ partitions, window }: Scope): PartitionReader[] {
    return partitions
      .filter(({ minTimeUs, maxTimeUs }) => minTimeUs !== null && minTimeUs < window.latestUs && maxTimeUs! >= window.earliestUs)
      .map(summary => {
        let reader = readers.get(summary.day)
        if (reader === undefined) {
          reader = openPartitionReader(dir, summary.day, fields)
          readers.set(summary.day, reader)
        }
        reader.fieldsHash = summary.fieldsHash
        return reader
      })
  }

  /** The rows of the searches in brackets. They come first: the connections run one search at a time. */
  function runSubsearches ({ plan, ...job }: SearchJob, alive: Alive, warn: (message: string) => void) {
    const results = new Map<Subsearch, readonly Row[]>()
    let scannedEvents = 0
    for (const subsearch of [...predicateSubsearches(plan.query.predicate), ...plan.stages.flatMap(subsearchesOf)]) {
      const inner = planSearch(subsearch, { columns: STORE_COLUMNS, pushDown: 'on', lookups: plan.lookups })
      const result = search({ ...job, plan: inner, limit: MAX_SUBSEARCH_ROWS }, alive)
      if (result.truncated) warn(`a search in brackets gives more than ${MAX_SUBSEARCH_ROWS} rows; the others don't count`)
      result.warnings.forEach(warn)
      scannedEvents += result.scannedEvents
      results.set(subsearch, result.rows)
    }
    return { subsearch: (subsearch: Subsearch) => results.get(subsearch)!, scannedEvents }
  }

  function search (given: SearchJob, alive: Alive): SearchResult {
    const { warn, warnings } = collectWarnings()
    const { subsearch, scannedEvents: scannedBefore } = runSubsearches(given, alive, warn)
    const predicate = resolveSubsearches(given.plan.query.predicate, subsearch)
    const job = { ...given, plan: { ...given.plan, query: { ...given.plan.query, predicate } } }
    const { query, stages, lookups } = job.plan
    const context = { timeZone: job.timeZone, nowMs: job.nowMs, alive, warn, lookups, subsearch }
    watch = context
    let scannedEvents = scannedBefore
    const count = (block: Block) => { scannedEvents += Math.min(block.last_id, job.lastId) - block.first_id + 1 }
    const partitions = isNothing(predicate) ? [] : readersOf(job)
    const found = query.stats === null
      ? findRows(partitions, job, query.order, alive, count)
      : aggregate(partitions, job, alive, count)
    const rows: Row[] = []
    for (const row of runStages(stages, found, context)) {
      if (rows.length === job.limit) return { rows, truncated: true, scannedEvents, warnings: warnings() }
      rows.push(row)
    }
    return { rows, truncated: false, scannedEvents, warnings: warnings() }
  }

  return {
    search,

    find (job: FindJob, alive: Alive): FoundEvent[] {
      watch = { warn: () => {}, alive } // what is found are events, not what was calculated of them
      const condition = toCondition(job.predicate)
      const matches = compilePredicate(job.predicate)
      const readBlock = decodingReader(job, condition, alive, (event, id, indexTimeUs) => {
        return matches(name => fields.fieldOf(event, name)) ? toEvent(event, id, indexTimeUs) : null
      })
      const partitions = readersOf(job)
      for (const partition of partitions) partition.prepare(condition.tests, alive)
      const found: FoundEvent[] = []
      for (const { timeUs, item } of ordered(partitions, job, job.order, readBlock, job.after)) {
        found.push({ event: item, timeUs })
        if (found.length === job.limit) break
      }
      return found
    },

    close (): void {
      for (const reader of readers.values()) reader.db.close()
      readers.clear()
    },
  }
}

/** Whether a condition is that of a search which begins with something else than events. */
function isNothing (predicate: Predicate): boolean {
  return predicate.kind === 'not' && predicate.term.kind === 'all'
}

type PartitionReader = ReturnType<typeof openPartitionReader>

/** A connection with the functions that the SQL of searches calls. One search at a time. */
function openPartitionReader (dir: string, day: string, fields: Fields) {
  const db = openPartitionReadOnly(dir, day)
  let tests: readonly FieldTest[] = []
  let alive: Alive = () => {}
  db.function('spl_test', { deterministic: true }, (number, value) => tests[number as number]!.matches(value as Scalar) ? 1 : 0)
  db.function('alive', { deterministic: false }, () => {
    alive()
    return 1
  })
  return {
    db,
    dictionary: openDictionaryReader(db),
    fields,
    /** Of the tables that the columns were written with. */
    fieldsHash: '',
    selectData: db.prepare<[number], Buffer>('SELECT data FROM block_data WHERE first_id = ?').pluck(),
    /** Makes a search's tests known and looks up which dictionary entries match them. */
    prepare (searchTests: readonly FieldTest[], searchAlive: Alive): void {
      tests = searchTests
      alive = searchAlive
      tests.forEach(({ field, byDictionary }, number) => {
        if (!byDictionary) return
        db.exec(`CREATE TEMP TABLE IF NOT EXISTS match_${number} (id INTEGER PRIMARY KEY)`)
        db.exec(`DELETE FROM temp.match_${number}`)
        // uses dictionary_field_value_idx
        db.prepare(`
          INSERT INTO temp.match_${number}
          SELECT id FROM dictionary WHERE field = ? AND (id % 1024 <> 0 OR alive()) AND spl_test(?, value)
        `).run(field, number)
      })
    },
  }
}

/** Whether the columns were written with the tables that fields are read with. */
function hasCurrentColumns (reader: PartitionReader): boolean {
  return reader.fieldsHash === reader.fields.hash
}

/** Whether a block's columns say all that its events' fields say. */
function isEven (reader: PartitionReader, block: Block): boolean {
  return block.odd === 0 && hasCurrentColumns(reader)
}

/** Events that match the query's predicate, as rows of the fields it wants. */
function * findRows (partitions: readonly PartitionReader[], job: SearchJob, order: EventOrder | 'any', alive: Alive, count: (block: Block) => void): Generator<Row> {
  const { query } = job.plan
  const condition = toCondition(query.predicate)
  for (const partition of partitions) partition.prepare(condition.tests, alive)
  const decode = rowDecoder(query, job, condition, alive)
  const narrow = condition.exact && query.fields !== null && query.fields.every(hasColumn)
    ? narrowReader(query.fields, job, condition, alive)
    : decode
  const readBlock: ReadBlock<Row> = (reader, block) => {
    count(block)
    return (isEven(reader, block) ? narrow : decode)(reader, block)
  }
  if (order === 'any') {
    for (const partition of partitions) {
      for (const block of blocksOf(partition, job, 'id')) {
        for (const { item } of readBlock(partition, block)) yield item
      }
    }
  } else for (const { item } of ordered(partitions, job, order, readBlock)) yield item
}

/** The query's `bin` and `stats`: in SQL over the columns, event by event where the columns don't say all. */
function aggregate (partitions: readonly PartitionReader[], job: SearchJob, alive: Alive, count: (block: Block) => void): Row[] {
  const { query } = job.plan
  if (query.stats === null) throw new Error('no stats to aggregate')
  const condition = toCondition(query.predicate)
  if (!condition.exact) throw new Error('stats over a field without a column can not be pushed down')
  const stats = openStats(query.stats)
  const bin = query.bin === null ? null : compileBin(query.bin)
  const decode = rowDecoder({ ...query, fields: statsFields(query) }, job, condition, alive)
  for (const partition of partitions) {
    partition.prepare(condition.tests, alive)
    const odd: Block[] = []
    for (const block of blocksOf(partition, job, 'id')) {
      count(block)
      if (!isEven(partition, block)) odd.push(block)
    }
    if (hasCurrentColumns(partition)) {
      const statement = partition.db.prepare(groupSql(query.bin, query.stats, condition))
      for (const row of statement.raw().iterate({ ...scopeParams(job) })) {
        const { by, partials } = toPartials(row as unknown[], query.stats, partition.dictionary)
        stats.addPartial(by, partials)
      }
    }
    for (const block of odd) {
      for (const { item } of decode(partition, block)) {
        bin?.(item)
        stats.add(item)
      }
    }
  }
  return stats.rows()
}

/** Keeps each message once, with how often it came. */
function collectWarnings () {
  const counts = new Map<string, number>()
  return {
    warn: (message: string): void => { counts.set(message, (counts.get(message) ?? 0) + 1) },
    warnings: (): string[] => [...counts].map(([message, count]) => count === 1 ? message : `${message} (${count} times)`),
  }
}

function statsFields ({ stats }: StoreQuery): string[] {
  return [...new Set([...stats!.by, ...stats!.aggregates.flatMap(({ field }) => field ?? [])])]
}

function hasColumn (field: string): boolean {
  return field === '_time' || Object.hasOwn(COLUMNS, field)
}

function scopeParams ({ window, lastId }: Scope) {
  return { ...window, lastId }
}

const IN_SCOPE = 'e.time_us >= @earliestUs AND e.time_us < @latestUs AND e.id <= @lastId'

/** Reads rows from the columns alone. */
function narrowReader (fields: readonly string[], scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
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
function rowDecoder (query: StoreQuery, scope: Scope, condition: Condition, alive: Alive): ReadBlock<Row> {
  const matches = compilePredicate(query.predicate)
  const { fields: wanted } = query
  return decodingReader(scope, condition, alive, (event, id, _, { fields }) => {
    if (!matches(name => fields.fieldOf(event, name))) return null
    return { values: wanted === null ? fields.fieldsOf(event) : pick(event, wanted, fields), origin: [id] }
  })
}

function pick (event: IndexedEvent, wanted: readonly string[], { fieldOf }: Fields): Map<string, Value> {
  const values = new Map<string, Value>()
  for (const field of wanted) {
    const value = fieldOf(event, field)
    if (value !== undefined) values.set(field, value)
  }
  return values
}

interface NarrowRow extends Metadata { id: number, time_us: number }

/** Decodes a block for the events that the condition lets through, and keeps what `take` makes of them. */
function decodingReader<T> (scope: Scope, condition: Condition, alive: Alive, take: (event: IndexedEvent, id: number, indexTimeUs: number, reader: PartitionReader) => T | null): ReadBlock<T> {
  const sql = (where: string) => `
    SELECT e.id, e.time_us, e.host, e.source, e.sourcetype, e."index"
    FROM event AS e
    WHERE e.id BETWEEN @firstId AND @blockLastId AND ${IN_SCOPE} AND ${where}
  `
  const selectEven = oncePerReader(({ db }) => db.prepare<object, NarrowRow>(sql(condition.sql)))
  const selectOdd = oncePerReader(({ db }) => db.prepare<object, NarrowRow>(sql('1')))
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
      const item = take(toIndexedEvent(row, stored, reader), row.id, stored.indexTimeUs, reader)
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

interface StoredEvent extends IndexedEvent { readonly event: unknown }

function toEvent (event: IndexedEvent, id: number, indexTimeUs: number): Event {
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

/** Blocks are read in pages, so that no statement stays open while the rest of a search runs. */
const PAGE = 256

/** The blocks of the scope that may hold an event of it: by id, or by the time that their first event in the order can have. */
function * blocksOf (reader: PartitionReader, { window, lastId }: Scope, order: EventOrder): Generator<Block> {
  const { key, direction, start } = {
    id: { key: 'first_id', direction: 'ASC', start: -Infinity },
    '-id': { key: 'first_id', direction: 'DESC', start: Infinity },
    time: { key: 'min_time_us', direction: 'ASC', start: -Infinity }, // uses block_min_time_us_idx
    '-time': { key: 'max_time_us', direction: 'DESC', start: Infinity }, // uses block_max_time_us_idx
  }[order]
  const after = direction === 'ASC' ? '>' : '<'
  const select = reader.db.prepare<object, Block>(`
    SELECT first_id, last_id, min_time_us, max_time_us, odd FROM block
    WHERE max_time_us >= @earliestUs AND min_time_us < @latestUs AND first_id <= @lastId AND (${key}, first_id) ${after} (@key, @id)
    ORDER BY ${key} ${direction}, first_id ${direction} LIMIT ${PAGE}
  `)
  const params = { ...window, lastId, key: start, id: start }
  for (;;) {
    const page = select.all(params)
    yield * page
    if (page.length < PAGE) return
    const last = page.at(-1)!
    params.key = last[key as 'first_id' | 'min_time_us' | 'max_time_us']
    params.id = last.first_id
  }
}

/**
 * Merges the events of blocks in order. Blocks come by the first time (or id) that they can hold, so an event is next when
 * no block to come can hold one before it; only blocks that overlap in time are in memory together.
 */
function * ordered<T> (partitions: readonly PartitionReader[], scope: Scope, order: EventOrder, readBlock: ReadBlock<T>, after?: FindJob['after']): Generator<Found<T>> {
  const sign = order.startsWith('-') ? -1 : 1
  const byId = order === 'id' || order === '-id'
  const keyOf = ({ id, timeUs }: { id: number, timeUs: number }) => byId ? id : timeUs
  const compare = (a: { id: number, timeUs: number }, b: { id: number, timeUs: number }) => sign * (keyOf(a) - keyOf(b) || a.id - b.id)
  /** The first and the last place in the order that an event of a block can have. */
  const boundsOf = (block: Block): [first: number, last: number] => {
    const [low, high] = byId ? [block.first_id, block.last_id] : [block.min_time_us, block.max_time_us]
    return sign > 0 ? [low, high] : [-high, -low]
  }

  const streams = partitions.map(reader => ({ reader, blocks: blocksOf(reader, scope, order) }))
  interface Head { readonly stream: typeof streams[number], readonly block: Block, readonly first: number, readonly last: number }
  const heads = new TinyQueue<Head>([], (a, b) => a.first - b.first)
  const advance = (stream: typeof streams[number]) => {
    const { value: block, done } = stream.blocks.next()
    if (done === true) return
    const [first, last] = boundsOf(block)
    heads.push({ stream, block, first, last })
  }
  streams.forEach(advance)
  const pending = new TinyQueue<Found<T>>([], compare)
  for (;;) {
    const head = heads.peek()
    const next = pending.peek()
    if (next !== undefined && (head === undefined || sign * keyOf(next) < head.first)) {
      yield pending.pop()!
    } else if (head !== undefined) {
      heads.pop()
      advance(head.stream)
      if (after !== undefined && head.last < sign * keyOf(after)) continue
      for (const found of readBlock(head.stream.reader, head.block)) {
        if (after === undefined || compare(found, after) > 0) pending.push(found)
      }
    } else return
  }
}

/** A statement of one search for each reader that it meets. */
function oncePerReader<S> (prepare: (reader: PartitionReader) => S): (reader: PartitionReader) => S {
  const prepared = new Map<PartitionReader, S>()
  return reader => {
    let statement = prepared.get(reader)
    if (statement === undefined) {
      statement = prepare(reader)
      prepared.set(reader, statement)
    }
    return statement
  }
}
