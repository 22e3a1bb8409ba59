import t from 'tap'
import { openRandom } from '../../bench/generator.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, post, tempDir, VIEWER_KEY } from '../fixtures/app.js'
import type { Received } from '../fixtures/receiver.js'
import { openReceiver, RULE, tellingApp } from '../fixtures/receiver.js'
import { get, runAt } from '../fixtures/rules.js'

const HOUR_MS = 3_600_000

/** Gives a finding for each of these pods, in their order, by one run. */
async function findPods (server: TestApp, count: number): Promise<string[]> {
  const pods = Array.from({ length: count }, (_, n) => `pod-${String(n).padStart(4, '0')}`)
  await post(server, pods.map(pod => JSON.stringify({ time: 1773140700, sourcetype: 'st', event: { pod, user: 'root', tool: 'mount' } })).join(''))
  const run = await runAt(server, RULE) as { findings: { created: number } }
  if (run.findings.created !== count) throw new Error(JSON.stringify(run))
  return pods
}

const podOf = ({ body }: Received): string => (JSON.parse(body) as { data: { result: { pod: string } } }).data.result.pod

/** What came with an answer of 200, each key once, in the order of its last coming. */
function distinct (received: readonly Received[]): Map<string, Received> {
  return new Map(received.map(one => [one.headers['idempotency-key'] as string, one]))
}

t.test('a target that is down for an hour gets everything afterwards, in order, each once', async t => {
  const states: string[] = []
  const outage = { endMs: Infinity }
  const { received, url } = await openReceiver(t, (_request, response) => {
    if (server.clock.nowMs < outage.endMs) response.socket!.destroy()
    else response.end()
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url, max_per_minute: 60_000 }], {
    delivering: {
      failing: (target, reason) => states.push(`${target} fails: ${reason}`),
      working: (target, failures) => states.push(`${target} works after ${failures}`),
      gaveUp: () => states.push('gave up'),
    },
  })
  const pods = await findPods(server, 50)
  outage.endMs = server.clock.nowMs + HOUR_MS

  await server.tell('soc')

  const came = [...distinct(received).values()].map(podOf)
  t.strictSame(came, pods)
  const tries = received.length - pods.length
  t.ok(tries > 8 && tries < 20, `${tries} tries in an hour`)
  t.ok(server.clock.nowMs - outage.endMs <= 600_000 + pods.length * 1000, 'at most ten minutes after it is up')
  t.strictSame(states, ['soc fails: socket hang up', `soc works after ${tries}`])
})

t.test('a target that fails at random, or fails to answer what it took, loses nothing and gets nothing out of order; a second try has the same key and body', async t => {
  const random = openRandom(7)
  const taken: Received[] = []
  const { received, url } = await openReceiver(t, (request, response) => {
    const luck = random.below(4)
    if (luck === 0) response.writeHead(500).end('no')
    else {
      taken.push(request)
      if (luck === 1) response.socket!.destroy()
      else response.end()
    }
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url, max_per_minute: 60_000 }], { delivering: { random: () => random.below(1000) / 1000 } })
  const pods = await findPods(server, 60)

  await server.tell('soc')

  t.strictSame([...distinct(taken).values()].map(podOf), pods)
  t.ok(taken.length > pods.length, `${taken.length - pods.length} came twice`)
  for (const { headers, body } of received) t.equal(body, distinct(received).get(headers['idempotency-key'] as string)!.body)
  const order = taken.map(podOf)
  t.strictSame(order, [...order].sort(), 'nothing comes before what was written before it')
  const { items } = await get(server, 'deliveries?limit=1000') as { items: { state: string, tries: number, finding: { revision: number } }[] }
  t.equal(items.length, pods.length)
  t.ok(items.every(({ state, tries }) => state === 'delivered' && tries > 0))
})

const FAST = { type: 'webhook', max_per_minute: 60_000 } as const

t.test('a target is left alone as long as its Retry-After asks, in seconds or as a date', async t => {
  const answers = ['120', 'Tue, 10 Mar 2026 13:00:00 GMT', 'soon', '99999999999', '-1']
  const times: number[] = []
  const { url } = await openReceiver(t, (_request, response) => {
    times.push(server.clock.nowMs)
    const retryAfter = answers.shift()
    if (retryAfter === undefined) response.end()
    else response.writeHead(429, { 'retry-after': retryAfter }).end()
  })
  const server = await tellingApp(t, [{ name: 'soc', url, ...FAST }])
  await findPods(server, 1)

  await server.tell('soc')

  const at = (time: string) => Date.parse(`2026-03-10T${time}Z`)
  t.strictSame(times, [at('12:01:00'), at('12:03:00'), at('13:00:00'), at('13:00:04'), at('13:00:12'), at('13:00:28')])
})

