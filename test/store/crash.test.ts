import t from 'tap'
import type { Kill } from '../../bench/crash-rounds.js'
import { runCrashRounds } from '../../bench/crash-rounds.js'
import type { Random } from '../../bench/generator.js'
import { tempDir } from '../fixtures/app.js'

/** A kill after a number of replies comes under load on any machine. */
const nextKill = (random: Random): Kill => ({ when: 'acknowledged', count: 1 + random.below(60) })

for (const { resendWindow, rounds, name } of [
  { resendWindow: null, rounds: 5, name: 'what was acknowledged is there exactly once, however often the server is killed under load' },
  { resendWindow: '1h', rounds: 3, name: 'with a re-send window, a request that is sent again after a crash is there once' },
]) {
  t.test(name, async t => {
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const { requests, acknowledged, sentAgain, faults } = await runCrashRounds({ dir: tempDir(t), rounds, seed: 1, sizes: [1, 10, 30], resendWindow, nextKill, signal: stop.signal })

    t.strictSame(faults, [])
    t.ok(acknowledged > 50, `${acknowledged} requests were acknowledged`)
    t.ok(acknowledged < requests, `${requests - acknowledged} were not`)
    t.ok(sentAgain > 0, `${sentAgain} were sent again`)
  })
}
