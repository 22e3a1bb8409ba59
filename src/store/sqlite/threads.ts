import { Worker } from 'node:worker_threads'
import { AppError } from '../../errors.js'
import { codeUrl } from '../../resource.js'
import type { AppendOutcome, AppendRequest, ArrivalResult, DroppedPartition, FoundEvent, FoundGroup, SearchResult, SourceArrivals } from '../events.js'
import type { Damage } from './damage.js'
import { toUnavailable } from './damage.js'
import type { FindGroupsJob } from './find-groups.js'
import type { PutOutcome } from './pack.js'
import type { PartitionSummary } from './partition.js'
import type { FromReader, ReaderThreadOptions, ToReader } from './reader-thread.js'
import type { Aggregated, FindJob, PartJob, ReaderOptions, SearchJob, SearchOutcome, SinceJob } from './reader.js'
import { readsEvents, SCANNED, STOP } from './reader.js'
import type { RetentionLimits } from './retention.js'
import type { Answer, FromWriter, Question, ToWriter } from './writer-thread.js'
import type { WriterOptions } from './writer.js'

/**
 * Messages that the writer has not answered. A message costs more than a small request, so what comes in meanwhile waits here and becomes one; with two, the
 * next is there when a commit ends.
 */
const MAX_UNANSWERED = 2

/** What one message takes, but for a larger request: a commit waits for the whole of it. */
const MAX_MESSAGE_BYTES = 8 << 20

/**
 * V8 lets objects that are new take three times 16 MB in each thread before it looks for those that are gone; with a third of it the process is some 30 MB smaller, and
 * the writer takes no more than a few hundredths longer for an event.
 */
const WRITER_LIMITS = { maxYoungGenerationSizeMb: 16 }

/** What a search leaves is gone with its block: with a quarter of it a search takes as long, and the process is 25 MB smaller. */
const READER_LIMITS = { maxYoungGenerationSizeMb: 6 }

interface PendingAppend {
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: Error) => void
}

interface WriterEvents {
  /** Comes before the replies. */
  readonly committed: (partition: PartitionSummary) => void
  /** A partition was set aside. Comes before the replies of the commit that found it so. */
  readonly damaged: (damage: Damage) => void
}

