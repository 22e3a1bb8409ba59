import type { Window } from '../../event.js'
import type { EventStore, EventStoreStats, PartitionStatus, Position } from '../events.js'
import type { Scope } from './blocks.js'
import { toPosition } from './blocks.js'
import type { Folder } from './folder.js'
import type { PartitionSummary } from './partition.js'
import { compareNames, dayEndOf, partitionBytes } from './partition-files.js'

/** The partitions of a store, as its writer last left them, and what follows from them alone. `lastId` is the highest id that any event had so far. */
export function openCatalogue (dir: string, { partitions, damaged, aside: before }: Folder, lastId: number) {
  const catalogue = new Map(partitions.map(partition => [partition.name, partition]))
  /** What was set aside, and what was known of it; null where that was nothing. */
  const aside = new Map<string, PartitionSummary | null>([...before, ...damaged.map(({ partition }) => partition)].map(name => [name, null]))
  /** The last one that was written. */
  let openName: string | null = null

  /** Partitions that were set aside and may hold events of a window. */
  const asideOf = (window: Window): string[] => [...aside].filter(([name, summary]) => mayHold(name, summary, window)).map(([name]) => name)

  const face: Pick<EventStore, 'position' | 'isAfter' | 'stats' | 'partitions' | 'isDamaged'> = {
    position: () => toPosition(lastId),
    isAfter: (a, b) => Number(a) > Number(b),
    stats: (): EventStoreStats => ({
      partitions: catalogue.size,
      packedPartitions: [...catalogue.values()].filter(({ packed }) => packed).length,
      damagedPartitions: aside.size,
      events: [...catalogue.values()].reduce((sum, { eventCount }) => sum + eventCount, 0),
      bytesOnDisk: [...catalogue.keys()].reduce((sum, name) => sum + partitionBytes(dir, name), 0),
    }),
    partitions: () => [
      ...[...catalogue.values()].map((summary): PartitionStatus => ({ ...toStatus(summary.name, summary), state: summary.name === openName ? 'open' : 'ok', bytes: partitionBytes(dir, summary.name) })),
      ...[...aside].map(([name, summary]): PartitionStatus => ({ ...toStatus(name, summary), state: 'damaged', bytes: partitionBytes(dir, name, 'damaged') })),
    ].sort((a, b) => compareNames(a.name, b.name)),
    isDamaged: window => asideOf(window).length > 0,
  }

  return {
    face,
    summaries: () => [...catalogue.values()],
    /** A packed copy is in the place of a partition. */
    putPacked (partition: PartitionSummary): void {
      if (catalogue.has(partition.name)) catalogue.set(partition.name, partition)
    },
    put (partition: PartitionSummary): void {
      lastId = Math.max(lastId, partition.lastId)
      if (aside.has(partition.name)) return // it was set aside while the writer wrote
      catalogue.set(partition.name, partition)
      openName = partition.name
    },
    /** Searches from now on don't know them. */
    forget (names: readonly string[]): void {
      for (const name of names) catalogue.delete(name)
    },
    /** Searches from now on don't know it, but are warned. */
    setAside (name: string): void {
      aside.set(name, catalogue.get(name) ?? aside.get(name) ?? null)
      catalogue.delete(name)
    },
    scopeOf ({ window, since, position }: { window: Window, since?: Position | undefined, position: Position }): Scope {
      const afterId = since === undefined ? 0 : Number(since)
      return { partitions: [...catalogue.values()].filter(({ lastId }) => lastId > afterId), window, afterId, lastId: Number(position) }
    },
    /** What a search of the window goes without. */
    warningsOf: (window: Window): string[] => asideOf(window).map(name => `the partition ${name} is damaged: its events are not searched`),
  }
}

function toStatus (name: string, summary: PartitionSummary | null): Omit<PartitionStatus, 'state' | 'bytes'> {
  return {
    name,
    schema: summary?.schema ?? null,
    packed: summary?.packed ?? null,
    events: summary?.eventCount ?? null,
    minTimeUs: summary?.minTimeUs ?? null,
    maxTimeUs: summary?.maxTimeUs ?? null,
  }
}

/** Of a partition that nothing is known of: events are no later than their arrival. */
function mayHold (name: string, summary: PartitionSummary | null, { earliestUs, latestUs }: Window): boolean {
  if (summary === null) return dayEndOf(name) * 1000 > earliestUs
  return summary.minTimeUs !== null && summary.minTimeUs < latestUs && summary.maxTimeUs! >= earliestUs
}