t.test('a clock that was ahead makes no message wait until it is right, over a restart neither', async t => {
  let isDown = true
  const { received, url } = await openReceiver(t, (_request, response) => { response.writeHead(isDown ? 500 : 200, isDown ? { 'retry-after': '3600' } : {}).end() })
  const dataDir = tempDir(t)
  const target = { name: 'soc', url, give_up_after: '1000d', ...FAST }
  const server = await tellingApp(t, [target], { dataDir })
  await findPods(server, 1)
  const rightMs = server.clock.nowMs
  const turn = async (nowMs: number, by = server) => {
    const before = received.length
    await by.deliveries.turn('soc', nowMs, () => nowMs)
    return received.length - before
  }
  t.equal(await turn(rightMs), 1)
  t.equal(await turn(rightMs + HOUR_MS - 1), 0, 'not before Retry-After')
  t.equal(await turn(rightMs + 2 * HOUR_MS), 1)

  t.equal(await turn(rightMs + HOUR_MS), 1, 'set back by an hour')
  t.equal(await turn(rightMs + HOUR_MS + 1), 0, 'waits as long as it was asked to, by the clock of now')
  t.equal(await turn(rightMs + 1000 * HOUR_MS), 1)
  await server.close()
  isDown = false
  const next = await tellingApp(t, [target], { dataDir })
  t.equal(await turn(rightMs + 3 * HOUR_MS, next), 1, 'it was started with a clock that is right')
  t.match(await get(next, 'deliveries'), { items: [{ state: 'delivered', tries: 5 }] })
})

t.test('what fails for longer than give_up_after is given up, what is behind it goes on, and it can be sent again', async t => {
  const gaveUp: string[] = []
  let isPoison = true
  const { received, url } = await openReceiver(t, (request, response) => {
    response.writeHead(isPoison && podOf(request) === 'pod-0000' ? 400 : 200).end('<b>\u202e no')
  })
  const server = await tellingApp(t, [{ name: 'soc', url, give_up_after: '2h', ...FAST }], { delivering: { gaveUp: ({ id }) => gaveUp.push(id) } })
  await findPods(server, 3)
  const startMs = server.clock.nowMs

  await server.tell('soc')

  t.ok(server.clock.nowMs - startMs >= 2 * HOUR_MS && server.clock.nowMs - startMs <= 2.3 * HOUR_MS, 'a pause before its last try, and one behind it')
  const { items: [dead, ...rest], total } = await get(server, 'deliveries?state=dead&count=exact')
  t.strictSame([total, rest, gaveUp], [1, [], [dead.id]])
  t.match(dead, { target: 'soc', what: 'created', state: 'dead', status: 400, error: 'answered 400: <b>\\u{202e} no', next_try_at: null })
  t.strictSame((await get(server, 'targets')).items, [{
    name: 'soc', type: 'webhook', origin: new URL(url).origin, pending: 0, oldest_pending_at: null, dead: 1, failing_since: null, failures: 0, last_error: null,
    last_sent_at: new Date(server.clock.nowMs).toISOString(),
  }])
  isPoison = false
  t.match(await act(server, `deliveries/${dead.id}/resend`), { id: dead.id, state: 'pending', tries: 0, ended_at: null })
  t.match(await act(server, `deliveries/${dead.id}/resend`), { status: 409, detail: 'the delivery is pending; only a dead one can be sent again' })
  await server.tell('soc')
  t.strictSame([podOf(received.at(-1)!), received.at(-1)!.headers['idempotency-key']], ['pod-0000', dead.id])
  t.match(await get(server, `deliveries/${dead.id}`), { state: 'delivered', tries: 1, status: 200, error: null })
})

