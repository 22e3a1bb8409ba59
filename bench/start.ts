import { join } from 'node:path'
import { runChild } from './child.js'
import type { FillOptions, FillResult } from './fill.js'
import { startHecate } from './processes.js'

export interface StartFigures extends FillResult {
  /** From the start of the process until /readyz is 200. */
  readonly readyMs: number
}

const STARTS = 3

/** Starts a server over so many bytes of events, which the system still has in its cache and which are left in `dir/data`. The figure is the middle one of a few starts. */
export async function measureStart (dir: string, bytes: number, signal: AbortSignal): Promise<StartFigures> {
  const filled = await runChild<FillResult>('fill', { dataDir: join(dir, 'data'), bytes, lastUs: Date.now() * 1_000 } satisfies FillOptions, signal)
  const readyMs: number[] = []
  for (let i = 0; i < STARTS; i++) readyMs.push(await startOnce(dir, signal))
  return { ...filled, readyMs: readyMs.sort((a, b) => a - b)[STARTS >> 1]! }
}

async function startOnce (dir: string, signal: AbortSignal): Promise<number> {
  const startMs = performance.now()
  const server = await startHecate(dir, signal)
  while (!await isReady(server.port, signal)); // it serves a moment before it is ready
  const elapsedMs = performance.now() - startMs
  await server.stop()
  return elapsedMs
}

async function isReady (port: number, signal: AbortSignal): Promise<boolean> {
  const reply = await fetch(`http://127.0.0.1:${port}/readyz`, { signal })
  await reply.text()
  return reply.status === 200
}
