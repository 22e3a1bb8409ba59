import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import type { SimulationReport } from './simulation.js'
import { simulate } from './simulation.js'

const USAGE = `usage: npm run simulate -- [--seeds N] [--first SEED] [--days N]

  Sixty days of a ledger by a clock of its own, again and again: late events, downtimes, kills at any write or wait, failures, clocks
  that jump, detections that are edited, disabled and removed. Fails where a slot is left or run twice at a time, or where the findings
  are not those of one evaluation of all events at the end.

  --seeds N       how many (20)
  --first SEED    the first of them (1)
  --days N        of each (60)
`

const MAX_SHOWN_FAULTS = 10

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '20' }, first: { type: 'string', default: '1' }, days: { type: 'string', default: '60' }, help: { type: 'boolean' } } })
const [seeds, first, days] = [values.seeds, values.first, values.days].map(Number) as [number, number, number]
if (values.help === true || ![seeds, first, days].every(Number.isSafeInteger) || seeds < 1 || days < 1) {
  process.stdout.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else process.exitCode = await run()

async function run (): Promise<number> {
  const reports: SimulationReport[] = []
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulate(seed, days)
    reports.push(report)
    process.stderr.write(`seed ${seed}: ${report.slots} slots, ${report.runs} runs, ${report.kills} kills, ${report.findings} findings, ${report.faults.length} faults\n`)
    for (const fault of report.faults.slice(0, MAX_SHOWN_FAULTS)) process.stderr.write(`  ${fault}\n`)
  }
  const names = Object.keys(reports[0]!).filter(name => name !== 'seed' && name !== 'faults') as Exclude<keyof SimulationReport, 'seed' | 'faults'>[]
  const sum = (name: typeof names[number]) => reports.reduce((all, report) => all + report[name], 0)
  const faulty = reports.filter(({ faults }) => faults.length > 0)
  process.stdout.write(`${formatTable(['what', 'sum'], [['seeds', String(seeds)], ...names.map(name => [name, sum(name).toLocaleString('en')]), ['seeds with faults', String(faulty.length)]])}\n`)
  return faulty.length === 0 ? 0 : 1
}
