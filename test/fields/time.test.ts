import t from 'tap'
import { ownTime } from '../../src/fields/time.js'

const SECOND = 1773140710 // 2026-03-10T11:05:10Z
const US = SECOND * 1_000_000

const TEXTS: readonly (readonly [text: string, timeUs: number | null])[] = [
  ['2026-03-10T11:05:10Z', US],
  ['2026-03-10T11:05:10.123456789Z', US + 123_456],
  ['2026-03-10 11:05:10,5', US + 500_000],
  ['2026-03-10t12:05:10.25+01:00 text', US + 250_000],
  ['2026-03-10T06:35:10-0430', US],
  ['level=info ts=2026-03-10T11:05:10Z', US],
  [`${' '.repeat(108)}2026-03-10T11:05:10Z`, US],
  [`${' '.repeat(120)}2026-03-10T11:05:10Z`, null],
  ['1773140710', US],
  ['1773140710.5 x', US + 500_000],
  ['1773140710.1234567890123 x', US + 123_456],
  ['1773140710123', US + 123_000],
  ['[1773140710] not at the beginning', null],
  ['17731407101', null],
  ['1773140710.1.2', null],
  ['2026-02-30T11:05:10Z', null],
  ['2026-13-10T11:05:10Z', null],
  ['2026-03-10T24:05:10Z', null],
  ['1969-12-31T23:59:59Z', null],
  ['9999-12-31T23:59:59Z', null],
  ['9999-12-31T23:59:58-01:00', null],
  ['no time', null],
  ['', null],
]

t.test('the time of a text', async t => {
  for (const [text, timeUs] of TEXTS) t.equal(ownTime(null, () => text), timeUs, JSON.stringify(text))
})

const PAYLOADS: readonly (readonly [payload: object, timeUs: number | null])[] = [
  [{ process_exec: {}, node_name: 'n', time: '2026-03-10T11:05:10.000000001Z' }, US],
  [{ time: SECOND }, US],
  [{ time: SECOND + 0.25 }, US + 250_000],
  [{ time: `${SECOND}.5` }, US + 500_000],
  [{ time: null, timestamp: '2026-03-10T11:05:10Z' }, US],
  [{ time: 'soon', '@timestamp': '2026-03-10T11:05:10Z' }, US],
  [{ _time: SECOND, timestamp: 1 }, US],
  [{ time: { seconds: SECOND } }, null],
  [{ inner: { time: SECOND } }, null],
  [[SECOND], null],
  [{}, null],
]

t.test('the time of a JSON event is that of its member, else that of its text', async t => {
  for (const [payload, timeUs] of PAYLOADS) t.equal(ownTime(payload, () => ''), timeUs, JSON.stringify(payload))
  t.equal(ownTime({ at: '2026-03-10T11:05:10Z' }, () => '{"at":"2026-03-10T11:05:10Z"}'), US)
  t.equal(ownTime(Object.create({ time: SECOND }) as object, () => ''), null, 'only its own members')
})
