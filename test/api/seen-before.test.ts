import type { Test } from 'tap'
import t from 'tap'
import { findSeenBefore } from '../../src/detect/seen-before.js'
import type { Evidence, Finding, SeenBefore } from '../../src/finding.js'
import type { EventStore, Position } from '../../src/store/events.js'
import type { TestAppOptions } from '../fixtures/app.js'
import { bearer, post, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { LITERAL } from '../fixtures/golden.js'
import { get, runAt } from '../fixtures/rules.js'
import type { Process } from '../fixtures/tetragon.js'
import { envelopeOf, execOf, podOf } from '../fixtures/tetragon.js'
import { openTriage } from '../fixtures/workflow.js'

t.setTimeout(300_000) // a dozen servers, on a machine that may be busy

const time = (clock: string) => Date.parse(`2026-${clock}Z`)
const shell: Process = { id: 'c2hlbGw=', parent: null, binary: '/bin/sh', startMs: time('03-10T11:00:00') }

let made = 0
const exec = (binary: string, args: string, clock: string, { pod = 'web-1', node = 'n1' }: { pod?: string | null, node?: string } = {}) => {
  const process: Process = { id: `process${made++}`, parent: shell, binary, args, startMs: time(clock), ...pod === null ? {} : { pod: podOf(pod) } }
  return execOf(process, { node_name: node, cluster_name: 'prod' })
}

/** What the finding is of. */
const mount = (args = '/dev/sda1 /mnt') => exec('/bin/mount', args, '03-10T11:05:10')
const nsenter = (args = '-t 1 -m -- bash') => exec('/usr/bin/nsenter', args, '03-10T11:06:00')

async function openEscape (t: Test, events: readonly object[], options: TestAppOptions = {}) {
  const server = await testApp(t, options)
  t.equal((await post(server, events.map(event => JSON.stringify(envelopeOf(event))).join(''))).statusCode, 200)
  t.match(await runAt(server, LITERAL), { status: 'succeeded', findings: { created: 1 } })
  const [finding] = (await get(server, `findings?detection=${LITERAL}`)).items as Finding[]
  return { ...server, finding: finding!, seen: async () => await get(server, `findings/${finding!.id}/seen-before`) as SeenBefore }
}

t.test('command lines are counted over the 30 days before the window, with first and last time, pods and nodes', async t => {
  const line = '/dev/sda1 /mnt'
  const { finding, seen } = await openEscape(t, [
    mount(), nsenter(),
    exec('/bin/mount', line, '01-20T10:00:00', { pod: 'old-1' }), // too long ago
    exec('/bin/mount', line, '02-12T10:00:00', { pod: 'web-2', node: 'n2' }),
    exec('/bin/mount', line, '03-05T10:00:00', { pod: 'web-2' }),
    exec('/bin/mount', line, '03-09T22:00:00.5', { pod: 'web-3' }),
    exec('/bin/mount', line, '03-09T22:00:00', { pod: null }),
    exec('/bin/mount', '/dev/sda1 /MNT', '03-09T23:00:00', { pod: 'web-4' }),
  ])

  const found = await seen()

  const latest = Date.parse(finding.window.earliest)
  t.strictSame(found.commands, [
    { process: '/bin/mount /dev/sda1 /mnt', process_name: 'mount', events: 4, pods: 2, nodes: 2, first: time('02-12T10:00:00') / 1000, last: time('03-09T22:00:00.5') / 1000 },
    { process: '/usr/bin/nsenter -t 1 -m -- bash', process_name: 'nsenter', events: 0, pods: 0, nodes: 0, first: null, last: null },
  ])
  t.strictSame(found.searched, { earliest: new Date(latest - 30 * 86_400_000).toISOString(), latest: new Date(latest).toISOString() })
  t.match(found, { complete: true, events_gone: false, truncated: false })
})

t.test('events of the window itself have not been seen before', async t => {
  const { seen } = await openEscape(t, [mount(), mount(), nsenter()])

  t.strictSame((await seen()).commands.map(({ events }) => events), [0, 0])
})

t.test('command lines are compared to the letter, whatever they hold', async t => {
  const hostile = [
    '*', '"', '\\', '\\\\', '\\"', "' OR 1=1 --", '" | delete', '$pod$', '`macro`', '[search *]', '%', '_', 'a\u0000b', '\u001b[2J', 'é', 'e\u0301', '<script>', 'x'.repeat(5_000),
  ]
  const before = hostile.map((args, i) => exec('/bin/mount', args, `03-05T10:00:${String(i).padStart(2, '0')}`))
  const { seen } = await openEscape(t, [...before, ...hostile.map(args => mount(args)), nsenter()])

  const { commands, complete } = await seen()

  t.equal(complete, true)
  t.strictSame(commands.slice(0, -1).map(({ process, events, first }) => [process, events, first]), hostile.map((args, i) => {
    const process = `/bin/mount ${args}`
    return [process.length > 4_000 ? `${process.slice(0, 4_000)}…` : process, 1, time(`03-05T10:00:${String(i).padStart(2, '0')}`) / 1000]
  }))
  t.match(commands.at(-1), { process: '/usr/bin/nsenter -t 1 -m -- bash', events: 0 })
})

t.test('of many command lines the first 20 are told, and that there are more', async t => {
  const { seen } = await openEscape(t, [...Array.from({ length: 25 }, (_, i) => mount(`/dev/sd${i} /mnt`)), nsenter()])

  const { commands, truncated } = await seen()

  t.strictSame(commands.map(({ process }) => process), Array.from({ length: 20 }, (_, i) => `/bin/mount /dev/sd${i} /mnt`))
  t.equal(truncated, true)
})

t.test('what retention has taken is counted no more, and the answer says so', async t => {
  const server = await openEscape(t, [mount(), nsenter(), exec('/bin/mount', '/dev/sda1 /mnt', '03-05T10:00:00')], { retention: { ageMs: 86_400_000, bytes: Number.MAX_SAFE_INTEGER } })
  t.match(await server.seen(), { events_gone: false, commands: [{ events: 1 }, { events: 0 }] })
  await server.events.retain(time('03-20T12:00:00'), 'roomy', partitions => {
    for (const { name, reason, events, minTimeUs, maxTimeUs } of partitions) server.ledgerStore.addDropped({ name, reason, events, earliestUs: minTimeUs, latestUs: maxTimeUs! + 1, nowMs: time('03-20T12:00:00') })
  })

  t.match(await server.seen(), { events_gone: true, complete: true, commands: [{ process: '/bin/mount /dev/sda1 /mnt', events: 0 }, { events: 0 }] })
})

t.test('where the time is over, the longest stretch that was looked through is told', async t => {
  const server = await openEscape(t, [
    mount(), nsenter(), ...['03-09T22:00:00', '03-05T10:00:00', '02-20T10:00:00'].map(clock => exec('/bin/mount', '/dev/sda1 /mnt', clock)),
  ])
  const latest = Date.parse(server.finding.window.earliest)
  const { evidence } = await get(server, `findings/${server.finding.id}`) as { evidence: Evidence }
  const cases: readonly [searches: number, days: number | null, events: number | null][] = [[0, null, null], [1, 1, 1], [2, 7, 2], [3, 30, 3]]

  for (const [searches, days, events] of cases) {
    const limit = new AbortController()
    let left = searches
    const slow: EventStore = {
      ...server.events,
      search: async (plan, options) => {
        if (left-- === 0) limit.abort()
        return await server.events.search(plan, options)
      },
    }
    const found = await findSeenBefore(server.finding, evidence, server.events.position(), { findings: server.findings, events: slow, isDropped: () => false, signal: new AbortController().signal, limit: limit.signal })
    t.equal(found.complete, days === 30)
    t.strictSame(found.searched, days === null ? null : { earliest: new Date(latest - days * 86_400_000).toISOString(), latest: new Date(latest).toISOString() })
    t.strictSame(found.commands.map(one => one.events), [events, events === null ? null : 0])
  }
})

t.test('earlier findings with the same risk object are counted by detection and disposition', async t => {
  const { happen, run, list, get, call } = await openTriage(t)
  const seen = async ({ id }: Finding) => await get(`findings/${id}/seen-before`) as SeenBefore
  await happen({ pod: 'web-1', tool: 'mount' }, { pod: 'web-1', tool: 'chroot' }, { pod: 'web-2', tool: 'mount' })
  await run('09:00:00')
  await run('10:00:00')
  const ofPod = (findings: readonly Finding[], clock: string) => findings.filter(({ result, time: at }) => (result as { pod: string }).pod === 'web-1' && at === time(`03-10T${clock}`) / 1000)
  const [first, second] = ofPod(await list(), '09:00:00')
  t.equal((await call('PATCH', `findings/${first!.id}`, { status: 'closed', disposition: 'false_positive' })).statusCode, 200)
  t.equal((await call('PATCH', `findings/${second!.id}`, { status: 'closed', disposition: 'benign' })).statusCode, 200)
  t.equal((await call('POST', 'suppressions', { detection: 'a_rule', condition: 'tool=mount', reason: 'builds do', expires_at: '+30d' })).statusCode, 201)
  await run('11:00:00')
  await run('12:00:00')
  const [last] = ofPod(await list('suppressed=include'), '12:00:00')

  t.strictSame(await seen(first!), {
    risk_objects: [{ field: 'pod', type: 'system', value: 'web-1', findings: 0, first: null, last: null, by_detection: [], detections: 0, throttled: 0, suppressed: 0, capped: false }],
    commands: [], searched: null, complete: true, events_gone: false, truncated: false,
  })
  t.strictSame((await seen(last!)).risk_objects, [{
    field: 'pod', type: 'system', value: 'web-1', findings: 5, first: time('03-10T09:00:00') / 1000, last: time('03-10T11:00:00') / 1000,
    by_detection: [{ detection: 'a_rule', findings: 5, dispositions: { true_positive: 0, benign: 1, false_positive: 1, other: 0, none: 3 } }],
    detections: 1, throttled: 0, suppressed: 1, capped: false,
  }])
})

t.test('of very many findings with a risk object the newest 10,000 are counted, and that there are more is said', async t => {
  const { app, findings } = await testApp(t)
  const count = 10_002
  findings.putOwn(Array.from({ length: count }, (_, i) => ({
    id: `f${i}`,
    body: {
      detection: { id: `d${i % 30}`, name: 'd', version: 1 }, time: i, result: {}, severity: 'low', mitre_attack: [], window: { earliest: '2026-03-10T00:00:00Z', latest: '2026-03-10T01:00:00Z' },
      risk: { score: 30, message: null, objects: [{ field: 'pod', type: 'system', value: 'web-1', score: 30 }], threat_objects: [] },
    },
  })), '1' as Position, 0)
  const seen = async (i: number) => (await get({ app }, `findings/f${i}/seen-before`) as SeenBefore).risk_objects[0]!

  const newest = await seen(count - 1)
  t.match(newest, { findings: 10_000, capped: true, first: 1, last: 10_000, detections: 30, by_detection: { length: 20 } })
  t.match(await seen(count - 2), { findings: 10_000, capped: false, first: 0, last: 9_999 })
})

t.test('a viewer is told what was seen before; nobody of findings that are not there', async t => {
  const { app, finding } = await openEscape(t, [mount(), nsenter()])
  const status = async (id: string, headers: Record<string, string>) => (await app.inject({ url: `/api/v1/findings/${id}/seen-before`, headers })).statusCode

  t.equal(await status(finding.id, { authorization: `Bearer ${VIEWER_KEY}` }), 200)
  t.equal(await status(finding.id, {}), 401)
  t.equal(await status('nothing', bearer), 404)
})
