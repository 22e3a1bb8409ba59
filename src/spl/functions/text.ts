import { createHash } from 'node:crypto'
import type { Expr } from '../ast.js'
import { quote } from '../errors.js'
import { compileRegex, RegexError } from '../regex.js'
import type { Regex } from '../regex.js'
import { isMultivalue } from '../value.js'
import { formatText, parseFormat } from './printf.js'
import type { EvalContext, EvalFunction, Fault, FunctionTable } from './function.js'
import { anyValue, asNumber, asText, cut, literalText, MAX_TEXT, MAX_VALUES, ofText, perValue, prepared, toFinite, toResult } from './function.js'

/** Characters that trim takes away unless it is told others. */
const BLANKS = ' \t'

/** Functions of text (spl-semantics.md section 5). */
export const TEXT_FUNCTIONS: FunctionTable = [
  ['len', {
    arity: [1, 1],
    gives: 'value',
    compile: ([x]) => fields => {
      const text = asText(x!(fields))
      return text === null ? undefined : countCharacters(text)
    },
  }],
  ['lower', ofText(text => cut(text.toLowerCase()))],
  ['ltrim', trimming('start')],
  ['match', {
    arity: [2, 2],
    gives: 'condition',
    check: exprs => checkRegex(exprs, 1),
    compile: ([x, pattern], context, exprs) => {
      const regexOf = prepared(pattern!, exprs[1], text => toRegex(text, context))
      return anyValue(x!, fields => regexOf(fields)?.test ?? null)
    },
  }],
  ['md5', hashing('md5')],
  ['printf', {
    arity: [1, Infinity],
    gives: 'value',
    check: ([format]) => {
      const text = literalText(format)
      const parsed = text === null ? null : parseFormat(text)
      return parsed === null || typeof parsed !== 'string' ? null : { argument: 0, detail: `The conversion ${quote(parsed)} isn't supported in printf` }
    },
    compile: ([format, ...args], _, [expr]) => {
      const partsOf = prepared(format!, expr, text => {
        const parts = parseFormat(text)
        return typeof parts === 'string' ? null : parts
      })
      return fields => {
        const parts = partsOf(fields)
        return parts === null ? undefined : cut(formatText(parts, args.map(arg => arg(fields))))
      }
    },
  }],
  ['replace', {
    arity: [3, 3],
    gives: 'value',
    check: exprs => checkRegex(exprs, 1),
    compile: ([x, pattern, replacement], context, exprs) => {
      const regexOf = prepared(pattern!, exprs[1], text => toRegex(text, context))
      const templateOf = prepared(replacement!, exprs[2], parseReplacement)
      return perValue(x!, fields => {
        const regex = regexOf(fields)
        const template = templateOf(fields)
        return regex === null || template === null ? null : text => replaceMatches(text, regex, template) ?? cut(text)
      })
    },
  }],
  ['rtrim', trimming('end')],
  ['sha1', hashing('sha1')],
  ['sha256', hashing('sha256')],
  ['sha512', hashing('sha512')],
  ['split', {
    arity: [2, 2],
    gives: 'value',
    compile: ([x, separator]) => fields => {
      const text = asText(x!(fields))
      const border = asText(separator!(fields))
      if (text === null || border === null) return undefined
      return toResult(border === '' ? [...text] : text.split(border, MAX_VALUES))
    },
  }],
  ['substr', {
    arity: [2, 3],
    gives: 'value',
    compile: ([x, start, length]) => perValue(x!, fields => {
      const from = asNumber(start!(fields))
      const count = length === undefined ? Infinity : asNumber(length(fields))
      return from === null || count === null ? null : text => slice(text, Math.trunc(from), Math.trunc(count))
    }),
  }],
  ['tonumber', {
    arity: [1, 2],
    gives: 'value',
    compile: ([x, base]) => perValue(x!, fields => {
      const radix = base === undefined ? 10 : asNumber(base(fields))
      return radix === null || !Number.isInteger(radix) || radix < 2 || radix > 36 ? null : text => parseNumber(text.trim(), radix)
    }),
  }],
  ['tostring', {
    arity: [1, 2],
    gives: 'value',
    takes: index => index === 0 ? 'any' : 'value',
    check: ([, format]) => {
      const text = literalText(format)
      return text === null || Object.hasOwn(NUMBER_FORMATS, text) ? null : { argument: 1, detail: `Expected "hex", "commas", "duration" or "binary", found ${quote(text)}` }
    },
    compile: ([x, format]) => fields => {
      const result = x!(fields)
      if (typeof result === 'boolean') return result ? 'True' : 'False'
      if (result === undefined || isMultivalue(result)) return result
      const name = format === undefined ? null : asText(format(fields))
      const number = asNumber(result)
      if (name === null || number === null || !Object.hasOwn(NUMBER_FORMATS, name)) return asText(result) ?? undefined
      return NUMBER_FORMATS[name]!(number)
    },
  }],
  ['trim', trimming('both')],
  ['upper', ofText(text => cut(text.toUpperCase()))],
  ['urldecode', ofText(decodeUrl)],
]

/** What is wrong with a pattern that is a literal. */
export function checkRegex (exprs: readonly Expr[], argument: number): Fault | null {
  const text = literalText(exprs[argument])
  if (text === null) return null
  try {
    compileRegex(text)
    return null
  } catch (error) {
    if (error instanceof RegexError) return { argument, detail: `${error.detail} (in a regular expression)`, offset: error.offset }
    throw error
  }
}

