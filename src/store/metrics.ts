import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'
import type { Backup } from './backups.js'
import type { Disk } from './disk.js'
import type { DroppedPartition, EventStore } from './events.js'

/** A gauge that is read when Prometheus asks. */
export function registerGauge (registry: Registry, name: string, help: string, read: () => number): void {
  registry.registerMetric(new Gauge({ name, help, registers: [], collect () { this.set(read()) } }))
}

/** What the event store holds, read when Prometheus asks, and counts of what retention dropped. */
export function openStoreMetrics (registry: Registry, events: EventStore) {
  const registers = [registry]
  const labelNames = ['reason'] as const
  const partitions = new Counter({ name: 'hecate_store_dropped_partitions_total', help: 'Partitions that were dropped, because of their age or of the size of all.', labelNames, registers })
  const dropped = new Counter({ name: 'hecate_store_dropped_events_total', help: 'Events that were dropped with their partition.', labelNames, registers })
  for (const reason of ['age', 'size']) { // from the start on, or the first drop would be no increase
    partitions.inc({ reason }, 0)
    dropped.inc({ reason }, 0)
  }
  registerGauge(registry, 'hecate_store_events', 'Events stored.', () => events.stats().events)
  registerGauge(registry, 'hecate_store_partitions', 'Partitions, one or more per day of arrival.', () => events.stats().partitions)
  registerGauge(registry, 'hecate_store_packed_partitions', 'Partitions whose day is over and that are as small as they become.', () => events.stats().packedPartitions)
  registerGauge(registry, 'hecate_store_damaged_partitions', 'Partitions that are damaged and were set aside.', () => events.stats().damagedPartitions)
  registerGauge(registry, 'hecate_store_bytes', 'Bytes of the partitions on disk.', () => events.stats().bytesOnDisk)
  return {
    dropped ({ reason, events }: DroppedPartition): void {
      partitions.inc({ reason })
      dropped.inc({ reason }, events)
    },
  }
}

/** What room there is on the disk. */
export function openDiskMetrics (registry: Registry, disk: Pick<Disk, 'state'>): void {
  registerGauge(registry, 'hecate_disk_free_bytes', 'Bytes that are free where the data folder is.', () => disk.state().freeBytes)
  registerGauge(registry, 'hecate_disk_reserve_bytes', 'Below so many free bytes HEC takes no events.', () => disk.state().reserveBytes)
  registerGauge(registry, 'hecate_disk_full', '1 while HEC takes no events for lack of space.', () => disk.state().isFull ? 1 : 0)
}

/** Counts what retention removed from control.db. */
export function openRetentionMetrics (registry: Registry): (what: 'findings' | 'audit' | 'slots', count: number) => void {
  const removed = new Counter({ name: 'hecate_retention_removed_total', help: 'Findings, entries of the audit log and slots of the ledger that were removed because of their age.', labelNames: ['what'], registers: [registry] })
  return (what, count) => { removed.inc({ what }, count) }
}

/** Counts the backups that ended, by what became of them. */
export function openBackupMetrics (registry: Registry): (backup: Backup) => void {
  const ended = new Counter({ name: 'hecate_backups_total', help: 'Backups that the API was asked for and that ended.', labelNames: ['state'], registers: [registry] })
  for (const state of ['succeeded', 'failed']) ended.inc({ state }, 0)
  return ({ state }) => ended.inc({ state })
}
