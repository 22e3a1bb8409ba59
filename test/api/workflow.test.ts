import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import type { Test } from 'tap'
import type { Finding } from '../../src/finding.js'
import { openFindingStore } from '../../src/store/control/findings.js'
import { openWorkflowStore } from '../../src/store/control/workflow.js'
import { resourcePath } from '../../src/resource.js'
import { bearer, tempDir, VIEWER_KEY } from '../fixtures/app.js'
import { runAt } from '../fixtures/rules.js'
import { at, openTriage, stanzaOf, tell } from '../fixtures/workflow.js'

/** A server with one finding. */
async function openOne (t: Test, search?: string) {
  const server = await openTriage(t, search === undefined ? {} : { stanzas: stanzaOf('a_rule', search) })
  await server.happen({ pod: 'a', tool: 'ls' })
  await server.run()
  const [{ id }] = await server.list() as [Finding]
  const patch = (change: object, headers: Record<string, string> = {}) => server.call('PATCH', `findings/${id}`, change, headers)
  /** What became of it, without times. */
  const history = async () => (await server.get(`findings/${id}/history`)).items.map(({ at: _at, ...entry }: { at: string }) => entry) as object[]
  const now = () => server.get(`findings/${id}`) as Promise<Finding>
  return { ...server, id, patch, history, now }
}

t.test('an analyst sets status, disposition and owner, with a comment, and the history says who, when and what was before', async t => {
  const { id, patch, setTime, get, now } = await openOne(t)
  setTime('20:05:00')

  const res = await patch({ status: 'in_progress', owner: 'alice', comment: 'looking at it' })
  setTime('20:10:00')
  await patch({ status: 'closed', disposition: 'benign' })

  t.equal(res.statusCode, 200)
  t.match(res.json(), { id, status: 'in_progress', owner: 'alice', disposition: null, updated_at: '2026-03-10T20:05:00.000Z' })
  t.match(await now(), { status: 'closed', disposition: 'benign', owner: 'alice', revision: 1, updated_at: '2026-03-10T20:10:00.000Z' })
  const { items, next_cursor: next } = await get(`findings/${id}/history?limit=2`)
  t.strictSame(items, [
    { kind: 'change', revision: 1, at: '2026-03-10T20:10:00.000Z', by: 'analyst', before: { status: 'in_progress', disposition: null }, after: { status: 'closed', disposition: 'benign' }, comment: null, reason: null },
    { kind: 'change', revision: 1, at: '2026-03-10T20:05:00.000Z', by: 'analyst', before: { status: 'new', owner: null }, after: { status: 'in_progress', owner: 'alice' }, comment: 'looking at it', reason: null },
  ])
  const rest = await get(`findings/${id}/history?limit=2&cursor=${next}`)
  t.strictSame(rest, { items: [{ kind: 'revision', revision: 1, at: '2026-03-10T20:00:00.000Z', by: null, before: null, after: null, comment: null, reason: null }], next_cursor: null })
})

t.test('what was said can be taken back, and saying the same again is no change', async t => {
  const { patch, history, now } = await openOne(t)
  await patch({ status: 'closed', disposition: 'false_positive', owner: 'alice' })
  const { etag } = await now()

  const same = await patch({ status: 'closed', disposition: 'false_positive' })
  const undone = await patch({ status: 'new', disposition: null, owner: null })

  t.match([same.statusCode, same.json().etag], [200, etag])
  t.match(undone.json(), { status: 'new', disposition: null, owner: null })
  t.equal((await history()).length, 3)
})

