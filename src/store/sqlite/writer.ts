import { mkdirSync } from 'node:fs'
import type Database from 'better-sqlite3'
import type { EnvelopeRules, ParsedEvent } from '../../envelope/envelope.js'
import { parseBody } from '../../envelope/envelope.js'
import type { Projector } from '../../envelope/projection.js'
import { openProjector } from '../../envelope/projection.js'
import { parseLines } from '../../envelope/lines.js'
import type { FieldTables } from '../../fields/field-tables.js'
import type { IndexedEvent } from '../../fields/fields.js'
import { joinFilled } from '../../fields/fields.js'
import { lossOf } from '../../fields/loss.js'
import { neededKeys } from '../../fields/needed-keys.js'
import { ownTime } from '../../fields/time.js'
import { AppError } from '../../errors.js'
import type { AppendOutcome, AppendRequest, DroppedPartition } from '../events.js'
import type { StoredEvent } from './source-counts.js'
import { openSourceCounts } from './source-counts.js'
import type { BlockItem } from './block.js'
import { encodeBlock, MAX_BLOCK_BYTES, MAX_BLOCK_EVENTS } from './block.js'
import { encodeColumns } from './column-block.js'
import type { ColumnReader, ColumnValues } from './columns.js'
import { COLUMN_FIELDS, openColumnReader } from './columns.js'
import type { Damage } from './damage.js'
import { DamageError, reading } from './damage.js'
import { openDictionary } from './dictionary.js'
import { readFolder } from './folder.js'
import type { IdMark } from './id-mark.js'
import { openIdMark } from './id-mark.js'
import type { StoredBlock } from './join.js'
import { INSERT_BLOCK } from './join.js'
import type { PutOutcome } from './pack.js'
import { putPacked } from './pack.js'
import type { Durability, PartitionOptions, PartitionSummary } from './partition.js'
import { openMerger } from './merge.js'
import { nameForAppend, openPartition, openPartitionReadOnly, readSummary } from './partition.js'
import { dayOf, partitionBytes, renamePartition } from './partition-files.js'
import type { RetentionLimits } from './retention.js'
import { expiredOf } from './retention.js'
import { hashOf, openResends, openResendWriter } from './resend.js'

export interface WriterOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly durability: Durability
  readonly existingIndexes: ReadonlySet<string>
  readonly maxEventBytes: number
  readonly compatibility: EnvelopeRules['compatibility']
  /** How long a request is known, so that a re-send of it is not stored again; 0 is not at all. At most a day. */
  readonly resendWindowUs: number
  readonly fieldTables: FieldTables
}

/** What became of one request: its outcome, or that nothing of it was kept, and why. */
export type AppendResult = AppendOutcome | { readonly error: Error }

/** Nothing of its requests is kept. `damage`: of the partition that was to take them, and was set aside. */
export interface FailedCommit { readonly error: Error, readonly damage: Damage | null }

/** Results in the order of the requests, and the partition that they were written to. */
export interface Commit { readonly results: readonly AppendResult[], readonly partition: PartitionSummary }

/**
 * A body of tiny envelopes, 130 kB of gzip, would hold up everybody for minutes and fill the memory: six million fit
 * into 64 MB. Clients send a few thousand at most (hec.md section 7).
 */
export const MAX_REQUEST_EVENTS = 100_000

export type Writer = ReturnType<typeof openWriter>

/** An event with the values of its columns, which have no ids yet. */
interface PendingEvent extends BlockItem, ColumnValues, StoredEvent {
  readonly isOwnTime: boolean
}

/** `hash`: what it is known by if it comes again; null where that is not asked for. */
interface ReadRequest { readonly result: AppendResult, readonly events: readonly PendingEvent[], readonly hash: Buffer | null }

interface PendingBlock { readonly events: readonly PendingEvent[], readonly data: Buffer }

