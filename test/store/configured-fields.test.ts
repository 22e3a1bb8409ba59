import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config.js'
import { ALL_TIME } from '../../src/event.js'
import type { FieldTables } from '../../src/fields/field-tables.js'
import { buildFieldTables, BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { COLUMNS } from '../../src/fields/tables.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import type { EventStore } from '../../src/store/events.js'
import { ARRIVAL_MS, bearer, openTestEvents, post, tempDir, testApp } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'

const DAY_MS = 86_400_000

/** Field tables of a configuration file. */
function tablesOf (dir: string, yaml: string): FieldTables {
  const file = join(dir, 'hecate.yaml')
  writeFileSync(file, yaml)
  return buildFieldTables(loadConfig({ file, env: {}, flags: {}, cwd: dir }))
}

async function search (events: EventStore, text: string, pushDown: 'on' | 'off') {
  const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown })
  const { rows, warnings } = await events.search(plan, { window: ALL_TIME, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: 10_000 })
  return { rows: rows.map(({ values }) => Object.fromEntries(values)), warnings }
}

/** Rows of a search, which are the same with and without push-down. */
async function rowsOf (t: Test, events: EventStore, text: string) {
  const { rows } = await search(events, text, 'on')
  t.strictSame(rows, (await search(events, text, 'off')).rows, `${text}, with and without push-down`)
  return rows
}

const CONFIGURED = `
timezone: Asia/Tokyo
fields:
  - sourcetype: linux_audit
    aliases: { process: proc.cmdline, pod_name: container.name, user_id: auid }
    evals:
      process_name: replace('proc.exe', "^.*/", "")
      cluster_name: coalesce(cluster_name, "none")
      node_name: strftime(_time, "%H:%M")
      pod_namespace: if(uid=0, 1/2, 7)
  - sourcetype: cisco:isovalent:processExec
    aliases: { pod_name: node_name }
    evals: { process_name: upper(process_name), parent_process_name: "null()" }
  - sourcetype: my:exit
    evals: { process_name: "'process_exit.process.binary'" }
routes:
  - { from: cisco:isovalent, key: process_exit, to: my:exit }
`

const audit = (n: number, over: object = {}) => ({
  time: 3600 * n,
  sourcetype: 'linux_audit',
  event: { proc: { exe: `/usr/bin/tool${n % 3}`, cmdline: `tool${n % 3} -x` }, container: { name: `c${n % 2}` }, uid: n % 2, auid: n, ...over },
})
const isovalent = (key: string, binary: string) => ({
  time: 5,
  sourcetype: 'cisco:isovalent',
  event: { log: JSON.stringify({ [key]: { process: { binary, pod: { name: 'web' } }, parent: { binary: '/bin/sh' } }, node_name: 'n1' }) },
})
const EVENTS = [...Array.from({ length: 6 }, (_, n) => audit(n)), audit(6, { cluster_name: 'prod', auid: ['a', 'b'] }), isovalent('process_exec', '/bin/ls'), isovalent('process_exit', '/bin/cat')]

const SEARCHES = [
  '* | stats count BY process_name | sort process_name',
  'process_name=TOOL1 | stats count',
  'process_name=* NOT cluster_name=none | table process_name pod_name cluster_name node_name user_id pod_namespace parent_process_name',
  'cluster_name=none | stats count values(process) AS process dc(user_id) AS users BY pod_name pod_namespace | sort pod_name',
  'node_name="10:00" | table node_name pod_namespace user_id',
  'parent_process_name=sh | stats count',
  'pod_name=n1 | table process_name sourcetype',
  'sourcetype=my:exit | table process_name',
]

t.test('configured fields are the same from columns, from events, and before and after a change of the configuration', async t => {
  const dataDir = tempDir(t)
  const configured = tablesOf(dataDir, CONFIGURED)
  const events = await openTestEvents(dataDir, { fieldTables: configured })
  await append(events, EVENTS, ARRIVAL_MS)
  const first = []
  for (const text of SEARCHES) first.push(await rowsOf(t, events, text))
  await events.close()

  t.strictSame(first[0], [{ process_name: '/bin/cat', count: 1 }, { process_name: 'LS', count: 1 }, { process_name: 'tool0', count: 3 }, { process_name: 'tool1', count: 2 }, { process_name: 'tool2', count: 2 }])
  t.strictSame(first[1], [{ count: 2 }])
  t.match(first[2]!.find(row => row['cluster_name'] === 'prod'), { process_name: 'tool0', pod_name: 'c0', user_id: undefined, node_name: '15:00', pod_namespace: '0.5' }, 'an array in place of a text is none')
  t.strictSame(first[4], [{ node_name: '10:00', pod_namespace: 7, user_id: 1 }], 'in the zone of the configuration, whatever that of the search')
  t.strictSame(first[5], [{ count: 0 }])
  t.strictSame(first[6], [{ process_name: 'LS', sourcetype: 'cisco:isovalent:processExec' }])
  t.strictSame(first[7], [{ process_name: '/bin/cat' }])

  const built = await openTestEvents(dataDir)
  t.strictSame(await rowsOf(t, built, 'process_name=* | table process_name pod_name'), [{ process_name: 'ls', pod_name: 'web' }], 'without the configuration the same events have the built-in fields')
  await append(built, [{ ...isovalent('process_exec', '/bin/mount'), source: 'meanwhile' }], ARRIVAL_MS) // into the file of the other tables
  await append(built, [{ ...isovalent('process_exec', '/bin/umount'), source: 'meanwhile' }], ARRIVAL_MS + DAY_MS)
  t.strictSame(await rowsOf(t, built, '* | stats count BY process_name | sort process_name'), [{ process_name: 'ls', count: 1 }, { process_name: 'mount', count: 1 }, { process_name: 'umount', count: 1 }])
  await built.close()

  const again = await openTestEvents(dataDir, { fieldTables: configured })
  t.teardown(() => again.close())
  t.strictSame(await rowsOf(t, again, 'process_name=MOUNT OR process_name=UMOUNT | stats count values(pod_name) AS pod'), [{ count: 2, pod: 'n1' }], 'events that came meanwhile have them too')
  for (const [n, text] of SEARCHES.entries()) t.strictSame(await rowsOf(t, again, `source!=meanwhile ${text}`), first[n], text)
})

