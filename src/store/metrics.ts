import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'
import type { Backup } from './backups.js'
import type { EventStore } from './events.js'

/** A gauge that is read when Prometheus asks. */
export function registerGauge (registry: Registry, name: string, help: string, read: () => number): void {
  registry.registerMetric(new Gauge({ name, help, registers: [], collect () { this.set(read()) } }))
}

/** What the event store holds, read when Prometheus asks. */
export function openStoreMetrics (registry: Registry, events: EventStore): void {
  registerGauge(registry, 'hecate_store_events', 'Events stored.', () => events.stats().events)
  registerGauge(registry, 'hecate_store_partitions', 'Partitions, one per day of arrival.', () => events.stats().partitions)
  registerGauge(registry, 'hecate_store_bytes', 'Bytes of the partitions on disk.', () => events.stats().bytesOnDisk)
}

/** Counts the backups that ended, by what became of them. */
export function openBackupMetrics (registry: Registry): (backup: Backup) => void {
  const ended = new Counter({ name: 'hecate_backups_total', help: 'Backups that the API was asked for and that ended.', labelNames: ['state'], registers: [registry] })
  for (const state of ['succeeded', 'failed']) ended.inc({ state }, 0)
  return ({ state }) => ended.inc({ state })
}
