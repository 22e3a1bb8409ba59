import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { binSeconds } from '../../src/spl/stages/bin.js'

t.test('binSeconds is exact for every microsecond (R22)', async () => {
  const micros = fc.bigInt({ min: -4_000_000_000_000_000n, max: 4_000_000_000_000_000n })
  const spans = fc.oneof(fc.constantFrom(1, 60, 300, 3600, 86_400), fc.integer({ min: 1, max: 100_000 }))
  fc.assert(fc.property(micros, spans, (timeUs, span) => {
    const spanUs = BigInt(span) * 1_000_000n
    const into = ((timeUs % spanUs) + spanUs) % spanUs
    return binSeconds(Number(timeUs) / 1e6, span) === Number((timeUs - into) / 1_000_000n)
  }), { numRuns: 5_000 })
})

t.test('sums of fractions stay in their bin, on either side of an edge', async t => {
  t.equal(binSeconds(0.1 + 0.2, 0.3), 0.3)
  t.equal(binSeconds(1773140699.9999998, 300), 1773140700) // nearer to the edge than a microsecond
  t.equal(binSeconds(1773140699.999999, 300), 1773140400)
  t.equal(binSeconds(-0.000001, 300), -300)
  t.equal(Object.is(binSeconds(-0, 300), 0), true)
})

t.test('a number that is no time is binned as well as a double can', async t => {
  t.equal(binSeconds(1e300, 300), 1e300)
  t.equal(binSeconds(10_000_000_000, 3600), 9_999_997_200)
})
