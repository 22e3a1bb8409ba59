import t from 'tap'
import { parseCron } from '../../src/schedule/cron.js'

function slots (expression: string, zone: string, from: string, count: number): string[] {
  const next = parseCron(expression, zone)!
  const found: string[] = []
  for (let slotMs = next(Date.parse(from)); found.length < count; slotMs = next(slotMs)) found.push(new Date(slotMs).toISOString())
  return found
}

t.test('slots follow the expression', async t => {
  t.strictSame(slots('0 * * * *', 'UTC', '2026-03-10T11:59:59Z', 2), ['2026-03-10T12:00:00.000Z', '2026-03-10T13:00:00.000Z'])
  t.strictSame(slots('*/20 6-7 * * 1', 'UTC', '2026-03-10T00:00:00Z', 2), ['2026-03-16T06:00:00.000Z', '2026-03-16T06:20:00.000Z'])
  t.equal(parseCron('0 * * * *', 'UTC')!(Date.parse('2026-03-10T12:00:00Z')), Date.parse('2026-03-10T13:00:00Z'), 'a slot is not its own next')
})

t.test('an hourly slot is there each hour of the days on which the clocks change', async t => {
  t.strictSame(slots('0 * * * *', 'Europe/Berlin', '2026-03-29T00:30:00Z', 3), ['2026-03-29T01:00:00.000Z', '2026-03-29T02:00:00.000Z', '2026-03-29T03:00:00.000Z'])
  t.strictSame(slots('0 * * * *', 'Europe/Berlin', '2026-10-24T23:30:00Z', 4), ['2026-10-25T00:00:00.000Z', '2026-10-25T01:00:00.000Z', '2026-10-25T02:00:00.000Z', '2026-10-25T03:00:00.000Z'])
})

t.test('what is no expression of five numeric fields is refused (R90)', async t => {
  for (const text of ['', '* * * *', '* * * * * *', '61 * * * *', '0 0 31 2 *', '0 0 * JAN *', '0 0 * * MON', '@hourly', 'x', '0 * * * *'.padEnd(300)]) {
    t.equal(parseCron(text, 'UTC'), null, text.slice(0, 30))
  }
})
