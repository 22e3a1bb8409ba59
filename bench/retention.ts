import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { EventStore } from '../src/store/events.js'
import type { StoreReport } from '../src/store/sqlite/open.js'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { dayEndOf, partitionNames, partitionPath } from '../src/store/sqlite/partition-files.js'
import { openGenerator } from './generator.js'
import { nextRequests, storeOptions } from './writer-loop.js'

export interface RetentionFigures {
  /** Of the day that was dropped. */
  readonly bytes: number
  /** Until its events are in the store no more. */
  readonly dropMs: number
  /** Until its file is gone. */
  readonly goneMs: number
  /** Of commits, before and from then on until some time after the file was gone. */
  readonly p99Ms: { readonly before: number, readonly meanwhile: number }
}

const DAY_MS = 86_400_000
const AGE_MS = 30 * DAY_MS
/** Commits are looked at for so long before, and as long after. */
const LOOK_MS = 3_000
const EVENTS_PER_REQUEST = 10
/** Between two commits, so that the disk isn't what all wait for. */
const PAUSE_MS = 5

/** Drops the oldest day in `dataDir` by its age, while events of a later day are committed. */
export async function measureRetention (dataDir: string): Promise<RetentionFigures> {
  const dir = join(dataDir, 'events')
  const oldest = partitionNames(dir)[0]!
  const { size: bytes } = statSync(partitionPath(dir, oldest))
  const nowMs = dayEndOf(oldest) + AGE_MS + 1
  let failure: unknown = null
  const report: StoreReport = { damaged: () => {}, notMerged: () => {}, notRemoved: error => { failure = error } }
  const events = await openSqliteEvents({ ...storeOptions(dataDir), retention: { ageMs: AGE_MS, bytes: Infinity }, report })
  const commits = commitUntilStopped(events, nowMs)
  try {
    await setTimeout(LOOK_MS)
    const before = commits.take()
    const startMs = performance.now()
    const dropped = await events.retain(nowMs, 'roomy')
    const dropMs = performance.now() - startMs
    if (!dropped.some(({ name }) => name === oldest)) throw new Error(`${oldest} was not dropped`)
    while (existsSync(partitionPath(dir, oldest, 'dropped'))) {
      if (failure !== null) throw failure
      await setTimeout(1)
    }
    const goneMs = performance.now() - startMs
    await setTimeout(LOOK_MS)
    return { bytes, dropMs, goneMs, p99Ms: { before: p99(before), meanwhile: p99(commits.take()) } }
  } finally {
    await commits.stop()
    await events.close()
  }
}

/** Commits requests one after the other. `take` gives how long each has taken since it was asked last. */
function commitUntilStopped (events: EventStore, nowMs: number) {
  const generator = openGenerator({ seed: 1, startUs: nowMs * 1_000, stepUs: 100 })
  const stopping = new AbortController()
  let latencies: number[] = []
  async function commit (): Promise<void> {
    while (!stopping.signal.aborted) {
      const [request] = nextRequests(generator, EVENTS_PER_REQUEST, nowMs * 1_000, 1)
      const startMs = performance.now()
      await events.append(request!)
      latencies.push(performance.now() - startMs)
      await setTimeout(PAUSE_MS)
    }
  }
  const ended = commit()
  ended.catch(() => {}) // whoever stops it is told
  return {
    take (): number[] {
      const taken = latencies
      latencies = []
      return taken
    },
    async stop (): Promise<void> {
      stopping.abort()
      await ended
    },
  }
}

function p99 (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!
}
