import { setImmediate } from 'node:timers/promises'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Test } from 'tap'
import type { Finding } from '../../src/finding.js'
import { openKeyStore } from '../../src/store/control/keys.js'
import { openControlDatabase } from '../../src/store/control/open.js'
import { hashSecret } from '../../src/hec/token.js'
import { tempDir, testApp } from '../fixtures/app.js'
import { listen, openSocket, until } from '../fixtures/http.js'
import type { StreamClient } from '../fixtures/stream.js'
import { listenTo } from '../fixtures/stream.js'
import type { TestAppOptions } from '../fixtures/app.js'
import { openTriage } from '../fixtures/workflow.js'

/** A server that listens, with a finding for each pod. */
async function open (t: Test, pods: readonly string[] = ['a'], options: TestAppOptions = {}) {
  const server = await openTriage(t, options)
  await server.happen(...pods.map(pod => ({ pod, tool: 'ls' })))
  await server.run()
  const port = await listen(server)
  const idOf = new Map((await server.list('limit=1000')).map(({ id, result }) => [(result as { pod: string }).pod, id]))
  return { ...server, port, patch: (pod: string, change: object) => server.call('PATCH', `findings/${idOf.get(pod)}`, change) }
}

const tell = ({ messages }: StreamClient) => messages.map(({ event, data: { result, status, etag } }) => `${event} ${(result as { pod: string } | undefined)?.pod ?? '-'} ${status} ${etag}`)

