import type { Scalar } from './row.js'
import { compareUtf8, toNumber, toText } from './value.js'

/** The order in eval and where: numerically if both look like numbers (R50), else as text, case-sensitively (R52), in UTF-8 order. */
export function compare (a: Scalar, b: Scalar): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const x = toNumber(a)
  const y = x === null ? null : toNumber(b)
  return x === null || y === null ? compareUtf8(toText(a), toText(b)) : x - y
}
