import t from 'tap'
import { post, testApp } from '../fixtures/app.js'
import { detectionsOf, GENERATIONS, get, runAt } from '../fixtures/rules.js'

/** A detection with another search, whose rows have the fields that the risk block names. */
function ruleOf (search: string): string {
  return GENERATIONS[2025].replace(/search: .*\n/, `search: |\n${search.split('\n').map(line => `  ${line}\n`).join('')}`)
}

const exec = (seconds: number, binary: string, args: string, more: object = {}) => ({
  time: 1773140700 + seconds,
  sourcetype: 'cisco:isovalent',
  event: { process_exec: { process: { pid: 100 + seconds, uid: 0, binary, arguments: args, ...more }, parent: { pid: 1, binary: '/bin/bash' } }, node_name: 'n1', cluster_name: 'prod' },
})

const SEARCHES = [
  {
    what: 'tstats over Endpoint.Processes',
    search: `| tstats \`security_content_summariesonly\` count min(_time) as firstTime max(_time) as lastTime from datamodel=Endpoint.Processes
  where (Processes.process_name=tar OR Processes.process_name=nsenter) AND Processes.process="* /host*"
  by Processes.dest Processes.user Processes.parent_process_name Processes.process_name Processes.process Processes.process_guid
| \`drop_dm_object_name(Processes)\` | \`security_content_ctime(firstTime)\` | \`security_content_ctime(lastTime)\`
| eval pod=dest, tool=process_name | \`a_rule_filter\``,
    result: { dest: 'n1', user: 'unknown', process_guid: 'unknown', process: '/bin/tar -xf a.tar /host/etc', count: 2, firstTime: '2026-03-10T11:05:01', lastTime: '2026-03-10T11:05:02' },
    evidence: { event_count: 2, approximate: false },
  },
  {
    what: 'a search in brackets',
    search: `sourcetype=cisco:isovalent:processExec [search sourcetype=cisco:isovalent:processExec process_name=tar | stats count BY process_id | fields process_id]
| stats count values(process_name) AS tool values(user_id) AS user BY node_name | rename node_name AS pod`,
    result: { pod: 'n1', count: 2, tool: 'tar', user: 0 },
    evidence: { event_count: 3, approximate: true },
  },
  {
    what: 'join',
    search: `sourcetype=cisco:isovalent:processExec process_name=tar | stats count BY node_name
| join node_name [search sourcetype=cisco:isovalent:processExec process_name=ls | stats values(process) AS tool BY node_name]
| eval pod=node_name, user="root"`,
    result: { node_name: 'n1', count: 2, tool: '/bin/ls /host' },
    evidence: { event_count: 2, approximate: false },
  },
  {
    what: 'words of the raw text',
    search: 'sourcetype=cisco:isovalent* "/bin/tar" host/etc | stats count values(process_name) AS tool BY node_name | eval pod=node_name, user="root"',
    result: { node_name: 'n1', count: 2, tool: 'tar' },
    evidence: { event_count: 2, approximate: false },
  },
]
for (const { what, search, result, evidence } of SEARCHES) {
  t.test(`${what} gives findings with their events`, async t => {
    const server = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': ruleOf(search) }), nowMs: Date.parse('2026-03-10T12:30:00Z') })
    await post(server, [exec(1, '/bin/tar', '-xf a.tar /host/etc'), exec(2, '/bin/tar', '-xf a.tar /host/etc'), exec(3, '/bin/ls', '/host'),
      { time: 1773140705, sourcetype: 'other', event: { process_name: 'tar', process: 'tar /host' } }].map(event => JSON.stringify(event)).join(''))

    t.strictSame((await get(server, 'detections/a_rule')).errors, [])
    t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 })
    const { items } = await get(server, 'findings')
    t.match(items, [{ result, risk: { objects: [{ value: 'n1' }] } }])
    t.match((await get(server, `findings/${items[0].id}`)).evidence, evidence)
  })
}

t.test('rows of a lookup are findings without events', async t => {
  const table = { columns: ['pod', 'tool', 'user'], rows: [['web-1', 'nsenter', 'eve'], ['web-2', 'ls', 'bob']], matchTypes: {}, caseSensitive: true, maxMatches: 1, minMatches: 0, defaultMatch: null, hash: 'h' }
  const server = await testApp(t, { files: detectionsOf(t, { 'a_rule.yml': ruleOf('| inputlookup known where tool=nsenter') }), lookups: new Map([['known', table]]), nowMs: Date.parse('2026-03-10T12:30:00Z') })

  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1, findings: { created: 1 } })
  t.match(await runAt(server, 'a_rule'), { findings: { unchanged: 1 } })
  const { items } = await get(server, 'findings')
  t.match((await get(server, `findings/${items[0].id}`)).evidence, { event_count: 0, approximate: true })
})
