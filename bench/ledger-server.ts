import { pino } from 'pino'
import { loadConfig } from '../src/config.js'
import { openServer } from '../src/server.js'
import { readOptions } from './child.js'
import { handClock } from './hand-clock.js'
import { toText } from './oracle.js'

/** What this process is run with. */
export interface LedgerServerOptions {
  /** A configuration file. */
  readonly config: string
  readonly nowMs: number
}

/** A whole server whose clock stands, until the process that started it sends the time; it sends its URL, and ends on SIGTERM. */
const { config, nowMs } = readOptions<LedgerServerOptions>()
const clock = handClock(toText(nowMs))
process.on('message', (nowMs: number) => clock.set(toText(nowMs)))
const server = await openServer(loadConfig({ file: config, env: {}, flags: {}, cwd: process.cwd() }), { clock, log: pino({ level: 'silent' }), version: '0.0.0' })
process.once('SIGTERM', () => { server.close().then(() => process.disconnect(), error => { throw error }) })
const { url } = await server.start()
process.send?.({ url })
