import { statSync } from 'node:fs'
import type { Window } from '../../event.js'
import type { EventStore, EventStoreStats, Position } from '../events.js'
import type { Scope } from './blocks.js'
import type { PartitionSummary } from './partition.js'
import { partitionPath } from './partition.js'

/** The partitions of a store, as its writer last left them, and what follows from them alone. */
export function openCatalogue (dir: string, partitions: readonly PartitionSummary[]) {
  const catalogue = new Map(partitions.map(partition => [partition.day, partition]))
  const face: Pick<EventStore, 'position' | 'isAfter' | 'stats'> = {
    position: () => String(Math.max(0, ...[...catalogue.values()].map(partition => partition.lastId))) as Position,
    isAfter: (a, b) => Number(a) > Number(b),
    stats: (): EventStoreStats => ({
      partitions: catalogue.size,
      events: [...catalogue.values()].reduce((sum, { eventCount }) => sum + eventCount, 0),
      bytesOnDisk: [...catalogue.keys()].reduce((sum, day) => sum + fileBytes(partitionPath(dir, day)) + fileBytes(`${partitionPath(dir, day)}-wal`), 0),
    }),
  }
  return {
    face,
    put: (partition: PartitionSummary): void => { catalogue.set(partition.day, partition) },
    scopeOf: ({ window, position }: { window: Window, position: Position }): Scope => ({
      partitions: [...catalogue.values()],
      window,
      lastId: Number(position),
    }),
  }
}

function fileBytes (path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
