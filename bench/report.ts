import type { CatchUpFigures, Quiet } from './catch-up.js'
import type { DetectionFigures } from './detection.js'
import type { DiskFigures } from './disk.js'
import type { EnduranceFigures, Moment } from './endurance.js'
import type { IngestFigures } from './ingest.js'
import type { PackingFigures } from './packing.js'
import type { PeerFigures } from './peer.js'
import type { ProfileFigures } from './profile.js'
import { PHASES } from './profile.js'
import type { RetentionFigures } from './retention.js'
import type { ScanFigures } from './scan.js'
import type { SharedFigures } from './shared.js'
import type { StartFigures } from './start.js'
import type { WriterLoopFigures } from './writer-loop.js'

export interface Figures {
  readonly ingest: readonly IngestFigures[]
  readonly writers: readonly { readonly loop: WriterLoopFigures, readonly disk: DiskFigures }[]
  /** In the order of the writers. */
  readonly packed: readonly PackingFigures[]
  readonly scan: ScanFigures
  readonly detection: DetectionFigures
  readonly peer: PeerFigures | string
  readonly shared: SharedFigures
  readonly start: StartFigures
  readonly retention: RetentionFigures
}

/** A row that belongs to the one above begins with two spaces. */
export interface Table { readonly headings: readonly string[], readonly rows: readonly (readonly string[])[] }

/** Goals of ingest by events a request, as shares of the bare HTTP loop. */
const INGEST_GOALS: Readonly<Record<number, { readonly name: string, readonly share: number }>> = {
  100: { name: 'P1', share: 0.12 },
  10: { name: 'P2', share: 0.15 },
  1: { name: 'P3', share: 0.35 },
}

const HEADINGS = ['what', 'figure', 'beside', 'ratio', 'goal']

/** The one table. It judges nothing: a goal stands beside its figure. */
export function toGoalTable ({ ingest, writers, packed, scan, detection, peer, shared, start, retention }: Figures): Table {
  return {
    headings: HEADINGS,
    rows: [
      ...ingest.flatMap(toIngestRows),
      ...writers.map(({ loop }) => toLimitRow(loop, ingest)),
      ...writers.flatMap(({ loop, disk }, i) => [toDiskRow(loop, disk), toPackedRow(loop, packed[i]!)]),
      ...toTableRows(writers[0]!),
      ...toDetectionRows(detection, peer),
      toSharedRow(shared),
      ...toRetentionRows(retention),
      toStartRow(start),
      toScanRow(scan, writers[0]!.loop),
    ],
  }
}

function toIngestRows ({ eventsPerRequest, bare, peak, half, peakBytes }: IngestFigures): string[][] {
  const goal = INGEST_GOALS[eventsPerRequest]!
  const failed = peak.failures + half.failures
  return [
    [`HEC ingest, ${eventsPerRequest} a request`, rate(peak.eventsPerSecond), `bare HTTP ${rate(bare.eventsPerSecond)}`, percent(peak.eventsPerSecond / bare.eventsPerSecond), `${goal.name} ≥ ${percent(goal.share)}`],
    ['  reply p50, p99', `${milliseconds(peak.p50)}, ${milliseconds(peak.p99)}`, `bare HTTP ${milliseconds(bare.p50)}, ${milliseconds(bare.p99)}`, '', ''],
    ['  reply p99 at half the rate', milliseconds(half.p99), `${rate(half.eventsPerSecond)}`, '', 'P4 < 50 ms'],
    ['  peak memory', memory(peakBytes), '', '', 'P6 < 300 MB'],
    ...toRefusedRows(failed),
  ]
}

function toRefusedRows (count: number): string[][] {
  return count === 0 ? [] : [['  refused requests', count.toLocaleString('en'), '', '', '0']]
}

function toLimitRow ({ eventsPerRequest, eventsPerSecond }: WriterLoopFigures, ingest: readonly IngestFigures[]): string[] {
  const peak = ingest.find(one => one.eventsPerRequest === eventsPerRequest)!.peak.eventsPerSecond
  return [`writer without HTTP, 16 × ${eventsPerRequest} a commit`, rate(eventsPerSecond), `HEC ingest ${rate(peak)}`, percent(peak / eventsPerSecond), '']
}

function toScanRow ({ events, eventsPerSecond, bytes }: ScanFigures, { eventsPerSecond: bare }: WriterLoopFigures): string[] {
  return [`scan, a log of ${events.toLocaleString('en')} events`, `${rate(eventsPerSecond)}, ${megabytes(bytes / events * eventsPerSecond)}/s`, `writer without HTTP ${rate(bare)}`, percent(eventsPerSecond / bare), 'P11 ≥ 100 %']
}