/** Starts the writer thread; resolves with the partitions it found when it takes requests. */
export async function startWriter (options: WriterOptions, { committed, damaged }: WriterEvents) {
  const worker = new Worker(codeUrl('store/sqlite/writer-thread.js'), { workerData: options, resourceLimits: WRITER_LIMITS })
  const pending: PendingAppend[] = []
  const queued: AppendRequest[] = []
  let failure: Error | null = null
  let isFlushDue = false
  let unanswered = 0
  /** Questions that wait for their answer, in the order of asking. */
  const asked: Waiter[] = []
  const ready = deferred<Extract<FromWriter, { kind: 'ready' }>>()
  const closed = deferred<void>()
  closed.promise.catch(() => {}) // a failure is seen by whoever closes

  worker.on('message', (message: FromWriter) => {
    if (message.kind === 'ready') return ready.resolve(message)
    if (message.kind === 'answer') return asked.shift()!.resolve(message.answer as never)
    if (message.kind === 'refusal') return asked.shift()!.reject(new Error(message.message))
    if (message.kind === 'damaged') return damaged(message.damage)
    if (message.kind === 'closed') return closed.resolve()
    if (message.partition !== null) committed(message.partition)
    unanswered -= message.answered
    flush()
    pending.splice(0, message.replies.length).forEach(({ resolve, reject }, i) => {
      const reply = message.replies[i]!
      if (!('failed' in reply)) resolve(reply)
      else if (reply.failed !== 'defect') reject(new AppError(reply.failed, reply.message))
      else reject(new Error(reply.message))
    })
  })
  worker.on('error', fail)
  worker.on('exit', code => fail(new Error(`the writer thread ended with code ${code}`)))

  function fail (error: Error): void {
    failure ??= error
    ready.reject(error)
    closed.reject(error)
    queued.length = 0
    for (const { reject } of [...pending.splice(0), ...asked.splice(0)]) reject(storeHasFailed(error))
  }

  /** Sends what waits, as far as the writer has not enough to do. */
  function flush (): void {
    isFlushDue = false
    while (queued.length > 0 && unanswered < MAX_UNANSWERED) sendNext()
  }

  function sendNext (): void {
    let count = 0
    for (let bytes = 0; count < queued.length && bytes < MAX_MESSAGE_BYTES; count++) bytes += queued[count]!.body.byteLength
    const requests = queued.splice(0, count)
    unanswered++
    send({ kind: 'append', requests }, requests.map(({ body }) => body))
  }

  function ask<T extends Answer> (question: Question): Promise<T> {
    if (failure !== null) return Promise.reject(storeHasFailed(failure)) // nobody would answer
    const { promise, resolve, reject } = deferred<T>()
    asked.push({ resolve, reject })
    send(question)
    return promise
  }

  function send (message: ToWriter, transfer: ArrayBuffer[] = []): void {
    worker.postMessage(message, transfer)
  }

  let closing: Promise<void> | null = null
  async function close (): Promise<void> {
    while (queued.length > 0) sendNext()
    if (failure === null) send({ kind: 'close' })
    await closed.promise
  }

  const { folder, lastId } = await ready.promise
  return {
    folder,
    lastId,
    /** Why the thread is gone; null while it works. */
    get failure () { return failure },
    append (request: AppendRequest): Promise<AppendOutcome> {
      if (failure !== null) return Promise.reject(storeHasFailed(failure))
      const { promise, resolve, reject } = deferred<AppendOutcome>()
      pending.push({ resolve, reject })
      queued.push(request)
      if (!isFlushDue && unanswered < MAX_UNANSWERED) {
        isFlushDue = true
        setImmediate(flush) // with all requests of this turn of the event loop
      }
      return promise
    },
    /** Makes one large block of small ones; says whether there were enough. No search may run meanwhile. */
    merge: () => ask<boolean>({ kind: 'merge' }),
    /** The partitions that are to go. */
    expired: (limits: RetentionLimits) => ask<readonly DroppedPartition[]>({ kind: 'expire', limits }),
    /** Resolves when they are partitions no more; their files are left. */
    drop: (partitions: readonly DroppedPartition[]) => ask<readonly DroppedPartition[]>({ kind: 'drop', partitions }),
    /** Puts a packed copy in the place of its partition. No search may run meanwhile. */
    putPacked: (packed: PartitionSummary) => ask<PutOutcome>({ kind: 'put_packed', packed }),
    /** What was committed since the last time, by source. */
    sourceCounts: () => ask<readonly SourceArrivals[]>({ kind: 'source_counts' }),
    /** Of a partition that a search found damaged. */
    setAside (partition: string, reason: string): void {
      if (failure === null) send({ kind: 'set_aside', partition, reason })
    },
    /** Once is enough: the thread would write its mark again behind the answer. */
    close (): Promise<void> {
      closing ??= close()
      return closing
    },
  }
}

function storeHasFailed (cause: Error): AppError {
  return new AppError('unavailable', 'the event store has failed', { cause })
}

/** A search takes no longer than that, so that a bad one can't hold a thread for ever. */
const SEARCH_TIMEOUT_MS = 300_000

/** How often it is looked how far a search is. */
const PROGRESS_MS = 100

/** So many new events may take that long, even where each is decoded. Of more, the time is more: a look at them that fails for their number would fail for ever, since they become no fewer. */
const EVENTS_IN_TIME = 1_000_000

/** How many searches read events together: each holds rows of its own. */
const MAX_TOGETHER = 32

