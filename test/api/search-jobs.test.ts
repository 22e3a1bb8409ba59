import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { compileSearch } from '../../src/detect/search.js'
import { AppError } from '../../src/errors.js'
import { KEPT_MS, MAX_WAITING_JOBS } from '../../src/detect/search-jobs.js'
import type { SearchResult } from '../../src/store/events.js'
import { ANALYST_KEY, ARRIVAL_MS, bearer, openTestEvents, post, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import type { TestAppOptions } from '../fixtures/app.js'

interface Job { readonly id: string, readonly state: string, readonly progress: { readonly fraction: number | null, readonly scanned_events: number }, readonly row_count: number | null, readonly error: string | null }

const as = (key: string) => ({ authorization: `Bearer ${key}` })

async function open (t: Test, options: TestAppOptions = {}) {
  let nowMs = ARRIVAL_MS
  const server = await testApp(t, { now: () => nowMs, ...options })
  const call = (method: 'GET' | 'POST' | 'DELETE', path = '', payload?: object, headers: Record<string, string> = bearer) =>
    server.app.inject({ method, url: `/api/v1/search/jobs${path}`, headers, ...payload === undefined ? {} : { payload } })
  /** Asks until `isEnough`; the test's own time-out is the limit. */
  async function until (id: string, isEnough: (job: Job) => boolean): Promise<Job> {
    for (;;) {
      const job = (await call('GET', `/${id}`)).json() as Job
      if (isEnough(job)) return job
      await setImmediate()
    }
  }
  const isOver = ({ state }: Job) => state !== 'queued' && state !== 'running'
  return {
    ...server, call, until,
    add: async (body: object) => (await call('POST', '', body)).json() as Job,
    over: (id: string) => until(id, isOver),
    pass: (ms: number) => { nowMs += ms },
  }
}

/** An event store whose searches end when told to, or when they are stopped. */
async function openHeld (t: Test) {
  const store = await openTestEvents(tempDir(t))
  t.teardown(() => store.close())
  const running: { readonly signal: AbortSignal, readonly end: () => void, readonly progress: (events: number) => void }[] = []
  const events = Object.assign(Object.create(store) as typeof store, {
    search: (_plan: unknown, { signal, onProgress }: { signal: AbortSignal, onProgress: (events: number) => void }) => new Promise<SearchResult>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new AppError('unavailable', 'the search was stopped')))
      running.push({ signal, progress: onProgress, end: () => resolve({ rows: [], truncated: false, scannedEvents: 7, warnings: ['a warning'] }) })
    }),
  })
  return { events, running }
}

t.test('a job gives the rows of its search, page by page, until an hour after its end', async t => {
  const server = await open(t)
  await post(server, Array.from({ length: 5 }, (_, n) => JSON.stringify({ event: { n } })).join(''))
  const search = 'index=main | table n | sort n'

  const made = await server.call('POST', '', { search, limit: 4 })
  const { id } = made.json() as Job
  const job = await server.over(id)
  const first = (await server.call('GET', `/${id}/results?limit=3`)).json()
  const rest = (await server.call('GET', `/${id}/results?limit=3&cursor=${first.next_cursor}`)).json()
  const direct = (await server.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search, limit: 4 } })).json()

  t.equal(made.statusCode, 202)
  t.equal(made.headers.location, `/api/v1/search/jobs/${id}`)
  t.match(job, { state: 'succeeded', progress: { fraction: 1, scanned_events: 5 }, row_count: 4, rows_cut: true, created_by: 'admin', error: null, expires_at: new Date(ARRIVAL_MS + KEPT_MS).toISOString() })
  t.strictSame([...first.items, ...rest.items], direct.rows)
  t.match([first.fields, first.rows_cut, rest.next_cursor], [direct.fields, true, null])
  server.pass(KEPT_MS)
  t.equal((await server.call('GET', `/${id}`)).statusCode, 404)
  t.strictSame((await server.call('GET')).json().items, [])
})

t.test('a search that is none is refused at once, and one that fails says why', async t => {
  const server = await open(t)
  const refused = await server.call('POST', '', { search: 'a | odd' })
  t.match([refused.statusCode, refused.json().errors[0].pointer], [400, '/search'])
  for (const body of [{ search: 'a', limit: 100_001 }, { search: 'a', time_limit_seconds: 3_601 }, { search: 'a', odd: 1 }]) t.equal((await server.call('POST', '', body)).statusCode, 400)
  t.strictSame((await server.call('GET')).json().items, [])
})

t.test('one job runs at a time, its progress shows, and the next begins when it is over', async t => {
  const { events, running } = await openHeld(t)
  const server = await open(t, { events })
  await post(server, Array.from({ length: 10 }, (_, n) => JSON.stringify({ event: { n } })).join(''))
  const first = await server.add({ search: 'a' })
  const second = await server.add({ search: 'b' })
  running[0]!.progress(5)

  t.match(await server.until(first.id, ({ state }) => state === 'running'), { progress: { fraction: 0.5, scanned_events: 5 } })
  t.match(await server.until(second.id, () => true), { state: 'queued', progress: { fraction: null } })
  t.equal((await server.call('GET', `/${second.id}/results`)).statusCode, 409)
  t.equal(running.length, 1)
  running[0]!.end()
  t.match(await server.over(first.id), { state: 'succeeded', progress: { fraction: 1, scanned_events: 7 }, warnings: ['a warning'] })
  await server.until(second.id, ({ state }) => state === 'running')
  running[1]!.end()
  t.match(await server.over(second.id), { state: 'succeeded' })
})