/** The only writer of events, and the only one to make, name and remove partitions. Synchronous: it runs in a thread of its own. */
export function openWriter (options: WriterOptions) {
  const { dir, durability, resendWindowUs } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const idMark = openIdMark(dir)
  const columnReader = openColumnReader(options.fieldTables)
  const eventKeys = neededKeys(options.fieldTables, COLUMN_FIELDS)
  const projector = eventKeys === null ? null : openProjector(eventKeys)
  const sourceCounts = openSourceCounts()
  const partitionOptions = { durability, fieldsHash: columnReader.hash }
  const folder = readFolder(dir)
  /** By name; the open one as the last commit left it. */
  const partitions = new Map(folder.partitions.map(partition => [partition.name, partition]))
  /** Of partitions that were dropped or set aside. They are not given again: somebody may know them, or look at their files. */
  const taken = new Set([...folder.aside, ...folder.damaged.map(({ partition }) => partition)])
  let lastId = Math.max(idMark.value, ...[...partitions.values()].map(partition => partition.lastId))
  idMark.reach(lastId)
  /** Of the last request. */
  let day = ''
  let open: ReturnType<typeof openForAppend> | null = null
  /** The partitions before the open one whose requests may be sent again now. */
  let before: readonly ResendPartition[] = []

  function partitionOf (arrivalUs: number) {
    const arrivalDay = toDay(arrivalUs)
    if (arrivalDay > day) day = arrivalDay // a clock that goes back does not open an older day again
    if (open === null || dayOf(open.name) !== day) {
      closeOpen()
      const name = nameForAppend(day, partitions.values(), taken)
      before = openBefore(name)
      open = reading(name, () => openForAppend(options, name, { ...partitionOptions, mark: lastId, idMark }))
    }
    return open
  }

  function closeOpen (): void {
    open?.close()
    open = null
    closeBefore()
  }

  function closeBefore (): void {
    for (const { db } of before) db.close()
    before = []
  }

  /** A re-send is looked for at most a day back. */
  function openBefore (name: string): ResendPartition[] {
    if (resendWindowUs === 0) return []
    const dayBefore = toDay(Date.parse(dayOf(name)) * 1000 - 1)
    return [...partitions.keys()].filter(one => one !== name && dayOf(one) >= dayBefore).map(name => reading(name, () => {
      const db = openPartitionReadOnly(dir, name)
      return { name, db, find: openResends(db, resendWindowUs).find }
    }))
  }

  /** What became of a request that came before. */
  function findResend (partition: NonNullable<typeof open>, hash: Buffer, nowUs: number): AppendOutcome | undefined {
    for (const { name, find } of [partition, ...before]) {
      const outcome = reading(name, () => find(hash, nowUs))
      if (outcome !== undefined) return outcome
    }
    return undefined
  }

  /** Lets nobody read or write a partition any more; the day goes on in a new one. Null where it is no partition. */
  function setAside (name: string, reason: string): Damage | null {
    if (taken.has(name)) return null
    if (uses(name)) closeOpen()
    partitions.delete(name)
    taken.add(name)
    try {
      renamePartition(dir, name, 'damaged')
      return { partition: name, reason }
    } catch (error) {
      return { partition: name, reason: `${reason}; its file keeps its name: ${(error as Error).message}` }
    }
  }

  const uses = (name: string) => open?.name === name || before.some(one => one.name === name)

  const read = (request: AppendRequest) => readRequest(request, options, columnReader, projector)

  return {
    /** What was there at the start. */
    folder,
    /** No event has a higher id. */
    get lastId () { return lastId },
    /** Reads all requests and commits their events in one transaction. Never throws: a failure is each request's result. */
    append (requests: readonly AppendRequest[]): Commit | FailedCommit {
      try {
        const nowUs = Math.max(...requests.map(({ arrivalUs }) => arrivalUs))
        const partition = partitionOf(nowUs)
        const results = resendWindowUs === 0 ? requests.map(read) : readOnce(requests, read, hash => findResend(partition, hash, nowUs))
        lastId = reading(partition.name, () => partition.commit(results, nowUs))
        const summary = partition.summary()
        partitions.set(summary.name, summary)
        for (const { events } of results) for (const event of events) sourceCounts.count(event)
        return { results: results.map(({ result }) => result), partition: summary }
      } catch (error) {
        return { error: error as Error, damage: error instanceof DamageError ? setAside(error.partition, error.reason) : null }
      }
    },
    /** Makes one large block of small ones of the open partition; says whether there were enough. No search may run meanwhile. Throws DamageError. */
    merge: (): boolean => open === null ? false : reading(open.name, open.merge),
    /** Puts a packed copy in the place of its partition. No search may run meanwhile. Throws DamageError. */
    putPacked (packed: PartitionSummary): PutOutcome {
      const { name } = packed
      if (!partitions.has(name)) return 'outdated'
      if (open?.name === name) closeOpen()
      closeBefore()
      try {
        const outcome = putPacked(dir, packed)
        if (outcome === 'done') partitions.set(name, packed)
        return outcome
      } finally {
        if (open !== null) before = openBefore(open.name)
      }
    },
    setAside,
    /** What was committed since the last call, by source. */
    sourceCounts: sourceCounts.take,
    /** The partitions that are to go. They stay until `drop`, so that searches can forget them first. */
    expired (limits: RetentionLimits): DroppedPartition[] {
      return expiredOf([...partitions.values()].map(partition => ({ ...partition, bytes: partitionBytes(dir, partition.name) })), limits)
    },
    /** Takes partitions away; their files are left to be removed. What goes on comes into new ones. */
    drop (names: readonly string[]): void {
      for (const name of names) {
        if (uses(name)) closeOpen()
        if (!partitions.has(name)) continue
        renamePartition(dir, name, 'dropped')
        partitions.delete(name)
        taken.add(name)
      }
    },
    close (): void {
      closeOpen()
      idMark.close(lastId)
    },
  }
}

