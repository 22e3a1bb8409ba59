import t from 'tap'
import { bearer, post, testApp, VIEWER_KEY } from '../fixtures/app.js'
import type { TestApp } from '../fixtures/app.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { detectionsOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
const nowMs = Date.parse('2026-03-10T12:30:00Z')

function run ({ app }: TestApp, scheduledTime: string | number, headers: Record<string, string> = bearer) {
  return app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/runs`, headers, payload: { scheduled_time: scheduledTime } })
}

async function findings ({ app }: TestApp, query = '') {
  return (await app.inject({ url: `/api/v1/findings${query}`, headers: bearer })).json()
}

t.test('a run makes a finding with risk object, score, threat objects, message and ATT&CK technique (R100–R106)', async t => {
  const server = await testApp(t, { nowMs })
  await post(server, G01.events.map(event => toEnvelope(event)).join(''))

  const res = await run(server, '2026-03-10T12:00:00Z')

  t.equal(res.statusCode, 200)
  t.match(res.json(), {
    detection_id: LITERAL,
    scheduled_time: '2026-03-10T12:00:00.000Z',
    window: { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' },
    status: 'succeeded',
    row_count: 1,
    findings: { created: 1, revised: 0, unchanged: 0 },
  })
  const [finding] = (await findings(server)).items
  const { id, run: runId, ...rest } = finding
  t.match(id, /^[0-9a-f]{32}$/)
  t.equal(runId, res.json().id)
  t.strictSame(rest, {
    detection: { id: LITERAL, name: 'Cisco Isovalent - Potential Escape to Host', version: 1 },
    time: 1773140700,
    result: G01.runs[0]!.literal[0],
    risk: {
      score: 70,
      message: 'Escape-to-host attempt detected in pod web-7d4b9-x2x on cluster prod-eu using a command - [/usr/bin/mount /dev/nvme0n1p1 /mnt\n/usr/bin/nsenter --target 1 --mount --uts --ipc --net --pid -- bash]',
      objects: [{ field: 'pod_name', type: 'system', value: 'web-7d4b9-x2x', score: 70 }],
      threat_objects: [
        { field: 'process_name', type: 'process_name', value: 'mount' },
        { field: 'process_name', type: 'process_name', value: 'nsenter' },
      ],
    },
    severity: 'high',
    mitre_attack: ['T1611'],
    window: { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' },
    status: 'new',
    disposition: null,
    owner: null,
    revision: 1,
    created_at: '2026-03-10T12:30:00.000Z',
    updated_at: '2026-03-10T12:30:00.000Z',
    backfill: null,
    throttled_by: null,
    suppressed_by: null,
    etag: '"1.0"',
    gone_at: null,
    change: null,
  })
})

t.test('a finding keeps the events it comes from, and no others', async t => {
  const server = await testApp(t, { nowMs })
  const strangers = [
    { ...G01.events[0]!, cluster_name: 'prod-us' }, // another row
    { ...G01.events[0]!, time: '2026-03-10T11:10:00.000Z' }, // the next bin
    { ...G01.events[0]!, process_exec: { process: { binary: '/bin/true', pod: { name: 'web-7d4b9-x2x' } } } }, // not what the detection looks for
  ]
  await post(server, [...G01.events, ...strangers].map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')
  const { items: [{ id }] } = await findings(server)

  const { evidence } = (await server.app.inject({ url: `/api/v1/findings/${id}`, headers: bearer })).json()

  t.match(evidence, { event_count: 2, approximate: false })
  t.strictSame(evidence.events.map((event: { event: object }) => event.event), G01.events, 'oldest first')
})

t.test('running a slot twice changes nothing', async t => {
  const server = await testApp(t, { nowMs })
  await post(server, G01.events.map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')
  const before = await findings(server)

  const again = await run(server, '2026-03-10T12:00:00Z')

  t.strictSame(again.json().findings, { created: 0, revised: 0, unchanged: 1 })
  t.strictSame(await findings(server), before)
})

t.test('the same row from an overlapping window is the same finding', async t => {
  const server = await testApp(t, { nowMs })
  await post(server, G01.events.map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')

  const shifted = await run(server, '2026-03-10T12:10:00Z')

  t.strictSame(shifted.json().findings, { created: 0, revised: 0, unchanged: 1 })
})

t.test('more evidence revises the finding', async t => {
  const server = await testApp(t, { nowMs })
  await post(server, G01.events.map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')
  await post(server, toEnvelope({ ...G01.events[0]!, time: '2026-03-10T11:06:00.000Z' }))

  const again = await run(server, '2026-03-10T12:00:00Z')

  t.strictSame(again.json().findings, { created: 0, revised: 1, unchanged: 0 })
  const { items } = await findings(server)
  t.equal(items.length, 1)
  t.match(items[0], { revision: 2, result: { total_events: 3 } })
})

t.test('the halves of a bin that the window cuts are findings of their own slots (R83)', async t => {
  const server = await testApp(t, { nowMs })
  await post(server, G01.events.map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')

  const cut = await run(server, '2026-03-10T11:16:00Z') // [10:06, 11:06) ends inside the bin of 11:05

  t.match(cut.json(), { row_count: 1, findings: { created: 1, unchanged: 0 } })
  t.equal((await findings(server)).items.length, 2)
})

t.test('a run whose window ends in the future is refused', async t => {
  const server = await testApp(t, { nowMs })

  const res = await run(server, '2026-03-10T13:00:00Z')

  t.equal(res.statusCode, 409)
  t.match(res.json(), { status: 409, title: 'Conflict', detail: /future/ })
})

const BAD_RUNS = [
  { what: 'no time', payload: {}, status: 400 },
  { what: 'a time that is none', payload: { scheduled_time: 'soon' }, status: 400 },
  { what: 'an unknown member', payload: { scheduled_time: 1773144000, force: true }, status: 400 },
]
t.test('bad runs are refused with a problem', async t => {
  const server = await testApp(t, { nowMs })
  for (const { what, payload, status } of BAD_RUNS) {
    const res = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/runs`, headers: bearer, payload })
    t.equal(res.statusCode, status, what)
    t.match(res.headers['content-type'], /^application\/problem\+json/)
    t.match(res.json(), { type: /^\/problems\//, status, request_id: /.+/ })
  }
  const unknown = await server.app.inject({ method: 'POST', url: '/api/v1/detections/nothing/runs', headers: bearer, payload: { scheduled_time: 1773144000 } })
  t.equal(unknown.statusCode, 404)
})

