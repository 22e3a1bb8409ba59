import { deserialize, serialize } from 'node:v8'
import { AppError } from '../../errors.js'
import type { FieldTables } from '../../fields/field-tables.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Predicate, StatsStage, Subsearch } from '../../spl/ast.js'
import type { SearchPlan, StoreQuery } from '../../spl/plan.js'
import { planSearch } from '../../spl/plan.js'
import { isNothing } from '../../spl/predicate.js'
import type { Row } from '../../spl/row.js'
import { compileBin } from '../../spl/stages/bin.js'
import type { RunContext, Sink } from '../../spl/stages/run.js'
import { openSink, runStages } from '../../spl/stages/run.js'
import { compilePredicate } from '../../spl/stages/search.js'
import type { PartialGroup } from '../../spl/stages/stats.js'
import { openStats } from '../../spl/stages/stats.js'
import { MAX_SUBSEARCH_ROWS, predicateSubsearches, resolveSubsearches, subsearchesOf } from '../../spl/subsearch.js'
import type { ArrivalQuery, ArrivalResult, EventOrder, FoundEvent, FoundGroup, SearchResult } from '../events.js'
import { openArrivals } from './arrivals.js'
import type { Block, Found, Part, Place, ReadBlock, Scope } from './blocks.js'
import { blocksOf, countInScope, ordered, pagesOf, placesInScope } from './blocks.js'
import type { Condition } from './condition.js'
import { toCondition } from './condition.js'
import type { Watch } from './event-fields.js'
import { openEventFields } from './event-fields.js'
import type { FindGroupsJob } from './find-groups.js'
import { openGroupFinder } from './find-groups.js'
import { openGroups } from './group.js'
import type { GroupSet } from './group-table.js'
import { keptFields, openJoin, partialsOf } from './group-table.js'
import type { Alive, PartitionReader } from './partition-reader.js'
import { isEven, openPartitionReader } from './partition-reader.js'
import type { SharedQuery } from './rows.js'
import { decodingReader, hasColumn, narrowReader, rowDecoder, sharedDecoder, toEvent } from './rows.js'

/** Fields that columns hold, for what is planned here. */
const STORE_COLUMNS: ReadonlySet<string> = new Set(Object.keys(COLUMNS))

export interface ReaderOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly fieldTables: FieldTables
}

/** Places in what a reader thread shares. */
export const STOP = 0
export const SCANNED = 1

interface ReaderEvents {
  /** So many more events were looked at. */
  readonly scanned: (events: number) => void
}

export interface SearchJob extends Scope {
  readonly plan: SearchPlan
  readonly timeZone: string
  readonly nowMs: number
  readonly limit: number
  /** How long it may run, where not as long as others: then it runs alone. */
  readonly timeoutMs?: number | undefined
  /** What was aggregated of its events, where they need not be read. */
  readonly parts?: readonly Aggregated[]
}

/** Of the blocks that a search with a pushed down `stats` reads those of one part: as much as one thread does of it. */
export interface PartJob extends SearchJob { readonly part: Part }

/** Groups of columns, null where there are none, and those of the events that had to be read. */
interface Groups { readonly set: GroupSet | null, readonly read: readonly PartialGroup[] }

/**
 * What one thread has made of its part. `groups` are Groups as `v8.serialize` writes them: there may be a hundred thousand, which the thread that takes events passes on
 * unread. Warnings come with how often there was one.
 */
export interface Aggregated { readonly groups: Uint8Array, readonly scannedEvents: number, readonly warnings: ReadonlyMap<string, number> }

/** What became of one of several searches: its result, or what is wrong with it. Both are null while its events are still to be read. */
export interface SearchOutcome { readonly result: SearchResult | null, readonly fault: string | null }

export interface FindJob extends Scope {
  readonly predicate: Predicate
  readonly order: EventOrder
  readonly limit: number
  readonly after?: Place | undefined
}

/** Work that stops after each block that it reads, for whoever does it to do something else. */
export type Steps<T> = Generator<undefined, T>

/** Does all of it. */
export function runAtOnce<T> (steps: Steps<T>): T {
  for (;;) {
    const { value, done } = steps.next()
    if (done === true) return value
  }
}

/** Its window is that of its queries. */
export interface SinceJob extends Scope { readonly queries: readonly ArrivalQuery[] }

