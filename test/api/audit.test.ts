import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import type { Test } from 'tap'
import { SAMPLE_DETECTION } from '../../src/detect/sample.js'
import { ANALYST_KEY, auth, bearer, KEY, post, tempDir, testApp, TOKEN, VIEWER_KEY } from '../fixtures/app.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { NOON_MS, openReceiver, RULE, tellingApp, withSampleDetection } from '../fixtures/receiver.js'
import { get, NOON, runAt, sendTools } from '../fixtures/rules.js'

interface Entry { readonly id: number, readonly action: string, readonly target: { readonly type: string, readonly id: string | null }, readonly count: number, readonly before: object | null, readonly after: object | null }

async function entries (app: Pick<TestApp, 'app'>, query = ''): Promise<Entry[]> {
  return (await get(app, `audit?${query}`) as { items: Entry[] }).items
}

interface Asked { readonly method: 'POST' | 'PATCH' | 'DELETE', readonly route: string, readonly params?: Record<string, string>, readonly payload?: object, readonly headers?: Record<string, string> }

/** A request of a route, as an admin. */
function ask ({ app }: Pick<TestApp, 'app'>, { method, route, params = {}, payload, headers = bearer }: Asked) {
  const path = route.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name]!))
  return app.inject({ method, url: `/api/v1${path}`, headers, ...payload === undefined ? {} : { payload } })
}

/** An app with a finding, a dead letter for each of two targets that are down, and a folder for backups. */
async function busyApp (t: Test, options: TestAppOptions = {}) {
  const { url } = await openReceiver(t, (_request, response) => { response.writeHead(500).end('no') })
  const notify = ['soc', 'siem'].map(name => ({ name, type: 'webhook', url, max_tries: 1, secret: `whsec_${Buffer.alloc(24, name).toString('base64')}`, headers: { authorization: `Bearer target-secret-of-${name}` } }))
  const app = await tellingApp(t, notify, { backupDir: tempDir(t), ...options })
  await sendTools(app)
  await runAt(app, RULE)
  for (const name of ['soc', 'siem']) await app.tell(name)
  app.control.exec('DELETE FROM audit')
  return app
}

