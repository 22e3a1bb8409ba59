import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { AppError } from '../../errors.js'
import type { AppendOutcome, AppendRequest, DroppedPartition, SourceArrivals } from '../events.js'
import type { Damage } from './damage.js'
import { DamageError } from './damage.js'
import type { Folder } from './folder.js'
import type { PutOutcome } from './pack.js'
import type { PartitionSummary } from './partition.js'
import type { RetentionLimits } from './retention.js'
import type { AppendResult, WriterOptions } from './writer.js'
import { openWriter } from './writer.js'

/** The thread that owns the events database. */

export type ToWriter =
  | { readonly kind: 'append', readonly requests: readonly AppendRequest[] }
  | Question
  /** Damage that a search has found. */
  | { readonly kind: 'set_aside', readonly partition: string, readonly reason: string }
  | { readonly kind: 'close' }

/** Answered in the order of asking, or refused. */
export type Question =
  /** Whether small blocks became one. */
  | { readonly kind: 'merge' }
  /** The partitions that are to go. */
  | { readonly kind: 'expire', readonly limits: RetentionLimits }
  /** Answered when they are partitions no more. */
  | { readonly kind: 'drop', readonly partitions: readonly DroppedPartition[] }
  /** What became of a packed copy that is to go in its partition's place. */
  | { readonly kind: 'put_packed', readonly packed: PartitionSummary }
  /** What was committed since the last time, by source. */
  | { readonly kind: 'source_counts' }

export type Answer = boolean | PutOutcome | readonly DroppedPartition[] | readonly SourceArrivals[]

/** `defect`, `too_large`: of this request alone. `unavailable`: the commit failed, for all requests of it. */
export type WriterReply = AppendOutcome | { readonly failed: 'defect' | 'too_large' | 'unavailable', readonly message: string }

/** `answered`: how many messages the replies are for. */
export type FromWriter =
  | { readonly kind: 'ready', readonly folder: Folder, readonly lastId: number }
  /** A partition was set aside. */
  | { readonly kind: 'damaged', readonly damage: Damage }
  | { readonly kind: 'committed', readonly answered: number, readonly replies: readonly WriterReply[], readonly partition: PartitionSummary | null }
  | { readonly kind: 'answer', readonly answer: Answer }
  | { readonly kind: 'refusal', readonly message: string }
  | { readonly kind: 'closed' }

/** One transaction takes what waits, up to this many bytes of bodies: it bounds the writer's memory. */
const MAX_COMMIT_BYTES = 16 << 20

if (parentPort === null) throw new Error('writer-thread is a worker')
const port = parentPort
const writer = openWriter(workerData as WriterOptions)
post({ kind: 'ready', folder: writer.folder, lastId: writer.lastId })

/**
 * After so many messages, or bytes of bodies, the event loop has a turn: what zstd gives back is memory that Node lets go of there alone, and while small blocks are merged
 * behind a search there is always a message more.
 */
const MESSAGES_PER_TURN = 4
const BYTES_PER_TURN = 8 << 20

/** What was received and not done yet, in the order of arrival. */
const waiting: ToWriter[] = []
let isTurnDue = false
port.on('message', (message: ToWriter) => {
  waiting.push(message)
  if (!isTurnDue) work()
})

function work (): void {
  isTurnDue = false
  let messages = 0
  let bytes = 0
  for (let message = receive(); message !== undefined; message = receive()) {
    messages++
    if (message.kind === 'append') bytes += commitWaiting(message)
    else if (message.kind === 'close') return close()
    else if (message.kind === 'set_aside') setAside(message.partition, message.reason)
    else answer(message)
    if (messages < MESSAGES_PER_TURN && bytes < BYTES_PER_TURN) continue
    isTurnDue = true
    setImmediate(work)
    return
  }
}

function receive (): ToWriter | undefined {
  return waiting.shift() ?? receiveMessageOnPort(port)?.message as ToWriter | undefined
}

/** Group commit: all that came in while the last transaction was written goes into one. Gives the bytes of its bodies. */
function commitWaiting (first: ToWriter): number {
  const requests: AppendRequest[] = []
  let bytes = 0
  let messages = 0
  for (let message: ToWriter | undefined = first; message !== undefined; message = bytes < MAX_COMMIT_BYTES ? receive() : undefined) {
    if (message.kind !== 'append') {
      waiting.unshift(message)
      break
    }
    messages++
    for (const request of message.requests) bytes += request.body.byteLength
    requests.push(...message.requests)
  }
  commit(requests, messages)
  return bytes
}

function commit (requests: readonly AppendRequest[], answered: number): void {
  const outcome = writer.append(requests)
  if ('error' in outcome) {
    if (outcome.damage !== null) post({ kind: 'damaged', damage: outcome.damage })
    const reply: WriterReply = { failed: 'unavailable', message: outcome.error.message }
    post({ kind: 'committed', answered, replies: requests.map(() => reply), partition: null })
  } else post({ kind: 'committed', answered, replies: outcome.results.map(toReply), partition: outcome.partition })
}

function setAside (partition: string, reason: string): void {
  const damage = writer.setAside(partition, reason)
  if (damage !== null) post({ kind: 'damaged', damage })
}

function answer (question: Question): void {
  try {
    post({ kind: 'answer', answer: toAnswer(question) })
  } catch (error) {
    const { message: text, stack } = error as Error
    post({ kind: 'refusal', message: stack ?? text })
  }
}

function toReply (result: AppendResult): WriterReply {
  if (!('error' in result)) return result
  const { error } = result
  if (error instanceof AppError && error.code === 'too_large') return { failed: 'too_large', message: error.message }
  return { failed: 'defect', message: error.stack ?? error.message }
}

function toAnswer (question: Question): Answer {
  switch (question.kind) {
    case 'merge': return unlessDamaged(writer.merge, false)
    case 'put_packed': return unlessDamaged(() => writer.putPacked(question.packed), 'outdated')
    case 'expire': return writer.expired(question.limits)
    case 'drop':
      writer.drop(question.partitions.map(({ name }) => name))
      return question.partitions
    case 'source_counts': return writer.sourceCounts()
    default: return question satisfies never
  }
}

/** Sets a partition aside that is found damaged, and gives `otherwise`. */
function unlessDamaged<T extends Answer> (work: () => T, otherwise: T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof DamageError)) throw error
    setAside(error.partition, error.reason)
    return otherwise
  }
}

function close (): void {
  writer.close()
  post({ kind: 'closed' })
  port.close()
}

function post (message: FromWriter): void {
  port.postMessage(message)
}