interface Waiter { readonly resolve: (result: never) => void, readonly reject: (error: Error) => void }
/** Searches of one `eventsKey` read the same events; null where a search reads none. */
interface SearchWaiter extends Waiter { readonly kind: 'search', readonly job: SearchJob, readonly eventsKey: string | null }
interface PartWaiter extends Waiter { readonly kind: 'part', readonly job: PartJob }
interface FindWaiter extends Waiter { readonly kind: 'find', readonly job: FindJob }
interface FindGroupsWaiter extends Waiter { readonly kind: 'find_groups', readonly job: FindGroupsJob }
interface SinceWaiter extends Waiter { readonly kind: 'since', readonly job: SinceJob }
type Waiting = SearchWaiter | PartWaiter | FindWaiter | FindGroupsWaiter | SinceWaiter

export interface ReaderLimits {
  readonly maxThreads: number
  /** A search that aggregates is dealt to all threads where its window has about so many events or more. */
  readonly minPartEvents: number
}

/**
 * A small pool of reader threads, each started when a job finds the others busy. Jobs are begun in the order they came, one in each thread; searches
 * that read the events of one scope are one job, so that a block is decoded once for all of them; one that aggregates many and finds nobody at work has all threads. `onDamage` comes before the searches that
 * met it fail.
 */
