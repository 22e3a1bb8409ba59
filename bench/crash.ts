import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import type { Kill } from './crash-rounds.js'
import { runCrashRounds } from './crash-rounds.js'
import type { Random } from './generator.js'

const USAGE = `usage: npm run crash -- [--rounds N] [--seed N] [--resend-window DURATION]

  Kills a server (SIGKILL) again and again while clients send to it, and looks after each start for what it has acknowledged. Fails
  where an acknowledged event isn't there exactly once, or one whose reply was lost more often than it was sent.

  --rounds N                  how often (50)
  --seed N                    of requests and times; one of its own where it is missing
  --resend-window DURATION    the server's hec.resend_window: with it, nothing may be there twice
`

const SIZES = [1, 10, 100]
/** A kill comes at most so long after load began, of some rounds so long after the process was started. */
const MAX_LOADED_MS = 2_000
const MAX_STARTING_MS = 1_500
const STARTING = 0.2
const MAX_SHOWN_FAULTS = 20

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' }, 'resend-window': { type: 'string' }, help: { type: 'boolean' } } })
const rounds = Number(values.rounds ?? 50)
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
if (values.help === true || !Number.isSafeInteger(rounds) || rounds < 1 || !Number.isSafeInteger(seed)) {
  process.stdout.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else process.exitCode = await crash()

async function crash (): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'hecate-crash-'))
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  process.stderr.write(`seed ${seed}\n`) // whatever happens, it can be run again
  try {
    const { requests, sentAgain, acknowledged, storedUnanswered, storedEvents, killedWhileStarting, faults } = await runCrashRounds({
      dir, rounds, seed, sizes: SIZES, resendWindow: values['resend-window'] ?? null, nextKill, signal: stop.signal,
      onRound: (round, report) => process.stderr.write(`round ${round} of ${rounds}: ${report.acknowledged} requests acknowledged, ${report.faults.length} faults\n`),
    })
    process.stdout.write(`${formatTable(['what', 'figure'], [
      ['seed', String(seed)],
      ['rounds', String(rounds)],
      ['  killed while starting', String(killedWhileStarting)],
      ['requests', String(requests)],
      ['  acknowledged', String(acknowledged)],
      ['  sent again, their reply was lost', String(sentAgain)],
      ['  never acknowledged, but stored', String(storedUnanswered)],
      ['events stored', String(storedEvents)],
      ['faults', String(faults.length)],
    ])}\n`)
    for (const fault of faults.slice(0, MAX_SHOWN_FAULTS)) process.stderr.write(`${fault}\n`)
    return faults.length === 0 ? 0 : 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

function nextKill (random: Random): Kill {
  return random.fraction() < STARTING
    ? { when: 'starting', ms: random.below(MAX_STARTING_MS) }
    : { when: 'loaded', ms: random.below(MAX_LOADED_MS) }
}
