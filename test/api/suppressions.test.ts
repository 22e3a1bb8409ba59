import { Registry } from 'prom-client'
import t from 'tap'
import { openDetectMetrics } from '../../src/detect/metrics.js'
import type { Finding } from '../../src/finding.js'
import { openFindingStore } from '../../src/store/control/findings.js'
import { VIEWER_KEY } from '../fixtures/app.js'
import { at, openTriage, stanzaOf, tell } from '../fixtures/workflow.js'

type Server = Awaited<ReturnType<typeof openTriage>>

const viewer = { authorization: `Bearer ${VIEWER_KEY}` }

async function suppress ({ call }: Server, condition: string, more: object = {}): Promise<{ id: string, owner: string }> {
  const res = await call('POST', 'suppressions', { condition, reason: 'ours', ...more })
  if (res.statusCode !== 201) throw new Error(res.body)
  return res.json()
}

t.test('a finding whose row meets the condition is kept, marked and left out of lists; the run and the suppression count it', async t => {
  const server = await openTriage(t)
  const { id } = await suppress(server, 'pod=A* NOT tool=ps', { detection: 'a_rule' })
  await server.happen({ pod: 'a1', tool: 'ls' }, { pod: 'a1', tool: 'ps' }, { pod: 'b', tool: 'ls' })
  server.setTime('20:30:00')

  const run = await server.run()

  t.strictSame(run.findings, { created: 2, suppressed: 1, revised: 0, unchanged: 0 })
  t.strictSame(tell(await server.list()), ['a1 ps', 'b ls'])
  t.strictSame(tell(await server.list('suppressed=include')), ['a1 ls', 'a1 ps', 'b ls'])
  for (const query of ['suppressed=only', `suppressed_by=${id}`, `suppressed_by=${id}&risk_object=a1`, 'suppressed=only&status=new&severity=medium', 'suppressed=only&risk_object=a1&throttled=include&min_score=50&technique=T1611']) {
    t.strictSame(tell(await server.list(query)), ['a1 ls'], query)
    t.equal((await server.get(`findings?count=exact&${query}`)).total, 1, query)
  }
  t.strictSame(await server.list('suppressed_by=another'), [])
  const [hidden] = await server.list('suppressed=only') as [Finding]
  const shown = await server.get(`findings/${hidden.id}`)
  t.match(shown, { suppressed_by: id, throttled_by: null, status: 'new', evidence: { event_count: 1 } })
  t.match(await server.get(`suppressions/${id}`), {
    id, detection: 'a_rule', condition: 'pod=A* NOT tool=ps', reason: 'ours', owner: 'analyst', enabled: true, state: 'active', error: null, hit_count: 1, last_hit_at: '2026-03-10T20:30:00.000Z',
    created_at: '2026-03-10T20:00:00.000Z', expires_at: '2026-06-08T20:00:00.000Z', deleted_at: null,
  })
  t.strictSame((await server.run()).findings, { created: 0, revised: 0, unchanged: 3 })
  t.equal((await server.get(`suppressions/${id}`)).hit_count, 1, 'the same evaluation again counts nothing')
})

const CONDITIONS = [
  { condition: 'pod=a', hidden: ['a cp', 'a ls'] },
  { condition: 'POD=a', hidden: [] },
  { condition: 'pod!=a', hidden: ['b ls'] },
  { condition: 'tool IN (CP, mount)', hidden: ['a cp'] },
  { condition: 'pod=a tool=ls OR tool=cp', hidden: ['a cp', 'a ls'] },
  { condition: 'NOT nothing=*', hidden: ['a cp', 'a ls', 'b ls'] },
  { condition: 'count>1', hidden: ['b ls'] },
  { condition: 'ips="10.0.0.0/8"', hidden: ['b ls'] },
  { condition: 'ips=192.168.1.1', hidden: ['b ls'] },
  { condition: '*', hidden: ['a cp', 'a ls', 'b ls'] },
  { condition: 'toString=*', hidden: [] },
]
t.test('conditions mean what they mean to search, and the preview says what they would have hidden', async t => {
  for (const { condition, hidden } of CONDITIONS) {
    const server = await openTriage(t, { stanzas: stanzaOf('a_rule', 'sourcetype=st | stats count values(ip) AS ips BY pod tool') })
    await server.happen({ pod: 'a', tool: 'ls', ip: '172.16.0.1' }, { pod: 'a', tool: 'cp', ip: 'x' }, { pod: 'b', tool: 'ls', ip: '10.1.2.3' }, { pod: 'b', tool: 'ls', ip: '192.168.1.1' })
    await server.run('09:00:00')

    const preview = await server.call('POST', 'suppressions/preview', { condition }, viewer)
    await suppress(server, condition)
    await server.run('10:00:00')

    t.match(preview.json(), { checked: 3, hidden: hidden.length, true_positives: 0 }, condition)
    t.strictSame(tell(preview.json().first), hidden, condition)
    t.strictSame(tell(await server.list('suppressed=only')), hidden, condition)
  }
})

