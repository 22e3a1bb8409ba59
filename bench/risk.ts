import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import { openRisk } from '../src/detect/risk.js'
import { riskOf } from '../src/detect/risk-entity.js'
import { openRiskRules, RISK_RULE_IDS } from '../src/detect/risk-rules.js'
import type { Finding, FindingBody } from '../src/finding.js'
import { openFindingStore } from '../src/store/control/findings.js'
import { openControlDatabase } from '../src/store/control/open.js'
import { openRiskStore } from '../src/store/control/risk.js'
import { openRiskRuleStore } from '../src/store/control/risk-rules.js'
import type { Position } from '../src/store/events.js'
import { openRandom } from './generator.js'

const USAGE = `usage: npm run bench:risk -- [--findings N] [--dir DIR]

  Scores of risk objects over thirty days of findings, each of a pod and a node: how much processor time they take, and how much of it at a
  stretch in which nothing else gets a turn.

  --findings N   how many (1000000)
  --dir DIR      where control.db is, or is to be made (a temporary folder, removed afterwards)
`

const DETECTION = 'a_detection_with_a_name_of_some_length'
const HOUR_MS = 3_600_000
const DAYS = 30
const DAY_US = 86_400_000_000
const LATEST_US = Date.parse('2026-03-31T00:00:00Z') * 1_000
const EARLIEST_US = LATEST_US - DAYS * DAY_US
const AT_A_TIME = 5_000
const position = '0' as unknown as Position

const { values } = parseArgs({ options: { findings: { type: 'string', default: '1000000' }, dir: { type: 'string' }, help: { type: 'boolean' } } })
const count = Number(values.findings)
if (values.help === true || !Number.isSafeInteger(count) || count < 1) {
  process.stdout.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else {
  const dir = values.dir ?? mkdtempSync(join(tmpdir(), 'hecate-risk-'))
  try {
    await run(dir)
  } finally {
    if (values.dir === undefined) rmSync(dir, { recursive: true })
  }
}

async function run (dir: string): Promise<void> {
  const db = openControlDatabase(dir)
  const store = openRiskStore(db, { riskOf: riskOf([], RISK_RULE_IDS), entity: '[]' })
  const findings = openFindingStore(db, [store.written])
  const risk = openRisk({ store, findings, cap: 3, halfLifeMs: 0 })
  const weighing = openRisk({ store, findings, cap: 3, halfLifeMs: 86_400_000 })
  const fillMs = await timeOf(() => fill(findings))
  const windowOf = (days: number) => ({ earliestUs: LATEST_US - days * DAY_US, latestUs: LATEST_US })
  const rows: string[][] = [['findings made, each with two postings', (fillMs.ms / count * 1_000).toFixed(0) + ' µs each', '']]
  const measure = async (what: string, work: () => Promise<unknown>, before = () => {}) => {
    await work()
    before()
    const { ms, longestMs } = await timeOf(work)
    rows.push([what, `${ms.toFixed(1)} ms`, `${longestMs.toFixed(1)} ms`])
  }
  for (const value of ['pod-17', 'node-17', 'node-0']) {
    const object = store.object('system', value)
    if (object === undefined) continue
    const found = await risk.of(object, windowOf(DAYS))
    await measure(`score of ${value}: ${found?.findings} postings in 30 days`, () => risk.of(object, windowOf(DAYS)))
    await measure(`a page of ${value} explained`, async () => risk.explain(object, await risk.of(object, windowOf(DAYS)), windowOf(DAYS), 'standing', 51))
  }
  for (const days of [1, 7, DAYS]) {
    const { total } = await risk.list({ window: windowOf(days) }, 51)
    await measure(`list of ${days} d: ${total} objects`, () => risk.list({ window: windowOf(days) }, 51))
  }
  await measure('list of 30 d, one type', () => risk.list({ window: windowOf(DAYS), type: 'user' }, 51))
  await measure('list of 30 d, half-life', () => weighing.list({ window: windowOf(DAYS) }, 51))

  let said = 0
  const rules = openRiskRules({
    events: { position: () => position },
    store: openRiskRuleStore(db),
    risk: store,
    findings,
    config: { score: { over: 100, in: HOUR_MS * 24 }, tactics: { at_least: 3, in: HOUR_MS * 24 * 7 }, detections: { at_least: 0, in: HOUR_MS } },
    cap: 3,
    signal: new AbortController().signal,
    report: () => { said++ },
  })
  const all = await timeOf(() => rules.evaluate(LATEST_US / 1_000))
  rows.push([`risk rules over all of it: ${said} findings`, `${all.ms.toFixed(0)} ms`, `${all.longestMs.toFixed(1)} ms`])
  for (const value of ['pod-17', 'node-17', 'node-0']) {
    const finding = await findingOf(findings, value)
    const again = () => store.written({ ...finding, revision: Math.round(1e6 * performance.now()) }, { what: 'revised', nowMs: LATEST_US / 1_000 })
    again()
    await measure(`risk rules after another posting of ${value}`, () => rules.evaluate(LATEST_US / 1_000), again)
  }
  db.close()

  const again = openControlDatabase(dir)
  const other = openRiskStore(again, { riskOf: riskOf([{ field: 'pod_name', by: ['cluster_name'] }], RISK_RULE_IDS), entity: '[1]' })
  const anew = openRisk({ store: other, findings: openFindingStore(again), cap: 3, halfLifeMs: 0 })
  let turns = 0
  const { ms, longestMs } = await timeOf(async () => {
    for (; turns < 100 && !anew.isPosted(); turns++) {
      anew.postOld(0)
      await setImmediate()
    }
  })
  rows.push(['findings of the past posted again', `${(ms / turns / 200 * 1_000).toFixed(0)} µs each`, `${longestMs.toFixed(1)} ms`])
  again.close()
  process.stdout.write(`${formatTable(['what', 'takes', 'longest turn'], rows)}\n`)
}

/** How much processor time it takes, and the most of it at a stretch in which nothing else gets a turn: other processes make no difference to either. */
async function timeOf (work: () => Promise<unknown>): Promise<{ ms: number, longestMs: number }> {
  const now = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  }
  const start = now()
  let longestMs = 0
  let last = start
  function turn () {
    const time = now()
    longestMs = Math.max(longestMs, time - last)
    last = time
    watch = globalThis.setImmediate(turn)
  }
  let watch = globalThis.setImmediate(turn)
  await work()
  clearImmediate(watch)
  const end = now()
  return { ms: end - start, longestMs: Math.max(longestMs, end - last) }
}

