import type { FieldTables } from '../../fields/field-tables.js'
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
import type { Block, Place, ReadBlock, Scope } from './blocks.js'
import { blocksOf, ordered, scopeParams } from './blocks.js'
import { toCondition } from './condition.js'
import type { Watch } from './event-fields.js'
import { openEventFields } from './event-fields.js'
import { groupSql, toPartials } from './group.js'
import type { Alive, PartitionReader } from './partition-reader.js'
import { hasCurrentColumns, isEven, openPartitionReader } from './partition-reader.js'
import { decodingReader, hasColumn, narrowReader, rowDecoder, toEvent } from './rows.js'

/** Fields that columns hold, for what is planned here. */
const STORE_COLUMNS: ReadonlySet<string> = new Set(Object.keys(COLUMNS))

export interface ReaderOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly fieldTables: FieldTables
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
  readonly after?: Place | undefined
}

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
