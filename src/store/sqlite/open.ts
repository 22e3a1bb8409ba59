import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { AppendRequest, EventStore, EventStoreStats, FindOptions, Position, SearchOptions } from '../events.js'
import type { SearchPlan } from '../../spl/plan.js'
import type { PartitionSummary } from './partition.js'
import { partitionPath } from './partition.js'
import { openReaders, startWriter } from './threads.js'
import type { WriterOptions } from './writer.js'

export interface SqliteEventsOptions extends Omit<WriterOptions, 'dir'> {
  /** The data folder; partitions are in `events` below it. */
  readonly dataDir: string
}

/** Searches that run at one time; the detections' run and an analyst's. */
const MAX_READERS = 2

/** Events in SQLite files, one per day of arrival: a writer thread, reader threads, and the catalogue of partitions here. */
export async function openSqliteEvents ({ dataDir, ...options }: SqliteEventsOptions): Promise<EventStore> {
  const dir = join(dataDir, 'events')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const catalogue = new Map<string, PartitionSummary>()
  const writer = await startWriter({ dir, ...options }, partition => { catalogue.set(partition.day, partition) })
  for (const partition of writer.partitions) catalogue.set(partition.day, partition)
  const readers = openReaders({ dir, fieldTables: options.fieldTables }, MAX_READERS)

  const lastId = () => Math.max(0, ...[...catalogue.values()].map(partition => partition.lastId))
  const scopeOf = ({ window, position }: { window: FindOptions['window'], position: Position }) => ({
    partitions: [...catalogue.values()],
    window,
    lastId: Number(position),
  })

  return {
    append: (request: AppendRequest) => writer.append(request),
    position: () => String(lastId()) as Position,
    isAfter: (a: Position, b: Position) => Number(a) > Number(b),
    search: (plan: SearchPlan, { signal, timeZone, nowMs, limit, ...scope }: SearchOptions) => {
      return readers.search({ ...scopeOf(scope), plan, timeZone, nowMs, limit }, signal)
    },
    find: ({ predicate, order, limit, after, signal, ...scope }: FindOptions) => {
      return readers.find({ ...scopeOf(scope), predicate, order, limit, after }, signal)
    },
    failure: () => writer.failure,
    stats: (): EventStoreStats => ({
      partitions: catalogue.size,
      events: [...catalogue.values()].reduce((sum, { eventCount }) => sum + eventCount, 0),
      bytesOnDisk: [...catalogue.keys()].reduce((sum, day) => sum + fileBytes(partitionPath(dir, day)) + fileBytes(`${partitionPath(dir, day)}-wal`), 0),
    }),
    async close (): Promise<void> {
      await readers.close() // an open reader would keep the WAL
      await writer.close()
    },
  }
}

function fileBytes (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