t.test('comments are listed newest first, those of changes too', async t => {
  const { id, call, patch, get } = await openOne(t)
  const first = await call('POST', `findings/${id}/comments`, { comment: 'what is this?' })
  await patch({ owner: 'bob' })
  await patch({ owner: 'alice', comment: 'she knows' })
  await call('POST', `findings/${id}/comments`, { comment: 'a <b>test</b>\nof ours' })

  const page = await get(`findings/${id}/comments?limit=2`)
  const rest = await get(`findings/${id}/comments?limit=2&cursor=${page.next_cursor}`)

  t.equal(first.statusCode, 201)
  t.match(first.json(), { kind: 'comment', by: 'analyst', comment: 'what is this?', before: null, after: null })
  t.strictSame([...page.items, ...rest.items].map(({ kind, comment }: { kind: string, comment: string }) => [kind, comment]), [['comment', 'a <b>test</b>\nof ours'], ['change', 'she knows'], ['comment', 'what is this?']])
  t.equal(rest.next_cursor, null)
})

t.test('the ETag is another after a change, a comment and a revision, and If-Match lets nobody overwrite what he has not seen', async t => {
  const { app, id, call, patch, happen, run, history } = await openOne(t)
  const etag = async () => (await app.inject({ url: `/api/v1/findings/${id}`, headers: bearer })).headers.etag as string
  const first = await etag()

  const changed = await patch({ status: 'pending' }, { 'if-match': first })
  const commented = await call('POST', `findings/${id}/comments`, { comment: 'wait' }, { 'if-match': `"0.0", ${changed.headers.etag as string}` })
  await happen({ pod: 'a', tool: 'ls' })
  await run()
  const revised = await etag()

  t.match(first, /^"[\d.]+"$/)
  t.match([changed.statusCode, commented.statusCode], [200, 201])
  t.equal(new Set([first, changed.headers.etag, commented.headers.etag, revised]).size, 4)
  for (const stale of [first, `W/${revised}`, 'nonsense', '']) {
    for (const res of [await patch({ status: 'closed' }, { 'if-match': stale }), await call('POST', `findings/${id}/comments`, { comment: 'x' }, { 'if-match': stale })]) {
      t.equal(res.statusCode, 412, stale)
      t.match(res.json(), { title: 'Precondition Failed', status: 412, detail: /ETag/ })
    }
  }
  t.equal((await history()).length, 4, 'and nothing was written')
  t.equal((await patch({ status: 'closed' }, { 'if-match': '*' })).statusCode, 200)
})

const BAD_CHANGES = [
  { what: 'nothing', change: {} },
  { what: 'an unknown status', change: { status: 'done' } },
  { what: 'no status', change: { status: null } },
  { what: 'an unknown disposition', change: { disposition: 'maybe' } },
  { what: 'an empty owner', change: { owner: '' } },
  { what: 'an owner whose name stands for nobody', change: { owner: 'none' } },
  { what: 'a long owner', change: { owner: 'x'.repeat(201) } },
  { what: 'half a character', change: { owner: '\ud800' } },
  { what: 'an empty comment', change: { comment: '' } },
  { what: 'a long comment', change: { comment: 'x'.repeat(10_001) } },
  { what: 'an unknown member', change: { status: 'closed', force: true } },
]
t.test('bad changes are refused with a problem, and a finding that is not there is 404', async t => {
  const { patch, call, id, history } = await openOne(t)
  for (const { what, change } of BAD_CHANGES) {
    const res = await patch(change)
    t.equal(res.statusCode, 400, what)
    t.match(res.headers['content-type'], /^application\/problem\+json/)
  }
  for (const comment of ['', 'x'.repeat(10_001), '\udc00', 5]) t.equal((await call('POST', `findings/${id}/comments`, { comment })).statusCode, 400)
  t.equal((await history()).length, 1)
  for (const path of ['findings/none/history', 'findings/none/comments']) t.equal((await call('GET', path)).statusCode, 404, path)
  t.equal((await call('PATCH', 'findings/none', { status: 'closed' })).statusCode, 404)
  t.equal((await call('POST', 'findings/none/comments', { comment: 'x' })).statusCode, 404)
  for (const path of ['history', 'comments']) t.equal((await call('GET', `findings/${id}/${path}?cursor=nonsense`)).statusCode, 400, path)
})

