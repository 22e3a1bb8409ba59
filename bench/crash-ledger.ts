import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import { runLedgerRounds } from './ledger-rounds.js'

const USAGE = `usage: npm run crash:ledger -- [--rounds N] [--seed N]

  Kills a server (SIGKILL) again and again while its clock is set forward, events come late and detections are edited. Fails where a slot
  is left, or where the findings are not those of one evaluation of all events at the end.

  --rounds N    how often (20)
  --seed N      of what happens; one of its own where it is missing
`

const MAX_SHOWN_FAULTS = 20

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean' } } })
const rounds = Number(values.rounds ?? 20)
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
    const { faults, ...figures } = await runLedgerRounds({ dir, rounds, seed, signal: stop.signal, onRound: round => process.stderr.write(`round ${round} of ${rounds}\n`) })
    process.stdout.write(`${formatTable(['what', 'figure'], Object.entries({ seed, rounds, ...figures, faults: faults.length }).map(([name, figure]) => [name, String(figure)]))}\n`)
    for (const fault of faults.slice(0, MAX_SHOWN_FAULTS)) process.stderr.write(`${fault}\n`)
    return faults.length === 0 ? 0 : 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
