import { readFile } from 'node:fs/promises'
import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import type { Finding } from '../finding.js'
import { resourcePath } from '../resource.js'
import type { FindingStore } from '../store/control/findings.js'
import type { Disk } from '../store/disk.js'
import type { EventStore } from '../store/events.js'
import { runnable } from './active.js'
import type { Detections } from './detections.js'
import type { Ledger } from './ledger.js'

/** The log of a container escape that ships. */
const LOG = 'detections/samples/container-escape.log'

/** What finds it. */
export const SAMPLE_DETECTION = 'cisco_isovalent___potential_escape_to_host'

/** The `source` of its events. */
const SOURCE = 'hecate:sample'

/** In place of the log's own, so that findings, their messages and their messages to others say what they are of. It is no source: nobody is to wait for it. */
export const SAMPLE_CLUSTER = 'hecate-sample'

const INDEX = 'main'

/** When the log is from: an hour that the detection's window is as long as. */
const LOG_END_MS = Date.parse('2026-03-10T11:50:00Z')

/** The log is moved by multiples of it, so that what was in one bin of the detection still is. */
const BIN_MS = 300_000

const SECOND_MS = 1_000

/** A sample that was sent is not sent again for so long. */
const AGAIN_MS = 86_400_000

/** Findings of the detection that are looked through for that of the sample. */
const MAX_LOOKED = 1000

export interface SampleDeps {
  readonly events: EventStore
  readonly disk: Pick<Disk, 'tryTake' | 'give'>
  readonly detections: Detections
  readonly ledger: Ledger
  readonly findings: FindingStore
}

export interface SentSample {
  readonly findingId: string
  readonly detectionId: string
  /** 0 where the sample was sent before. */
  readonly events: number
  /** That was evaluated; null where the sample was sent before. */
  readonly slotMs: number | null
}

/** Sends the log of a container escape that ships, as if it were of the last hour, and runs the detection that finds it. */
export function openSample ({ events, disk, detections, ledger, findings }: SampleDeps) {
  let underway: Promise<SentSample> | null = null

  async function send (nowMs: number): Promise<SentSample> {
    const active = detections.find(SAMPLE_DETECTION)
    if (active === undefined) throw new AppError('conflict', `the sample is for the detection ${SAMPLE_DETECTION}, which is not loaded: detections.shipped is false`)
    const before = await find(nowMs)
    if (before !== null) return { findingId: before.id, detectionId: SAMPLE_DETECTION, events: 0, slotMs: null }
    const { slotMs, window } = slotFor(runnable(active).windowOf, nowMs)
    const stored = await append(await readLog(Math.round((window.latestUs / 1_000 - LOG_END_MS) / BIN_MS) * BIN_MS), nowMs)
    const run = await ledger.run(SAMPLE_DETECTION, slotMs)
    const found = await find(nowMs)
    if (found === null) throw new AppError('conflict', `the sample is stored, but the detection found nothing of it: ${run.error ?? `its search, or its window from ${text(window.earliestUs)} to ${text(window.latestUs)}, is not the one that ships`}`)
    return { findingId: found.id, detectionId: SAMPLE_DETECTION, events: stored, slotMs }
  }

  /** The newest finding that a sample of the last day gave, shown or hidden. */
  async function find (nowMs: number): Promise<Finding | null> {
    const window = { earliestUs: (nowMs - AGAIN_MS) * 1_000, latestUs: (nowMs + 1) * 1_000 }
    const found = await findings.list({ window, detection: [SAMPLE_DETECTION], throttled: 'include', suppressed: 'include' }, '-time', MAX_LOOKED)
    return found.find(({ result }) => (result as { cluster_name?: unknown }).cluster_name === SAMPLE_CLUSTER) ?? null
  }

  /** As HEC stores what a forwarder sends; gives how many. */
  async function append (text: string, nowMs: number): Promise<number> {
    const body = new TextEncoder().encode(text).slice().buffer
    const bytes = body.byteLength
    if (!disk.tryTake(bytes)) throw new AppError('unavailable', 'the disk is full')
    try {
      const { stored, fault } = await events.append({
        body, format: 'envelopes', arrivalUs: nowMs * 1_000, timeUs: null, timeFrom: 'arrival', fill: {}, sender: SOURCE, allowedIndexes: null,
        defaults: { host: SOURCE, source: SOURCE, sourcetype: 'cisco:isovalent', index: INDEX },
      })
      if (fault !== null) throw new AppError('conflict', `the events of the sample are not taken: there has to be an index ${INDEX}, and an event may need up to 4 KiB (indexes, hec.max_event_bytes)`)
      return stored
    } finally {
      disk.give(bytes)
    }
  }

  return {
    /** Two at a time are one. Throws AppError `conflict`, `invalid`, `unavailable`. */
    send (nowMs: number): Promise<SentSample> {
      underway ??= send(nowMs).finally(() => { underway = null })
      return underway
    },
  }
}

/** The newest slot whose window is over and ends with a bin; where none of the last bin's does, the newest whose window is over. */
function slotFor (windowOf: (slotMs: number) => Window, nowMs: number): { slotMs: number, window: Window } {
  const newest = Math.floor(nowMs / SECOND_MS) * SECOND_MS
  const slots = Array.from({ length: 2 * BIN_MS / SECOND_MS }, (_, n) => newest - n * SECOND_MS).map(slotMs => ({ slotMs, window: windowOf(slotMs) }))
  const over = slots.filter(({ window }) => window.latestUs <= nowMs * 1_000)
  const found = over.find(({ window }) => window.latestUs % (BIN_MS * 1_000) === 0) ?? over[0]
  if (found === undefined) throw new AppError('conflict', 'the detection’s windows end in the future')
  return found
}

/** Envelopes of the log's events, all their times later by `shiftMs`. */
async function readLog (shiftMs: number): Promise<string> {
  const log = await readFile(resourcePath(LOG), 'utf8')
  return log.trim().split('\n').map(line => {
    const moved = line
      .replace(/"(time|start_time)":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"/g, (_, name: string, second: string, fraction = '') =>
        `"${name}":"${new Date(Date.parse(`${second}Z`) + shiftMs).toISOString().slice(0, 19)}${fraction}Z"`)
      .replace(/"cluster_name":"[^"]*"/g, `"cluster_name":"${SAMPLE_CLUSTER}"`)
    const { time } = JSON.parse(moved) as { time: string }
    return `{"time":${Date.parse(time) / 1000},"event":${moved}}`
  }).join('\n')
}

const text = (timeUs: number): string => new Date(timeUs / 1_000).toISOString()
