import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { compileSeed, measureDetection } from './detection.js'
import { measureDisk } from './disk.js'
import { measureIngest } from './ingest.js'
import { measurePacking } from './packing.js'
import { measurePeer } from './peer.js'
import type { Figures } from './report.js'
import { measureRetention } from './retention.js'
import { measureScan } from './scan.js'
import { measureShared } from './shared.js'
import { measureStart } from './start.js'
import { runWriterLoop } from './writer-loop.js'

export interface GoalOptions {
  /** An empty folder. */
  readonly dir: string
  /** In the hour that the detection runs over. */
  readonly events: number
  /** Of each ingest run. */
  readonly seconds: number
  /** Of the events that the server starts over. */
  readonly bytes: number
  readonly signal: AbortSignal
  /** Told what is measured next. */
  readonly say: (what: string) => void
}

/** The detection runs at SLOT; all events arrive then. */
export const SLOT_MS = Date.parse('2026-03-10T12:00:00Z')

export const EVENTS_PER_REQUEST = [100, 10, 1]
/** Commits of few events are slow, and a share of the events is enough to know how slow. */
const LOOP_SHARE: Readonly<Record<number, number>> = { 100: 1, 10: 0.05, 1: 0.02 }
/** Enough to know its rate; the file takes 4 KB an event. */
const SCAN_EVENTS = 300_000
/** Without push-down it is a matter of minutes for a million. */
const NOT_PUSHED_EVENTS = 100_000

/** What the goals speak of, one after the other: nothing else runs beside what is measured. */
export async function measureGoals ({ dir, events, seconds, bytes, signal, say }: GoalOptions): Promise<Figures> {
  const ingest: Figures['ingest'][number][] = []
  for (const eventsPerRequest of EVENTS_PER_REQUEST) {
    say(`HEC ingest, ${eventsPerRequest} a request`)
    ingest.push(await measureIngest({ dir: join(dir, 'server'), eventsPerRequest, seconds, signal }))
  }
  const seed = compileSeed()
  const window = seed.windowOf(SLOT_MS)
  const writers: Figures['writers'][number][] = []
  for (const eventsPerRequest of EVENTS_PER_REQUEST) {
    signal.throwIfAborted()
    const count = Math.round(events * LOOP_SHARE[eventsPerRequest]!)
    say(`writer without HTTP, ${count.toLocaleString('en')} events, ${eventsPerRequest} a request`)
    const dataDir = dataDirOf(dir, eventsPerRequest)
    const loop = await runWriterLoop({
      dataDir, eventsPerRequest, events: count, seed: 1, startUs: window.earliestUs, spanUs: window.latestUs - window.earliestUs, arrivalUs: SLOT_MS * 1_000,
    })
    writers.push({ loop, disk: measureDisk(dataDir) })
  }
  const dataDir = dataDirOf(dir, EVENTS_PER_REQUEST[0]!)
  say('scan of a log file')
  const scan = await measureScan({
    dir, events: Math.min(events, SCAN_EVENTS), startUs: window.earliestUs, spanUs: window.latestUs - window.earliestUs, arrivalUs: SLOT_MS * 1_000,
  })
  say('detection')
  const detection = await measureDetection(dataDir, seed, window, Math.min(0.3, NOT_PUSHED_EVENTS / events))
  say('the same on ClickHouse’s engine, if it is installed')
  const peer = await measurePeer({ dataDir, window, dir: join(dir, 'peer') }, signal)
  say('searches that read events')
  const shared = await measureShared(dataDir, window, Math.min(0.3, NOT_PUSHED_EVENTS / events))
  const packed: Figures['packed'][number][] = []
  for (const { loop: { eventsPerRequest, events } } of writers) {
    say(`packing of ${events.toLocaleString('en')} events, ${eventsPerRequest} a request`)
    packed.push(await measurePacking(dataDirOf(dir, eventsPerRequest)))
  }
  say(`start over ${(bytes / 1e9).toLocaleString('en')} GB of events`)
  const start = await measureStart(join(dir, 'start'), bytes, signal)
  say('a day dropped by retention')
  const retention = await measureRetention(join(dir, 'start', 'data'))
  return { ingest, writers, packed, scan, detection, peer, shared, start, retention }
}

function dataDirOf (dir: string, eventsPerRequest: number): string {
  const dataDir = join(dir, `writer-${eventsPerRequest}`)
  mkdirSync(dataDir, { recursive: true })
  return dataDir
}