t.test('each route that may change something leaves an entry, and those that change nothing leave none', async t => {
  const app = await busyApp(t, { files: withSampleDetection(t) })
  const [{ id: finding }] = (await get(app, 'findings')).items as [{ id: string }]
  const deliveries = (await get(app, 'deliveries')).items as { id: string, target: string }[]
  const of = (target: string) => deliveries.find(one => one.target === target)!.id
  const idOf = (res: { json: () => unknown }) => (res.json() as { id: string }).id
  const { paths } = (await app.app.inject('/openapi.json')).json() as { paths: Record<string, object> }
  const left = new Set(Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).filter(method => method !== 'get' && path.startsWith('/api/v1/')).map(method => `${method.toUpperCase()} ${path.slice('/api/v1'.length)}`)))
  t.ok(left.size > 20)

  /** Asks, and looks for the entry; gives the reply. */
  async function leaves (action: string | null, asked: Asked, target: string | null = null) {
    const before = (await entries(app))[0]?.id ?? 0
    const res = await ask(app, asked)
    t.ok(res.statusCode < 300, `${asked.method} ${asked.route} ${res.statusCode} ${res.body.slice(0, 200)}`)
    const made = (await entries(app)).filter(({ id }) => id > before)
    const expected = { action, target: { type: action?.split('.')[0], id: target ?? String }, outcome: 'done', by: 'admin', role: 'admin', request_id: /^[0-9a-f-]{36}$/, address: '127.0.0.1', count: 1 }
    if (action === null) t.strictSame(made, [], asked.route)
    else t.match(made, [target === null ? { ...expected, target: { type: expected.target.type } } : expected], action)
    t.equal(made.length, action === null ? 0 : 1)
    left.delete(`${asked.method} ${asked.route}`)
    return res
  }

  const change = { reason: 'a test', condition: 'pod=web-1' }
  await leaves(null, { method: 'POST', route: '/search', payload: { search: 'search index=main', earliest: '-1h', latest: 'now' } })
  const ofJob = { params: { id: idOf(await leaves(null, { method: 'POST', route: '/search/jobs', payload: { search: 'search index=main' } })) } }
  await leaves(null, { method: 'POST', route: '/search/jobs/{id}/cancel', ...ofJob })
  await leaves(null, { method: 'DELETE', route: '/search/jobs/{id}', ...ofJob })
  await leaves(null, { method: 'POST', route: '/search/explain', payload: { search: 'search index=main' } })
  await leaves(null, { method: 'POST', route: '/suppressions/preview', payload: { condition: 'pod=web-1' } })
  await leaves(null, { method: 'POST', route: '/detections/{id}/preview', params: { id: RULE }, payload: { scheduled_time: NOON } })
  await leaves(null, { method: 'POST', route: '/detections/{id}/row-events', params: { id: RULE }, payload: { key: { pod: 'web-1' }, earliest: '-1h', latest: 'now' } })
  await leaves(null, { method: 'POST', route: '/findings/bulk', payload: { ids: [finding], change: { status: 'closed' }, dry_run: true } })
  await leaves('finding.change', { method: 'PATCH', route: '/findings/{id}', params: { id: finding }, payload: { status: 'pending', owner: 'alice' } }, finding)
  t.match((await entries(app))[0], { before: { status: 'new', owner: null }, after: { status: 'pending', owner: 'alice' } })
  t.strictSame(Object.keys((await entries(app))[0]!.after!).sort(), ['owner', 'status'], 'what did not change is left out')
  await leaves('finding.comment', { method: 'POST', route: '/findings/{id}/comments', params: { id: finding }, payload: { comment: 'hm' } }, finding)
  await leaves('finding.change_all', { method: 'POST', route: '/findings/bulk', payload: { ids: [finding], change: { status: 'closed' } } })
  t.match((await entries(app))[0], { after: { change: { status: 'closed' }, matched: 1, changed: 1 } })
  const suppression = idOf(await leaves('suppression.add', { method: 'POST', route: '/suppressions', payload: change }))
  await leaves('suppression.change', { method: 'PATCH', route: '/suppressions/{id}', params: { id: suppression }, payload: { enabled: false } }, suppression)
  t.match((await entries(app))[0], { before: { enabled: true }, after: { enabled: false } })
  await leaves('suppression.delete', { method: 'DELETE', route: '/suppressions/{id}', params: { id: suppression } }, suppression)
  await leaves('detection.run', { method: 'POST', route: '/detections/{id}/runs', params: { id: RULE }, payload: { scheduled_time: NOON } }, RULE)
  await leaves('slot.waive', { method: 'POST', route: '/detections/{id}/waivers', params: { id: RULE }, payload: { scheduled_time: NOON, reason: 'a test' } }, RULE)
  await leaves('detection.change', { method: 'PATCH', route: '/detections/{id}', params: { id: RULE }, payload: { enabled: false } }, RULE)
  t.strictSame((await entries(app))[0]!.after, { enabled: false })
  await leaves('detection.change', { method: 'PATCH', route: '/detections/{id}', params: { id: RULE }, payload: { enabled: true } }, RULE)
  const backfill = idOf(await leaves('backfill.begin', { method: 'POST', route: '/backfills', payload: { detection: RULE, earliest: '2026-03-09T00:00:00Z', latest: '2026-03-10T00:00:00Z' } }))
  await leaves('backfill.cancel', { method: 'POST', route: '/backfills/{id}/cancel', params: { id: backfill } }, backfill)
  await leaves('delivery.resend', { method: 'POST', route: '/deliveries/{id}/resend', params: { id: of('soc') } }, of('soc'))
  await leaves('delivery.drop', { method: 'DELETE', route: '/deliveries/{id}', params: { id: of('soc') } }, of('soc'))
  await leaves('delivery.resend_all', { method: 'POST', route: '/deliveries/resend', payload: { target: 'siem' } })
  await leaves('delivery.drop_all', { method: 'POST', route: '/deliveries/drop', payload: { target: 'siem' } })
  await leaves('target.test', { method: 'POST', route: '/targets/{name}/test', params: { name: 'soc' } }, 'soc')
  await leaves('token.add', { method: 'POST', route: '/tokens', payload: { name: 'new', token: 'a-token-that-senders-have' } }, 'new')
  await leaves('token.change', { method: 'PATCH', route: '/tokens/{name}', params: { name: 'new' }, payload: { enabled: false } }, 'new')
  t.strictSame((await entries(app))[0], { ...(await entries(app))[0], before: { enabled: true }, after: { enabled: false } })
  await leaves('token.revoke', { method: 'DELETE', route: '/tokens/{name}', params: { name: 'new' } }, 'new')
  await leaves('key.add', { method: 'POST', route: '/keys', payload: { name: 'new', role: 'viewer' } }, 'new')
  await leaves('key.change', { method: 'PATCH', route: '/keys/{name}', params: { name: 'new' }, payload: { role: 'analyst' } }, 'new')
  await leaves('key.revoke', { method: 'DELETE', route: '/keys/{name}', params: { name: 'new' } }, 'new')
  await leaves('sample.send', { method: 'POST', route: '/samples' })
  t.match((await entries(app))[0], { after: { detection_id: SAMPLE_DETECTION, events: 217 } })
  await leaves('backup.begin', { method: 'POST', route: '/backups' })
  const { cookies: [cookie] } = await leaves('session.begin', { method: 'POST', route: '/session', payload: { key: KEY }, headers: {} }) as unknown as { cookies: [{ value: string }] }
  await leaves('session.end', { method: 'DELETE', route: '/session', headers: { cookie: `hecate_session=${cookie.value}`, 'x-hecate-request': '1' } })
  t.match(await entries(app, 'how=session'), [{ action: 'session.end' }, { action: 'session.begin' }])

  t.strictSame([...left], [], 'a new route says what it does in config.audit, and is asked here')
})

