import { rmSync } from 'node:fs'
import type { LoadResult } from './load.js'
import { runLoad, startBareServer, startHecate, TOKEN } from './processes.js'

export interface IngestFigures {
  readonly eventsPerRequest: number
  readonly bare: LoadResult
  readonly peak: LoadResult
  /** At half the rate of the peak. */
  readonly half: LoadResult
  readonly peakBytes: number | null
}

export interface IngestOptions {
  readonly dir: string
  readonly eventsPerRequest: number
  readonly seconds: number
  readonly signal: AbortSignal
}

/** Of the load in all figures of ingest. */
export const CONNECTIONS = 16
/** Until the hot code is compiled and the dictionary known. */
const MAX_WARM_UP_MS = 5_000

/** A bare HTTP server and Hecate under the same load, one after the other, each in a process of its own. */
export async function measureIngest ({ dir, eventsPerRequest, seconds, signal }: IngestOptions): Promise<IngestFigures> {
  const load = { token: TOKEN, connections: CONNECTIONS, eventsPerRequest, warmUpMs: Math.min(MAX_WARM_UP_MS, seconds * 1_000), measureMs: seconds * 1_000, requestsPerSecond: null, sampleMs: null }
  const bareServer = await startBareServer(signal)
  const bare = await runLoad({ ...load, port: bareServer.port }, signal)
  await bareServer.stop()

  const hecate = await startHecate(dir, signal)
  const peak = await runLoad({ ...load, port: hecate.port }, signal)
  const peakBytes = hecate.peakBytes()
  const requestsPerSecond = peak.eventsPerSecond / eventsPerRequest / 2
  const half = await runLoad({ ...load, port: hecate.port, requestsPerSecond, measureMs: load.measureMs / 2 }, signal)
  await hecate.stop()
  rmSync(dir, { recursive: true })
  return { eventsPerRequest, bare, peak, half, peakBytes }
}
