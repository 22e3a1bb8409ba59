import { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import { hashOf } from '../../src/detect/definition.js'
import { openDetectMetrics } from '../../src/detect/metrics.js'
import { Definition } from '../../src/detection.js'
import type { Finding } from '../../src/finding.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { bearer, post, tempDir, testApp } from '../fixtures/app.js'
import { detectionsOf, GENERATIONS, get, runAt } from '../fixtures/rules.js'

const ID = 'a_rule'
const at = (time: string) => Date.parse(`2026-03-10T${time}Z`)

/** Each slot looks at the day before it, so what happened once is found again at every slot. */
const SEARCH = 'sourcetype=st | stats count BY pod tool | sort 0 pod tool'

interface Suppression { readonly period?: string, readonly fields?: string, readonly digest?: 0 | 1, readonly search?: string, readonly earliest?: string, readonly latest?: string }

function stanza ({ period = '3600s', fields = 'pod', digest = 1, search = SEARCH, earliest = '-1d', latest = 'now' }: Suppression = {}): string {
  return `[${ID}]
search = ${search}
cron_schedule = 0 * * * *
dispatch.earliest_time = ${earliest}
dispatch.latest_time = ${latest}
action.risk.param._risk_message = $tool$ in $pod$
action.risk.param._risk = [{"risk_object_field": "pod", "risk_object_type": "system", "risk_score": 50}]
alert.suppress = 1
alert.suppress.fields = ${fields}
alert.suppress.period = ${period}
alert.digest_mode = ${digest}
`
}

/** A server of one detection, late enough that every slot of the day can be run. */
function serverOf (t: Test, suppression: Suppression = {}, options: TestAppOptions = {}) {
  return testApp(t, { nowMs: at('23:59:00'), files: detectionsOf(t, { 'savedsearches.conf': stanza(suppression) }), ...options })
}

async function happen (server: TestApp, time: string, ...events: readonly object[]): Promise<void> {
  const envelopes = events.map(event => JSON.stringify({ time: at(time) / 1000, sourcetype: 'st', event }))
  t.equal((await post(server, envelopes.join(''))).statusCode, 200)
}

async function run (server: TestApp, ...times: readonly string[]): Promise<void> {
  for (const time of times) t.match(await runAt(server, ID, `2026-03-10T${time}Z`), { status: 'succeeded' })
}

async function list (server: TestApp, query = ''): Promise<Finding[]> {
  return (await get(server, `findings?earliest=0&latest=2000000000${query}`)).items
}

/** The slots, with the values of the findings that fired there; their results have `pod` and `tool`. */
function tell (findings: readonly Finding[]): string[] {
  return findings.map(({ time, result }) => {
    const { pod, tool } = result as { pod?: string, tool?: string }
    return `${new Date(time * 1000).toISOString().slice(11, 19)} ${pod} ${tool}`
  }).sort()
}

t.test('in digest mode the rows of a run fire together, and throttle those of the next', async t => {
  const server = await serverOf(t)
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' }, { pod: 'a', tool: 'ps' })
  const first = await runAt(server, ID, '2026-03-10T09:00:00Z')
  await happen(server, '09:10:00', { pod: 'b', tool: 'ls' })

  const second = await runAt(server, ID, '2026-03-10T09:30:00Z')

  t.strictSame(first.findings, { created: 2, revised: 0, unchanged: 0 })
  t.strictSame(second.findings, { created: 1, throttled: 2, revised: 0, unchanged: 0 })
  const fired = await list(server)
  t.strictSame(tell(fired), ['09:00:00 a ls', '09:00:00 a ps', '09:30:00 b ls'])
  t.ok(fired.every(one => one.throttled_by === null))
  t.strictSame(tell(await list(server, '&throttled=include')), ['09:00:00 a ls', '09:00:00 a ps', '09:30:00 a ls', '09:30:00 a ps', '09:30:00 b ls'])
  const throttled = await list(server, '&throttled=only&risk_object=a')
  t.strictSame(tell(throttled), ['09:30:00 a ls', '09:30:00 a ps'])
  const shown = await get(server, `findings/${throttled[0]!.id}`)
  t.ok(fired.some(({ id, result }) => id === shown.throttled_by && (result as { pod: string }).pod === 'a'))
  t.equal(shown.evidence.event_count, 1, 'it keeps its events all the same')
  t.equal((await get(server, 'findings?earliest=0&count=exact')).total, 3)
  t.equal((await get(server, 'findings?earliest=0&count=exact&throttled=include')).total, 5)
  t.equal((await server.app.inject({ url: '/api/v1/findings?throttled=no', headers: bearer })).statusCode, 400)
  const { items: runs } = await get(server, `detections/${ID}/runs`)
  t.strictSame(runs.map((one: { findings: { throttled?: number } }) => one.findings.throttled).sort(), [2, undefined])
})

t.test('in per-result mode a row throttles those behind it, and late ones of its own slot', async t => {
  const server = await serverOf(t, { digest: 0 })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' }, { pod: 'a', tool: 'ps' }, { pod: 'b', tool: 'ps' })
  await run(server, '09:00:00')
  await happen(server, '08:30:00', { pod: 'a', tool: 'cp' }, { pod: 'c', tool: 'cp' })

  await run(server, '09:00:00')

  t.strictSame(tell(await list(server)), ['09:00:00 a ls', '09:00:00 b ps', '09:00:00 c cp'])
  t.strictSame(tell(await list(server, '&throttled=only')), ['09:00:00 a cp', '09:00:00 a ps'])
})

t.test('in digest mode a late row fires as it would have in time, with the others of its slot', async t => {
  const server = await serverOf(t)
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })
  await run(server, '09:00:00')
  await happen(server, '08:30:00', { pod: 'a', tool: 'ps' })

  await run(server, '09:00:00', '09:30:00')

  t.strictSame(tell(await list(server)), ['09:00:00 a ls', '09:00:00 a ps'])
})

