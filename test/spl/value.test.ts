import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { compareScalars, compareUtf8, toNumber, toText } from '../../src/spl/value.js'
import type { Scalar } from '../../src/spl/row.js'
import { anyText, anyScalar } from './arbitrary.js'

t.test('toNumber reads what looks like a number, and nothing else (R50)', async t => {
  const numbers: [Scalar, number][] = [
    ['0', 0], ['007', 7], ['-1.50', -1.5], ['+3', 3], ['.5', 0.5], ['5.', 5], ['1e3', 1000], ['1E-2', 0.01], ['1e+21', 1e21], [42, 42],
  ]
  const texts: Scalar[] = ['', ' ', ' 1', '1 ', '0x10', '1_000', '1,5', 'Infinity', '-Infinity', 'NaN', '1e', 'e1', '.', '-', '--1', '1e999', '١', '5m', '\n1', '1\n', Infinity, NaN]

  for (const [value, number] of numbers) t.equal(toNumber(value), number, `number: ${value}`)
  for (const value of texts) t.equal(toNumber(value), null, `no number: ${JSON.stringify(value)}`)
})

t.test('toText gives numbers their shortest exact form, which toNumber reads back', async t => {
  t.strictSame([1, -0, 0.1, 1e21, 1e-7, 1773140700.123456].map(toText), ['1', '0', '0.1', '1e+21', '1e-7', '1773140700.123456'])
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), number => toNumber(toText(number)) === (Object.is(number, -0) ? 0 : number)))
})

t.test('compareUtf8 orders text as its bytes are ordered (R36)', async t => {
  t.ok(compareUtf8('😀', '～') > 0)
  t.ok(compareUtf8('a\u{10000}', 'a\ue000') > 0)
  fc.assert(fc.property(anyText, anyText, anyText, (start, a, b) => {
    const bytes = Buffer.compare(Buffer.from(start + a), Buffer.from(start + b))
    return Math.sign(compareUtf8(start + a, start + b)) === bytes
  }), { numRuns: 2_000 })
})

t.test('compareScalars is a total order: numbers, then text (R38)', async t => {
  const sorted = ['x', 10, '9', 'X', '-1', '1.0', 1, '😀', '～', ''].sort(compareScalars)

  t.strictSame(sorted, ['-1', 1, '1.0', '9', 10, '', 'X', 'x', '～', '😀'])
  fc.assert(fc.property(anyScalar, anyScalar, anyScalar, (a, b, c) => {
    const isReversible = Math.sign(compareScalars(a, b)) === 0 - Math.sign(compareScalars(b, a))
    const isTransitive = !(compareScalars(a, b) <= 0 && compareScalars(b, c) <= 0) || compareScalars(a, c) <= 0
    const isExact = (compareScalars(a, b) === 0) === (toText(a) === toText(b))
    return isReversible && isTransitive && isExact
  }), { numRuns: 5_000 })
})