t.test('what is refused leaves no entry of a change', async t => {
  const app = await testApp(t)
  for (const [asked, status] of [
    [{ method: 'POST', route: '/tokens', payload: {} }, 400],
    [{ method: 'POST', route: '/tokens', payload: { name: 'test' } }, 409],
    [{ method: 'DELETE', route: '/keys/{name}', params: { name: 'none' } }, 404],
    [{ method: 'POST', route: '/tokens', payload: { name: 'x' }, headers: { authorization: `Bearer ${VIEWER_KEY}` } }, 403],
  ] as const) t.equal((await ask(app, asked)).statusCode, status)

  t.strictSame(await entries(app), [])
})

t.test('a change whose entry can not be written is not made, and one that failed in the middle keeps its entry', async t => {
  const app = await testApp(t)
  app.control.exec("CREATE TRIGGER broken BEFORE INSERT ON hec_token BEGIN SELECT RAISE(ABORT, 'broken'); END")
  t.equal((await ask(app, { method: 'POST', route: '/tokens', payload: { name: 'x' } })).statusCode, 500)
  t.match(await entries(app), [{ action: 'token.add', outcome: 'failed', after: null }])
  app.control.exec("DROP TRIGGER broken; CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")

  t.equal((await ask(app, { method: 'POST', route: '/tokens', payload: { name: 'x' } })).statusCode, 500)

  t.notOk(app.credentials.listTokens().some(({ name }) => name === 'x'))
})

t.test('an entry is there before the change is, and stays where the server ends in the middle', async t => {
  const app = await testApp(t)
  app.control.exec('CREATE TABLE seen (action, outcome, made_by); CREATE TRIGGER watch BEFORE INSERT ON hec_token BEGIN INSERT INTO seen SELECT action, outcome, made_by FROM audit; END')

  await ask(app, { method: 'POST', route: '/tokens', payload: { name: 'x' } })

  t.strictSame(app.control.prepare('SELECT * FROM seen').all(), [{ action: 'token.add', outcome: 'begun', made_by: 'admin' }])
})