t.test('max_tries gives up sooner; all of a target can be sent again, and go in their old order', async t => {
  let isUp = false
  const { received, url } = await openReceiver(t, (_request, response) => { response.writeHead(isUp ? 204 : 503).end() })
  const server = await tellingApp(t, [{ name: 'soc', url, max_tries: 2, ...FAST }])
  const pods = await findPods(server, 4)
  await server.tell('soc')
  t.strictSame(received.map(podOf), pods.flatMap(pod => [pod, pod]))
  isUp = true

  t.strictSame(await act(server, 'deliveries/resend', { target: 'soc' }), { count: 4 })
  await server.tell('soc')

  t.strictSame(received.slice(-4).map(podOf), pods)
  t.strictSame(await act(server, 'deliveries/resend', { target: 'soc' }), { count: 0 })
  t.match(await act(server, 'deliveries/resend', { target: 'nobody' }), { status: 404, detail: 'the configuration has no such target' })
})

t.test('more than a piece of dead ones go in their old order too', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'soc', url, ...FAST }])
  const pods = await findPods(server, 2_050)
  server.control.exec("UPDATE delivery SET state = 'dead', ended_ms = 0")
  t.match((await get(server, 'targets')).items, [{ pending: 0, dead: 2_050, oldest_pending_at: null }])

  t.strictSame(await act(server, 'deliveries/resend', { target: 'soc' }), { count: 2_050 })

  t.match((await get(server, 'targets')).items, [{ pending: 2_050, dead: 0, oldest_pending_at: '2026-03-10T12:01:00.000Z' }])
  await server.tell('soc', () => received.length >= 20)
  t.strictSame(received.map(podOf), pods.slice(0, 20))
})

t.test('no more are sent than max_per_minute says, a tenth of them at once', async t => {
  const times: number[] = []
  const { url } = await openReceiver(t, (_request, response) => {
    times.push(server.clock.nowMs)
    response.end()
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url, max_per_minute: 30 }])
  await findPods(server, 10)
  const startMs = server.clock.nowMs

  await server.tell('soc')

  t.strictSame(times.map(ms => ms - startMs), [0, 0, 0, 2000, 4000, 6000, 8000, 10_000, 12_000, 14_000])
})

async function act ({ app }: Pick<TestApp, 'app'>, path: string, payload?: object): Promise<unknown> {
  const res = await app.inject({ method: 'POST', url: `/api/v1/${path}`, headers: bearer, ...payload === undefined ? {} : { payload } })
  return res.json()
}

t.test('a target that the configuration has no more keeps what waits for it, which can be seen and dropped', async t => {
  const dataDir = tempDir(t)
  const { received, url } = await openReceiver(t, (_request, response) => { response.writeHead(500).end() })
  const before = await tellingApp(t, [{ name: 'old', url, max_tries: 1, ...FAST }, { name: 'kept', url, ...FAST }], { dataDir })
  await findPods(before, 3)
  await before.tell('old', () => received.length === 1)
  await before.close()

  const server = await tellingApp(t, [{ name: 'kept', url, ...FAST }], { dataDir })

  t.match((await get(server, 'targets?count=exact')), { total: 2, items: [{ name: 'kept', type: 'webhook', pending: 3 }, { name: 'old', type: null, origin: null, pending: 2, dead: 1, oldest_pending_at: '2026-03-10T12:01:00.000Z' }] })
  const first = await get(server, 'targets?limit=1')
  t.match((await get(server, `targets?limit=1&cursor=${first.next_cursor}`)), { items: [{ name: 'old' }], next_cursor: null })
  t.equal((await get(server, 'deliveries?target=old&count=exact')).total, 3)
  const [{ id, finding }] = (await get(server, 'deliveries?target=old&state=pending')).items as [{ id: string, finding: { id: string } }]
  t.match(await get(server, `deliveries?finding=${finding.id}`), { items: [{ target: 'kept' }, { target: 'old' }] })
  t.equal((await server.app.inject({ method: 'DELETE', url: `/api/v1/deliveries/${id}`, headers: bearer })).statusCode, 204)
  t.equal((await server.app.inject({ url: `/api/v1/deliveries/${id}`, headers: bearer })).statusCode, 404)
  t.strictSame(await act(server, 'deliveries/drop', { target: 'old', state: 'dead' }), { count: 1 })
  t.strictSame(await act(server, 'deliveries/drop', { target: 'old' }), { count: 1 })
  t.match((await get(server, 'targets')).items.map(({ name }: { name: string }) => name), ['kept'])
  t.equal((await get(server, 'deliveries?count=exact')).total, 3, 'what is for others stays')
})

