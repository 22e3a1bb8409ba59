import type { Finding } from '../finding.js'
import type { NoticeKind } from '../store/control/outbox.js'

/** What a target is to be told: what happened to a finding, or that somebody tries the target out. */
export interface Message {
  /** The same however often it is sent. */
  readonly id: string
  readonly what: NoticeKind | 'test'
  readonly writtenMs: number
  readonly finding: Finding
}

/** A POST to a target, whatever is its own in it. */
export interface TargetRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a target is sent of a message at a time; null where it has nothing to be told. */
export type BuildRequest = (message: Message, nowMs: number) => TargetRequest | null

/** A finding that was never found, for trying targets out. */
export function toTestMessage (id: string, nowMs: number): Message {
  const now = new Date(nowMs).toISOString()
  return {
    id,
    what: 'test',
    writtenMs: nowMs,
    finding: {
      id: 'test',
      detection: { id: 'hecate___test', name: 'Hecate - Test', version: 1 },
      time: nowMs / 1000,
      result: {},
      risk: { score: 0, message: 'A test message of Hecate. Nothing was found.', objects: [{ field: 'host', type: 'other', value: 'hecate-test', score: 0 }], threat_objects: [] },
      severity: 'informational',
      mitre_attack: [],
      window: { earliest: now, latest: now },
      status: 'new',
      disposition: null,
      owner: null,
      revision: 1,
      etag: 'test',
      created_at: now,
      updated_at: now,
      run: '',
      backfill: null,
      throttled_by: null,
      suppressed_by: null,
      gone_at: null,
      change: null,
    },
  }
}
