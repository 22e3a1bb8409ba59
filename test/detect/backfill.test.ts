import type { Test } from 'tap'
import t from 'tap'
import type { Finding } from '../../src/finding.js'
import type { EventStore } from '../../src/store/events.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { bearer, post, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { detectionsOf, GENERATIONS, get } from '../fixtures/rules.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
const SLOT_MS = Date.parse('2026-03-10T12:00:00Z')

/** A week after the events. */
const NOW = '2026-03-17T12:30:00Z'
/** The 24 windows of a day; those of G01 are in the one of the slot of 12:00. */
const DAY = { earliest: '2026-03-09T22:50:00Z', latest: '2026-03-10T22:50:00Z' }

interface View {
  readonly id: string
  readonly state: string
  readonly progress: { readonly done: number, readonly total: number, readonly percent: number }
  readonly findings: object
}

/** A server whose clock is set by hand, with the events of G01, which came when they happened. */
async function open (t: Test, { nowAt = NOW, ...options }: TestAppOptions & { nowAt?: string } = {}) {
  let nowMs = Date.parse(nowAt)
  const server = await testApp(t, { ...options, now: () => nowMs })
  server.ledger.complete(nowMs)
  return {
    ...server,
    set (time: string) { nowMs = Date.parse(time) },
    send: () => post(server, G01.events.map(event => toEnvelope(event)).join('')),
    /** Does what the ledger and the backfills have to do now, or so many turns of these. */
    async work (turns = Infinity): Promise<void> {
      while (await server.ledger.turn(nowMs) <= nowMs);
      for (let i = 0; i < turns && await server.backfills.turn(nowMs) <= nowMs; i++);
    },
  }
}
type Opened = Awaited<ReturnType<typeof open>>

function ask ({ app }: Pick<TestApp, 'app'>, payload: object = {}, headers: Record<string, string> = bearer) {
  return app.inject({ method: 'POST', url: '/api/v1/backfills', headers, payload: { detection: LITERAL, ...DAY, ...payload } })
}

async function begin (server: Pick<TestApp, 'app'>, payload: object = {}): Promise<View> {
  const res = await ask(server, payload)
  if (res.statusCode !== 202) throw new Error(res.body)
  return res.json()
}

function cancel ({ app }: Pick<TestApp, 'app'>, id: string) {
  return app.inject({ method: 'POST', url: `/api/v1/backfills/${id}/cancel`, headers: bearer })
}

function slotsOf ({ ledgerStore }: Pick<TestApp, 'ledgerStore'>, detectionId = LITERAL) {
  return ledgerStore.list({ detectionId, fromMs: 0, toMs: Infinity }, 1_000)
}

async function findingsOf (server: Pick<TestApp, 'app'>): Promise<Finding[]> {
  return (await get(server, 'findings')).items
}

