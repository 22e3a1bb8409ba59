import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { codeUrl } from '../../resource.js'
import type { PackedPartition } from '../events.js'
import type { Damage } from './damage.js'
import { toUnavailable } from './damage.js'
import type { PutOutcome } from './pack.js'
import type { FromPacker, PackJob, ToPacker } from './pack-thread.js'
import type { PartitionSummary } from './partition.js'
import { compareNames, dayEndOf, partitionBytes, removePacking } from './partition-files.js'

export interface PackingOptions {
  /** Folder of the partitions. */
  readonly dir: string
  readonly resendWindowUs: number
  /** Columns that were written with other field tables can't be told apart, and are left as they are. */
  readonly fieldsHash: string
  /** Puts a packed copy in its place, where nobody reads the partition; null where somebody does. */
  readonly put: (packed: PartitionSummary) => Promise<PutOutcome | null>
  readonly onDamage: (damage: Damage) => void
}

/** What somebody else has open is tried again so often, and so many times: a backup of some gigabytes ends in the meantime. */
const BUSY_PAUSE_MS = 1_000
const BUSY_TRIES = 600

/** What could not be packed is not tried again for so long after it has failed: it may take an hour until it fails. */
const FAILED_PAUSE_MS = 3_600_000

/**
 * Bounds the memory of a thread that has all the time it needs. What zstd has decoded is memory that V8 doesn't know of, and is given back with the small objects
 * around it: the fewer of these there may be, the sooner.
 */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 1 }

/** Packs partitions whose day is over, one at a time. */
export function openPacking ({ dir, resendWindowUs, fieldsHash, put, onDamage }: PackingOptions) {
  const closing = new AbortController()
  let underway: Promise<unknown> | null = null
  /** By the partition's name. */
  const notBefore = new Map<string, number>()

  /** The newest first: the oldest are the next to be dropped. */
  function nextOf (partitions: readonly PartitionSummary[], nowMs: number, spareBytes: number): PartitionSummary | undefined {
    return partitions
      .filter(({ name, packed, eventCount }) => !packed && eventCount > 0 && dayEndOf(name) <= nowMs && (notBefore.get(name) ?? 0) <= nowMs)
      .filter(partition => partition.fieldsHash === fieldsHash && partitionBytes(dir, partition.name) <= spareBytes) // a copy is no larger
      .sort((a, b) => compareNames(b.name, a.name))[0]
  }

  async function packNext ({ name, eventCount: events }: PartitionSummary, nowMs: number, signal: AbortSignal): Promise<PackedPartition | null> {
    const bytesBefore = partitionBytes(dir, name)
    const startMs = performance.now()
    const postpone = () => { notBefore.set(name, nowMs + performance.now() - startMs + FAILED_PAUSE_MS) }
    try {
      const packed = await runThread({ dir, name, resendsAfterUs: nowMs * 1_000 - resendWindowUs }, signal)
      if (packed === null) return null
      for (let tries = 1; ; tries++) {
        const outcome = await put(packed)
        if (outcome === 'done') return { name, events, bytesBefore, bytes: partitionBytes(dir, name) }
        if (outcome === 'outdated') return null
        if (tries === BUSY_TRIES) {
          postpone()
          return null
        }
        await setTimeout(BUSY_PAUSE_MS, undefined, { signal })
      }
    } catch (error) {
      if (signal.aborted) return null
      postpone()
      throw error
    } finally {
      removePacking(dir, name)
    }
  }

  /** Null where it was stopped. */
  function runThread (job: PackJob, signal: AbortSignal): Promise<PartitionSummary | null> {
    const worker = new Worker(codeUrl('store/sqlite/pack-thread.js'), { workerData: job, resourceLimits: THREAD_LIMITS })
    const onAbort = () => { worker.postMessage('stop' satisfies ToPacker) }
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    return new Promise<PartitionSummary | null>((resolve, reject) => {
      let last: FromPacker | null = null
      worker.on('message', (message: FromPacker) => { last = message })
      worker.on('error', reject) // for lack of memory, say
      worker.on('exit', code => { // before that it may have files open
        if (last === null) return reject(new Error(`the thread that packs ended with code ${code}`))
        if (last.kind === 'packed') return resolve(last.summary)
        if (last.kind === 'stopped') return resolve(null)
        if (last.kind === 'failed') return reject(new Error(last.message))
        const { partition, reason } = last
        onDamage({ partition, reason })
        reject(toUnavailable(partition, reason))
      })
    }).finally(() => { signal.removeEventListener('abort', onAbort) })
  }

  return {
    /** Packs the next one there is; null where there is none, one is under way, somebody else has it open all the time, or it was stopped. */
    async pack (partitions: readonly PartitionSummary[], { nowMs, spareBytes, signal }: { nowMs: number, spareBytes: number, signal?: AbortSignal | undefined }): Promise<PackedPartition | null> {
      const next = nextOf(partitions, nowMs, spareBytes)
      if (next === undefined || underway !== null || closing.signal.aborted) return null
      const work = packNext(next, nowMs, signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal]))
      underway = work
      try {
        return await work
      } finally {
        underway = null
      }
    },
    async close (): Promise<void> {
      closing.abort()
      await underway?.catch(() => {}) // whoever asked for it is told
    },
  }
}
