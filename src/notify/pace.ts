const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 10 * 60_000
/** No pause is longer. */
export const MAX_RETRY_AFTER_MS = 86_400_000

/**
 * How long a target is left alone after so many failures in a row: twice as long each time, up to ten minutes, half of it at random, so that what failed together is
 * not tried together ("equal jitter" of Brooker, Exponential Backoff And Jitter, 2015). `random` gives 0 to 1.
 */
export function pauseMs (failures: number, random: () => number): number {
  const most = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20))
  return Math.round(most / 2 + random() * most / 2)
}

/** What a `Retry-After` header asks for: seconds or a date (RFC 9110, 10.2.3), at most a day; 0 where it says nothing. */
export function retryAfterMs (header: string | null, nowMs: number): number {
  if (header === null) return 0
  const ms = /^\d{1,10}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs
  return Number.isNaN(ms) ? 0 : Math.max(0, Math.min(ms, MAX_RETRY_AFTER_MS))
}

/** A token bucket: so many a minute, a tenth of them at once. */
export function openBucket (perMinute: number) {
  const capacity = Math.max(1, perMinute / 10)
  let tokens = capacity
  let filledMs = -Infinity
  return {
    /** How long to wait until one can be taken; 0: now. */
    waitMs (nowMs: number): number {
      tokens = Math.min(capacity, tokens + Math.max(0, nowMs - filledMs) * perMinute / 60_000)
      filledMs = nowMs
      return tokens >= 1 ? 0 : Math.ceil((1 - tokens) * 60_000 / perMinute)
    },
    take (): void { tokens -= 1 },
  }
}
