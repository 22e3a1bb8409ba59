import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import { severityOf } from '../src/finding.js'
import type { FindingFilter } from '../src/store/control/finding-lists.js'
import { openFindingFacets } from '../src/store/control/finding-lists.js'
import { openFindingStore } from '../src/store/control/findings.js'
import { openControlDatabase } from '../src/store/control/open.js'

// Lists of findings over many of them: how long a page takes, by each filter, from the first page and from anywhere. Reports, never fails.

const { values } = parseArgs({ options: { findings: { type: 'string', default: '1000000' }, pages: { type: 'string', default: '200' } } })
const COUNT = Number(values.findings)
const PAGES = Number(values.pages)

const START_US = Date.parse('2026-01-01T00:00:00Z') * 1_000
const STEP_US = 10_000_000
const WINDOW = { earliestUs: 0, latestUs: START_US + COUNT * STEP_US }
const LIMIT = 51 // a page, and one more to know whether there is another

const DETECTIONS = 40
const OWNERS = 20
const PODS = 100_000

/** The rare ones lie at the far end: a list that has to pass over all others comes to them last. */
const isRare = (i: number) => i < 30

/** What a detection gives, in two kilobytes. */
const FILLER = 'x'.repeat(1_500)

function findingOf (i: number) {
  const score = isRare(i) ? 95 : [10, 30, 50, 70][i % 4]!
  const share = (i * 2_654_435_761) % 2 ** 32 / 2 ** 32
  const isOpen = share > 0.9
  const time_us = START_US + i * STEP_US
  const pod = isRare(i) ? 'rare-pod' : i % 5 === 0 ? 'busy-pod' : `pod-${i % PODS}`
  const technique = isRare(i) ? 'T9999' : `T${1000 + i % 15}`
  return {
    id: `${(i * 7_919).toString(16).padStart(16, '0')}${i.toString(16).padStart(16, '0')}`,
    time_us,
    detection_id: isRare(i) ? 'rare' : `detection-${Math.floor(share * share * DETECTIONS)}`,
    score,
    status: isRare(i) ? 'pending' : isOpen ? 'new' : share > 0.85 ? 'resolved' : 'closed',
    disposition: isRare(i) ? 'other' : isOpen ? null : share > 0.4 ? 'false_positive' : 'benign',
    owner: isRare(i) ? 'rare-owner' : isOpen ? null : `owner-${i % OWNERS}`,
    technique,
    pod,
    body: JSON.stringify({
      detection: { id: 'd', name: 'd', version: 1 }, time: time_us / 1e6, result: { pod, command: FILLER },
      risk: { score, message: 'm', objects: [{ field: 'pod', type: 'system', value: pod, score }], threat_objects: [] }, severity: severityOf(score), mitre_attack: [technique], window: { earliest: '', latest: '' },
    }),
  }
}

const FILTERS: readonly (readonly [name: string, filter: Omit<FindingFilter, 'window'>])[] = [
  ['none', {}],
  ['status=new', { status: ['new'] }],
  ['status=pending, 30 of all', { status: ['pending'] }],
  ['status, 3 of them', { status: ['new', 'pending', 'resolved'] }],
  ['disposition=benign', { disposition: ['benign'] }],
  ['disposition=none', { disposition: ['none'] }],
  ['owner', { owner: ['owner-7'] }],
  ['owner=none', { owner: ['none'] }],
  ['owner, 30 of all', { owner: ['rare-owner'] }],
  ['severity=high', { severity: ['high'] }],
  ['severity, 2 of them', { severity: ['high', 'critical'] }],
  ['min_score=65', { min_score: 65 }],
  ['min_score=90, 30 of all', { min_score: 90 }],
  ['technique', { technique: 'T1003' }],
  ['technique, 30 of all', { technique: 'T9999' }],
  ['detection', { detection: ['detection-3'] }],
  ['detection, 10 of them', { detection: Array.from({ length: 10 }, (_, i) => `detection-${i}`) }],
  ['risk_object, a fifth of all', { risk_object: 'busy-pod' }],
  ['risk_object', { risk_object: 'pod-4711' }],
  ['status=new, severity=high, owner=none', { status: ['new'], severity: ['high'], owner: ['none'] }],
  ['technique, status=new', { technique: 'T1003', status: ['new'] }],
  ['risk_object, status=new', { risk_object: 'busy-pod', status: ['new'] }],
  ['owner, detection, disposition', { owner: ['owner-7'], detection: ['detection-3'], disposition: ['benign'] }],
  ['two that are met by many, both by none', { status: ['closed'], disposition: ['none'] }],
  ['throttled=only', { throttled: 'only' }],
]