function toDiskRow ({ eventsPerRequest, events, rawBytes }: WriterLoopFigures, disk: DiskFigures): string[] {
  const bytes = totalOf(disk)
  return [`on disk per event, 16 × ${eventsPerRequest} a commit`, `${Math.round(bytes / events)} B`, `raw JSON ${Math.round(rawBytes / events)} B`, percent(bytes / rawBytes), 'P5 ≤ 12 %']
}

function toPackedRow ({ events, rawBytes }: WriterLoopFigures, { disk, usPerEvent }: PackingFigures): string[] {
  const bytes = totalOf(disk)
  return ['  packed, when its day is over', `${Math.round(bytes / events)} B`, `${usPerEvent.toFixed(1)} µs an event`, percent(bytes / rawBytes), 'P5 ≤ 8 %']
}

function toTableRows ({ loop, disk }: Figures['writers'][number]): string[][] {
  return disk.filter(({ bytes }) => bytes * 200 > totalOf(disk)).map(({ name, bytes }) => {
    return [`  ${name}`, `${(bytes / loop.events).toFixed(1)} B`, '', percent(bytes / loop.rawBytes), '']
  })
}

function toDetectionRows ({ run, pushed, notPushed }: DetectionFigures, peer: PeerFigures | string): string[][] {
  return [
    [`detection over an hour of ${run.scannedEvents.toLocaleString('en')} events`, milliseconds(run.ms), `${run.rows} rows`, '', 'P7 < 3 s for 10 M'],
    ['  beside ClickHouse’s engine, columns only', ...toPeerCells(run.ms, peer), 'P7 ≤ 1.5 ×'],
    [`  with push-down off, ${notPushed.scannedEvents.toLocaleString('en')} events`, milliseconds(notPushed.ms), `pushed down ${milliseconds(pushed.ms)}`, times(notPushed.ms / pushed.ms), ''],
  ]
}

function toPeerCells (ms: number, peer: PeerFigures | string): [figure: string, beside: string, ratio: string] {
  if (typeof peer === 'string') return [peer, 'bench/peer', '']
  const { version, events, ms: peerMs, oneThreadMs, sameRows } = peer
  return [
    `${milliseconds(ms)}${sameRows ? '' : ', other rows'}`,
    `${milliseconds(peerMs)}, one thread ${milliseconds(oneThreadMs)} (${version}, ${events.toLocaleString('en')} events)`,
    `${times(ms / peerMs)}, ${times(ms / oneThreadMs)}`,
  ]
}

function toSharedRow ({ searches, events, togetherMs, aloneMs }: SharedFigures): string[] {
  return [`${searches} searches that read events, due together over ${events.toLocaleString('en')}`, milliseconds(togetherMs), `one by one ${milliseconds(aloneMs)}`, percent(togetherMs / aloneMs), 'P8 < 300 s for 1 M']
}

function toStartRow ({ events, bytes, days, readyMs }: StartFigures): string[] {
  return [`start to ready with ${gigabytes(bytes)} of events`, milliseconds(readyMs), `${events.toLocaleString('en')} events, ${days} ${days === 1 ? 'day' : 'days'}`, '', 'P10 < 1 s for 10 GB']
}

function toRetentionRows ({ bytes, dropMs, goneMs, p99Ms: { before, meanwhile } }: RetentionFigures): string[][] {
  return [
    [`a day of ${gigabytes(bytes)} dropped by retention`, milliseconds(dropMs), `its file gone after ${milliseconds(goneMs)}`, '', 'P9 < 100 ms'],
    ['  p99 of commits meanwhile', milliseconds(meanwhile), `before ${milliseconds(before)}`, times(meanwhile / before), 'not visibly changed'],
  ]
}

