import { toSeconds } from '../event.js'
import { ownTime } from '../fields/time.js'
import { TETRAGON_KEYS } from '../fields/tables.js'
import type { ProcessNode } from '../process.js'

/** What `exec_id`s are unique within; null is an event without that field. */
export interface ProcessScope { readonly cluster_name: string | null, readonly node_name: string | null }

/** An event that may tell of processes; `payload` is the object that it holds. */
export interface ProcessEvent { readonly id: number, readonly timeUs: number, readonly payload: object | null }

export interface TreeLimits { readonly nodes: number, readonly depth: number }

/** Which of the known processes are in a tree, those that come first where there are too many; an id of each. */
export interface Selection {
  /** Those of the evidence and their descendants. */
  readonly down: readonly string[]
  /** Ancestors of those of the evidence. */
  readonly up: readonly string[]
  readonly truncated: boolean
}

/** How an event tells of a process. Where two say something else, the first of these counts, then the earlier event. */
const RANK = { exec: 0, own: 1, parent: 2, ancestor: 3 } as const
type Rank = keyof typeof RANK

/** What one event says of a process. */
interface Claim { readonly event: ProcessEvent, readonly parentExecId: string | null, readonly process: Json }

interface Known { readonly claims: (Claim | undefined)[], exit?: Claim & { readonly exit: Json }, isEvidence: boolean }

type Json = Readonly<Record<string, unknown>>

const MAX_ID = 512
const MAX_TEXT = 4_000

/** More are not listed by Tetragon either. */
const MAX_ANCESTORS = 100

/**
 * The processes of one cluster and node that events tell of. What it gives hangs on the events alone, not on the order in which they are added; exec_ids may be
 * forged, so that a process is its own ancestor.
 */
