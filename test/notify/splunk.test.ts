import t from 'tap'
import { bearer, post, TOKEN } from '../fixtures/app.js'
import { listen } from '../fixtures/http.js'
import type { Received } from '../fixtures/receiver.js'
import { openReceiver, RULE, tellingApp } from '../fixtures/receiver.js'
import { detectionsOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

interface Envelope { readonly time: number, readonly source: string, readonly event: string }

/** The envelopes of a request, and the fields of each event as Splunk extracts them from the sourcetype stash: all values of a name. */
function riskEvents ({ body }: Received): (Envelope & { fields: Record<string, string[]> })[] {
  return body.split(/(?<=\})(?=\{"time")/).map(text => {
    const envelope = JSON.parse(text) as Envelope
    const fields: Record<string, string[]> = {}
    for (const [, key, value] of envelope.event.matchAll(/, ([^=, ]+)="((?:[^"\\]|\\.)*)"/gs)) (fields[key!] ??= []).push(value!.replace(/\\(.)/gs, '$1'))
    return { ...envelope, fields }
  })
}

const RULE_NAME = 'ESCU - A rule - Rule'

t.test('each value of each risk object becomes an event of the index risk, as the risk action of Enterprise Security writes them', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url: new URL(url).origin, token: 'abc', search_name: 'ESCU - $name$ - Rule' }])
  await sendTools(server)
  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'a "b\\c', tool: 'ls' } })
  const { id: run } = await runAt(server, RULE) as { id: string }

  await server.tell('es')

  const [finding] = (await get(server, 'findings?earliest=0')).items as [{ id: string }]
  const events = riskEvents(received[0]!)
  t.match(received, [{ url: '/services/collector/event', headers: { authorization: 'Splunk abc' } }])
  t.strictSame(events.map(({ fields, event, ...envelope }) => envelope), events.map(() => ({ time: 1773144000, host: 'hecate', index: 'risk', source: RULE_NAME, sourcetype: 'stash' })), 'a row without a time has that of the slot')
  t.strictSame(events.map(({ fields }) => [fields.risk_object, fields.risk_object_type, fields.risk_object_field, fields.risk_score]), [
    [['web-1'], ['system'], ['pod'], ['72']],
    [['a "b\\c'], ['user'], ['user'], ['72']],
    [['root'], ['user'], ['user'], ['72']],
  ])
  t.ok(events[0]!.event.startsWith('1773144000, search_name="'))
  const { hecate_delivery: delivery, ...fields } = events[1]!.fields
  t.strictSame(delivery?.length, 1)
  t.strictSame(fields, {
    search_name: [RULE_NAME], risk_object: ['a "b\\c'], risk_object_type: ['user'], risk_object_field: ['user'], risk_score: ['72'], risk_message: ['a "b\\c\nroot ran [ls\nmount\nnsenter] in web-1'],
    annotations: ['{"analytic_story":["A story"],"mitre_attack":["T1611"]}'], 'annotations._frameworks': ['mitre_attack'], 'annotations._all': ['T1611'], 'annotations.mitre_attack': ['T1611'],
    analyticstories: ['A story'],
    orig_sid: [run], info_min_time: ['1773139800'], info_max_time: ['1773143400'], info_search_time: ['1773144060'],
    contributing_events_search: [`| savedsearch "${RULE_NAME}" | search user="a \\"b\\\\c"`],
    hecate_finding: [finding.id], hecate_revision: ['1'],
    threat_object: ['ls', 'mount', 'nsenter'], threat_object_type: ['process_name', 'process_name', 'process_name'],
    pod: ['web-1'], count: ['3'], tool: ['ls', 'mount', 'nsenter'], user: ['a "b\\c', 'root'],
  })
})

/** Reads a risk event by a search; `stash` is what Splunk extracts by itself. */
const SEARCH = `index=es_risk sourcetype=stash source="A rule"
  | rex "risk_object=\\"(?<risk_object>[^\\"]*)\\"" | rex "risk_score=\\"(?<risk_score>[^\\"]*)\\"" | rex max_match=0 "threat_object=\\"(?<threat_object>[^\\"]*)\\""
  | stats sum(risk_score) AS risk values(threat_object) AS threat_object dc(source) AS sources BY risk_object`

t.test('Hecate\'s own HEC takes them, and a search over the risk index adds up what the findings say', async t => {
  const target = await tellingApp(t, [], { existingIndexes: new Set(['main', 'es_risk', 'metrics']) })
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url: `http://127.0.0.1:${await listen(target)}`, token: TOKEN, index: 'es_risk' }])
  await sendTools(server)
  await runAt(server, RULE)
  await server.tell('es')

  const search = async () => (await target.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: SEARCH, earliest: 0 } })).json() as unknown

  t.match(await search(), {
    rows: [
      { risk_object: 'root', risk: 72, threat_object: ['mount', 'nsenter'], sources: 1 },
      { risk_object: 'web-1', risk: 72, threat_object: ['mount', 'nsenter'], sources: 1 },
    ]
  })
  t.match(await get(server, 'deliveries'), { items: [{ target: 'es', state: 'delivered', status: 200 }] })

  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: 'ls' } })
  await runAt(server, RULE)
  await server.tell('es')

  t.match(await search(), {
    rows: [
      { risk_object: 'root', risk: 72, threat_object: ['ls', 'mount', 'nsenter'], sources: 1 },
      { risk_object: 'web-1', risk: 72, threat_object: ['ls', 'mount', 'nsenter'], sources: 1 },
    ]
  }, 'a revision brings the new threat object and no score')
})

