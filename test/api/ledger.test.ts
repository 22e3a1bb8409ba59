import type { Test } from 'tap'
import t from 'tap'
import type { EventStore } from '../../src/store/events.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { LITERAL } from '../fixtures/golden.js'

const at = (time: string) => Date.parse(`2026-03-10T${time}:00Z`)

interface Page { readonly items: { readonly detection_id: string, readonly scheduled_time: string, readonly state: string }[], readonly next_cursor: string | null }

/** Detections since 06:30 at 09:10: the slots of 07:00 are done, those of 08:00 failed, those of 09:00 owed. */
async function open (t: Test) {
  let nowMs = at('06:30')
  let fails = false
  const { events, close } = await testApp(t, { dataDir: tempDir(t), now: () => nowMs })
  t.teardown(close)
  const flaky: EventStore = { ...events, search: (plan, options) => fails ? Promise.reject(new Error('no disk')) : events.search(plan, options), close: async () => {} }
  const server = await testApp(t, { dataDir: tempDir(t), events: flaky, now: () => nowMs })
  server.ledger.complete(nowMs)
  const until = async (time: string) => {
    nowMs = at(time)
    while (await server.ledger.turn(nowMs) <= nowMs);
  }
  await until('07:01')
  fails = true
  await until('08:01')
  nowMs = at('09:10')
  server.ledger.waive('none', { fromMs: 0, toMs: 0 }, { by: 'nobody', reason: 'so that what came due is owed' })
  return { ...server, until, work (value: boolean) { fails = !value } }
}

async function list ({ app }: Pick<TestApp, 'app'>, query: string): Promise<Page> {
  const res = await app.inject({ url: `/api/v1/ledger?${query}`, headers: bearer })
  if (res.statusCode !== 200) throw new Error(res.body)
  return res.json() as Page
}

function waive ({ app }: Pick<TestApp, 'app'>, body: object, headers: Record<string, string> = bearer, id = LITERAL) {
  return app.inject({ method: 'POST', url: `/api/v1/detections/${id}/waivers`, headers, payload: body })
}

const states = ({ items }: Page) => items.map(({ scheduled_time: time, state }) => `${time.slice(11, 16)} ${state}`)

t.test('the ledger is filtered by detection, state and time', async t => {
  const server = await open(t)
  const of = `detection=${LITERAL}`

  t.strictSame(states(await list(server, of)), ['07:00 done', '08:00 failed', '09:00 owed'])
  t.strictSame(states(await list(server, `${of}&state=failed`)), ['08:00 failed'])
  t.strictSame(states(await list(server, `${of}&earliest=2026-03-10T08:00:00Z&latest=2026-03-10T09:00:00Z`)), ['08:00 failed'], 'the end is exclusive')
  t.strictSame((await list(server, 'detection=none')).items, [])
  server.ledgerStore.lookAgain(LITERAL, at('07:00'), { last: server.events.position(), dueMs: at('09:20'), nowMs: at('09:10') })
  t.strictSame(states(await list(server, `${of}&late=true`)), ['07:00 done'])
})

t.test('an item of the ledger says what became of its slot', async t => {
  const server = await open(t)
  const [done, failed, owed] = (await list(server, `detection=${LITERAL}`)).items

  t.match(done, { origin: 'schedule', window: { earliest: '2026-03-10T05:50:00.000Z', latest: '2026-03-10T06:50:00.000Z' }, row_count: 0, tries: 0, first_evaluated_at: '2026-03-10T07:01:00.000Z', next_try: null, short: false, waived: null })
  t.match(failed, { tries: 1, error: 'no disk', next_try: '2026-03-10T08:01:30.000Z', evaluated_at: null })
  t.match(owed, { position: null, error: null, late: { due: null, event_count: 0, evaluations: 0, too_late_events: 0 } })
})

