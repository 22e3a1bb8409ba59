import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { collectBody, openByteBudget } from '../../src/hec/body.js'
import type { HecError } from '../../src/hec/reply.js'
import type { AppendOutcome, EventStore } from '../../src/store/events.js'
import { MAX_REQUEST_EVENTS } from '../../src/store/sqlite/writer.js'
import { auth, post, storedEvents, testApp, TOKEN } from '../fixtures/app.js'
import { listen, openSocket, postHead, until } from '../fixtures/http.js'

const SUCCESS = '{"text":"Success","code":0}'
const NO_DATA = '{"text":"No data","code":5}'
const BAD_FORMAT = '{"text":"Invalid data format","code":6,"invalid-event-number":0}'
const TOO_LARGE = '{"text":"Content too large","code":6}'
const BUSY = '{"text":"Server is busy","code":9}'
const UNSUPPORTED = '{"text":"Unsupported content encoding","code":6}'

const EVENT = '{"event":"a"}'

t.test('the content type of a body does not matter', async t => {
  const it = await testApp(t)
  const port = await listen(it)
  const types = [
    'application/json', 'application/json; profile="urn:splunk:event:1.0"; charset=utf-8', 'application/json; profile=urn:splunk:event:1.0',
    'application/x-www-form-urlencoded', 'text/plain', 'plain/text', 'multipart/form-data', 'foo', ';;;', '', ' ', 'a/b, c/d', 'application/json; charset=latin1', '/', 'a/b; c', '"',
  ]
  for (const type of types) {
    const socket = await openSocket(t, port)
    socket.write(postHead('/services/collector/event', { Authorization: auth.authorization, 'Content-Type': type, 'Content-Length': EVENT.length }) + EVENT)
    t.match(await socket.read(SUCCESS), /^HTTP\/1\.1 200 /, `content type ${JSON.stringify(type)}`)
    socket.abort()
  }
  t.equal((await post(it, EVENT)).body, SUCCESS, 'no content type')
  t.equal((await storedEvents(it)).length, types.length + 1)
})

t.test('a body without data is code 5, whatever its type and encoding', async t => {
  const it = await testApp(t)
  for (const payload of ['', ' ', ' \r\n\t ', '[]', '[ ]\n', '[][]']) {
    for (const type of ['application/json', 'text/plain', 'foo']) {
      t.match(await post(it, payload, { 'content-type': type }), { statusCode: 400, body: NO_DATA }, `${JSON.stringify(payload)} as ${type}`)
    }
    t.match(await post(it, payload), { statusCode: 400, body: NO_DATA }, `${JSON.stringify(payload)} without a type`)
    t.match(await post(it, gzipSync(payload), { 'content-encoding': 'gzip' }), { statusCode: 400, body: NO_DATA }, `${JSON.stringify(payload)} as gzip`)
  }
  t.match(await post(it, '', { 'content-encoding': 'gzip' }), { statusCode: 400, body: NO_DATA }, 'gzip of no bytes at all')
  t.equal(it.budget.bytes, 0)
})

t.test('a body is gunzipped, and what is no gzip is code 6', async t => {
  const it = await testApp(t)
  const zipped = gzipSync(EVENT)
  const cases: readonly (readonly [name: string, body: Buffer, reply: string])[] = [
    ['gzip', zipped, SUCCESS],
    ['two members', Buffer.concat([zipped, zipped]), SUCCESS],
    ['zeros behind it', Buffer.concat([zipped, Buffer.alloc(4)]), SUCCESS],
    ['cut in its check sum', zipped.subarray(0, -3), BAD_FORMAT],
    ['cut in its data', zipped.subarray(0, 15), BAD_FORMAT],
    ['cut in its header', zipped.subarray(0, 5), BAD_FORMAT],
    ['a wrong check sum', Buffer.from(zipped).fill(0, zipped.length - 8), BAD_FORMAT],
    ['no gzip', Buffer.from(EVENT), BAD_FORMAT],
    ['something else behind it', Buffer.concat([zipped, Buffer.from('more')]), BAD_FORMAT],
    ['deflate', deflateSync(EVENT), BAD_FORMAT],
  ]
  for (const [name, body, reply] of cases) t.equal((await post(it, body, { 'content-encoding': 'gzip' })).body, reply, name)
  t.equal((await post(it, zipped, { 'content-encoding': ' GZIP ' })).body, SUCCESS, 'in capitals')

  t.equal((await storedEvents(it)).length, 5)
  t.equal(it.budget.bytes, 0)
})

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
    const outcome = await collectBody(Readable.from(chunks, { objectMode: false }), { gzip: true, maxBytes: 1000, budget })
      .then(({ body }) => Buffer.from(body).toString(), (error: HecError) => error.code)
    t.equal(outcome, result, name)
    t.equal(budget.bytes, typeof result === 'string' ? result.length : 0, `${name}: bytes taken`)
  }
})

