export type { Event } from './event-schema.js'

/** Splunk's four, resolved: no event is without them. */
export interface Metadata {
  readonly host: string
  readonly source: string
  readonly sourcetype: string
  readonly index: string
}

/** A stretch of event time, earliest inclusive, latest exclusive (spl-semantics.md R80); epoch microseconds. */
export interface Window { readonly earliestUs: number, readonly latestUs: number }

/** Epoch microseconds as epoch seconds. Exact to the microsecond until the year 2255. */
export function toSeconds (timeUs: number): number {
  return timeUs / 1_000_000
}

/** Epoch seconds as whole epoch microseconds. */
export function toMicroseconds (seconds: number): number {
  return Math.round(seconds * 1_000_000)
}

/**
 * A field's value of an event or a result. Event fields are text, or a number where the JSON had a safe integer;
 * eval and stats give numbers. Splunk sees no difference between 42 and "42" (spl-semantics.md R50), so whatever
 * tells values apart (dc, values, BY) compares their text.
 */
export type Scalar = string | number

/** A multivalue holds at least two values: with one it is that value, with none the field is missing. */
export type Value = Scalar | readonly Scalar[]

/** Deeper JSON is refused: `JSON.parse` takes a million levels, but what reads the event later would overflow. */
export const MAX_JSON_DEPTH = 256

/** The decimals of a second as microseconds; what is finer is cut. */
export function fractionUs (decimals = ''): number {
  return Number(decimals.slice(0, 6).padEnd(6, '0'))
}

/** The minutes east of Greenwich of `Z`, `+01:00` or `+0100`. */
export function zoneMinutes (zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
  return zone.startsWith('-') ? -minutes : minutes
}

/** A time in replies: RFC 3339 in UTC, with microseconds where it has some. */
export function toRfc3339 (timeUs: number): string {
  const iso = new Date(Math.floor(timeUs / 1000)).toISOString()
  const micros = ((timeUs % 1000) + 1000) % 1000
  return micros === 0 ? iso : `${iso.slice(0, -1)}${String(micros).padStart(3, '0')}Z`
}

/** All event time that RFC 3339 can show: the years 0 to 9999, but for the last second. */
export const ALL_TIME: Window = { earliestUs: -62_167_219_200_000_000, latestUs: 253_402_300_799_000_000 }
