import { join } from 'node:path'
import { storedBytes, walBytes } from './disk.js'
import { CONNECTIONS } from './ingest.js'
import type { LoadResult, LoadSample } from './load.js'
import { runLoad, startHecate, TOKEN } from './processes.js'

/** How it goes at a moment of a long run, since the moment before. */
export interface Moment extends LoadSample {
  readonly residentBytes: number | null
  readonly walBytes: number
  readonly storedBytes: number
}

export interface EnduranceFigures {
  readonly eventsPerRequest: number
  readonly seconds: number
  readonly result: LoadResult
  /** One for each second. */
  readonly moments: readonly Moment[]
  readonly peakBytes: number | null
  /** When all is over and the WAL is in the files. */
  readonly disk: { readonly events: number, readonly bytes: number }
}

export interface EnduranceOptions {
  readonly dir: string
  readonly eventsPerRequest: number
  readonly seconds: number
  readonly signal: AbortSignal
  readonly onMoment: (moment: Moment) => void
}

/** Peak load for that long, and what the server is like every second of it. */
export async function measureEndurance ({ dir, eventsPerRequest, seconds, signal, onMoment }: EnduranceOptions): Promise<EnduranceFigures> {
  const dataDir = join(dir, 'data')
  const server = await startHecate(dir, signal)
  const moments: Moment[] = []
  const load = { port: server.port, token: TOKEN, connections: CONNECTIONS, eventsPerRequest, warmUpMs: 0, measureMs: seconds * 1_000, requestsPerSecond: null, sampleMs: 1_000 }
  const result = await runLoad(load, signal, sample => {
    const moment = { ...sample, residentBytes: server.residentBytes(), walBytes: walBytes(dataDir), storedBytes: storedBytes(dataDir) }
    moments.push(moment)
    onMoment(moment)
  })
  const peakBytes = server.peakBytes()
  await server.stop()
  return { eventsPerRequest, seconds, result, moments, peakBytes, disk: { events: result.eventsPerSecond * seconds, bytes: storedBytes(dataDir) } }
}
