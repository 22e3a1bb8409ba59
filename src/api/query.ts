import { z } from 'zod'
import type { Window } from '../event.js'
import { ALL_TIME, toRfc3339 } from '../event.js'
import { AppError } from '../errors.js'
import { parseTimeText } from '../spl/time-modifier.js'

const DAY_MS = 86_400_000

/** A time in a request: epoch seconds, RFC 3339 or Splunk's relative time. */
export const TimeText = z.string().min(1).max(100)
  .describe('epoch seconds, RFC 3339 or a Splunk time modifier such as -70m@m')

/** The same in a JSON body, where epoch seconds may be a number. */
export const TimeInput = z.union([TimeText, z.number()])
export type TimeInput = z.infer<typeof TimeInput>

export const TimeRange = z.strictObject({
  earliest: TimeText.optional().describe('inclusive; the beginning of time where it is missing'),
  latest: TimeText.optional().describe('exclusive; the end of time where it is missing'),
})

/** What lists take: a page of at most `limit` items. */
export const Page = z.strictObject({
  limit: z.string().regex(/^\d{1,4}$/).refine(text => Number(text) >= 1 && Number(text) <= 1000, 'must be 1 to 1000').optional()
    .describe('1 to 1000; 50 where it is missing'),
  cursor: z.string().max(1000).optional().describe('next_cursor of the page before'),
  count: z.enum(['exact']).optional().describe('adds the total of all pages'),
})

/** What a list replies: `earliest` and `latest` are there where it takes them. */
export function pageOf<T extends z.ZodType> (item: T) {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().nullable(),
    total: z.number().int().optional(),
    earliest: z.string().optional(),
    latest: z.string().optional(),
  })
}

/** A window in replies. */
export const WindowText = z.object({ earliest: z.string(), latest: z.string() })

export function toWindowText ({ earliestUs, latestUs }: Window): z.infer<typeof WindowText> {
  return { earliest: toRfc3339(earliestUs), latest: toRfc3339(latestUs) }
}

export interface TimeContext {
  /** Epoch milliseconds. */
  readonly now: () => number
  readonly timeZone: string
}

/** The window that a request means, both ends from one clock reading. Throws AppError `invalid`. */
export function resolveWindow ({ earliest, latest }: { earliest?: TimeInput | undefined, latest?: TimeInput | undefined }, { now, timeZone }: TimeContext): Window {
  const nowMs = now()
  const resolve = (name: string, input: TimeInput | undefined, missing: number) => {
    if (input === undefined) return missing
    const timeUs = parseTimeText(String(input), nowMs, timeZone)
    if (timeUs === null || timeUs < ALL_TIME.earliestUs || timeUs > ALL_TIME.latestUs) {
      throw new AppError('invalid', `${name} is no time`, { errors: [{ pointer: `/${name}`, detail: 'is neither epoch seconds nor RFC 3339 nor a time modifier' }] })
    }
    return timeUs
  }
  const window = { earliestUs: resolve('earliest', earliest, ALL_TIME.earliestUs), latestUs: resolve('latest', latest, ALL_TIME.latestUs) }
  if (window.earliestUs > window.latestUs) {
    throw new AppError('invalid', 'earliest is after latest', { errors: [{ pointer: '/earliest', detail: 'is after latest' }] })
  }
  return window
}

/** When something ends that is to end at a time to come; epoch milliseconds. Throws AppError `invalid`. */
export function resolveExpiry (input: TimeInput, time: TimeContext, maxDays: number, name = 'expires_at'): number {
  const nowMs = time.now()
  const timeUs = parseTimeText(String(input), nowMs, time.timeZone)
  const expiresMs = timeUs === null ? NaN : Math.floor(timeUs / 1_000)
  const problem = Number.isNaN(expiresMs)
    ? 'is neither epoch seconds nor RFC 3339 nor a time modifier'
    : expiresMs <= nowMs ? 'is not in the future' : expiresMs > nowMs + maxDays * DAY_MS ? `is more than ${maxDays} days away` : null
  if (problem !== null) throw new AppError('invalid', `${name} ${problem}`, { errors: [{ pointer: '/expires_at', detail: problem }] })
  return expiresMs
}

export function limitOf ({ limit }: { limit?: string | undefined }): number {
  return limit === undefined ? 50 : Number(limit)
}

/** A cursor is the place behind an item, opaque to clients. */
export function toCursor (place: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(place)).toString('base64url')
}

/** Throws AppError `invalid` where the text is not what `toCursor` made for this list. */
export function readCursor<T extends z.ZodType> (cursor: string, place: T): z.infer<T> {
  try {
    return place.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    throw new AppError('invalid', 'the cursor is not one of this list', { cause, errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }] })
  }
}