export function openReaders (options: ReaderOptions, { maxThreads, minPartEvents }: ReaderLimits, onDamage: (partition: string, reason: string) => void) {
  const waiting: Waiting[] = []
  const threads: ReturnType<typeof startReader>[] = []
  let closing = false
  let isDealing = false
  /** Nothing is begun while somebody works alone. */
  let isHeld = false

  function startReader () {
    const shared = new SharedArrayBuffer(8)
    const workerData: ReaderThreadOptions = { ...options, shared }
    const worker = new Worker(codeUrl('store/sqlite/reader-thread.js'), { workerData, resourceLimits: READER_LIMITS })
    const thread = { worker, state: new Uint32Array(shared), running: [] as Waiting[], forgetting: [] as ReturnType<typeof deferred<void>>[], exited: deferred<void>() }
    const rejectAll = (error: Error) => { for (const { reject } of thread.running.splice(0)) reject(error) }
    worker.on('message', (message: FromReader) => {
      if (message.kind === 'forgot') return thread.forgetting.shift()!.resolve()
      if (message.kind === 'damaged') {
        onDamage(message.partition, message.reason)
        rejectAll(toUnavailable(message.partition, message.reason))
      } else if (message.kind === 'failed') rejectAll(message.code === null ? new Error(message.message) : new AppError(message.code, message.message))
      else if (message.kind === 'found') for (const { resolve } of thread.running.splice(0)) resolve(message.found as never)
      else thread.running.splice(0).forEach((one, i) => settle(one, message.outcomes[i]!))
      deal()
    })
    worker.on('error', rejectAll) // a search can bring down its thread alone, for lack of memory
    worker.on('exit', () => {
      rejectAll(new AppError('unavailable', 'the search thread ended'))
      thread.exited.resolve()
      for (const { resolve } of thread.forgetting) resolve()
      threads.splice(threads.indexOf(thread), 1)
      if (!closing) deal()
    })
    return thread
  }

  /** Gives waiting jobs to free threads. */
  function deal (): void {
    if (isHeld) return
    while (waiting.length > 0) {
      let thread = threads.find(({ running }) => running.length === 0)
      if (thread === undefined) {
        if (threads.length === maxThreads) return
        thread = startReader()
        threads.push(thread)
      }
      thread.running = takeJobs()
      Atomics.store(thread.state, STOP, 0)
      Atomics.store(thread.state, SCANNED, 0)
      thread.worker.postMessage(toMessage(thread.running), partsOf(thread.running))
    }
  }

  /** The next job, with those that read the same events. */
  function takeJobs (): Waiting[] {
    const first = waiting.shift()!
    if (first.kind !== 'search' || first.eventsKey === null) return [first]
    const others = waiting.filter(one => one.kind === 'search' && one.eventsKey === first.eventsKey).slice(0, MAX_TOGETHER - 1)
    for (const one of others) waiting.splice(waiting.indexOf(one), 1)
    return [first, ...others]
  }

  /** Of several searches that run together, the thread is stopped only when nobody waits for any. */
  function cancel (one: Waiting): void {
    const place = waiting.indexOf(one)
    if (place !== -1) waiting.splice(place, 1)
    one.reject(new AppError('unavailable', 'the search was stopped'))
    const thread = threads.find(({ running }) => running.includes(one))
    if (thread === undefined) return
    cancelled.add(one)
    if (thread.running.every(other => cancelled.has(other))) Atomics.store(thread.state, STOP, 1)
  }
  const cancelled = new WeakSet<Waiting>()

  async function run<T> (toWaiting: (waiter: Waiter) => Waiting, signal: AbortSignal | undefined): Promise<T> {
    if (closing || signal?.aborted === true) throw new AppError('unavailable', 'the search was stopped')
    const { promise, resolve, reject } = deferred<T>()
    const one = toWaiting({ resolve, reject })
    const onAbort = () => cancel(one)
    signal?.addEventListener('abort', onAbort)
    waiting.push(one)
    // What is asked for in one turn of the event loop is dealt together.
    if (!isDealing) {
      isDealing = true
      setImmediate(() => {
        isDealing = false
        if (!closing) deal()
      })
    }
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', onAbort) // a signal of the whole process would collect them
    }
  }

  /** How far the searches of some waiters are, told from time to time. */
  function watchProgress (own: readonly Waiting[], onProgress: ((scannedEvents: number) => void) | undefined): { readonly end: () => void } {
    if (onProgress === undefined) return { end: () => {} }
    const scanned = new Map<Waiting, number>()
    const look = setInterval(() => {
      for (const { running, state } of threads) for (const one of running) if (own.includes(one)) scanned.set(one, Atomics.load(state, SCANNED))
      onProgress([...scanned.values()].reduce((sum, events) => sum + events, 0))
    }, PROGRESS_MS)
    return { end: () => { clearInterval(look) } }
  }

  /** What all threads together make of a search's events. Where one fails, the others are stopped. */
  async function aggregateInParts (job: SearchJob, signal: AbortSignal | undefined, own: Waiting[]): Promise<readonly Aggregated[]> {
    const stop = new AbortController()
    const onAbort = () => stop.abort()
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true) stop.abort()
    try {
      return await Promise.all(Array.from({ length: maxThreads }, (_, index) => run<Aggregated>(waiter => {
        const one: PartWaiter = { kind: 'part', job: { ...job, part: { index, of: maxThreads } }, ...waiter }
        own.push(one)
        return one
      }, stop.signal)))
    } finally {
      stop.abort()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  const isIdle = () => waiting.length === 0 && threads.every(({ running }) => running.length === 0)

  return {
    /** `onProgress` is told of a search that runs alone. */
    async search (job: SearchJob, signal?: AbortSignal, onProgress?: (scannedEvents: number) => void): Promise<SearchResult> {
      const own: Waiting[] = []
      const progress = watchProgress(own, onProgress)
      try {
        const parts = isWorthParts(job, minPartEvents) && maxThreads > 1 && isIdle() ? await aggregateInParts(job, signal, own) : undefined
        return await run<SearchResult>(waiter => {
          const one: SearchWaiter = { kind: 'search', job: parts === undefined ? job : { ...job, parts }, eventsKey: eventsKeyOf(job), ...waiter }
          own.push(one)
          return one
        }, signal)
      } finally {
        progress.end()
      }
    },
    find: (job: FindJob, signal?: AbortSignal) => run<readonly FoundEvent[]>(waiter => ({ kind: 'find', job, ...waiter }), signal),
    findGroups: (job: FindGroupsJob, signal?: AbortSignal) => run<readonly FoundGroup[]>(waiter => ({ kind: 'find_groups', job, ...waiter }), signal),
    since: (job: SinceJob, signal?: AbortSignal) => run<readonly ArrivalResult[]>(waiter => ({ kind: 'since', job, ...waiter }), signal),
    /** Does something while no search runs, and lets those wait that come meanwhile; gives null, and does nothing, where one runs or waits. */
    async alone<T> (work: () => Promise<T>): Promise<T | null> {
      if (closing || isHeld || waiting.length > 0 || threads.some(({ running }) => running.length > 0)) return null
      isHeld = true
      try {
        return await work()
      } finally {
        isHeld = false
        if (!closing) deal()
      }
    },
    /** Lets go of the files of partitions; a search that is under way keeps them to its end. Resolves when nobody has them. */
    async forget (partitions: readonly string[]): Promise<void> {
      await Promise.all(threads.map(({ worker, forgetting }) => {
        const forgot = deferred<void>()
        forgetting.push(forgot)
        worker.postMessage({ kind: 'forget', partitions } satisfies ToReader)
        return forgot.promise
      }))
    },
    /** Stops what runs, and ends the threads. */
    async close (): Promise<void> {
      closing = true
      for (const { reject } of waiting.splice(0)) reject(new AppError('unavailable', 'the search was stopped'))
      for (const { worker, state } of threads) {
        Atomics.store(state, STOP, 1)
        worker.postMessage({ kind: 'close' } satisfies ToReader)
      }
      await Promise.all(threads.map(({ exited }) => exited.promise))
    },
  }
}