export function openProcesses (scope: ProcessScope) {
  const known = new Map<string, Known>()
  const children = new Map<string, Set<string>>()

  function claim (execId: string | null, rank: Rank, { event, parentExecId, process }: Claim): Known | null {
    if (execId === null) return null
    let one = known.get(execId)
    if (one === undefined) known.set(execId, one = { claims: [], isEvidence: false })
    const before = one.claims[RANK[rank]]
    if (before === undefined || isEarlier(event, before.event)) one.claims[RANK[rank]] = { event, parentExecId, process }
    if (parentExecId !== null) {
      const siblings = children.get(parentExecId)
      if (siblings === undefined) children.set(parentExecId, new Set([execId]))
      else siblings.add(execId)
    }
    return one
  }

  function parentOf (execId: string): string | null {
    for (const one of known.get(execId)?.claims ?? []) if (one !== undefined && one.parentExecId !== null) return one.parentExecId
    return null
  }

  /** The first that a claim says, of those that come first. */
  function said<T> (execId: string, read: (process: Json) => T | null): T | null {
    for (const one of known.get(execId)?.claims ?? []) {
      const value = one === undefined ? null : read(one.process)
      if (value !== null) return value
    }
    return null
  }

  const startOf = (execId: string) => said(execId, ({ start_time: time }) => timeOf(time))

  /** Oldest first; where nobody knows, last. */
  function compare (a: string, b: string): number {
    const [x, y] = [startOf(a) ?? Infinity, startOf(b) ?? Infinity]
    return x === y ? (a < b ? -1 : a > b ? 1 : 0) : x - y
  }

  function ancestorsOf (ids: readonly string[], depth: number): { found: string[], truncated: boolean } {
    const found = new Set<string>()
    let truncated = false
    for (const id of ids) {
      let at = parentOf(id)
      for (let level = 0; at !== null && known.has(at) && !found.has(at); level++) {
        if (level === depth) {
          truncated = true
          break
        }
        found.add(at)
        at = parentOf(at)
      }
    }
    return { found: [...found].filter(id => !ids.includes(id)), truncated }
  }

  /** Level by level, the oldest of a level first. */
  function descendantsOf (ids: readonly string[], depth: number): { found: string[], truncated: boolean } {
    const found = new Set(ids)
    let level = [...ids]
    for (let i = 0; level.length > 0; i++) {
      const next = new Set(level.flatMap(id => [...children.get(id) ?? []].filter(child => parentOf(child) === id && !found.has(child))))
      if (next.size > 0 && i === depth) return { found: [...found], truncated: true }
      level = [...next].sort(compare)
      for (const id of level) found.add(id)
    }
    return { found: [...found], truncated: false }
  }

  function select ({ nodes, depth }: TreeLimits): Selection {
    const evidence = [...known].filter(([, { isEvidence }]) => isEvidence).map(([id]) => id).sort(compare)
    const own = evidence.slice(0, nodes)
    const above = ancestorsOf(own, depth)
    const below = descendantsOf(own, depth)
    const lineage = new Set(below.found) // an ancestor of one may be a descendant of another
    const onlyAbove = above.found.filter(id => !lineage.has(id))
    const up = onlyAbove.slice(0, nodes - own.length)
    const down = below.found.slice(0, nodes - up.length)
    return { up, down, truncated: evidence.length > own.length || above.truncated || below.truncated || up.length < onlyAbove.length || down.length < below.found.length }
  }

  return {
    scope,
    select,
    parentOf,
    startOf,
    has: (execId: string) => known.has(execId),
    /** Whether the event of its own execution is known. */
    hasExec: (execId: string) => known.get(execId)?.claims[RANK.exec] !== undefined,
    /** The last part of the binary's path, as `process_name` has it. */
    nameOf: (execId: string) => said(execId, ({ binary }) => nameOf(binary)),
    /** `evidence`: the event contributes to the finding; `ids`: only where it is of one of these, or of a child. Says whether it tells of a process. */
    add (event: ProcessEvent, evidence: boolean, ids?: ReadonlySet<string>): boolean {
      const told = readEvent(event)
      if (told === null) return false
      const { kind, process, parent, ancestors, body } = told
      const execId = idOf(process.exec_id)
      let [parentId, above] = [idOf(process.parent_exec_id) ?? idOf(parent.exec_id), parent]
      // A search compares without regard to case.
      if (ids !== undefined && !(execId !== null && ids.has(execId)) && !(parentId !== null && ids.has(parentId))) return false
      const one = claim(execId, kind === 'process_exec' ? 'exec' : 'own', { event, parentExecId: parentId, process })
      if (one !== null && evidence) one.isEvidence = true
      if (one !== null && kind === 'process_exit' && (one.exit === undefined || isEarlier(event, one.exit.event))) one.exit = { event, parentExecId: parentId, process, exit: body }
      for (const [i, next] of [...ancestors, null].entries()) {
        // Some agents leave out the ids of parents: a child has it.
        const id = idOf(above.exec_id) ?? parentId
        const nextId = idOf(above.parent_exec_id) ?? (next === null ? null : idOf(next.exec_id))
        if (Object.keys(above).length > 0) claim(id, i === 0 ? 'parent' : 'ancestor', { event, parentExecId: nextId, process: above })
        if (next !== null) [parentId, above] = [nextId, next]
      }
      return one !== null
    },
    /** Those of the tree, in no order of use; `parentOf` them may be a circle. */
    toNodes (limits: TreeLimits): { nodes: ProcessNode[], truncated: boolean } {
      const { up, down, truncated } = select(limits)
      const ids = [...up, ...down].sort(compare)
      const cut = cutsOf(ids, parentOf)
      return { truncated, nodes: ids.map(id => toNode(id, cut.has(id) ? null : parentOf(id))) }
    },
  }

  function toNode (execId: string, parentExecId: string | null): ProcessNode {
    const { claims, exit, isEvidence } = known.get(execId)!
    const pod = said(execId, podOf)
    const host = isOnHost(execId)
    const text = (name: string) => said(execId, process => textOf(process[name]))
    const signal = exit === undefined ? null : textOf(exit.exit.signal)
    const privileged = said(execId, privilegedOf)
    const startUs = startOf(execId)
    return {
      exec_id: execId,
      parent_exec_id: parentExecId,
      cluster_name: scope.cluster_name,
      node_name: scope.node_name,
      pid: said(execId, ({ pid }) => intOf(pid)),
      uid: said(execId, ({ uid }) => intOf(uid)),
      binary: text('binary'),
      arguments: text('arguments'),
      cwd: text('cwd'),
      start_time: startUs === null ? null : toSeconds(startUs),
      end_time: exit === undefined ? null : toSeconds(timeOf(at(exit.event.payload, 'time')) ?? exit.event.timeUs),
      exit_code: exit === undefined ? null : intOf(exit.exit.status) ?? (signal === null ? 0 : null), // a status of 0 is left out
      signal,
      pod,
      host,
      privileged: host ? null : privileged,
      crosses_to_host: crosses(execId, parentExecId),
      evidence: isEvidence,
      event_id: (claims[RANK.exec] ?? claims[RANK.own])?.event.id ?? null,
    }
  }

  function isOnHost (execId: string): boolean {
    return said(execId, podOf) === null && said(execId, ({ docker }) => textOf(docker)) === null
  }

  function crosses (execId: string, parentExecId: string | null): boolean {
    const isHost = isOnHost(execId)
    if (!isHost && asksForHost(said(execId, ({ binary }) => nameOf(binary)), said(execId, process => textOf(process.arguments)))) return true
    if (parentExecId === null || !known.has(parentExecId) || isOnHost(parentExecId)) return false
    if (isHost) return true
    const [own, before] = [said(execId, namespacesOf), said(parentExecId, namespacesOf)]
    return own !== null && before !== null && [...own].some(name => !before.has(name))
  }
}
export type Processes = ReturnType<typeof openProcesses>

