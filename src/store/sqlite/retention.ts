import type { DroppedPartition } from '../events.js'
import type { PartitionSummary } from './partition.js'
import { compareNames, dayEndOf } from './partition-files.js'

/** How long and how much is kept. */
export interface Retention {
  readonly ageMs: number
  /** Of all partitions with their WALs. */
  readonly bytes: number
}

export interface RetentionLimits extends Retention {
  readonly nowMs: number
  /** Whether events are refused for lack of space. */
  readonly isDiskFull: boolean
}

/**
 * The partitions that are to go, oldest first: those whose last event arrived too long ago, and as many as it takes to come below the size. The
 * newest goes for its size only where it is too large all by itself and the disk is full besides: nothing else would ever end that.
 */
export function expiredOf (partitions: readonly (PartitionSummary & { readonly bytes: number })[], { nowMs, ageMs, bytes: maxBytes, isDiskFull }: RetentionLimits): DroppedPartition[] {
  const oldestFirst = partitions.toSorted((a, b) => compareNames(a.name, b.name))
  let bytes = oldestFirst.reduce((sum, partition) => sum + partition.bytes, 0)
  return oldestFirst.flatMap((partition, i) => {
    const isOld = dayEndOf(partition.name) + ageMs < nowMs
    const isTooMuch = bytes > maxBytes && (i < oldestFirst.length - 1 || isDiskFull)
    if (!isOld && !isTooMuch) return []
    bytes -= partition.bytes
    const { name, eventCount: events, minTimeUs, maxTimeUs } = partition
    return { name, reason: isOld ? 'age' : 'size', events, bytes: partition.bytes, minTimeUs, maxTimeUs, arrivedBeforeUs: dayEndOf(name) * 1000 }
  })
}
