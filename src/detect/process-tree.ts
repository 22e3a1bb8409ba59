import type { Event, Window } from '../event.js'
import { toMicroseconds, toRfc3339 } from '../event.js'
import { BUILT_IN_TABLES } from '../fields/field-tables.js'
import { openFields } from '../fields/fields.js'
import type { Evidence } from '../finding.js'
import type { ProcessTree } from '../process.js'
import type { Predicate } from '../spl/ast.js'
import { allOf, joinTerms, lacks } from '../spl/predicate.js'
import { toScalars, toText } from '../spl/value.js'
import type { EventStore, FoundEvent, Position } from '../store/events.js'
import { EVERY, toIndexed } from './evidence.js'
import type { Processes, ProcessScope } from './processes.js'
import { inOrder, openProcesses } from './processes.js'

const NOWHERE = { start: 0, end: 0 }

/** Bounds of one tree. Where one is met, the tree says that it is truncated. */
export interface TreeBounds {
  readonly nodes: number
  /** Generations up, and down. */
  readonly depth: number
  /** Clusters and nodes that the evidence is from. */
  readonly scopes: number
  /** Events that are read, and characters of them. */
  readonly events: number
  readonly bytes: number
  readonly ms: number
}

export const TREE_BOUNDS: TreeBounds = { nodes: 500, depth: 64, scopes: 5, events: 5_000, bytes: 32 << 20, ms: 15_000 }

/** How far around the contributing events it is looked for others of their processes. */
const AROUND_US = 3_600_000_000

/** A process's own event is looked for around its start: its time may be that of its arrival. */
const BEFORE_START_US = 60_000_000
const AFTER_START_US = 600_000_000

/** Events that are fetched at a time: they may be large. */
const PAGE = 100

export interface TreeDeps { readonly events: EventStore, readonly signal: AbortSignal, readonly bounds?: TreeBounds }

/** The processes of a finding's kept events, with their ancestors and descendants as the store has them at a position. */
export async function findProcessTree (evidence: Evidence | null, position: Position, { events, signal, bounds = TREE_BOUNDS }: TreeDeps): Promise<ProcessTree> {
  const kept = evidence?.events ?? []
  const { scopes, truncated: tooMany } = scopesOf(kept, bounds)
  const isShort = tooMany || (evidence !== null && evidence.event_count > kept.length)
  if (scopes.length === 0) return { nodes: [], truncated: isShort, searched: null, events_gone: await areGone(kept, position, { events, signal }) }
  const times = kept.map(({ time }) => toMicroseconds(time))
  const window: Window = { earliestUs: Math.min(...times) - AROUND_US, latestUs: Math.max(...times) + AROUND_US + 1 }
  const timer = AbortSignal.timeout(bounds.ms)
  const read = openEventReader({ events, position, signal: AbortSignal.any([signal, timer]), bounds })
  let isWhole = !isShort
  try {
    for (const processes of scopes) isWhole = await complete(processes, window, read, bounds) && isWhole
  } catch (error) {
    if (!timer.aborted || signal.aborted) throw error
    isWhole = false // what was found by then is shown
  }
  const trees = scopes.map(processes => processes.toNodes(bounds))
  const nodes = inOrder(trees.flatMap(({ nodes }) => nodes))
  return {
    nodes: nodes.slice(0, bounds.nodes),
    truncated: !isWhole || read.isCut() || nodes.length > bounds.nodes || trees.some(({ truncated }) => truncated),
    searched: { earliest: toRfc3339(window.earliestUs), latest: toRfc3339(window.latestUs) },
    events_gone: await areGone(kept, position, { events, signal }),
  }
}

/** The kept events by cluster and node; those of no process are left out. */
function scopesOf (kept: readonly Event[], bounds: TreeBounds): { scopes: Processes[], truncated: boolean } {
  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  const byName = new Map<string, Processes>()
  let truncated = false
  for (const event of kept) {
    const indexed = toIndexed(event, own)
    const [cluster = null, node = null] = ['cluster_name', 'node_name'].map(name => toScalars(own.fieldOf(indexed, name)).map(toText)[0] ?? null)
    const key = JSON.stringify([cluster, node])
    const processes = byName.get(key) ?? openProcesses({ cluster_name: cluster, node_name: node })
    if (!processes.add({ id: event.id, timeUs: indexed.timeUs, payload: indexed.payload }, true)) continue
    if (byName.size < bounds.scopes || byName.has(key)) byName.set(key, processes)
    else truncated = true
  }
  return { scopes: [...byName.values()], truncated }
}