t.test('a revision says only what is new: another risk object, a score that rose by so much, or a threat object', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url, token: 'abc' }])
  const happens = async (event: object) => {
    await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: 'mount', ...event } })
    await runAt(server, RULE)
    const before = received.length
    await server.tell('es')
    return received.slice(before).flatMap(riskEvents).map(({ fields }) => `${fields.risk_object} ${fields.risk_score} ${fields.threat_object}`)
  }

  t.strictSame(await happens({}), ['web-1 72 mount', 'root 72 mount'])
  t.strictSame(await happens({}), [], 'the count alone is another')
  t.strictSame(await happens({ user: 'eve' }), ['eve 72 mount'])
  t.strictSame(await happens({ tool: 'ls' }), ['web-1 0 ls,mount', 'eve 0 ls,mount', 'root 0 ls,mount'])
  t.strictSame(await happens({ tool: 'ls' }), [])
  t.match((await get(server, 'deliveries')).items.map(({ state, what, status }: Record<string, unknown>) => [state, what, status]), [
    ['delivered', 'revised', null], ['delivered', 'revised', 200], ['delivered', 'revised', 200], ['delivered', 'revised', null], ['delivered', 'created', 200],
  ])
})

t.test('a score that rose brings what it rose by, but all to who was not told before, for the filter', async t => {
  const { received, url } = await openReceiver(t)
  const rule = GENERATIONS[2025].replace('{ field: user, type: user, score: 72 }', '{ field: user, type: system, score: 85 }')
  const target = { type: 'splunk', url, token: 'abc' } as const
  const server = await tellingApp(t, [{ name: 'all', ...target }, { name: 'high', ...target, filter: { min_score: 80 } }], { files: detectionsOf(t, { [`${RULE}.yml`]: rule }) })
  const told: Record<string, string[]> = { all: [], high: [] }
  for (const user of [undefined, 'web-1']) {
    await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user, tool: 'mount' } })
    await runAt(server, RULE)
    for (const name of ['all', 'high']) {
      await server.tell(name)
      told[name]!.push(...received.splice(0).flatMap(riskEvents).map(({ fields }) => `${fields.risk_object} ${fields.risk_score}`))
    }
  }

  t.strictSame(told, { all: ['web-1 72', 'web-1 13'], high: ['web-1 72', 'web-1 85'] })
})

t.test('what risk rules find is no risk event: it is made of risk that Splunk has already', async t => {
  const { received, url } = await openReceiver(t)
  const off = { at_least: 0, in: 60_000 }
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url, token: 'abc' }, { name: 'soc', type: 'webhook', url }], { riskRuleConfig: { score: { over: 50, in: 3_600_000 }, tactics: off, detections: off } })
  await sendTools(server)
  await runAt(server, RULE)
  await server.riskRules.evaluate(server.clock.nowMs)
  t.equal((await get(server, 'findings?detection=hecate___risk_score')).items.length, 2)

  await server.tell('es')

  t.strictSame(received.flatMap(riskEvents).map(({ source }) => source), ['A rule', 'A rule'])
  t.strictSame((await get(server, 'deliveries?target=es')).items.map(({ state, status }: Record<string, unknown>) => [state, status]), [['delivered', null], ['delivered', null], ['delivered', 200]])
  received.length = 0
  await server.tell('soc')
  t.strictSame(received.map(({ body }) => (JSON.parse(body) as { data: { detection: { id: string } } }).data.detection.id), [RULE, 'hecate___risk_score', 'hecate___risk_score'], 'others are told of it')
})

t.test('a row can bring no pair of its own making, nor one in place of another', async t => {
  const { received, url } = await openReceiver(t)
  const search = 'search: sourcetype=st | stats count values(tool) AS tool values(user) AS user BY pod'
  const hostile = `${search.slice('search: '.length)} | rename tool AS "risk score", user AS "x=\\"1\\", risk_score" | eval tool="mount", user="root", risk_object=pod, _hidden=1, _time=1773140700.5, host="h", date_hour=3, sid="s" | rename count AS "Größe"`
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url, token: 'abc' }], { files: detectionsOf(t, { [`${RULE}.yml`]: GENERATIONS[2025].replace(search, `search: '${hostile}'`) }) })
  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'n", risk_score="100', tool: '\\", risk_score="100' } })
  t.match(await runAt(server, RULE), { findings: { created: 1 } })

  await server.tell('es')

  const [{ fields, time }] = riskEvents(received[0]!) as [ReturnType<typeof riskEvents>[number]]
  t.equal(time, 1773140700.5)
  t.strictSame(fields.risk_score, ['72'])
  t.strictSame(Object.fromEntries(Object.entries(fields).slice(Object.keys(fields).indexOf('threat_object_type') + 1)), {
    pod: ['web-1'], Größe: ['1'], orig_risk_score: ['\\", risk_score="100'], x__1___risk_score: ['n", risk_score="100'], tool: ['mount'], user: ['root'], orig_risk_object: ['web-1'], orig_time: ['1773140700.5'],
    orig_host: ['h'],
  })
})

t.test('there are no more than 1000 risk events of a finding, each with 16 KB of its row, and those that lack something say so', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'es', type: 'splunk', url, token: 'abc' }])
  const users = Array.from({ length: 1_200 }, (_, n) => `user-${n}${'x'.repeat(20)}`)
  await post(server, users.map(user => JSON.stringify({ time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user, tool: 'mount' } })).join(''))
  await runAt(server, RULE)

  await server.tell('es')

  const events = riskEvents(received[0]!)
  t.equal(events.length, 1_000)
  for (const { fields, event } of [events[0]!, events[999]!]) {
    t.strictSame([fields.risk_score, fields.hecate_cut, fields.pod], [['72'], ['true'], ['web-1']])
    t.ok(event.length < 40_000, `${event.length} characters`)
  }
})