/** What a long run under peak load came to. */
export function toEnduranceTable ({ eventsPerRequest, seconds, result, moments, peakBytes, disk }: EnduranceFigures): Table {
  const rates = moments.map(({ eventsPerSecond }) => eventsPerSecond)
  const [quarter, half, end] = [0.25, 0.5, 1].map(share => at(moments, share).residentBytes)
  return {
    headings: HEADINGS,
    rows: [
      [`HEC ingest for ${seconds} s, ${eventsPerRequest} a request`, rate(result.eventsPerSecond), `slowest second ${rate(Math.min(...rates))}, fastest ${rate(Math.max(...rates))}`, '', ''],
      ['  last quarter beside the first', rate(mean(quarterOf(rates, 3))), rate(mean(quarterOf(rates, 0))), percent(mean(quarterOf(rates, 3)) / mean(quarterOf(rates, 0))), 'flat'],
      ['  reply p50, p99', `${milliseconds(result.p50)}, ${milliseconds(result.p99)}`, `p99 of the worst second ${milliseconds(Math.max(...moments.map(({ p99 }) => p99 ?? 0)))}`, '', ''],
      ['  memory at a quarter, a half, the end', [quarter, half, end].map(bytes => memory(bytes ?? null)).join(', '), `peak ${memory(peakBytes)}`, quarter == null || end == null ? '' : percent(end / quarter), 'P6 < 300 MB, flat'],
      ['  WAL at its largest', megabytes(Math.max(...moments.map(({ walBytes }) => walBytes))), `at the end ${megabytes(at(moments, 1).walBytes)}`, '', ''],
      ['  on disk per event', `${Math.round(disk.bytes / disk.events)} B`, `raw JSON ${Math.round(result.rawBytesPerEvent)} B`, percent(disk.bytes / disk.events / result.rawBytesPerEvent), 'P5 ≤ 12 %, then 8 %'],
      ...toRefusedRows(result.failures),
    ],
  }
}

/** What a server that was down takes to have seen all. */
export function toCatchUpTable ({ events, hours, caughtUpMs, rows, p99: { meanwhile, behind }, slots, listedMs }: CatchUpFigures): Table {
  const quiet = ({ middle, largest }: Quiet) => `${milliseconds(middle)}, ${milliseconds(largest)}`
  return {
    headings: HEADINGS,
    rows: [
      [`${hours} owed hourly slots over ${events.toLocaleString('en')} events, from the start on`, milliseconds(caughtUpMs), `${rows} rows`, '', '< 60 s for 10 M'],
      ['  HEC\'s p99 meanwhile, middle and worst second', quiet(meanwhile), `behind ${quiet(behind)}`, meanwhile.middle === null || behind.middle === null ? '' : times(meanwhile.middle / behind.middle), '< 2 ×'],
      [`${slots.toLocaleString('en')} owed slots, from the start until they are listed`, milliseconds(listedMs), '', '', '< 2 s'],
    ],
  }
}

function at (moments: readonly Moment[], share: number): Moment {
  return moments[Math.max(0, Math.ceil(moments.length * share) - 1)]!
}

function quarterOf (values: readonly number[], quarter: number): readonly number[] {
  return values.slice(Math.floor(values.length * quarter / 4), Math.max(1, Math.ceil(values.length * (quarter + 1) / 4)))
}

function mean (values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Functions with a smaller part of all time are in the sum of their phase alone. */
const SHOWN_SHARE = 0.01

/** Where the writer's time goes: the microseconds of an event, by phase and by function. */
export function toProfileTable (figures: readonly ProfileFigures[]): Table {
  const perEvent = (pick: (one: ProfileFigures['functions'][number]) => boolean) => figures.map(({ functions, events }) => {
    return functions.filter(pick).reduce((sum, { us }) => sum + us, 0) / events
  })
  const all = perEvent(() => true)
  const cells = (us: readonly number[]) => us.flatMap((one, i) => [one.toFixed(1), percent(one / all[i]!)])
  return {
    headings: ['µs an event, 16 requests a commit', ...figures.flatMap(({ eventsPerRequest }) => [`${eventsPerRequest} a request`, 'share'])],
    rows: [
      ...PHASES.flatMap(phase => {
        const names = new Set(figures.flatMap(({ functions }) => functions.filter(one => one.phase === phase).map(({ name }) => name)))
        const rows = [...names].map(name => ({ name, us: perEvent(one => one.phase === phase && one.name === name) }))
        const shown = rows.filter(({ us }) => us.some((one, i) => one > all[i]! * SHOWN_SHARE))
        return names.size === 0 ? [] : [[phase, ...cells(perEvent(one => one.phase === phase))], ...shown.map(({ name, us }) => [`  ${name}`, ...cells(us)])]
      }),
      ['all', ...cells(all)],
      ['  by the clock', ...figures.flatMap(({ usPerEvent }) => [usPerEvent.toFixed(1), ''])],
    ],
  }
}

function totalOf (disk: DiskFigures): number {
  return disk.reduce((sum, { bytes }) => sum + bytes, 0)
}

function rate (eventsPerSecond: number): string {
  return `${Math.round(eventsPerSecond).toLocaleString('en')} /s`
}

function percent (share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function times (ratio: number): string {
  return `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0)} ×`
}

function milliseconds (ms: number | null): string {
  if (ms === null) return 'no reply'
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString('en')} ms`
}

function megabytes (bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}

function gigabytes (bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`
}

function memory (bytes: number | null): string {
  return bytes === null ? 'unknown' : megabytes(bytes)
}