t.test('an encoding that is not gzip is 415', async t => {
  const it = await testApp(t)
  for (const encoding of ['deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'x']) {
    t.match(await post(it, EVENT, { 'content-encoding': encoding }), { statusCode: 415, body: UNSUPPORTED }, encoding)
  }
  for (const encoding of ['identity', '', 'IDENTITY']) t.equal((await post(it, EVENT, { 'content-encoding': encoding })).body, SUCCESS, `"${encoding}"`)
  t.equal(it.budget.bytes, 0)
})

t.test('a body over the limit is 413, declared or not, and the server goes on', async t => {
  const it = await testApp(t, { maxBodyBytes: 1000 })
  const port = await listen(it)
  const large = JSON.stringify({ event: 'x'.repeat(2000) })
  const fits = JSON.stringify({ event: 'x'.repeat(988) })

  t.match(await post(it, large), { statusCode: 413, body: TOO_LARGE }, 'declared')
  t.match(await post(it, Buffer.from(gzipSync(large)), { 'content-encoding': 'gzip' }), { statusCode: 413, body: TOO_LARGE }, 'gunzipped')
  const socket = await openSocket(t, port)
  socket.write(postHead('/services/collector', { Authorization: auth.authorization, 'Transfer-Encoding': 'chunked' }))
  socket.write(`3E9\r\n${'x'.repeat(1001)}\r\n`)
  t.match(await socket.read(TOO_LARGE), /^HTTP\/1\.1 413 /, 'chunked, before it has ended')
  t.match(await post(it, large, { authorization: 'Splunk nope' }), { statusCode: 413 }, 'a declared length is looked at before the token')

  t.equal(fits.length, 1000)
  t.match(await post(it, fits), { statusCode: 200, body: SUCCESS }, 'just at the limit')
  t.equal(it.budget.bytes, 0)
})

t.test('a gzip bomb is stopped where the limit is', async t => {
  const it = await testApp(t, { maxBodyBytes: 1 << 20 })
  let most = 0
  const bomb = gzipSync(Buffer.alloc(100 << 20, ' '))
  const watched = {
    ...openByteBudget(),
    tryTake (count: number): boolean {
      most += count
      return true
    },
  }

  const refusal = await collectBody(Readable.from([bomb]), { gzip: true, maxBytes: 1 << 20, budget: watched }).catch(error => error as HecError)
  t.match(refusal, { status: 413 })
  t.match(await post(it, bomb, { 'content-encoding': 'gzip' }), { statusCode: 413, body: TOO_LARGE })

  t.ok(most > 0 && most <= 1 << 20, `${most} bytes were unfolded`)
  t.equal(it.budget.bytes, 0)
  t.equal((await post(it, EVENT)).body, SUCCESS)
})

t.test('a chunked body is stored, and one that waits for "100 Continue" gets it', async t => {
  const it = await testApp(t)
  const port = await listen(it)
  const request = httpRequest({ port, host: '127.0.0.1', method: 'POST', path: '/services/collector', headers: { ...auth, 'Transfer-Encoding': 'chunked', Expect: '100-continue' } })
  request.flushHeaders()

  await once(request, 'continue')
  request.write('{"event":')
  request.end('"a"}')
  const [response] = await once(request, 'response')

  t.equal(response.statusCode, 200)
  t.match(await storedEvents(it), [{ event: 'a' }])
})

t.test('requests that follow each other on one connection are answered in order', async t => {
  const it = await testApp(t)
  const socket = await openSocket(t, await listen(it))
  const requestOf = (body: string) => postHead('/services/collector', { Authorization: auth.authorization, 'Content-Length': body.length }) + body

  socket.write(requestOf(EVENT) + requestOf('nonsense') + requestOf('') + requestOf('{"event":"b"}'))
  socket.write('GET /services/collector/health HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const replies = await socket.read('"code":17}')

  t.strictSame([...replies.matchAll(/"code":(\d+)/g)].map(([, code]) => Number(code)), [0, 6, 5, 0, 17])
  t.match(await storedEvents(it), [{ event: 'a' }, { event: 'b' }])
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

t.test('when the store can\'t keep a request it is code 9; a defect is code 8; both give their bytes back', async t => {
  const cases: readonly (readonly [name: string, error: Error, reply: { statusCode: number, body: string }])[] = [
    ['the store is unavailable', new AppError('unavailable', 'the disk is full'), { statusCode: 503, body: BUSY }],
    ['a defect', new Error('secret detail'), { statusCode: 500, body: '{"text":"Internal server error","code":8}' }],
  ]
  for (const [name, error, reply] of cases) {
    const events = { append: () => Promise.reject<AppendOutcome>(error), close: async () => {} } as unknown as EventStore
    const it = await testApp(t, { events })
    t.match(await post(it, EVENT), reply, name)
    t.equal(it.budget.bytes, 0, name)
  }
})

t.test('a 200 comes only when the store has said that the events are on disk', async t => {
  let commit = () => {}
  const events = {
    append: () => new Promise<AppendOutcome>(resolve => { commit = () => resolve({ stored: 1, fault: null, unknownKeys: 0, skipped: 0, ownTimes: 0, filled: 0, resent: false }) }),
    close: async () => {},
  } as unknown as EventStore
  const it = await testApp(t, { events })
  let answered = false
  const reply = post(it, EVENT).then(answer => {
    answered = true
    return answer
  })

  await until(() => it.budget.bytes > 0)
  for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
  t.notOk(answered)
  commit()

  t.equal((await reply).statusCode, 200)
  t.equal(it.budget.bytes, 0)
})

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
