import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { AppendOutcome } from '../store/events.js'
import { registerGauge } from '../store/metrics.js'
import type { Acks } from './ack.js'
import type { HecCode } from './reply.js'

/** Counts of what HEC took and refused. Labels are names of tokens and codes, never anything of a request. */
export function openHecMetrics (registry: Registry, { acks, now }: { acks: Acks, now: () => number }) {
  const registers = [registry]
  const replies = new Counter({ name: 'hecate_hec_replies_total', help: 'HEC replies by code.', labelNames: ['code', 'status'], registers })
  const events = new Counter({ name: 'hecate_hec_events_total', help: 'Events stored, by token.', labelNames: ['token'], registers })
  const bytes = new Counter({ name: 'hecate_hec_bytes_total', help: 'Bytes of request bodies read, gunzipped, by token.', labelNames: ['token'], registers })
  const unknownKeys = new Counter({ name: 'hecate_hec_unknown_keys_total', help: 'Envelope keys that HEC does not know, by token.', labelNames: ['token'], registers })
  const skipped = new Counter({ name: 'hecate_hec_skipped_total', help: 'Objects without event whose fields are no measurement, by token.', labelNames: ['token'], registers })
  const resends = new Counter({ name: 'hecate_hec_resends_total', help: 'Requests that had been stored before and were not stored again, by token.', labelNames: ['token'], registers })
  const ownTimes = new Counter({ name: 'hecate_hec_own_times_total', help: 'Events whose time was read from themselves, by token.', labelNames: ['token'], registers })
  const filled = new Counter({ name: 'hecate_hec_filled_total', help: 'Events that got a field of the token\'s defaults, by token.', labelNames: ['token'], registers })
  registerGauge(registry, 'hecate_hec_ack_channels', 'Channels of indexer acknowledgement.', () => acks.count(now()).channels)
  registerGauge(registry, 'hecate_hec_ack_pending', 'Ids of indexer acknowledgement that were not asked for yet.', () => acks.count(now()).pending)
  // Of every request: to look up labels each time takes longer than to count.
  const repliesOf = remember((key: string) => {
    const [code, status] = key.split(' ') as [string, string]
    return replies.labels({ code, status })
  })
  const bytesOf = remember((token: string) => bytes.labels({ token }))
  const eventsOf = remember((token: string) => events.labels({ token }))
  return {
    reply (code: HecCode, status: number): void {
      repliesOf(`${code} ${status}`).inc()
    },
    count (token: string, outcome: AppendOutcome, bodyBytes: number): void {
      bytesOf(token).inc(bodyBytes)
      if (outcome.resent) return resends.inc({ token })
      eventsOf(token).inc(outcome.stored)
      if (outcome.ownTimes > 0) ownTimes.inc({ token }, outcome.ownTimes)
      if (outcome.filled > 0) filled.inc({ token }, outcome.filled)
      if (outcome.unknownKeys > 0) unknownKeys.inc({ token }, outcome.unknownKeys)
      if (outcome.skipped > 0) skipped.inc({ token }, outcome.skipped)
    },
  }
}
export type HecMetrics = ReturnType<typeof openHecMetrics>

/** Makes the value of a name once. Names are of tokens and codes, and few. */
function remember<T> (make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>()
  return name => {
    let one = made.get(name)
    if (one === undefined) made.set(name, one = make(name))
    return one
  }
}