t.test('times are taken as epoch seconds, RFC 3339 and time modifiers', async t => {
  const server = await testApp(t, { nowMs })
  for (const time of [1773144000, '1773144000', '2026-03-10T12:00:00Z', '2026-03-10T13:00:00+01:00', '-30m', '@h']) {
    t.equal((await run(server, time)).json().scheduled_time, '2026-03-10T12:00:00.000Z', String(time))
  }
})

t.test('a viewer reads and previews, and runs nothing', async t => {
  const server = await testApp(t, { nowMs })
  const viewer = { authorization: `Bearer ${VIEWER_KEY}` }

  t.equal((await run(server, '2026-03-10T12:00:00Z', viewer)).statusCode, 403)
  t.equal((await server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: viewer, payload: { enabled: false } })).statusCode, 403)
  t.equal((await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/preview`, headers: viewer, payload: { scheduled_time: '@h' } })).statusCode, 200)
  t.equal((await server.app.inject({ url: '/api/v1/findings', headers: viewer })).statusCode, 200)
})

t.test('findings are filtered by detection, risk object, score, status and time, and paged newest first', async t => {
  const server = await testApp(t, { nowMs })
  const events = ['11:05', '11:15', '11:25'].flatMap((time, i) => G01.events.map(event => ({
    ...event,
    time: `2026-03-10T${time}:10.000Z`,
    process_exec: JSON.parse(JSON.stringify(event.process_exec).replace('web-7d4b9-x2x', `pod-${i}`)) as object,
  })))
  await post(server, events.map(event => toEnvelope(event)).join(''))
  await run(server, '2026-03-10T12:00:00Z')
  const names = async (query: string) => (await findings(server, query)).items.map((item: { result: { pod_name: string } }) => item.result.pod_name)

  t.strictSame(await names(''), ['pod-2', 'pod-1', 'pod-0'])
  t.strictSame(await names('?risk_object=pod-1'), ['pod-1'])
  t.strictSame(await names(`?detection=${LITERAL}&min_score=70&status=new`), ['pod-2', 'pod-1', 'pod-0'])
  t.strictSame(await names('?min_score=71'), [])
  t.strictSame(await names('?status=closed'), [])
  t.strictSame(await names('?earliest=2026-03-10T11:15:00Z&latest=2026-03-10T11:25:00Z'), ['pod-1'], 'earliest inclusive, latest exclusive')
  const first = await findings(server, '?limit=2&count=exact')
  t.strictSame([first.items.length, first.total, first.earliest], [2, 3, '0000-01-01T00:00:00.000Z'])
  const second = await findings(server, `?limit=2&cursor=${first.next_cursor}`)
  t.strictSame([second.items.length, second.next_cursor], [1, null])
  t.equal((await server.app.inject({ url: '/api/v1/findings?cursor=nonsense', headers: bearer })).statusCode, 400)
  t.equal((await server.app.inject({ url: '/api/v1/findings?limit=0', headers: bearer })).statusCode, 400)
  t.equal((await server.app.inject({ url: '/api/v1/findings/none', headers: bearer })).statusCode, 404)
})

t.test('a run says what its rows do not show', async t => {
  const search = 'sourcetype=st | where match(tool, "(?=(a+)+$)") OR tool="mount" | table pod user tool'
  const server = await testApp(t, { nowMs, files: detectionsOf(t, { 'a_rule.yml': GENERATIONS[2025].replace(/search: .*\n/, `search: |\n  ${search}\n`) }) })
  await sendTools(server)
  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: `${'a'.repeat(5_000)}!` } })

  const warnings = ['A text took too many steps for the regular expression "(?=(a+)+$)", and counts as no match']
  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1, warnings }, 'one hostile event does not blind the detection')
  t.match((await get(server, 'detections/a_rule/runs')).items, [{ warnings }])
})