const dir = mkdtempSync(join(tmpdir(), 'hecate-bench-'))
try {
  await measure()
} finally {
  rmSync(dir, { recursive: true, force: true })
}

async function measure (): Promise<void> {
  const db = openControlDatabase(dir)
  db.pragma('synchronous = OFF')
  process.stderr.write(`writing ${COUNT.toLocaleString('en')} findings …\n`)
  fill(db)
  const findings = openFindingStore(db)
  const rows: string[][] = []
  for (const [name, filter] of FILTERS) {
    const all = { window: WINDOW, ...filter }
    const fromStart = await timesOf(PAGES, () => findings.list(all, '-time', LIMIT))
    const fromAnywhere = await timesOf(PAGES, i => findings.list(all, i % 2 === 0 ? '-time' : 'time', LIMIT, { timeUs: START_US + Math.floor((i + 0.5) / PAGES * COUNT) * STEP_US, id: '' }))
    const startMs = processorMs()
    const count = await findings.count(all)
    const countMs = processorMs() - startMs
    rows.push([name, count.toLocaleString('en'), ...[fromStart, fromAnywhere].flatMap(({ p50, p99 }) => [p50, p99]).map(ms => ms.toFixed(1)), Math.max(fromStart.turn, fromAnywhere.turn).toFixed(0), countMs.toFixed(0)])
  }
  db.close()
  process.stdout.write(`${(statSync(join(dir, 'control.db')).size / 1e9).toFixed(1)} GB, ${COUNT.toLocaleString('en')} findings, ms\n`)
  process.stdout.write(`${formatTable(['filter', 'findings', 'first page p50', 'p99', 'any page p50', 'p99', 'longest turn', 'count'], rows)}\n`)
}

function fill (db: ReturnType<typeof openControlDatabase>): void {
  const insert = db.prepare(`
    INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, created_ms, updated_ms, body, disposition, owner, throttled_by)
    VALUES (@id, @detection_id, @time_us, @status, @score, 1, '1', '', 0, 0, @body, @disposition, @owner, @throttled_by)
  `)
  const facets = openFindingFacets(db)
  const write = db.transaction((from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const finding = findingOf(i)
      const throttledBy = !isRare(i) && i % 50 === 1 ? 'another' : null
      insert.run({ ...finding, throttled_by: throttledBy })
      facets.put(null, { id: finding.id, visibility: throttledBy === null ? 'shown' : 'throttled', timeUs: finding.time_us, body: JSON.parse(finding.body) as Parameters<typeof facets.put>[1]['body'] })
    }
  })
  for (let i = 0; i < COUNT; i += 10_000) write(i, Math.min(i + 10_000, COUNT))
  db.pragma('wal_checkpoint(TRUNCATE)')
}

/** Milliseconds of processor time of calls one after the other, to which other processes make little difference, and the longest by the clock that others had to wait between. */
async function timesOf (times: number, call: (i: number) => Promise<unknown>): Promise<{ p50: number, p99: number, turn: number }> {
  const all: number[] = []
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  for (let i = 0; i < times; i++) {
    const startMs = processorMs()
    await call(i)
    all.push(processorMs() - startMs)
    await setImmediate()
  }
  delay.disable()
  all.sort((a, b) => a - b)
  return { p50: all[times >> 1]!, p99: all[Math.floor(times * 0.99)]!, turn: delay.max / 1e6 }
}

function processorMs (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}
