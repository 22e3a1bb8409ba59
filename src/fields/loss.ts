/** What an agent says of events that it did not send. */
export interface Loss {
  /** Dropped by the rate limit of its export. */
  readonly lostEvents: number
  /** 1 where it began to throttle a cgroup, whose events are missing until it stops. */
  readonly throttled: 0 | 1
}

/** The members of an event that say it. */
export const LOSS_MEMBERS = ['rate_limit_info', 'process_throttle'] as const

/**
 * Of Tetragon's `rate_limit_info` and `process_throttle`; null of any other event. Source: api/v1/tetragon/events.proto of cilium/tetragon, RateLimitInfo
 * and ProcessThrottle. Protojson writes the uint64 as text; before there was a message for it, it was a number.
 */
export function lossOf (payload: object | null): Loss | null {
  if (payload === null) return null
  if (Object.hasOwn(payload, 'rate_limit_info')) {
    return { lostEvents: toCount(memberOf((payload as { rate_limit_info: unknown }).rate_limit_info, 'number_of_dropped_process_events')), throttled: 0 }
  }
  if (!Object.hasOwn(payload, 'process_throttle')) return null
  return { lostEvents: 0, throttled: memberOf((payload as { process_throttle: unknown }).process_throttle, 'type') === 'THROTTLE_START' ? 1 : 0 }
}

function memberOf (json: unknown, key: string): unknown {
  return typeof json === 'object' && json !== null && Object.hasOwn(json, key) ? (json as Record<string, unknown>)[key] : undefined
}

/** Anybody can send such an event: what is no count is none, and larger ones than a number can hold are that. */
function toCount (json: unknown): number {
  const count = typeof json === 'string' && /^\d{1,20}$/.test(json) ? Number(json) : json
  return typeof count === 'number' && count >= 0 ? Math.min(Math.floor(count), Number.MAX_SAFE_INTEGER) : 0
}