t.test('a flood of wrong keys is counted in few entries', async t => {
  const clock = { nowMs: NOON_MS }
  const app = await testApp(t, { now: () => clock.nowMs })
  const guess = (remoteAddress: string) => app.app.inject({ url: '/api/v1/findings', remoteAddress, headers: { authorization: 'Bearer a-guess' } })
  for (let i = 0; i < 50; i++) {
    clock.nowMs++
    await guess('10.0.0.1')
  }
  await app.app.inject({ method: 'POST', url: '/api/v1/session', remoteAddress: '10.0.0.1', payload: { key: 'a-guess' } })
  await app.app.inject({ url: '/api/v1/findings', remoteAddress: '10.0.0.1', headers: { authorization: 'Basic x' } })
  await app.app.inject('/api/v1/findings')
  app.audit.flush()
  const first = await entries(app)
  t.match(first, [
    { action: 'login.refuse', address: '10.0.0.1', after: { reason: 'malformed' }, count: 1 },
    { action: 'login.refuse', address: '10.0.0.1', by: null, role: null, how: null, outcome: 'refused', after: { reason: 'unknown' }, count: 51, at: new Date(NOON_MS + 1).toISOString(), last_at: new Date(NOON_MS + 50).toISOString() },
  ])
  t.equal(first.length, 2, 'no key is no refused one')

  for (let i = 0; i < 300; i++) await guess(`10.1.${i >> 8}.${i & 255}`)
  app.audit.flush()
  const all = await entries(app, 'action=login.refuse&limit=1000')
  t.equal(all.length, 101)
  t.match(all[0], { address: null, request_id: null, count: 300 - 98 })
  clock.nowMs += 600_000
  await guess('10.0.0.1')
  t.match(await entries(app, 'limit=1'), [{ address: '10.0.0.1', count: 1 }], 'after ten minutes it is told anew')
  t.notMatch(JSON.stringify(all), 'a-guess')
})

t.test('the log is filtered by time, key, action and target, newest first, in pages', async t => {
  const clock = { nowMs: NOON_MS }
  const app = await testApp(t, { now: () => clock.nowMs })
  for (const name of ['a', 'b', 'c', 'd']) {
    clock.nowMs += 60_000
    await ask(app, { method: 'POST', route: '/tokens', payload: { name } })
  }
  await ask(app, { method: 'DELETE', route: '/tokens/{name}', params: { name: 'b' } })
  const tell = async (query: string) => (await entries(app, query)).map(({ action, target }) => `${action} ${target.id}`)

  t.strictSame(await tell(''), ['token.revoke b', 'token.add d', 'token.add c', 'token.add b', 'token.add a'])
  t.strictSame(await tell('target_type=token&target_id=b'), ['token.revoke b', 'token.add b'])
  t.strictSame(await tell('action=token.revoke'), ['token.revoke b'])
  t.strictSame(await tell('by=nobody'), [])
  t.strictSame(await tell(`earliest=${(NOON_MS + 120_000) / 1000}&latest=${(NOON_MS + 180_000) / 1000}`), ['token.add b'])
  const first = await get(app, 'audit?limit=2&count=exact') as { items: Entry[], next_cursor: string, total: number }
  const second = await get(app, `audit?limit=2&cursor=${first.next_cursor}`) as { items: Entry[], next_cursor: string }
  t.equal(first.total, 5)
  t.strictSame([...first.items, ...second.items].map(({ target }) => target.id), ['b', 'd', 'c', 'b'])
  t.equal((await app.app.inject({ url: '/api/v1/audit', headers: { authorization: `Bearer ${ANALYST_KEY}` } })).statusCode, 403)
})

t.test('what commands change is in the log, with the user who ran them', async t => {
  const dataDir = tempDir(t)
  await command(['token', 'add', 'forwarder', '--data-dir', dataDir], { cwd: dataDir })
  await command(['token', 'revoke', 'forwarder', '--data-dir', dataDir], { cwd: dataDir })
  await command(['key', 'add', 'soc', '--role', 'viewer', '--data-dir', dataDir], { cwd: dataDir })
  await command(['key', 'add', 'soc', '--role', 'viewer', '--data-dir', dataDir], { cwd: dataDir })
  await command(['key', 'revoke', 'soc', '--data-dir', dataDir], { cwd: dataDir })
  const app = await testApp(t, { dataDir })
  const made = { how: 'command', by: /./, role: null, address: null, request_id: null, outcome: 'done' }

  const all = await entries(app)

  t.match(all, [
    { ...made, action: 'key.revoke', target: { type: 'key', id: 'soc' }, before: { role: 'viewer' } },
    { ...made, action: 'key.add', target: { type: 'key', id: 'soc' }, after: { role: 'viewer', expires_at: null } },
    { ...made, action: 'token.revoke', target: { type: 'token', id: 'forwarder' }, before: { index: 'main' } },
    { ...made, action: 'token.add', target: { type: 'token', id: 'forwarder' }, after: { index: 'main' } },
  ])
  t.equal(all.length, 4)
})

