import type { Registry } from 'prom-client'
import { Gauge } from 'prom-client'
import type { EventStore } from './events.js'

/** What the event store holds, read when Prometheus asks. */
export function openStoreMetrics (registry: Registry, events: EventStore): void {
  const gauges = {
    events: 'Events stored.',
    partitions: 'Partitions, one per day of arrival.',
    bytesOnDisk: 'Bytes of the partitions on disk.',
  }
  for (const [key, help] of Object.entries(gauges)) {
    const name = `hecate_store_${key === 'bytesOnDisk' ? 'bytes' : key}`
    registry.registerMetric(new Gauge({
      name,
      help,
      registers: [],
      collect () { this.set(events.stats()[key as keyof typeof gauges]) },
    }))
  }
}