t.test('in digest mode without fields a firing mutes the whole detection', async t => {
  const server = await serverOf(t, { fields: '' })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' }, { pod: 'b', tool: 'ls' })
  await run(server, '09:00:00')
  await happen(server, '09:10:00', { pod: 'c', tool: 'ls' })

  await run(server, '09:30:00', '10:00:00')

  t.strictSame(tell(await list(server)), ['09:00:00 a ls', '09:00:00 b ls', '10:00:00 a ls', '10:00:00 b ls', '10:00:00 c ls'])
  t.equal((await list(server, '&throttled=only')).length, 3)
})

const PERIODS = [
  { period: '90', last: '09:01:29', next: '09:01:30' },
  { period: '3600s', last: '09:59:59', next: '10:00:00' },
  { period: '60m', last: '09:59:59', next: '10:00:00' },
  { period: '2h', last: '10:59:59', next: '11:00:00' },
] as const
for (const { period, last, next } of PERIODS) {
  for (const digest of [1, 0] as const) {
    t.test(`a period of ${period} is over to the second, counted from the firing (digest ${digest})`, async t => {
      const server = await serverOf(t, { period, digest })
      await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })

      await run(server, '09:00:00', last, next)

      t.strictSame(tell(await list(server)), ['09:00:00 a ls', `${next} a ls`])
      t.strictSame(tell(await list(server, '&throttled=only')), [`${last} a ls`])
    })
  }
}

t.test('what is throttled throttles nothing', async t => {
  const server = await serverOf(t, { period: '2h' })
  await happen(server, '07:00:00', { pod: 'a', tool: 'ls' })

  await run(server, '08:00:00', '09:00:00', '10:00:00', '11:00:00', '12:00:00')

  t.strictSame(tell(await list(server)), ['08:00:00 a ls', '10:00:00 a ls', '12:00:00 a ls'])
  const fired = new Map((await list(server)).map(one => [one.id, tell([one])[0]]))
  t.strictSame((await list(server, '&throttled=only')).map(one => [tell([one])[0], fired.get(one.throttled_by!)]).sort(), [
    ['09:00:00 a ls', '08:00:00 a ls'],
    ['11:00:00 a ls', '10:00:00 a ls'],
  ])
})

/** Two results of one slot in per-result mode, and whether the first throttles the second. */
const VALUES: readonly { what: string, eval: string, isThrottled: boolean }[] = [
  { what: 'a number and its text', eval: 'if(tool="1", 42, "42")', isThrottled: true },
  { what: 'texts of other case', eval: 'if(tool="1", "a", "A")', isThrottled: false },
  { what: 'no value twice', eval: 'null()', isThrottled: true },
  { what: 'no value and the empty text', eval: 'if(tool="1", null(), "")', isThrottled: false },
  { what: 'no value and the text of it', eval: 'if(tool="1", null(), "null")', isThrottled: false },
  { what: 'the same values', eval: 'split("a b", " ")', isThrottled: true },
  { what: 'the same values in another order', eval: 'if(tool="1", split("a b", " "), split("b a", " "))', isThrottled: false },
  { what: 'values and a text that looks like them', eval: 'if(tool="1", split("a b", " "), "a b")', isThrottled: false },
]
t.test('values are told apart by their text, a multivalue by its list', async t => {
  for (const { what, eval: expression, isThrottled } of VALUES) {
    const server = await serverOf(t, { digest: 0, fields: 'x', search: `${SEARCH} | eval x=${expression}` })
    await happen(server, '08:00:00', { pod: 'a', tool: '1' }, { pod: 'a', tool: '2' })

    await run(server, '09:00:00')

    t.strictSame(tell(await list(server)), isThrottled ? ['09:00:00 a 1'] : ['09:00:00 a 1', '09:00:00 a 2'], what)
  }
})

