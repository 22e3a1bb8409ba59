import { setImmediate } from 'node:timers/promises'
import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import type { SearchPlan } from '../spl/plan.js'
import type { EventStore } from '../store/events.js'
import { columnsOf, rowToJson } from './findings.js'

export const JOB_STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const
export type JobState = typeof JOB_STATES[number]

/** A search that is asked for. */
export interface JobRequest {
  readonly search: string
  readonly plan: SearchPlan
  readonly window: Window
  /** Rows at most. */
  readonly limit: number
  readonly timeLimitMs: number
  readonly timeZone: string
  /** Name of the key. */
  readonly by: string
}

/** A job as it stands. Times are epoch milliseconds, null before; rows are JSON, one text each. */
export interface SearchJob extends Omit<JobRequest, 'plan' | 'timeZone'> {
  readonly id: string
  readonly state: JobState
  readonly createdMs: number
  readonly startedMs: number | null
  readonly endedMs: number | null
  /** When it is forgotten. */
  readonly expiresMs: number | null
  readonly scannedEvents: number
  /** 0 to 1, an estimate while it runs; null where nobody can say. */
  readonly fraction: number | null
  readonly fields: readonly string[]
  readonly rows: readonly string[]
  /** There are more rows than the limit, or than the bytes that are kept. */
  readonly rowsCut: boolean
  readonly error: string | null
  readonly warnings: readonly string[]
}

export interface SearchJobsDeps {
  readonly events: Pick<EventStore, 'search' | 'position' | 'partitions'>
  readonly now: () => number
  readonly newId: () => string
  /** Ends all of them. */
  readonly signal: AbortSignal
}

/** One runs at a time, so that a thread is left for detections and for who waits. */
export const MAX_WAITING_JOBS = 20
/** Ended ones; the oldest go first. */
export const MAX_KEPT_JOBS = 50
/** Of rows of one job, and of all that are kept, as JSON. */
export const MAX_JOB_BYTES = 32 << 20
export const MAX_KEPT_BYTES = 128 << 20
export const KEPT_MS = 3_600_000

/** Rows that become text at a time: HEC is answered between. */
const AT_A_TIME = 500

interface Held { job: SearchJob, readonly request: JobRequest, readonly abort: AbortController, readonly report: (defect: unknown) => void, bytes: number }