t.test('a default of the token fills what a calculated field leaves open, and no more', async t => {
  const dataDir = tempDir(t)
  const fieldTables = tablesOf(dataDir, 'fields: [{ sourcetype: st, evals: { cluster_name: "coalesce(cluster_name, zone)", team: "null()" } }]')
  const events = await openTestEvents(dataDir, { fieldTables })
  t.teardown(() => events.close())
  const body = Uint8Array.from(Buffer.from('{"event":{"zone":"own"}}{"event":{"n":1}}')).buffer

  const outcome = await events.append({ body, format: 'envelopes', arrivalUs: ARRIVAL_MS * 1000, defaults: { host: 'h', source: 's', sourcetype: 'st', index: 'main' }, timeUs: null, timeFrom: 'arrival', fill: { cluster_name: 'default', team: 'blue' }, sender: '', allowedIndexes: null })

  t.match(outcome, { stored: 2, filled: 2 })
  t.strictSame(await rowsOf(t, events, '* | stats count BY cluster_name | sort cluster_name'), [{ cluster_name: 'default', count: 1 }, { cluster_name: 'own', count: 1 }])
  t.strictSame(await rowsOf(t, events, 'team=* | stats count'), [{ count: 0 }], 'null takes a field away, whoever gave it')
})

t.test('what is too costly to calculate holds up no writer, and a search warns of it', async t => {
  const dataDir = tempDir(t)
  const fieldTables = tablesOf(dataDir, `
fields:
  - sourcetype: regex
    evals: { process_name: "if(match(text, \\"^(?=(a|aa)+$)b\\"), \\"yes\\", \\"no\\")" }
  - sourcetype: values
    evals: { process_name: "mvcount(mvmap('list{}', mvmap('list{}', 1)))" }
`)
  const events = await openTestEvents(dataDir, { fieldTables })
  t.teardown(() => events.close())

  await append(events, [
    { sourcetype: 'regex', event: { text: `${'a'.repeat(5_000)}!` } },
    { sourcetype: 'regex', event: { text: 'aa' } },
    { sourcetype: 'values', event: { list: [1, 2] } },
  ], ARRIVAL_MS)
  await append(events, [{ sourcetype: 'values', event: { list: Array.from({ length: 1_000 }, (_, n) => n) } }], ARRIVAL_MS)

  const { rows, warnings } = await search(events, 'sourcetype=regex | stats count BY process_name', 'on')
  t.strictSame(rows, [{ process_name: 'no', count: 2 }])
  t.match(warnings, [/took too many steps/])
  t.strictSame((await search(events, 'sourcetype=values | stats count BY process_name', 'on')).rows, (await search(events, 'sourcetype=values | stats count BY process_name', 'off')).rows)
})

t.test('events of a configured sourcetype are found in its data model, with its fields', async t => {
  const fieldTables = tablesOf(tempDir(t), `
fields:
  - sourcetype: linux_audit
    aliases: { process: proc.cmdline, dest: host }
    evals: { process_name: "replace('proc.exe', \\"^.*/\\", \\"\\")" }
    data_models: [Endpoint.Processes]
  - sourcetype: other
    evals: { process_name: "\\"never\\"" }
`)
  const server = await testApp(t, { fieldTables })
  await post(server, [{ ...audit(1), host: 'n1' }, isovalent('process_exec', '/bin/ls'), { sourcetype: 'other', event: { a: 1 } }].map(one => JSON.stringify(one)).join(''))

  const search = '| tstats count values(Processes.process) AS process FROM datamodel=Endpoint.Processes BY Processes.process_name Processes.dest Processes.user'
  const res = await server.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search } })

  t.equal(res.statusCode, 200, res.body)
  t.strictSame(res.json().rows, [
    { 'Processes.process_name': 'ls', 'Processes.dest': 'n1', 'Processes.user': 'unknown', count: 1, process: '/bin/ls' },
    { 'Processes.process_name': 'tool1', 'Processes.dest': 'n1', 'Processes.user': 'unknown', count: 1, process: 'tool1 -x' },
  ])
})

t.test('built-in tables and an empty configuration are the same', async t => {
  t.strictSame(tablesOf(tempDir(t), '{}'), BUILT_IN_TABLES)
})