t.test('several fields throttle by all of them together', async t => {
  const server = await serverOf(t, { fields: 'pod, tool' })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })
  await run(server, '09:00:00')
  await happen(server, '09:10:00', { pod: 'a', tool: 'ps' }, { pod: 'l', tool: 'as' })

  await run(server, '09:30:00')

  t.strictSame(tell(await list(server)), ['09:00:00 a ls', '09:30:00 a ps', '09:30:00 l as'])
})

t.test('slots that are caught up with give what they would have given in time, but for the one that went before them', async t => {
  const files = detectionsOf(t, { 'savedsearches.conf': stanza({ period: '150m' }) })
  const rounds = async (dataDir: string, times: readonly string[]) => {
    let nowMs = at('06:30:00')
    const server = await testApp(t, { dataDir, now: () => nowMs, files })
    server.ledger.complete(nowMs)
    await happen(server, '06:00:00', { pod: 'a', tool: 'ls' })
    for (const time of times) {
      nowMs = at(time)
      while (await server.ledger.turn(nowMs) <= nowMs);
    }
    return tell(await list(server))
  }

  t.strictSame(await rounds(tempDir(t), ['07:00:00', '08:00:00', '09:00:00', '10:00:00', '11:00:00', '12:00:00']), ['07:00:00 a ls', '10:00:00 a ls'])
  t.strictSame(await rounds(tempDir(t), ['12:10:00']), ['07:00:00 a ls', '10:00:00 a ls', '12:00:00 a ls'], 'the slot of 12:00 has just come due, so it is done first and fires')
})

t.test('a slot is throttled by none that comes after it', async t => {
  const server = await serverOf(t, { period: '2h' })
  await happen(server, '07:00:00', { pod: 'a', tool: 'ls' })

  await run(server, '09:00:00', '08:00:00')

  t.strictSame(tell(await list(server)), ['08:00:00 a ls', '09:00:00 a ls'])
})

t.test('throttling outlives the process', async t => {
  const dataDir = tempDir(t)
  const before = await serverOf(t, {}, { dataDir })
  await happen(before, '08:00:00', { pod: 'a', tool: 'ls' })
  await run(before, '09:00:00')
  await before.close()

  const after = await serverOf(t, {}, { dataDir })
  await run(after, '09:30:00')

  t.strictSame(tell(await list(after)), ['09:00:00 a ls'])
  t.equal((await list(after, '&throttled=only'))[0]!.throttled_by, (await list(after))[0]!.id)
})

t.test('late events revise what is throttled and what has fired, and change neither', async t => {
  const server = await serverOf(t)
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })
  await run(server, '09:00:00', '09:30:00')
  await happen(server, '08:10:00', { pod: 'a', tool: 'ls' })

  const again = [await runAt(server, ID, '2026-03-10T09:00:00Z'), await runAt(server, ID, '2026-03-10T09:30:00Z')]

  t.match(again.map(one => one.findings), Array(2).fill({ created: 0, revised: 1 }))
  const [fired] = await list(server)
  const [throttled] = await list(server, '&throttled=only')
  t.match(fired, { revision: 2, throttled_by: null, result: { count: 2 } })
  t.match(throttled, { revision: 2, throttled_by: fired!.id, result: { count: 2 } })
  await run(server, '10:00:00')
  t.strictSame(tell(await list(server)), ['09:00:00 a ls', '10:00:00 a ls'], 'the period still counts from the first firing')
})

t.test('what late events bring to a slot that was done is throttled by the slots before it', async t => {
  const files = detectionsOf(t, { 'savedsearches.conf': stanza({ period: '2h', earliest: '-70m@m', latest: '-10m@m' }) })
  let nowMs = at('08:30:00')
  const server = await testApp(t, { now: () => nowMs, files })
  server.ledger.complete(nowMs)
  const workAt = async (time: string) => {
    nowMs = at(time)
    await server.sweep(nowMs)
    while (await server.ledger.turn(nowMs) <= nowMs);
  }
  await happen(server, '08:55:00', { pod: 'a', tool: 'ls' })
  await workAt('10:00:01')
  await workAt('11:00:01')
  await happen(server, '09:55:00', { pod: 'a', tool: 'ls' }, { pod: 'b', tool: 'ls' })

  await workAt('11:05:00')
  await workAt('11:20:00')

  t.match(server.ledgerStore.slot(ID, at('11:00:00')), { state: 'done', late_runs: 1 })
  t.strictSame(tell(await list(server)), ['10:00:00 a ls', '11:00:00 b ls'])
  t.strictSame(tell(await list(server, '&throttled=only')), ['11:00:00 a ls'])
})

