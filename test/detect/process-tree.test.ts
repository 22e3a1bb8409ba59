import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { findProcessTree, TREE_BOUNDS } from '../../src/detect/process-tree.js'
import { inOrder, openProcesses } from '../../src/detect/processes.js'
import type { Event } from '../../src/event.js'
import type { ProcessNode } from '../../src/process.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
import type { Process } from '../fixtures/tetragon.js'
import { envelopeOf, execOf, exitOf } from '../fixtures/tetragon.js'

t.setTimeout(300_000) // hundreds of searches, on a machine that may be busy

const START_MS = ARRIVAL_MS - 3_600_000

/** A process of a forest: its parent by its place before it, and which of its events are stored. */
interface Planned { readonly parent: number, readonly afterMs: number, readonly exec: boolean, readonly exit: boolean, readonly evidence: boolean, readonly binary: number }

const forests = fc.array(fc.record({
  parent: fc.nat({ max: 30 }), afterMs: fc.nat({ max: 100_000 }), exec: fc.boolean(), exit: fc.boolean(), evidence: fc.nat({ max: 4 }).map(n => n === 0), binary: fc.nat({ max: 2 }),
}), { minLength: 1, maxLength: 25, size: 'max' })

function toProcesses (forest: readonly Planned[], node: string): Process[] {
  const processes: Process[] = []
  forest.forEach(({ parent, afterMs, binary }, i) => {
    const above = i === 0 || parent > 27 ? null : processes[parent % i]!
    processes.push({ id: `${node}:${i}`, parent: above, binary: `/bin/b${binary}`, startMs: (above?.startMs ?? START_MS) + afterMs })
  })
  return processes
}

/** What a tree has to hold, said in another way: of each process that is told of, its parent as far as it is known. */
function modelOf (processes: readonly Process[], forest: readonly Planned[]): Map<string, string | null> {
  const isEvidence = (process: Process) => forest[processes.indexOf(process)]!.evidence
  const hasOwn = (process: Process) => isEvidence(process) || forest[processes.indexOf(process)]!.exec || forest[processes.indexOf(process)]!.exit
  const [below, inTree] = [new Set(processes.filter(isEvidence)), new Set(processes.filter(isEvidence))]
  // Exits are looked for by parent too, so the one of any child tells of a parent that is asked for.
  const hasExitBelow = (parent: Process) => processes.some((process, i) => process.parent === parent && forest[i]!.exit)
  const isKnown = (process: Process) => hasOwn(process) || [...inTree].some(child => child.parent === process && (hasOwn(child) || hasExitBelow(process)))
  for (let before = -1; before < below.size + inTree.size;) {
    before = below.size + inTree.size
    for (const process of processes) {
      if (process.parent !== null && below.has(process.parent) && isKnown(process)) below.add(process)
      if (below.has(process)) inTree.add(process)
    }
    for (const process of processes.filter(isEvidence)) {
      for (let at = process.parent; at !== null && isKnown(at); at = at.parent) inTree.add(at)
    }
  }
  return new Map([...inTree].map(({ id, parent }) => [id, parent?.id ?? null]))
}

t.test('the tree of a forest is what its events say, in whatever order they came', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  let round = 0
  let deepest = 0

  await fc.assert(fc.asyncProperty(forests, fc.integer(), async (forest, seed) => {
    const node = { node_name: `node-${round++}`, cluster_name: 'c' }
    const processes = toProcesses(forest, node.node_name)
    const sent = processes.flatMap((process, i) => [
      ...forest[i]!.exec || forest[i]!.evidence ? [execOf(process, node)] : [],
      ...forest[i]!.exit ? [exitOf(process, process.startMs + 60_000, { status: i }, node)] : [],
    ])
    if (sent.length === 0) return
    const shuffled = sent.map((event, i) => ({ event, key: Math.imul(i + 1, seed | 1) })).sort((a, b) => a.key - b.key).map(({ event }) => event)
    await append(events, shuffled.map(envelopeOf), ARRIVAL_MS)
    const stored = await events.find({ predicate: { kind: 'is', field: 'node_name', value: node.node_name, span: { start: 0, end: 0 } }, window: { earliestUs: 0, latestUs: 2 ** 52 }, position: events.position(), order: 'time', limit: 1_000 })
    const kept = stored.map(({ event }) => event).filter(({ event }) => processes.some(({ id }, i) => forest[i]!.evidence && (event as { process_exec?: { process: { exec_id: string } } }).process_exec?.process.exec_id === id))

    const { nodes, truncated } = await findProcessTree({ event_count: kept.length, approximate: false, events: kept }, events.position(), { events, signal: AbortSignal.timeout(600_000), bounds: { ...TREE_BOUNDS, ms: 600_000 } })

    const model = modelOf(processes, forest)
    t.strictSame(truncated, false)
    const isAsTold = t.strictSame(new Map(nodes.map(one => [one.exec_id, one.parent_exec_id])), kept.length === 0 ? new Map() : model)
    for (const [i, { id, startMs }] of processes.entries()) {
      const one = nodes.find(({ exec_id: execId }) => execId === id)
      if (one === undefined) continue
      t.equal(one.start_time, startMs / 1000)
      t.equal(one.evidence, forest[i]!.evidence)
      t.equal(one.exit_code, forest[i]!.exit ? i : null)
    }
    t.ok(isInOrder(nodes))
    deepest = Math.max(deepest, ...processes.map(depthOf))
    return isAsTold // so that a forest that fails is made smaller
  }), { numRuns: 100 })
  t.ok(deepest >= 3, `the deepest has ${deepest} generations`)
})