/** Adds what the store knows of the ancestors and descendants; says whether all of it was looked at. */
async function complete (processes: Processes, window: Window, read: EventReader, { nodes, depth }: TreeBounds): Promise<boolean> {
  const limits = { nodes, depth }
  const scope = scopeTerms(processes.scope)
  const asked = { around: new Set<string>(), own: new Set<string>(), children: new Set<string>(), rest: new Set<string>() }
  const next = (kind: keyof typeof asked, ids: readonly string[]) => {
    const fresh = ids.filter(id => !asked[kind].has(id))
    for (const id of fresh) asked[kind].add(id)
    return fresh
  }
  const find = (within: Window, terms: readonly Predicate[], ids: ReadonlySet<string>) => read.find(allOf([...scope, ...terms], NOWHERE), within, processes, ids)

  // Ends: each turn asks of processes that none before has asked of, and there are not more than may be read.
  for (let turn = 0; turn < 4 * depth; turn++) {
    const { up, down } = processes.select(limits)
    const all = [...up, ...down, ...[...up, ...down].map(processes.parentOf).filter(id => id !== null && !processes.has(id)) as string[]]
    const missing = all.filter(id => !processes.hasExec(id))
    const wanted = [...next('own', missing.filter(id => processes.startOf(id) !== null)), ...next('around', missing.filter(id => processes.startOf(id) === null))]
    if (wanted.length > 0) {
      for (const { within, ids } of byStart(wanted, processes, window)) await find(within, [idTerm('process_exec', 'exec_id', ids)], new Set(ids))
      continue
    }
    const parents = next('children', down)
    if (parents.length > 0) {
      await find(window, [...parentNames(parents, processes), idTerm('process_exec', 'parent_exec_id', parents)], new Set(parents))
      continue
    }
    // Exits, and what has no parent's name: no column says of which process these are, so they are read once for all.
    const rest = next('rest', all)
    if (rest.length === 0) return true
    const terms = [idTerm('process_exec', 'parent_exec_id', rest), idTerm('process_exit', 'parent_exec_id', rest), idTerm('process_exit', 'exec_id', rest)]
    await find(window, [lacks('parent_process_name', NOWHERE), joinTerms('or', terms, NOWHERE)], new Set(rest))
  }
  return false
}

/** Stretches of time in which the events of these processes are looked for: around their starts, where those are known. */
function byStart (ids: readonly string[], processes: Processes, window: Window): { within: Window, ids: string[] }[] {
  const stretches: { within: Window, ids: string[] }[] = []
  const unknown = ids.filter(id => processes.startOf(id) === null)
  if (unknown.length > 0) stretches.push({ within: window, ids: unknown })
  const starts = ids.flatMap(id => {
    const startUs = processes.startOf(id)
    return startUs === null ? [] : [{ id, startUs }]
  })
  let last: { within: Window, ids: string[] } | undefined
  for (const { id, startUs } of starts.sort((a, b) => a.startUs - b.startUs)) {
    const within = { earliestUs: startUs - BEFORE_START_US, latestUs: startUs + AFTER_START_US }
    if (last !== undefined && within.earliestUs <= last.within.latestUs) {
      last.within = { ...last.within, latestUs: within.latestUs }
      last.ids.push(id)
    } else stretches.push(last = { within, ids: [id] })
  }
  return stretches
}

function scopeTerms ({ cluster_name: cluster, node_name: node }: ProcessScope): Predicate[] {
  return Object.entries({ cluster_name: cluster, node_name: node }).map(([field, value]) => value === null ? lacks(field, NOWHERE) : { kind: 'is', field, value, span: NOWHERE })
}

function idTerm (kind: string, member: string, ids: readonly string[]): Predicate {
  return { kind: 'rows', fields: [`${kind}.process.${member}`], rows: ids.map(id => [id]), span: NOWHERE }
}

/** That the events' column says the name of one of the parents, which spares the others from being read; nothing where a name isn't known. */
function parentNames (parents: readonly string[], processes: Processes): Predicate[] {
  const names = parents.map(processes.nameOf)
  if (names.includes(null)) return []
  return [joinTerms('or', [...new Set(names as string[])].map(value => ({ kind: 'is', field: 'parent_process_name', value, span: NOWHERE })), NOWHERE)]
}

interface EventReader {
  /** Adds the events that meet a condition and are of one of the processes, or of a child of one. */
  readonly find: (predicate: Predicate, window: Window, processes: Processes, ids: ReadonlySet<string>) => Promise<void>
  /** Whether events were left out for their size or number. */
  readonly isCut: () => boolean
}

function openEventReader ({ events, position, signal, bounds }: { readonly events: EventStore, readonly position: Position, readonly signal: AbortSignal, readonly bounds: TreeBounds }): EventReader {
  const own = openFields(BUILT_IN_TABLES, () => () => undefined)
  let { events: left, bytes } = bounds
  let isCut = false
  return {
    isCut: () => isCut,
    async find (predicate, window, processes, ids) {
      let after: { timeUs: number, id: number } | undefined
      while (!isCut) {
        const page: readonly FoundEvent[] = await events.find({ predicate, window, position, order: 'time', limit: PAGE, after, signal })
        for (const { event, timeUs } of page) {
          bytes -= event.raw.length
          isCut = --left < 0 || bytes < 0
          if (isCut) return
          processes.add({ id: event.id, timeUs, payload: toIndexed(event, own).payload }, false, ids)
          after = { timeUs, id: event.id }
        }
        if (page.length < PAGE) return
      }
    },
  }
}

/** Whether the store has not all of the kept events any more: the first of them that was stored is the first to go. */
async function areGone (kept: readonly Event[], position: Position, { events, signal }: Pick<TreeDeps, 'events' | 'signal'>): Promise<boolean> {
  if (kept.length === 0) return false
  const first = kept.reduce((a, b) => b.id < a.id ? b : a)
  const timeUs = toMicroseconds(first.time)
  const found = await events.find({ predicate: EVERY, window: { earliestUs: timeUs, latestUs: timeUs + 1 }, position, order: 'id', after: { timeUs: 0, id: first.id - 1 }, limit: 1, signal })
  return found[0]?.event.id !== first.id
}
