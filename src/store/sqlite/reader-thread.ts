import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import type { ErrorCode } from '../../errors.js'
import { AppError } from '../../errors.js'
import type { ArrivalResult, FoundEvent, FoundGroup } from '../events.js'
import { DamageError } from './damage.js'
import type { FindGroupsJob } from './find-groups.js'
import { aliveUntil } from './partition-reader.js'
import type { Aggregated, FindJob, PartJob, ReaderOptions, SearchJob, SearchOutcome, SinceJob, Steps } from './reader.js'
import { goBehindOthers } from './priority.js'
import { openReader, SCANNED, STOP } from './reader.js'

/** A thread that searches, one message after the other. */

export interface ReaderThreadOptions extends ReaderOptions {
  /** Two numbers, since the thread hears no message while it searches: the first is set to 1 to stop the search under way; in the second the thread counts the events that this has looked at. */
  readonly shared: SharedArrayBuffer
}

export type ToReader =
  | { readonly kind: 'search', readonly jobs: readonly SearchJob[], readonly timeoutMs: number }
  | { readonly kind: 'part', readonly job: PartJob, readonly timeoutMs: number }
  | { readonly kind: 'find', readonly job: FindJob, readonly timeoutMs: number }
  | { readonly kind: 'find_groups', readonly job: FindGroupsJob, readonly timeoutMs: number }
  | { readonly kind: 'since', readonly job: SinceJob, readonly timeoutMs: number }
  /** Answered when it has no file of them open any more. */
  | { readonly kind: 'forget', readonly partitions: readonly string[] }
  | { readonly kind: 'close' }

export type FromReader =
  | { readonly kind: 'searched', readonly outcomes: readonly SearchOutcome[] }
  | { readonly kind: 'found', readonly found: readonly FoundEvent[] | readonly FoundGroup[] | readonly ArrivalResult[] | Aggregated }
  /** `code` is an AppError's; null for a defect. */
  | { readonly kind: 'failed', readonly code: ErrorCode | null, readonly message: string }
  | { readonly kind: 'damaged', readonly partition: string, readonly reason: string }
  | { readonly kind: 'forgot' }

if (parentPort === null) throw new Error('reader-thread is a worker')
const port = parentPort
const { shared, ...options } = workerData as ReaderThreadOptions
const state = new Uint32Array(shared)
goBehindOthers('near')
const reader = openReader(options, { scanned: events => { Atomics.add(state, SCANNED, events) } })

/**
 * After so many blocks the event loop has a turn. What zstd gives back is memory that Node lets go of there alone, however long nobody needs it: 1.5 MB for each
 * block that is decoded.
 */
const BLOCKS_PER_TURN = 8

/** What comes while a search has its turns waits for its end. */
let last = Promise.resolve()
port.on('message', (message: ToReader) => { last = last.then(() => take(message)) })

async function take (message: ToReader): Promise<void> {
  if (message.kind === 'close') {
    reader.close()
    port.close()
    return
  }
  if (message.kind === 'forget') {
    reader.forget(message.partitions)
    return post({ kind: 'forgot' })
  }
  const alive = aliveUntil(message.timeoutMs, () => Atomics.load(state, STOP) === 1)
  try {
    if (message.kind === 'find') post({ kind: 'found', found: await runInTurns(reader.find(message.job, alive)) })
    else if (message.kind === 'find_groups') post({ kind: 'found', found: await runInTurns(reader.findGroups(message.job, alive)) })
    else if (message.kind === 'since') post({ kind: 'found', found: await runInTurns(reader.since(message.job, alive)) })
    else if (message.kind === 'part') postPart(reader.aggregatePart(message.job, alive))
    else post({ kind: 'searched', outcomes: await runInTurns(reader.searchTogether(message.jobs, alive)) })
  } catch (error) {
    if (error instanceof DamageError) return post({ kind: 'damaged', partition: error.partition, reason: error.reason })
    const { message: text, stack } = error as Error
    const code = error instanceof AppError ? error.code : null
    post({ kind: 'failed', code, message: code === null ? stack ?? text : text })
  }
}

async function runInTurns<T> (steps: Steps<T>): Promise<T> {
  for (let blocks = 1; ; blocks++) {
    const { value, done } = steps.next()
    if (done === true) return value
    if (blocks % BLOCKS_PER_TURN === 0) await setImmediate()
  }
}

function postPart (found: Aggregated): void {
  post({ kind: 'found', found }, [found.groups.buffer as ArrayBuffer])
}

function post (message: FromReader, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