interface ResendPartition {
  readonly name: string
  readonly db: Database.Database
  readonly find: ReturnType<typeof openResends>['find']
}

/** `YYYY-MM-DD` (UTC). */
function toDay (timeUs: number): string {
  return new Date(timeUs / 1000).toISOString().slice(0, 10)
}

/** Reads requests, but not those that came before: in the store, or in this very commit. */
function readOnce (requests: readonly AppendRequest[], readNew: (request: AppendRequest) => ReadRequest, find: (hash: Buffer) => AppendOutcome | undefined): ReadRequest[] {
  const here = new Map<string, AppendOutcome>()
  return requests.map(request => {
    const hash = hashOf(request)
    const key = hash.toString('base64')
    const before = here.get(key) ?? find(hash)
    if (before !== undefined) return { result: { ...before, resent: true }, events: [], hash: null }
    const read = readNew(request)
    // What stored nothing may be tried again: there is nothing to store twice.
    if ('error' in read.result || read.result.stored === 0) return read
    here.set(key, read.result)
    return { result: read.result, events: read.events, hash }
  })
}

function readRequest (request: AppendRequest, options: WriterOptions, columnReader: ColumnReader, projector: Projector | null): ReadRequest {
  const events: PendingEvent[] = []
  const body = new Uint8Array(request.body)
  const fill = Object.entries(request.fill)
  const asksForColumns = fill.every(([name]) => COLUMN_FIELDS.includes(name)) // whether an event has another field all of it must say
  let ownTimes = 0
  let filled = 0
  const take = (event: ParsedEvent): void => {
    if (events.length === MAX_REQUEST_EVENTS) throw new AppError('too_large', `a request can hold ${MAX_REQUEST_EVENTS} events`)
    const pending = toPending(event, { body, request, fill, columnReader })
    if (pending.isOwnTime) ownTimes++
    if (pending.filled !== null) filled++
    events.push(pending)
  }
  try {
    const rules: EnvelopeRules = {
      defaults: request.defaults,
      timeUs: request.timeUs,
      allowedIndexes: request.allowedIndexes === null ? null : new Set(request.allowedIndexes),
      existingIndexes: options.existingIndexes,
      maxEventBytes: options.maxEventBytes,
      compatibility: options.compatibility,
      projector: asksForColumns ? projector : null,
    }
    const { fault, unknownKeys, skipped } = request.format === 'lines' ? parseLines(body, rules, take) : parseBody(body, rules, take)
    return { result: { stored: events.length, fault, unknownKeys, skipped, ownTimes, filled, resent: false }, events, hash: null }
  } catch (error) {
    return { result: { error: error as Error }, events: [], hash: null } // a defect must not take the others' events with it
  }
}

interface PendingContext {
  readonly body: Uint8Array
  readonly request: AppendRequest
  readonly fill: readonly [name: string, text: string][]
  readonly columnReader: ColumnReader
}

function toPending (parsed: ParsedEvent, { body, request: { format, arrivalUs, timeFrom }, fill, columnReader }: PendingContext): PendingEvent {
  const { sourcetype, payload } = columnReader.route(parsed.event, parsed.sourcetype)
  const { host, source, index } = parsed
  const own = parsed.timeUs === null && timeFrom === 'event' ? ownTime(payload, () => parsed.raw()) : null
  const event: IndexedEvent & { fields: IndexedEvent['fields'] } = {
    host,
    source,
    index,
    fields: parsed.fields,
    timeUs: parsed.timeUs ?? own ?? arrivalUs,
    sourcetype,
    payload,
    raw: parsed.raw,
  }
  const missing = fill.length === 0 ? fill : fill.filter(([name]) => !columnReader.has(event, name))
  const filled = missing.length === 0 ? null : JSON.stringify(Object.fromEntries(missing))
  event.fields = joinFilled(event.fields, filled)
  const { columns, odd } = columnReader.columnsOf(event)
  return { // by name: to spread objects into one takes longer than all the rest of this
    kind: format === 'lines' ? 'line' : 'envelope',
    bytes: body.subarray(parsed.item.start, parsed.item.end),
    indexTimeUs: arrivalUs,
    filled,
    timeUs: event.timeUs,
    isOwnTime: own !== null,
    loss: lossOf(payload),
    columns,
    odd,
  }
}

