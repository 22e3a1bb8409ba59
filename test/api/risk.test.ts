import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { bearer, tempDir, VIEWER_KEY } from '../fixtures/app.js'
import { addLike, explain, happen, NOW, serverOf } from '../fixtures/risk.js'
import { get } from '../fixtures/rules.js'

t.test('risk objects are listed by score, with what they are made of', async t => {
  const server = await serverOf(t, { escape: { score: 70 }, shell: { score: 20, techniques: ['T1059.004', 'T9999'] } })
  await happen(t, server,
    { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1', at: '2026-03-10T11:30:00Z' },
    { rule: 'shell', pod: 'web-2' }, { rule: 'shell', pod: 'web-2', at: '2026-03-10T11:01:00Z' },
    { rule: 'escape', pod: 'web-3', at: '2026-03-09T11:59:59Z' })

  const { items, ...list } = await get(server, 'risk-objects?count=exact')

  t.strictSame(list, { next_cursor: null, total: 2, earliest: '2026-03-09T12:00:00.000Z', latest: '2026-03-10T12:00:00.000Z', complete: true })
  t.strictSame(items[0], {
    type: 'system', key: 'web-1', value: 'web-1', score: 90, findings: 2, last_time: Date.parse('2026-03-10T11:30:00Z') / 1000,
    detections: [{ id: 'escape', findings: 1, sum: 70, highest: 70, counted: 70 }, { id: 'shell', findings: 1, sum: 20, highest: 20, counted: 20 }],
    tactics: ['execution', 'privilege-escalation'], techniques: ['T1059.004', 'T1611', 'T9999'], unknown_techniques: ['T9999'],
  })
  t.match(items[1], { value: 'web-2', score: 40, findings: 2, detections: [{ id: 'shell', counted: 40 }] })
  t.strictSame((await get(server, 'risk-objects?earliest=-2d')).items.map((one: { value: string }) => one.value), ['web-1', 'web-3', 'web-2'])
})

t.test('the list of risk objects has pages, a least score and types', async t => {
  const objects = [{ risk_object_field: 'pod', risk_object_type: 'system', risk_score: 10 }, { risk_object_field: 'tool', risk_object_type: 'user', risk_score: 30 }]
  const server = await serverOf(t, { a: { objects } })
  await happen(t, server, ...['p1', 'p2', 'p3', 'p4'].map(pod => ({ rule: 'a', pod })), { rule: 'a', pod: 'p2', at: '2026-03-10T11:05:00Z' })
  const values = async (query: string) => (await get(server, `risk-objects?${query}`)).items.map((one: { value: string, score: number }) => `${one.value} ${one.score}`)

  const all = await values('')
  t.equal(all[0], 'ls 90', 'five times 30, of which three count')
  t.equal(all[1], 'p2 20')
  t.strictSame(all.slice(2).sort(), ['p1 10', 'p3 10', 'p4 10'])
  const pages: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: { items: { value: string, score: number }[], next_cursor: string | null, total: number } = await get(server, `risk-objects?limit=2&count=exact${cursor === '' ? '' : `&cursor=${cursor}`}`)
    pages.push(...page.items.map(one => `${one.value} ${one.score}`))
    t.equal(page.total, 5)
    cursor = page.next_cursor
  }
  t.strictSame(pages, all)
  t.strictSame(await values('min_score=15.5'), ['ls 90', 'p2 20'])
  t.strictSame(await values('type=user'), ['ls 90'])
  t.strictSame(await values('type=nobody'), [])
})

