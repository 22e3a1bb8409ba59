import { Worker } from 'node:worker_threads'
import { AppError } from '../../errors.js'
import type { AppendOutcome, AppendRequest, FoundEvent, SearchResult } from '../events.js'
import type { PartitionSummary } from './partition.js'
import type { FromReader, ReaderThreadOptions, ToReader } from './reader-thread.js'
import type { ReaderOptions } from './reader.js'
import type { FromWriter, ToWriter } from './writer-thread.js'
import type { WriterOptions } from './writer.js'

interface PendingAppend {
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: Error) => void
}

/** Starts the writer thread; resolves with the partitions it found when it takes requests. `onCommit` comes before the replies. */
export async function startWriter (options: WriterOptions, onCommit: (partition: PartitionSummary) => void) {
  const worker = new Worker(new URL('./writer-thread.js', import.meta.url), { workerData: options })
  const pending: PendingAppend[] = []
  let queued: AppendRequest[] = []
  let failure: Error | null = null
  let settled = 0 // pending[0..settled) are answered

  const ready = deferred<readonly PartitionSummary[]>()
  const closed = deferred<void>()
  closed.promise.catch(() => {}) // a failure is seen by whoever closes

  worker.on('message', (message: FromWriter) => {
    if (message.kind === 'ready') return ready.resolve(message.partitions)
    if (message.kind === 'closed') return closed.resolve()
    if (message.partition !== null) onCommit(message.partition)
    for (const reply of message.replies) {
      const { resolve, reject } = pending[settled++]!
      if (!('failed' in reply)) resolve(reply)
      else if (reply.failed !== 'defect') reject(new AppError(reply.failed, reply.message))
      else reject(new Error(reply.message))
    }
    pending.splice(0, settled)
    settled = 0
  })
  worker.on('error', fail)
  worker.on('exit', code => fail(new Error(`the writer thread ended with code ${code}`)))

  function fail (error: Error): void {
    failure ??= error
    ready.reject(error)
    closed.reject(error)
    for (const { reject } of pending.splice(0)) reject(new AppError('unavailable', 'the event store has failed', { cause: error }))
  }

  function flush (): void {
    const requests = queued
    queued = []
    send({ kind: 'append', requests }, requests.map(({ body }) => body))
  }

  function send (message: ToWriter, transfer: ArrayBuffer[] = []): void {
    worker.postMessage(message, transfer)
  }

  return {
    partitions: await ready.promise,
    /** Why the thread is gone; null while it works. */
    get failure () { return failure },
    append (request: AppendRequest): Promise<AppendOutcome> {
      if (failure !== null) return Promise.reject(new AppError('unavailable', 'the event store has failed', { cause: failure }))
      const { promise, resolve, reject } = deferred<AppendOutcome>()
      pending.push({ resolve, reject })
      // One message for all requests of a turn of the event loop: a message costs more than a small request.
      if (queued.push(request) === 1) setImmediate(flush)
      return promise
    },
    async close (): Promise<void> {
      if (queued.length > 0) await new Promise(resolve => setImmediate(resolve))
      if (failure === null) send({ kind: 'close' })
      await closed.promise
    },
  }
}

/** A search takes no longer than that, so that a bad one can't hold a thread for ever. */
const SEARCH_TIMEOUT_MS = 300_000

interface Job { readonly message: Exclude<ToReader, { kind: 'close' }>, readonly resolve: (result: never) => void, readonly reject: (error: Error) => void }

/** A small pool of reader threads, each started when a job finds the others busy. Jobs run in the order they came, one in each thread. */
export function openReaders (options: ReaderOptions, maxThreads: number) {
  const waiting: Job[] = []
  const threads: ReturnType<typeof startReader>[] = []
  let closing = false

  function startReader () {
    const stop = new SharedArrayBuffer(4)
    const workerData: ReaderThreadOptions = { ...options, stop }
    const worker = new Worker(new URL('./reader-thread.js', import.meta.url), { workerData })
    const thread = { worker, stopFlag: new Int32Array(stop), job: null as Job | null, exited: deferred<void>() }
    worker.on('message', (message: FromReader) => {
      const job = thread.job!
      thread.job = null
      if (message.kind === 'done') job.resolve(message.result as never)
      else job.reject(message.code === null ? new Error(message.message) : new AppError(message.code, message.message))
      next()
    })
    worker.on('error', error => thread.job?.reject(error)) // a search can bring down its thread alone, for lack of memory
    worker.on('exit', () => {
      thread.job?.reject(new AppError('unavailable', 'the search thread ended'))
      thread.job = null
      thread.exited.resolve()
      threads.splice(threads.indexOf(thread), 1)
      if (!closing) next()
    })
    return thread
  }

  function next (): void {
    let thread = threads.find(({ job }) => job === null)
    if (waiting.length === 0 || (thread === undefined && threads.length === maxThreads)) return
    if (thread === undefined) {
      thread = startReader()
      threads.push(thread)
    }
    const job = waiting.shift()!
    thread.job = job
    Atomics.store(thread.stopFlag, 0, 0)
    thread.worker.postMessage(job.message)
  }

  function cancel (job: Job): void {
    const place = waiting.indexOf(job)
    if (place !== -1) {
      waiting.splice(place, 1)
      job.reject(new AppError('unavailable', 'the search was stopped'))
    }
    const thread = threads.find(one => one.job === job)
    if (thread !== undefined) Atomics.store(thread.stopFlag, 0, 1) // the thread's own error ends the job
  }

  async function run<T extends SearchResult | readonly FoundEvent[]> (message: Job['message'], signal: AbortSignal | undefined): Promise<T> {
    if (closing || signal?.aborted === true) throw new AppError('unavailable', 'the search was stopped')
    const { promise, resolve, reject } = deferred<T>()
    const job: Job = { message, resolve, reject }
    const onAbort = () => cancel(job)
    signal?.addEventListener('abort', onAbort)
    waiting.push(job)
    next()
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', onAbort) // a signal of the whole process would collect them
    }
  }

  return {
    search: (job: Extract<ToReader, { kind: 'search' }>['job'], signal?: AbortSignal) => {
      return run<SearchResult>({ kind: 'search', job, timeoutMs: SEARCH_TIMEOUT_MS }, signal)
    },
    find: (job: Extract<ToReader, { kind: 'find' }>['job'], signal?: AbortSignal) => {
      return run<readonly FoundEvent[]>({ kind: 'find', job, timeoutMs: SEARCH_TIMEOUT_MS }, signal)
    },
    /** Stops what runs, and ends the threads. */
    async close (): Promise<void> {
      closing = true
      for (const { reject } of waiting.splice(0)) reject(new AppError('unavailable', 'the search was stopped'))
      for (const { worker, stopFlag } of threads) {
        Atomics.store(stopFlag, 0, 1)
        worker.postMessage({ kind: 'close' } satisfies ToReader)
      }
      await Promise.all(threads.map(({ exited }) => exited.promise))
    },
  }
}

/** Promise.withResolvers, which Node 20 has not. */
function deferred<T> () {
  const parts: Partial<{ resolve: (value: T) => void, reject: (error: Error) => void }> = {}
  const promise = new Promise<T>((resolve, reject) => { Object.assign(parts, { resolve, reject }) })
  return { promise, resolve: parts.resolve!, reject: parts.reject! }
}