t.test('the seed detection over a day of a week ago finds what a punctual run had found, and says that a backfill did', async t => {
  const server = await open(t)
  await server.send()

  const res = await ask(server)
  t.equal(res.statusCode, 202)
  const { id } = res.json() as View
  t.equal(res.headers.location, `/api/v1/backfills/${id}`)
  t.match(res.json(), { detection_id: LITERAL, window: { earliest: '2026-03-09T22:50:00.000Z' }, dry_run: false, state: 'queued', created_by: 'admin', progress: { done: 0, total: 24, percent: 0, slots_per_second: null, eta_seconds: null } })
  await server.work()

  t.match(await get(server, `backfills/${id}`), {
    state: 'succeeded', progress: { done: 24, total: 24, percent: 100 }, row_count: 1, findings: { created: 1, revised: 0, unchanged: 0, gone: 0 }, failed_slots: 0, error: null, warnings: [], finished_at: '2026-03-17T12:30:00.000Z',
  })
  const [finding] = await findingsOf(server)
  t.strictSame(finding!.result, G01.runs[0]!.literal[0])
  t.equal(finding!.backfill, id)
  t.strictSame(finding!.window, { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' })
  const slots = slotsOf(server)
  t.equal(slots.length, 24)
  t.ok(slots.every(({ state, origin, position, first_done_ms: doneMs }) => state === 'done' && origin === 'backfill' && position !== null && doneMs !== null), 'late events reach them as they reach any')
  t.strictSame(server.ledgerStore.counts(), { owed: 0, failed: 0, late: 0, oldest_owed_ms: null })
})

t.test('again it changes nothing, and a finding that a run confirms is still of the backfill that created it', async t => {
  const server = await open(t)
  await server.send()
  const first = await begin(server)
  await server.work()
  const before = await findingsOf(server)

  const { id } = await begin(server)
  await server.work()
  await server.ledger.run(LITERAL, SLOT_MS)

  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', findings: { created: 0, revised: 0, unchanged: 1 } })
  t.strictSame(await findingsOf(server), before)
  t.equal(before[0]!.backfill, first.id)
})

t.test('a run of the schedule and one by hand mark nothing', async t => {
  const server = await open(t)
  await server.send()
  await server.ledger.run(LITERAL, SLOT_MS)

  t.equal((await findingsOf(server))[0]!.backfill, null)
  await begin(server)
  await server.work()

  t.match(await findingsOf(server), [{ backfill: null, revision: 1 }])
  t.equal(server.ledgerStore.slot(LITERAL, SLOT_MS)?.origin, 'backfill', 'a slot of the schedule is more than a time that somebody tried')
})

t.test('a dry run gives rows with their slots, page by page, and writes neither ledger nor findings', async t => {
  const server = await open(t)
  await server.send()

  const { id } = await begin(server, { dry_run: true })
  await server.work()

  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', dry_run: true, row_count: 1, rows_cut: 0, progress: { done: 24 }, findings: { created: 0 } })
  t.strictSame(await get(server, `backfills/${id}/rows`), {
    items: [{ scheduled_time: '2026-03-10T12:00:00.000Z', window: { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' }, row: G01.runs[0]!.literal[0] }],
    next_cursor: null,
  })
  t.strictSame(slotsOf(server), [])
  t.strictSame(await findingsOf(server), [])
  t.strictSame(server.findings.runs(LITERAL, 10), [])
  t.match(await get(server, `backfills/${(await begin(server)).id}/rows`), { status: 404, detail: 'only a dry run has rows' })
})

const RULE: string = GENERATIONS[2025]
const BY_POD = 'sourcetype=st | stats count values(tool) AS tool values(user) AS user BY pod'

function ruleOf (search: string, rule = RULE): string {
  return rule.replace(/^search: .*$/m, `search: ${search}`)
}

t.test('rows of a dry run are paged in the order of slots, cut at ten thousand with their number, and gone after a week', async t => {
  const server = await open(t, { files: detectionsOf(t, { 'a_rule.yml': ruleOf('sourcetype=st') }) })
  for (let hour = 0; hour < 3; hour++) {
    const envelopes = Array.from({ length: 4_000 }, (_, n) => JSON.stringify({ time: Date.parse('2026-03-10T09:00:00Z') / 1000 + hour * 3600, sourcetype: 'st', event: { n } }))
    t.equal((await post(server, envelopes.join(''))).statusCode, 200)
  }

  const { id } = await begin(server, { detection: 'a_rule', dry_run: true })
  await server.work()

  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', row_count: 12_000, rows_cut: 2_000, warnings: ['2,000 rows not kept, since there were too many'] })
  const times: string[] = []
  for (let cursor = ''; ;) {
    const page = await get(server, `backfills/${id}/rows?limit=999${cursor}`) as { items: { scheduled_time: string }[], next_cursor: string | null }
    times.push(...page.items.map(({ scheduled_time: time }) => time))
    if (page.next_cursor === null) break
    cursor = `&cursor=${page.next_cursor}`
  }
  t.equal(times.length, 10_000)
  t.strictSame(times, [...times].sort())
  t.strictSame([...new Set(times)].length, 3)

  server.set('2026-03-24T12:30:01Z')
  t.match(await get(server, `backfills/${id}/rows`), { status: 404, detail: /kept for 7 days/ })
  await begin(server, { detection: 'a_rule' })
  t.strictSame(server.backfillStore.rows(id, 10), [])
})

t.test('what a process was in the middle of is taken up by the next one, and no slot is left out or counted twice', async t => {
  const dataDir = tempDir(t)
  const before = await open(t, { dataDir })
  await before.send()
  const { id } = await begin(before)
  await before.work(10)
  t.match(await get(before, `backfills/${id}`), { state: 'running', progress: { done: 10 } })
  // As it is when the process is killed while a slot is evaluated.
  const { definition_hash: definitionHash, next_slot_ms: slotMs } = before.backfillStore.get(id)!
  before.ledgerStore.startBackfill(LITERAL, { slotMs: slotMs!, definitionHash, window: before.definitions.schedule(definitionHash).windowOf(slotMs!) })
  t.strictSame(before.ledgerStore.counts(), { owed: 0, failed: 0, late: 0, oldest_owed_ms: null }, 'it is not the ledger that owes it')
  await before.close()

  const after = await open(t, { dataDir })
  t.equal(after.ledgerStore.slot(LITERAL, slotMs!), undefined, 'it comes with the backfill')
  await after.work()

  t.match(await get(after, `backfills/${id}`), { state: 'succeeded', progress: { done: 24, total: 24 }, findings: { created: 1, unchanged: 0 } })
  t.equal(after.findings.runs(LITERAL, 100).length, 24)
  t.strictSame(slotsOf(after).map(({ state }) => state), Array(24).fill('done'))
})

t.test('a slot is counted in the transaction of its findings: without the one there is not the other', async t => {
  const server = await open(t)
  await server.send()
  const { id } = await begin(server)
  server.control.exec("CREATE TEMP TRIGGER stop BEFORE UPDATE OF done_slots ON backfill WHEN NEW.done_slots = 13 BEGIN SELECT RAISE(ABORT, 'stopped'); END")

  await server.work()
  t.match(server.backfillStore.get(id), { done_slots: 12, next_slot_ms: SLOT_MS, tries: 1, created: 0 })
  t.match(server.ledgerStore.slot(LITERAL, SLOT_MS), { state: 'failed', error: 'stopped', position: null })
  t.strictSame(await findingsOf(server), [])

  server.control.exec('DROP TRIGGER stop')
  await goOn(server, ['2026-03-17T12:30:30Z'])
  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', progress: { done: 24 }, findings: { created: 1, unchanged: 0 } })
})

t.test('a dry run is taken up too, with the rows that it has', async t => {
  const dataDir = tempDir(t)
  const before = await open(t, { dataDir })
  await before.send()
  const { id } = await begin(before, { dry_run: true })
  await before.work(20)
  await before.close()

  const after = await open(t, { dataDir })
  await after.work()

  t.match(await get(after, `backfills/${id}`), { state: 'succeeded', progress: { done: 24 }, row_count: 1 })
  t.equal((await get(after, `backfills/${id}/rows`)).items.length, 1)
})

t.test('one that is cancelled stops where it is, what was found stays, and again changes nothing', async t => {
  const server = await open(t)
  await server.send()
  const { id } = await begin(server)
  await server.work(15)

  const res = await cancel(server, id)
  t.equal(res.statusCode, 200)
  t.match(res.json(), { state: 'cancelled', progress: { done: 15, total: 24 }, finished_at: '2026-03-17T12:30:00.000Z' })
  t.strictSame((await cancel(server, id)).json(), res.json())
  await server.work()

  t.equal(slotsOf(server).length, 15)
  t.equal((await findingsOf(server)).length, 1)
  const { id: other } = await begin(server)
  await server.work()
  t.match((await cancel(server, other)).json(), { status: 409, detail: 'the backfill has succeeded' })
})

t.test('the slot under way is still done and counted when its backfill is cancelled', async t => {
  const server = await open(t)
  await server.send()
  const { id } = await begin(server)
  await server.work(3)

  const turn = server.backfills.turn(Date.parse(NOW))
  await new Promise(resolve => setImmediate(resolve))
  server.backfills.cancel(id)
  await turn

  t.match(await get(server, `backfills/${id}`), { state: 'cancelled', progress: { done: 4 } })
  t.strictSame(slotsOf(server).map(({ state }) => state), Array(4).fill('done'))
})

t.test('backfills wait for each other, and the last that was asked for is the first of the list', async t => {
  const server = await open(t)
  const first = await begin(server)
  const second = await begin(server, { detection: 'hecate___nsenter_in_a_pod' })
  const third = await begin(server)
  await server.work(5)

  const list = async (query = '') => (await get(server, `backfills${query}`)).items.map(({ id, state }: View) => `${[first, second, third].findIndex(one => one.id === id)} ${state}`)
  t.strictSame(await list(), ['2 queued', '1 queued', '0 running'])
  t.strictSame(await list('?state=running'), ['0 running'])
  t.strictSame(await list(`?detection=${LITERAL}`), ['2 queued', '0 running'])
  t.strictSame(await list(`?detection=${LITERAL}&state=queued`), ['2 queued'])
  t.strictSame(await list('?detection=nobody'), [])
  const page = await get(server, 'backfills?limit=2')
  t.strictSame((await get(server, `backfills?limit=2&cursor=${page.next_cursor}`)).items.map(({ id }: View) => id), [first.id])
  await cancel(server, second.id)
  await server.work()

  t.strictSame(await list(), ['2 succeeded', '1 cancelled', '0 succeeded'])
  t.strictSame(slotsOf(server, 'hecate___nsenter_in_a_pod'), [])
})

t.test('what the ledger has to do goes before a backfill', async t => {
  const ran: string[] = []
  const server = await open(t, { ran: ({ detection_id: id, slot_ms: slotMs }) => { if (id === LITERAL) ran.push(new Date(slotMs).toISOString().slice(5, 13)) } })
  await begin(server)
  await server.work(2)
  server.set('2026-03-17T14:10:00Z')
  server.ledger.turnCurrent(Date.parse('2026-03-17T12:59:00Z'))
  const waiting = await server.backfills.turn(Date.parse('2026-03-17T14:10:00Z'))
  t.ok(waiting <= Date.parse('2026-03-17T14:10:00Z'), 'nothing has come due yet')

  server.ledger.turnCurrent(Date.parse('2026-03-17T14:10:00Z')) // begins 14:00, and owes 13:00
  t.equal(await server.backfills.turn(Date.parse('2026-03-17T14:10:00Z')), Date.parse('2026-03-17T14:10:01Z'), 'it looks again in a second')
  await server.ledger.settled()
  t.equal(await server.backfills.turn(Date.parse('2026-03-17T14:10:00Z')), Date.parse('2026-03-17T14:10:01Z'))
  await server.work(1)

  t.strictSame(ran, ['03-10T00', '03-10T01', '03-10T02', '03-17T14', '03-17T13', '03-10T03'])
})

t.test('windows that end after it was asked for are left out, and without any other it is refused', async t => {
  const server = await open(t, { nowAt: '2026-03-10T12:30:00Z' })
  const { progress } = await begin(server, { latest: '+30d' })
  t.equal(progress.total, 13, 'to the slot of 12:00; the window of 13:00 ends at 12:50')

  const res = await ask(server, { earliest: '2026-03-10T11:50:00Z', latest: '+30d' })

  t.equal(res.statusCode, 400)
  t.match(res.json(), { detail: 'no slot of the detection has its whole window in that range and before now' })
})

const REFUSED: readonly { readonly what: string, readonly payload: object, readonly status: number, readonly detail?: RegExp }[] = [
  { what: 'an unknown detection', payload: { detection: 'nobody' }, status: 404, detail: /no such detection/ },
  { what: 'a range that ends before it begins', payload: { earliest: DAY.latest, latest: DAY.earliest }, status: 400, detail: /earliest is after latest/ },
  { what: 'no range', payload: { earliest: undefined }, status: 400 },
  { what: 'a time that is none', payload: { earliest: 'yesterday' }, status: 400, detail: /earliest is no time/ },
  { what: 'a time beyond all', payload: { earliest: -1e15 }, status: 400, detail: /earliest is no time/ },
  { what: 'a range without a whole window', payload: { earliest: '2026-03-10T10:00:00Z', latest: '2026-03-10T10:59:00Z' }, status: 400, detail: /no slot/ },
  { what: 'centuries of hours', payload: { earliest: '1800-01-01T00:00:00Z' }, status: 400, detail: /more than 1,000,000 slots/ },
  { what: 'more than is asked for', payload: { priority: 1 }, status: 400 },
  { what: 'an object as a time', payload: { earliest: {} }, status: 400 },
  { what: 'a name without an end', payload: { detection: 'x'.repeat(301) }, status: 400 },
]
t.test('what makes no sense is refused, and nothing is kept of it', async t => {
  const server = await open(t)
  for (const { what, payload, status, detail } of REFUSED) {
    const res = await ask(server, payload)
    t.equal(res.statusCode, status, what)
    if (detail !== undefined) t.match(res.json().detail, detail, what)
  }
  t.equal((await ask(server, {}, { authorization: `Bearer ${VIEWER_KEY}` })).statusCode, 403, 'a viewer')
  t.equal((await cancel(server, 'nobody')).statusCode, 404)
  for (const path of ['backfills/nobody', 'backfills/nobody/rows', 'backfills?cursor=WyJ4Il0', 'backfills?state=done', `backfills/${'x'.repeat(101)}`]) t.match((await get(server, path)).status, /40[04]/, path)
  t.strictSame((await get(server, 'backfills')).items, [])
})

t.test('no more than a hundred wait', async t => {
  const server = await open(t)
  for (let i = 0; i < 100; i++) await begin(server)

  t.match((await ask(server)).json(), { status: 409, detail: '100 backfills wait already' })
})

/** A server whose store fails while it is told to. */
async function openFlaky (t: Test) {
  const { events } = await testApp(t, { dataDir: tempDir(t) })
  const failing: { error: Error | null } = { error: null }
  const flaky: EventStore = { ...events, search: (plan, options) => failing.error === null ? events.search(plan, options) : Promise.reject(failing.error), close: async () => {} }
  return { server: await open(t, { events: flaky }), failing }
}

async function goOn (server: Opened, times: readonly string[]): Promise<void> {
  for (const time of times) {
    server.set(time)
    await server.work()
  }
}

t.test('a slot that fails is tried three times, then the backfill goes on, and says in the end how many have failed', async t => {
  const { server, failing } = await openFlaky(t)
  const { id } = await begin(server)
  await server.work(2)
  failing.error = new Error('no disk')
  const slotMs = server.backfillStore.get(id)!.next_slot_ms!

  await server.work()
  t.match(server.backfillStore.get(id), { tries: 1, done_slots: 2, next_slot_ms: slotMs })
  t.match(server.ledgerStore.slot(LITERAL, slotMs), { state: 'failed', origin: 'backfill', error: 'no disk' })
  await goOn(server, ['2026-03-17T12:30:29Z'])
  t.equal(server.ledgerStore.slot(LITERAL, slotMs)!.tries, 1, 'the ledger does not try it by itself')
  await goOn(server, ['2026-03-17T12:30:30Z', '2026-03-17T12:31:29Z'])
  t.match(server.backfillStore.get(id), { tries: 2, done_slots: 2 })
  server.set('2026-03-17T12:31:30Z')
  await server.work(1)
  failing.error = null
  await server.work()

  t.match(await get(server, `backfills/${id}`), { state: 'failed', progress: { done: 24, total: 24 }, failed_slots: 1, error: '1 of 24 slots failed; the last: no disk' })
  t.match((await get(server, 'ledger?state=failed')).items, [{ origin: 'backfill', error: 'no disk', tries: 3 }])
  t.strictSame(server.ledgerStore.counts(), { owed: 0, failed: 1, late: 0, oldest_owed_ms: null })
  server.set('2026-03-17T12:50:00Z')
  await server.work()
  t.equal(server.ledgerStore.slot(LITERAL, slotMs)!.state, 'failed', 'it is left to whoever asked')
  t.match(await server.ledger.run(LITERAL, slotMs), { status: 'succeeded' })
  t.match(server.ledgerStore.slot(LITERAL, slotMs), { state: 'done', origin: 'backfill' })

  await begin(server)
  failing.error = new Error('no disk')
  await server.work()
  t.strictSame(server.ledgerStore.counts(), { owed: 0, failed: 1, late: 0, oldest_owed_ms: null }, 'what was evaluated once is not late')
  failing.error = null
  await goOn(server, ['2026-03-17T12:51:00Z'])
  t.strictSame(server.ledgerStore.counts(), { owed: 0, failed: 0, late: 0, oldest_owed_ms: null })
})

t.test('a slot that was waived while it waits for its next try stays waived', async t => {
  const { server, failing } = await openFlaky(t)
  const { id } = await begin(server)
  failing.error = new Error('no disk')
  await server.work()
  const { next_slot_ms: slotMs } = server.backfillStore.get(id)!
  const res = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/waivers`, headers: bearer, payload: { scheduled_time: slotMs! / 1000, reason: 'nobody needs it' } })
  t.strictSame(res.json(), { waived: 1 })
  failing.error = null

  await goOn(server, ['2026-03-17T12:30:30Z'])

  t.match(await get(server, `backfills/${id}`), { state: 'failed', failed_slots: 1, error: /waived/ })
  t.equal(server.ledgerStore.slot(LITERAL, slotMs!)?.state, 'waived')
})

t.test('what fails in the same way every time is not tried again', async t => {
  const files = detectionsOf(t, { 'a_rule.yml': ruleOf('sourcetype=st') })
  const server = await open(t, { files })
  for (let part = 0; part < 3; part++) {
    const envelopes = Array.from({ length: 4_000 }, (_, n) => JSON.stringify({ time: 1773140700, sourcetype: 'st', event: { n } }))
    t.equal((await post(server, envelopes.join(''))).statusCode, 200)
  }

  for (const dryRun of [true, false]) {
    const { id } = await begin(server, { detection: 'a_rule', dry_run: dryRun })
    await server.work()
    t.match(await get(server, `backfills/${id}`), { state: 'failed', progress: { done: 24 }, failed_slots: 1, error: /the search gives more than 10000 rows/ })
  }
  t.equal(server.findings.runs('a_rule', 100).filter(({ status }) => status === 'failed').length, 1)
})

t.test('windows whose events are gone are evaluated short and said to be; slots that were evaluated before stay as they were', async t => {
  const server = await open(t)
  await server.send()
  server.ledgerStore.addDropped({ name: 'before', reason: 'age', events: 1, earliestUs: Date.parse('2026-03-10T05:00:00Z') * 1000, latestUs: Date.parse('2026-03-10T06:00:00Z') * 1000, nowMs: Date.parse('2026-03-16T00:00:00Z') })
  const first = await begin(server)
  await server.work()
  t.match(await get(server, `backfills/${first.id}`), { state: 'succeeded', short_slots: 2, lost_slots: 0, warnings: ['events of 2 windows had been dropped before'] })
  t.strictSame(slotsOf(server).filter(({ short }) => short === 1).map(({ slot_ms: slotMs }) => new Date(slotMs).getUTCHours()), [6, 7])

  server.ledgerStore.addDropped({ name: 'after', reason: 'age', events: 2, earliestUs: Date.parse('2026-03-10T11:05:00Z') * 1000, latestUs: Date.parse('2026-03-10T11:06:00Z') * 1000, nowMs: Date.parse('2026-03-17T12:40:00Z') })
  const [before] = await findingsOf(server)
  for (const dryRun of [true, false]) {
    const { id } = await begin(server, { dry_run: dryRun })
    await server.work()
    t.match(await get(server, `backfills/${id}`), { state: 'succeeded', progress: { done: 24 }, short_slots: 2, lost_slots: 1, row_count: 0 })
  }
  t.strictSame(await findingsOf(server), [before])
})

/** A server in this folder with `a_rule` and nothing else. */
async function openRule (t: Test, dataDir: string, search: string, rule = RULE) {
  return open(t, { dataDir, files: detectionsOf(t, { 'a_rule.yml': ruleOf(search, rule) }) })
}

t.test('findings of a backfill are throttled by the time of their slots, and counted apart', async t => {
  const server = await openRule(t, tempDir(t), BY_POD, RULE.replace('  asset_type: Endpoint\n', '$&  throttling: { fields: [pod], period: 6h }\n'))
  for (const time of ['03:05', '05:05', '11:05']) await post(server, { time: Date.parse(`2026-03-10T${time}:00Z`) / 1000, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: 'ls' } })

  const { id } = await begin(server, { detection: 'a_rule' })
  await server.work()

  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', row_count: 3, findings: { created: 2, throttled: 1, revised: 0 } })
})

t.test('a changed search is offered a backfill, which revises findings and marks those that it gives no more', async t => {
  const dataDir = tempDir(t)
  const before = await openRule(t, dataDir, BY_POD)
  for (const pod of ['web-1', 'web-2']) for (const tool of ['mount', 'nsenter']) await post(before, { time: 1773140700, sourcetype: 'st', event: { pod, user: 'root', tool: pod === 'web-2' ? 'ls' : tool } })
  t.equal((await get(before, 'detections/a_rule')).backfill_offer, null)
  const first = await begin(before, { detection: 'a_rule' })
  await before.work()
  t.match(await get(before, `backfills/${first.id}`), { findings: { created: 2 } })
  t.equal((await get(before, 'detections/a_rule')).backfill_offer, null)
  await before.close()

  const after = await openRule(t, dataDir, 'sourcetype=st tool=mount | stats count values(tool) AS tool values(user) AS user BY pod')
  const { backfill_offer: offer } = await get(after, 'detections/a_rule')
  t.strictSame(offer, { earliest: '2026-03-09T22:50:00.000Z', latest: '2026-03-10T22:50:00.000Z', reason: 'evaluated with another search' })
  t.strictSame((await get(after, 'detections')).items.map(({ backfill_offer: offer }: { backfill_offer: object }) => offer), [offer], 'the list has it too')
  const { id } = await begin(after, { detection: 'a_rule', earliest: offer.earliest, latest: offer.latest })
  t.equal((await get(after, 'detections/a_rule')).backfill_offer, null, 'it is on its way')
  await after.work()

  t.match(await get(after, `backfills/${id}`), { state: 'succeeded', findings: { created: 0, revised: 1, gone: 1 } })
  const found = await findingsOf(after)
  t.match(found.find(({ result }) => (result as { pod: string }).pod === 'web-1'), { revision: 2, gone_at: null, backfill: first.id, change: { reason: 'definition' } })
  t.match(found.find(({ result }) => (result as { pod: string }).pod === 'web-2'), { revision: 2, gone_at: /2026/, change: { reason: 'definition', row: 'gone' } })
  const { definition } = await get(after, 'detections/a_rule')
  t.ok(slotsOf(after, 'a_rule').every(({ definition_hash: hash, origin }) => hash === definition && origin === 'backfill'))
  t.equal((await get(after, 'detections/a_rule')).backfill_offer, null)
})

t.test('a cancelled backfill leaves the offer, a dry run too; a changed message or schedule makes none', async t => {
  const dataDir = tempDir(t)
  const before = await openRule(t, dataDir, BY_POD)
  await begin(before, { detection: 'a_rule' })
  await before.work()
  await before.close()
  const offerOf = async (server: Opened) => (await get(server, 'detections/a_rule')).backfill_offer

  const other = await openRule(t, dataDir, BY_POD, RULE.replace('message: ', 'message: now ') + 'deployment: { scheduling: { cron_schedule: 30 * * * * } }\n')
  t.equal(await offerOf(other), null)
  await other.close()

  const after = await openRule(t, dataDir, `${BY_POD} | where count > 1`)
  const offer = await offerOf(after)
  t.match(offer, { reason: 'evaluated with another search' })
  await begin(after, { detection: 'a_rule', dry_run: true })
  await after.work()
  t.strictSame(await offerOf(after), offer)
  await cancel(after, (await begin(after, { detection: 'a_rule' })).id)
  t.strictSame(await offerOf(after), offer)
  after.set('2026-04-09T12:00:00Z')
  t.match(await offerOf(after), { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T22:50:00.000Z' }, 'of the last thirty days')
})
