import { IANAZone } from 'luxon'
import { fractionUs, zoneMinutes } from '../event.js'

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** What a text says, piece by piece. */
interface Parts {
  year?: number
  month?: number
  day?: number
  dayOfYear?: number
  hour?: number
  hour12?: number
  isPm?: boolean
  minute?: number
  second?: number
  /** Fraction of a second, in microseconds. */
  micros?: number
  epoch?: number
  offsetMinutes?: number
}

/** How far a zone is east of Greenwich at a time. */
type OffsetMs = (timeMs: number) => number

interface Directive {
  readonly pattern: string
  readonly take: (parts: Parts, text: string) => void
}

/** Zones that %Z knows by name, in minutes east. */
const ZONES: Readonly<Record<string, number>> = { Z: 0, UTC: 0, GMT: 0, EST: -300, EDT: -240, CST: -360, CDT: -300, MST: -420, MDT: -360, PST: -480, PDT: -420 }

const DIRECTIVES: Readonly<Record<string, Directive>> = {
  '%%': literal('%'),
  '%a': { pattern: '[A-Za-z]{3,9}', take: () => {} },
  '%A': { pattern: '[A-Za-z]{3,9}', take: () => {} },
  '%b': monthName(),
  '%B': monthName(),
  '%d': number('\\d\\d|[ 0]?\\d', (parts, value) => { parts.day = value }),
  '%e': number('\\d\\d|[ 0]?\\d', (parts, value) => { parts.day = value }),
  '%F': { pattern: '\\d{4}-\\d\\d?-\\d\\d?', take: (parts, text) => { [parts.year, parts.month, parts.day] = text.split('-').map(Number) as [number, number, number] } },
  '%H': number('\\d\\d?', (parts, value) => { parts.hour = value }),
  '%I': number('\\d\\d?', (parts, value) => { parts.hour12 = value }),
  '%j': number('\\d{1,3}', (parts, value) => { parts.dayOfYear = value }),
  '%m': number('\\d\\d?', (parts, value) => { parts.month = value }),
  '%M': number('\\d\\d?', (parts, value) => { parts.minute = value }),
  '%p': { pattern: '[AaPp]\\.?[Mm]\\.?', take: (parts, text) => { parts.isPm = text.toLowerCase().startsWith('p') } },
  '%s': number('-?\\d{1,12}', (parts, value) => { parts.epoch = value }),
  '%S': number('\\d\\d?', (parts, value) => { parts.second = value }),
  '%T': { pattern: '\\d\\d?:\\d\\d?:\\d\\d?', take: (parts, text) => { [parts.hour, parts.minute, parts.second] = text.split(':').map(Number) as [number, number, number] } },
  '%y': number('\\d\\d', (parts, value) => { parts.year = value < 69 ? 2000 + value : 1900 + value }),
  '%Y': number('\\d{4}', (parts, value) => { parts.year = value }),
  '%z': { pattern: '[Zz]|[+-]\\d\\d:?\\d\\d', take: (parts, text) => { parts.offsetMinutes = zoneMinutes(text) } },
  '%Z': { pattern: Object.keys(ZONES).sort((a, b) => b.length - a.length).join('|'), take: (parts, text) => { parts.offsetMinutes = ZONES[text]! } },
}

/**
 * A function that reads epoch seconds, with their fraction, from a text in a format whose directives are known; null where the text doesn't
 * fit. What follows the last directive is ignored. A text without a zone is of `timeZone`; a text without a date is of the day of `nowMs`.
 * `.%Q`, `.%N` and the like may be missing in the text: container start times have no fraction (spl-semantics.md section 5).
 */
