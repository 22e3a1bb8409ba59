import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadDetectionFiles } from '../../src/detect/load.js'
import { bearer, testApp } from '../fixtures/app.js'
import { detectionsOf, folderOf, GENERATIONS, get, NOON, runAt, sendTools } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025]
const nowMs = Date.parse('2026-03-10T12:30:00Z')

t.test('a file of each generation, and a stanza, give the same detection and the same finding', async t => {
  const seen: { form: string, detection: object, finding: object }[] = []
  for (const [form, text] of Object.entries(GENERATIONS)) {
    const server = await testApp(t, { nowMs, files: detectionsOf(t, { [form.endsWith('.conf') ? form : 'a_rule.yml']: text }) })
    await sendTools(server)
    t.match(await runAt(server, 'a_rule'), { status: 'succeeded', findings: { created: 1 } }, form)

    const { uuid, version, type, risk, mitre_attack: mitre, analytic_story: story, enabled, schedule, errors, warnings } = await get(server, 'detections/a_rule')
    const { items: [{ id, risk: findingRisk, severity, result, mitre_attack: techniques }] } = await get(server, 'findings')
    seen.push({
      form,
      detection: { uuid, version, type, risk, mitre, story, enabled, schedule, errors, warnings },
      finding: { id, risk: findingRisk, severity, result, techniques },
    })
  }

  t.match(seen[0]!.finding, {
    risk: {
      score: 72,
      message: 'root ran [mount\nnsenter] in web-1',
      objects: [{ field: 'pod', type: 'system', value: 'web-1', score: 72 }, { field: 'user', type: 'user', value: 'root', score: 72 }],
      threat_objects: [{ field: 'tool', type: 'process_name', value: 'mount' }, { field: 'tool', type: 'process_name', value: 'nsenter' }],
    },
    severity: 'high',
    techniques: ['T1611'],
  })
  t.match(seen[0]!.detection, { enabled: true, story: ['A story'], errors: [], warnings: [], schedule: { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' } })
  for (const { form, detection, finding } of seen.slice(1)) {
    t.strictSame(detection, seen[0]!.detection, form)
    t.strictSame(finding, seen[0]!.finding, form)
  }
})

t.test('an entity with a message of its own keeps it', async t => {
  const text = GENERATIONS[2026].replace("message: '$user$ ran [$tool$] in $pod$'", 'message: $user$ was active')
  const server = await testApp(t, { nowMs, files: detectionsOf(t, { 'a_rule.yml': text }) })
  await sendTools(server)
  await runAt(server, 'a_rule')

  const { items: [{ risk }] } = await get(server, 'findings')

  t.equal(risk.message, 'root ran [mount\nnsenter] in web-1', 'the title of the finding is the message of the whole')
  t.strictSame(risk.objects.map(({ message }: { message?: string }) => message), [undefined, 'root was active'])
})

t.test('an Anomaly of 2026 has its first entity\'s message', async t => {
  const text = GENERATIONS[2026].replace('type: TTP', 'type: Anomaly').replace(/finding:\n {2}title.*\n {2}entity.*\n/, '')
  const server = await testApp(t, { nowMs, files: detectionsOf(t, { 'a_rule.yml': text }) })
  await sendTools(server)
  await runAt(server, 'a_rule')

  t.match((await get(server, 'findings')).items, [{ risk: { message: 'root ran [mount\nnsenter] in web-1', objects: [{ field: 'user' }] } }])
})

t.test('a Hunting search is not enabled; it has previews and runs, and no findings', async t => {
  const text = RULE.replace('type: TTP', 'type: Hunting').replace(/rba:[^]*(?=tags:)/, '')
  const server = await testApp(t, { nowMs, files: detectionsOf(t, { 'a_rule.yml': text }) })
  await sendTools(server)

  t.match(await get(server, 'detections/a_rule'), { type: 'Hunting', enabled: false, risk: null, errors: [], warnings: [] })
  const preview = await server.app.inject({ method: 'POST', url: '/api/v1/detections/a_rule/preview', headers: bearer, payload: { scheduled_time: NOON } })
  t.match(preview.json().rows, [{ pod: 'web-1', count: 2 }])
  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1, findings: { created: 0, revised: 0, unchanged: 0 } })
  t.strictSame((await get(server, 'findings')).items, [])
})

t.test('a Correlation is refused by name, also with the score of 0 that its kind has', async t => {
  for (const [form, text] of Object.entries(GENERATIONS)) {
    const isConf = form.endsWith('.conf')
    const correlation = text.replaceAll('TTP', 'Correlation').replace('entity: { field: pod, type: system, score: 72 }', 'entity: { field: pod, type: system, score: 0 }')
    const { app } = await testApp(t, { files: detectionsOf(t, { [isConf ? form : 'a_rule.yml']: correlation }) })

    const shown = await get({ app }, 'detections/a_rule')

    t.match(shown, { name: isConf ? 'a_rule' : 'A rule', type: 'Correlation', definition: null, errors: [{ message: /Correlation is not supported/ }] }, form)
    t.equal(shown.errors.length, 1)
  }
})

/** Observables of 2024, and what they are since. */
const OBSERVABLES = [
  { type: 'User', role: 'Victim', risk: 'user' },
  { type: 'User Name', role: 'Victim', risk: 'user' },
  { type: 'Email Address', role: 'Victim', risk: 'user' },
  { type: 'Hostname', role: 'Victim', risk: 'system' },
  { type: 'Endpoint', role: 'Victim', risk: 'system' },
  { type: 'IP Address', role: 'Victim', risk: 'system' },
  { type: 'Process', role: 'Victim', risk: 'other' },
  { type: 'Process', role: 'Target', risk: 'other' },
  { type: 'Process', role: 'Parent Process', risk: 'other' },
  { type: 'Process', role: 'Attacker', threat: 'process' },
  { type: 'Process Name', role: 'Attacker', threat: 'process_name' },
  { type: 'File', role: 'Attacker', threat: 'file_name' },
  { type: 'File Name', role: 'Attacker', threat: 'file_name' },
  { type: 'File Hash', role: 'Attacker', threat: 'file_hash' },
  { type: 'IP Address', role: 'Attacker', threat: 'ip_address' },
  { type: 'URL String', role: 'Attacker', threat: 'url' },
  { type: 'Email Address', role: 'Attacker', threat: 'email_address' },
  { type: 'Geo Location', role: 'Attacker', risk: 'other' },
]
t.test('observables are risk objects and threat objects', async t => {
  for (const { type, role, risk, threat } of OBSERVABLES) {
    const text = GENERATIONS[2024].replace('type: Hostname, role: [Victim]', `type: ${type}, role: [${role}]`)
    const [loaded] = detectionsOf(t, { 'a_rule.yml': text })
    const { risk_objects: objects, threat_objects: threats } = loaded!.detection!.risk!
    t.equal(objects.find(({ field }) => field === 'pod')?.type, risk, `${type}, ${role}`)
    t.equal(threats.find(({ field }) => field === 'pod')?.type, threat, `${type}, ${role}`)
  }
})

t.test('without risk_score the score of 2024 is impact times confidence', async t => {
  const [loaded] = detectionsOf(t, { 'a_rule.yml': GENERATIONS[2024].replace(/ +risk_score.*\n/, '').replace('impact: 80', 'impact: 75') })
  t.equal(loaded!.detection!.risk!.risk_objects[0]!.score, 68)
})

t.test('statuses are read, and a deprecated detection runs', async t => {
  for (const status of ['production', 'experimental', 'deprecated']) {
    const { app } = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': RULE.replace('experimental', status) }) })
    t.match(await get({ app }, 'detections/a_rule'), { status, enabled: true, errors: [] })
  }
})

t.test('a schedule in the file is its default, below the configuration and the API', async t => {
  const text = RULE + 'deployment: { scheduling: { cron_schedule: "*/30 * * * *", earliest_time: -40m@m, latest_time: -10m@m, schedule_window: auto } }\n'
  const { app } = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': text }), overrides: { a_rule: { earliest: '-45m@m' } } })

  t.match(await get({ app }, 'detections/a_rule'), {
    schedule: { cron: '*/30 * * * *', earliest: '-45m@m', latest: '-10m@m' },
    origins: { enabled: 'file', cron: 'file', earliest: 'config', latest: 'file' },
  })
})

const REFUSED = [
  { what: 'a score above 100', text: RULE.replace('score: 72', 'score: 101'), message: /^rba\.risk_objects\.0\.score: /, line: 15, column: 42 },
  { what: 'a score of 0', text: RULE.replace('score: 72', 'score: 0'), message: /^rba\.risk_objects\.0\.score: / },
  { what: 'a type of risk object that is none', text: RULE.replace('type: system', 'type: host'), message: /^rba\.risk_objects\.0\.type: .*system/ },
  { what: 'a type of threat object that is none', text: RULE.replace('type: process_name', 'type: tool'), message: /^rba\.threat_objects\.0\.type: .*process_name/ },
  { what: 'a score of 2024 that is none', text: GENERATIONS[2024].replace('risk_score: 72', 'risk_score: 0'), message: /^tags\.risk_score: expected a score from 1 to 100, found 0$/, line: 15 },
  { what: 'a message of 2024 about nobody', text: GENERATIONS[2024].replace(/ {2}observable:\n(?: {4}.*\n)+/, ''), message: /^tags\.message: expected tags\.observable/ },
  { what: 'an Anomaly with a finding', text: GENERATIONS[2026].replace('type: TTP', 'type: Anomaly'), message: /^finding: only a TTP/, line: 12 },
  { what: 'an entity without a message', text: GENERATIONS[2026].replace(/, message: '.*'/, ''), message: /^intermediate_findings\.entities\.0\.message: / },
  { what: 'a type that is none', text: RULE.replace('type: TTP', 'type: Baseline'), message: /^type: .*TTP/, line: 7 },
  { what: 'a status that is none', text: RULE.replace('experimental', 'great'), message: /^status: / },
]
for (const { what, text, message, line, column } of REFUSED) {
  t.test(`${what} is refused`, async t => {
    const [error] = detectionsOf(t, { 'a_rule.yml': text })[0]!.errors
    t.match(error?.message, message)
    if (line !== undefined) t.equal(error?.line, line)
    if (column !== undefined) t.equal(error?.column, column)
  })
}

t.test('a file that can not be read is an error, and the others run', async t => {
  const dir = folderOf(t, { 'a_rule.yml': RULE, 'large.yml': '#'.repeat(1 << 21) })
  symlinkSync('nowhere', join(dir, 'broken.yml'))

  t.match(loadDetectionFiles({ shipped: [], paths: [dir] }), [
    { id: 'a_rule', errors: [] },
    { id: 'broken', detection: null, errors: [{ line: 1, message: /ENOENT/ }] },
    { id: 'large', detection: null, errors: [{ message: /^the file is larger than 1048576 bytes$/ }] },
  ])
})

t.test('any UUID will do', async t => {
  const [loaded] = detectionsOf(t, { 'a_rule.yml': RULE.replace('4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f60', '12345678-ABCD-1234-ef00-1234567890ab') })
  t.equal(loaded!.detection!.uuid, '12345678-abcd-1234-ef00-1234567890ab')
})

/** Ways to write a search in YAML, each with an error at the word `nonsense`. */
const WRITTEN = [
  { style: 'plain', yaml: 'search: sourcetype=st | nonsense x\n' },
  { style: 'plain over lines', yaml: 'search: sourcetype=st\n  | eval a=1\n\n  | nonsense x\n' },
  { style: 'a literal block', yaml: 'search: |-\n    sourcetype=st\n\n      | eval a=1\n    | nonsense x\n' },
  { style: 'a folded block', yaml: 'search: >-\n  sourcetype=st\n  | eval a=1\n  | nonsense x\n' },
  { style: 'single quotes', yaml: "search: 'sourcetype=''st''\n\n  | eval a=1\n  | nonsense x'\n" },
  { style: 'double quotes', yaml: 'search: "sourcetype=\\"st\\" \\\n  a=\\u00e9\\x41\\n | eval a=1\n\n  | nonsense x"\n' },
]
for (const { style, yaml } of WRITTEN) {
  t.test(`an error in a search in ${style} is shown where it stands in the file`, async t => {
    const text = RULE.replace(/search: .*\n/, yaml.replaceAll('$', '$$$$'))
    const { app } = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': text }) })
    const before = text.slice(0, text.indexOf('nonsense')).split('\n')

    const { errors: [{ line, column, message }] } = await get({ app }, 'detections/a_rule')

    t.match(message, /^search: \d+:\d+: The command "nonsense" isn't supported/)
    t.strictSame([line, column], [before.length, before.at(-1)!.length + 1])
  })
}

t.test('folders are read with their subfolders, and two detections of one name are an error', async t => {
  const dir = folderOf(t, { 'one/a_rule.yml': RULE, 'two/a_rule.yaml': RULE, 'two/notes.txt': 'none', 'three/savedsearches.conf': '[A-rule]\nsearch = a=1\n' })
  t.match(loadDetectionFiles({ shipped: [], paths: [dir] }), [{
    id: 'a_rule',
    file: join(dir, 'one/a_rule.yml'),
    errors: [{ message: `${join(dir, 'three/savedsearches.conf')} has the same name` }, { message: `${join(dir, 'two/a_rule.yaml')} has the same name` }],
  }])
})
