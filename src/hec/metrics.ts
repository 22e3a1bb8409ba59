import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { AppendOutcome } from '../store/events.js'
import type { HecCode } from './reply.js'

/** Counts of what HEC took and refused. Labels are names of tokens and codes, never anything of a request. */
export function openHecMetrics (registry: Registry) {
  const registers = [registry]
  const replies = new Counter({ name: 'hecate_hec_replies_total', help: 'HEC replies by code.', labelNames: ['code', 'status'], registers })
  const events = new Counter({ name: 'hecate_hec_events_total', help: 'Events stored, by token.', labelNames: ['token'], registers })
  const bytes = new Counter({ name: 'hecate_hec_bytes_total', help: 'Bytes of request bodies read, gunzipped, by token.', labelNames: ['token'], registers })
  const unknownKeys = new Counter({ name: 'hecate_hec_unknown_keys_total', help: 'Envelope keys that HEC does not know, by token.', labelNames: ['token'], registers })
  const skipped = new Counter({ name: 'hecate_hec_skipped_total', help: 'Objects without event whose fields are no measurement, by token.', labelNames: ['token'], registers })
  return {
    reply (code: HecCode, status: number): void {
      replies.inc({ code, status })
    },
    count (token: string, outcome: AppendOutcome, bodyBytes: number): void {
      events.inc({ token }, outcome.stored)
      bytes.inc({ token }, bodyBytes)
      if (outcome.unknownKeys > 0) unknownKeys.inc({ token }, outcome.unknownKeys)
      if (outcome.skipped > 0) skipped.inc({ token }, outcome.skipped)
    },
  }
}
export type HecMetrics = ReturnType<typeof openHecMetrics>
