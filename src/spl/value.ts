import type { Scalar, Value } from './row.js'

/** What a number looks like as text (R50): decimal, no blanks, no hexadecimal, no Infinity. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

/** The text by which values are told apart, matched and shown; of a number its shortest exact decimal form. */
export function toText (value: Scalar): string {
  return typeof value === 'string' ? value : String(value)
}

/** One key for values that are told apart by their text; the lengths keep ("a", "bc") and ("ab", "c") apart. */
export function toKey (scalars: readonly Scalar[]): string {
  let key = ''
  for (const scalar of scalars) {
    const text = toText(scalar)
    key += `${text.length}:${text}`
  }
  return key
}

/** The number that a value is or looks like (R50), else null. Never NaN or infinite. */
export function toNumber (value: Scalar): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  const first = value.charCodeAt(0)
  if (first > 0x39 || value.length === 0) return null // above "9": no number begins so, most text does
  if (!NUMBER.test(value)) return null
  const number = Number(value)
  return Number.isFinite(number) ? number : null
}

/** A value as a list; of a missing field an empty one. */
export function toScalars (value: Value | undefined): readonly Scalar[] {
  if (value === undefined) return []
  return isMultivalue(value) ? value : [value]
}

/** Lists of one value of each of the choices, all of them but `max` at most; the first choice changes fastest. */
export function * combinations (choices: readonly (readonly Scalar[])[], max: number): Generator<Scalar[]> {
  const total = choices.reduce((product, choice) => product * choice.length, 1)
  for (let n = 0; n < Math.min(total, max); n++) {
    let rest = n
    yield choices.map(choice => {
      const value = choice[rest % choice.length]!
      rest = Math.floor(rest / choice.length)
      return value
    })
  }
}

/** A list as a field's value: of one element that element, of none no value. */
export function toValue (scalars: readonly Scalar[]): Value | undefined {
  return scalars.length > 1 ? scalars : scalars[0]
}

/** Applies `change` to a value, or to each value of a multivalue. */
export function mapValue (value: Value, change: (scalar: Scalar) => Scalar): Value {
  return isMultivalue(value) ? value.map(change) : change(value)
}

export function isMultivalue (value: Value): value is readonly Scalar[] {
  return typeof value === 'object'
}

/** Orders well-formed text as its UTF-8 bytes order it (R36). */
export function compareUtf8 (a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    // UTF-16 puts surrogates (code points above U+FFFF) before U+E000–U+FFFF, UTF-8 after them.
    if (x >= 0xd800 && y >= 0xd800 && isSurrogate(x) !== isSurrogate(y)) return isSurrogate(x) ? 1 : -1
    return x - y
  }
  return a.length - b.length
}

function isSurrogate (unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

/**
 * A total order of values, as min and max see them (R38): what looks like a number comes first, numerically; text follows in
 * UTF-8 order. Equal numbers of different text are ordered by their text, so that a result never hangs on the order of events.
 */
export function compareScalars (a: Scalar, b: Scalar): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const x = toNumber(a)
  const y = toNumber(b)
  if (x !== null && y !== null && x !== y) return x - y
  if ((x === null) !== (y === null)) return x === null ? 1 : -1
  return compareUtf8(toText(a), toText(b))
}