function depthOf ({ parent }: Process): number {
  return parent === null ? 0 : 1 + depthOf(parent)
}

/** Parents before their children, and no more than one of each. */
function isInOrder (nodes: readonly ProcessNode[]): boolean {
  const places = new Map(nodes.map(({ exec_id: id }, place) => [id, place]))
  return places.size === nodes.length && nodes.every(({ parent_exec_id: parent }, place) => parent === null || (places.get(parent) ?? -1) < place)
}

t.test('forged parents, circles among them, give a tree all the same, in whatever order they are told', t => {
  const id = fc.constantFrom('a', 'A', 'b', 'c', 'd', '', '__proto__', '*', 'é', '\ud800', 'x'.repeat(600))
  const block = fc.record({ exec_id: fc.oneof(id, fc.constant(7), fc.constant(null)), parent_exec_id: id, start_time: fc.constantFrom('2026-03-10T11:00:00Z', '2026-03-10T11:00:01.5Z', 'never', 12) }, { requiredKeys: [] })
  const told = fc.record({
    kind: fc.constantFrom('process_exec', 'process_exit', 'process_kprobe'), process: fc.oneof(block, fc.constant([])), parent: fc.oneof(block, fc.constant('x')), ancestors: fc.oneof(fc.array(block, { maxLength: 4 }), fc.constant({})), evidence: fc.boolean(),
  })

  fc.assert(fc.property(fc.array(told, { maxLength: 12 }), fc.constantFrom(2, 64), (events, depth) => {
    const treeOf = (order: readonly number[]) => {
      const processes = openProcesses({ cluster_name: null, node_name: null })
      for (const i of order) {
        const { kind, evidence, ...body } = events[i]!
        processes.add({ id: i, timeUs: 1_000 - (i % 3), payload: { [kind]: body } }, evidence)
      }
      return processes.toNodes({ nodes: 8, depth })
    }
    const places = [...events.keys()]

    const { nodes } = treeOf(places)

    t.ok(nodes.length <= 8)
    t.strictSame(treeOf(places.toReversed()).nodes, nodes)
    const parents = new Map(nodes.map(({ exec_id: own, parent_exec_id: parent }) => [own, parent]))
    t.equal(parents.size, nodes.length)
    for (const { exec_id: start } of nodes) {
      let at: string | null | undefined = start
      for (let steps = 0; at !== null && at !== undefined; steps++) {
        if (steps > nodes.length) throw new Error('a circle')
        at = parents.get(at)
      }
    }
    t.ok(isInOrder(inOrder(nodes)))
  }), { numRuns: 500 })
  t.end()
})

t.test('a tree that takes too long, or too many events, has what was found by then', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  const shell: Process = { id: 'shell', parent: null, binary: '/bin/sh', startMs: START_MS }
  const children = Array.from({ length: 30 }, (_, i): Process => ({ id: `child${i}`, parent: shell, binary: '/bin/ls', startMs: START_MS + i }))
  await append(events, [shell, ...children].map(process => envelopeOf(execOf(process))), ARRIVAL_MS)
  const [first] = await events.find({ predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: { earliestUs: 0, latestUs: 2 ** 52 }, position: events.position(), order: 'id', limit: 1 })
  const evidence = { event_count: 1, approximate: false, events: [first!.event] as Event[] }
  const treeOf = (bounds: object) => findProcessTree(evidence, events.position(), { events, signal: new AbortController().signal, bounds: { ...TREE_BOUNDS, ms: 600_000, ...bounds } })

  t.match(await treeOf({}), { truncated: false, nodes: { length: 31 } })
  t.match(await treeOf({ events: 10 }), { truncated: true, nodes: { length: 11 } })
  t.match(await treeOf({ bytes: 3 * first!.event.raw.length }), { truncated: true })
  t.match(await treeOf({ ms: 0 }), { truncated: true, nodes: [{ exec_id: 'shell', evidence: true }] })
  t.match(await findProcessTree({ ...evidence, event_count: 2 }, events.position(), { events, signal: new AbortController().signal }), { truncated: true })
  await t.rejects(findProcessTree(evidence, events.position(), { events, signal: AbortSignal.abort() }), { code: 'unavailable' })
})
