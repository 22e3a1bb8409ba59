import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { packPartition, putPacked } from '../src/store/sqlite/pack.js'
import { partitionNames } from '../src/store/sqlite/partition-files.js'
import type { DiskFigures } from './disk.js'
import { measureDisk } from './disk.js'

export interface PackingFigures {
  readonly events: number
  readonly disk: DiskFigures
  /** By the clock, without the pauses that a server makes. */
  readonly usPerEvent: number
}

/** Packs all partitions in `dataDir`, as a server does it when their day is over. */
export async function measurePacking (dataDir: string): Promise<PackingFigures> {
  const dir = join(dataDir, 'events')
  let events = 0
  const startMs = performance.now()
  for (const name of partitionNames(dir)) {
    const packed = await packPartition({ dir, name, resendsAfterUs: 0, pause: () => setImmediate() })
    if (putPacked(dir, packed) !== 'done') throw new Error(`${name} is in use`)
    events += packed.eventCount
  }
  const elapsedMs = performance.now() - startMs
  return { events, disk: measureDisk(dataDir), usPerEvent: elapsedMs * 1_000 / events }
}