t.test('a viewer reads what was done, and does nothing', async t => {
  const { id, call } = await openOne(t)
  const viewer = { authorization: `Bearer ${VIEWER_KEY}` }
  t.equal((await call('PATCH', `findings/${id}`, { status: 'closed' }, viewer)).statusCode, 403)
  t.equal((await call('POST', `findings/${id}/comments`, { comment: 'x' }, viewer)).statusCode, 403)
  for (const path of ['history', 'comments']) t.equal((await call('GET', `findings/${id}/${path}`, undefined, viewer)).statusCode, 200, path)
})

for (const status of ['resolved', 'closed']) {
  t.test(`new evidence re-opens a finding that is ${status}, says why, and leaves disposition and owner as they are`, async t => {
    const { patch, happen, run, history, now } = await openOne(t)
    await patch({ status, disposition: 'false_positive', owner: 'alice' })

    await run()
    t.match(await now(), { status, revision: 1 }, 'the same row again is no evidence')
    await happen({ pod: 'a', tool: 'ls' })
    await run()

    t.match(await now(), { status: 'new', disposition: 'false_positive', owner: 'alice', revision: 2 })
    t.match((await history()).slice(0, 2), [
      { kind: 'change', revision: 2, by: null, before: { status }, after: { status: 'new' }, reason: /^count 1 → 2; 1 event arrived/ },
      { kind: 'revision', revision: 2, by: null, reason: /^count 1 → 2; 1 event arrived/ },
    ])
  })
}

t.test('what somebody is at work on is revised, and stays his', async t => {
  for (const status of ['new', 'in_progress', 'pending']) {
    const { patch, happen, run, history, now } = await openOne(t)
    await patch({ status, owner: 'alice' })
    await happen({ pod: 'a', tool: 'ls' })

    await run()

    t.match(await now(), { status, owner: 'alice', revision: 2 })
    t.match((await history())[0], { kind: 'revision' })
  }
})

/** A row that is gone while two events are there, and says nothing of how many they are. */
const COMES_AND_GOES = 'sourcetype=st | stats count BY pod | where count!=2 | fields pod'

t.test('a row that is gone and there again as it was undoes no decision that was made before it was gone', async t => {
  const { patch, happen, run, now } = await openOne(t, COMES_AND_GOES)
  await patch({ status: 'closed' })
  await happen({ pod: 'a' })
  await run()
  t.match(await now(), { status: 'closed', gone_at: /.+/ })
  await happen({ pod: 'a' })

  await run()

  t.match(await now(), { status: 'closed', gone_at: null, revision: 3, change: { row: 'back' } })
})

t.test('a finding that was done with while its row was gone is re-opened when the row is there again', async t => {
  const { patch, happen, run, history, now } = await openOne(t, COMES_AND_GOES)
  await happen({ pod: 'a' })
  await run()
  await patch({ status: 'resolved' })
  await happen({ pod: 'a' })

  await run()

  t.match(await now(), { status: 'new', gone_at: null, revision: 3 })
  t.match((await history())[0], { by: null, before: { status: 'resolved' }, after: { status: 'new' }, reason: 'the search gives the row again' })
})

t.test('a silence that ends is resolved where nobody has touched it, and the history says why', async t => {
  const server = await openTriage(t, { silentAfterMs: 60_000, openSinceMs: () => 0 })
  const look = async (time: string) => {
    server.setTime(time)
    await server.sources.take()
    await server.sources.write()
    await server.sources.look(at(time))
  }
  await server.happen({ pod: 'a' })
  await look('20:10:00')
  const [{ id, status }] = await server.list('detection=hecate___silent_source') as [Finding]
  await server.happen({ pod: 'a' })
  await look('20:20:00')

  t.equal(status, 'new')
  t.match(await server.get(`findings/${id}`), { status: 'resolved', etag: '"2.1"' })
  t.match((await server.get(`findings/${id}/history`)).items, [
    { kind: 'change', by: null, before: { status: 'new' }, after: { status: 'resolved' }, reason: /^sends again since / },
    { kind: 'revision', revision: 2 },
    { kind: 'revision', revision: 1 },
  ])
})

