import { ALL_TIME, fractionUs } from '../event.js'

const SECONDS = /^\s*(-?)(\d{1,20})(?:\.(\d*))?\s*$/

/** Above these a number is no longer seconds, or milliseconds (hec.md 4.6, as Vector's source guesses). */
const FIRST_MILLISECONDS = 13_569_465_600
const FIRST_NANOSECONDS = 253_402_300_800_000

/**
 * Epoch microseconds of an envelope's `time` as it was written, so that no decimal is lost in a double; further decimals
 * are cut. Null where Splunk answers code 15: scientific notation, decimal commas, dates (hec.md 4.6); and outside the
 * years 0 to 9999, where no search would find the event.
 */
export function parseTime (text: string): number | null {
  const match = SECONDS.exec(text)
  if (match === null) return null
  const [, sign, whole, fraction = ''] = match as unknown as [string, string, string, string?]
  const micros = toMicros(whole, fraction)
  const timeUs = sign === '-' && micros !== 0 ? -micros : micros
  return timeUs >= ALL_TIME.earliestUs && timeUs < ALL_TIME.latestUs ? timeUs : null
}

/** Nanoseconds are cut as text: a double does not hold their 19 digits. */
function toMicros (text: string, fraction: string): number {
  const whole = Number(text)
  if (whole < FIRST_MILLISECONDS) return whole * 1_000_000 + fractionUs(fraction)
  if (whole < FIRST_NANOSECONDS) return whole * 1_000 + Math.floor(fractionUs(fraction) / 1_000)
  return Number(text.slice(0, -3))
}
