import t from 'tap'
import { simulate } from '../../bench/simulation.js'

/** `npm run simulate -- --seeds 200` has more of them, and goes on for sixty days. */
const SEEDS = 20
const DAYS = 6

t.test('whatever happens to a server, every slot is done once and the findings are those of all events at the end', async t => {
  const sum = { late: 0, kills: 0, failures: 0, edits: 0, clockSteps: 0, revisions: 0, gone: 0 }
  for (let seed = 1; seed <= SEEDS; seed++) {
    const report = await simulate(seed, DAYS)
    t.strictSame(report.faults, [], `seed ${seed}`)
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
  }
  for (const [name, count] of Object.entries(sum)) t.ok(count > 10, `${name}: ${count}`)
})
