import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../errors.js'
import type { AppendOutcome, AppendRequest, EventStore } from '../events.js'
import { arrivalWindow } from './arrivals.js'
import { joinWindows } from './blocks.js'
import { openCatalogue } from './catalogue.js'
import type { SqliteEventsOptions } from './open.js'
import { aliveUntil } from './partition-reader.js'
import { openReader, runAtOnce } from './reader.js'
import { openWriter } from './writer.js'

/** A search takes no longer than that: nothing else happens meanwhile. */
const SEARCH_TIMEOUT_MS = 60_000

/**
 * Events in SQLite files without threads, for a command that stores a little, searches it and ends: threads take longer to start than
 * all of that. Appends and searches hold up the whole process.
 */
export function openInlineEvents ({ dataDir, ...options }: Omit<SqliteEventsOptions, 'retention' | 'report'>): EventStore {
  const dir = join(dataDir, 'events')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const writer = openWriter({ dir, ...options })
  const catalogue = openCatalogue(dir, writer.folder, writer.lastId)
  const reader = openReader({ dir, fieldTables: options.fieldTables })
  const alive = (signal: AbortSignal | undefined) => aliveUntil(SEARCH_TIMEOUT_MS, () => signal?.aborted === true)

  return {
    ...catalogue.face,
    async append (request: AppendRequest): Promise<AppendOutcome> {
      const commit = writer.append([request])
      if ('error' in commit) throw new AppError('unavailable', commit.error.message, { cause: commit.error })
      catalogue.put(commit.partition)
      const result = commit.results[0]!
      if ('error' in result) throw result.error
      return result
    },
    search: async (plan, { signal, timeZone, nowMs, limit, ...scope }) => {
      return reader.search({ ...catalogue.scopeOf(scope), plan, timeZone, nowMs, limit }, alive(signal))
    },
    find: async ({ predicate, order, limit, after, signal, ...scope }) => {
      return runAtOnce(reader.find({ ...catalogue.scopeOf(scope), predicate, order, limit, after }, alive(signal)))
    },
    findGroups: async ({ predicate, groups, order, limit, maxBytes, signal, ...scope }) => {
      return runAtOnce(reader.findGroups({ ...catalogue.scopeOf({ ...scope, window: joinWindows(groups.map(({ window }) => window)) }), predicate, groups, order, limit, maxBytes }, alive(signal)))
    },
    since: async ({ after, position, queries, signal }) => {
      return runAtOnce(reader.since({ ...catalogue.scopeOf({ window: arrivalWindow(queries), since: after, position }), queries }, alive(signal)))
    },
    failure: () => null,
    retain: async () => [], // its folder ends with the command
    pack: async () => null,
    sourceCounts: async () => writer.sourceCounts(),
    async close (): Promise<void> {
      reader.close()
      writer.close()
    },
  }
}
