import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { loadConfig } from '../src/config.js'
import { buildFieldTables } from '../src/fields/field-tables.js'
import type { AppendRequest } from '../src/store/events.js'
import type { SqliteEventsOptions } from '../src/store/sqlite/open.js'
import { openWriter } from '../src/store/sqlite/writer.js'
import type { Generator } from './generator.js'
import { openGenerator } from './generator.js'

export interface WriterLoopFigures {
  readonly eventsPerRequest: number
  readonly events: number
  readonly eventsPerSecond: number
  /** Bytes of the events' JSON, without envelopes. */
  readonly rawBytes: number
}

export interface WriterLoopOptions {
  readonly dataDir: string
  readonly eventsPerRequest: number
  readonly events: number
  /** Of the generator. */
  readonly seed: number
  /** Event times begin there and end `spanUs` later; they arrive at `arrivalUs`. */
  readonly startUs: number
  readonly spanUs: number
  readonly arrivalUs: number
}

/** After so many commits small blocks are merged, and the event loop has a turn, in which Node lets go of what zstd gave back: else the blocks of all events would stay in memory. */
const COMMITS_PER_TURN = 16

/** What a commit takes when all connections of the ingest figures wait for it. */
export const REQUESTS_PER_COMMIT = 16

/** The event store's options as a server with the default configuration has them. */
export function storeOptions (dataDir: string): SqliteEventsOptions {
  const config = loadConfig({ env: {}, flags: {}, cwd: dataDir })
  const { data, indexes, hec } = config
  return { dataDir, durability: data.durability, existingIndexes: new Set(indexes), maxEventBytes: hec.max_event_bytes, compatibility: hec.compatibility, resendWindowUs: hec.resend_window * 1_000, fieldTables: buildFieldTables(config) }
}

/** The writer of a server, without its thread. */
export function openLoopWriter (dataDir: string) {
  const { dataDir: _, ...options } = storeOptions(dataDir)
  return openWriter({ ...options, dir: join(dataDir, 'events') })
}

/** The requests of one commit. */
export function nextRequests (generator: Generator, eventsPerRequest: number, arrivalUs: number, count = REQUESTS_PER_COMMIT): AppendRequest[] {
  return Array.from({ length: count }, () => ({
    body: generator.body(eventsPerRequest),
    format: 'envelopes',
    arrivalUs,
    defaults: { host: '127.0.0.1', source: 'http:bench', sourcetype: 'httpevent', index: 'main' },
    timeUs: null,
    timeFrom: 'arrival',
    fill: {},
    sender: '',
    allowedIndexes: null,
  }))
}

/** Parse, fields, compress, insert, commit in one thread, without HTTP: the limit of ingest. Making the events is not counted, nor is merging small blocks, which a server does between searches. */
export async function runWriterLoop ({ dataDir, eventsPerRequest, events, seed, startUs, spanUs, arrivalUs }: WriterLoopOptions): Promise<WriterLoopFigures> {
  const writer = openLoopWriter(dataDir)
  const generator = openGenerator({ seed, startUs, stepUs: Math.floor(spanUs / events) })
  let elapsedMs = 0
  for (let commits = 1; generator.events < events; commits++) {
    const requests = nextRequests(generator, eventsPerRequest, arrivalUs)
    const startMs = performance.now()
    const commit = writer.append(requests)
    elapsedMs += performance.now() - startMs
    if ('error' in commit) throw commit.error
    if (commits % COMMITS_PER_TURN > 0) continue
    while (writer.merge());
    await setImmediate()
  }
  writer.close()
  return { eventsPerRequest, events: generator.events, eventsPerSecond: generator.events / elapsedMs * 1_000, rawBytes: generator.eventBytes }
}