t.test('a detection adds at most a multiple of its highest score to an object, and each posting says what of it counts', async t => {
  const server = await serverOf(t, { a: { score: 40 }, b: { score: 10 } }, { riskCap: 2 })
  await happen(t, server, ...[0, 1, 2, 3, 4].map(minute => ({ rule: 'a', pod: 'web-1', at: `2026-03-10T11:0${minute}:00Z` })), { rule: 'b', pod: 'web-1', at: '2026-03-10T10:00:00Z' })

  const { risk_object: object, items, ...list } = await explain(server, 'web-1', '&count=exact')

  t.match(object, { score: 90, findings: 6, detections: [{ id: 'a', findings: 5, sum: 200, highest: 40, counted: 80 }, { id: 'b', counted: 10 }] })
  t.match(list, { total: 6, next_cursor: null, complete: true })
  t.strictSame(items.map((one: { detection: string, counted: number }) => [one.detection, one.counted]), [...Array(5).fill(['a', 16]), ['b', 10]])
  t.match(items[0], { score: 40, weight: 1, text: '16 of 40 count; the postings of the detection add up to 200, of which 2 times the highest, 80, count', revision: 1, ended: null, posted_at: NOW.replace('Z', '.000Z') })
  t.match(items[5], { text: '10 of 10 count' })
  t.equal((await get(server, `findings/${items[0].finding}`)).risk.objects[0].value, 'web-1')
  const first = await explain(server, 'web-1', '&limit=4')
  const second = await explain(server, 'web-1', `&limit=4&cursor=${first.next_cursor}`)
  t.strictSame([...first.items, ...second.items], items)
})

t.test('with a half-life a posting counts by its age, and the cap holds of what is left', async t => {
  const server = await serverOf(t, { a: { score: 40 }, b: { score: 10 } }, { riskHalfLifeMs: 3_600_000 })
  await happen(t, server, { rule: 'a', pod: 'web-1', at: '2026-03-10T11:00:00Z' }, { rule: 'a', pod: 'web-1', at: '2026-03-10T10:00:00Z' }, { rule: 'b', pod: 'web-2', at: '2026-03-10T11:59:00Z' })

  const { risk_object: object, items } = await explain(server, 'web-1')

  t.match(object, { score: 30, detections: [{ sum: 30, highest: 20, counted: 30 }] })
  t.match(items, [{ weight: 0.5, counted: 20, text: '20 of 40 count; it is 1.0 h old and the half-life is 1.0 h' }, { weight: 0.25, counted: 10 }])
  t.match((await get(server, 'risk-objects')).items, [{ value: 'web-1', score: 30 }, { value: 'web-2', score: 9.89 }])
  t.match((await get(server, 'risk-objects?latest=2026-03-10T11:00:00.001Z')).items, [{ value: 'web-1', score: 60 }], 'by age at the end of the range')
  t.match((await explain(server, 'web-1', '&latest=%2B9000d')).risk_object, { score: 0, findings: 2 }, 'of what is that old nothing is left')
})

t.test('a revision takes the place of the posting before, a row that is gone is reversed, and posted again when it is back', async t => {
  const counts: Record<string, number> = {}
  const server = await serverOf(t, { a: {} }, { countRisk: (what, postings) => { counts[what] = (counts[what] ?? 0) + postings } })
  await happen(t, server, { rule: 'a', pod: 'web-1' })
  await happen(t, server, { rule: 'a', pod: 'web-1', tool: 'ps' })

  t.match((await explain(server, 'web-1')), { risk_object: { score: 40, findings: 1 }, items: [{ revision: 2 }] })
  t.match((await explain(server, 'web-1', '&ended=include&count=exact')), { total: 2, items: [{ revision: 2, ended: null }, { revision: 1, counted: 0, ended: { why: 'superseded' }, text: 'a later revision of the finding took its place' }] })
  const [finding] = (await get(server, 'findings')).items as Finding[]
  const write = (change: Partial<Finding>) => { server.riskStore.written({ ...finding!, ...change }, { what: 'revised', nowMs: Date.parse(NOW) }) }
  write({ revision: 3, gone_at: NOW })
  t.match(await explain(server, 'web-1', '&ended=include'), { risk_object: { score: 0, findings: 0, last_time: null }, items: [{ ended: { why: 'gone' }, text: 'the search gives the row of the finding no more' }, {}] })
  t.strictSame((await get(server, 'risk-objects')).items, [])
  write({ revision: 4, gone_at: null })
  t.match(await explain(server, 'web-1'), { risk_object: { score: 40 }, items: [{ revision: 4 }] })
  t.strictSame(counts, { posted: 3, superseded: 1, gone: 1 })
})

