import assert from 'node:assert/strict'
import t from 'tap'
import { openTuples } from '../../src/store/sqlite/tuples.js'
import fc from '../fixtures/fast-check.js'

t.test('tuples are numbered in the order in which they come, whatever the seed', async () => {
  const number = fc.oneof(fc.nat(5), fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.integer({ min: 0, max: 0xffff_ffff }))
  fc.assert(fc.property(fc.nat(4).chain(width => fc.tuple(fc.constant(width), fc.array(fc.array(number, { minLength: width, maxLength: width }), { maxLength: 300 }))), fc.integer({ min: 0, max: 0xffff_ffff }), ([width, all], seed) => {
    const tuples = openTuples(width, seed)
    const known = new Map<string, number>()

    for (const tuple of all) {
      const key = tuple.join()
      if (!known.has(key)) known.set(key, known.size)
      const number = tuples.numberOf(Uint32Array.from(tuple))
      assert.equal(number, known.get(key))
      assert.deepEqual(tuple.map((_, place) => tuples.valueAt(number, place)), tuple)
    }
    assert.equal(tuples.count, known.size)
  }), { numRuns: 500 })
})

t.test('many of them are still told apart', async t => {
  const tuples = openTuples(2)
  const tuple = new Uint32Array(2)
  const numberOf = (i: number) => {
    tuple.set([i % 317, Math.floor(i / 317)])
    return tuples.numberOf(tuple)
  }
  const all = Array.from({ length: 100_000 }, (_, i) => i)
  t.ok(all.every(i => numberOf(i) === i), 'each is another one')
  t.ok(all.every(i => numberOf(i) === i), 'each is known')
  t.equal(tuples.count, 100_000)
})
