import { mkdirSync } from 'node:fs'
import { readOptions, sendResult } from './child.js'
import { storedBytes } from './disk.js'
import { runWriterLoop } from './writer-loop.js'

/** A process that fills a data folder by the writer loop, as busy days would have, and sends what is in it to the parent. */

export interface FillOptions {
  readonly dataDir: string
  readonly bytes: number
  /** The last day; each gigabyte is of a day of its own. */
  readonly lastUs: number
}

export interface FillResult { readonly events: number, readonly bytes: number, readonly days: number }

const BYTES_PER_DAY = 1e9
const DAY_US = 86_400_000_000
/** Between two looks at how much there is. */
const EVENTS_PER_LOOK = 20_000
const EVENTS_PER_REQUEST = 100

const { dataDir, bytes: wanted, lastUs } = readOptions<FillOptions>()
const days = Math.max(1, Math.round(wanted / BYTES_PER_DAY))
mkdirSync(dataDir, { recursive: true })
let events = 0
let bytes = 0
for (let seed = 1; bytes < wanted; seed++) {
  const day = Math.floor(bytes / wanted * days)
  const arrivalUs = lastUs - (days - 1 - day) * DAY_US
  const made = await runWriterLoop({ dataDir, eventsPerRequest: EVENTS_PER_REQUEST, events: EVENTS_PER_LOOK, seed, startUs: arrivalUs - 60_000_000, spanUs: 60_000_000, arrivalUs })
  events += made.events
  bytes = storedBytes(dataDir)
}
sendResult({ events, bytes, days } satisfies FillResult)