t.test('a stream tells what becomes of findings from now on, each as the list gives it then', async t => {
  const { port, patch, happen, run, list, call } = await open(t)
  const client = await listenTo(t, port)
  const lists: Finding[] = []
  const see = async (pod: string) => { lists.push((await list()).find(({ result }) => (result as { pod: string }).pod === pod)!) }

  await patch('a', { status: 'closed', comment: 'a <b>test</b>\nof ours\r\n\ndata: x' })
  await see('a')
  await happen({ pod: 'b', tool: 'ls' })
  await run()
  await see('b')
  await happen({ pod: 'a', tool: 'ls' })
  await run()
  await see('a')
  await call('POST', `findings/${lists[1]!.id}/comments`, { comment: 'what is this?' })
  await see('b')
  await client.came(4)

  t.strictSame(tell(client), ['changed a closed "1.1"', 'created b new "1.0"', 'revised a new "2.2"', 'changed b new "1.1"'])
  t.strictSame(client.messages.map(({ data }) => data), lists)
  const ids = client.messages.map(({ id }) => id)
  t.strictSame(ids, [...new Set(ids)].sort(), 'ids grow')
  t.match(client.response.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
})

t.test('who was cut off goes on behind the last id, with header or parameter; the header wins', async t => {
  const { port, patch } = await open(t)
  const client = await listenTo(t, port)
  const begin = client.lastId()
  await patch('a', { owner: 'first' })
  await client.came(1)
  client.kill()
  await patch('a', { owner: 'second' })
  await patch('a', { owner: 'third' })
  const last = client.lastId()

  const again = await listenTo(t, port, { lastId: last })
  const parameter = await listenTo(t, port, { query: `?last_event_id=${last}` })
  const both = await listenTo(t, port, { query: `?last_event_id=${begin}`, lastId: last })
  const fromBegin = await listenTo(t, port, { lastId: begin })
  const fromNow = await listenTo(t, port)
  await patch('a', { owner: 'fourth' })

  const owners = async (one: StreamClient, count: number) => {
    await one.came(count)
    return one.messages.map(({ data }) => data.owner)
  }
  for (const one of [again, parameter, both]) t.strictSame(await owners(one, 3), ['second', 'third', 'fourth'])
  t.strictSame(await owners(fromBegin, 4), ['first', 'second', 'third', 'fourth'], 'what was sent before the first message has an id')
  t.strictSame(await owners(fromNow, 1), ['fourth'])
})

t.test('a server that starts again goes on where the client was', async t => {
  const dataDir = tempDir(t)
  const { port, patch, close } = await open(t, ['a'], { dataDir })
  const client = await listenTo(t, port)
  await patch('a', { owner: 'first' })
  await client.came(1)
  client.kill()
  await patch('a', { owner: 'second' })
  await close()

  const next = await openTriage(t, { dataDir })
  const again = await listenTo(t, await listen(next), { lastId: client.lastId() })
  await next.call('PATCH', `findings/${client.messages[0]!.data.id}`, { owner: 'third' })
  await again.came(2)

  t.strictSame(again.messages.map(({ data }) => data.owner), ['second', 'third'])
})

t.test('an id that the log has not, or of another log, is answered by a reset, and the stream goes on from now', async t => {
  const { port, patch, control } = await open(t, ['a'], { streaming: { bounds: { changes: 3, bytes: 1e6, ageMs: 1e9 } } })
  const client = await listenTo(t, port)
  const tooOld = client.lastId()!
  for (const owner of ['b', 'c', 'd', 'e']) await patch('a', { owner })
  await client.came(4)
  const kept = client.messages[1]!.id
  t.equal(control.prepare('SELECT count(*) FROM finding_log').pluck().get(), 3)

  const resets = [tooOld, 'x', '000000000000-1', '000000009999-abc', kept.replace(/.$/, c => c === '0' ? '1' : '0')]
  const clients = await Promise.all([...resets, kept].map(lastId => listenTo(t, port, { lastId })))
  await patch('a', { owner: 'f' })
  for (const one of clients) await one.until(() => one.messages.at(-1)?.data.owner === 'f')

  for (const one of clients.slice(0, -1)) t.strictSame(one.messages.map(({ event }) => event), ['reset', 'changed'])
  t.strictSame(clients.at(-1)!.messages.map(({ data }) => data.owner), ['d', 'e', 'f'])
})

t.test('the log is bounded by number, bytes and age, and keeps its newest change', async t => {
  const { patch, control, setTime, findingStream } = await open(t, ['a'], { streaming: { bounds: { changes: 100, bytes: 1, ageMs: 60_000 } } })
  const numbers = () => control.prepare('SELECT number FROM finding_log').pluck().all()
  await patch('a', { owner: 'b' })
  await patch('a', { owner: 'c' })
  t.strictSame(numbers(), [3], 'bytes')

  const aged = await open(t, ['a'], { streaming: { bounds: { changes: 100, bytes: 1e6, ageMs: 60_000 } } })
  await aged.patch('a', { owner: 'b' })
  aged.findingStream.forget(Date.parse('2026-03-10T20:02:00Z'))
  t.strictSame(aged.control.prepare('SELECT number FROM finding_log').pluck().all(), [2], 'age')
  setTime('20:00:30')
  findingStream.forget(Date.parse('2026-03-10T20:00:30Z'))
  t.strictSame(numbers(), [3])
})

t.test('a filter is that of the list; a finding that a change takes out of it is told of the change', async t => {
  const { port, patch } = await open(t, ['a', 'b'])
  const isNew = await listenTo(t, port, { query: '?status=new' })
  const isOfB = await listenTo(t, port, { query: '?risk_object=b&status=new&status=closed' })

  await patch('a', { status: 'pending' })
  await patch('a', { owner: 'alice' })
  await patch('b', { status: 'closed' })
  await patch('b', { status: 'new' })
  await Promise.all([isNew.came(3), isOfB.came(2)])

  t.strictSame(tell(isNew), ['changed a pending "1.1"', 'changed b closed "1.1"', 'changed b new "1.2"'])
  t.strictSame(tell(isOfB), ['changed b closed "1.1"', 'changed b new "1.2"'])
})

t.test('what a suppression hides is told to those alone who ask for it', async t => {
  const { port, call, happen, run, patch } = await open(t)
  const plain = await listenTo(t, port)
  const all = await listenTo(t, port, { query: '?suppressed=include' })
  const made = await call('POST', 'suppressions', { detection: 'a_rule', condition: 'pod=hidden', reason: 'test' })
  t.equal(made.statusCode, 201, made.body)

  await happen({ pod: 'hidden', tool: 'ls' })
  await run()
  await patch('a', { status: 'closed' })
  await Promise.all([all.came(2), plain.came(1)])

  t.strictSame(tell(all), ['created hidden new "1.0"', 'changed a closed "1.1"'])
  t.strictSame(tell(plain), ['changed a closed "1.1"'])
})

t.test('a change that is rolled back is told to nobody', async t => {
  const { port, patch, control, findings } = await open(t)
  const client = await listenTo(t, port)
  const id = (await listenTo(t, port)).lastId()
  t.throws(() => control.transaction(() => {
    findings.tell(control.prepare('SELECT id FROM finding').pluck().get() as string, 'changed', 0)
    throw new Error('undone')
  })(), /undone/)

  await patch('a', { owner: 'alice' })
  await client.came(1)

  t.strictSame(tell(client), ['changed a new "1.1"'])
  t.equal(Number(client.messages[0]!.id.split('-')[0]), Number(id!.split('-')[0]) + 1, 'it took no number')
})

t.test('a client that takes nothing is cut off when too much waits for it, and misses nothing', async t => {
  const { port, list, findingStream } = await open(t, ['a'], { streaming: { maxWaiting: 2 << 20 } })
  const [finding] = await list() as [Finding]
  const first = await listenTo(t, port)
  const begin = first.lastId()!
  first.kill()
  await until(() => findingStream.count() === 0)
  const slow = await listenTo(t, port, { lastId: begin })
  slow.response.pause()
  let changes = 0
  const text = 'x'.repeat(300_000)
  while (findingStream.count() > 0) { // into the buffers of the machine first
    findingStream.keep({ ...finding, owner: `${changes++}`, result: text }, { what: 'changed', nowMs: changes })
    await setImmediate()
    await setImmediate()
  }
  slow.response.resume()
  await slow.over()
  t.notOk(slow.isWhole(), 'cut, not ended')

  const again = await listenTo(t, port, { lastId: slow.lastId()! })
  await again.came(changes - slow.messages.length)

  t.strictSame([...slow.messages, ...again.messages].map(({ data }) => Number(data.owner)), Array.from({ length: changes }, (_, i) => i))
})

t.test('a client that has taken nothing since the heartbeat before is cut off', async t => {
  const { port, control, findingStream } = await open(t, ['a'], { streaming: { heartbeatMs: 20 } })
  const begin = (await listenTo(t, port)).lastId()!
  // More than the buffers of a machine hold.
  const row = control.prepare('SELECT * FROM finding_log').get() as { number: number, finding: string }
  const text = JSON.stringify({ ...JSON.parse(row.finding) as object, result: 'x'.repeat(900_000) })
  const insert = control.prepare("INSERT INTO finding_log (at_ms, what, finding, end_bytes) VALUES (1, 'created', ?, 0)")
  control.transaction(() => { for (let i = 0; i < 40; i++) insert.run(text) })()
  const before = findingStream.count()
  const socket = await openSocket(t, port)
  socket.pause()
  socket.write(`GET /api/v1/findings/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-viewer-key\r\nLast-Event-ID: ${begin}\r\n\r\n`)
  await until(() => findingStream.count() > before)

  await until(() => findingStream.count() === before)
})

t.test('heartbeats bring the id of what did not concern a client, so that it does not fall out of the log', async t => {
  const { port, patch } = await open(t, ['a', 'b'], { streaming: { heartbeatMs: 10, bounds: { changes: 3, bytes: 1e6, ageMs: 1e9 } } })
  const client = await listenTo(t, port, { query: '?risk_object=b' })
  const begin = client.lastId()
  for (let i = 0; i < 5; i++) await patch('a', { owner: `${i}` })
  await client.until(() => Number(client.lastId()!.split('-')[0]) === Number(begin!.split('-')[0]) + 5)
  client.kill()
  t.ok(client.comments.length > 0)
  await patch('b', { owner: 'alice' })

  const again = await listenTo(t, port, { query: '?risk_object=b', lastId: client.lastId() })
  await again.came(1)

  t.strictSame(tell(again), ['changed b new "1.1"'])
})

t.test('more clients than may listen are answered 503, and one that goes leaves its place', async t => {
  const { port, findingStream } = await open(t, ['a'], { streaming: { maxListeners: 2 } })
  const clients = [await listenTo(t, port), await listenTo(t, port)]

  const third = await listenTo(t, port)
  clients[0]!.kill()
  await until(() => findingStream.count() === 1)
  const fourth = await listenTo(t, port)

  t.equal(third.response.statusCode, 503)
  t.match(third.response.headers, { 'content-type': /^application\/problem\+json/ })
  t.match(JSON.parse(third.text()), { type: '/problems/unavailable', title: 'Service Unavailable', status: 503 })
  t.equal(fourth.response.statusCode, 200)
})

t.test('a stream ends when its key is revoked, and others go on', async t => {
  const { port, dataDir, patch } = await open(t, ['a'], { streaming: { askMs: 10 } })
  const beside = openControlDatabase(dataDir)
  t.teardown(() => beside.close())
  openKeyStore(beside).add({ name: 'gone', hash: hashSecret('a-key'), role: 'viewer', enabled: true, created_ms: 0, expires_ms: null })
  const stays = await listenTo(t, port)
  const goes = await listenTo(t, port, { key: 'a-key' })

  beside.exec("DELETE FROM api_key WHERE name = 'gone'")
  await goes.over()
  await patch('a', { owner: 'alice' })
  await stays.came(1)

  t.ok(goes.isWhole())
  t.equal((await listenTo(t, port, { key: 'a-key' })).response.statusCode, 401)
})

t.test('streams end when the server stops', async t => {
  const { port, close } = await open(t)
  const client = await listenTo(t, port)

  await close()
  await client.over()

  t.ok(client.isWhole())
})

t.test('what the list does not take the stream does not either, nor a time range', async t => {
  const { app } = await testApp(t)
  for (const query of ['status=odd', 'earliest=0', 'limit=1', 'throttled=only&suppressed=only']) {
    const res = await app.inject({ url: `/api/v1/findings/stream?${query}`, headers: { authorization: 'Bearer a-viewer-key' } })
    t.equal(res.statusCode, 400, query)
  }
})

const PODS = ['a', 'b', 'c', 'd', 'end']
const QUERIES = ['', '?status=new', '?risk_object=b']

const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('patch' as const), pod: fc.constantFrom(...PODS.slice(0, -1)), status: fc.constantFrom('new', 'closed', 'pending') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bulk' as const), owner: fc.constantFrom('alice', 'bob') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('run' as const), pod: fc.constantFrom(...PODS.slice(0, -1)) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const), client: fc.nat(QUERIES.length - 1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('come' as const), client: fc.nat(QUERIES.length - 1) }) },
)

