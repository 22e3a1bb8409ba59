import { parse } from 'csv-parse/sync'
import type { Test } from 'tap'
import t from 'tap'
import type { z } from 'zod'
import type { Coverage } from '../../src/api/coverage.js'
import type { EventStore } from '../../src/store/events.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, post, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'

type Reply = Required<z.infer<typeof Coverage>>

const at = (time: string) => Date.parse(`2026-03-10T${time}:00Z`)
const G45 = GOLDEN.find(({ id }) => id === 'G45')!

/** An hourly detection since 06:30, by a clock that is set; its windows are from 70 to 10 minutes before each slot. */
async function open (t: Test) {
  let nowMs = at('06:30')
  let fails = false
  const dataDir = tempDir(t)
  const { events, close } = await testApp(t, { dataDir: tempDir(t), now: () => nowMs })
  t.teardown(close)
  const flaky: EventStore = { ...events, search: (plan, options) => fails ? Promise.reject(new Error('=no disk')) : events.search(plan, options), close: async () => {} }
  const server = await testApp(t, { dataDir, events: flaky, now: () => nowMs })
  server.ledger.complete(nowMs)
  return {
    ...server,
    failing (value: boolean) { fails = value },
    /** What came due until then is evaluated, as far as it can be. */
    async until (time: string) {
      nowMs = at(time)
      while (await server.ledger.turn(nowMs) <= nowMs);
    },
    set (time: string) { nowMs = at(time) },
    patch: (body: object) => server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: bearer, payload: body }),
    waive: (body: object) => server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/waivers`, headers: bearer, payload: body }),
  }
}

async function read ({ app }: Pick<TestApp, 'app'>, query: string, id = LITERAL): Promise<Reply> {
  const res = await app.inject({ url: `/api/v1/detections/${id}/coverage?${query}`, headers: bearer })
  if (res.statusCode !== 200) throw new Error(res.body)
  return res.json() as Reply
}

const today = (from: string, to: string) => `earliest=2026-03-10T${from}:00Z&latest=2026-03-10T${to}:00Z`
const gapsOf = ({ gaps }: Reply) => gaps.map(({ earliest, latest, cause }) => `${earliest.slice(11, 16)} ${latest.slice(11, 16)} ${cause}`)

t.test('of a day that was evaluated nothing is left open', async t => {
  const server = await open(t)
  await server.until('12:30')

  const coverage = await read(server, today('05:50', '11:50'))

  t.equal(coverage.summary, '6 of 6 windows from 2026-03-10T05:50:00Z to 2026-03-10T11:50:00Z evaluated, event time covered without a gap, 0 windows again for late events, 0 owed')
  t.strictSame(coverage.gaps, [])
  t.match(coverage, { detection_id: LITERAL, time_zone: 'UTC', window: { earliest: '2026-03-10T05:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' }, more_gaps: 0, totals: { seconds: 21_600, covered_seconds: 21_600 } })
  t.match(coverage.slots.items.map(slot => [slot.scheduled_time, slot.state, slot.lateness_seconds]).slice(0, 2), [
    ['2026-03-10T07:00:00.000Z', 'done', 19_800], ['2026-03-10T08:00:00.000Z', 'done', 16_200],
  ], 'it was late, and says so')
})

t.test('without a range it is the last 24 hours', async t => {
  const server = await open(t)
  await server.until('12:30')

  const coverage = await read(server, '')

  t.strictSame(coverage.window, { earliest: '2026-03-09T12:30:00.000Z', latest: '2026-03-10T12:30:00.000Z' })
  t.strictSame(gapsOf(coverage), ['12:30 05:50 before_first_enabled', '11:50 12:30 not_due_yet'])
  t.match(coverage.summary, /event time covered without a gap \(40 min not due yet, 17 h 20 min before first enabled\)/)
  t.strictSame((await read(server, 'latest=2026-03-10T10:00:00Z')).window.earliest, '2026-03-09T10:00:00.000Z')
})

t.test('a pause, failures and waivers are gaps with their causes', async t => {
  const server = await open(t)
  await server.until('07:10')
  await server.patch({ enabled: false })
  server.set('09:30')
  await server.patch({ enabled: true })
  await server.until('10:10')
  server.failing(true)
  await server.until('12:10')
  await server.waive({ scheduled_time: '2026-03-10T12:00:00Z', reason: 'the disk, again' })

  const coverage = await read(server, today('05:50', '11:50'))

  t.strictSame(gapsOf(coverage), ['06:50 08:50 disabled', '09:50 10:50 failed', '10:50 11:50 waived'])
  t.strictSame(coverage.gaps[2]!.waived, { by: 'admin', reason: 'the disk, again' })
  t.equal(coverage.summary, '2 of 4 windows from 2026-03-10T05:50:00Z to 2026-03-10T11:50:00Z evaluated, event time has 3 gaps, 4 h in all (failed, waived, disabled), 0 windows again for late events, 0 owed, 1 failed, 1 waived')
  t.match(coverage.totals, { states: { done: 2, failed: 1, waived: 1 }, gaps: { disabled: { count: 1, seconds: 7_200 }, owed: { count: 0 } }, covered_seconds: 7_200 })
  t.match(coverage.slots.items.at(-1), { state: 'waived', evaluated: false, lateness_seconds: null, waived: { by: 'admin', reason: 'the disk, again', at: '2026-03-10T12:10:00.000Z' } })
})

t.test('a new schedule whose windows do not meet those before is told', async t => {
  const server = await open(t)
  await server.until('08:05')
  await server.patch({ schedule: { earliest: '-20m@m', latest: 'now' } })
  await server.until('11:10')

  t.strictSame(gapsOf(await read(server, today('06:00', '11:00'))), ['07:50 08:40 schedule_edit', '09:00 09:40 window_shorter_than_period', '10:00 10:40 window_shorter_than_period'])
})

t.test('a slot that a backfill evaluates over another window covers nothing of that before it is done', async t => {
  const server = await open(t)
  await server.until('12:10')
  await server.patch({ schedule: { earliest: '-3h@m', latest: '-10m@m' } })
  const { hash: definitionHash, windowOf } = server.detections.get(LITERAL).compiled!
  const covered = async () => (await read(server, today('04:00', '11:50'))).totals.covered_seconds / 60
  const before = await covered()

  server.failing(true)
  const { failure } = (await server.ledger.backfill(LITERAL, { slotMs: at('07:00'), definitionHash, window: windowOf(at('07:00')) }, { id: 'a-backfill', ran: () => {} }))!
  const failed = await read(server, today('04:00', '11:50'))
  server.failing(false)
  await server.ledger.backfill(LITERAL, { slotMs: at('07:00'), definitionHash, window: windowOf(at('07:00')) }, { id: 'a-backfill', ran: () => {} })

  t.ok(failure)
  t.equal(before, 360)
  t.strictSame(gapsOf(failed), ['04:00 06:50 failed'])
  t.equal(await covered(), 470)
})

t.test('slots that a detection lacks are gaps, and are listed with the others', async t => {
  const server = await open(t)
  await server.until('10:10')
  server.control.prepare('DELETE FROM slot WHERE detection_id = ? AND slot_ms = ?').run(LITERAL, at('09:00'))

  const coverage = await read(server, today('05:50', '08:50'))

  t.strictSame(gapsOf(coverage), ['07:50 08:50 missing'])
  t.match(coverage.slots.items[2], { scheduled_time: '2026-03-10T09:00:00.000Z', state: 'missing', evaluated: false, position: null })
  t.match(coverage.summary, /1 missing$/)
})

t.test('slots come in pages, and the later ones have no totals', async t => {
  const server = await open(t)
  await server.until('12:30')
  const range = today('05:50', '11:50')

  const first = await read(server, `${range}&limit=4`)
  const second = await read(server, `${range}&limit=4&cursor=${first.slots.next_cursor}`)

  const times = (page: Reply) => page.slots.items.map(({ scheduled_time: time }) => time.slice(11, 13))
  t.strictSame([times(first), times(second)], [['07', '08', '09', '10'], ['11', '12']])
  t.equal(second.slots.next_cursor, null)
  t.strictSame(Object.keys(second).sort(), ['detection_id', 'slots', 'time_zone', 'window'])
})

t.test('late events and the evaluations for them are counted', async t => {
  const server = await open(t)
  await server.until('12:10')
  await post(server, G45.events.map(event => toEnvelope(event)).join(''))
  server.ledgerStore.lookAgain(LITERAL, at('12:00'), { last: server.events.position(), dueMs: at('12:11'), nowMs: at('12:10') })
  await server.until('12:20')

  const coverage = await read(server, today('10:50', '11:50'))

  t.match(coverage.slots.items, [{ state: 'done', late: { evaluations: 1 }, evaluated_at: '2026-03-10T12:20:00.000Z', first_evaluated_at: '2026-03-10T12:10:00.000Z', lateness_seconds: 600 }])
  t.match(coverage.summary, '1 of 1 window from 2026-03-10T10:50:00Z to 2026-03-10T11:50:00Z evaluated, event time covered without a gap, 1 window again for late events, 0 owed')
})

t.test('a month is named where the range is one in the time zone', async t => {
  const { app } = await testApp(t, { nowMs: at('12:00'), timeZone: 'Europe/Berlin' })

  t.match((await read({ app }, 'earliest=2026-02-28T23:00:00Z&latest=2026-03-31T22:00:00Z')).summary, /^0 of 0 windows of March 2026 evaluated, no event time covered \(30 d 23 h before first enabled\)/)
  t.match((await read({ app }, 'earliest=2026-03-01T00:00:00Z&latest=2026-04-01T00:00:00Z')).summary, /^0 of 0 windows from 2026-03-01T00:00:00Z to /)
})

t.test('as CSV all slots are there, and no cell is a formula', async t => {
  const server = await open(t)
  await server.until('10:10')
  server.failing(true)
  await server.until('12:10')
  await server.waive({ scheduled_time: '2026-03-10T12:00:00Z', reason: '=HYPERLINK("http://x")\n"quoted", twice' })
  const url = `/api/v1/detections/${LITERAL}/coverage?${today('05:50', '11:50')}`

  const res = await server.app.inject({ url: `${url}&format=csv&limit=1`, headers: bearer })
  const accepted = await server.app.inject({ url, headers: { ...bearer, accept: 'text/csv' } })

  t.equal(res.headers['content-type'], 'text/csv; charset=utf-8')
  t.equal(accepted.body, res.body)
  const rows = parse(res.body, { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[]
  t.equal(rows.length, 6, 'the limit is for pages')
  t.match(rows[0], { detection_id: LITERAL, scheduled_time: '2026-03-10T07:00:00.000Z', origin: 'schedule', state: 'done', earliest: '2026-03-10T05:50:00.000Z', evaluated: 'true', short: 'false', waived_by: '' })
  t.match(rows[4], { state: 'failed', error: "'=no disk" })
  t.match(rows[5], { state: 'waived', waived_by: 'admin', waived_reason: '\'=HYPERLINK("http://x")\n"quoted", twice' })
})

t.test('the overview has a line for each detection, those too whose files are gone', async t => {
  const dataDir = tempDir(t)
  const before = await testApp(t, { dataDir, nowMs: at('06:30') })
  before.ledger.complete(at('06:30'))
  const ids = before.detections.list().map(({ id }) => id)
  await before.close()
  const { app, ledger } = await testApp(t, { dataDir, files: [], nowMs: at('12:30') })
  ledger.complete(at('12:30'))
  const list = async (query: string) => (await app.inject({ url: `/api/v1/coverage?${today('05:50', '12:50')}${query}`, headers: bearer })).json() as { items: { detection_id: string, summary: string }[], next_cursor: string | null }

  const enabled = (await list('')).items.map(({ detection_id: id }) => id)
  const first = await list('&limit=1')
  const second = await list(`&limit=1&cursor=${first.next_cursor}`)

  t.ok(enabled.includes(LITERAL) && enabled.every(id => ids.includes(id)))
  t.strictSame([...first.items, ...second.items].map(({ detection_id: id }) => id), enabled.slice(0, 2))
  t.match(first.items[0]!.summary, /^0 of 6 windows .* evaluated, event time has 2 gaps, 7 h in all \(owed, disabled\)/)
  t.match(await read({ app }, today('05:50', '12:50')), { detection_id: LITERAL, totals: { states: { owed: 6 } } })
})

t.test('what is no range, no detection or no cursor is refused, and a viewer may look', async t => {
  const { app } = await testApp(t, { nowMs: at('12:30') })
  const get = async (path: string, headers: Record<string, string> = bearer) => (await app.inject({ url: `/api/v1/${path}`, headers })).statusCode

  t.equal(await get(`detections/${LITERAL}/coverage?earliest=soon`), 400)
  t.equal(await get(`detections/${LITERAL}/coverage?earliest=now&latest=-1h`), 400)
  t.equal(await get(`detections/${LITERAL}/coverage?cursor=x`), 400)
  t.equal(await get(`detections/${LITERAL}/coverage?format=xml`), 400)
  t.equal(await get('detections/none/coverage'), 404)
  t.equal(await get('coverage?cursor=x'), 400)
  t.equal(await get('coverage', {}), 401)
  t.equal(await get(`detections/${LITERAL}/coverage?earliest=0000-01-01T00:00:00Z&latest=9999-12-31T00:00:00Z`), 200, 'all of time')
  t.equal(await get('coverage', { authorization: `Bearer ${VIEWER_KEY}` }), 200)
})
