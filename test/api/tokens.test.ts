import t from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { ARRIVAL_MS, auth, bearer, DISABLED_TOKEN, post, storedEvents, testApp, TOKEN, VIEWER_KEY } from '../fixtures/app.js'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** Asks the API about tokens, as an admin. */
function call ({ app }: Pick<TestApp, 'app'>, method: Method, path = '', payload?: object) {
  return app.inject({ method, url: `/api/v1/tokens${path}`, headers: bearer, ...(payload === undefined ? {} : { payload }) })
}

/** The reply of HEC to an event with this token. */
async function sendWith (app: Pick<TestApp, 'app'>, token: string, payload: string | object = { event: 'x' }) {
  const { statusCode, json } = await post(app, payload, { authorization: `Splunk ${token}` })
  return [statusCode, (json() as { code: number }).code]
}

t.test('an added token works at once, its secret is shown once', async t => {
  const app = await testApp(t)
  const made = await call(app, 'POST', '', { name: 'new', index: 'metrics', sourcetype: 'st', source: 'src', host: 'h' })
  const { token, ...view } = made.json()

  t.equal(made.statusCode, 201)
  t.equal(made.headers.location, '/api/v1/tokens/new')
  t.equal(made.headers['cache-control'], 'no-store')
  t.match(token, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
  t.strictSame(view, {
    name: 'new', origin: 'added', enabled: true, index: 'metrics', indexes: [], sourcetype: 'st', source: 'src', host: 'h', ack: false,
    query_string_auth: false, defaults: {}, created_at: new Date(ARRIVAL_MS).toISOString(), last_used_at: null, requests: 0, events: 0,
  })
  t.strictSame((await call(app, 'GET', '/new')).json(), view)
  t.strictSame(await sendWith(app, token), [200, 0])
  t.match(await storedEvents(app), [{ index: 'metrics', sourcetype: 'st', source: 'src', host: 'h' }])
})

t.test('a secret that senders have already is taken along', async t => {
  const app = await testApp(t)
  const made = await call(app, 'POST', '', { name: 'splunk', token: 'B5A79AAD-D822-46CC-80D1-819F80D7BFB0' })

  t.equal(made.json().token, 'B5A79AAD-D822-46CC-80D1-819F80D7BFB0')
  t.strictSame(await sendWith(app, 'B5A79AAD-D822-46CC-80D1-819F80D7BFB0'), [200, 0])
})

t.test('a disabled token is answered code 1, an enabled one stores again, a revoked one is answered code 4', async t => {
  const app = await testApp(t)
  const { token } = (await call(app, 'POST', '', { name: 'new' })).json()

  t.match((await call(app, 'PATCH', '/new', { enabled: false })).json(), { name: 'new', enabled: false })
  t.strictSame(await sendWith(app, token), [403, 1])
  await call(app, 'PATCH', '/new', { enabled: true })
  t.strictSame(await sendWith(app, token), [200, 0])
  t.equal((await call(app, 'DELETE', '/new')).statusCode, 204)
  t.strictSame(await sendWith(app, token), [403, 4])
  t.equal((await call(app, 'GET', '/new')).statusCode, 404)
})

t.test('a patch changes what it names; null takes a setting away', async t => {
  const app = await testApp(t)
  const { token, ...before } = (await call(app, 'POST', '', { name: 'new', sourcetype: 'st', defaults: { a: '1' }, indexes: ['metrics'] })).json()

  const changed = await call(app, 'PATCH', '/new', { sourcetype: null, source: 'src', indexes: [], defaults: { b: '2' }, query_string_auth: true, ack: true })

  t.equal(changed.statusCode, 200)
  t.strictSame(changed.json(), { ...before, sourcetype: null, source: 'src', indexes: [], defaults: { b: '2' }, query_string_auth: true, ack: true })
  t.strictSame((await call(app, 'PATCH', '/new', {})).json(), changed.json())
  t.strictSame(await sendWith(app, token), [400, 10], 'with ack, a channel is asked for')
})

t.test('what the configuration sets is listed, and 409 names the key', async t => {
  const app = await testApp(t)
  const replies = await Promise.all([call(app, 'PATCH', '/off', { enabled: true }), call(app, 'DELETE', '/off'), call(app, 'POST', '', { name: 'off' })])

  for (const reply of replies) {
    t.equal(reply.statusCode, 409)
    t.equal(reply.json().detail, 'the configuration sets the token "off": hec.tokens.2')
  }
  t.match((await call(app, 'GET', '/off')).json(), { name: 'off', origin: 'configuration', enabled: false, created_at: null })
  t.strictSame(await sendWith(app, DISABLED_TOKEN), [403, 1])
})

const REFUSED = [
  { what: 'a name twice', payload: { name: 'taken' }, status: 409, detail: 'there is a token "taken" already' },
  { what: 'a secret twice', payload: { name: 'b', token: 'taken-secret' }, status: 409, detail: 'another token has this secret' },
  { what: 'a secret of the configuration', payload: { name: 'b', token: TOKEN }, status: 409, detail: 'another token has this secret' },
  { what: 'an index that is none', payload: { name: 'b', index: 'nope' }, status: 400, pointer: '/index' },
  { what: 'a list with an index that is none', payload: { name: 'b', indexes: ['main', 'nope'] }, status: 400, pointer: '/indexes/1' },
  { what: 'no name', payload: {}, status: 400, pointer: '/name' },
  { what: 'an empty name', payload: { name: '' }, status: 400, pointer: '/name' },
  { what: 'a long name', payload: { name: 'x'.repeat(201) }, status: 400, pointer: '/name' },
  { what: 'a name with a control character', payload: { name: 'a\nb' }, status: 400, pointer: '/name' },
  { what: 'a name that turns the line around', payload: { name: 'a\u202eb' }, status: 400, pointer: '/name' },
  { what: 'a name with half a character', payload: { name: 'a\ud800' }, status: 400, pointer: '/name' },
  { what: 'a name that is a path', payload: { name: '..' }, status: 400, pointer: '/name' },
  { what: 'an empty secret', payload: { name: 'b', token: '' }, status: 400, pointer: '/token' },
  { what: 'a secret of the server\'s environment', payload: { name: 'b', token: 'env:PATH' }, status: 400, pointer: '/token' },
  { what: 'a secret of the server\'s files', payload: { name: 'b', token: 'file:/etc/hostname' }, status: 400, pointer: '/token' },
  { what: 'an unknown setting', payload: { name: 'b', colour: 'red' }, status: 400 },
]
t.test('tokens that are refused leave nothing behind', async t => {
  const app = await testApp(t)
  await call(app, 'POST', '', { name: 'taken', token: 'taken-secret' })
  const before = (await call(app, 'GET')).json()
  for (const { what, payload, status, detail, pointer } of REFUSED) {
    const reply = await call(app, 'POST', '', payload)
    t.equal(reply.statusCode, status, what)
    if (detail !== undefined) t.equal(reply.json().detail, detail, what)
    if (pointer !== undefined) t.match(reply.json().errors, [{ pointer }], what)
    t.notMatch(reply.body, 'taken-secret')
  }
  t.equal((await call(app, 'PATCH', '/taken', { index: 'nope' })).statusCode, 400)
  t.equal((await call(app, 'PATCH', '/taken', { name: 'other' })).statusCode, 400)
  t.equal((await call(app, 'PATCH', '/none', { enabled: false })).statusCode, 404)
  t.equal((await call(app, 'DELETE', '/none')).statusCode, 404)
  t.strictSame((await call(app, 'GET')).json(), before)
})

t.test('any other name is a path of its own', async t => {
  const app = await testApp(t)
  for (const name of ['a/b', 'a/', '%2e', '%', '100%25', 'a b?c#d', 'ü 名', '🦉', '...', '"', ' ', 'x'.repeat(200), '名'.repeat(200)]) {
    t.equal((await call(app, 'POST', '', { name })).statusCode, 201, name)
    const path = `/${encodeURIComponent(name)}`
    t.equal((await call(app, 'GET', path)).json().name, name)
    t.equal((await call(app, 'PATCH', path, { enabled: false })).json().name, name)
    t.equal((await call(app, 'DELETE', path)).statusCode, 204, name)
  }
})

t.test('tokens are listed by name, page by page', async t => {
  const app = await testApp(t)
  await call(app, 'POST', '', { name: 'new' })
  const names: string[] = []
  let cursor = ''
  do {
    const page = (await call(app, 'GET', `?limit=3&count=exact${cursor}`)).json()
    t.equal(page.total, 8)
    names.push(...page.items.map(({ name }: { name: string }) => name))
    cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
  } while (cursor !== '')

  t.strictSame(names, ['ack', 'filling', 'new', 'off', 'other', 'query', 'query-off', 'test'])
})

t.test('what tokens are used for is counted: requests that they let in, events that are stored', async t => {
  const app = await testApp(t)
  const { token } = (await call(app, 'POST', '', { name: 'new' })).json()
  await sendWith(app, token, '{"event":1}{"event":2}')
  await sendWith(app, token, '{"event":3}{')
  await sendWith(app, token, '')
  await sendWith(app, DISABLED_TOKEN)
  await sendWith(app, TOKEN)
  const expected = { requests: 3, events: 3, last_used_at: new Date(ARRIVAL_MS).toISOString() }

  t.match((await call(app, 'GET', '/new')).json(), expected, 'before it is written down')
  app.usage.flush()
  app.usage.flush()
  t.match((await call(app, 'GET', '/new')).json(), expected, 'and after')
  t.match((await call(app, 'GET', '/off')).json(), { requests: 0, events: 0, last_used_at: null })
  t.match((await call(app, 'GET', '/test')).json(), { requests: 1, events: 1 })
  await sendWith(app, token)
  t.match((await call(app, 'GET', '/new')).json(), { requests: 4, events: 4 })
})

t.test('the use of a revoked token is gone, also where it was still to be written down', async t => {
  const app = await testApp(t)
  await call(app, 'POST', '', { name: 'new', token: 'the-secret' })
  await sendWith(app, 'the-secret')
  app.usage.flush()
  await sendWith(app, 'the-secret')

  await call(app, 'DELETE', '/new')
  app.usage.flush()

  t.strictSame(app.control.prepare('SELECT * FROM hec_token_use').all(), [])
  await call(app, 'POST', '', { name: 'new', token: 'the-secret' })
  t.match((await call(app, 'GET', '/new')).json(), { requests: 0, events: 0, last_used_at: null })
})

t.test('secrets and their hashes are in no reply, and secrets not in control.db', async t => {
  const app = await testApp(t)
  const { token } = (await call(app, 'POST', '', { name: 'new' })).json()
  const [row] = app.control.prepare<[], { hash: string }>('SELECT * FROM hec_token').all()

  const list = (await call(app, 'GET')).body

  t.notMatch(list, token)
  t.notMatch(list, TOKEN)
  t.notMatch(list, row!.hash)
  t.notMatch(JSON.stringify(row), token)
})

t.test('tokens are an admin\'s business', async t => {
  const { app } = await testApp(t)
  for (const [method, path] of [['GET', ''], ['POST', ''], ['GET', '/test'], ['PATCH', '/test'], ['DELETE', '/test']] as const) {
    const ask = (headers: Record<string, string>) => app.inject({ method, url: `/api/v1/tokens${path}`, headers, ...(method === 'POST' || method === 'PATCH' ? { payload: {} } : {}) })
    t.equal((await ask({ authorization: `Bearer ${VIEWER_KEY}` })).statusCode, 403, method)
    t.equal((await ask(auth)).statusCode, 401, method)
  }
})

t.test('a re-send is a request, but brings no events', async t => {
  const app = await testApp(t, { resendWindowUs: 600_000_000 })
  await sendWith(app, TOKEN)
  await sendWith(app, TOKEN)

  t.match((await call(app, 'GET', '/test')).json(), { requests: 2, events: 1 })
})
