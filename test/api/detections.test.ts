import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadDetectionFiles } from '../../src/detect/load.js'
import { bearer, post, tempDir, testApp } from '../fixtures/app.js'
import { INTENT, LITERAL } from '../fixtures/golden.js'

const RULE = `name: A rule
id: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f60
version: 3
type: TTP
search: sourcetype=st | stats count BY host | where count >= 2 | table host count
rba:
  message: $host$ was noisy ($count$ of $nothing$)
  risk_objects: [{ field: host, type: system, score: 40 }]
tags: { mitre_attack_id: [T1000] }
`

/** Detections from files of these texts, by name. */
function filesOf (t: Parameters<typeof tempDir>[0], texts: Record<string, string>) {
  const dir = tempDir(t)
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(dir, name), text)
  return loadDetectionFiles({ shipped: [], paths: [dir] })
}

t.test('the shipped detections are listed with their schedule, and where each setting comes from', async t => {
  const { app, ledger } = await testApp(t)
  ledger.complete(Date.parse('2026-03-10T12:01:00Z'))

  const { items, next_cursor: next } = (await app.inject({ url: '/api/v1/detections', headers: bearer })).json()

  t.strictSame(items.map(({ id, enabled }: { id: string, enabled: boolean }) => [id, enabled]), [
    [LITERAL, true],
    ['hecate___cloud_metadata_access', true],
    ['hecate___cron_job_in_a_pod', true],
    ['hecate___curl_with_insecure_flags', true],
    ['hecate___image_outside_the_allow_list', false],
    ['hecate___kprobe_spike', true],
    ['hecate___late_process_execution', false],
    ['hecate___nsenter_in_a_pod', true],
    ['hecate___offensive_tools', true],
    [INTENT, false],
    ['hecate___service_account_token_read', true],
    ['hecate___shell_in_a_container', true],
  ])
  t.equal(next, null)
  t.match(items[0], {
    schedule: { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' },
    origins: { enabled: 'file', cron: 'default', earliest: 'default', latest: 'default' },
    next_run: '2026-03-10T13:00:00.000Z',
    mitre_attack: ['T1611'],
    errors: [],
  })
  t.equal(items.find(({ id }: { id: string }) => id === INTENT).next_run, null)
})

t.test('a detection is found by its id and by its UUID', async t => {
  const { app } = await testApp(t)
  const one = (await app.inject({ url: `/api/v1/detections/${LITERAL}`, headers: bearer })).json()

  t.strictSame((await app.inject({ url: `/api/v1/detections/${one.uuid.toUpperCase()}`, headers: bearer })).json(), one)
  t.equal((await app.inject({ url: '/api/v1/detections/none', headers: bearer })).statusCode, 404)
})

t.test('what the configuration sets, the API can not change', async t => {
  const { app } = await testApp(t, { overrides: { [LITERAL]: { enabled: false, cron: '5 * * * *' } } })
  const patch = (payload: object) => app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: bearer, payload })

  const refused = await patch({ enabled: true })
  const cron = await patch({ schedule: { cron: '0 * * * *' } })
  const taken = await patch({ schedule: { earliest: '-2h@h', latest: '-1h@h' } })

  t.equal(refused.statusCode, 409)
  t.match(refused.json().detail, `detections.overrides.${LITERAL}.enabled`)
  t.equal(cron.statusCode, 409)
  t.match(taken.json(), {
    enabled: false,
    schedule: { cron: '5 * * * *', earliest: '-2h@h', latest: '-1h@h' },
    origins: { enabled: 'config', cron: 'config', earliest: 'api', latest: 'api' },
  })
})

t.test('a schedule that is none is refused and nothing changes', async t => {
  const { app } = await testApp(t)
  const url = `/api/v1/detections/${LITERAL}`
  const before = (await app.inject({ url, headers: bearer })).json()
  for (const schedule of [{ cron: '* * *' }, { cron: '0 0 31 2 *' }, { earliest: 'soon' }, { earliest: '-5m', latest: '-10m' }]) {
    const res = await app.inject({ method: 'PATCH', url, headers: bearer, payload: { schedule } })
    t.equal(res.statusCode, 400, JSON.stringify(schedule))
  }
  t.strictSame((await app.inject({ url, headers: bearer })).json(), before)
})

t.test('settings of the API outlive a restart', async t => {
  const dataDir = tempDir(t)
  const before = await testApp(t, { dataDir })
  await before.app.inject({ method: 'PATCH', url: `/api/v1/detections/${INTENT}`, headers: bearer, payload: { enabled: true } })
  await before.close()

  const after = await testApp(t, { dataDir })

  t.match((await after.app.inject({ url: `/api/v1/detections/${INTENT}`, headers: bearer })).json(), { enabled: true, origins: { enabled: 'api' } })
})

