import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { collectBody, openByteBudget } from '../../src/hec/body.js'
import type { HecError } from '../../src/hec/reply.js'
import { MAX_REQUEST_EVENTS } from '../../src/store/sqlite/writer.js'
import { auth, post, storedEvents, testApp, TOKEN } from '../fixtures/app.js'
import { listen, openSocket, postHead, until } from '../fixtures/http.js'

const SUCCESS = '{"text":"Success","code":0}'
const TOO_LARGE = '{"text":"Content too large","code":6}'
const BUSY = '{"text":"Server is busy","code":9}'

const EVENT = '{"event":"a"}'

t.test('gzip that comes in pieces is read like gzip that comes at once', async t => {
  const zipped = gzipSync(EVENT)
  const cases: readonly (readonly [name: string, chunks: readonly Buffer[], result: string | number])[] = [
    ['byte by byte', [...zipped].map(byte => Buffer.from([byte])), EVENT],
    ['members one by one', [zipped, zipped], EVENT + EVENT],
    ['zeros later', [zipped, Buffer.alloc(4)], EVENT],
    ['cut', [zipped.subarray(0, 8), zipped.subarray(8, -1)], 6],
    ['something else later', [zipped, Buffer.from('more'), Buffer.from('and more')], 6],
    ['broken from the start', [Buffer.from('more'), Buffer.from('and more')], 6],
    ['nothing', [], ''],
  ]
  for (const [name, chunks, result] of cases) {
    const budget = openByteBudget(1000)
    const outcome = await collectBody(Readable.from(chunks, { objectMode: false }), { gzip: true, maxBytes: 1000, declared: 0, budget })
      .then(({ body }) => Buffer.from(body).toString(), (error: HecError) => error.code)
    t.equal(outcome, result, name)
    t.equal(budget.bytes, typeof result === 'string' ? result.length : 0, `${name}: bytes taken`)
  }
})

t.test('a gzip bomb is stopped where the limit is', async t => {
  const it = await testApp(t, { maxBodyBytes: 1 << 20 })
  let most = 0
  const bomb = gzipSync(Buffer.alloc(100 << 20, ' '))
  const watched = {
    ...openByteBudget(1 << 20),
    open () {
      const share = openByteBudget(1 << 20).open(0)
      return {
        bytes: () => share.bytes(),
        tryTake (count: number): boolean {
          most += count
          return share.tryTake(count)
        },
        release: share.release,
      }
    },
  }

  const refusal = await collectBody(Readable.from([bomb]), { gzip: true, maxBytes: 1 << 20, declared: 0, budget: watched }).catch(error => error as HecError)
  t.match(refusal, { status: 413 })
  t.match(await post(it, bomb, { 'content-encoding': 'gzip' }), { statusCode: 413, body: TOO_LARGE })

  t.ok(most > 0 && most <= 1 << 20, `${most} bytes were unfolded`)
  t.equal(it.budget.bytes, 0)
  t.equal((await post(it, EVENT)).body, SUCCESS)
})

t.test('without room for its bytes a request is code 9, and nothing of it is kept', async t => {
  const budget = openByteBudget(1000)
  const it = await testApp(t, { budget })
  const port = await listen(it)
  const body = JSON.stringify({ event: 'first'.padEnd(888, '.') })
  const first = await openSocket(t, port)
  first.write(postHead('/services/collector', { Authorization: auth.authorization, 'Content-Length': body.length }) + body.slice(0, 600))
  await until(() => budget.bytes === 600)

  const second = JSON.stringify({ event: 'second'.padEnd(500, '.') })
  t.match(await post(it, second), { statusCode: 503, body: BUSY }, 'plain')
  t.match(await post(it, gzipSync(second), { 'content-encoding': 'gzip' }), { statusCode: 503, body: BUSY }, 'gzip')
  t.match(await post(it, '{"event":"small"}'), { statusCode: 200 }, 'one that fits is taken')
  t.equal(budget.bytes, 600)
  first.write(body.slice(600))
  t.match(await first.read(SUCCESS), SUCCESS, 'the one that was first is taken whole')

  t.equal(budget.bytes, 0)
  t.equal((await post(it, second)).body, SUCCESS, 'sent again, the refused one is taken')
  t.match((await storedEvents(it)).map(({ event }) => event), [/^small/, /^first/, /^second/])
})

t.test('a body that could never fit is 413, not a busy server', async t => {
  const it = await testApp(t, { budget: openByteBudget(100) })
  const body = JSON.stringify({ event: 'x'.repeat(200) })

  t.match(await post(it, body), { statusCode: 413, body: TOO_LARGE })
  t.match(await post(it, gzipSync(body), { 'content-encoding': 'gzip' }), { statusCode: 413, body: TOO_LARGE })
  t.equal(it.budget.bytes, 0)
})

for (const encoding of ['identity', 'gzip']) {
  t.test(`a client that goes away in the middle of a body leaves nothing behind (${encoding})`, async t => {
    const it = await testApp(t)
    const port = await listen(it)
    const body = Buffer.from(`{"event":"${'x'.repeat(100_000)}"}`)
    const sent = encoding === 'gzip' ? gzipSync(body, { level: 0 }) : body
    await post(it, { event: 'before' })

    const framings: readonly (readonly [header: Record<string, string | number>, before: string])[] = [
      [{ 'Content-Length': sent.length }, ''],
      [{ 'Transfer-Encoding': 'chunked' }, `${(90_000).toString(16)}\r\n`],
    ]
    for (const [header, before] of framings) {
      const socket = await openSocket(t, port)
      socket.write(postHead('/services/collector', { Authorization: auth.authorization, 'Content-Encoding': encoding, ...header }) + before)
      socket.write(sent.subarray(0, 90_000))
      await until(() => it.budget.bytes > 50_000)
      socket.abort()
      await until(() => it.budget.bytes === 0)
    }

    t.equal((await post(it, { event: 'after' })).body, SUCCESS)
    t.match(await storedEvents(it), [{ event: 'before' }, { event: 'after' }])
  })
}