/** By how much of each partition's time the window takes: as if its events came evenly. */
function isWorthParts ({ plan: { query }, partitions, window }: SearchJob, minEvents: number): boolean {
  return query.stats !== null && partitions.reduce((sum, { minTimeUs, maxTimeUs, eventCount }) => {
    if (minTimeUs === null) return sum
    const spanUs = maxTimeUs! + 1 - minTimeUs
    const takenUs = Math.min(window.latestUs, maxTimeUs! + 1) - Math.max(window.earliestUs, minTimeUs)
    return sum + eventCount * Math.max(0, takenUs) / spanUs
  }, 0) >= minEvents
}

/** What threads have aggregated goes from one to the other without a copy. */
function partsOf (jobs: readonly Waiting[]): ArrayBuffer[] {
  return jobs.flatMap(one => one.kind === 'search' ? (one.job.parts ?? []).map(({ groups }) => groups.buffer as ArrayBuffer) : [])
}

function settle ({ resolve, reject }: Waiting, { result, fault }: SearchOutcome): void {
  if (fault !== null) reject(new AppError('invalid', fault))
  else resolve(result as never)
}

function toMessage (jobs: readonly Waiting[]): ToReader {
  const [first] = jobs
  if (first?.kind === 'find') return { kind: 'find', job: first.job, timeoutMs: SEARCH_TIMEOUT_MS }
  if (first?.kind === 'find_groups') return { kind: 'find_groups', job: first.job, timeoutMs: SEARCH_TIMEOUT_MS * Math.max(1, first.job.groups.length) } // each may take as long as when it is looked for alone
  if (first?.kind === 'since') {
    const { job } = first
    return { kind: 'since', job, timeoutMs: SEARCH_TIMEOUT_MS * Math.max(1, (job.lastId - job.afterId) / EVENTS_IN_TIME) }
  }
  if (first?.kind === 'part') return { kind: 'part', job: first.job, timeoutMs: first.job.timeoutMs ?? SEARCH_TIMEOUT_MS }
  const searches = jobs.flatMap(one => one.kind === 'search' ? one.job : [])
  return { kind: 'search', jobs: searches, timeoutMs: searches.reduce((sum, { timeoutMs = SEARCH_TIMEOUT_MS }) => sum + timeoutMs, 0) }
}

function eventsKeyOf ({ plan, partitions, window, afterId, lastId, timeoutMs }: SearchJob): string | null {
  return readsEvents(plan.query) && timeoutMs === undefined ? [window.earliestUs, window.latestUs, afterId, lastId, ...partitions.map(({ name }) => name)].join() : null
}

/** Promise.withResolvers, which Node 20 has not. */
function deferred<T> () {
  const parts: Partial<{ resolve: (value: T) => void, reject: (error: Error) => void }> = {}
  const promise = new Promise<T>((resolve, reject) => { Object.assign(parts, { resolve, reject }) })
  return { promise, resolve: parts.resolve!, reject: parts.reject! }
}