/** Parents before their children, else by start time; nodes of one cluster and node. A parent that is not among them comes before nobody. */
export function inOrder (nodes: readonly ProcessNode[]): ProcessNode[] {
  const keyOf = ({ cluster_name: cluster, node_name: node }: ProcessNode, id: string | null) => JSON.stringify([cluster, node, id])
  const byKey = new Map(nodes.map(node => [keyOf(node, node.exec_id), node]))
  const done = new Set<ProcessNode>()
  const sorted = [...nodes].sort((a, b) => (a.start_time ?? Infinity) - (b.start_time ?? Infinity) || 0)
  return sorted.flatMap(node => {
    const path: ProcessNode[] = []
    for (let at: ProcessNode | undefined = node; at !== undefined && !done.has(at); at = at.parent_exec_id === null ? undefined : byKey.get(keyOf(at, at.parent_exec_id))) {
      done.add(at)
      path.push(at)
    }
    return path.reverse()
  })
}

/** Of each circle the first of `ids`, whose parent is to be forgotten. */
function cutsOf (ids: readonly string[], parentOf: (id: string) => string | null): ReadonlySet<string> {
  const among = new Set(ids)
  const cuts = new Set<string>()
  const seenFrom = new Map<string, string>()
  for (const start of ids) {
    let at: string | null = start
    while (at !== null && among.has(at) && !seenFrom.has(at)) {
      seenFrom.set(at, start)
      at = parentOf(at)
    }
    if (at === null || seenFrom.get(at) !== start) continue
    const circle = [at]
    for (let next = parentOf(at)!; next !== at; next = parentOf(next)!) circle.push(next)
    cuts.add(ids.find(id => circle.includes(id))!)
  }
  return cuts
}

/** What isovalent-events.md 1.2 and 1.3 say of an event; null where it is of no process. */
function readEvent ({ payload }: ProcessEvent) {
  if (payload === null) return null
  const kind = TETRAGON_KEYS.find(key => Object.hasOwn(payload, key))
  const body = kind === undefined ? null : objectOf(at(payload, kind))
  const process = body === null ? null : objectOf(body.process)
  if (kind === undefined || body === null || process === null) return null
  const ancestors = Array.isArray(body.ancestors) ? body.ancestors.slice(0, MAX_ANCESTORS).map(one => objectOf(one) ?? {}) : []
  return { kind, body, process, parent: objectOf(body.parent) ?? {}, ancestors }
}

/** Namespaces that a process shares with the host. Source: Tetragon's Namespaces message, `is_host` of each; off by default. */
function namespacesOf ({ ns }: Json): ReadonlySet<string> | null {
  const all = objectOf(ns)
  return all === null ? null : new Set(Object.keys(all).filter(name => objectOf(all[name])?.is_host === true))
}

/** `nsenter` into process 1, or by a path of its namespaces; `chroot` into its root, or into the host's disk as `kubectl debug node/…` mounts it. */
const ASKS_FOR_HOST: Readonly<Record<string, RegExp>> = {
  nsenter: /(?:^|\s)(?:-\w*t\s*|--target(?:=|\s+))1(?:\s|$)|\/proc\/1\/ns\//,
  chroot: /(?:^|\s)(?:\/proc\/1\/root|\/host)(?:[/\s]|$)/,
}

function asksForHost (name: string | null, args: string | null): boolean {
  return name !== null && args !== null && Object.hasOwn(ASKS_FOR_HOST, name) && ASKS_FOR_HOST[name]!.test(args)
}

function podOf ({ pod }: Json): ProcessNode['pod'] {
  const one = objectOf(pod)
  if (one === null) return null
  const container = objectOf(one.container) ?? {}
  return {
    namespace: textOf(one.namespace),
    name: textOf(one.name),
    container_id: textOf(container.id),
    container_name: textOf(container.name),
    image: textOf(objectOf(container.image)?.name),
  }
}

/** An empty security context is one that is not privileged. */
function privilegedOf ({ pod }: Json): boolean | null {
  const context = objectOf(objectOf(objectOf(pod)?.container)?.security_context)
  return context === null ? null : context.privileged === true
}

function isEarlier (a: ProcessEvent, b: ProcessEvent): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.id < b.id)
}

function nameOf (binary: unknown): string | null {
  return typeof binary === 'string' ? binary.slice(binary.lastIndexOf('/') + 1).toWellFormed() : null
}

function idOf (json: unknown): string | null {
  return typeof json === 'string' && json !== '' && json.length <= MAX_ID ? json.toWellFormed() : null
}

/** Text as it is shown: cut, with `…` behind it; null where there is none. */
export function textOf (json: unknown): string | null {
  if (typeof json !== 'string' || json === '') return null
  return (json.length <= MAX_TEXT ? json : `${json.slice(0, MAX_TEXT)}…`).toWellFormed()
}

function intOf (json: unknown): number | null {
  return typeof json === 'number' && Number.isSafeInteger(json) ? json : null
}

function timeOf (json: unknown): number | null {
  return typeof json === 'string' ? ownTime(null, () => json) : null
}

function objectOf (json: unknown): Json | null {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? json as Json : null
}

function at (json: object | null, key: string): unknown {
  return json !== null && Object.hasOwn(json, key) ? (json as Json)[key] : undefined
}