t.test('no secret is in a log line, a reply, a metric, or control.db', async t => {
  const lines: string[] = []
  const stream = new PassThrough()
  stream.on('data', (chunk: Buffer) => lines.push(chunk.toString()))
  const app = await busyApp(t, { log: pino({ level: 'trace' }, stream) })
  const replies: string[] = []
  const note = (res: { body: string, headers: object }) => replies.push(`${JSON.stringify({ ...res.headers, 'set-cookie': undefined })} ${res.body}`)
  const admin = await ask(app, { method: 'POST', route: '/session', payload: { key: KEY }, headers: {} })
  note(admin)
  const cookie = (admin.cookies as { value: string }[])[0]!.value
  const session = { cookie: `hecate_session=${cookie}`, 'x-hecate-request': '1' }
  const made = [
    (await ask(app, { method: 'POST', route: '/keys', payload: { name: 'new', role: 'admin' }, headers: session })).json().key as string,
    (await ask(app, { method: 'POST', route: '/tokens', payload: { name: 'new' }, headers: session })).json().token as string,
    (await ask(app, { method: 'POST', route: '/tokens', payload: { name: 'given', token: 'a-given-secret' }, headers: session })).json().token as string,
  ]
  for (const asked of [
    { method: 'POST', route: '/tokens', payload: { name: 'again', token: 'a-given-secret' } },
    { method: 'POST', route: '/tokens', payload: { name: 7, token: 'a-given-secret' } },
    { method: 'POST', route: '/session', payload: { key: 'a-wrong-secret' } },
    { method: 'POST', route: '/session', payload: { key: 'a-wrong-secret', more: 1 } },
    { method: 'POST', route: '/session', payload: { key: made[0] } },
    { method: 'POST', route: '/keys', payload: { name: 'x', role: 'viewer', key: 'a-wrong-secret' } },
    { method: 'POST', route: '/targets/{name}/test', params: { name: 'soc' } },
    { method: 'PATCH', route: '/keys/{name}', params: { name: 'new' }, payload: { enabled: false } },
    { method: 'POST', route: '/tokens', payload: { name: 'x' }, headers: { authorization: 'Bearer a-wrong-secret' } },
    { method: 'POST', route: '/tokens', payload: { name: 'x' }, headers: { authorization: `Bearer ${made[0]}` } },
    { method: 'DELETE', route: '/tokens/{name}', params: { name: 'given' } },
    { method: 'DELETE', route: '/keys/{name}', params: { name: 'new' } },
  ] as Asked[]) note(await ask(app, { headers: session, ...asked }))
  for (const url of ['session', 'keys', 'keys/viewer', 'tokens', 'tokens/new', 'targets', 'deliveries', 'audit?limit=1000', 'findings', 'sources', 'store', 'detections']) note(await app.app.inject({ url: `/api/v1/${url}`, headers: session }))
  for (const url of ['/metrics', '/readyz', '/api/v1/findings?key=a-wrong-secret']) note(await app.app.inject(url))
  note(await post(app, { event: 'x' }, { authorization: 'Splunk a-wrong-secret' }))
  note(await post(app, { event: 'x' }, auth))
  app.usage.flush()
  app.keys.flush()
  app.sessions.flush()
  app.audit.flush()
  note(await ask(app, { method: 'DELETE', route: '/session', headers: session }))

  const rows = (app.control.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[]).map(table => JSON.stringify(app.control.prepare(`SELECT * FROM "${table}"`).all()))
  const secrets = { KEY, VIEWER_KEY, ANALYST_KEY, TOKEN, cookie, key: made[0]!, token: made[1]!, given: made[2]!, wrong: 'a-wrong-secret', target: 'target-secret-of-', signing: Buffer.alloc(24, 'soc').toString('base64') }
  t.ok(lines.join('').includes('key added'), 'there is a log')
  for (const [name, secret] of Object.entries(secrets)) {
    t.ok(secret.length >= 12)
    for (const [place, texts] of Object.entries({ logs: lines, replies, rows })) t.notOk(texts.some(text => text.includes(secret)), `${name} in ${place}`)
  }
})
