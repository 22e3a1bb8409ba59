import t from 'tap'
import type { Finding } from '../../src/finding.js'
import type { EventStore } from '../../src/store/events.js'
import { bearer, post, tempDir, testApp } from '../fixtures/app.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'

const at = (time: string) => Date.parse(`2026-03-10T${time}Z`)
const G45 = GOLDEN.find(({ id }) => id === 'G45')!

/** A clock that stands until it is set. */
function clockAt (time: string) {
  let nowMs = at(time)
  return { now: () => nowMs, set (time: string) { nowMs = at(time) } }
}

t.test('G45: a slot that was missed while the server was down is done after the start, with the window of its own time', async t => {
  const dataDir = tempDir(t)
  const clock = clockAt('11:20:00')
  const before = await testApp(t, { dataDir, now: clock.now })
  before.ledger.complete(clock.now())
  t.equal((await post(before, G45.events.map(event => toEnvelope(event)).join(''))).statusCode, 200)
  t.equal(await before.ledger.turn(at('11:58:00')), at('12:00:00'))
  await before.close()

  clock.set('12:40:00')
  const after = await testApp(t, { dataDir, now: clock.now })
  after.ledger.complete(clock.now())
  t.equal(after.ledgerStore.slot(LITERAL, at('12:00:00'))?.state, 'owed', 'the ledger says so before anything runs')
  await after.ledger.turn(clock.now())

  t.match(after.ledgerStore.slot(LITERAL, at('12:00:00')), { state: 'done', row_count: 1, origin: 'schedule' })
  const { items } = (await after.app.inject({ url: '/api/v1/findings', headers: bearer })).json() as { items: Finding[] }
  t.strictSame(items.map(({ result }) => result), G45.runs[0]!.literal)
  t.strictSame(items[0]!.window, { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' })
  t.equal(await after.ledger.turn(clock.now()), at('13:00:00'), 'nothing else is owed')
})

t.test('now() in a detection is its slot, whenever that runs', async t => {
  const clock = clockAt('11:30:00')
  const define = { cisco_isovalent___potential_escape_to_host_filter: 'eval now=now()' }
  const server = await testApp(t, { now: clock.now, define })
  server.ledger.complete(clock.now())
  await post(server, G45.events.map(event => toEnvelope(event)).join(''))

  clock.set('12:40:00')
  await server.ledger.turn(clock.now())

  const { items } = (await server.app.inject({ url: '/api/v1/findings', headers: bearer })).json() as { items: Finding[] }
  t.match(items, [{ result: { now: at('12:00:00') / 1000 } }])
})

t.test('after a longer outage the slot that has just come due is done, then every other, oldest first', async t => {
  const dataDir = tempDir(t)
  const clock = clockAt('06:30:00')
  const before = await testApp(t, { dataDir, now: clock.now })
  before.ledger.complete(clock.now())
  await before.close()
  clock.set('12:10:00')
  const ran: number[] = []
  const after = await testApp(t, { dataDir, now: clock.now, ran: run => { if (run.detection_id === LITERAL) ran.push(run.slot_ms) } })
  after.ledger.complete(clock.now())

  while (await after.ledger.turn(clock.now()) <= clock.now());

  t.strictSame(ran, ['12', '07', '08', '09', '10', '11'].map(hour => at(`${hour}:00:00`)))
  t.strictSame(after.ledgerStore.counts(), { owed: 0, failed: 0, late: 0, oldest_owed_ms: null })
})

t.test('the ledger begins with the first slot after the detection was enabled, and pauses with it', async t => {
  const clock = clockAt('06:30:00')
  const server = await testApp(t, { now: clock.now })
  server.ledger.complete(clock.now())
  const states = () => ['06', '07', '08', '09', '10', '11'].map(hour => server.ledgerStore.slot(LITERAL, at(`${hour}:00:00`))?.state ?? null)
  const patch = (enabled: boolean) => server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: bearer, payload: { enabled } })
  const work = async () => { while (await server.ledger.turn(clock.now()) <= clock.now()); }

  clock.set('07:10:00')
  t.equal((await patch(false)).json().enabled, false)
  clock.set('09:30:00')
  t.equal((await patch(true)).json().next_run, '2026-03-10T10:00:00.000Z')
  clock.set('11:10:00')
  await work()

  t.strictSame(states(), [null, 'done', null, null, 'done', 'done'], 'the slot of 07:00 came due before the detection was disabled')
})

t.test('a change of the schedule neither skips nor doubles a slot', async t => {
  const clock = clockAt('06:30:00')
  const ran: string[] = []
  const server = await testApp(t, { now: clock.now, ran: run => { if (run.detection_id === LITERAL) ran.push(new Date(run.slot_ms).toISOString().slice(11, 16)) } })
  server.ledger.complete(clock.now())

  clock.set('08:05:00')
  const res = await server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: bearer, payload: { schedule: { cron: '*/30 * * * *' } } })
  t.equal(res.statusCode, 200)
  clock.set('09:10:00')
  while (await server.ledger.turn(clock.now()) <= clock.now());

  t.strictSame(ran, ['09:00', '07:00', '08:00', '08:30'])
  t.not(server.ledgerStore.slot(LITERAL, at('08:00:00'))?.definition_hash, server.ledgerStore.slot(LITERAL, at('08:30:00'))?.definition_hash)
})

