import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { AppendRequest, EventStore, FindOptions, SearchOptions } from '../events.js'
import type { SearchPlan } from '../../spl/plan.js'
import { openCatalogue } from './catalogue.js'
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
  const writer = await startWriter({ dir, ...options }, partition => { catalogue.put(partition) })
  const catalogue = openCatalogue(dir, writer.partitions)
  const readers = openReaders({ dir, fieldTables: options.fieldTables }, MAX_READERS)

  return {
    ...catalogue.face,
    append: (request: AppendRequest) => writer.append(request),
    search: (plan: SearchPlan, { signal, timeZone, nowMs, limit, ...scope }: SearchOptions) => {
      return readers.search({ ...catalogue.scopeOf(scope), plan, timeZone, nowMs, limit }, signal)
    },
    find: ({ predicate, order, limit, after, signal, ...scope }: FindOptions) => {
      return readers.find({ ...catalogue.scopeOf(scope), predicate, order, limit, after }, signal)
    },
    failure: () => writer.failure,
    async close (): Promise<void> {
      await readers.close() // an open reader would keep the WAL
      await writer.close()
    },
  }
}
