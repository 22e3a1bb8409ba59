import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { appendLogFile } from '../src/store/log-file.js'
import { openGenerator } from './generator.js'
import { storeOptions } from './writer-loop.js'

export interface ScanFigures {
  readonly events: number
  readonly bytes: number
  readonly eventsPerSecond: number
}

export interface ScanOptions {
  readonly dir: string
  readonly events: number
  readonly startUs: number
  readonly spanUs: number
  readonly arrivalUs: number
}

/** So many lines are written to the file at a time. */
const LINES_A_WRITE = 1_000

/** Reads a log of the agent into a temporary store, as `hecate scan` does before it runs the detections. Making the log is not counted. */
export async function measureScan ({ dir, events, startUs, spanUs, arrivalUs }: ScanOptions): Promise<ScanFigures> {
  const path = join(dir, 'scan.log')
  const generator = openGenerator({ seed: 1, startUs, stepUs: Math.floor(spanUs / events) })
  const file = openSync(path, 'w')
  while (generator.events < events) {
    writeSync(file, Array.from({ length: Math.min(LINES_A_WRITE, events - generator.events) }, () => `${generator.line()}\n`).join(''))
  }
  closeSync(file)

  const options = storeOptions(join(dir, 'scan'))
  const store = await openSqliteEvents({ ...options, durability: 'normal', resendWindowUs: 0 })
  const startMs = performance.now()
  const { stored } = await appendLogFile(store, path, {
    defaults: { host: 'bench', source: path, sourcetype: 'cisco:isovalent', index: 'main' },
    arrivalUs,
    maxEventBytes: options.maxEventBytes,
  })
  const elapsedMs = performance.now() - startMs
  await store.close()
  if (stored !== events) throw new Error(`stored ${stored} of ${events}`)
  return { events, bytes: generator.eventBytes, eventsPerSecond: events / elapsedMs * 1_000 }
}
