import { ALL_TIME, fractionUs, zoneMinutes } from '../event.js'

/** The members of a JSON event that say when it was, the first that has a time: Tetragon's (isovalent-events.md section 1), then common ones. */
export const TIME_MEMBERS = ['time', '_time', '@timestamp', 'timestamp'] as const

/** How far into a text a time is looked for: Splunk's MAX_TIMESTAMP_LOOKAHEAD. */
const LOOK_AHEAD = 128

const RFC_3339 = /(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\d*(?: ?([Zz]|[+-]\d\d:?\d\d))?/
const EPOCH = /^\s*(\d{10})(?:[.,](\d{1,9})\d*)?(?![\d.])/
const EPOCH_MILLISECONDS = /^\s*(\d{13})(?!\d)/

/**
 * When an event says that it was, in epoch microseconds: a JSON event by its time member, any other text, and JSON without such a
 * member, by a date and time of ISO 8601 in its first 128 characters or epoch seconds or milliseconds at its beginning. Without
 * a zone it is UTC. Null where it says nothing; times before 1970, and those that no search finds, are none.
 */
export function ownTime (payload: object | null, raw: () => string): number | null {
  if (payload !== null) {
    for (const name of TIME_MEMBERS) {
      const value = Object.hasOwn(payload, name) ? (payload as Record<string, unknown>)[name] : undefined
      if (typeof value !== 'string' && typeof value !== 'number') continue
      const timeUs = parseOwnTime(String(value))
      if (timeUs !== null) return timeUs
    }
  }
  return parseOwnTime(raw().slice(0, LOOK_AHEAD))
}

function parseOwnTime (text: string): number | null {
  const seconds = EPOCH.exec(text)
  if (seconds !== null) return Number(seconds[1]) * 1_000_000 + fractionUs(seconds[2])
  const milliseconds = EPOCH_MILLISECONDS.exec(text)
  if (milliseconds !== null) return Number(milliseconds[1]) * 1_000
  const date = RFC_3339.exec(text)
  if (date === null) return null
  const [, day, clock, fraction, zone = 'Z'] = date as unknown as [string, string, string, string?, string?]
  const ms = Date.parse(`${day}T${clock}Z`)
  // Date takes a 30th of February for a day of March.
  if (!Number.isFinite(ms) || new Date(ms).toISOString().slice(0, 10) !== day) return null
  const timeUs = (ms - zoneMinutes(zone) * 60_000) * 1_000 + fractionUs(fraction)
  return timeUs >= 0 && timeUs < ALL_TIME.latestUs ? timeUs : null
}
