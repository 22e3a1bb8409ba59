import t from 'tap'
import { runLedgerRounds } from '../../bench/ledger-rounds.js'
import { tempDir } from '../fixtures/app.js'

/** `npm run crash:ledger` has seeds of its own. */
const ROUNDS = 20

t.test('however often the process is killed, every slot is done and the findings are those of all events at the end', async t => {
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const { faults, interrupted, findings, revisions, edits } = await runLedgerRounds({ dir: tempDir(t), rounds: ROUNDS, seed: 1, signal: stop.signal })

  t.strictSame(faults, [])
  t.ok(interrupted > 0, `${interrupted} runs were cut off`)
  t.ok(findings > 20, `${findings} findings`)
  t.ok(revisions > 0, `${revisions} revisions`)
  t.ok(edits > 5, `${edits} edits`)
})
