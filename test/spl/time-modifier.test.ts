import t from 'tap'
import { parseTimeModifier, parseTimeText } from '../../src/spl/time-modifier.js'

const now = Date.parse('2026-03-10T12:34:56Z') // a Tuesday

const MODIFIERS: readonly [string, string | null][] = [
  ['now', '2026-03-10T12:34:56.000Z'],
  ['-70m@m', '2026-03-10T11:24:00.000Z'], // R81
  ['-10m@m', '2026-03-10T12:24:00.000Z'],
  ['+1d', '2026-03-11T12:34:56.000Z'],
  ['-h', '2026-03-10T11:34:56.000Z'],
  ['@h', '2026-03-10T12:00:00.000Z'],
  ['@d', '2026-03-10T00:00:00.000Z'],
  ['-1d@d', '2026-03-09T00:00:00.000Z'],
  ['@w0', '2026-03-08T00:00:00.000Z'],
  ['@w1', '2026-03-09T00:00:00.000Z'],
  ['@w7', '2026-03-08T00:00:00.000Z'],
  ['@w', '2026-03-08T00:00:00.000Z'],
  ['-1mon@mon-7d+12h', '2026-01-25T12:00:00.000Z'],
  ['@q', '2026-01-01T00:00:00.000Z'],
  ['-1y@y', '2025-01-01T00:00:00.000Z'],
  ['now-30s', '2026-03-10T12:34:26.000Z'],
  ['-5minutes@minute', '2026-03-10T12:29:00.000Z'],
  ['', null], ['-', null], ['@', null], ['5m', null], ['-5', null], ['-5parsecs', null], ['-5m@m!', null], ['@w8', null], ['-1constructor', null],
  ['@toString', null], [' now', '2026-03-10T12:34:56.000Z'], ['-99999999999999m', null], ['-999999999y', null], ['x'.repeat(10_000), null],
]

t.test('time modifiers offset and snap from left to right (R81)', async t => {
  for (const [text, expected] of MODIFIERS) {
    const time = parseTimeModifier(text, now, 'UTC')
    t.equal(time === null ? null : new Date(time).toISOString(), expected, text.slice(0, 30))
  }
})

t.test('days and longer snap in the zone, hours and shorter on the time line', async t => {
  const iso = (text: string, at: string, zone: string) => new Date(parseTimeModifier(text, Date.parse(at), zone)!).toISOString()
  t.equal(iso('@d', '2026-03-10T12:00:00Z', 'Asia/Kolkata'), '2026-03-09T18:30:00.000Z')
  t.equal(iso('@d', '2026-10-25T12:00:00Z', 'Europe/Berlin'), '2026-10-24T22:00:00.000Z')
  t.equal(iso('-1d', '2026-10-25T12:00:00Z', 'Europe/Berlin'), '2026-10-24T11:00:00.000Z', 'a day back is the same time of day')
  t.equal(iso('@h', '2026-10-25T01:30:00Z', 'Europe/Berlin'), '2026-10-25T01:00:00.000Z', 'the second of the two hours stays the second')
  t.equal(iso('-70m@m', '2026-10-25T02:00:00Z', 'Europe/Berlin'), '2026-10-25T00:50:00.000Z')
})

const TEXTS: readonly [string, number | null][] = [
  ['0', 0],
  ['1773140700', 1773140700_000000],
  ['1773140700.123456', 1773140700_123456],
  ['1773140700.1234567', 1773140700_123456],
  ['-1.5', -1_500000],
  ['2026-03-10T11:05:00Z', 1773140700_000000],
  ['2026-03-10t11:05:00.000001z', 1773140700_000001],
  ['2026-03-10T12:05:00+01:00', 1773140700_000000],
  ['-1h@h', Date.parse('2026-03-10T11:00:00Z') * 1000],
  ['2026-02-30T00:00:00Z', null], ['2026-03-10', null], ['1e9', null], ['soon', null], ['', null],
]

t.test('times in requests are epoch seconds, RFC 3339 or time modifiers', async t => {
  for (const [text, expected] of TEXTS) t.equal(parseTimeText(text, now, 'UTC'), expected, text)
})