t.test('a false positive counts no more, and does again when that is taken back; other ends of a finding change nothing', async t => {
  const server = await serverOf(t, { a: {} })
  await happen(t, server, { rule: 'a', pod: 'web-1' })
  const [finding] = (await get(server, 'findings')).items as Finding[]
  const scoreAfter = async (change: Partial<Finding> & { suppressed_by?: string }) => {
    server.riskStore.written({ ...finding!, ...change }, { what: 'revised', nowMs: Date.parse(NOW) })
    return (await explain(server, 'web-1')).risk_object.score
  }

  t.equal(await scoreAfter({ status: 'closed', disposition: 'true_positive' }), 40)
  t.equal(await scoreAfter({ status: 'new', disposition: 'false_positive' }), 40, 'it is not closed')
  t.equal(await scoreAfter({ status: 'closed', disposition: 'false_positive' }), 0)
  t.equal(await scoreAfter({ status: 'closed', disposition: 'false_positive' }), 0)
  t.equal(await scoreAfter({ status: 'in_progress', disposition: null }), 40)
  t.equal(await scoreAfter({ suppressed_by: 'somebody' }), 0)
  t.equal(await scoreAfter({}), 40)
  t.strictSame((await explain(server, 'web-1', '&ended=include')).items.map(({ ended }: { ended: { why: string } | null }) => ended?.why ?? null), [null, 'suppressed', 'false_positive'])
})

t.test('a throttled finding adds nothing', async t => {
  const server = await serverOf(t, { a: { more: 'alert.suppress = 1\nalert.suppress.fields = pod\nalert.suppress.period = 3600s\nalert.digest_mode = 0' } })

  await happen(t, server, { rule: 'a', pod: 'web-1' }, { rule: 'a', pod: 'web-1', at: '2026-03-10T11:05:00Z' })

  t.equal((await get(server, 'findings?throttled=include')).items.length, 2)
  t.match(await explain(server, 'web-1'), { risk_object: { score: 40, findings: 1 } })
})

t.test('an object that a finding names twice counts once, with the higher score', async t => {
  const objects = [{ risk_object_field: 'pod', risk_object_type: 'system', risk_score: 10 }, { risk_object_field: 'tool', risk_object_type: 'system', risk_score: 30 }]
  const server = await serverOf(t, { a: { objects } })

  await happen(t, server, { rule: 'a', pod: 'same', tool: 'same' })

  t.match(await explain(server, 'same'), { risk_object: { score: 30, findings: 1 } })
})

t.test('the configuration tells objects apart by other fields of the row', async t => {
  const rules = [{ field: 'pod', by: ['cluster'] }, { type: 'user', by: ['pod', 'cluster'] }]
  const objects = [{ risk_object_field: 'pod', risk_object_type: 'system', risk_score: 10 }, { risk_object_field: 'tool', risk_object_type: 'user', risk_score: 10 }, { risk_object_field: 'count', risk_object_type: 'other', risk_score: 10 }]
  const server = await serverOf(t, { a: { objects } }, { riskEntity: rules })

  await happen(t, server, { rule: 'a', pod: 'web', cluster: 'eu/1' }, { rule: 'a', pod: 'web', cluster: 'us', at: '2026-03-10T11:05:00Z' },
    { rule: 'a', pod: 'web', at: '2026-03-10T11:06:00Z' },
    { rule: 'a', pod: 'web', cluster: 'us', at: '2026-03-10T11:07:00Z' }, { rule: 'a', pod: 'web', cluster: 'eu', at: '2026-03-10T11:07:00Z' })

  const told = (await get(server, 'risk-objects')).items.map(({ type, key, value, findings }: { type: string, key: string, value: string, findings: number }) => `${type} ${key} ${value} ${findings}`).sort()
  t.strictSame(told, [
    'other 1 1 3', 'other 2 2 1',
    'system eu%2F1/web web 1', 'system unknown/web web 2', 'system us/web web 1',
    'user web/eu%2F1/ls ls 1', 'user web/unknown/ls ls 2', 'user web/us/ls ls 1',
  ])
  t.match(await explain(server, 'eu%2F1/web'), { risk_object: { score: 10 } })
  const named = await get(server, 'risk-objects?value=web&count=exact')
  t.strictSame([named.total, ...named.items.map(({ key }: { key: string }) => key)], [3, 'unknown/web', 'eu%2F1/web', 'us/web'])
  t.equal((await get(server, 'risk-objects?value=ls&type=user&count=exact')).total, 3)
  t.equal((await get(server, 'risk-objects?value=ls&type=system&count=exact')).total, 0)
})

