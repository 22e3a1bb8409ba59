/**
 * How long events took to arrive, as counts in buckets whose bounds grow by the fourth root of two: bucket b has lags up to 2^(b/4) ms that are above
 * those of bucket b - 1. So a lag is known to 19 %, from 1 ms to 30 days, in as many numbers as there are different lags, at most 127.
 */
export type LagCounts = Readonly<Record<number, number>>

const BUCKETS_PER_OCTAVE = 4

/** Holds what is above 2^(125/4) ms, 29.6 days; its bound is the largest lag that there is. */
export const LAST_LAG_BUCKET = 126

/** What came before its time counts as a lag of 0. */
export function lagBucketOf (lagUs: number): number {
  return lagUs <= 1_000 ? 0 : Math.min(Math.ceil(Math.log2(lagUs / 1_000) * BUCKETS_PER_OCTAVE), LAST_LAG_BUCKET)
}

/** The bound of a bucket, which no lag of it is above; seconds. */
export function lagBoundSeconds (bucket: number): number {
  return bucket === LAST_LAG_BUCKET ? Infinity : 2 ** (bucket / BUCKETS_PER_OCTAVE) / 1_000
}

export function addLags (all: readonly LagCounts[]): LagCounts {
  const sum: Record<number, number> = {}
  for (const counts of all) {
    for (const [bucket, events] of Object.entries(counts)) sum[Number(bucket)] = (sum[Number(bucket)] ?? 0) + events
  }
  return sum
}

/** The lag that so many of a hundred events do not exceed, up to 19 % too large but not above `maxSeconds`, the largest of all; seconds. */
export function lagPercentile (counts: LagCounts, percent: number, maxSeconds: number): number {
  const events = Object.values(counts).reduce((sum, count) => sum + count, 0)
  let below = 0
  for (const [bucket, count] of Object.entries(counts)) { // whole numbers as keys are in their order
    below += count
    if (below >= events * percent / 100) return Math.min(lagBoundSeconds(Number(bucket)), maxSeconds)
  }
  return maxSeconds
}
