import t from 'tap'
import { bearer, KEY, testApp } from '../fixtures/app.js'

const REFUSED = [
  { what: 'no header', headers: {} },
  { what: 'an unknown key', headers: { authorization: 'Bearer nothing' } },
  { what: 'another scheme', headers: { authorization: `Splunk ${KEY}` } },
  { what: 'a bare key', headers: { authorization: KEY } },
]

t.test('the API asks for a key it knows', async t => {
  const { app } = await testApp(t)
  for (const { what, headers } of REFUSED) {
    const res = await app.inject({ url: '/api/v1/events', headers })
    t.equal(res.statusCode, 401, what)
    t.equal(res.headers['www-authenticate'], 'Bearer')
    t.match(res.json(), { title: 'Unauthorized', status: 401 })
  }
  t.equal((await app.inject({ url: '/api/v1/events', headers: bearer })).statusCode, 200)
})

t.test('too many failed credentials of an address are answered 429, and a good key is still taken', async t => {
  const { app } = await testApp(t)
  const fail = () => app.inject({ url: '/api/v1/findings', headers: { authorization: 'Bearer guess' } })
  for (let i = 0; i < 20; i++) t.equal((await fail()).statusCode, 401)

  const res = await fail()

  t.equal(res.statusCode, 429)
  t.match(res.json(), { title: 'Too Many Requests', status: 429 })
  t.match(res.headers['retry-after'], /^\d+$/)
  t.equal((await app.inject({ url: '/api/v1/findings', headers: bearer })).statusCode, 200)
  t.equal((await app.inject({ url: '/services/collector/event', method: 'POST', headers: { authorization: 'Splunk guess' } })).statusCode, 403, 'HEC does not count')
})

t.test('probes and the API document need no key', async t => {
  const { app } = await testApp(t)
  for (const url of ['/healthz', '/readyz', '/metrics', '/openapi.json']) t.equal((await app.inject(url)).statusCode, 200, url)
})

t.test('an unknown path, a wrong method and a body that is no JSON are problems', async t => {
  const { app } = await testApp(t)
  const headers = { ...bearer, 'content-type': 'application/json' }
  const REQUESTS = [
    { url: '/api/v1/nothing', status: 404 },
    { url: '/nothing', status: 404 },
    { url: '/api/v1/search', method: 'POST', payload: '{"search":', status: 400 },
    { url: '/api/v1/search', method: 'POST', payload: '[]', status: 400 },
    { url: '/api/v1/search', method: 'POST', payload: '<xml/>', headers: { ...bearer, 'content-type': 'text/xml' }, status: 415 },
    { url: '/api/v1/search', method: 'POST', payload: JSON.stringify({ search: 'x'.repeat(2 << 20) }), status: 413 },
    { url: '/api/v1/events?nonsense=1', status: 400 },
    { url: '/api/v1/events?earliest=2&latest=1', status: 400 },
  ] as const
  for (const { status, ...request } of REQUESTS) {
    const res = await app.inject({ headers, ...request })
    t.equal(res.statusCode, status, request.url)
    t.match(res.headers['content-type'], /^application\/problem\+json/)
    t.match(res.json(), { status, type: /^\/problems\//, detail: /.+/, request_id: /.+/ })
  }
})
