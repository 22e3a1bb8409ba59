import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { parseTime } from '../../src/envelope/time.js'

type Case = readonly [text: string, timeUs: number | null]

/** hec.md 4.6: seconds, then by size milliseconds and nanoseconds; null is code 15. */
const CASES: readonly Case[] = [
  ['0', 0],
  ['-0', 0],
  ['-0.0000001', 0],
  ['1433188255', 1433188255_000000],
  ['1433188255.5', 1433188255_500000],
  ['1433188255.500', 1433188255_500000],
  ['1433188255.123456', 1433188255_123456],
  ['1433188255.1234569', 1433188255_123456],
  ['1433188255.000001', 1433188255_000001],
  ['1433188255.', 1433188255_000000],
  [' 1433188255 ', 1433188255_000000],
  ['0001433188255', 1433188255_000000],
  ['-1.5', -1_500000],
  ['-1.000001', -1_000001],
  ['13569465599', 13569465599_000000],
  ['9007199254.740991', 9007199254_740991],
  ['13569465600', 13569465600_000],
  ['1433188255123', 1433188255_123000],
  ['1433188255123.456', 1433188255_123456],
  ['1433188255123.4569', 1433188255_123456],
  ['253402300798999', 253402300798_999 * 1000],
  ['253402300799999', null],
  ['253402300800000', 253402300_800],
  ['1433188255123456', 1433188255_123],
  ['1433188255123456789', 1433188255_123456],
  ['1433188255123456789.9', 1433188255_123456],
  ['1e9', null],
  ['1.75248e9', null],
  ['1.75248E9', null],
  ['1433188255,5', null],
  ['2026-03-10T11:05:10Z', null],
  ['now', null],
  ['', null],
  [' ', null],
  ['.5', null],
  ['-', null],
  ['+1', null],
  ['--1', null],
  ['1 2', null],
  ['0x10', null],
  ['1_000', null],
  ['Infinity', null],
  ['NaN', null],
  ['\u0661', null],
  ['100000000000000000000', null],
  ['99999999999999999999', 1e17],
  ['-62167219200000', -62167219200_000000],
  ['-62167219200001', null],
  ['-253402300799999', null],
]

t.test('a time is read from its text, by Splunk\'s rules and by its size', async t => {
  for (const [text, timeUs] of CASES) t.equal(parseTime(text), timeUs, JSON.stringify(text))
})

t.test('no microsecond is lost, whichever unit a time comes in', async () => {
  const times = fc.bigInt({ min: 300_000_000n * 1_000_000n, max: 9_000_000_000n * 1_000_000n })
  fc.assert(fc.property(times, fc.integer({ min: 0, max: 999 }), (micros, nanos) => {
    const padded = (value: bigint, digits: number) => String(value).padStart(digits, '0')
    const seconds = `${micros / 1_000_000n}.${padded(micros % 1_000_000n, 6)}`
    const nanoseconds = `${micros}${padded(BigInt(nanos), 3)}`
    const milliseconds = `${micros / 1_000n}.${padded(micros % 1_000n, 3)}`
    assert.equal(parseTime(seconds), Number(micros))
    assert.equal(parseTime(`-${seconds}`), -Number(micros))
    assert.equal(parseTime(nanoseconds), Number(micros))
    if (micros >= 13_569_465_600_000n * 1_000n) assert.equal(parseTime(milliseconds), Number(micros))
  }), { numRuns: 300 })
})