t.test('lists of deliveries have pages, the newest first', async t => {
  const { url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'soc', url, ...FAST }])
  await findPods(server, 5)
  const ids: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const page: { items: { id: string }[], next_cursor: string | null } = await get(server, `deliveries?limit=2&state=pending${cursor === '' ? '' : `&cursor=${cursor}`}`)
    ids.push(...page.items.map(({ id }) => id))
    cursor = page.next_cursor
  }

  t.strictSame(ids, (await get(server, 'deliveries')).items.map(({ id }: { id: string }) => id))
  t.equal(new Set(ids).size, 5)
})

t.test('what was delivered goes after a week, what was given up after thirty days, with its text', async t => {
  let status = 200
  const { url } = await openReceiver(t, (_request, response) => {
    response.writeHead(status).end()
    status = 500
  })
  const server = await tellingApp(t, [{ name: 'soc', url, max_tries: 1, ...FAST }])
  await findPods(server, 2)
  await server.tell('soc')
  const notices = server.control.prepare<[], number>('SELECT count(*) FROM notice').pluck()
  const left = (days: number) => {
    server.deliveries.forget(server.clock.nowMs + days * 24 * HOUR_MS)
    return [...server.deliveries.list({}, 10).map(({ state }) => state), notices.get()]
  }

  t.strictSame(left(6.9), ['dead', 'delivered', 2])
  t.strictSame(left(7.1), ['dead', 1])
  t.strictSame(left(29.9), ['dead', 1])
  t.strictSame(left(30.1), [0])
})

const VIEWER = ['GET /deliveries', 'GET /deliveries/x', 'GET /targets']
const ANALYST = ['POST /deliveries/x/resend', 'POST /deliveries/resend']
const ADMIN = ['DELETE /deliveries/x', 'POST /deliveries/drop', 'POST /targets/x/test']

t.test('a viewer reads what was told, and an analyst sends it again; the rest is an admin\'s', async t => {
  const server = await tellingApp(t, [])
  for (const [routes, isRefused] of [[VIEWER, false], [ANALYST, true], [ADMIN, true]] as const) {
    for (const route of routes) {
      const [method, path] = route.split(' ') as ['GET' | 'POST', string]
      const payload = method === 'POST' ? { payload: { target: 'x' } } : {}
      const res = await server.app.inject({ method, url: `/api/v1${path}`, headers: { authorization: `Bearer ${VIEWER_KEY}` }, ...payload })
      t.equal(res.statusCode === 403, isRefused, route)
      if (isRefused) t.match(res.json().detail, routes === ADMIN ? 'role admin' : 'role analyst', route)
    }
  }
})

t.test('what is no request is answered 400, and what is not there 404', async t => {
  const server = await tellingApp(t, [])
  for (const path of ['deliveries?state=lost', 'deliveries?limit=0', 'deliveries?cursor=x', 'deliveries?count=1', 'deliveries?target=', 'targets?cursor=x', 'targets?name=x']) {
    t.match(await get(server, path), { status: 400 }, path)
  }
  for (const [path, payload] of [['deliveries/resend', {}], ['deliveries/drop', {}], ['deliveries/drop', { target: 'x', state: 'delivered' }], ['deliveries/drop', { target: 7 }]] as const) {
    t.match(await act(server, path, payload), { status: 400 }, path)
  }
  t.match(await get(server, 'deliveries/x'), { status: 404 })
  for (const path of ['deliveries/x/resend', 'targets/x/test']) t.match(await act(server, path), { status: 404 }, path)
  t.strictSame(await act(server, 'deliveries/drop', { target: 'x' }), { count: 0 })
})

t.test('a filter says which findings a target is told of, and what of them', async t => {
  const FILTERS = {
    all: {},
    others: { detections: ['another'] },
    mine: { detections: ['another', RULE], min_score: 72, severity: ['high'], statuses: ['new'] },
    high: { min_score: 73 },
    low: { severity: ['low', 'medium'] },
    closed: { statuses: ['closed'] },
    revisions: { what: ['revised'] },
  }
  const server = await tellingApp(t, Object.entries(FILTERS).map(([name, filter]) => ({ name, type: 'webhook', url: 'http://127.0.0.1:9', filter })))
  await findPods(server, 1)
  await post(server, { time: 1773140701, sourcetype: 'st', event: { pod: 'pod-0000', user: 'root', tool: 'ls' } })
  await runAt(server, RULE)

  const { items } = await get(server, 'deliveries') as { items: { target: string, what: string }[] }

  t.strictSame(items.map(({ target, what }) => `${target} ${what}`).sort(), ['all created', 'all revised', 'mine created', 'mine revised', 'revisions revised'])
})
