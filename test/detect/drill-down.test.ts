import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { fillDrilldowns } from '../../src/detect/drill-down.js'
import { compileSearch, toKnowledge } from '../../src/detect/search.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import type { Finding } from '../../src/finding.js'
import { openTriage, stanzaOf } from '../fixtures/workflow.js'

t.setTimeout(300_000) // servers and hundreds of searches, on a machine that may be busy

interface Detail extends Finding {
  readonly evidence: { readonly event_count: number, readonly approximate: boolean, readonly events: readonly { readonly raw: string }[] }
  readonly drill_down: { readonly search: string, readonly earliest: string, readonly latest: string } | null
}

const TEXTS = ['web-1', 'WEB-1', 'web*', 'a"b', 'a\\', '\\"', '`macro`', '| delete', '[search x]', "it's", 'é\u0000\n\t', '10.0.0.0/8', '10.1.2.3', '007', '7', '$pod$', '```x```', '', ' ', 'NOT', '*', '𝒳']

t.test('the drill-down of a finding gives its contributing events, whatever the values hold', async t => {
  const server = await openTriage(t, { stanzas: stanzaOf('a_rule', 'sourcetype=st tool IN ("x*", "y") | fillnull value=none tool team | stats count BY pod tool team | rename pod AS p') })
  const any = fc.constantFrom(...TEXTS)
  const [pods] = fc.sample(fc.array(fc.tuple(any, any), { minLength: 60, maxLength: 60 }), { numRuns: 1, seed: 7 }) as [[string, string][]]
  await server.happen(...pods.map(([pod, tool], i) => ({ pod, tool: `x${tool}`, n: i, ...i % 3 === 0 ? { team: 'blue' } : {} })), { pod: ['web-1', 'other'], tool: 'y' })
  await server.run()
  const findings = await server.list('limit=1000')
  t.ok(findings.length > 30)

  for (const { id } of findings) {
    const { evidence, drill_down: drillDown } = await server.get(`findings/${id}`) as Detail
    const res = await server.call('POST', 'search', { ...drillDown, limit: 1_000 })
    t.equal(res.statusCode, 200, drillDown?.search ?? 'none')
    const raws = (res.json().rows as { _raw: string }[]).map(({ _raw: raw }) => raw)
    t.strictSame(raws.sort(), evidence.events.map(({ raw }) => raw).sort(), drillDown?.search ?? 'none')
  }
})

t.test('the drill-down keeps to the bin of a row, and to the event of one that is an event', async t => {
  const server = await openTriage(t, { stanzas: `${stanzaOf('a_rule', 'sourcetype=st | bin _time span=1h | stats count BY _time pod')}\n${stanzaOf('b_rule', 'sourcetype=st tool=mount | eval _time=0')}` })
  await server.happen({ pod: 'web-1', tool: 'mount' }, { pod: 'web-1', tool: 'ls' })
  await server.run()
  await server.run('09:00:00', 'b_rule')
  const [binned] = await server.list('detection=a_rule')
  const [event] = await server.list('detection=b_rule')

  const { drill_down: ofBin } = await server.get(`findings/${binned!.id}`) as Detail
  const { drill_down: ofEvent } = await server.get(`findings/${event!.id}`) as Detail

  t.match(ofBin, { search: 'search sourcetype="st" pod="web-1"\n| where pod = "web-1"', earliest: '2026-03-10T08:00:00.000Z', latest: '2026-03-10T09:00:00.000Z' })
  t.strictSame((await server.call('POST', 'search', { ...ofEvent })).json().rows.map(({ tool }: { tool: string }) => tool), ['mount'])
})

t.test('drilldown searches of detection files are shown with the values of the row', async t => {
  const drilldowns = JSON.stringify([
    { name: 'Events of $pod$', search: '%original_detection_search% | search pod="$pod$"', earliest_offset: '$info_min_time$', latest_offset: '$info_max_time$' },
    { name: 'Risk', search: '| from datamodel Risk.All_Risk | search x IN ("$pod$", "$nothing$")', earliest_offset: '7d', latest_offset: 0 },
    { name: 'is none', search: 12 },
  ])
  const server = await openTriage(t, { stanzas: `${stanzaOf('a_rule', 'sourcetype=st | stats count BY pod tool')}action.notable.param.drilldown_searches = ${drilldowns}\n` })
  await server.happen({ pod: 'a"b', tool: 'mount' })
  await server.run()
  const [{ id }] = await server.list() as [Finding]

  const { drilldown_searches: [events, risk, ...others] } = await server.get(`findings/${id}`)

  t.strictSame(events, {
    name: 'Events of a"b', search: 'sourcetype=st | stats count BY pod tool | search pod="a\\"b"', earliest: '2026-03-09T09:00:00.000Z', latest: '2026-03-10T09:00:00.000Z', missing: [], error: null,
  })
  t.match(risk, { search: '| from datamodel Risk.All_Risk | search x IN ("a\\"b", "$nothing$")', earliest: '2026-03-03T09:00:00.000Z', latest: '2026-03-10T09:00:00.000Z', missing: ['nothing'], error: String })
  t.strictSame(others, [])
  const res = await server.call('POST', 'search', { search: events.search, earliest: events.earliest, latest: events.latest })
  t.match(res.json().rows, [{ pod: 'a"b', tool: 'mount', count: 1 }])
})

t.test('no value of a row breaks out of the quotes of a drilldown search', t => {
  const text = fc.oneof(fc.constantFrom(...TEXTS, '%original_detection_search%', '"', '" | delete', '\\\\"'), fc.string())
  const templates = ['search user="$user$"', 'search user="*$user$*" x', 'search user IN ("$user$")', 'search user=$user$', 'search user=$user|s$ | where user="$user$"', 'search NOT user!="$user$"']
  const knowledge = toKnowledge(BUILT_IN_TABLES, new Map())

  fc.assert(fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), fc.constantFrom(...templates), (values, template) => {
    const body = { result: { user: values.length === 1 ? values[0] : values }, time: 0, window: { earliest: '2026-03-10T08:00:00.000Z', latest: '2026-03-10T09:00:00.000Z' } } as unknown as Finding
    const [filled] = fillDrilldowns({ search: 'own', drilldown_searches: [{ name: '', search: template, earliest_offset: null, latest_offset: null }] }, body, search => {
      const plan = compileSearch(search, new Map(), knowledge)
      t.ok(plan.stages.every(({ kind }) => kind === 'where'), search)
      t.ok(!JSON.stringify(plan.query.predicate).includes('subsearch'), search)
    })
    t.equal(filled?.error === null, values.length === 1 || !/=\$user(?:\|s)?\$/.test(template), `${filled?.search}: ${filled?.error}`)
  }))
  t.end()
})