t.test('findings that were there before are posted in turns, again where the configuration makes other objects of them', async t => {
  const dataDir = tempDir(t)
  const before = await serverOf(t, { a: {} }, { dataDir })
  await happen(t, before, { rule: 'a', pod: 'web-0', cluster: 'eu' })
  const [finding] = (await get(before, 'findings')).items as Finding[]
  const { risk } = finding!
  addLike(before, finding!, 449, i => ({ risk: { ...risk, objects: [{ ...risk.objects[0]!, value: `web-${(i + 1) % 3}` }] } }))
  await before.close()
  const server = await serverOf(t, { a: {} }, { dataDir, riskEntity: [{ field: 'pod', by: ['cluster'] }] })

  t.equal((await get(server, 'risk-objects')).complete, false)
  const turns: number[] = []
  while (!server.risk.isPosted()) turns.push(server.risk.postOld(Date.parse(NOW)))

  t.strictSame(turns, [100, 100, 100, 100, 50, 0])
  t.match(await get(server, 'risk-objects?limit=1&count=exact'), { complete: true, total: 3, items: [{ score: 120, findings: 150 }] })
  t.match(await explain(server, 'eu/web-0'), { risk_object: { value: 'web-0', findings: 150 } })
  t.match(await explain(server, 'web-0', '&ended=include&limit=1'), { risk_object: { score: 0 }, items: [{ ended: { why: 'entity' } }] })
})

t.test('a value can be anything', async t => {
  const server = await serverOf(t, { a: {} })
  const pods = ['../..', '/', 'a b&c=d#e?', '%2F', '"\'; DROP TABLE risk_object', 'É😀～', '*', 'x'.repeat(1_000), 'x'.repeat(1_001), `${'x'.repeat(1_001)}y`]
  await happen(t, server, ...pods.map((pod, i) => ({ rule: 'a', pod, at: `2026-03-10T11:0${i}:00Z` })))

  const { items } = await get(server, 'risk-objects')

  t.equal(items.length, pods.length)
  for (const { key, value } of items) {
    t.ok(value === key && key.length <= 1_000)
    t.match(await explain(server, key), { risk_object: { key, score: 40 }, items: [{ score: 40 }] })
  }
})

const BAD = [
  'risk-objects?limit=0', 'risk-objects?min_score=-1', 'risk-objects?min_score=1e3', 'risk-objects?nonsense=1', 'risk-objects?cursor=abc', 'risk-objects?earliest=1&latest=0', `risk-objects?cursor=${Buffer.from('[1,2,3]').toString('base64url')}`,
  'risk-objects/explain', 'risk-objects/explain?type=system', 'risk-objects/explain?key=web-1', 'risk-objects/explain?type=system&key=a&ended=no', `risk-objects/explain?type=system&key=${'x'.repeat(1_001)}`,
]
t.test('bad questions about risk are 400, an object without findings is 404, and a viewer may ask', async t => {
  const server = await serverOf(t, { a: {} })
  await happen(t, server, { rule: 'a', pod: 'web-1' })
  const status = async (path: string, headers: Record<string, string> = bearer) => (await server.app.inject({ url: `/api/v1/${path}`, headers })).statusCode

  for (const path of BAD) t.equal(await status(path), 400, path)
  t.equal(await status('risk-objects/explain?type=system&key=web-2'), 404)
  t.equal(await status('risk-objects/explain?type=user&key=web-1'), 404)
  for (const path of ['risk-objects', 'risk-objects/explain?type=system&key=web-1']) {
    t.equal(await status(path, { authorization: `Bearer ${VIEWER_KEY}` }), 200, path)
    t.equal(await status(path, {}), 401, path)
  }
})
