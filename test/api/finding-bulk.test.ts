import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { VIEWER_KEY } from '../fixtures/app.js'
import { openTriage, tell } from '../fixtures/workflow.js'

t.test('findings that meet a filter are changed together, each with the comment in its history; a dry run says so before', async t => {
  const server = await openTriage(t)
  await server.happen(...['a', 'b', 'c'].flatMap(pod => ['ls', 'ps'].map(tool => ({ pod, tool }))))
  await server.run()
  const [{ id }] = await server.list('risk_object=a') as [Finding]
  await server.call('PATCH', `findings/${id}`, { status: 'closed' })
  const request = { filter: { detection: 'a_rule', risk_object: 'a', min_score: 1, earliest: '2026-03-10T00:00:00Z', latest: 2000000000 }, change: { status: 'closed', owner: null }, comment: 'ours' }

  const dry = await server.call('POST', 'findings/bulk', { ...request, dry_run: true })
  t.equal((await server.list('status=closed')).length, 1, 'nothing was changed')
  const wet = await server.call('POST', 'findings/bulk', request)

  t.equal(dry.statusCode, 200)
  const { dry_run: isDry, ...said } = dry.json()
  t.equal(isDry, true)
  t.match(said, { matched: 2, changed: 1, unchanged: 1, conflicts: 0, not_found: [] })
  t.match(said.first, [{ detection_id: 'a_rule', before: { status: 'new', disposition: null, owner: null }, after: { status: 'closed', disposition: null, owner: null } }])
  t.equal(said.first.length, 1)
  t.strictSame(wet.json(), { ...said, dry_run: false })
  t.strictSame(tell(await server.list('status=closed')), ['a ls', 'a ps'])
  const comments = await Promise.all((await server.list('risk_object=a')).map(async one => (await server.get(`findings/${one.id}/comments`)).items.length))
  t.strictSame(comments.sort(), [0, 1], 'what was so already has no comment')
  t.match((await server.call('POST', 'findings/bulk', request)).json(), { matched: 2, changed: 0, unchanged: 2 })
})

t.test('findings are changed by ids; one that is given twice counts once, and what is not there is named', async t => {
  const server = await openTriage(t)
  await server.happen(...Array.from({ length: 250 }, (_, i) => ({ pod: `p${i}`, tool: 'ls' })))
  await server.run()
  const ids = (await server.list('limit=1000')).map(({ id }) => id)

  const some = await server.call('POST', 'findings/bulk', { ids: [ids[0], ids[0], 'nothing', ids[1]], change: { owner: 'alice' } })
  const all = await server.call('POST', 'findings/bulk', { ids, change: { owner: 'alice', disposition: 'other' } })
  const said = await server.call('POST', 'findings/bulk', { ids, comment: 'see the wiki' })

  t.match(some.json(), { matched: 2, changed: 2, not_found: ['nothing'] })
  t.match(all.json(), { matched: 250, changed: 250 })
  t.equal(all.json().first.length, 20)
  t.match(said.json(), { matched: 250, changed: 250, unchanged: 0 })
  t.equal((await server.get('findings?owner=alice&disposition=other&count=exact')).total, 250)
  t.equal((await server.get(`findings/${ids[249]}/history`)).items.length, 3)
})

t.test('what somebody else changes meanwhile is left as it is', async t => {
  const server = await openTriage(t)
  await server.happen(...Array.from({ length: 150 }, (_, i) => ({ pod: `p${i}`, tool: 'ls' })))
  await server.run()
  const ids = (await server.list('limit=1000')).map(({ id }) => id)
  const { preview } = server.workflow
  server.workflow.preview = (some, change) => {
    const previewed = preview(some, change)
    if (some.includes(ids[149]!)) server.workflow.change(ids[149]!, { status: 'closed' }, { by: 'bob', atMs: 0 }, () => true)
    return previewed
  }

  const res = await server.call('POST', 'findings/bulk', { ids, change: { status: 'pending' } })

  t.match(res.json(), { matched: 150, changed: 149, conflicts: 1 })
  t.match(await server.get(`findings/${ids[149]}`), { status: 'closed' })
})

t.test('more findings than one call may change are refused, and none is changed', async t => {
  const server = await openTriage(t)
  await server.happen({ pod: 'a', tool: 'ls' })
  await server.run()
  const [{ id }] = await server.list() as [Finding]
  server.control.exec(`
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
    INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, created_ms, updated_ms, body)
    SELECT id || i, detection_id, time_us, status, score, revision, position, run_id, created_ms, updated_ms, body FROM finding, n
  `)

  const res = await server.call('POST', 'findings/bulk', { filter: {}, change: { status: 'closed' } })

  t.equal(res.statusCode, 400)
  t.match(res.json(), { detail: /more than 10000 findings .* nothing was changed/, errors: [{ pointer: '/filter' }] })
  t.equal((await server.get('findings?count=exact&status=new')).total, 10_001)
  t.equal((await server.call('POST', 'findings/bulk', { filter: { latest: '2000-01-01T00:00:00Z' }, change: { status: 'closed' } })).json().matched, 0)
  t.match((await server.call('POST', 'findings/bulk', { ids: [id], change: { status: 'closed' } })).json(), { changed: 1 })
})

const BAD_REQUESTS = [
  { what: 'neither ids nor filter', body: { change: { status: 'closed' } } },
  { what: 'both', body: { ids: ['a'], filter: {}, change: { status: 'closed' } } },
  { what: 'no ids', body: { ids: [], change: { status: 'closed' } } },
  { what: 'too many ids', body: { ids: Array.from({ length: 1_001 }, (_, i) => `id${i}`), change: { status: 'closed' } } },
  { what: 'nothing to do', body: { ids: ['a'] } },
  { what: 'an empty change', body: { ids: ['a'], change: {} } },
  { what: 'a bad status', body: { ids: ['a'], change: { status: 'x' } } },
  { what: 'a bad filter', body: { filter: { colour: 'red' }, change: { status: 'closed' } } },
  { what: 'a bad time', body: { filter: { earliest: 'soon' }, change: { status: 'closed' } } },
  { what: 'an unknown member', body: { ids: ['a'], change: { status: 'closed' }, force: true } },
]
t.test('bad requests are refused, and a viewer\'s', async t => {
  const { call } = await openTriage(t)
  for (const { what, body } of BAD_REQUESTS) t.equal((await call('POST', 'findings/bulk', body)).statusCode, 400, what)
  t.equal((await call('POST', 'findings/bulk', { ids: ['a'], change: { status: 'closed' } }, { authorization: `Bearer ${VIEWER_KEY}` })).statusCode, 403)
})
