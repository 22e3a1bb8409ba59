import type { Window } from '../../event.js'
import type { EventStore, EventStoreStats, Position } from '../events.js'
import type { Scope } from './blocks.js'
import type { PartitionSummary } from './partition.js'
import { partitionBytes } from './partition-files.js'

/** The partitions of a store, as its writer last left them, and what follows from them alone. `lastId` is the highest id that any event had so far. */
export function openCatalogue (dir: string, partitions: readonly PartitionSummary[], lastId: number) {
  const catalogue = new Map(partitions.map(partition => [partition.name, partition]))
  const face: Pick<EventStore, 'position' | 'isAfter' | 'stats'> = {
    position: () => String(lastId) as Position,
    isAfter: (a, b) => Number(a) > Number(b),
    stats: (): EventStoreStats => ({
      partitions: catalogue.size,
      events: [...catalogue.values()].reduce((sum, { eventCount }) => sum + eventCount, 0),
      bytesOnDisk: [...catalogue.keys()].reduce((sum, name) => sum + partitionBytes(dir, name), 0),
    }),
  }
  return {
    face,
    put (partition: PartitionSummary): void {
      catalogue.set(partition.name, partition)
      lastId = Math.max(lastId, partition.lastId)
    },
    /** Searches from now on don't know them. */
    forget (names: readonly string[]): void {
      for (const name of names) catalogue.delete(name)
    },
    scopeOf: ({ window, position }: { window: Window, position: Position }): Scope => ({
      partitions: [...catalogue.values()],
      window,
      lastId: Number(position),
    }),
  }
}
