import t from 'tap'
import { openKeys } from '../../src/keys.js'
import { openKeyStore } from '../../src/store/control/keys.js'
import type { TestApp } from '../fixtures/app.js'
import { ARRIVAL_MS, bearer, KEY, testApp, VIEWER_KEY } from '../fixtures/app.js'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

const DAY_MS = 86_400_000

/** Asks the API about keys, as an admin. */
function call ({ app }: Pick<TestApp, 'app'>, method: Method, path = '', payload?: object, headers: Record<string, string> = bearer) {
  return app.inject({ method, url: `/api/v1/keys${path}`, headers, ...(payload === undefined ? {} : { payload }) })
}

async function statusWith ({ app }: Pick<TestApp, 'app'>, key: string): Promise<number> {
  return (await app.inject({ url: '/api/v1/findings', headers: { authorization: `Bearer ${key}` } })).statusCode
}

t.test('an added key works at once, its secret is shown once', async t => {
  const app = await testApp(t)
  const made = await call(app, 'POST', '', { name: 'new', role: 'viewer', expires_at: '+90d' })
  const { key, ...view } = made.json()

  t.equal(made.statusCode, 201)
  t.equal(made.headers.location, '/api/v1/keys/new')
  t.equal(made.headers['cache-control'], 'no-store')
  t.match(key, /^[\w-]{32}$/)
  t.strictSame(view, {
    name: 'new', origin: 'added', role: 'viewer', enabled: true, created_at: new Date(ARRIVAL_MS).toISOString(), expires_at: new Date(ARRIVAL_MS + 90 * DAY_MS).toISOString(), last_used_at: null,
  })
  t.strictSame((await call(app, 'GET', '/new')).json(), view)
  t.equal(await statusWith(app, key), 200)
  t.match((await call(app, 'GET', '/new')).json(), { last_used_at: new Date(ARRIVAL_MS).toISOString() }, 'before it is written down')
  app.keys.flush()
  t.match((await call(app, 'GET', '/new')).json(), { last_used_at: new Date(ARRIVAL_MS).toISOString() }, 'and after')
})

t.test('a disabled or expired key is answered 401, a revoked one too; each says why', async t => {
  let nowMs = ARRIVAL_MS
  const app = await testApp(t, { now: () => nowMs })
  const { key } = (await call(app, 'POST', '', { name: 'new', role: 'viewer' })).json()

  t.match((await call(app, 'PATCH', '/new', { enabled: false })).json(), { enabled: false })
  t.equal(await statusWith(app, key), 401)
  t.match((await call(app, 'PATCH', '/new', { enabled: true, expires_at: '+1h', role: 'analyst' })).json(), { enabled: true, role: 'analyst', expires_at: new Date(ARRIVAL_MS + 3_600_000).toISOString() })
  t.equal(await statusWith(app, key), 200)
  nowMs += 3_600_000
  t.equal(await statusWith(app, key), 401)
  t.match((await call(app, 'PATCH', '/new', { expires_at: null })).json(), { expires_at: null })
  t.equal(await statusWith(app, key), 200)
  t.equal((await call(app, 'DELETE', '/new')).statusCode, 204)
  t.equal(await statusWith(app, key), 401)
  t.equal((await call(app, 'GET', '/new')).statusCode, 404)
})

t.test('what the configuration sets is listed, and 409 names the key', async t => {
  const app = await testApp(t)
  for (const reply of [await call(app, 'PATCH', '/viewer', { enabled: false }), await call(app, 'DELETE', '/viewer'), await call(app, 'POST', '', { name: 'viewer', role: 'viewer' })]) {
    t.equal(reply.statusCode, 409)
    t.equal(reply.json().detail, 'the configuration sets the key "viewer": api.keys.1')
  }
  t.strictSame((await call(app, 'GET', '/viewer')).json(), { name: 'viewer', origin: 'configuration', role: 'viewer', enabled: true, created_at: null, expires_at: null, last_used_at: null })
  t.equal(await statusWith(app, VIEWER_KEY), 200)
})