t.test('a run that fails while a finding is re-opened leaves everything as it was', async t => {
  const server = await openOne(t)
  const { control, patch, happen, run, history, now } = server
  await patch({ status: 'closed' })
  await happen({ pod: 'a', tool: 'ls' })
  control.exec("CREATE TRIGGER refuse BEFORE INSERT ON finding_history WHEN NEW.made_by IS NULL BEGIN SELECT RAISE(ABORT, 'no'); END")

  t.match(await runAt(server, 'a_rule', '2026-03-10T09:00:00Z'), { status: 'failed', error: 'no' })
  t.match(await now(), { status: 'closed', revision: 1 })
  control.exec('DROP TRIGGER refuse')
  await run()

  t.match(await now(), { status: 'new', revision: 2 })
  t.equal((await history()).length, 4)
})

t.test('who keeps something of findings is told of changes in their transaction, and of comments', async t => {
  const { control, id } = await openOne(t)
  const told: string[] = []
  const findings = openFindingStore(control, [(finding, { what, nowMs }) => {
    if (finding.status === 'pending') throw new Error('refused')
    told.push(`${what} ${finding.status} ${nowMs}`)
  }])
  const workflow = openWorkflowStore(control, findings)
  const deed = { by: 'alice', atMs: at('20:01:00') }

  workflow.change(id, { status: 'closed' }, deed, () => true)
  workflow.change(id, { status: 'closed' }, deed, () => true)
  workflow.change(id, {}, { ...deed, comment: 'x' }, () => true)
  t.throws(() => workflow.change(id, { status: 'pending' }, deed, () => true), /refused/)

  t.strictSame(told, [`changed closed ${at('20:01:00')}`, `commented closed ${at('20:01:00')}`])
  t.match(findings.get(id), { status: 'closed' })
  t.equal(workflow.history(id, 10).length, 3)
})

const FILTERS = [
  { query: 'status=new', pods: ['b ls', 'd ls'] },
  { query: 'status=new&status=pending', pods: ['b ls', 'c ls', 'd ls'] },
  { query: 'status=closed', pods: ['a ls'] },
  { query: 'status=resolved', pods: [] },
  { query: 'disposition=benign', pods: ['a ls'] },
  { query: 'disposition=none', pods: ['b ls', 'c ls', 'd ls'] },
  { query: 'disposition=none&disposition=benign&disposition=benign', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'owner=alice', pods: ['a ls', 'c ls'] },
  { query: 'owner=alice&owner=none', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'owner=none', pods: ['b ls', 'd ls'] },
  { query: 'owner=none&status=new&severity=medium', pods: ['b ls'] },
  { query: 'severity=high', pods: ['d ls'] },
  { query: 'severity=high&severity=medium', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'severity=critical', pods: [] },
  { query: 'min_score=51', pods: ['d ls'] },
  { query: 'min_score=0', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'min_score=50&owner=alice', pods: ['a ls', 'c ls'] },
  { query: 'min_score=100', pods: [] },
  { query: 'technique=T1611', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'technique=T1059&status=pending', pods: ['c ls'] },
  { query: 'technique=T1059.004&risk_object=b', pods: ['b ls'] },
  { query: 'technique=T1105', pods: [] },
  { query: 'detection=a_rule', pods: ['a ls', 'b ls', 'c ls'] },
  { query: 'detection=a_rule&detection=other', pods: ['a ls', 'b ls', 'c ls', 'd ls'] },
  { query: 'detection=other&risk_object=d&status=new&owner=none&severity=high&technique=T1059&min_score=70', pods: ['d ls'] },
  { query: 'risk_object=a', pods: ['a ls'] },
  { query: 'risk_object=a&status=new', pods: [] },
  { query: 'earliest=2026-03-10T09:00:00Z&latest=2026-03-10T09:00:01Z&owner=none', pods: ['b ls', 'd ls'] },
  { query: 'latest=2026-03-10T09:00:00Z&owner=none', pods: [] },
]
t.test('findings are listed by what they are and what people said, in pages of either order', async t => {
  const search = 'sourcetype=st | stats count BY pod tool'
  const server = await openTriage(t, { stanzas: `${stanzaOf('a_rule', `${search} | search pod!=d`)}${stanzaOf('other', `${search} | search pod=d`, 70)}` })
  await server.happen(...['a', 'b', 'c', 'd'].map(pod => ({ pod, tool: 'ls' })))
  for (const id of ['a_rule', 'other']) await server.run('09:00:00', id)
  const idOf = async (pod: string) => (await server.list(`risk_object=${pod}`))[0]!.id
  await server.call('PATCH', `findings/${await idOf('a')}`, { status: 'closed', disposition: 'benign', owner: 'alice' })
  await server.call('PATCH', `findings/${await idOf('c')}`, { status: 'pending', owner: 'alice' })

  for (const { query, pods } of FILTERS) {
    const { items, total } = await server.get(`findings?count=exact&${query}`)
    t.strictSame(tell(items), pods, query)
    t.equal(total, pods.length, query)
    for (const order of ['time', '-time']) {
      const pages: Finding[] = []
      let cursor = ''
      do {
        const page = await server.get(`findings?limit=1&order_by=${order}&${query}${cursor}`)
        pages.push(...page.items)
        cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
      } while (cursor !== '')
      const ids = items.map(({ id }: Finding) => id)
      t.strictSame(pages.map(({ id }) => id), order === '-time' ? ids : ids.reverse(), `${query} ${order}`)
    }
  }
  const tooMany = Array.from({ length: 21 }, () => 'owner=x').join('&')
  for (const query of ['status=open', 'disposition=null', 'severity=worst', 'owner=', 'technique=', 'detection=', 'order_by=score', 'technique=a&technique=b', 'min_score=x', tooMany, 'throttled=only&suppressed=only', 'throttled=only&suppressed_by=x']) {
    t.equal(await server.status(`findings?${query}`), 400, query)
  }
})

