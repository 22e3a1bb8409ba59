import { formatTable } from '../src/commands/table.js'
import type { DetectionFigures } from './detection.js'
import type { DiskFigures } from './disk.js'
import type { IngestFigures } from './ingest.js'
import type { ScanFigures } from './scan.js'
import type { SharedFigures } from './shared.js'
import type { WriterLoopFigures } from './writer-loop.js'

export interface Figures {
  readonly ingest: readonly IngestFigures[]
  readonly writers: readonly { readonly loop: WriterLoopFigures, readonly disk: DiskFigures }[]
  readonly scan: ScanFigures
  readonly detection: DetectionFigures
  readonly shared: SharedFigures
}

/** Goals of ingest by events a request, as shares of the bare HTTP loop. */
const INGEST_GOALS: Readonly<Record<number, { readonly name: string, readonly share: number }>> = {
  100: { name: 'P1', share: 0.12 },
  10: { name: 'P2', share: 0.15 },
  1: { name: 'P3', share: 0.35 },
}

const HEADINGS = ['what', 'figure', 'beside', 'ratio', 'goal']

/** The one table. It judges nothing: a goal stands beside its figure. */
export function formatReport ({ ingest, writers, scan, detection, shared }: Figures): string {
  return formatTable(HEADINGS, [
    ...ingest.flatMap(toIngestRows),
    ...writers.map(({ loop }) => toLimitRow(loop, ingest)),
    toScanRow(scan, writers[0]!.loop),
    ...writers.map(({ loop, disk }) => toDiskRow(loop, disk)),
    ...toTableRows(writers[0]!),
    ...toDetectionRows(detection),
    toSharedRow(shared),
  ])
}

function toIngestRows ({ eventsPerRequest, bare, peak, half, peakBytes }: IngestFigures): string[][] {
  const goal = INGEST_GOALS[eventsPerRequest]!
  const failed = peak.failures + half.failures
  return [
    [`HEC ingest, ${eventsPerRequest} a request`, rate(peak.eventsPerSecond), `bare HTTP ${rate(bare.eventsPerSecond)}`, percent(peak.eventsPerSecond / bare.eventsPerSecond), `${goal.name} ≥ ${percent(goal.share)}`],
    ['  reply p50, p99', `${milliseconds(peak.p50)}, ${milliseconds(peak.p99)}`, `bare HTTP ${milliseconds(bare.p50)}, ${milliseconds(bare.p99)}`, '', ''],
    ['  reply p99 at half the rate', milliseconds(half.p99), `${rate(half.eventsPerSecond)}`, '', 'P4 < 50 ms'],
    ['  peak memory', peakBytes === null ? 'unknown' : megabytes(peakBytes), '', '', 'P6 < 300 MB'],
    ...failed === 0 ? [] : [['  refused requests', String(failed), '', '', '0']],
  ]
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
  return [`on disk per event, 16 × ${eventsPerRequest} a commit`, `${Math.round(bytes / events)} B`, `raw JSON ${Math.round(rawBytes / events)} B`, percent(bytes / rawBytes), 'P5 ≤ 12 %, then 8 %']
}

function toTableRows ({ loop, disk }: Figures['writers'][number]): string[][] {
  return disk.filter(({ bytes }) => bytes * 200 > totalOf(disk)).map(({ name, bytes }) => {
    return [`  ${name}`, `${(bytes / loop.events).toFixed(1)} B`, '', percent(bytes / loop.rawBytes), '']
  })
}

function toDetectionRows ({ run, pushed, notPushed }: DetectionFigures): string[][] {
  const isGoal = run.scannedEvents >= 9_000_000
  return [
    [`detection over an hour of ${run.scannedEvents.toLocaleString('en')} events`, milliseconds(run.ms), `${run.rows} rows`, '', isGoal ? 'P7 < 3 s' : ''],
    [`  with push-down off, ${notPushed.scannedEvents.toLocaleString('en')} events`, milliseconds(notPushed.ms), `pushed down ${milliseconds(pushed.ms)}`, `${(notPushed.ms / pushed.ms).toFixed(0)} ×`, ''],
  ]
}

function toSharedRow ({ searches, events, togetherMs, aloneMs }: SharedFigures): string[] {
  return [`${searches} searches that read events, due together over ${events.toLocaleString('en')}`, milliseconds(togetherMs), `one by one ${milliseconds(aloneMs)}`, percent(togetherMs / aloneMs), events >= 900_000 ? 'P8 < 300,000 ms' : '']
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

function milliseconds (ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms).toLocaleString('en')} ms`
}

function megabytes (bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`
}