t.test('what was throttled stays so when the finding that fired is gone', async t => {
  const server = await serverOf(t, { search: `${SEARCH} | where count < 2` })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })
  await run(server, '09:00:00', '09:30:00')
  await happen(server, '08:10:00', { pod: 'a', tool: 'ls' })

  await run(server, '09:00:00')

  t.match(await list(server), [{ change: { row: 'gone' } }])
  t.match(await list(server, '&throttled=only'), [{ revision: 1 }])
})

t.test('an event that is found at every slot fires once, throttled or not', async t => {
  const server = await serverOf(t, { search: 'sourcetype=st | table _time pod tool' })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' })

  await run(server, '09:00:00', '10:00:00', '11:00:00')

  t.equal((await list(server, '&throttled=include')).length, 1)
  t.match(await list(server), [{ revision: 1 }])
})

t.test('another detection throttles nothing, and neither do other fields', async t => {
  const both = stanza() + stanza().replace(`[${ID}]`, '[another]')
  const dataDir = tempDir(t)
  const server = await testApp(t, { dataDir, nowMs: at('23:59:00'), files: detectionsOf(t, { 'savedsearches.conf': both }) })
  await happen(server, '08:00:00', { pod: 'a', tool: 'a' })
  await run(server, '09:00:00')

  t.match(await runAt(server, 'another', '2026-03-10T09:10:00Z'), { findings: { created: 1, throttled: undefined } })

  await server.close()
  const edited = await serverOf(t, { fields: 'tool' }, { dataDir })
  t.match(await runAt(edited, ID, '2026-03-10T09:20:00Z'), { findings: { created: 1, throttled: undefined } })
})

t.test('throttled findings are counted by detection', async t => {
  const server = await serverOf(t)
  const registry = new Registry()
  const metrics = openDetectMetrics(registry, { ledger: server.ledgerStore, findings: server.findings, suppressions: server.suppressions, now: () => at('23:59:00') })
  await happen(server, '08:00:00', { pod: 'a', tool: 'ls' }, { pod: 'a', tool: 'ps' })
  await run(server, '09:00:00', '09:30:00')
  for (const one of server.findings.runs(ID, 10)) metrics.ran(one, 0)

  const text = await registry.metrics()

  t.match(text, 'hecate_findings_throttled_total{detection="a_rule"} 2\n')
  t.match(text, 'hecate_findings_total{detection="a_rule",change="created"} 2\n')
})

t.test('files of both kinds say the same of throttling', async t => {
  const yaml = `${GENERATIONS[2025]}  throttling:\n    fields: [pod, user, pod]\n    period: 86400s\n`
  const conf = GENERATIONS['savedsearches.conf'].replace('[a_rule]', '[b_rule]') + 'alert.suppress = true\nalert.suppress.period = 1d\nalert.suppress.fields = "pod" user,pod\n'
  const off = GENERATIONS['savedsearches.conf'].replace('[a_rule]', '[c_rule]') + 'alert.suppress = 0\nalert.suppress.period = 1d\nalert.digest_mode = 0\n'
  const server = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': yaml, 'savedsearches.conf': conf + off }) })

  const { items } = await get(server, 'detections')

  const throttling = { fields: ['pod', 'user'], period_seconds: 86_400, mode: 'digest' }
  t.match(items, [
    { id: 'a_rule', throttling, errors: [], warnings: [] },
    { id: 'b_rule', throttling, errors: [], warnings: [] },
    { id: 'c_rule', throttling: null, errors: [], warnings: [] },
  ])
})

