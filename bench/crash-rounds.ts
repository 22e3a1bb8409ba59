import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { countEvents, isRight, openStored } from './crash-check.js'
import { openCrashRequests } from './crash-requests.js'
import { checkDisk } from './disk.js'
import type { Random } from './generator.js'
import { openRandom } from './generator.js'
import { spawnHecate, TOKEN } from './processes.js'

/** When a server is killed: so long after its process was started, or after load began, or when so many requests were acknowledged. */
export type Kill = { readonly when: 'starting' | 'loaded', readonly ms: number } | { readonly when: 'acknowledged', readonly count: number }

export interface CrashOptions {
  /** An empty folder. */
  readonly dir: string
  readonly rounds: number
  readonly seed: number
  /** Requests have as many events as one of these. */
  readonly sizes: readonly number[]
  /** The setting `hec.resend_window`: where there is one, nothing is stored again. */
  readonly resendWindow: string | null
  readonly nextKill: (random: Random) => Kill
  readonly signal: AbortSignal
  /** Told of each round that is over. */
  readonly onRound?: (round: number, report: CrashReport) => void
}

export interface CrashReport {
  readonly requests: number
  readonly sentAgain: number
  readonly acknowledged: number
  /** Requests that were never acknowledged and are there: the server was killed between commit and reply. */
  readonly storedUnanswered: number
  readonly storedEvents: number
  /** Rounds in which the server was killed before anything was sent. */
  readonly killedWhileStarting: number
  readonly faults: readonly string[]
}

const CLIENTS = 8

/**
 * Kills the server under load, again and again over one folder of data. Before each load and at the end it looks for the requests: one that
 * was acknowledged is there whole, in order and once; one that was not is there likewise, or not at all; and one that was sent again at most
 * once for each time. Ids grow, and a search counts what was read. At the end all is read anew, and SQLite checks its files.
 */
export async function runCrashRounds ({ dir, rounds, seed, sizes, resendWindow, nextKill, signal, onRound = () => {} }: CrashOptions): Promise<CrashReport> {
  const kills = openRandom(seed + 1) // of its own: how many requests there were before hangs on the machine
  const requests = openCrashRequests({ seed, sizes, token: TOKEN })
  const faults: string[] = []
  const faulty = new Set<number>()
  let stored = openStored()
  let acknowledged = 0
  let killedWhileStarting = 0
  const spawn = () => spawnHecate(dir, { signal, ...resendWindow === null ? {} : { resendWindow } })
  const report = (): CrashReport => ({
    requests: requests.sent.length,
    sentAgain: requests.sentAgain(),
    acknowledged,
    storedUnanswered: requests.sent.filter(({ number, isAcknowledged }) => !isAcknowledged && stored.placesOf(number).length > 0).length,
    storedEvents: stored.count(),
    killedWhileStarting,
    faults,
  })

  async function runRound (when: string): Promise<void> {
    const kill = nextKill(kills)
    const process = spawn()
    try {
      if (kill.when === 'starting') {
        killedWhileStarting++
        await sleep(kill.ms, undefined, { signal })
        return
      }
      const server = await process.serving
      if (server === null) throw new Error(`${when}: the server did not start`)
      await check(server.port, when)
      if (!await load(server.port, kill, process.kill)) faults.push(`${when}: the server ended by itself`)
    } finally {
      await process.kill()
    }
  }

  /** Resolves when the server is gone; false is by itself. */
  async function load (port: number, kill: Kill, killServer: () => Promise<void>): Promise<boolean> {
    let isKilled = false
    const end = () => {
      isKilled = true
      return killServer()
    }
    let left = kill.when === 'acknowledged' ? kill.count : Infinity
    const timer = kill.when === 'acknowledged' ? undefined : setTimeout(end, kill.ms)
    await Promise.all(Array.from({ length: CLIENTS }, () => runClient(port, () => { if (--left === 0) end() })))
    clearTimeout(timer)
    return isKilled
  }

  /** Sends one request after the other until the server is gone. */
  async function runClient (port: number, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      const request = requests.next()
      const { sent, path, headers, body } = request
      sent.times++
      const reply = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body: typeof body === 'string' ? body : new Uint8Array(body), signal }).catch(() => null)
      if (reply === null) return requests.lose(request)
      if (reply.status === 200) {
        sent.isAcknowledged = true
        acknowledged++
        onAcknowledged()
      } else faults.push(`request ${sent.number} was answered with status ${reply.status}`)
      await reply.text().catch(() => {}) // so that its connection is used again
    }
  }

  async function check (port: number, when: string): Promise<void> {
    for (const fault of await stored.read(port, requests.sent, signal)) faults.push(`${when}: ${fault}`)
    const count = await countEvents(port, signal)
    if (count !== stored.count()) faults.push(`${when}: a search counts ${count} events, ${stored.count()} were read`)
    for (const sent of requests.sent) {
      const places = stored.placesOf(sent.number)
      if (faulty.has(sent.number) || isRight(sent, places, resendWindow === null ? Infinity : 1)) continue
      faulty.add(sent.number)
      faults.push(`${when}: request ${sent.number} of ${sent.checksums.length} events was sent ${sent.times} times, ${sent.isAcknowledged ? 'acknowledged' : 'never acknowledged'}, and is there as [${places.join()}]`)
    }
  }

  for (let round = 1; round <= rounds; round++) {
    signal.throwIfAborted()
    await runRound(`round ${round}`)
    onRound(round, report())
  }
  const server = await spawn().serving
  if (server === null) throw new Error('the server did not start at the end')
  try {
    stored = openStored()
    await check(server.port, 'at the end')
  } finally {
    const code = await server.stop()
    if (code !== 0) faults.push(`the server ended with code ${code}`)
  }
  faults.push(...checkDisk(join(dir, 'data')))
  return report()
}
