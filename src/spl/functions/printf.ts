import type { Result } from './function.js'
import { asNumber, asText } from './function.js'

/** A conversion of printf; `*` is a width or precision that is an argument. */
interface Conversion {
  readonly flags: string
  readonly width: number | '*' | null
  readonly precision: number | '*' | null
  readonly letter: string
}

export type FormatPart = string | Conversion

/** Widest that a conversion may pad, and most digits behind the point. */
const MAX_WIDTH = 1_000
const MAX_DIGITS = 100

/** The parts of a format of printf, or the first conversion that isn't known. */
export function parseFormat (format: string): readonly FormatPart[] | string {
  const parts: FormatPart[] = []
  for (const [whole, flags, width, precision, letter] of format.matchAll(/%%|%([-+ #0']*)(\d+|\*)?(?:\.(\d*|\*))?([a-zA-Z])|%|[^%]+/g)) {
    if (whole === '%%') parts.push('%')
    else if (letter !== undefined && 'diouxXcsfFeEgGaA'.includes(letter)) {
      if (letter === 'a' || letter === 'A') return whole
      parts.push({ flags: flags!, width: toCount(width), precision: precision === '' ? 0 : toCount(precision), letter })
    } else if (whole.startsWith('%')) return whole
    else parts.push(whole)
  }
  return parts
}

function toCount (text: string | undefined): number | '*' | null {
  return text === undefined ? null : text === '*' ? '*' : Math.min(Number(text), MAX_WIDTH)
}

/** As printf(3) has it. An argument that is missing, null or of the wrong kind counts as 0 or as no text. */
export function formatText (parts: readonly FormatPart[], args: readonly Result[]): string {
  let next = 0
  const count = (given: number | '*' | null) => given === '*' ? Math.max(-MAX_WIDTH, Math.min(MAX_WIDTH, Math.trunc(asNumber(args[next++]) ?? 0))) : given
  return parts.map(part => {
    if (typeof part === 'string') return part
    const width = count(part.width) ?? 0
    const precision = count(part.precision)
    const flags = width < 0 ? part.flags + '-' : part.flags
    return pad(convert(args[next++], flags, precision !== null && precision < 0 ? null : precision, part.letter), Math.abs(width), flags, part.letter)
  }).join('')
}

function convert (argument: Result, flags: string, precision: number | null, letter: string): string {
  if (letter === 's') return [...asText(argument) ?? ''].slice(0, precision ?? Infinity).join('')
  if (letter === 'c') return [...asText(argument) ?? ''][0] ?? ''
  const number = asNumber(argument) ?? 0
  const digits = digitsOf(Math.abs(number), flags, precision, letter)
  const sign = number < 0 ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : ''
  return ('ouxX'.includes(letter) ? (number < 0 ? '-' : '') : sign) + digits
}

function digitsOf (number: number, flags: string, precision: number | null, letter: string): string {
  const places = Math.min(precision ?? 6, MAX_DIGITS)
  const isHash = flags.includes('#')
  const whole = (radix: number) => BigInt(Math.trunc(number)).toString(radix).padStart(precision ?? 1, '0')
  switch (letter) {
    case 'd': case 'i': case 'u': return flags.includes("'") ? whole(10).replace(/\B(?=(?:\d{3})+$)/g, ',') : whole(10)
    case 'o': return (isHash ? '0' : '') + whole(8)
    case 'x': return (isHash ? '0x' : '') + whole(16)
    case 'X': return (isHash ? '0X' : '') + whole(16).toUpperCase()
    case 'e': case 'E': return withCase(toExponent(number.toExponential(places)), letter)
    case 'g': case 'G': return withCase(general(number, places === 0 ? 1 : places, isHash), letter)
    default: {
      const text = number < 1e21 ? number.toFixed(places) : `${BigInt(number)}${places > 0 ? '.' + '0'.repeat(places) : ''}`
      return flags.includes("'") ? text.replace(/^\d+/, digits => digits.replace(/\B(?=(?:\d{3})+$)/g, ',')) : text
    }
  }
}

/** The shorter of the two forms, without zeros at its end. */
function general (number: number, significant: number, keepZeros: boolean): string {
  const exponent = number === 0 ? 0 : Number(number.toExponential(significant - 1).split('e')[1])
  const text = exponent < -4 || exponent >= significant
    ? toExponent(number.toExponential(significant - 1))
    : number.toFixed(Math.min(MAX_DIGITS, significant - 1 - exponent))
  return keepZeros || !text.includes('.') ? text : text.replace(/\.?0+(?=e|$)/, '')
}

/** The exponent has two digits at least. */
function toExponent (text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

function withCase (text: string, letter: string): string {
  return letter === letter.toUpperCase() ? text.toUpperCase() : text
}

function pad (text: string, width: number, flags: string, letter: string): string {
  const length = [...text].length
  if (length >= width) return text
  const fill = width - length
  if (flags.includes('-')) return text + ' '.repeat(fill)
  if (!flags.includes('0') || letter === 's' || letter === 'c') return ' '.repeat(fill) + text
  const sign = /^[+\- ]?(?:0[xX])?/.exec(text)![0]
  return sign + '0'.repeat(fill) + text.slice(sign.length)
}
