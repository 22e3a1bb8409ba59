import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import { resourcePath } from '../src/resource.js'
import { measureCatchUp } from './catch-up.js'
import type { Setting } from './docs.js'
import { readSetting, toMarkdown, writeSection } from './docs.js'
import type { EnduranceFigures } from './endurance.js'
import { measureEndurance } from './endurance.js'
import { EVENTS_PER_REQUEST, measureGoals, SLOT_MS } from './goals.js'
import type { Plot } from './plot.js'
import { drawPlot } from './plot.js'
import { profileWriterLoop } from './profile.js'
import type { Table } from './report.js'
import { toCatchUpTable, toEnduranceTable, toGoalTable, toProfileTable } from './report.js'

const USAGE = `usage: npm run bench -- [--quick] [--events N] [--seconds N] [--gb N]
       npm run bench -- --soak DURATION [--per-request N]
       npm run bench -- --profile [--quick]
       npm run bench -- --catch-up [--events N] [--hours N] [--quick]

  Measures what the goals speak of and prints one table. It never fails for a figure (docs/performance.md).

  --events N         events in the hour that the detection runs over (1,000,000)
  --seconds N        length of each ingest run (4)
  --gb N             gigabytes of events that the server starts over (0.5)
  --quick            30,000 events, 1 second and 20 MB; enough to see that it runs
  --soak DURATION    peak load for so long (20s, 10m, 1h; 8s at least), and what it does to the server second by second
  --per-request N    events a request of it (10)
  --profile          where the writer's time goes
  --catch-up         what a server takes that owes slots, each over its part of the events, while HEC takes new ones
  --hours N          hourly slots that it owes (24)
  --write-docs       writes the table, of --soak the plot too, into docs/

  Data is written below the folder for temporary files (TMPDIR) and removed. An fsync is only worth its name on a disk.
`

/** Commits that are profiled, by events a request: a second or so each. */
const PROFILED_COMMITS: Readonly<Record<number, number>> = { 100: 30, 10: 200, 1: 500 }
const QUICK_SHARE = 0.1

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false }, events: { type: 'string' }, seconds: { type: 'string' }, gb: { type: 'string' },
    soak: { type: 'string' }, 'per-request': { type: 'string', default: '10' }, profile: { type: 'boolean', default: false }, 'catch-up': { type: 'boolean', default: false }, hours: { type: 'string', default: '24' },
    'write-docs': { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  },
})
const { quick } = values
const events = Number(values.events ?? (quick ? 30_000 : 1_000_000))
const seconds = Number(values.seconds ?? (quick ? 1 : 4))
const gigabytes = Number(values.gb ?? (quick ? 0.02 : 0.5))
const soakSeconds = values.soak === undefined ? null : toSeconds(values.soak)
const perRequest = Number(values['per-request'])
const hours = Number(values.hours)

if (values.help || !Number.isSafeInteger(events) || events < 10_000 || !(seconds > 0) || !(gigabytes > 0) || Number.isNaN(soakSeconds) || [perRequest, hours].some(count => !Number.isSafeInteger(count) || count < 1)) {
  process.stdout.write(USAGE)
  process.exitCode = values.help ? 0 : 2
} else {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
  const dir = mkdtempSync(join(tmpdir(), 'hecate-bench-'))
  try {
    await run(dir, stop.signal)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function run (dir: string, signal: AbortSignal): Promise<void> {
  if (values.profile) return show('profile', await profile(dir), dir)
  if (values['catch-up']) return show('catch-up', toCatchUpTable(await measureCatchUp({ dir, events, hours, slots: 1_000, signal, say })), dir)
  if (soakSeconds === null) return show('goals', toGoalTable(await measureGoals({ dir, events, seconds, bytes: gigabytes * 1e9, signal, say })), dir)
  const figures = await measureEndurance({
    dir, eventsPerRequest: perRequest, seconds: soakSeconds, signal,
    onMoment: ({ atMs, eventsPerSecond }) => say(`${Math.round(atMs / 1_000)} s, ${Math.round(eventsPerSecond).toLocaleString('en')} events a second`),
  })
  show('soak', toEnduranceTable(figures), dir, '\n![Throughput, memory, reply times and WAL over time](performance.svg)\n')
  if (values['write-docs']) writeFileSync(resourcePath('docs/performance.svg'), drawPlot(toPlot(figures, readSetting(dir))))
}

async function profile (dir: string): Promise<Table> {
  const figures = []
  for (const eventsPerRequest of EVENTS_PER_REQUEST) {
    const commits = Math.ceil(PROFILED_COMMITS[eventsPerRequest]! * (quick ? QUICK_SHARE : 1))
    say(`profile of the writer, ${eventsPerRequest} a request`)
    figures.push(await profileWriterLoop({ dataDir: join(dir, `profile-${eventsPerRequest}`), eventsPerRequest, commits, arrivalUs: SLOT_MS * 1_000 }))
  }
  return toProfileTable(figures)
}

/** Prints a table and, where that is asked for, puts it into its section of the docs. */
function show (section: string, table: Table, dir: string, below = ''): void {
  process.stdout.write(`${formatTable(table.headings, table.rows)}\n`)
  if (!values['write-docs']) return
  const { date, machine, versions } = readSetting(dir)
  const args = process.argv.slice(2).filter(arg => arg !== '--write-docs')
  const command = ['npm run bench', ...args.length === 0 ? [] : ['--'], ...args].join(' ')
  writeSection(resourcePath('docs/performance.md'), section, `\nMeasured on ${date} by \`${command}\`: ${machine.join(', ')}; ${versions.join(', ')}.\n\n${toMarkdown(table)}\n${below}`)
}

function toPlot ({ eventsPerRequest, moments }: EnduranceFigures, { date, machine: [cpu, cores], versions: [hecate, node] }: Setting): Plot {
  const inMegabytes = (bytes: number | null) => bytes === null ? null : bytes / 1e6
  return {
    title: `HEC ingest at peak load, ${eventsPerRequest} events a request, fsync before each reply`,
    subtitle: [date, `${cpu}, ${cores}`, node, hecate].join(' · '),
    seconds: moments.map(({ atMs }) => atMs / 1_000),
    panels: [
      { title: 'events a second', color: '#1f6fb2', values: moments.map(one => one.eventsPerSecond) },
      { title: 'resident memory, MB', color: '#b3541e', values: moments.map(one => inMegabytes(one.residentBytes)), goal: { value: 300, name: 'goal: under 300 MB' } },
      { title: 'p99 of the reply, ms', color: '#6a4c93', values: moments.map(one => one.p99) },
      { title: 'WAL, MB', color: '#3a7d44', values: moments.map(one => inMegabytes(one.walBytes)) },
      { title: 'events on disk, MB', color: '#7a6a00', values: moments.map(one => inMegabytes(one.storedBytes)) },
    ],
  }
}

/** NaN where it is no duration, or too short to have quarters. */
function toSeconds (duration: string): number {
  const [, count, unit] = /^(\d+)([smh])$/.exec(duration) ?? []
  const seconds = Number(count) * ({ s: 1, m: 60, h: 3600 }[unit ?? ''] ?? NaN)
  return seconds >= 8 ? seconds : NaN
}

function say (what: string): void {
  process.stderr.write(`${what} …\n`)
}