/** What follows `throttling: `, and its error. */
const YAML_ERRORS: readonly { text: string, column: number, message: RegExp }[] = [
  { text: '{ fields: [pod], period: 1d }', column: 40, message: /^tags\.throttling\.period: expected a period such as/ },
  { text: '{ fields: [pod], period: "3600" }', column: 40, message: /^tags\.throttling\.period: expected a period such as/ },
  { text: '{ fields: [pod], period: 0s }', column: 40, message: /^tags\.throttling\.period: expected a period such as/ },
  { text: '{ fields: [pod], period: 99999999999999999999h }', column: 40, message: /^tags\.throttling\.period: expected a period such as/ },
  { text: '{ fields: [pod], period: 3600 }', column: 40, message: /^tags\.throttling\.period: .*expected string/ },
  { text: '{ fields: [pod] }', column: 15, message: /^tags\.throttling\.period: / },
  { text: '{ fields: [], period: 1h }', column: 25, message: /^tags\.throttling\.fields: / },
  { text: '{ fields: [pod, host], period: 1h }', column: 31, message: /^tags\.throttling\.fields\.1: host does not occur in the search/ },
  { text: '{ fields: ["p*"], period: 1h }', column: 26, message: /^tags\.throttling\.fields\.0: p\*: wildcards are not supported/ },
  { text: 'yes', column: 15, message: /^tags\.throttling: / },
]
t.test('what is wrong with throttling in a YAML file has its place', async t => {
  for (const { text, column, message } of YAML_ERRORS) {
    const [loaded] = detectionsOf(t, { 'a_rule.yml': `${GENERATIONS[2025]}  throttling: ${text}\n` })
    t.match(loaded!.errors, [{ line: 23, column, message }], text)
    t.equal(loaded!.errors.length, 1, text)
  }
})

/** Settings, and the place and text of the error. */
const CONF_ERRORS: readonly { text: string, line: number, column: number, message: RegExp }[] = [
  { text: 'alert.suppress = 1\nalert.suppress.fields = pod', line: 2, column: 18, message: /^alert\.suppress: expected alert\.suppress\.period beside it/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = ', line: 3, column: 25, message: /^alert\.suppress\.period: expected a period/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = soon', line: 3, column: 25, message: /^alert\.suppress\.period: expected a period/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = -1h', line: 3, column: 25, message: /^alert\.suppress\.period: expected a period/ },
  { text: 'alert.suppress = maybe', line: 2, column: 18, message: /^alert\.suppress: expected 1 or 0/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = 1h\nalert.digest_mode = 0', line: 2, column: 18, message: /^alert\.suppress: expected alert\.suppress\.fields beside it: with alert\.digest_mode = 0/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = 1h\nalert.suppress.fields = ,\nalert.digest_mode = 0', line: 4, column: 25, message: /^alert\.suppress\.fields: expected fields: with alert\.digest_mode = 0/ },
  { text: 'alert.suppress = 1\nalert.suppress.period = 1h\nalert.suppress.fields = pod, u*', line: 4, column: 30, message: /^alert\.suppress\.fields: u\*: wildcards are not supported/ },
]
t.test('what is wrong with throttling in a stanza has its place', async t => {
  for (const { text, line, column, message } of CONF_ERRORS) {
    const [loaded] = detectionsOf(t, { 'savedsearches.conf': `[a_rule]\n${text}\nsearch = sourcetype=st\n` })
    t.match(loaded!.errors, [{ line, column, message }], text)
    t.equal(loaded!.errors.length, 1, text)
  }
})

t.test('a field that rows have not, and a group, have a warning', async t => {
  const text = stanza({ fields: 'host' }) + 'alert.suppress.group_name = g\n'
  const server = await testApp(t, { files: detectionsOf(t, { 'savedsearches.conf': text }) })

  const { errors, warnings } = await get(server, `detections/${ID}`)

  t.strictSame(errors, [])
  t.match(warnings, [
    { line: 12, message: /^alert\.suppress\.group_name: groups are not supported/ },
    { line: 9, column: 1, message: /^findings are throttled by host, which is no field of the search's rows/ },
    { message: /overlap/ },
  ])
})

t.test('a definition without throttling has the hash that it had before there was any', async t => {
  const definition = Definition.parse({
    detection_id: 'x', name: 'x', version: 1, type: 'TTP', search: 'sourcetype=st', schedule: { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' },
    time_zone: 'UTC', risk: null, mitre_attack: [],
  })
  const throttled = (throttling: Definition['throttling']) => hashOf({ ...definition, throttling })

  t.equal(hashOf(definition), '10ec01e2b6304160368ab87cb007718db41839c39e39b8fafd589bf7a50f3f47')
  t.equal(new Set([
    hashOf(definition),
    throttled({ fields: [], period_seconds: 60, mode: 'digest' }),
    throttled({ fields: ['a'], period_seconds: 60, mode: 'digest' }),
    throttled({ fields: ['a'], period_seconds: 61, mode: 'digest' }),
    throttled({ fields: ['a'], period_seconds: 60, mode: 'result' }),
  ]).size, 5)
})
