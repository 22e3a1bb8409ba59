import t from 'tap'
import type { HTTPMethods } from 'fastify'
import { openByteBudget } from '../../src/hec/body.js'
import type { EventStore } from '../../src/store/events.js'
import { auth, post, storedEvents, testApp } from '../fixtures/app.js'
import { listen, openSocket } from '../fixtures/http.js'

const EVENT_PATHS = ['/services/collector', '/services/collector/event', '/services/collector/event/1.0']
const HEALTH_PATHS = ['/services/collector/health', '/services/collector/health/1.0']
const NOT_FOUND = '{"text":"The requested URL was not found on this server.","code":404}'
const SUCCESS = '{"text":"Success","code":0}'
const HEALTHY = '{"text":"HEC is healthy","code":17}'

t.test('each event path takes events, with a slash at its end or without', async t => {
  const it = await testApp(t)
  const paths = EVENT_PATHS.flatMap(path => [path, `${path}/`])

  for (const path of paths) t.equal((await post(it, { event: path }, {}, path)).body, SUCCESS, path)

  t.strictSame((await storedEvents(it)).map(({ event }) => event), paths)
})

t.test('a reply has the headers of a real one, on success and on refusal', async t => {
  const it = await testApp(t)
  for (const reply of [await post(it, { event: 'a' }), await post(it, ''), await it.app.inject('/services/collector/nope')]) {
    t.match(reply.headers, {
      'content-type': 'application/json; charset=UTF-8',
      'content-length': String(reply.body.length),
      'x-content-type-options': 'nosniff',
      vary: 'Authorization',
      'x-frame-options': 'SAMEORIGIN',
      server: 'Splunkd',
    })
    t.notOk('set-cookie' in reply.headers, 'Kafka Connect takes a cookie for an expired session')
    t.notOk(reply.body.endsWith('\n'))
  }
})

t.test('OPTIONS is 200 and empty, says what is allowed, and needs no token', async t => {
  const { app, budget } = await testApp(t)
  const cases = [
    ...EVENT_PATHS.map(url => ({ url, allow: 'POST,OPTIONS' })),
    ...HEALTH_PATHS.map(url => ({ url, allow: 'GET,HEAD,OPTIONS' })),
  ]
  for (const { url, allow } of cases) {
    for (const payload of ['', '{"event":"a"}']) {
      const reply = await app.inject({ method: 'OPTIONS', url, payload })
      t.match(reply, { statusCode: 200, body: '', headers: { allow } }, `${url} with ${payload.length} bytes`)
    }
  }
  t.equal(budget.bytes, 0)
})

t.test('a wrong method is 405 with the text of 404, with or without a token', async t => {
  const { app, budget } = await testApp(t)
  const wrong: readonly (readonly [urls: readonly string[], methods: readonly HTTPMethods[]])[] = [
    [EVENT_PATHS, ['GET', 'PUT', 'PATCH', 'DELETE']],
    [HEALTH_PATHS, ['POST', 'PUT', 'PATCH', 'DELETE']],
  ]
  for (const [urls, methods] of wrong) {
    for (const url of urls) {
      for (const method of methods) {
        for (const headers of [{}, auth]) {
          const reply = await app.inject({ method: method as 'POST', url, headers, payload: method === 'GET' ? '' : '{"event":"a"}' })
          t.match(reply, { statusCode: 405, body: NOT_FOUND }, `${method} ${url}`)
        }
      }
    }
  }
  t.equal((await app.inject({ method: 'HEAD', url: EVENT_PATHS[0]! })).statusCode, 405)
  t.equal(budget.bytes, 0)
})

t.test('an unknown path is 404, and nothing of its body is kept', async t => {
  const { app, budget } = await testApp(t)
  const paths = ['/nope', '/event/2.0', '/health/2.0', '/mint', '/mint/1.0', '/s2s', '/validatebearertoken', '/event/1.0/more', '/%zz']
  for (const path of paths) {
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE'] as const) {
      const reply = await app.inject({ method, url: `/services/collector${path}`, headers: auth, payload: method === 'GET' ? '' : '{"event":"a"}' })
      t.match(reply, { statusCode: 404, body: NOT_FOUND }, `${method} ${path}`)
    }
  }
  t.equal(budget.bytes, 0)
})

t.test('health is 200 without a token, and with a wrong one', async t => {
  const { app } = await testApp(t)
  for (const url of HEALTH_PATHS) {
    for (const headers of [{}, auth, { authorization: 'Splunk nope' }, { authorization: 'Bearer nope' }]) {
      t.match(await app.inject({ url, headers }), { statusCode: 200, body: HEALTHY }, url)
    }
    t.match(await app.inject({ url: `${url}?token=nope` }), { statusCode: 200, body: HEALTHY })
    t.match(await app.inject({ method: 'HEAD', url }), { statusCode: 200, body: '' }, `HEAD ${url}`)
  }
})

t.test('health is code 18 while no bytes are left for requests', async t => {
  const budget = openByteBudget(10)
  const { app } = await testApp(t, { budget })

  budget.tryTake(10)
  t.match(await app.inject(HEALTH_PATHS[0]!), { statusCode: 503, body: '{"text":"HEC is unhealthy, queues are full","code":18}' })

  budget.give(10)
  t.match(await app.inject(HEALTH_PATHS[0]!), { statusCode: 200, body: HEALTHY })
})

t.test('health is code 18 when the store has failed', async t => {
  const events = { failure: () => new Error('the disk is gone'), close: async () => {} } as unknown as EventStore
  const { app } = await testApp(t, { events })

  t.match(await app.inject(HEALTH_PATHS[0]!), { statusCode: 503, body: '{"text":"HEC is unhealthy, queues are full","code":18}' })
})

t.test('while the server stops, HEC is code 23, closes the connection and keeps nothing', async t => {
  let stopping = false
  const it = await testApp(t, { isShuttingDown: () => stopping })
  await post(it, { event: 'before' })

  stopping = true
  const refused = { statusCode: 503, body: '{"text":"Server is shutting down","code":23}', headers: { connection: 'close' } }
  t.match(await post(it, { event: 'late' }), refused)
  t.match(await it.app.inject(HEALTH_PATHS[0]!), refused)

  t.strictSame((await storedEvents(it)).map(({ event }) => event), ['before'])
  t.equal(it.budget.bytes, 0)
})

t.test('the check that Docker makes before it starts a container gets its 200', async t => {
  const port = await listen(await testApp(t))
  const socket = await openSocket(t, port)

  socket.write('OPTIONS /services/collector/event/1.0 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n\r\n')

  t.match(await socket.read('\r\n\r\n'), /^HTTP\/1\.1 200 /)
})