t.test('a file of one\'s own runs: message with an unknown field left as it is, no BY time, so the slot is part of the finding', async t => {
  const server = await testApp(t, { files: filesOf(t, { 'a_rule.yml': RULE }), nowMs: Date.parse('2026-03-10T12:30:00Z') })
  await post(server, '{"time":1773140700,"sourcetype":"st","event":"x"}'.repeat(3))
  const run = (time: string) => server.app.inject({ method: 'POST', url: '/api/v1/detections/a_rule/runs', headers: bearer, payload: { scheduled_time: time } })

  t.strictSame((await run('2026-03-10T12:00:00Z')).json().findings, { created: 1, revised: 0, unchanged: 0 })
  t.strictSame((await run('2026-03-10T12:01:00Z')).json().findings, { created: 1, revised: 0, unchanged: 0 })

  const { items } = (await server.app.inject({ url: '/api/v1/findings', headers: bearer })).json()
  t.match(items[0], {
    detection: { id: 'a_rule', version: 3 },
    time: Date.parse('2026-03-10T12:01:00Z') / 1000,
    result: { host: '127.0.0.1', count: 3 },
    severity: 'low',
    risk: { score: 40, message: '127.0.0.1 was noisy (3 of $nothing$)', threat_objects: [] },
  })
})

t.test('a search that gives events gives one finding per event, whichever window it is seen in', async t => {
  const search = RULE.replace(/search: .*/, 'search: sourcetype=st level=high | table _time host level')
  const server = await testApp(t, { files: filesOf(t, { 'events.yml': search }), nowMs: Date.parse('2026-03-10T12:30:00Z') })
  await post(server, '{"time":1773140700,"sourcetype":"st","event":{"level":"high"}}'.repeat(2) + '{"time":1773140700,"sourcetype":"st","event":{"level":"low"}}')
  const run = (time: string) => server.app.inject({ method: 'POST', url: '/api/v1/detections/events/runs', headers: bearer, payload: { scheduled_time: time } })

  t.strictSame((await run('2026-03-10T12:00:00Z')).json().findings, { created: 2, revised: 0, unchanged: 0 })
  t.strictSame((await run('2026-03-10T12:01:00Z')).json().findings, { created: 0, revised: 0, unchanged: 2 })
  const { items: [{ id }] } = (await server.app.inject({ url: '/api/v1/findings', headers: bearer })).json()
  const { evidence } = (await server.app.inject({ url: `/api/v1/findings/${id}`, headers: bearer })).json()
  t.match(evidence, { event_count: 1, approximate: false, events: [{ event: { level: 'high' } }] })
})

const BROKEN = [
  { what: 'no YAML', text: 'name: [', message: /.+/, line: 1 },
  { what: 'no mapping', text: '- a\n', message: /file: / },
  { what: 'a missing key', text: RULE.replace(/^id:.*\n/m, ''), message: /^id: / },
  { what: 'a wrong type', text: RULE.replace('version: 3', 'version: three'), message: /^version: /, line: 3 },
  { what: 'a search that can not run', text: RULE.replace('| stats count BY host', '| transaction host'), message: /^search: 1:17: .*transaction/, line: 5 },
  { what: 'an unknown macro', text: RULE.replace('search: sourcetype=st', 'search: index=main `nothing`'), message: /^search: 1:12: .*nothing/, line: 5 },
  { what: 'a file that unfolds', text: `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(50)}]\nc: [${'*b,'.repeat(50)}]\n${RULE}`, message: /alias/i },
]
for (const { what, text, message, line } of BROKEN) {
  t.test(`a file with ${what} is listed with its error, and the others run`, async t => {
    const { app } = await testApp(t, { files: filesOf(t, { 'bad.yml': text, 'good.yml': RULE }) })

    const bad = (await app.inject({ url: '/api/v1/detections/bad', headers: bearer })).json()

    t.match(bad.errors[0].message, message)
    if (line !== undefined) t.equal(bad.errors[0].line, line)
    t.equal(bad.definition, null)
    t.strictSame((await app.inject({ url: '/api/v1/detections/good', headers: bearer })).json().errors, [])
    const preview = await app.inject({ method: 'POST', url: '/api/v1/detections/bad/preview', headers: bearer, payload: { scheduled_time: 'now' } })
    t.equal(preview.statusCode, 400)
  })
}

t.test('two files of one name in the given paths are an error; a shipped one gives way', async t => {
  const one = tempDir(t)
  const two = tempDir(t)
  for (const dir of [one, two]) writeFileSync(join(dir, 'same.yml'), RULE)

  t.match(loadDetectionFiles({ shipped: [], paths: [one, two] }), [{ id: 'same', errors: [{ message: /has the same name/ }] }])
  t.match(loadDetectionFiles({ shipped: [one], paths: [two] }), [{ file: join(two, 'same.yml'), errors: [] }])
})