/** Searches over read-only connections, which stay open. It runs in a reader thread. */
export function openReader ({ dir, fieldTables }: ReaderOptions, { scanned }: ReaderEvents = { scanned: () => {} }) {
  const readers = new Map<string, PartitionReader>()
  /** Of the search under way. */
  let watch: Watch = { warn: () => {}, alive: () => {} }
  const fields = openEventFields(fieldTables, { warn: message => watch.warn(message), alive: () => watch.alive() })

  function readersOf ({ partitions, window }: Scope): PartitionReader[] {
    return partitions
      .filter(({ minTimeUs, maxTimeUs }) => minTimeUs !== null && minTimeUs < window.latestUs && maxTimeUs! >= window.earliestUs)
      .map(summary => {
        let reader = readers.get(summary.name)
        if (reader === undefined) {
          reader = openPartitionReader(dir, summary.name, fields)
          readers.set(summary.name, reader)
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

  /** A search whose brackets are resolved, with what its stages know. */
  function prepareSearch (given: SearchJob, alive: Alive) {
    const { warn, warnings } = collectWarnings()
    for (const part of given.parts ?? []) for (const [message, times] of part.warnings) warn(message, times)
    const { subsearch, scannedEvents } = runSubsearches(given, alive, warn)
    const predicate = resolveSubsearches(given.plan.query.predicate, subsearch)
    const job = { ...given, plan: { ...given.plan, query: { ...given.plan.query, predicate } } }
    const context: RunContext = { timeZone: job.timeZone, nowMs: job.nowMs, alive, warn, lookups: job.plan.lookups, subsearch }
    return { job, context, warnings, scannedEvents }
  }
  type PreparedSearch = ReturnType<typeof prepareSearch>

  function runPrepared ({ job, context, warnings, scannedEvents: scannedBefore }: PreparedSearch): SearchResult {
    const { query, stages } = job.plan
    const { alive } = context
    watch = context
    const counter = openCounter(job)
    const found = query.stats === null
      ? findRows(readersFor(job), job, query.order, alive, counter.count)
      : job.parts === undefined
        ? addUp(query.stats, [aggregate(readersFor(job), job, alive, counter.count)])
        : addUp(query.stats, job.parts.map(({ groups }) => deserialize(groups) as Groups))
    const { rows, truncated } = takeRows(runStages(stages, found, context), job.limit)
    const scannedEvents = (job.parts ?? []).reduce((sum, part) => sum + part.scannedEvents, scannedBefore + counter.events())
    return { rows, truncated, scannedEvents, warnings: toTexts(warnings) }
  }

  function openCounter (scope: Scope) {
    let sum = 0
    return {
      count (block: Block): void {
        const events = countInScope(block, scope)
        sum += events
        scanned(events)
      },
      events: () => sum,
    }
  }

  function readersFor (job: SearchJob): PartitionReader[] {
    return isNothing(job.plan.query.predicate) ? [] : readersOf(job)
  }

  function search (job: SearchJob, alive: Alive): SearchResult {
    return runPrepared(prepareSearch(job, alive))
  }

  /** Searches of one scope; those that read events decode each block once for all. What fails in one of them is its own outcome. */
  function * searchTogether (jobs: readonly SearchJob[], alive: Alive): Steps<SearchOutcome[]> {
    const outcomes: SearchOutcome[] = []
    /** `sink` is null of one that is to run alone. */
    const shared: (PreparedSearch & { readonly place: number, readonly condition: Condition, sink: Sink | null })[] = []
    jobs.forEach((job, place) => {
      outcomes[place] = outcomeOf(() => {
        const prepared = prepareSearch(job, alive)
        if (!readsEvents(prepared.job.plan.query)) return runPrepared(prepared)
        shared.push({ ...prepared, place, condition: toCondition(prepared.job.plan.query.predicate), sink: openSink(job.plan.stages, prepared.context, job.limit + 1) })
        return null
      })
    })
    if (shared.length === 0) return outcomes
    watch = { alive, warn: message => shared.forEach(({ context }) => context.warn(message)) }
    const scannedEvents = yield * readTogether(shared.map(({ job: { plan: { query } }, condition }) => ({ query, condition })), jobs[0]!, alive, (i, row) => {
      const one = shared[i]!
      try {
        one.sink?.add(row)
      } catch (error) {
        if (!isOwnFault(error)) throw error
        one.sink = null // by itself it need not hold what it has to here
      }
    })
    const alone = shared.filter(({ sink }) => sink === null)
    for (const one of shared) {
      const { place, job, sink, warnings, scannedEvents: scannedBefore } = one
      if (sink === null) continue
      outcomes[place] = outcomeOf(() => ({ ...takeRows(sink.rows(), job.limit), scannedEvents: scannedBefore + scannedEvents, warnings: toTexts(warnings) }))
      one.sink = null // it may hold a lot, and those that run alone come last, when nobody else does
    }
    for (const { place } of alone) outcomes[place] = outcomeOf(() => search(jobs[place]!, alive))
    return outcomes
  }

  /** Hands each search its rows; gives how many events were looked at. */
  function * readTogether (searches: readonly SharedQuery[], scope: Scope, alive: Alive, onRow: (search: number, row: Row) => void): Steps<number> {
    const partitions = readersOf(scope)
    let scannedEvents = 0
    const decode = sharedDecoder(searches, scope, alive)
    const readBlock: typeof decode = (reader, block) => {
      const events = countInScope(block, scope)
      scannedEvents += events
      scanned(events)
      return decode(reader, block)
    }
    const order = searches.some(({ query }) => query.order !== 'any') ? '-time' : 'any'
    for (const found of readBlocks(partitions, scope, order, readBlock)) {
      if (found === null) yield
      else for (const [search, row] of found.item) onRow(search, row)
    }
    return scannedEvents
  }

  return {
    search,
    searchTogether,

    /** Its `stats` over one part of its blocks. Searches in brackets are not in what is pushed down. */
    aggregatePart (job: PartJob, alive: Alive): Aggregated {
      const { warn, warnings } = collectWarnings()
      watch = { alive, warn }
      const counter = openCounter(job)
      const groups = aggregate(readersFor(job), job, alive, counter.count)
      return { groups: new Uint8Array(serialize(groups)), scannedEvents: counter.events(), warnings }
    },

    * find (job: FindJob, alive: Alive): Steps<FoundEvent[]> {
      watch = { warn: () => {}, alive } // what is found are events, not what was calculated of them
      const condition = toCondition(job.predicate)
      const matches = compilePredicate(job.predicate)
      const readBlock = decodingReader(job, [condition.mark], alive, (event, id, indexTimeUs) => {
        return matches(name => fields.fieldOf(event, name)) ? toEvent(event, id, indexTimeUs) : null
      })
      const partitions = readersOf(job)
      const found: FoundEvent[] = []
      for (const one of ordered(partitions, job, job.order, readBlock, job.after)) {
        if (one === null) yield
        else found.push({ event: one.item, timeUs: one.timeUs })
        if (found.length === job.limit) break
      }
      return found
    },

    * findGroups (job: FindGroupsJob, alive: Alive): Steps<FoundGroup[]> {
      watch = { warn: () => {}, alive }
      const finder = openGroupFinder(job)
      for (const partition of readersOf(job)) {
        for (const block of blocksOf(partition, job, job.order)) {
          alive()
          finder.add(partition, block)
          yield
        }
      }
      return finder.results()
    },

    * since (job: SinceJob, alive: Alive): Steps<ArrivalResult[]> {
      watch = { warn: () => {}, alive }
      const arrivals = openArrivals(job)
      for (const partition of readersOf(job)) {
        for (const block of blocksOf(partition, job, 'id')) {
          alive()
          arrivals.add(partition, block)
          yield
        }
      }
      return arrivals.results()
    },

    /** Closes the connections to partitions that are gone. */
    forget (partitions: readonly string[]): void {
      for (const name of partitions) {
        readers.get(name)?.db.close()
        readers.delete(name)
      }
    },

    close (): void {
      for (const reader of readers.values()) reader.db.close()
      readers.clear()
    },
  }
}

/** Whether a search has to decode events, because columns don't say all that it asks for. */
export function readsEvents (query: StoreQuery): boolean {
  return query.stats === null && !isNothing(query.predicate) && narrowFields(query, toCondition(query.predicate)) === null
}

/** The fields that a search wants, where columns say all that it asks for. */
function narrowFields ({ fields }: StoreQuery, condition: Condition): readonly string[] | null {
  return condition.exact && fields !== null && fields.every(hasColumn) ? fields : null
}

/** What would go wrong again whenever it is tried. */
function isOwnFault (error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'invalid'
}

function outcomeOf (run: () => SearchResult | null): SearchOutcome {
  try {
    return { result: run(), fault: null }
  } catch (error) {
    if (!isOwnFault(error)) throw error
    return { result: null, fault: error.message }
  }
}

function takeRows (found: Iterable<Row>, limit: number): { rows: Row[], truncated: boolean } {
  const rows: Row[] = []
  for (const row of found) {
    if (rows.length === limit) return { rows, truncated: true }
    rows.push(row)
  }
  return { rows, truncated: false }
}

/** Events that match the query's predicate, as rows of the fields it wants. */
function * findRows (partitions: readonly PartitionReader[], job: SearchJob, order: EventOrder | 'any', alive: Alive, count: (block: Block) => void): Generator<Row> {
  const { query } = job.plan
  const condition = toCondition(query.predicate)
  const decode = rowDecoder(query, job, condition, alive)
  const fields = narrowFields(query, condition)
  const narrow = fields === null ? decode : narrowReader(fields, job, condition, alive)
  const readBlock: ReadBlock<Row> = (reader, block) => {
    count(block)
    return (isEven(reader, block) ? narrow : decode)(reader, block)
  }
  for (const found of readBlocks(partitions, job, order, readBlock)) if (found !== null) yield found.item
}

function * readBlocks<T> (partitions: readonly PartitionReader[], scope: Scope, order: EventOrder | 'any', readBlock: ReadBlock<T>): Generator<Found<T> | null> {
  if (order !== 'any') return yield * ordered(partitions, scope, order, readBlock)
  for (const partition of partitions) {
    for (const block of blocksOf(partition, scope, 'any')) {
      yield * readBlock(partition, block)
      yield null
    }
  }
}

function addUp (stage: StatsStage, parts: readonly Groups[]): Row[] {
  const join = openJoin(stage.by.length, keptFields(stage).length)
  const stats = openStats(stage)
  for (const { set, read } of parts) {
    if (set !== null) join.add(set)
    read.forEach(stats.addPartial)
  }
  const set = join.toSet()
  if (set !== null) for (const group of partialsOf(stage, set)) stats.addPartial(group)
  return stats.rows()
}

/** The query's `bin` and `stats`, of its part where it has one: by the columns, event by event where they don't say all. */
function aggregate (partitions: readonly PartitionReader[], job: SearchJob | PartJob, alive: Alive, count: (block: Block) => void): Groups {
  const { query } = job.plan
  if (query.stats === null) throw new Error('no stats to aggregate')
  const condition = toCondition(query.predicate)
  if (!condition.exact) throw new Error('stats over a field without a column can not be pushed down')
  const stats = openStats(query.stats)
  const bin = query.bin === null ? null : compileBin(query.bin, job.timeZone)
  const decode = rowDecoder({ ...query, fields: statsFields(query) }, job, condition, alive)
  const join = openJoin(query.stats.by.length, keptFields(query.stats).length)
  for (const partition of partitions) {
    const groups = openGroups(query.bin, query.stats, partition.dictionary)
    const add = (block: Block): void => {
      count(block)
      alive()
      if (isEven(partition, block)) {
        const columns = partition.columnsOf(block)
        const places = placesInScope(block, columns, job, condition.mark(columns, partition.dictionary))
        if (places.length > 0) groups.add(columns, places)
      } else {
        for (const { item } of decode(partition, block)) {
          bin?.(item)
          stats.add(item)
        }
      }
    }
    for (const page of pagesOf(partition, job, 'any', 'part' in job ? job.part : null)) partition.atOnce(() => page.forEach(add))
    join.add(groups.groups())
  }
  return { set: join.toSet(), read: stats.partials() }
}

/** Keeps each message once, with how often it came. */
function collectWarnings () {
  const warnings = new Map<string, number>()
  return { warn: (message: string, times = 1): void => { warnings.set(message, (warnings.get(message) ?? 0) + times) }, warnings }
}

function toTexts (warnings: ReadonlyMap<string, number>): string[] {
  return [...warnings].map(([message, count]) => count === 1 ? message : `${message} (${count} times)`)
}

function statsFields ({ stats }: StoreQuery): string[] {
  return [...new Set([...stats!.by, ...stats!.aggregates.flatMap(({ field }) => field ?? [])])]
}