const REFUSED = [
  { what: 'a name twice', payload: { name: 'taken', role: 'viewer' }, status: 409 },
  { what: 'no name', payload: { role: 'viewer' }, status: 400, pointer: '/name' },
  { what: 'an empty name', payload: { name: '', role: 'viewer' }, status: 400, pointer: '/name' },
  { what: 'a name with a control character', payload: { name: 'a\nb', role: 'viewer' }, status: 400, pointer: '/name' },
  { what: 'a name that is a path', payload: { name: '..', role: 'viewer' }, status: 400, pointer: '/name' },
  { what: 'no role', payload: { name: 'b' }, status: 400, pointer: '/role' },
  { what: 'a role that is none', payload: { name: 'b', role: 'root' }, status: 400, pointer: '/role' },
  { what: 'an end in the past', payload: { name: 'b', role: 'viewer', expires_at: '-1d' }, status: 400, pointer: '/expires_at' },
  { what: 'an end of now', payload: { name: 'b', role: 'viewer', expires_at: 'now' }, status: 400, pointer: '/expires_at' },
  { what: 'an end too far away', payload: { name: 'b', role: 'viewer', expires_at: '+11y' }, status: 400, pointer: '/expires_at' },
  { what: 'an end that is no time', payload: { name: 'b', role: 'viewer', expires_at: 'soon' }, status: 400, pointer: '/expires_at' },
  { what: 'a secret', payload: { name: 'b', role: 'viewer', key: 'my-own' }, status: 400 },
]
t.test('keys that are refused leave nothing behind', async t => {
  const app = await testApp(t)
  await call(app, 'POST', '', { name: 'taken', role: 'viewer' })
  const withoutUse = async () => ((await call(app, 'GET')).json() as { items: { name: string }[] }).items.map(({ name }) => name)
  const before = await withoutUse()
  for (const { what, payload, status, pointer } of REFUSED) {
    const reply = await call(app, 'POST', '', payload)
    t.equal(reply.statusCode, status, what)
    if (pointer !== undefined) t.match(reply.json().errors, [{ pointer }], what)
  }
  t.equal((await call(app, 'PATCH', '/taken', { name: 'other' })).statusCode, 400)
  t.equal((await call(app, 'PATCH', '/none', { enabled: false })).statusCode, 404)
  t.equal((await call(app, 'DELETE', '/none')).statusCode, 404)
  t.strictSame(await withoutUse(), before)
})

t.test('the last key with the role admin can not be revoked, disabled, made less, or given an end', async t => {
  const app = await testApp(t)
  const alone = openKeys({ api: { keys: [] } }, openKeyStore(app.control))
  const last = { code: 'conflict', message: '"a" is the last key with the role admin: without it nobody could add another' }
  alone.add({ name: 'a', role: 'admin', expires_ms: null }, ARRIVAL_MS)
  alone.add({ name: 'off', role: 'admin', expires_ms: null }, ARRIVAL_MS)
  alone.add({ name: 'b', role: 'admin', expires_ms: ARRIVAL_MS + 10 }, ARRIVAL_MS)
  alone.patch('off', { enabled: false }, ARRIVAL_MS)

  t.match(alone.patch('a', { expires_ms: ARRIVAL_MS + 5 }, ARRIVAL_MS), { after: { expires_ms: ARRIVAL_MS + 5 } }, 'not while there is another')
  alone.patch('a', { expires_ms: null }, ARRIVAL_MS)
  const laterMs = ARRIVAL_MS + 10
  t.throws(() => alone.revoke('a', laterMs), last)
  for (const patch of [{ enabled: false }, { role: 'analyst' as const }, { expires_ms: laterMs + 1_000 }]) t.throws(() => alone.patch('a', patch, laterMs), last)
  t.match(alone.get('a'), { role: 'admin', enabled: true, expires_ms: null })
  alone.revoke('b', laterMs)
  alone.revoke('off', laterMs)
  alone.add({ name: 'c', role: 'admin', expires_ms: null }, laterMs)
  alone.revoke('a', laterMs)
  t.strictSame(alone.list().map(({ name }) => name), ['c'])
})

t.test('the last admin key can not be revoked through the API either, by itself', async t => {
  const app = await testApp(t)
  const { key } = (await call(app, 'POST', '', { name: 'other', role: 'admin' })).json()

  t.equal((await call(app, 'DELETE', '/other', undefined, { authorization: `Bearer ${key}` })).statusCode, 204, 'the configuration has another')
})

t.test('an added key whose name or secret the configuration has is not in force', async t => {
  const app = await testApp(t)
  app.control.prepare('INSERT INTO api_key (name, hash, role, enabled, created_ms) VALUES (?, ?, ?, 1, 0)').run('viewer', 'a-hash', 'admin')

  t.strictSame(app.keys.hidden(), ['viewer'])
  t.strictSame(app.keys.byHash('a-hash', ARRIVAL_MS), { refusal: 'unknown' })
  t.match(app.keys.get('viewer'), { origin: 'configuration', role: 'viewer' })
})

t.test('keys are listed by name, page by page', async t => {
  const app = await testApp(t)
  await call(app, 'POST', '', { name: 'new', role: 'viewer' })
  const first = (await call(app, 'GET', '?limit=3&count=exact')).json()
  const second = (await call(app, 'GET', `?limit=3&cursor=${first.next_cursor}`)).json()

  t.equal(first.total, 4)
  t.strictSame([...first.items, ...second.items].map(({ name }: { name: string }) => name), ['admin', 'analyst', 'new', 'viewer'])
  t.equal(second.next_cursor, null)
})

t.test('secrets and their hashes are in no reply, and secrets not in control.db', async t => {
  const app = await testApp(t)
  const { key } = (await call(app, 'POST', '', { name: 'new', role: 'viewer' })).json()
  const [row] = app.control.prepare<[], { hash: string }>('SELECT * FROM api_key').all()
  const list = (await call(app, 'GET')).body

  for (const secret of [key, KEY, row!.hash]) t.notMatch(list, secret)
  t.notMatch(JSON.stringify(row), key)
})