t.test('findings that were there before the migration are listed by their risk objects and techniques', async t => {
  const dataDir = tempDir(t)
  const folder = resourcePath('migrations/control/')
  const older = readdirSync(folder).sort().filter(name => name < '0011')
  const db = new Database(join(dataDir, 'control.db'))
  for (const name of older) db.exec(readFileSync(join(folder, name), 'utf8'))
  db.pragma(`user_version = ${older.length}`)
  const body = {
    detection: { id: 'a_rule', name: 'a_rule', version: 1 }, time: 1773140700, result: { pod: 'a' }, severity: 'medium', mitre_attack: ['T1059.004'], window: { earliest: '', latest: '' },
    risk: { score: 50, message: null, objects: [{ field: 'pod', type: 'system', value: 'a', score: 50 }], threat_objects: [] },
  }
  for (const [id, throttledBy] of [['fired', null], ['throttled', 'fired']]) {
    db.prepare(`
      INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, created_ms, updated_ms, body, throttled_by)
      VALUES (?, 'a_rule', 1773140700000000, 'new', 50, 1, '1', '', 0, 0, ?, ?)
    `).run(id, JSON.stringify(body), throttledBy)
    db.prepare("INSERT INTO finding_revision (finding_id, revision, position, run_id, created_ms, body) VALUES (?, 1, '1', '', 0, ?)").run(id, JSON.stringify(body))
    db.prepare("INSERT INTO finding_risk_object (finding_id, field, type, value, score) VALUES (?, 'pod', 'system', 'a', 50)").run(id)
  }
  db.close()

  const server = await openTriage(t, { dataDir })

  for (const query of ['', 'risk_object=a', 'technique=T1059.004', 'technique=T1059', 'severity=medium', 'owner=none', 'detection=a_rule']) {
    t.strictSame((await server.list(query)).map(({ id }) => id), ['fired'], query)
    t.strictSame((await server.list(`${query}&throttled=only`)).map(({ id }) => id), ['throttled'], query)
    t.strictSame((await server.list(`${query}&throttled=include`)).map(({ id }) => id), ['throttled', 'fired'], query)
  }
  t.match((await server.get('findings/fired/history')).items, [{ kind: 'revision', revision: 1 }])
})