function toBlocks (events: readonly PendingEvent[]): PendingBlock[] {
  const blocks: PendingBlock[] = []
  let start = 0
  let bytes = 0
  events.forEach((event, i) => {
    bytes += event.bytes.length
    if (i + 1 - start < MAX_BLOCK_EVENTS && bytes < MAX_BLOCK_BYTES && i + 1 < events.length) return
    const block = events.slice(start, i + 1)
    blocks.push({ events: block, data: encodeBlock(block) })
    start = i + 1
    bytes = 0
  })
  return blocks
}

/** A partition with its prepared statements; `commit` gives the new last id. */
function openForAppend (options: WriterOptions, name: string, { mark, idMark, ...rest }: PartitionOptions & { idMark: IdMark }) {
  const db = openPartition(options.dir, name, { ...rest, mark })
  const dictionary = openDictionary(db)
  const { resendWindowUs } = options
  const resends = openResendWriter(db, resendWindowUs)
  const insertBlock = db.prepare<StoredBlock>(INSERT_BLOCK)
  const updateSummary = db.prepare(`
    UPDATE partition SET first_id = coalesce(first_id, @firstId), last_id = @lastId, event_count = event_count + @count, packed = 0,
      min_time_us = min(coalesce(min_time_us, @minTimeUs), @minTimeUs), max_time_us = max(coalesce(max_time_us, @maxTimeUs), @maxTimeUs)
  `)
  if (readSummary(db, name).fieldsHash !== rest.fieldsHash) mixFields(db)
  let summary = readSummary(db, name)
  let lastId = Math.max(mark, summary.lastId)

  const insert = db.transaction((blocks: readonly PendingBlock[], firstId: number, requests: readonly ReadRequest[], nowUs: number) => {
    let id = firstId
    let minTimeUs = Infinity
    let maxTimeUs = -Infinity
    for (const { events, data } of blocks) {
      const blockId = id
      let blockMinUs = Infinity
      let blockMaxUs = -Infinity
      for (const { timeUs } of events) {
        if (timeUs < blockMinUs) blockMinUs = timeUs
        if (timeUs > blockMaxUs) blockMaxUs = timeUs
      }
      id += events.length
      insertBlock.run({
        first_id: blockId,
        last_id: id - 1,
        min_time_us: blockMinUs,
        max_time_us: blockMaxUs,
        odd: events.some(({ odd }) => odd) ? 1 : 0,
        columns: encodeColumns(events, dictionary.idOf),
        data,
      })
      minTimeUs = Math.min(minTimeUs, blockMinUs)
      maxTimeUs = Math.max(maxTimeUs, blockMaxUs)
    }
    const count = id - firstId
    updateSummary.run({ firstId, lastId: id - 1, count, minTimeUs, maxTimeUs })
    if (resendWindowUs > 0) {
      for (const { hash, result } of requests) if (hash !== null) resends.add(hash, nowUs, result as AppendOutcome)
      resends.removeOld(nowUs)
    }
    return {
      ...summary,
      packed: false,
      firstId: summary.firstId ?? firstId,
      lastId: id - 1,
      eventCount: summary.eventCount + count,
      minTimeUs: Math.min(summary.minTimeUs ?? minTimeUs, minTimeUs),
      maxTimeUs: Math.max(summary.maxTimeUs ?? maxTimeUs, maxTimeUs),
    }
  })

  const merger = openMerger(db, name, dictionary.idOf)

  return {
    name,
    merge: merger.mergeNext,
    summary: () => summary,
    find: openResends(db, resendWindowUs).find,
    commit (requests: readonly ReadRequest[], nowUs: number): number {
      const blocks = toBlocks(requests.flatMap(({ events }) => events))
      if (blocks.length === 0) return lastId
      const count = blocks.reduce((sum, { events }) => sum + events.length, 0)
      idMark.reach(lastId + count)
      try {
        summary = insert.immediate(blocks, lastId + 1, requests, nowUs)
      } catch (error) {
        dictionary.forget() // ids of a transaction that was rolled back are dealt again to other values
        throw error
      }
      let firstId = lastId + 1
      for (const { events } of blocks) {
        merger.wrote(firstId, events)
        firstId += events.length
      }
      lastId = summary.lastId
      return lastId
    },
    close: () => db.close(),
  }
}

/** Rows of two field tables in one file: its columns are not used again. */
function mixFields (db: Database.Database): void {
  db.prepare("UPDATE partition SET fields_hash = 'mixed'").run()
}
