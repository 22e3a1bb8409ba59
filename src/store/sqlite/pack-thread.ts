import { setTimeout } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { DamageError } from './damage.js'
import type { PackOptions } from './pack.js'
import { packPartition } from './pack.js'
import type { PartitionSummary } from './partition.js'
import { goBehindOthers } from './priority.js'

/** A thread that packs one partition and ends. */

export type PackJob = Pick<PackOptions, 'dir' | 'name' | 'resendsAfterUs'>

/** The one message that it takes: stop. */
export type ToPacker = 'stop'

export type FromPacker =
  | { readonly kind: 'packed', readonly summary: PartitionSummary }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'damaged', readonly partition: string, readonly reason: string }
  | { readonly kind: 'failed', readonly message: string }

/** It rests as long as it works: where all cores are busy it goes behind the others, and the disk is not its own either. */
const REST = 1

if (parentPort === null) throw new Error('pack-thread is a worker')
const port = parentPort
const stop = new AbortController()
port.on('message', (_message: ToPacker) => stop.abort())
goBehindOthers('far')

try {
  post({ kind: 'packed', summary: await packPartition({ ...workerData as PackJob, pause: workedMs => setTimeout(workedMs * REST, undefined, { signal: stop.signal }) }) })
} catch (error) {
  if (stop.signal.aborted) post({ kind: 'stopped' })
  else if (error instanceof DamageError) post({ kind: 'damaged', partition: error.partition, reason: error.reason })
  else post({ kind: 'failed', message: (error as Error).stack ?? String(error) })
}
port.close()

function post (message: FromPacker): void {
  port.postMessage(message)
}