/** Long searches, one after the other. They and their rows live in memory, and end with the process. */
export function openSearchJobs ({ events, now, newId, signal }: SearchJobsDeps) {
  /** In the order of asking. */
  const jobs = new Map<string, Held>()
  let isWorking = false

  const isOver = ({ job: { state } }: Held) => state !== 'queued' && state !== 'running'

  function end (held: Held, what: Partial<SearchJob> & Pick<SearchJob, 'state'>): void {
    if (isOver(held)) return
    const nowMs = now()
    held.job = { ...held.job, ...what, endedMs: nowMs, expiresMs: nowMs + KEPT_MS }
  }

  /** Forgets what has expired, and the oldest that is too much. */
  function forget (): void {
    const nowMs = now()
    for (const [id, held] of jobs) if (held.job.expiresMs !== null && held.job.expiresMs <= nowMs) jobs.delete(id)
    const over = [...jobs].filter(([, held]) => isOver(held))
    let bytes = over.reduce((sum, [, held]) => sum + held.bytes, 0)
    for (let i = 0; over.length - i > MAX_KEPT_JOBS || (bytes > MAX_KEPT_BYTES && i < over.length - 1); i++) {
      bytes -= over[i]![1].bytes
      jobs.delete(over[i]![0])
    }
  }

  async function work (): Promise<void> {
    if (isWorking) return
    isWorking = true
    for (let next = waiting()[0]; next !== undefined && !signal.aborted; next = waiting()[0]) {
      await run(next)
      forget()
    }
    isWorking = false
  }

  const waiting = () => [...jobs.values()].filter(({ job }) => job.state === 'queued')

  async function run (held: Held): Promise<void> {
    const { plan, window, limit, timeLimitMs, timeZone } = held.request
    const startedMs = now()
    held.job = { ...held.job, state: 'running', startedMs, fraction: 0 }
    const total = eventsIn(window)
    const onAbort = () => held.abort.abort()
    signal.addEventListener('abort', onAbort)
    // The reader looks at its clock at each block; this is for one that waits for a thread.
    const timer = setTimeout(() => {
      end(held, { state: 'failed', error: `the search took longer than ${timeLimitMs / 1000} s` })
      held.abort.abort()
    }, timeLimitMs).unref()
    try {
      const { rows, truncated, scannedEvents, warnings } = await events.search(plan, {
        window, position: events.position(), timeZone, nowMs: startedMs, limit, timeoutMs: timeLimitMs, signal: held.abort.signal,
        onProgress (scanned) {
          if (isOver(held)) return
          held.job = { ...held.job, scannedEvents: scanned, fraction: total === 0 ? null : Math.min(0.99, scanned / total) }
        },
      })
      const texts: string[] = []
      let bytes = 0
      for (const [i, { values }] of rows.entries()) {
        const text = JSON.stringify(rowToJson(values))
        if (bytes + Buffer.byteLength(text) > MAX_JOB_BYTES) break
        texts.push(text)
        bytes += Buffer.byteLength(text)
        if (i % AT_A_TIME === AT_A_TIME - 1) await setImmediate()
      }
      if (isOver(held)) return
      held.bytes = bytes
      end(held, { state: 'succeeded', fraction: 1, scannedEvents, fields: columnsOf(plan, rows), rows: texts, rowsCut: truncated || texts.length < rows.length, warnings })
    } catch (error) {
      if (!(error instanceof AppError)) held.report(error)
      end(held, { state: 'failed', error: error instanceof AppError ? error.message : 'an unexpected error; the log has it' })
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** At most so many events lie in a window. */
  function eventsIn ({ earliestUs, latestUs }: Window): number {
    return events.partitions().reduce((sum, { events, minTimeUs, maxTimeUs }) =>
      minTimeUs === null || maxTimeUs === null || maxTimeUs < earliestUs || minTimeUs >= latestUs ? sum : sum + (events ?? 0), 0)
  }

  function held (id: string): Held {
    forget()
    const found = jobs.get(id)
    if (found === undefined) throw new AppError('not_found', 'there is no such job: they go an hour after their end, and when the server stops')
    return found
  }

  return {
    /** Queues a search; `report` hears of a defect. Throws AppError `unavailable` where too many wait, or the server stops. */
    add (request: JobRequest, report: (defect: unknown) => void): SearchJob {
      if (signal.aborted) throw new AppError('unavailable', 'the server is shutting down')
      forget()
      if (waiting().length >= MAX_WAITING_JOBS) throw new AppError('unavailable', `${MAX_WAITING_JOBS} searches wait already, which is as many as may`)
      const { search, window, limit, timeLimitMs, by } = request
      const job: SearchJob = {
        id: newId(), search, window, limit, timeLimitMs, by, state: 'queued', createdMs: now(), startedMs: null, endedMs: null, expiresMs: null,
        scannedEvents: 0, fraction: null, fields: [], rows: [], rowsCut: false, error: null, warnings: [],
      }
      jobs.set(job.id, { job, request, abort: new AbortController(), report, bytes: 0 })
      work()
      return job
    },
    /** The last that was asked for first. */
    list (): SearchJob[] {
      forget()
      return [...jobs.values()].map(({ job }) => job).reverse()
    },
    /** Throws AppError `not_found`. */
    get: (id: string): SearchJob => held(id).job,
    /** Stops it at its next block; what is over stays as it is. Throws AppError `not_found`. */
    cancel (id: string): SearchJob {
      const one = held(id)
      end(one, { state: 'cancelled' })
      one.abort.abort()
      return one.job
    },
    /** Stops it and forgets it. Throws AppError `not_found`. */
    remove (id: string): void {
      const one = held(id)
      end(one, { state: 'cancelled' })
      one.abort.abort()
      jobs.delete(id)
    },
  }
}
export type SearchJobs = ReturnType<typeof openSearchJobs>
