import t from 'tap'
import type { Test } from 'tap'
import type { TestAppOptions } from '../fixtures/app.js'
import { ANALYST_KEY, ARRIVAL_MS, bearer, KEY, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'

const HOUR_MS = 3_600_000
const HOST = 'hecate.example.com:8088'

/** An app whose clock a test sets, and a browser that keeps the cookie. */
async function browserApp (t: Test, options: TestAppOptions = {}) {
  const clock = { nowMs: ARRIVAL_MS }
  const opened = await testApp(t, { ...options, now: () => clock.nowMs })

  async function login (key: string, headers: Record<string, string> = {}) {
    const reply = await opened.app.inject({ method: 'POST', url: '/api/v1/session', headers: { host: HOST, ...headers }, payload: { key } })
    const [cookie] = reply.cookies as { name: string, value: string }[]
    return { reply, cookie: cookie === undefined ? '' : `${cookie.name}=${cookie.value}` }
  }
  const ask = (cookie: string, url = '/api/v1/session') => opened.app.inject({ url, headers: { host: HOST, cookie } })
  const send = (cookie: string, headers: Record<string, string>, method: 'POST' | 'DELETE' = 'POST', url = '/api/v1/search') => opened.app.inject({
    method, url, headers: { host: HOST, cookie, ...headers }, ...(method === 'POST' ? { payload: { search: 'search index=main', earliest: '-1h', latest: 'now' } } : {}),
  })
  return { ...opened, clock, login, ask, send }
}

t.test('a session begins with a key, says who asks, and ends', async t => {
  const { login, ask, send } = await browserApp(t)

  const { reply, cookie } = await login(ANALYST_KEY)

  t.equal(reply.statusCode, 200)
  const expected = { name: 'analyst', role: 'analyst', expires_at: new Date(ARRIVAL_MS + 12 * HOUR_MS).toISOString() }
  t.strictSame(reply.json(), expected)
  t.equal(reply.headers['cache-control'], 'no-store')
  t.match(reply.headers['set-cookie'], /^hecate_session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/)
  t.strictSame((await ask(cookie)).json(), expected)
  t.equal((await ask(cookie, '/api/v1/findings')).statusCode, 200)
  t.equal((await ask(cookie, '/api/v1/tokens')).statusCode, 403, 'its role is that of the key')

  const ended = await send(cookie, { 'x-hecate-request': '1' }, 'DELETE', '/api/v1/session')
  t.equal(ended.statusCode, 204)
  t.match(ended.headers['set-cookie'], /^hecate_session=; Max-Age=0; Path=\//)
  const after = await ask(cookie)
  t.equal(after.statusCode, 401)
  t.match(after.headers['set-cookie'], /^hecate_session=; Max-Age=0/, 'the browser forgets what has ended')
})

t.test('GET /api/v1/session says who asks by a key too, and 401 without either', async t => {
  const { app } = await testApp(t)

  t.strictSame((await app.inject({ url: '/api/v1/session', headers: bearer })).json(), { name: 'admin', role: 'admin', expires_at: null })
  t.equal((await app.inject('/api/v1/session')).statusCode, 401)
  t.equal((await app.inject({ method: 'DELETE', url: '/api/v1/session', headers: bearer })).statusCode, 204)
})

t.test('the cookie is Secure where the page came by HTTPS', async t => {
  const { login } = await browserApp(t)

  t.match((await login(KEY, { origin: `https://${HOST}` })).reply.headers['set-cookie'], /; Secure/)
  t.notMatch((await login(KEY, { origin: `http://${HOST}` })).reply.headers['set-cookie'], /Secure/)
})

const FORGED: readonly { readonly what: string, readonly headers: Record<string, string> }[] = [
  { what: 'no header', headers: {} },
  { what: 'another value', headers: { 'x-hecate-request': 'true' } },
  { what: 'another origin', headers: { 'x-hecate-request': '1', origin: 'https://evil.example.com' } },
  { what: 'the same host at another port', headers: { 'x-hecate-request': '1', origin: 'http://hecate.example.com' } },
  { what: 'an origin that is none', headers: { 'x-hecate-request': '1', origin: 'null' } },
  { what: 'another site', headers: { 'x-hecate-request': '1', 'sec-fetch-site': 'cross-site' } },
  { what: 'another host of the site', headers: { 'x-hecate-request': '1', 'sec-fetch-site': 'same-site', origin: `http://${HOST}` } },
]
t.test('a request of a session that is no GET has to come from a page of the server', async t => {
  const { login, ask, send, app } = await browserApp(t)
  const { cookie } = await login(ANALYST_KEY)
  for (const { what, headers } of FORGED) {
    const reply = await send(cookie, headers)
    t.equal(reply.statusCode, 403, what)
    t.match(reply.json(), { title: 'Forbidden', detail: /site|x-hecate-request/ }, what)
  }
  t.equal((await send(cookie, { 'x-hecate-request': '1' })).statusCode, 200)
  t.equal((await send(cookie, { 'x-hecate-request': '1', origin: `http://${HOST}`, 'sec-fetch-site': 'same-origin' })).statusCode, 200)
  t.equal((await ask(cookie, '/api/v1/findings')).statusCode, 200, 'EventSource and links send no header')
  t.equal((await send('', { authorization: `Bearer ${ANALYST_KEY}`, origin: 'https://evil.example.com' })).statusCode, 200, 'no browser adds a key by itself')
  t.equal((await app.inject({ method: 'OPTIONS', url: '/api/v1/search', headers: { origin: 'https://evil.example.com', 'access-control-request-method': 'POST' } })).statusCode, 404, 'a preflight is not granted')
})

t.test('another site can not begin a session either', async t => {
  const { login, app } = await browserApp(t)

  for (const [name, value] of [['origin', 'https://evil.example.com'], ['sec-fetch-site', 'cross-site']] as const) {
    const { reply, cookie } = await login(KEY, { [name]: value })
    t.equal(reply.statusCode, 403)
    t.equal(cookie, '')
  }
  const form = await app.inject({ method: 'POST', url: '/api/v1/session', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: `key=${KEY}` })
  t.equal(form.statusCode, 415, 'a form')
})

t.test('a session ends after twelve hours, or four without a request', async t => {
  const { login, ask, clock, sessions } = await browserApp(t)
  const used = await login(KEY)
  const idle = await login(KEY)
  for (let hours = 3; hours < 12; hours += 3) {
    clock.nowMs = ARRIVAL_MS + hours * HOUR_MS
    t.equal((await ask(used.cookie)).statusCode, 200, `${hours} h`)
    sessions.flush()
  }
  t.equal((await ask(idle.cookie)).statusCode, 401)
  clock.nowMs = ARRIVAL_MS + 12 * HOUR_MS - 1
  t.equal((await ask(used.cookie)).statusCode, 200)
  clock.nowMs++
  t.equal((await ask(used.cookie)).statusCode, 401)
})

t.test('a session outlives a restart, and is kept as a hash', async t => {
  const dataDir = tempDir(t)
  const first = await browserApp(t, { dataDir })
  const { cookie } = await first.login(KEY)
  const rows = JSON.stringify(first.control.prepare('SELECT * FROM session').all())
  await first.close()

  const second = await browserApp(t, { dataDir })

  t.equal((await second.ask(cookie)).statusCode, 200)
  t.notMatch(rows, cookie.split('=')[1])
})

t.test('a session ends with its key: when that is revoked, disabled, or expires', async t => {
  const { login, ask, keys, clock } = await browserApp(t)
  const add = (name: string, expiresMs: number | null = null) => keys.add({ name, role: 'analyst', expires_ms: expiresMs }, clock.nowMs)
  const revoked = await login(add('revoked'))
  const disabled = await login(add('disabled'))
  const expiring = await login(add('expiring', ARRIVAL_MS + HOUR_MS))
  t.equal(expiring.reply.json().expires_at, new Date(ARRIVAL_MS + HOUR_MS).toISOString())

  keys.revoke('revoked', clock.nowMs)
  keys.patch('disabled', { enabled: false }, clock.nowMs)
  keys.patch('disabled', { enabled: true }, clock.nowMs)
  t.equal((await ask(revoked.cookie)).statusCode, 401)
  t.equal((await ask(disabled.cookie)).statusCode, 401, 'for good')
  t.equal((await ask(expiring.cookie)).statusCode, 200)
  keys.patch('expiring', { role: 'viewer' }, clock.nowMs)
  t.equal((await ask(expiring.cookie)).json().role, 'viewer', 'what the key may do now')
  clock.nowMs = ARRIVAL_MS + HOUR_MS
  t.equal((await ask(expiring.cookie)).statusCode, 401)
})

t.test('a key has at most 20 sessions: a further one ends the oldest, and those that have ended are removed', async t => {
  const { login, ask, clock, control } = await browserApp(t)
  const cookies: string[] = []
  for (let i = 0; i < 21; i++) {
    clock.nowMs++
    cookies.push((await login(VIEWER_KEY)).cookie)
  }
  const other = await login(KEY)
  const count = () => control.prepare<[], number>('SELECT count(*) FROM session').pluck().get()

  t.equal((await ask(cookies[0]!)).statusCode, 401)
  t.equal((await ask(cookies[1]!)).statusCode, 200)
  t.equal((await ask(other.cookie)).statusCode, 200)
  t.equal(count(), 21)
  clock.nowMs += 13 * HOUR_MS
  await login(KEY)
  t.equal(count(), 1)
})

t.test('a new session of a browser ends the one before', async t => {
  const { login, ask } = await browserApp(t)
  const before = await login(VIEWER_KEY)

  const after = await login(KEY, { cookie: before.cookie })

  t.equal((await ask(before.cookie)).statusCode, 401)
  t.equal((await ask(after.cookie)).json().name, 'admin')
})

t.test('wrong keys are 401, and 429 once there are too many; whatever is no key is 400', async t => {
  const { login, app, ask } = await browserApp(t)
  for (const payload of [{}, { key: '' }, { key: 'x'.repeat(1001) }, { key: 1 }, { key: KEY, name: 'x' }]) {
    t.equal((await app.inject({ method: 'POST', url: '/api/v1/session', payload })).statusCode, 400, JSON.stringify(payload).slice(0, 30))
  }
  for (let i = 0; i < 30; i++) t.equal((await ask(`hecate_session=${i}`)).statusCode, 401, 'a session that has ended makes nobody wait')
  for (let i = 0; i < 20; i++) t.equal((await login('guess')).reply.statusCode, 401)

  const { reply } = await login('guess')

  t.equal(reply.statusCode, 429)
  t.match(reply.headers['retry-after'], /^\d+$/)
  t.equal((await app.inject({ url: '/api/v1/findings', headers: { authorization: 'Bearer guess' } })).statusCode, 429, 'it is one count')
  t.equal((await login(KEY)).reply.statusCode, 200)
})

t.test('refused credentials are counted by reason', async t => {
  const { login, app, ask, send, keys, clock } = await browserApp(t)
  const old = keys.add({ name: 'old', role: 'viewer', expires_ms: ARRIVAL_MS + 1 }, ARRIVAL_MS)
  const off = keys.add({ name: 'off', role: 'viewer', expires_ms: null }, ARRIVAL_MS)
  keys.patch('off', { enabled: false }, ARRIVAL_MS)
  const { cookie } = await login(KEY)
  clock.nowMs++

  await app.inject('/api/v1/findings')
  await app.inject({ url: '/api/v1/findings', headers: { authorization: 'Basic x' } })
  await login('guess')
  t.match((await login(old)).reply.json(), { status: 401, detail: 'the key has expired' })
  t.match((await login(off)).reply.json(), { status: 401, detail: 'the key is disabled' })
  await ask('hecate_session=x')
  await send(cookie, {})

  const metrics = (await app.inject('/metrics')).body
  for (const reason of ['missing', 'malformed', 'unknown', 'expired', 'disabled', 'session', 'foreign']) t.match(metrics, `hecate_api_auth_failures_total{reason="${reason}"} 1\n`)
})
