import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import type { Backup } from '../../src/store/backups.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { auth, bearer, post, storedEvents, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'

function call ({ app }: Pick<TestApp, 'app'>, method: 'GET' | 'POST', path = '', headers: Record<string, string> = bearer) {
  return app.inject({ method, url: `/api/v1/backups${path}`, headers })
}

/** An app with an event, whose backups go to `backupDir`. */
async function backupApp (t: Test, options: TestAppOptions = {}) {
  const backupDir = tempDir(t)
  const app = await testApp(t, { backupDir, ...options })
  await post(app, { event: 'a' })
  return { ...app, backupDir }
}

/** Asks until the backup has ended; the test's own time-out is the limit. */
async function ended (app: Pick<TestApp, 'app'>, id: string): Promise<Backup> {
  for (;;) {
    const backup = (await call(app, 'GET', `/${id}`)).json() as Backup
    if (backup.state !== 'running') return backup
    await new Promise(resolve => setImmediate(resolve))
  }
}

async function made (app: Pick<TestApp, 'app'>): Promise<Backup> {
  return ended(app, ((await call(app, 'POST')).json() as Backup).id)
}

t.test('a backup goes to a folder named by the time, and can be started on', async t => {
  const app = await backupApp(t)
  const begun = await call(app, 'POST')
  const { id } = begun.json() as Backup

  t.equal(begun.statusCode, 202)
  t.equal(id, '20260310T120100.000Z')
  t.equal(begun.headers.location, `/api/v1/backups/${id}`)
  t.match(begun.json(), { id, state: 'running', started_at: '2026-03-10T12:01:00.000Z', finished_at: null, bytes: 0, error: null })
  const backup = await ended(app, id)
  t.match(backup, { id, state: 'succeeded', event_count: 1, position: '1', finished_at: String, error: null })
  t.ok(backup.bytes > 0)
  t.equal(backup.total_bytes, backup.bytes)
  t.strictSame(readdirSync(join(app.backupDir, id)).sort(), ['backup.json', 'control.db', 'event-id-mark', 'events'])
  t.match(await storedEvents(await testApp(t, { dataDir: join(app.backupDir, id) })), [{ event: 'a' }])
})

t.test('one backup runs at a time', async t => {
  const app = await backupApp(t)
  const replies = await Promise.all([call(app, 'POST'), call(app, 'POST')])
  const [accepted, refused] = replies.sort((a, b) => a.statusCode - b.statusCode)

  t.strictSame(replies.map(({ statusCode }) => statusCode), [202, 409])
  t.match(refused!.json(), { title: 'Conflict', detail: `the backup ${(accepted!.json() as Backup).id} runs; there is one at a time` })
  t.match(await ended(app, (accepted!.json() as Backup).id), { state: 'succeeded' })
  t.match(await made(app), { id: '20260310T120100.001Z', state: 'succeeded' }, 'the next one has an id of its own, though the clock stands still')
})

t.test('without data.backup_dir there is none to make and none to list', async t => {
  const app = await testApp(t)
  const refused = await call(app, 'POST')

  t.equal(refused.statusCode, 409)
  t.match(refused.json(), { status: 409, detail: 'the configuration does not say where backups go: data.backup_dir' })
  t.match((await call(app, 'GET')).json(), { items: [], next_cursor: null })
  t.equal((await call(app, 'GET', '/20260310T120100.000Z')).statusCode, 404)
})

t.test('an admin begins backups, every key sees them', async t => {
  const app = await backupApp(t)
  const viewer = { authorization: `Bearer ${VIEWER_KEY}` }
  const { id } = await made(app)

  t.equal((await call(app, 'POST', '', viewer)).statusCode, 403)
  t.equal((await call(app, 'GET', '', viewer)).statusCode, 200)
  t.equal((await call(app, 'GET', `/${id}`, viewer)).statusCode, 200)
  for (const [method, path] of [['POST', ''], ['GET', ''], ['GET', `/${id}`]] as const) t.equal((await call(app, method, path, auth)).statusCode, 401)
  t.strictSame(readdirSync(app.backupDir), [id])
})

t.test('backups are listed from their folders, newest first, page by page; what is not finished or not readable says so', async t => {
  const app = await backupApp(t)
  const succeeded = [await made(app), await made(app)].map(({ id }) => id)
  mkdirSync(join(app.backupDir, '20260101T000000.000Z', 'unfinished'), { recursive: true })
  mkdirSync(join(app.backupDir, '20260102T000000.000Z'))
  writeFileSync(join(app.backupDir, '20260102T000000.000Z', 'backup.json'), '{')
  mkdirSync(join(app.backupDir, 'somebody-else'))

  const items: Backup[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = (await call(app, 'GET', `?limit=3&count=exact${cursor === '' ? '' : `&cursor=${cursor}`}`)).json() as { items: Backup[], next_cursor: string | null, total: number }
    t.equal(page.total, 4)
    items.push(...page.items)
    cursor = page.next_cursor
  }

  t.strictSame(items.map(({ id }) => id), [...succeeded.reverse(), '20260102T000000.000Z', '20260101T000000.000Z'])
  t.strictSame(items.map(({ state }) => state), ['succeeded', 'succeeded', 'failed', 'failed'])
  t.match(items[2]!.error, /backup\.json is not one/)
  t.match(items[3]!, { started_at: '2026-01-01T00:00:00.000Z', error: 'it was not finished; what there is of it can be removed' })
  for (const id of ['20260103T000000.000Z', 'somebody-else', '..%2f..', encodeURIComponent(`../${app.backupDir}`)]) t.equal((await call(app, 'GET', `/${id}`)).statusCode, 404, id)
  t.equal((await call(app, 'GET', '?cursor=x')).statusCode, 400)
})

t.test('a backup that fails says why, and is remembered although nothing is left of it', async t => {
  const app = await backupApp(t, { backupDir: join(tempDir(t), 'missing') })
  const failed = await made(app)

  t.match(failed, { state: 'failed', finished_at: String, event_count: null, error: /^ENOENT: / })
  t.match((await call(app, 'GET')).json(), { items: [failed] })
})

t.test('the server stops a backup that runs, and nothing is left of it', async t => {
  const app = await backupApp(t)
  const { id } = (await call(app, 'POST')).json() as Backup

  await app.backups.close()

  t.match(await app.backups.get(id), { state: 'failed', error: 'the server was stopped' })
  t.strictSame(readdirSync(app.backupDir), [])
})