t.test('the ledger is paged over all detections, by time and then by detection, and no slot is left out or comes twice', async t => {
  const server = await open(t)
  const { items: all } = await list(server, 'limit=1000')

  const paged: Page['items'][number][] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await list(server, `limit=4${cursor === '' ? '' : `&cursor=${cursor}`}`)
    t.ok(page.items.length <= 4)
    paged.push(...page.items)
    cursor = page.next_cursor
  }

  const key = ({ scheduled_time: time, detection_id: id }: Page['items'][number]) => `${time} ${id}`
  t.ok(all.length > 20)
  t.strictSame(paged, all)
  t.strictSame(all.map(key), all.map(key).sort())
})

t.test('a query that is none is refused', async t => {
  const server = await open(t)
  for (const query of ['state=lost', 'late=false', 'limit=0', 'limit=1001', 'cursor=x', `cursor=${Buffer.from('[1]').toString('base64url')}`, 'earliest=soon', 'earliest=now&latest=-1h', 'colour=red', 'count=exact']) {
    t.equal((await server.app.inject({ url: `/api/v1/ledger?${query}`, headers: bearer })).statusCode, 400, query)
  }
  t.equal((await server.app.inject('/api/v1/ledger')).statusCode, 401)
})

t.test('owed and failed slots are waived, one or a stretch of them, and are not run', async t => {
  const server = await open(t)

  t.strictSame((await waive(server, { scheduled_time: '2026-03-10T08:00:00Z', reason: 'maintenance' })).json(), { waived: 1 })
  t.strictSame((await waive(server, { scheduled_time: at('08:00') / 1000, reason: 'again' })).json(), { waived: 0 }, 'it is waived already')
  t.strictSame((await waive(server, { earliest: '2026-03-10T06:00:00Z', latest: '2026-03-10T09:00:00Z', reason: 'all' })).json(), { waived: 0 }, 'what is done stays so, and the end is exclusive')
  t.strictSame((await waive(server, { earliest: '2026-03-10T09:00:00Z', latest: '2026-03-10T12:00:00Z', reason: 'all' })).json(), { waived: 1 })
  server.work(true)
  await server.until('10:10')

  t.strictSame(states(await list(server, `detection=${LITERAL}`)), ['07:00 done', '08:00 waived', '09:00 waived', '10:00 done'], 'what comes due later is not waived')
  t.match((await list(server, `detection=${LITERAL}&state=waived&limit=1`)).items, [{ waived: { by: 'admin', reason: 'maintenance', at: '2026-03-10T09:10:00.000Z' }, next_try: null }])
  t.ok((await list(server, 'state=waived')).items.every(({ detection_id: id }) => id === LITERAL), 'other detections are left alone')
})

t.test('waiving asks for an analyst, a reason, and either one slot or a stretch', async t => {
  const server = await open(t)
  const status = async (body: object, headers = bearer, id = LITERAL) => (await waive(server, body, headers, id)).statusCode

  t.equal(await status({ scheduled_time: '2026-03-10T08:00:00Z', reason: 'x' }, { authorization: `Bearer ${VIEWER_KEY}` }), 403)
  t.equal(await status({ scheduled_time: '2026-03-10T08:00:00Z' }), 400)
  t.equal(await status({ scheduled_time: '2026-03-10T08:00:00Z', reason: '' }), 400)
  t.equal(await status({ scheduled_time: '2026-03-10T08:00:00Z', reason: 'x'.repeat(1001) }), 400)
  t.equal(await status({ reason: 'x' }), 400)
  t.equal(await status({ earliest: '2026-03-10T08:00:00Z', reason: 'x' }), 400, 'a stretch has two ends')
  t.equal(await status({ earliest: 'now', latest: '-1h', reason: 'x' }), 400)
  t.equal(await status({ scheduled_time: 'soon', reason: 'x' }), 400)
  t.equal(await status({ scheduled_time: '2026-03-10T08:00:00Z', reason: 'x' }, bearer, 'none'), 404)
  t.strictSame((await list(server, 'state=waived')).items, [])
})
