import { IANAZone } from 'luxon'

/** What `convert` uses where the search gives no format (R70). */
export const DEFAULT_TIME_FORMAT = '%m/%d/%Y %H:%M:%S'

const MONTHS = ['January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December']
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

/** A moment, split up. `local` holds the wall clock of the zone in its UTC fields. */
interface Moment {
  readonly local: Date
  readonly seconds: number
  readonly micros: number
  readonly offsetMinutes: number
  readonly zone: IANAZone
}

type Part = string | ((moment: Moment) => string)

/** The directives of strftime that there are. Subseconds: `%N` is nanoseconds, `%Q` milliseconds, a digit between sets the width. */
export const TIME_DIRECTIVES: ReadonlyMap<string, (moment: Moment) => string> = new Map<string, (moment: Moment) => string>([
  ['%%', () => '%'],
  ['%a', ({ local }) => DAYS[local.getUTCDay()]!.slice(0, 3)],
  ['%A', ({ local }) => DAYS[local.getUTCDay()]!],
  ['%b', ({ local }) => MONTHS[local.getUTCMonth()]!.slice(0, 3)],
  ['%B', ({ local }) => MONTHS[local.getUTCMonth()]!],
  ['%d', ({ local }) => pad(local.getUTCDate())],
  ['%e', ({ local }) => pad(local.getUTCDate(), 2, ' ')],
  ['%F', moment => `${year(moment)}-${pad(moment.local.getUTCMonth() + 1)}-${pad(moment.local.getUTCDate())}`],
  ['%H', ({ local }) => pad(local.getUTCHours())],
  ['%I', ({ local }) => pad(local.getUTCHours() % 12 || 12)],
  ['%j', ({ local }) => pad((Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()) - Date.UTC(local.getUTCFullYear(), 0)) / 86_400_000 + 1, 3)],
  ['%m', ({ local }) => pad(local.getUTCMonth() + 1)],
  ['%M', ({ local }) => pad(local.getUTCMinutes())],
  ['%p', ({ local }) => local.getUTCHours() < 12 ? 'AM' : 'PM'],
  ['%s', ({ seconds }) => String(seconds)],
  ['%S', ({ local }) => pad(local.getUTCSeconds())],
  ['%T', ({ local }) => `${pad(local.getUTCHours())}:${pad(local.getUTCMinutes())}:${pad(local.getUTCSeconds())}`],
  ['%y', ({ local }) => pad(Math.abs(local.getUTCFullYear()) % 100)],
  ['%Y', year],
  ['%z', ({ offsetMinutes }) => toOffset(offsetMinutes)],
  ['%Z', ({ zone, seconds }) => zone.offsetName(seconds * 1000, { format: 'short', locale: 'en-US' }) ?? ''],
  ['%N', subseconds(9)],
  ['%Q', subseconds(3)],
  ...[3, 6, 9].flatMap(width => ['N', 'Q'].map(letter => [`%${width}${letter}`, subseconds(width)] as const)),
])

/** The pieces of a format; `unsupported` is the first directive that isn't known. */
export function parseTimeFormat (format: string): { parts: readonly Part[], unsupported: string | null } {
  const parts: Part[] = []
  for (const [piece] of format.matchAll(/[^%]+|%\d?[^]?/gu)) {
    const part = piece.startsWith('%') ? TIME_DIRECTIVES.get(piece) : piece
    if (part === undefined) return { parts, unsupported: piece }
    parts.push(part)
  }
  return { parts, unsupported: null }
}

/**
 * A function that writes epoch seconds as text in a time zone. Fractions are cut, not rounded. Null for a number outside
 * the calendar. Throws for a zone that doesn't exist and a format that isn't supported, which the parser has refused before.
 */
export function compileTimeFormat (format: string, timeZone: string): (seconds: number) => string | null {
  const { parts, unsupported } = parseTimeFormat(format)
  if (unsupported !== null) throw new RangeError(`Unsupported directive ${unsupported}`)
  const zone = IANAZone.create(timeZone)
  if (!zone.isValid) throw new RangeError(`Unknown time zone ${timeZone}`)
  return time => {
    const timeUs = Math.round(time * 1e6)
    const seconds = Math.floor(timeUs / 1e6)
    if (!(Math.abs(seconds) < 8.64e12 - 86_400)) return null // what a Date holds, less a day for the zone
    const offsetMinutes = timeZone === 'UTC' ? 0 : zone.offset(seconds * 1000) // which is slow
    const local = new Date((seconds + Math.round(offsetMinutes * 60)) * 1000)
    const moment = { local, seconds, micros: timeUs - seconds * 1e6, offsetMinutes, zone }
    return parts.map(part => typeof part === 'string' ? part : part(moment)).join('')
  }
}

function pad (number: number, width = 2, fill = '0'): string {
  return String(number).padStart(width, fill)
}

function year ({ local }: Moment): string {
  const number = local.getUTCFullYear()
  return (number < 0 ? '-' : '') + pad(Math.abs(number), 4)
}

function toOffset (minutes: number): string {
  const whole = Math.trunc(Math.abs(minutes))
  return (minutes < 0 ? '-' : '+') + pad(Math.floor(whole / 60)) + pad(whole % 60)
}

function subseconds (width: number): (moment: Moment) => string {
  return ({ micros }) => pad(micros, 6).padEnd(9, '0').slice(0, width)
}
