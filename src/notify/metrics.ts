import type { Registry } from 'prom-client'
import { Counter, Gauge } from 'prom-client'
import type { Deliveries, TargetView } from './deliveries.js'

/** Deliveries. The label `target` is a name of the configuration. */
export function openDeliveryMetrics (registry: Registry, { names }: { names: readonly string[] }) {
  const registers = [registry]
  const labelNames = ['target'] as const
  const sent = new Counter({ name: 'hecate_delivery_sent_total', help: 'Messages that a target has taken.', labelNames, registers })
  const failed = new Counter({ name: 'hecate_delivery_failed_total', help: 'Tries that failed.', labelNames, registers })
  const dead = new Counter({ name: 'hecate_delivery_dead_total', help: 'Messages that were given up.', labelNames, registers })
  for (const target of names) for (const counter of [sent, failed, dead]) counter.inc({ target }, 0) // from the start on, or the first would be no increase
  return {
    tried: (target: string, outcome: 'sent' | 'failed'): void => { (outcome === 'sent' ? sent : failed).inc({ target }) },
    gaveUp: (target: string): void => { dead.inc({ target }) },
    /** What is in the outbox, of the targets of the configuration. */
    watch (deliveries: Pick<Deliveries, 'targets'>, now: () => number): void {
      const ofTarget = (name: string, help: string, read: (target: TargetView) => number) => registry.registerMetric(new Gauge({
        name, help, labelNames, registers: [],
        collect () {
          for (const target of deliveries.targets()) if (target.settings !== null) this.set({ target: target.name }, read(target))
        },
      }))
      ofTarget('hecate_delivery_pending', 'Messages that wait.', ({ pending }) => pending)
      ofTarget('hecate_delivery_oldest_pending_seconds', 'Age of the oldest message that waits; 0 without.', ({ oldestPendingMs }) => oldestPendingMs === null ? 0 : Math.max(0, now() - oldestPendingMs) / 1000)
      ofTarget('hecate_delivery_dead', 'Messages that were given up and can be sent again.', ({ dead }) => dead)
    },
  }
}
