import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { resourcePath } from '../src/resource.js'
import { SEED } from './detection.js'
import type { LedgerServerOptions } from './ledger-server.js'
import type { LoadSample } from './load.js'
import type { ServerProcess } from './processes.js'
import { API_KEY, runLoad, startHecate, TOKEN, writeConfig } from './processes.js'
import { runWriterLoop } from './writer-loop.js'

export interface CatchUpOptions {
  /** An empty folder. */
  readonly dir: string
  /** In the hours that are caught up. */
  readonly events: number
  readonly hours: number
  /** Slots of another server, whose events are gone. */
  readonly slots: number
  readonly signal: AbortSignal
  /** Told what is measured next. */
  readonly say: (what: string) => void
}

export interface CatchUpFigures {
  readonly events: number
  readonly hours: number
  /** From the start of the process until nothing was owed, while HEC took events. */
  readonly caughtUpMs: number
  readonly rows: number
  /** Of HEC's replies, of the seconds while slots were owed and of as many behind; null where there was none. */
  readonly p99: { readonly meanwhile: Quiet, readonly behind: Quiet }
  readonly slots: number
  /** From the start of the process until the API has listed all of them. */
  readonly listedMs: number
}

/** Milliseconds: the middle one of the seconds' p99, and the largest. */
export interface Quiet { readonly middle: number | null, readonly largest: number | null }

const HOUR_MS = 3_600_000
/** What HEC takes meanwhile: a fifth of what it could. */
const LOAD = { connections: 4, eventsPerRequest: 10, requestsPerSecond: 200 }
const SAMPLE_MS = 1_000
/** Between two looks at whether slots are owed. */
const LOOK_MS = 250
/** Enough for what is asked of it and for as much behind. */
const LOAD_MS = 150_000

/** A server that was down for some hours: how long it takes to have looked at all of them, and what HEC's clients notice of that. Another one that was down for weeks lists what it owes. */
export async function measureCatchUp ({ dir, events, hours, slots, signal, say }: CatchUpOptions): Promise<CatchUpFigures> {
  say(`${slots} owed slots`)
  const listedMs = await measureList(join(dir, 'list'), slots, signal)
  say(`${slots} owed slots were listed after ${Math.round(listedMs)} ms`)
  say(`${events.toLocaleString('en')} events of ${hours} hours`)
  const server = join(dir, 'server')
  // The newest window ends ten minutes before its slot, and there is one more slot than hours that are full.
  const lastSlotMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS
  for (let hour = hours; hour > 0; hour--) {
    signal.throwIfAborted()
    const endMs = lastSlotMs - (hour - 1) * HOUR_MS
    await runWriterLoop({ dataDir: dataDirOf(server), eventsPerRequest: 100, events: Math.round(events / hours), seed: hour, startUs: (endMs - 70 * 60_000) * 1_000, spanUs: HOUR_MS * 1_000, arrivalUs: endMs * 1_000 })
  }
  await liveAt(server, lastSlotMs - hours * HOUR_MS + 1_000, signal)
  say(`${hours} owed slots while HEC takes events`)
  return { events, hours, slots, listedMs, ...await measureRuns(server, signal) }
}

async function measureRuns (dir: string, signal: AbortSignal): Promise<Pick<CatchUpFigures, 'caughtUpMs' | 'rows' | 'p99'>> {
  const startMs = performance.now()
  const server = await startHecate(dir, signal, CONFIG)
  const load = new AbortController()
  const samples: (LoadSample & { readonly endMs: number })[] = []
  const loaded = runLoad({ port: server.port, token: TOKEN, ...LOAD, warmUpMs: 0, measureMs: LOAD_MS, sampleMs: SAMPLE_MS }, AbortSignal.any([signal, load.signal]), sample => samples.push({ ...sample, endMs: performance.now() }))
    .catch((error: unknown) => { if (!load.signal.aborted) throw error })
  try {
    const owed = () => metric(server, 'hecate_ledger_owed_slots')
    while (await owed() > 0) await sleep(LOOK_MS, undefined, { signal })
    const doneMs = performance.now()
    // The metrics cost the server something too: they are asked for behind as they are meanwhile.
    for (const endMs = doneMs + Math.max(10_000, doneMs - startMs); performance.now() < endMs; await owed()) await sleep(LOOK_MS, undefined, { signal })
    const { items } = await ask<{ items: { row_count: number }[] }>(server, 'ledger?earliest=0&limit=1000', signal)
    return {
      caughtUpMs: doneMs - startMs,
      rows: items.reduce((sum, { row_count: rows }) => sum + rows, 0),
      p99: { meanwhile: toQuiet(samples.filter(({ endMs }) => endMs <= doneMs)), behind: toQuiet(samples.filter(({ endMs }) => endMs > doneMs + SAMPLE_MS)) },
    }
  } finally {
    load.abort()
    await loaded
    await server.stop()
  }
}

async function measureList (dir: string, slots: number, signal: AbortSignal): Promise<number> {
  dataDirOf(dir)
  await liveAt(dir, Math.floor(Date.now() / HOUR_MS) * HOUR_MS - slots * HOUR_MS + 1_000, signal)
  const startMs = performance.now()
  const server = await startHecate(dir, signal, CONFIG)
  const { items } = await ask<{ items: readonly unknown[] }>(server, `ledger?earliest=0&limit=${slots}`, signal)
  const listedMs = performance.now() - startMs
  await server.stop()
  if (items.length !== slots) throw new Error(`${items.length} slots are listed`)
  return listedMs
}

const CONFIG = { detections: { shipped: false, paths: [resourcePath(SEED)] } }

/** A server that lived at a time and was stopped: what comes due from then on it owes. */
async function liveAt (dir: string, nowMs: number, signal: AbortSignal): Promise<void> {
  const options: LedgerServerOptions = { config: writeConfig(dir, CONFIG), nowMs }
  const child = fork(fileURLToPath(new URL('./ledger-server.js', import.meta.url)), [JSON.stringify(options)], { signal })
  const exited = once(child, 'exit')
  await Promise.race([once(child, 'message'), exited])
  child.kill('SIGTERM')
  const [code] = await exited as [number | null]
  if (code !== 0) throw new Error(`the server ended with code ${code}`)
}

function dataDirOf (dir: string): string {
  const dataDir = join(dir, 'data')
  mkdirSync(dataDir, { recursive: true })
  return dataDir
}

async function ask<Reply> ({ port }: ServerProcess, path: string, signal: AbortSignal): Promise<Reply> {
  const reply = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { signal, headers: { authorization: `Bearer ${API_KEY}` } })
  if (reply.status !== 200) throw new Error(`${path}: status ${reply.status}, ${await reply.text()}`)
  return await reply.json() as Reply
}

/** It is asked for again and again, and a fetch leaves what it listens to a signal with until its garbage is collected: so it has none. */
async function metric ({ port }: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN)
}

function toQuiet (samples: readonly LoadSample[]): Quiet {
  const sorted = samples.flatMap(({ p99 }) => p99 ?? []).sort((a, b) => a - b)
  return { middle: sorted[sorted.length >> 1] ?? null, largest: sorted.at(-1) ?? null }
}