t.test('who cancels or deletes a job stops its search, and one that waits never begins', async t => {
  const { events, running } = await openHeld(t)
  const server = await open(t, { events })
  const [first, second, third] = [await server.add({ search: 'a' }), await server.add({ search: 'b' }), await server.add({ search: 'c' })]

  t.match((await server.call('POST', `/${second.id}/cancel`)).json(), { state: 'cancelled' })
  t.match((await server.call('POST', `/${first.id}/cancel`)).json(), { state: 'cancelled', row_count: null })
  t.ok(running[0]!.signal.aborted)
  await server.until(third.id, ({ state }) => state === 'running')
  t.equal((await server.call('DELETE', `/${third.id}`)).statusCode, 204)

  t.ok(running[1]!.signal.aborted)
  t.equal(running.length, 2)
  t.equal((await server.call('GET', `/${third.id}`)).statusCode, 404)
  t.match((await server.call('POST', `/${first.id}/cancel`)).json(), { state: 'cancelled' }, 'again')
})

t.test('a job that takes longer than it may fails, and the next begins', async t => {
  const { events, running } = await openHeld(t)
  const server = await open(t, { events })
  const { id } = await server.add({ search: 'a', time_limit_seconds: 1 })
  const next = await server.add({ search: 'b' })

  t.match(await server.over(id), { state: 'failed', error: 'the search took longer than 1 s' })
  t.ok(running[0]!.signal.aborted)
  await server.until(next.id, ({ state }) => state === 'running')
  running[1]!.end()
})

t.test('a reader stops a search by the time that it is given', async t => {
  const server = await open(t)
  await post(server, { event: 'a' })
  const plan = compileSearch('index=main', server.macros(), server.knowledge())
  await t.rejects(server.events.search(plan, { window: { earliestUs: 0, latestUs: 4e15 }, position: server.events.position(), timeZone: 'UTC', nowMs: 0, limit: 1, timeoutMs: -1 }), { code: 'unavailable', message: /^the search took longer/ })
})

t.test('more jobs than may wait are refused', async t => {
  const { events, running } = await openHeld(t)
  const server = await open(t, { events })
  for (let i = 0; i <= MAX_WAITING_JOBS; i++) t.equal((await server.call('POST', '', { search: 'a' })).statusCode, 202)

  const res = await server.call('POST', '', { search: 'a' })

  t.match([res.statusCode, res.json().type], [503, '/problems/unavailable'])
  t.equal(running.length, 1)
})

t.test('when the server stops, the job under way is stopped, and none begins', async t => {
  const { events, running } = await openHeld(t)
  const server = await open(t, { events })
  const { id } = await server.add({ search: 'a' })
  const next = await server.add({ search: 'b' })

  server.stop.abort()

  t.match(await server.over(id), { state: 'failed', error: 'the search was stopped' })
  t.ok(running[0]!.signal.aborted)
  t.match(await server.until(next.id, () => true), { state: 'queued' })
  t.match([running.length, (await server.call('POST', '', { search: 'a' })).statusCode], [1, 503])
})

t.test('who made a job sees it, and an admin; to all others it is not there', async t => {
  const server = await open(t)
  const { id } = (await server.call('POST', '', { search: 'a' }, as(VIEWER_KEY))).json() as Job
  await server.over(id)

  for (const [method, path] of [['GET', ''], ['GET', '/results'], ['POST', '/cancel'], ['DELETE', '']] as const) {
    t.equal((await server.call(method, `/${id}${path}`, undefined, as(ANALYST_KEY))).statusCode, 404, `${method} ${path}`)
  }
  const listed = async (key: string) => (await server.call('GET', '', undefined, as(key))).json().items.length as number
  t.strictSame([await listed(VIEWER_KEY), await listed(ANALYST_KEY)], [1, 0])
  t.equal((await server.call('GET')).json().items.length, 1)
  t.equal((await server.call('GET', `/${id}/results`, undefined, as(VIEWER_KEY))).statusCode, 200)
})

t.test('a scan says how far it is, and stops when it is cancelled', async t => {
  const server = await open(t)
  const line = JSON.stringify({ event: { text: 'xy'.repeat(300) } })
  for (let i = 0; i < 20; i++) await post(server, Array.from({ length: 1_000 }, () => line).join(''))
  const { id } = await server.add({ search: 'index=main | rex field=text "(?<a>(x+y?)+z)" | rex field=text "(?<b>(x+y?)+q)" | stats count BY a' })
  const under = await server.until(id, ({ state, progress }) => state !== 'running' || progress.scanned_events > 0)
  t.match(under, { state: 'running' })
  t.ok(under.progress.fraction! > 0 && under.progress.fraction! < 1)

  await server.call('POST', `/${id}/cancel`)
  const next = await server.add({ search: 'index=main | head 1' })

  t.match(await server.over(next.id), { state: 'succeeded', row_count: 1 })
  const after = await server.until(id, () => true)
  t.equal(after.state, 'cancelled')
  t.ok(after.progress.scanned_events < 20_000)
})
