import type { Test } from 'tap'
import t from 'tap'
import type { ProcessNode, ProcessTree } from '../../src/process.js'
import type { TestAppOptions } from '../fixtures/app.js'
import { bearer, post, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { LITERAL } from '../fixtures/golden.js'
import { get, runAt } from '../fixtures/rules.js'
import type { Process } from '../fixtures/tetragon.js'
import { envelopeOf, execOf, exitOf, podOf } from '../fixtures/tetragon.js'
import { openTriage } from '../fixtures/workflow.js'

t.setTimeout(300_000) // a dozen servers, on a machine that may be busy

const at = (clock: string, day = 10) => Date.parse(`2026-03-${String(day).padStart(2, '0')}T${clock}Z`)
const pod = podOf('web-1', { privileged: true })

/** A container that began a day before, a shell in it, what the shell tries, and what that leads to on the host. */
const shim: Process = { id: 'c2hpbQ==', parent: null, binary: '/usr/bin/containerd-shim', startMs: at('08:00:00', 9) }
const entry: Process = { id: 'ZW50cnk=', parent: shim, binary: '/app/server', startMs: at('08:00:01', 9), pod }
const shell: Process = { id: 'c2hlbGw=', parent: entry, binary: '/bin/sh', args: '-i', startMs: at('11:05:00'), pod }
const mount: Process = { id: 'bW91bnQ=', parent: shell, binary: '/bin/mount', args: '/dev/sda1 /mnt', startMs: at('11:05:10'), pod }
const nsenter: Process = { id: 'bnNlbnRlcg==', parent: shell, binary: '/usr/bin/nsenter', args: '-t 1 -m -- bash', startMs: at('11:06:00'), pod }
const bash: Process = { id: 'YmFzaA==', parent: nsenter, binary: '/usr/bin/bash', startMs: at('11:06:01') }
const cat: Process = { id: 'Y2F0', parent: bash, binary: '/usr/bin/cat', args: '/etc/shadow', startMs: at('11:20:00') }
const other: Process = { id: 'b3RoZXI=', parent: entry, binary: '/bin/date', startMs: at('11:05:30'), pod }

async function openEscape (t: Test, events: readonly object[], options: TestAppOptions = {}) {
  const server = await testApp(t, options)
  t.equal((await post(server, events.map(event => JSON.stringify(envelopeOf(event))).join(''))).statusCode, 200)
  t.match(await runAt(server, LITERAL), { status: 'succeeded', findings: { created: 1 } })
  const [finding] = (await get(server, `findings?detection=${LITERAL}`)).items as { id: string }[]
  return { ...server, id: finding!.id, tree: async () => await get(server, `findings/${finding!.id}/process-tree`) as ProcessTree }
}

const shown = ({ nodes }: ProcessTree) => nodes.map(({ exec_id: id, parent_exec_id: parent, evidence }) => [id, parent, evidence])
const nodeOf = ({ nodes }: ProcessTree, { id }: Process) => nodes.find(node => node.exec_id === id)

t.test('a process tree has the processes of the contributing events, what they came from, and what came of them', async t => {
  const { tree } = await openEscape(t, [
    execOf(cat), execOf(shim), execOf(bash), execOf(mount), execOf(other), execOf(nsenter), execOf(shell), execOf(entry), exitOf(cat, at('11:20:01')), exitOf(bash, at('11:30:00'), { signal: 'SIGKILL' }),
    exitOf(mount, at('11:05:11'), { status: 32 }),
  ])

  const found = await tree()

  t.strictSame(shown(found), [
    [shim.id, null, false], [entry.id, shim.id, false], [shell.id, entry.id, false], [mount.id, shell.id, true], [nsenter.id, shell.id, true], [bash.id, nsenter.id, false], [cat.id, bash.id, false],
  ])
  t.match(found, { truncated: false, events_gone: false, searched: { earliest: '2026-03-10T10:05:10.000Z', latest: '2026-03-10T12:06:00.000001Z' } })
  t.strictSame(nodeOf(found, nsenter), {
    exec_id: nsenter.id, parent_exec_id: shell.id, cluster_name: 'prod', node_name: 'n1', pid: 100, uid: 0, binary: '/usr/bin/nsenter', arguments: '-t 1 -m -- bash', cwd: '/',
    start_time: nsenter.startMs / 1000, end_time: null, exit_code: null, signal: null,
    pod: { namespace: 'shop', name: 'web-1', container_id: 'containerd://web-1', container_name: 'app', image: 'reg/app:1' },
    host: false, privileged: true, crosses_to_host: true, evidence: true, event_id: 6,
  } satisfies ProcessNode)
  t.match(nodeOf(found, bash), { host: true, pod: null, privileged: null, crosses_to_host: true, end_time: at('11:30:00') / 1000, exit_code: null, signal: 'SIGKILL' })
  t.match(nodeOf(found, cat), { host: true, crosses_to_host: false, end_time: at('11:20:01') / 1000, exit_code: 0, signal: null })
  t.match(nodeOf(found, mount), { crosses_to_host: false, exit_code: 32 })
  t.match(nodeOf(found, shim), { host: true, crosses_to_host: false })
})

t.test('a process whose own event is not stored is known from those of its children and its exit', async t => {
  const { tree } = await openEscape(t, [execOf(mount), execOf(nsenter), exitOf(bash, at('11:30:00')), execOf(cat)])

  const found = await tree()

  t.strictSame(shown(found), [[shell.id, entry.id, false], [mount.id, shell.id, true], [nsenter.id, shell.id, true], [bash.id, nsenter.id, false], [cat.id, bash.id, false]])
  t.match(nodeOf(found, shell), { binary: '/bin/sh', event_id: null })
})

t.test('ancestors that an event lists are in the tree, also where parents come without their ids', async t => {
  const ancestors = [{ exec_id: entry.id, parent_exec_id: shim.id, binary: '/app/server', pod }, { exec_id: shim.id, binary: '/usr/bin/containerd-shim' }]
  const { tree } = await openEscape(t, [execOf(mount), execOf(nsenter, undefined, { parent: { pid: 1, binary: '/bin/sh', parent_exec_id: entry.id }, ancestors })])

  t.strictSame(shown(await tree()), [[shim.id, null, false], [entry.id, shim.id, false], [shell.id, entry.id, false], [mount.id, shell.id, true], [nsenter.id, shell.id, true]])
})

t.test('the namespaces of a process say that it has stepped to the host, where events have them', async t => {
  const ns = (isHost: boolean) => ({ ns: { mnt: { inum: 1, ...isHost ? { is_host: true } : {} }, user: { inum: 2, is_host: true } } })
  const inside = { ...bash, pod, more: ns(true) }
  const { tree } = await openEscape(t, [execOf(mount), execOf({ ...nsenter, args: '-t 77 -m', more: ns(false) }), execOf(inside), execOf({ ...cat, parent: inside, pod, more: ns(true) })])

  const found = await tree()

  t.strictSame([nsenter, bash, cat].map(one => nodeOf(found, one)?.crosses_to_host), [false, true, false])
})

t.test('nsenter into the first process of the host, and chroot into its disk, count as steps to the host; others of their calls do not', async t => {
  const calls: readonly [binary: string, args: string | undefined, isStep: boolean][] = [
    ['/usr/bin/nsenter', '-t 1 -m', true], ['/usr/bin/nsenter', '-mt1 sh', true], ['/usr/bin/nsenter', '--target=1 --all', true], ['/usr/bin/nsenter', '-m --target 1', true],
    ['/usr/bin/nsenter', '--mount=/proc/1/ns/mnt sh', true], ['/usr/bin/nsenter', '-t 12 -m', false], ['/usr/bin/nsenter', undefined, false], ['/usr/bin/nsenter', '--help', false],
    ['/usr/sbin/chroot', '/host', true], ['/usr/sbin/chroot', '/proc/1/root/ sh', true], ['/usr/sbin/chroot', '/hostile', false], ['/bin/ls', '-t 1 /host', false],
  ]
  const processes = calls.map(([binary, args], i): Process => ({ id: `call${i}`, parent: nsenter, binary, ...args === undefined ? {} : { args }, startMs: at('11:07:00') + i, pod }))
  const { tree } = await openEscape(t, [mount, nsenter, ...processes].map(one => execOf(one)))

  const found = await tree()

  t.strictSame(processes.map(one => nodeOf(found, one)?.crosses_to_host), calls.map(([, , isStep]) => isStep))
})

t.test('processes of another node or cluster with the same ids are not in the tree', async t => {
  const elsewhere = [{ node_name: 'n2', cluster_name: 'prod' }, { node_name: 'n1', cluster_name: 'test' }, { node_name: 'n1' }]
  const { tree } = await openEscape(t, [execOf(mount), execOf(nsenter), ...elsewhere.map(node => execOf(bash, node))])

  t.strictSame(shown(await tree()).map(([id]) => id), [shell.id, mount.id, nsenter.id])
})

t.test('the tree of events that retention has taken is made of what the finding keeps', async t => {
  const server = await openEscape(t, [execOf(mount), execOf(nsenter), execOf(bash)], { retention: { ageMs: 86_400_000, bytes: Number.MAX_SAFE_INTEGER } })
  t.match(await server.tree(), { events_gone: false, nodes: { length: 4 } })
  await server.events.retain(at('12:00:00', 20), 'roomy')

  const found = await server.tree()

  t.strictSame(shown(found), [[shell.id, entry.id, false], [mount.id, shell.id, true], [nsenter.id, shell.id, true]])
  t.match(found, { events_gone: true, truncated: false })
})

t.test('a tree of too many processes says so, and has the first of them', async t => {
  const many = Array.from({ length: 600 }, (_, i): Process => ({ id: `child${i}`, parent: nsenter, binary: '/bin/true', startMs: at('11:10:00') + i, pod }))
  const { tree } = await openEscape(t, [mount, nsenter, ...many].map(one => execOf(one)))

  const found = await tree()

  t.equal(found.truncated, true)
  t.strictSame(shown(found).map(([id]) => id), [shell.id, mount.id, nsenter.id, ...many.slice(0, 497).map(({ id }) => id)])
})

t.test('long text of a process is cut', async t => {
  const { tree } = await openEscape(t, [execOf({ ...mount, args: 'x'.repeat(100_000) }), execOf(nsenter)])

  t.equal(nodeOf(await tree(), mount)?.arguments, `${'x'.repeat(4_000)}…`)
})

t.test('a finding without processes has an empty tree', async t => {
  const { happen, run, list, get } = await openTriage(t)
  await happen({ pod: 'web-1', tool: 'mount' })
  await run()
  const [finding] = await list()

  t.strictSame(await get(`findings/${finding!.id}/process-tree`), { nodes: [], truncated: false, searched: null, events_gone: false })
})

t.test('a viewer reads process trees; nobody those of findings that are not there', async t => {
  const { app, id } = await openEscape(t, [execOf(mount), execOf(nsenter)])
  const status = async (path: string, headers: Record<string, string>) => (await app.inject({ url: `/api/v1/findings/${path}/process-tree`, headers })).statusCode

  t.equal(await status(id, { authorization: `Bearer ${VIEWER_KEY}` }), 200)
  t.equal(await status(id, {}), 401)
  t.equal(await status('nothing', bearer), 404)
})