export function compileTimeParser (format: string, timeZone: string, nowMs: number): (text: string) => number | null {
  const zone = IANAZone.create(timeZone)
  const offsetMs: OffsetMs = timeZone === 'UTC' ? () => 0 : timeMs => zone.offset(timeMs) * 60_000 // which is slow
  const today = new Date(nowMs + offsetMs(nowMs))
  const takes: Directive['take'][] = []
  let pattern = '^\\s*'
  for (const [piece] of format.matchAll(/\.%\d?[NQ]|%\d?[^]|\s+|[^%\s.]+|\./gu)) {
    const subseconds = /^(\.?)%(\d?)([NQ])$/.exec(piece)
    if (subseconds !== null) {
      const [, dot, width, letter] = subseconds
      const digits = `(\\d{1,${width === '' ? (letter === 'N' ? 9 : 3) : width}})`
      pattern += dot === '' ? digits : `(?:\\.${digits})?`
      takes.push((parts, text) => { parts.micros = fractionUs(text) })
    } else if (piece.startsWith('%')) {
      pattern += `(${DIRECTIVES[piece]!.pattern})`
      takes.push(DIRECTIVES[piece]!.take)
    } else pattern += /^\s/.test(piece) ? '\\s*' : piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  }
  const expected = new RegExp(pattern)
  return text => {
    const found = expected.exec(text)
    if (found === null) return null
    const parts: Parts = {}
    takes.forEach((take, index) => {
      const piece = found[index + 1]
      if (piece !== undefined) take(parts, piece)
    })
    return toSeconds(parts, offsetMs, today)
  }
}

function toSeconds (parts: Parts, offsetMs: OffsetMs, today: Date): number | null {
  const { micros = 0, epoch, hour12, isPm, minute = 0, second = 0, offsetMinutes } = parts
  if (epoch !== undefined) return epoch + micros / 1e6
  const date = toDate(parts, today)
  const hour = hour12 === undefined ? parts.hour ?? 0 : hour12 % 12 + (isPm === true ? 12 : 0)
  if (date === null || hour > 23 || minute > 59 || second > 60 || (hour12 !== undefined && (hour12 < 1 || hour12 > 12))) return null
  const localMs = date + (hour * 3600 + minute * 60 + second) * 1000
  const offset = offsetMinutes === undefined ? offsetAt(localMs, offsetMs) : offsetMinutes * 60_000
  return ((localMs - offset) * 1000 + micros) / 1e6
}

/** Milliseconds of the day's start, as if it were UTC; null for a day that isn't in the calendar, and for one half said. */
function toDate ({ year, month, day, dayOfYear }: Parts, today: Date): number | null {
  if (dayOfYear !== undefined) {
    const of = year ?? today.getUTCFullYear()
    const time = Date.UTC(of, 0, dayOfYear)
    return dayOfYear >= 1 && new Date(time).getUTCFullYear() === of ? time : null
  }
  if (year === undefined && month === undefined && day === undefined) return Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate())
  if (month === undefined || day === undefined) return null
  const time = Date.UTC(year ?? today.getUTCFullYear(), month - 1, day)
  const date = new Date(time)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? time : null
}

/** The zone's offset at a wall clock; where the clock is turned back, the first time, where it is turned on, as before. */
function offsetAt (localMs: number, offsetMs: OffsetMs): number {
  const before = offsetMs(localMs - 86_400_000)
  const after = offsetMs(localMs + 86_400_000)
  if (before === after) return before
  const isAt = (offset: number) => offsetMs(localMs - offset) === offset
  return isAt(before) || !isAt(after) ? before : after
}

function number (pattern: string, take: (parts: Parts, value: number) => void): Directive {
  return { pattern, take: (parts, text) => take(parts, Number(text)) }
}

function literal (pattern: string): Directive {
  return { pattern, take: () => {} }
}

function monthName (): Directive {
  return { pattern: `(?:${MONTHS.map(name => [...name].map(letter => `[${letter}${letter.toUpperCase()}]`).join('')).join('|')})[a-z]{0,6}`, take: (parts, text) => { parts.month = MONTHS.indexOf(text.slice(0, 3).toLowerCase()) + 1 } }
}