t.test('metrics count replies and events, with no label from a request', async t => {
  const it = await testApp(t)
  await post(it, { event: 'a', host: 'label-of-a-host', wat: 1 })
  await post(it, [{ event: 'b' }, { fields: { plain: 1 } }])
  await post(it, '{')
  await post(it, '', { authorization: 'Splunk label-of-a-token' })

  const { body } = await it.app.inject('/metrics')

  for (const line of [
    'hecate_hec_replies_total{code="0",status="200"} 2', 'hecate_hec_replies_total{code="6",status="400"} 1', 'hecate_hec_replies_total{code="4",status="403"} 1',
    'hecate_hec_events_total{token="test"} 2', 'hecate_hec_unknown_keys_total{token="test"} 1', 'hecate_hec_skipped_total{token="test"} 1',
  ]) t.ok(body.split('\n').includes(line), line)
  t.notMatch(body, /label-of|wat/)
  t.notMatch(body, TOKEN)
})

t.test('a body of more events than a request can hold is refused whole, others go on', async t => {
  const it = await testApp(t)
  const many = gzipSync('{"event":1}'.repeat(MAX_REQUEST_EVENTS + 1))

  const [refused, taken] = await Promise.all([post(it, many, { 'content-encoding': 'gzip' }), post(it, EVENT)])

  t.strictSame([refused.statusCode, refused.body], [413, TOO_LARGE])
  t.equal(taken.statusCode, 200)
  t.equal((await storedEvents(it)).length, 1)
  t.equal(it.budget.bytes, 0)
})

t.test('a large body has room beside small ones, while there is no other large one', async t => {
  const budget = openByteBudget(100, 1000)
  const [small, large, grown] = [budget.open(50), budget.open(1000), budget.open(0)]

  t.ok(small.tryTake(50))
  t.ok(large.tryTake(10), 'it says what it is')
  t.ok(grown.tryTake(50))
  t.ok(budget.isFull)
  t.notOk(budget.hasRoom(1))
  t.notOk(budget.hasRoom(51), 'another one would be the second')
  t.notOk(grown.tryTake(1), 'so would one that becomes large')
  t.ok(large.tryTake(990))
  t.notOk(large.tryTake(1), 'it does not grow for ever')
  t.equal(budget.bytes, 1100)

  large.release()
  t.equal(budget.bytes, 100)
  t.ok(budget.hasRoom(51))
  t.ok(grown.tryTake(1), 'now it may become large')
  t.notOk(budget.isFull, 'and leaves the others what it had of theirs')
  t.ok(budget.hasRoom(50))
  for (const share of [small, grown, large]) share.release()
  t.equal(budget.bytes, 0)
})

t.test('a large body is taken while small ones keep coming', async t => {
  const it = await testApp(t, { budget: openByteBudget(100_000, 1_000_000) })
  const port = await listen(it)
  const body = JSON.stringify({ event: randomBytes(300_000).toString('hex') })
  const send = async (bytes: number, header: Record<string, string | number>) => {
    const socket = await openSocket(t, port)
    socket.write(postHead('/services/collector', { Authorization: auth.authorization, ...header }))
    socket.write(Buffer.concat([Buffer.from(EVENT), Buffer.alloc(bytes, ' ')]).subarray(0, bytes))
    return socket
  }
  const small = [await send(49_000, { 'Content-Length': 50_000 }), await send(49_000, { 'Content-Length': 50_000 })]
  await until(() => it.budget.bytes === 98_000)

  t.equal((await post(it, body)).body, SUCCESS, 'plain')
  const rest = it.budget.open(0)
  t.ok(rest.tryTake(1_500))
  t.match(await post(it, gzipSync(body), { 'content-encoding': 'gzip' }), { statusCode: 200 }, 'gzip')
  const large = await send(400_000, { 'Content-Length': 500_000 })
  await until(() => it.budget.bytes === 499_500)
  t.match(await post(it, body), { statusCode: 503, body: BUSY }, 'but not two of them')
  t.match(await post(it, EVENT), { statusCode: 200 }, 'and it takes no room from the small ones')
  rest.release()
  for (const socket of small) {
    socket.write(' '.repeat(1_000))
    t.match(await socket.read(SUCCESS), SUCCESS)
  }
  large.write(' '.repeat(100_000))
  t.match(await large.read(SUCCESS), SUCCESS)
  await until(() => it.budget.bytes === 0)
})

t.test('a request that does not come whole is given up, with what it holds', async t => {
  const it = await testApp(t, { requestTimeoutMs: 100 })
  it.app.server.headersTimeout = 50 // Node takes the longer of both for the whole
  const socket = await openSocket(t, await listen(it))
  socket.write(postHead('/services/collector', { Authorization: auth.authorization, 'Content-Length': 1_000 }) + EVENT)

  t.match(await socket.read(' 408 '), /^HTTP\/1\.1 408 /)
  await until(() => it.budget.bytes === 0)
  t.equal((await post(it, EVENT)).body, SUCCESS)
})