const ERRORS = [
  { condition: 'pod=', detail: 'Expected a value, found the end of the command', caret: '1:5' },
  { condition: 'pod=a AND\n  (tool=ls', detail: 'Expected ")" at the end of the group, found the end of the command', caret: '2:11' },
  { condition: 'pod=a | stats count', detail: 'Expected the end of the condition, found "|"', caret: '1:7' },
  { condition: 'mount', detail: 'Expected field=value, found "mount"', caret: '1:1' },
  { condition: '[ search x=1 ]', detail: 'Expected a condition such as field=value, found "["', caret: '1:1' },
  { condition: 'pod=a `mine`', detail: /The macro "mine" isn't defined/, caret: '1:7' },
  { condition: 'earliest=-1d', detail: /isn't supported/, caret: '1:1' },
  { condition: ' ', detail: /Expected/, caret: '1:2' },
  { condition: `pod=a${' OR (pod=a'.repeat(150)}`, detail: /./, caret: '1:' },
]
t.test('what is wrong with a condition is shown with line and caret', async t => {
  const server = await openTriage(t)
  const { id } = await suppress(server, 'pod=a')
  for (const { condition, detail, caret } of ERRORS) {
    for (const res of [
      await server.call('POST', 'suppressions', { condition, reason: 'x' }),
      await server.call('PATCH', `suppressions/${id}`, { condition }),
      await server.call('POST', 'suppressions/preview', { condition }),
    ]) {
      t.equal(res.statusCode, 400, condition)
      t.match(res.json(), { errors: [{ pointer: '/condition', detail }] })
      t.ok(res.json().detail.startsWith(caret) && res.json().detail.endsWith('^'), res.json().detail)
    }
  }
  t.match((await server.get('suppressions')).items, [{ condition: 'pod=a' }])
})

t.test('a suppression hides while it is enabled and has not expired, and findings of its detection alone', async t => {
  const server = await openTriage(t, { stanzas: `${stanzaOf('a_rule', 'sourcetype=st | stats count BY pod')}${stanzaOf('other', 'sourcetype=st | stats count BY pod')}` })
  const { id } = await suppress(server, 'pod=a', { detection: 'a_rule', expires_at: '+1h', enabled: false })
  await server.happen({ pod: 'a' })
  const hiddenOf = async (time: string, detection = 'a_rule') => (await server.run(time, detection)).findings.suppressed ?? 0

  t.equal(await hiddenOf('09:00:00'), 0, 'it is disabled')
  await server.call('PATCH', `suppressions/${id}`, { enabled: true })
  t.equal(await hiddenOf('10:00:00'), 1)
  t.equal(await hiddenOf('10:00:00', 'other'), 0)
  server.setTime('21:00:00')
  t.equal(await hiddenOf('11:00:00'), 0, 'it has expired')
  t.match(await server.get(`suppressions/${id}`), { state: 'expired', enabled: true })
  await server.call('PATCH', `suppressions/${id}`, { expires_at: '2026-03-11T00:00:00Z', detection: null })
  t.equal(await hiddenOf('12:00:00', 'other'), 1)
  await server.call('DELETE', `suppressions/${id}`)
  t.equal(await hiddenOf('13:00:00'), 0, 'it is deleted')
  t.match(await server.get(`suppressions/${id}`), { state: 'deleted', hit_count: 2 })
  t.equal((await server.list(`suppressed_by=${id}`)).length, 2, 'what it has hidden stays hidden')
})

t.test('what is new of a hidden finding is judged anew, and what was shown is never hidden', async t => {
  const server = await openTriage(t, { stanzas: stanzaOf('a_rule', 'sourcetype=st | stats count BY pod') })
  await suppress(server, 'pod=a count<3')
  await suppress(server, 'pod=b count>1')
  await server.happen({ pod: 'a' }, { pod: 'b' })
  await server.run()
  const [{ id }] = await server.list('suppressed=only') as [Finding]
  const look = async () => `${tell(await server.list()).join()} | ${tell(await server.list('suppressed=only')).join()}`
  t.equal(await look(), 'b | a')
  await server.happen({ pod: 'a' }, { pod: 'b' })
  await server.run()
  t.equal(await look(), 'b | a', 'a still meets the condition; b would now, and somebody may work on it')

  await server.happen({ pod: 'a' })
  await server.run()

  t.equal(await look(), 'a,b | ')
  t.match(await server.get(`findings/${id}`), { revision: 3, suppressed_by: null })
  t.strictSame(tell(await server.list('risk_object=a&technique=T1059')), ['a'])
})

t.test('a suppressed finding throttles none', async t => {
  const throttled = 'alert.suppress = 1\nalert.suppress.fields = pod\nalert.suppress.period = 1d\n'
  const server = await openTriage(t, { stanzas: `${stanzaOf('a_rule', 'sourcetype=st | stats count BY pod tool | search count<5')}${throttled}` })
  await suppress(server, 'tool=ls count<3')
  await server.happen({ pod: 'a', tool: 'ls' })
  await server.run('09:00:00')
  await server.happen({ pod: 'a', tool: 'ps' })

  const { findings } = await server.run('10:00:00')
  const again = await server.run('11:00:00')

  t.strictSame(findings, { created: 1, suppressed: 1, revised: 0, unchanged: 0 }, 'ps of 10:00 fires, though ls of 09:00 was before it')
  t.strictSame(again.findings, { created: 0, throttled: 1, suppressed: 1, revised: 0, unchanged: 0 })
  t.strictSame(tell(await server.list('throttled=include&suppressed=include')), ['a ls', 'a ls', 'a ls', 'a ps', 'a ps'])
  t.strictSame(tell(await server.list('throttled=only&suppressed=include')), ['a ps'])
})

t.test('who keeps something of findings is told which are suppressed, and of one that comes out of it as created', async t => {
  const server = await openTriage(t)
  const told: string[] = []
  let hides = true
  const findings = openFindingStore(server.control, [({ id, suppressed_by: by }, { what }) => { told.push(`${id} ${what} ${by}`) }], () => hides ? 'a suppression' : null)
  const body = (score: number) => ({
    detection: { id: 'a_rule', name: 'a_rule', version: 1 }, time: 0, result: { score }, risk: { score, message: null, objects: [], threat_objects: [] }, severity: 'low' as const, mitre_attack: [], window: { earliest: '', latest: '' },
  })
  const position = server.events.position()
  const commit = (score: number, id: string) => findings.commitRun({
    id, detection_id: 'a_rule', slot_ms: 0, definition_hash: '', status: 'succeeded', position, earliest_us: 0, latest_us: 1, started_ms: 0, finished_ms: 1, row_count: 1, scanned_events: 1, error: null, warnings: [],
  }, {
    position, isShort: false, backfill: undefined, isAfter: () => false, speaksFor: null,
    drafts: [{ id: 'f', body: body(score), evidence: null, change: null, throttle: null }],
    slot: { position: null, late_due_ms: null } as never,
    appearance: () => { throw new Error('nothing is gone') },
  })

  await commit(1, 'r1')
  await commit(2, 'r2')
  hides = false
  await commit(2, 'r3')
  await commit(3, 'r4')
  hides = true
  await commit(4, 'r5')
  findings.putOwn([{ id: 'own', body: body(0) }], position, 5)

  t.strictSame(told, ['f suppressed a suppression', 'f revised a suppression', 'f created null', 'f revised null', 'own suppressed a suppression'])
})

t.test('findings of silent sources can be suppressed', async t => {
  const server = await openTriage(t, { silentAfterMs: 60_000, openSinceMs: () => 0 })
  await suppress(server, 'sourcetype=st', { detection: 'hecate___silent_source' })
  await server.happen({ pod: 'a' })
  await server.sources.take()
  await server.sources.write()

  await server.sources.look(at('21:00:00'))

  t.strictSame(await server.list(), [])
  t.match(await server.list('suppressed=only'), [{ detection: { id: 'hecate___silent_source' } }])
})

t.test('what risk rules find can be suppressed by rule and object', async t => {
  const off = { at_least: 0, in: 60_000 }
  const server = await openTriage(t, { riskRuleConfig: { score: { over: 10, in: 60_000 }, tactics: { at_least: 1, in: 60_000 }, detections: off } })
  await suppress(server, 'risk_object=a', { detection: 'hecate___risk_score' })
  await server.happen({ pod: 'a', tool: 'ls' }, { pod: 'b', tool: 'ls' })
  await server.run()

  await server.riskRules.evaluate(at('20:00:00'))

  const said = (findings: Finding[]) => findings.filter(({ detection: { id } }) => id !== 'a_rule').map(({ detection, risk }) => `${detection.id} ${risk.objects[0]!.value}`).sort()
  t.strictSame(said(await server.list()), ['hecate___risk_score b', 'hecate___risk_tactics a', 'hecate___risk_tactics b'])
  t.strictSame(said(await server.list('suppressed=only')), ['hecate___risk_score a'])
})

t.test('the preview says which of the findings that it would have hidden were true positives, and shows these first', async t => {
  const server = await openTriage(t)
  await server.happen(...Array.from({ length: 60 }, (_, i) => ({ pod: `a${i}`, tool: 'ls' })), { pod: 'b', tool: 'ls' })
  await server.run()
  const [{ id }] = await server.list('risk_object=a7') as [Finding]
  await server.call('PATCH', `findings/${id}`, { status: 'closed', disposition: 'true_positive' })

  const { first, ...said } = (await server.call('POST', 'suppressions/preview', { condition: 'pod=a*', detection: 'a_rule', earliest: '2026-03-10T09:00:00Z', latest: 'now' })).json()

  t.strictSame(said, { checked: 61, hidden: 60, true_positives: 1, window: { earliest: '2026-03-10T09:00:00.000Z', latest: '2026-03-10T20:00:00.000Z' } })
  t.equal(first.length, 50)
  t.match(first[0], { id, disposition: 'true_positive' })
  t.match((await server.call('POST', 'suppressions/preview', { condition: 'pod=a*', latest: '2026-03-10T09:00:00Z' })).json(), { checked: 0, hidden: 0 })
  t.equal((await server.list('suppressed=only')).length, 0)
})

t.test('the history of a suppression says who made, changed and deleted it', async t => {
  const server = await openTriage(t)
  const { id } = await suppress(server, 'pod=a', { expires_at: '2026-04-01T00:00:00Z' })
  server.setTime('21:00:00')
  await server.call('PATCH', `suppressions/${id}`, { condition: 'pod=b', reason: 'ours' })
  await server.call('PATCH', `suppressions/${id}`, { condition: 'pod=b' })
  await server.call('DELETE', `suppressions/${id}`)

  const page = await server.get(`suppressions/${id}/history?limit=2`)
  const rest = await server.get(`suppressions/${id}/history?limit=2&cursor=${page.next_cursor}`)

  const made = { detection: null, reason: 'ours', enabled: true, expires_at: '2026-04-01T00:00:00.000Z' }
  t.strictSame([...page.items, ...rest.items], [
    { at: '2026-03-10T21:00:00.000Z', by: 'analyst', before: { ...made, condition: 'pod=b' }, after: null },
    { at: '2026-03-10T21:00:00.000Z', by: 'analyst', before: { condition: 'pod=a' }, after: { condition: 'pod=b' } },
    { at: '2026-03-10T20:00:00.000Z', by: 'analyst', before: null, after: { ...made, condition: 'pod=a' } },
  ])
  t.equal(rest.next_cursor, null)
  t.equal((await server.call('PATCH', `suppressions/${id}`, { reason: 'x' })).statusCode, 409)
  t.equal((await server.call('DELETE', `suppressions/${id}`)).statusCode, 409)
})

t.test('suppressions are listed by state and detection, in pages, and are there after a restart', async t => {
  const server = await openTriage(t)
  const ids: string[] = []
  for (const more of [{}, { detection: 'a_rule' }, { enabled: false }, { expires_at: '+1m' }, {}]) ids.push((await suppress(server, 'pod=a', more)).id)
  await server.call('DELETE', `suppressions/${ids[4]}`)
  server.setTime('21:00:00')
  const numbers = async (from: Server, query: string) => (await from.get(`suppressions?${query}`)).items.map(({ id }: { id: string }) => ids.indexOf(id))

  t.strictSame(await numbers(server, ''), [3, 2, 1, 0])
  t.strictSame(await numbers(server, 'state=active'), [1, 0])
  t.strictSame(await numbers(server, 'state=disabled'), [2])
  t.strictSame(await numbers(server, 'state=expired'), [3])
  t.strictSame(await numbers(server, 'state=deleted'), [4])
  t.strictSame(await numbers(server, 'detection=a_rule'), [1])
  const page = await server.get('suppressions?limit=3&count=exact')
  t.equal(page.total, 4)
  t.strictSame(await numbers(server, `limit=3&cursor=${page.next_cursor}`), [0])
  const registry = new Registry()
  openDetectMetrics(registry, { ledger: server.ledgerStore, findings: server.findings, suppressions: server.suppressions, now: () => at('21:00:00') })
  t.match(await registry.metrics(), /^hecate_suppressions_active 2$/m)
  await server.close()
  const next = await openTriage(t, { dataDir: server.dataDir })
  t.strictSame(await numbers(next, ''), [3, 2, 1, 0])
  await next.happen({ pod: 'a', tool: 'ls' })
  t.match((await next.run()).findings, { suppressed: 1 })
})

t.test('a condition that this version does not take hides nothing, and says so', async t => {
  const server = await openTriage(t)
  const { id } = await suppress(server, 'pod=a')
  server.control.prepare("UPDATE suppression SET condition = 'pod~a'").run()
  await server.close()

  const next = await openTriage(t, { dataDir: server.dataDir })
  await next.happen({ pod: 'a', tool: 'ls' })

  t.strictSame((await next.run()).findings, { created: 1, revised: 0, unchanged: 0 })
  t.match(await next.get(`suppressions/${id}`), { state: 'active', error: /Expected/ })
})

const BAD = [
  { what: 'no reason', body: { condition: 'pod=a' } },
  { what: 'no condition', body: { reason: 'x' } },
  { what: 'a long condition', body: { condition: `pod=${'a'.repeat(2_000)}`, reason: 'x' } },
  { what: 'an unknown detection', body: { condition: 'pod=a', reason: 'x', detection: 'nothing' } },
  { what: 'an expiry in the past', body: { condition: 'pod=a', reason: 'x', expires_at: 'now' } },
  { what: 'an expiry that is far away', body: { condition: 'pod=a', reason: 'x', expires_at: '+6y' } },
  { what: 'an expiry that is no time', body: { condition: 'pod=a', reason: 'x', expires_at: 'soon' } },
  { what: 'an unknown member', body: { condition: 'pod=a', reason: 'x', owner: 'me' } },
]
t.test('bad suppressions are refused, more than can be asked of each finding, and a viewer\'s', async t => {
  const server = await openTriage(t)
  const { id } = await suppress(server, 'pod=a')
  for (const { what, body } of BAD) t.equal((await server.call('POST', 'suppressions', body)).statusCode, 400, what)
  for (const body of [{}, { detection: 'nothing' }, { expires_at: 'now' }, { reason: '' }, { owner: 'x' }]) t.equal((await server.call('PATCH', `suppressions/${id}`, body)).statusCode, 400)
  for (const body of [{}, { condition: 'pod=a', earliest: 2, latest: 1 }, { condition: 'pod=a', detection: 'nothing' }, { condition: 'pod=a', reason: 'x' }]) t.equal((await server.call('POST', 'suppressions/preview', body)).statusCode, 400)
  for (const [method, path] of [['GET', 'suppressions/x'], ['PATCH', 'suppressions/x'], ['DELETE', 'suppressions/x'], ['GET', 'suppressions/x/history']] as const) {
    t.equal((await server.call(method, path, method === 'PATCH' ? { reason: 'x' } : undefined)).statusCode, 404, `${method} ${path}`)
  }
  for (const query of ['suppressions?state=x', 'suppressions?cursor=x', 'suppressions?limit=0', `suppressions/${id}/history?cursor=x`]) t.equal(await server.status(query), 400, query)
  t.equal((await server.call('POST', 'suppressions', { condition: 'pod=a', reason: 'x' }, viewer)).statusCode, 403)
  t.equal((await server.call('PATCH', `suppressions/${id}`, { reason: 'x' }, viewer)).statusCode, 403)
  t.equal((await server.call('DELETE', `suppressions/${id}`, undefined, viewer)).statusCode, 403)
  for (const path of ['suppressions', `suppressions/${id}`, `suppressions/${id}/history`]) t.equal((await server.call('GET', path, undefined, viewer)).statusCode, 200, path)
  for (let i = 1; i < 500; i++) await suppress(server, 'pod=a')
  const res = await server.call('POST', 'suppressions', { condition: 'pod=a', reason: 'x' })
  t.equal(res.statusCode, 409)
  t.match(res.json(), { detail: /500 suppressions/ })
})
