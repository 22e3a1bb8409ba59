import { readOptions, sendResult } from './child.js'
import type { CompiledDefinition } from '../src/detect/definition.js'
import { compileSearch, toKnowledge } from '../src/detect/search.js'
import { toMacros } from '../src/detect/macros.js'
import type { Value, Window } from '../src/event.js'
import { BUILT_IN_TABLES } from '../src/fields/field-tables.js'
import type { EventStore } from '../src/store/events.js'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { compileSeed } from './detection.js'
import { loadPeer } from './peer.js'
import type { PeerFigures } from './peer.js'
import { storeOptions } from './writer-loop.js'

/**
 * A process that gives ClickHouse's engine the columns of the stored events, runs the aggregation of the escape-to-host detection there,
 * and sends what it took to the parent.
 */

export interface ClickhouseOptions {
  readonly dataDir: string
  readonly window: Window
  /** An empty folder of the engine's own. */
  readonly dir: string
}

/** What is used of the package `chdb`, of whose types nothing is known here: Hecate compiles without it. */
interface Chdb {
  readonly Session: new (dir: string) => Session
}

interface Session {
  query (sql: string, format?: string): string
  insert (rows: { table: string, values: Buffer, format: 'JSONCompactEachRow' }): Promise<unknown>
  close (): void
}

/** As somebody who keeps these events in ClickHouse would have them: in the order of time, names that repeat in dictionaries. */
const TABLE = `
  CREATE TABLE event (
    time_us Int64,
    sourcetype LowCardinality(String),
    cluster_name LowCardinality(String),
    node_name LowCardinality(String),
    pod_name LowCardinality(String),
    process_name LowCardinality(String),
    process String
  ) ENGINE = MergeTree ORDER BY time_us
`

const COLUMNS = ['_time', 'sourcetype', 'cluster_name', 'node_name', 'pod_name', 'process_name', 'process']

/** The detection's search, by the means that the engine is fastest with: one pass for all wildcards, whatever their case. */
const aggregation = ({ earliestUs, latestUs }: Window): string => `
  SELECT intDiv(time_us, 300000000) * 300 AS time, cluster_name, node_name, pod_name, count() AS total_events, uniqExact(process_name) AS distinct_cmds,
    arraySort(groupUniqArray(process)) AS processes, arraySort(groupUniqArray(process_name)) AS process_names
  FROM event
  WHERE time_us >= ${earliestUs} AND time_us < ${latestUs} AND sourcetype = 'cisco:isovalent:processExec'
    AND (lower(process_name) IN ('nsenter', 'mount', 'ps', 'ls') OR multiSearchAnyCaseInsensitive(process, ['nsenter', 'mount', 'ps aux', 'ps -ef']))
  GROUP BY time, cluster_name, node_name, pod_name
  HAVING distinct_cmds >= 2
`

/** About so many events are handed over at a time. */
const EVENTS_PER_INSERT = 20_000

const RUNS = 5

const { dataDir, window, dir } = readOptions<ClickhouseOptions>()
const { Session } = loadPeer() as Chdb
const session = new Session(dir)
const events = await openSqliteEvents(storeOptions(dataDir))
session.query(TABLE)
await load(events)
session.query('OPTIMIZE TABLE event FINAL')
const expected = await runDetection(events, compileSeed())
await events.close()
sendResult({
  version: session.query('SELECT version()', 'TSV').trim(),
  events: Number(session.query('SELECT count() FROM event', 'TSV')),
  ms: middleOf(() => timeOf('')),
  oneThreadMs: middleOf(() => timeOf('SETTINGS max_threads = 1')),
  sameRows: JSON.stringify(toCells(session.query(aggregation(window), 'JSONCompactEachRow'))) === JSON.stringify(expected),
} satisfies PeerFigures)
session.close()

/** The store reads the columns as it does for any search that names no more. */
async function load (events: EventStore): Promise<void> {
  const plan = compileSearch(`* | table ${COLUMNS.join(' ')}`, toMacros({}), toKnowledge(BUILT_IN_TABLES, new Map()))
  const slices = Math.ceil(events.stats().events / EVENTS_PER_INSERT)
  const { earliestUs, latestUs } = window
  const edgeOf = (slice: number) => earliestUs + Math.floor((latestUs - earliestUs) * slice / slices)
  for (let slice = 0; slice < slices; slice++) {
    const { rows } = await events.search(plan, {
      window: { earliestUs: edgeOf(slice), latestUs: edgeOf(slice + 1) }, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: Infinity,
    })
    const lines = rows.map(({ values }) => JSON.stringify(COLUMNS.map(name => name === '_time' ? Math.round(Number(values.get(name)) * 1e6) : String(values.get(name) ?? ''))))
    await session.insert({ table: 'event', values: Buffer.from(lines.join('\n')), format: 'JSONCompactEachRow' })
  }
}

function timeOf (settings: string): number {
  const startMs = performance.now()
  session.query(`${aggregation(window)} ${settings}`, 'JSONCompactEachRow')
  return performance.now() - startMs
}

/** Warm: the first run is not among them. */
function middleOf (run: () => number): number {
  run()
  return Array.from({ length: RUNS }, run).sort((a, b) => a - b)[RUNS >> 1]!
}

/** The detection's rows, as the engine's aggregation has them. */
async function runDetection (events: EventStore, { plan }: CompiledDefinition): Promise<unknown[][]> {
  const { rows } = await events.search(plan, { window, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: Infinity })
  const list = (value: Value | undefined) => [value ?? []].flat()
  return rows.map(({ values }): unknown[] => [
    ...['_time', 'cluster_name', 'node_name', 'pod_name', 'total_events', 'distinct_cmds'].map(name => values.get(name)), list(values.get('process')), list(values.get('process_name')),
  ]).sort(byText)
}

function toCells (lines: string): unknown[][] {
  return lines.trim().split('\n').filter(line => line !== '').map(line => {
    return (JSON.parse(line) as unknown[]).map((cell, i) => [0, 4, 5].includes(i) ? Number(cell) : cell)
  }).sort(byText)
}

function byText (a: unknown[], b: unknown[]): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}