t.test('a run that fails is recorded, tried again later each time, and done when the store is back', async t => {
  const clock = clockAt('11:30:00')
  const dataDir = tempDir(t)
  let fails = true
  const { events, close } = await testApp(t, { dataDir: tempDir(t), now: clock.now })
  t.teardown(close)
  const flaky: EventStore = { ...events, search: (plan, options) => fails ? Promise.reject(new Error('no disk')) : events.search(plan, options), close: async () => {} }
  const server = await testApp(t, { dataDir, events: flaky, now: clock.now })
  server.ledger.complete(clock.now())
  const slot = () => server.ledgerStore.slot(LITERAL, at('12:00:00'))!

  clock.set('12:00:00')
  await server.ledger.turn(clock.now())
  t.match(slot(), { state: 'failed', tries: 1, error: 'no disk', next_try_ms: at('12:00:30'), position: null })
  t.equal(await server.ledger.turn(clock.now()), at('12:00:30'), 'nothing is tried before')
  clock.set('12:00:30')
  await server.ledger.turn(clock.now())
  t.match(slot(), { state: 'failed', tries: 2, next_try_ms: at('12:01:30') })
  fails = false
  clock.set('12:01:30')
  await server.ledger.turn(clock.now())

  t.match(slot(), { state: 'done', tries: 0, error: null, row_count: 0 })
  const { items } = (await server.app.inject({ url: `/api/v1/detections/${LITERAL}/runs`, headers: bearer })).json()
  t.strictSame(items.map((run: { status: string }) => run.status), ['succeeded', 'failed', 'failed'], 'every try is there, newest first')
})

t.test('what a process left running is owed to the next one', async t => {
  const dataDir = tempDir(t)
  const clock = clockAt('11:30:00')
  const before = await testApp(t, { dataDir, now: clock.now })
  before.ledger.complete(clock.now())
  const { hash, windowOf } = before.detections.get(LITERAL).compiled!
  before.ledgerStore.oweOther(LITERAL, 'manual', { slotMs: at('11:00:00'), definitionHash: hash, window: windowOf(at('11:00:00')) })
  before.ledgerStore.start(LITERAL, at('11:00:00'))
  await before.close()

  const after = await testApp(t, { dataDir, now: clock.now })
  after.ledger.complete(clock.now())
  t.equal(after.ledgerStore.slot(LITERAL, at('11:00:00'))?.state, 'owed')
  await after.ledger.turn(clock.now())

  t.equal(after.ledgerStore.slot(LITERAL, at('11:00:00'))?.state, 'done')
})

t.test('a slot is evaluated again with the definition that it was first run with', async t => {
  const dataDir = tempDir(t)
  const clock = clockAt('12:30:00')
  const before = await testApp(t, { dataDir, now: clock.now })
  await post(before, G45.events.map(event => toEnvelope(event)).join(''))
  await before.ledger.run(LITERAL, at('12:00:00'))
  await before.close()

  const after = await testApp(t, { dataDir, now: clock.now, define: { [`${LITERAL}_filter`]: 'search NOT pod_name=*' } })
  const again = await after.ledger.run(LITERAL, at('12:00:00'))
  const other = await after.ledger.run(LITERAL, at('12:01:00'))

  t.match(again, { row_count: 1, created: 0, revised: 0, unchanged: 1 }, 'the macro has changed since, the slot has not')
  t.match(other, { row_count: 0 })
})

t.test('a detection whose file is gone at a start is owed what came due until then, and nothing more', async t => {
  const dataDir = tempDir(t)
  const clock = clockAt('06:30:00')
  const before = await testApp(t, { dataDir, now: clock.now })
  before.ledger.complete(clock.now())
  await before.close()
  clock.set('08:30:00')
  const without = await testApp(t, { dataDir, now: clock.now, files: [] })
  without.ledger.complete(clock.now())
  while (await without.ledger.turn(clock.now()) <= clock.now());
  t.strictSame(without.ledgerStore.list({ fromMs: 0, toMs: Infinity }, 10).filter(slot => slot.detection_id === LITERAL).map(({ slot_ms: slotMs, state }) => [slotMs, state]), [[at('07:00:00'), 'done'], [at('08:00:00'), 'done']])
  t.equal(await without.ledger.turn(clock.now()), Infinity)
  await without.close()
  clock.set('10:30:00')

  const again = await testApp(t, { dataDir, now: clock.now })
  again.ledger.complete(clock.now())

  t.equal(await again.ledger.turn(clock.now()), at('11:00:00'))
})
