import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compileSeed, measureDetection } from './detection.js'
import { measureDisk } from './disk.js'
import { measureIngest } from './ingest.js'
import type { Figures } from './report.js'
import { formatReport } from './report.js'
import { measureScan } from './scan.js'
import { measureShared } from './shared.js'
import { runWriterLoop } from './writer-loop.js'

const USAGE = `usage: npm run bench -- [--quick] [--events N] [--seconds N]

  Measures ingest, size on disk and the hourly detection, and prints one table. It never fails for a figure.

  --events N    events in the hour that the detection runs over (1,000,000)
  --seconds N   length of each ingest run (4)
  --quick       30,000 events and 1 second; enough to see that it runs

  Data is written below the folder for temporary files (TMPDIR) and removed. An fsync is only worth its name on a disk.
`

/** The detection runs at SLOT; all events arrive then. */
const SLOT_MS = Date.parse('2026-03-10T12:00:00Z')

const EVENTS_PER_REQUEST = [100, 10, 1]
/** Commits of few events are slow, and a share of the events is enough to know how slow. */
const LOOP_SHARE: Readonly<Record<number, number>> = { 100: 1, 10: 0.05, 1: 0.02 }
/** Enough to know its rate; the file takes 4 KB an event. */
const SCAN_EVENTS = 300_000
/** Without push-down it is a matter of minutes for a million. */
const NOT_PUSHED_EVENTS = 100_000

const { values } = parseArgs({ options: { quick: { type: 'boolean' }, events: { type: 'string' }, seconds: { type: 'string' }, help: { type: 'boolean' } } })
const events = Number(values.events ?? (values.quick === true ? 30_000 : 1_000_000))
const seconds = Number(values.seconds ?? (values.quick === true ? 1 : 4))

if (values.help === true || !Number.isSafeInteger(events) || events < 10_000 || !(seconds > 0)) {
  process.stdout.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  const dir = mkdtempSync(join(tmpdir(), 'hecate-bench-'))
  try {
    process.stdout.write(`${formatReport(await measure(dir, stop.signal))}\n`)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function measure (dir: string, signal: AbortSignal): Promise<Figures> {
  const ingest: Figures['ingest'][number][] = []
  for (const eventsPerRequest of EVENTS_PER_REQUEST) {
    say(`HEC ingest, ${eventsPerRequest} a request`)
    ingest.push(await measureIngest({ dir: join(dir, 'server'), eventsPerRequest, seconds, signal }))
  }
  const seed = compileSeed()
  const window = seed.windowOf(SLOT_MS)
  const writers = EVENTS_PER_REQUEST.map(eventsPerRequest => {
    signal.throwIfAborted()
    const count = Math.round(events * LOOP_SHARE[eventsPerRequest]!)
    say(`writer without HTTP, ${count.toLocaleString('en')} events, ${eventsPerRequest} a request`)
    const dataDir = dataDirOf(dir, eventsPerRequest)
    const loop = runWriterLoop({
      dataDir, eventsPerRequest, events: count, startUs: window.earliestUs, spanUs: window.latestUs - window.earliestUs, arrivalUs: SLOT_MS * 1_000,
    })
    return { loop, disk: measureDisk(dataDir) }
  })
  say('scan of a log file')
  const scan = await measureScan({
    dir, events: Math.min(events, SCAN_EVENTS), startUs: window.earliestUs, spanUs: window.latestUs - window.earliestUs, arrivalUs: SLOT_MS * 1_000,
  })
  say('detection')
  const detection = await measureDetection(dataDirOf(dir, EVENTS_PER_REQUEST[0]!), seed, window, Math.min(0.3, NOT_PUSHED_EVENTS / events))
  say('searches that read events')
  const shared = await measureShared(dataDirOf(dir, EVENTS_PER_REQUEST[0]!), window, Math.min(0.3, NOT_PUSHED_EVENTS / events))
  return { ingest, writers, scan, detection, shared }
}

function dataDirOf (dir: string, eventsPerRequest: number): string {
  const dataDir = join(dir, `writer-${eventsPerRequest}`)
  mkdirSync(dataDir, { recursive: true })
  return dataDir
}

function say (what: string): void {
  process.stderr.write(`${what} …\n`)
}
