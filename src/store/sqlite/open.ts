import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AppendRequest, ArrivalResult, DroppedPartition, EventStore, FindGroupsOptions, FindOptions, PackOptions, SearchOptions, SearchResult, SinceOptions } from '../events.js'
import { fieldsHashOf } from '../../fields/fields.js'
import type { SearchPlan } from '../../spl/plan.js'
import { arrivalWindow } from './arrivals.js'
import { MAX_MERGED_EVENTS } from './block.js'
import { joinWindows } from './blocks.js'
import { openCatalogue } from './catalogue.js'
import type { Damage } from './damage.js'
import { openPacking } from './packing.js'
import type { PartitionSummary } from './partition.js'
import { openRemoval } from './removal.js'
import type { Retention } from './retention.js'
import { openReaders, startWriter } from './threads.js'
import type { WriterOptions } from './writer.js'

export interface SqliteEventsOptions extends Omit<WriterOptions, 'dir'> {
  /** The data folder; partitions are in `events` below it. */
  readonly dataDir: string
  /** What `retain` keeps; everything where it is missing. */
  readonly retention?: Retention
  /** Is told what nobody asked for. */
  readonly report?: StoreReport
  /** From so many events on an aggregation is dealt to all threads that search (2,000,000). */
  readonly minPartEvents?: number
}

export interface StoreReport {
  /** A partition was found damaged and is set aside. Comes once for each. */
  readonly damaged: (damage: Damage) => void
  /** Small blocks could not be merged; it is tried again with the next events. */
  readonly notMerged: (error: unknown) => void
  /** The files of dropped partitions could not be removed; it is tried again. */
  readonly notRemoved: (error: unknown) => void
}

/** Searches that run at one time; the detections' run and an analyst's. */
const MAX_READERS = 2

/** Below it an aggregation takes less than a second of one thread. Adding up what several have made takes up to 0.2 s more, which is for groups, not for events. */
const MIN_PART_EVENTS = 2_000_000

/** Events in SQLite files, one per day of arrival: a writer thread, reader threads, and the catalogue of partitions here. */
export async function openSqliteEvents ({ dataDir, retention, report, minPartEvents = MIN_PART_EVENTS, ...options }: SqliteEventsOptions): Promise<EventStore> {
  const dir = join(dataDir, 'events')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const writer = await startWriter({ dir, ...options }, {
    committed (partition) {
      catalogue.put(partition)
      mergeSoon(partition.lastId)
    },
    damaged: tellDamage,
  })
  const catalogue = openCatalogue(dir, writer.folder, writer.lastId)
  const removal = openRemoval(dir, error => report?.notRemoved(error))
  const readers = openReaders({ dir, fieldTables: options.fieldTables }, { maxThreads: MAX_READERS, minPartEvents }, (partition, reason) => {
    setAsideAtOnce({ partition, reason })
  })
  const packing = openPacking({ dir, resendWindowUs: options.resendWindowUs, fieldsHash: fieldsHashOf(options.fieldTables), put: putPacked, onDamage: setAsideAtOnce })
  for (const damage of writer.folder.damaged) report?.damaged(damage)

  function setAsideAtOnce ({ partition, reason }: Damage): void {
    catalogue.setAside(partition) // whoever asks again is to get an answer
    writer.setAside(partition, reason)
  }

  /** Null where a search runs. */
  async function putPacked (packed: PartitionSummary) {
    return readers.alone(async () => {
      await readers.forget([packed.name])
      const outcome = await writer.putPacked(packed)
      if (outcome === 'done') catalogue.putPacked(packed)
      return outcome
    })
  }

  function tellDamage (damage: Damage): void {
    catalogue.setAside(damage.partition)
    readers.forget([damage.partition])
    report?.damaged(damage)
  }

  let isMerging = false
  /** The last event's id from which on it is worth while to look for small blocks. */
  let mergeAtId = 0

  /** Merges small blocks between searches, a step of some milliseconds at a time. */
  function mergeSoon (lastId: number): void {
    if (isMerging || lastId < mergeAtId) return
    isMerging = true
    mergeAll(lastId).catch(error => { report?.notMerged(error) }).finally(() => { isMerging = false })
  }

  async function mergeAll (lastId: number): Promise<void> {
    let hasMerged: boolean | null = true
    while (hasMerged === true) hasMerged = await readers.alone(writer.merge)
    if (hasMerged === false) mergeAtId = lastId + MAX_MERGED_EVENTS
  }

  return {
    ...catalogue.face,
    append: (request: AppendRequest) => writer.append(request),
    async search (plan: SearchPlan, { signal, timeZone, nowMs, limit, timeoutMs, onProgress, ...scope }: SearchOptions): Promise<SearchResult> {
      const warnings = catalogue.warningsOf(scope.window)
      const result = await readers.search({ ...catalogue.scopeOf(scope), plan, timeZone, nowMs, limit, timeoutMs }, signal, onProgress)
      return { ...result, warnings: [...result.warnings, ...warnings] }
    },
    find: ({ predicate, order, limit, after, signal, ...scope }: FindOptions) => {
      return readers.find({ ...catalogue.scopeOf(scope), predicate, order, limit, after }, signal)
    },
    findGroups: async ({ predicate, groups, order, limit, maxBytes, signal, ...scope }: FindGroupsOptions) => {
      return readers.findGroups({ ...catalogue.scopeOf({ ...scope, window: joinWindows(groups.map(({ window }) => window)) }), predicate, groups, order, limit, maxBytes }, signal)
    },
    async since ({ after, position, queries, signal }: SinceOptions): Promise<readonly ArrivalResult[]> {
      return readers.since({ ...catalogue.scopeOf({ window: arrivalWindow(queries), since: after, position }), queries }, signal)
    },
    async retain (nowMs: number, disk: 'full' | 'roomy', beforeDrop?: (partitions: readonly DroppedPartition[]) => void): Promise<readonly DroppedPartition[]> {
      if (retention === undefined) return []
      const expired = await writer.expired({ ...retention, nowMs, isDiskFull: disk === 'full' })
      beforeDrop?.(expired)
      const names = expired.map(({ name }) => name)
      catalogue.forget(names) // first, so that no search begins that would not find them
      if (names.length > 0) await writer.drop(expired)
      readers.forget(names) // or their files would stay on the disk
      removal.begin() // also of what a stop has left
      return expired
    },
    async pack (options: PackOptions) {
      const packed = await packing.pack(catalogue.summaries(), options)
      if (packed !== null) removal.begin()
      return packed
    },
    sourceCounts: () => writer.sourceCounts(),
    failure: () => writer.failure,
    async close (): Promise<void> {
      await packing.close()
      await removal.close()
      await readers.close() // an open reader would keep the WAL
      await writer.close()
    },
  }
}