/** Null for a pattern that is none, which only a computed one can be. */
export function toRegex (pattern: string, context: EvalContext): Regex | null {
  try {
    return compileRegex(pattern, () => context.warn(`A text took too many steps for the regular expression ${quote(pattern)}, and counts as no match`))
  } catch (error) {
    if (error instanceof RegexError) return null
    throw error
  }
}

/** A replacement's text and the groups in it: `\1`; a backslash before another backslash stands for itself. */
function parseReplacement (text: string): (string | number)[] {
  return [...text.matchAll(/\\(\d{1,2})|\\(\\)|(?:[^\\]|\\(?![\d\\]))+/g)].map(([whole, group, backslash]) => group === undefined ? backslash ?? whole : Number(group))
}

/**
 * A text with all its matches replaced, or with the one of that number (from 1); a number in the template is a group. Null where nothing is
 * replaced. As long as a text may be.
 */
export function replaceMatches (text: string, regex: Regex, template: readonly (string | number)[], which: number | 'all' = 'all'): string | null {
  let replaced = ''
  let from = 0
  let number = 0
  let isReplaced = false
  for (const { start, end, groups } of regex.matches(text)) {
    if (which !== 'all' && ++number < which) continue
    replaced += text.slice(from, start)
    for (const piece of template) replaced += typeof piece === 'string' ? piece : groups[piece] ?? ''
    from = end
    isReplaced = true
    if (which !== 'all' || replaced.length > MAX_TEXT) break
  }
  return isReplaced ? cut(replaced + text.slice(from)) : null
}

function countCharacters (text: string): number {
  let count = 0
  for (let at = 0; at < text.length; at += text.codePointAt(at)! > 0xffff ? 2 : 1) count++
  return count
}

/** As SQLite's: the first character is 1, negative places count from the end, and before the first one there is nothing. */
function slice (text: string, start: number, length: number): string {
  const characters = /[\ud800-\udfff]/.test(text) ? [...text] : text
  let from = start > 0 ? start - 1 : start < 0 ? characters.length + start : -1
  let to = from + (start === 0 && length === Infinity ? Infinity : length)
  if (length < 0) [from, to] = [from + length, from]
  const piece = characters.slice(Math.max(0, from), Math.max(0, to))
  return typeof piece === 'string' ? piece : piece.join('')
}

function trimming (side: 'start' | 'end' | 'both'): EvalFunction {
  return {
    arity: [1, 2],
    gives: 'value',
    compile: ([x, characters]) => perValue(x!, fields => {
      const set = characters === undefined ? BLANKS : asText(characters(fields))
      if (set === null) return null
      const unwanted = new Set(set)
      return text => {
        const pieces = [...text]
        let [from, to] = [0, pieces.length]
        if (side !== 'end') while (from < to && unwanted.has(pieces[from]!)) from++
        if (side !== 'start') while (to > from && unwanted.has(pieces[to - 1]!)) to--
        return pieces.slice(from, to).join('')
      }
    }),
  }
}

function hashing (algorithm: string): EvalFunction {
  return ofText(text => createHash(algorithm).update(text).digest('hex'))
}

/** Whole numbers of another base, with 0x before hexadecimal ones if they like; of base 10 what looks like a number (R50). */
function parseNumber (text: string, radix: number): number | undefined {
  if (radix === 10) return toFinite(asNumber(text) ?? NaN)
  const [, sign, digits] = /^([+-]?)(?:0[xX](?=.))?([\da-z]+)$/i.exec(radix === 16 ? text : text.replace(/^([+-]?)0[xX]/, '$1_')) ?? []
  if (digits === undefined || [...digits].some(digit => Number.isNaN(parseInt(digit, radix)))) return undefined
  const number = parseInt(digits, radix)
  return Number.isFinite(number) ? (sign === '-' ? 0 - number : number) : undefined
}

/** What the second argument of tostring may be. */
const NUMBER_FORMATS: Readonly<Record<string, (number: number) => string>> = {
  binary: number => Math.trunc(number).toString(2),
  commas: number => {
    const rounded = Math.round(Math.abs(number) * 100) / 100
    const [whole = '', fraction] = (Number.isInteger(number) ? String(Math.abs(number)) : rounded.toFixed(2)).split('.')
    if (whole.includes('e')) return String(number)
    return (number < 0 ? '-' : '') + whole.replace(/\B(?=(?:\d{3})+$)/g, ',') + (fraction === undefined ? '' : `.${fraction}`)
  },
  duration: number => {
    const micros = Math.round(Math.abs(number) * 1e6)
    const seconds = Math.floor(micros / 1e6)
    const pad = (value: number, width = 2) => String(value).padStart(width, '0')
    const days = Math.floor(seconds / 86_400)
    const fraction = micros % 1e6
    return (number < 0 ? '-' : '') + (days > 0 ? `${days}+` : '') +
      [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(part => pad(part)).join(':') +
      (fraction > 0 ? `.${pad(fraction, 6)}` : '')
  },
  hex: number => `${number < 0 ? '-' : ''}0x${Math.trunc(Math.abs(number)).toString(16).toUpperCase()}`,
}

/** %XX as bytes of UTF-8; a percent sign without two digits stays. */
function decodeUrl (text: string): string {
  return text.replace(/(?:%[\da-f]{2})+/gi, run => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'))
}