/** A finding of the object that is posted once more. */
async function findingOf (findings: ReturnType<typeof openFindingStore>, value: string): Promise<Finding> {
  const [finding] = await findings.list({ window: { earliestUs: EARLIEST_US + 15 * DAY_US, latestUs: LATEST_US }, risk_object: value, detection: [DETECTION] }, '-time', 1)
  return finding!
}

/** Findings in the order of their times; every fiftieth is of node-0. */
async function fill (findings: ReturnType<typeof openFindingStore>): Promise<void> {
  const { below: random } = openRandom(1)
  for (let i = 0; i < count; i += AT_A_TIME) {
    findings.putOwn(Array.from({ length: Math.min(AT_A_TIME, count - i) }, (_, j) => ({ id: `f${i + j}`, body: bodyOf(i + j, random) })), position, LATEST_US / 1_000)
    await setImmediate()
  }
}

function bodyOf (i: number, random: (below: number) => number): FindingBody {
  const detection = random(20)
  const pod = `pod-${random(50_000)}`
  const node = random(50) === 0 ? 'node-0' : `node-${random(500)}`
  const score = 10 + 10 * random(8)
  const time = Math.floor(EARLIEST_US + i * (DAYS * DAY_US / count)) / 1e6
  return {
    detection: { id: detection === 0 ? DETECTION : `${DETECTION}_${detection}`, name: 'A detection', version: 1 },
    time,
    result: { cluster_name: 'prod-eu', pod_name: pod, node_name: node, process: ['/bin/sh -c id', '/usr/bin/nsenter -t 1 -m'], count: random(100) },
    risk: { score, message: `nsenter in ${pod}`, objects: [{ field: 'pod_name', type: 'system', value: pod, score }, { field: 'node_name', type: 'system', value: node, score: 10 }], threat_objects: [] },
    severity: 'high',
    mitre_attack: ['T1611', `T10${10 + detection}`],
    window: { earliest: '', latest: '' },
  }
}
