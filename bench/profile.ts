import { mkdirSync } from 'node:fs'
import type { Profiler, Runtime } from 'node:inspector'
import { Session } from 'node:inspector/promises'
import { openGenerator } from './generator.js'
import { nextRequests, openLoopWriter, REQUESTS_PER_COMMIT } from './writer-loop.js'

/** In the order in which an event goes through them. */
export const PHASES = ['scan and parse', 'fields and columns', 'encode and compress', 'insert', 'commit', 'the rest of the writer', 'garbage collection', 'outside functions'] as const
export type Phase = typeof PHASES[number]

/** A function of ours with the time of itself and of what it called that is not ours: Node's, a library's, or native. */
export interface FunctionTime {
  readonly phase: Phase
  /** As `encodeBlock (store/sqlite/block)`. */
  readonly name: string
  readonly us: number
}

export interface ProfileFigures {
  readonly eventsPerRequest: number
  readonly events: number
  /** By the clock, the profiler at work. */
  readonly usPerEvent: number
  readonly functions: readonly FunctionTime[]
}

export interface ProfileOptions {
  readonly dataDir: string
  readonly eventsPerRequest: number
  readonly commits: number
  readonly arrivalUs: number
}

const SAMPLING_US = 200

/** Where our functions are, whatever compiled them. */
const SOURCE = new URL('../src/', import.meta.url).href

/** Which phase a function is of, by where it is; the first that fits. What is left of the store is insert within a transaction. */
const ROOMS: readonly (readonly [path: RegExp, phase: Phase])[] = [
  [/^envelope\//, 'scan and parse'],
  [/^(?:fields|spl)\/|^json$|^store\/sqlite\/(?:columns|event-fields)$/, 'fields and columns'],
  [/^store\/sqlite\/(?:column-)?block$/, 'encode and compress'],
]

/** Where better-sqlite3 begins and ends a transaction. */
const TRANSACTION = /\/better-sqlite3\/lib\/methods\/transaction\.js$/

/**
 * The writer loop under V8's profiler. The events are made before, so that all that is measured is the writer's; a third as many
 * come first, until the hot code is compiled.
 */
export async function profileWriterLoop ({ dataDir, eventsPerRequest, commits, arrivalUs }: ProfileOptions): Promise<ProfileFigures> {
  mkdirSync(dataDir, { recursive: true })
  const writer = openLoopWriter(dataDir)
  const generator = openGenerator({ seed: 1, startUs: arrivalUs, stepUs: 100 })
  const make = (count: number) => Array.from({ length: count }, () => nextRequests(generator, eventsPerRequest, arrivalUs))
  for (const requests of make(Math.ceil(commits / 3))) writer.append(requests)
  const batches = make(commits)

  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_US })
  await session.post('Profiler.start')
  const startMs = performance.now()
  for (const requests of batches) {
    const commit = writer.append(requests)
    if ('error' in commit) throw commit.error
  }
  const elapsedMs = performance.now() - startMs
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  writer.close()
  const events = commits * REQUESTS_PER_COMMIT * eventsPerRequest
  return { eventsPerRequest, events, usPerEvent: elapsedMs * 1_000 / events, functions: sumByFunction(profile) }
}

/** The time of each of our functions, the longest first. */
export function sumByFunction ({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): FunctionTime[] {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  const byId = new Map(nodes.map(node => [node.id, node]))
  const owners = new Map(nodes.map(node => {
    const stack: Profiler.ProfileNode[] = []
    for (let at: Profiler.ProfileNode | undefined = node; at !== undefined; at = byId.get(parents.get(at.id) ?? -1)) stack.push(at)
    return [node.id, ownerOf(stack.map(({ callFrame }) => callFrame))]
  }))
  const sums = new Map<string, FunctionTime>()
  samples.forEach((id, i) => {
    // The time up to a sample is the sample's: a thread that waits for the disk is only asked when it comes back.
    const owner = owners.get(id)
    if (owner == null) return
    const { phase, name } = owner
    const key = `${phase} ${name}`
    sums.set(key, { phase, name, us: (sums.get(key)?.us ?? 0) + Math.max(0, timeDeltas[i] ?? 0) })
  })
  return [...sums.values()].sort((a, b) => b.us - a.us)
}

/** Whose time a stack is, the innermost call first; null where it is the profiler's own. */
function ownerOf (stack: readonly Runtime.CallFrame[]): { phase: Phase, name: string } | null {
  for (const [depth, { functionName, url }] of stack.entries()) {
    if (functionName === '(garbage collector)') return { phase: 'garbage collection', name: functionName }
    if (TRANSACTION.test(url)) return { phase: 'commit', name: 'BEGIN and COMMIT' }
    if (!url.startsWith(SOURCE)) continue
    const path = url.slice(SOURCE.length).replace(/\.[jt]s$/, '')
    return { phase: phaseOf(path, stack.slice(depth)), name: `${functionName === '' ? '(anonymous)' : functionName} (${path})` }
  }
  if (stack.some(({ url }) => url.startsWith('node:inspector'))) return null
  return { phase: 'outside functions', name: stack[0]?.functionName ?? '' }
}

function phaseOf (path: string, callers: readonly Runtime.CallFrame[]): Phase {
  const room = ROOMS.find(([pattern]) => pattern.test(path))
  if (room !== undefined) return room[1]
  return callers.some(({ url }) => TRANSACTION.test(url)) ? 'insert' : 'the rest of the writer'
}
