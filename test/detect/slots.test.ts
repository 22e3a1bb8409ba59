import t from 'tap'
import { compileDefinition } from '../../src/detect/definition.js'
import { countsWithin, slotsWithin } from '../../src/detect/slots.js'

function compile (cron: string, earliest: string, latest: string, zone: string) {
  return compileDefinition({
    detection_id: 'x', name: 'x', version: 1, type: 'Hunting', search: 'sourcetype=st', data_models: {}, lookups: {}, schedule: { cron, earliest, latest }, time_zone: zone, risk: null, mitre_attack: [], throttling: null,
  }, () => { throw new Error('there are no lookups') })
}

const SCHEDULES = [
  ['0 * * * *', '-70m@m', '-10m@m', 'UTC'],
  ['7 */3 * * *', '-1h', 'now', 'UTC'],
  ['30 2 * * *', '-1d@d', '@d', 'Europe/Berlin'],
  ['0 6 * * 1', '-1w@w1', '@w1', 'America/New_York'],
  ['15 0 1 * *', '-1mon@mon', '@mon', 'Australia/Lord_Howe'],
  ['0 * * * *', '+1h@h', '+2h@h', 'UTC'],
  ['*/20 1-3 * * *', '-20m@m', '@m', 'Europe/Berlin'],
  ['0 0 1,15 * 1', '-1d@d', '@d', 'America/Santiago'],
] as const

t.test('the slots within a range are those that a look at every slot finds, also over a change of clocks', async t => {
  for (const [cron, earliest, latest, zone] of SCHEDULES) {
    const compiled = compile(cron, earliest, latest, zone)
    for (const [from, to] of [['2026-03-27T13:07:11Z', '2026-04-04T09:00:00Z'], ['2026-10-20T00:00:00Z', '2026-11-03T00:00:00Z'], ['2026-06-01T00:00:00Z', '2026-06-01T00:00:00Z']] as const) {
      const window = { earliestUs: Date.parse(from) * 1000, latestUs: Date.parse(to) * 1000 }
      const every: number[] = []
      for (let slotMs = compiled.nextSlot(Date.parse(from) - 40 * 86_400_000); slotMs < Date.parse(to) + 40 * 86_400_000; slotMs = compiled.nextSlot(slotMs)) {
        const { earliestUs, latestUs } = compiled.windowOf(slotMs)
        if (earliestUs >= window.earliestUs && latestUs <= window.latestUs) every.push(slotMs)
      }

      const found = [...slotsWithin(compiled, window)]

      t.strictSame(found, every, `${cron} ${earliest} ${latest} ${zone} from ${from}`)
      t.strictSame([...slotsWithin(compiled, window, found[0])], found.slice(1), 'those after the first')
      let count = 0
      for (const part of countsWithin(compiled, window, zone)) count += part
      t.equal(count, every.length, 'and their number')
    }
  }
})