t.test('whatever changes and whoever is cut off when, a client gets the log: each change once, in order', async t => {
  const { port, patch, call, happen, run, control } = await open(t, PODS)
  const selectLog = control.prepare<[number], { number: number, what: string, before: string | null, finding: string }>('SELECT * FROM finding_log WHERE number > ?')
  let round = 0

  await fc.assert(fc.asyncProperty(fc.array(deed, { minLength: 5, maxLength: 25 }), async deeds => {
    const start = control.prepare('SELECT max(number) FROM finding_log').pluck().get() as number
    const clients = await Promise.all(QUERIES.map(async query => {
      const first = await listenTo(t, port, { query })
      return { query, all: [first], isHere: true }
    }))
    const come = async (one: typeof clients[number]) => {
      if (one.isHere) return
      one.all.push(await listenTo(t, port, { query: one.query, lastId: one.all.at(-1)!.lastId() }))
      one.isHere = true
    }
    for (const deed of deeds) {
      if (deed.kind === 'patch') await patch(deed.pod, { status: deed.status, comment: 'x' })
      else if (deed.kind === 'bulk') await call('POST', 'findings/bulk', { filter: {}, change: { owner: `${deed.owner}-${round}` } })
      else if (deed.kind === 'run') {
        await happen({ pod: deed.pod, tool: 'ls' })
        await run()
      } else if (deed.kind === 'come') await come(clients[deed.client]!)
      else {
        clients[deed.client]!.all.at(-1)!.kill()
        clients[deed.client]!.isHere = false
      }
    }
    const end = `end of ${round++}`
    for (const one of clients) await come(one)
    for (const pod of ['b', 'end']) await patch(pod, { status: 'new', owner: end })
    const isEnd = ({ query }: { query: string }) => ({ data: { owner, result } }: { data: Finding }) => owner === end && (result as { pod: string }).pod === (query.includes('risk') ? 'b' : 'end')
    for (const one of clients) await one.all.at(-1)!.until(() => one.all.at(-1)!.messages.some(isEnd(one)))

    const log = selectLog.all(start).map(row => ({ ...row, finding: JSON.parse(row.finding) as Finding, before: row.before === null ? null : JSON.parse(row.before) as Finding }))
    for (const { query, all } of clients) {
      const wanted = log.filter(({ finding, before }) => query === '' || (query === '?status=new' ? finding.status === 'new' || before?.status === 'new' : finding.risk.objects[0]!.value === 'b'))
      const got = all.flatMap(({ messages }) => messages)
      const last = got.findIndex(isEnd({ query }))
      t.strictSame(got.slice(0, last + 1).map(({ event, data }) => [event, data]), wanted.map(({ what, finding }) => [what, finding]).slice(0, last + 1))
      t.ok(last + 1 >= wanted.length - 1, 'nothing is missing')
      for (const one of all) one.kill()
    }
  }), { numRuns: 15 })
})
