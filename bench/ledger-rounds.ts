import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type Database from 'better-sqlite3'
import { BUILT_IN_TABLES } from '../src/fields/field-tables.js'
import { openDetectionStore } from '../src/store/control/detections.js'
import { openControlDatabase } from '../src/store/control/open.js'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { checkDisk } from './disk.js'
import { openRandom } from './generator.js'
import type { LedgerServerOptions } from './ledger-server.js'
import type { MemoryEvent } from './memory-events.js'
import type { OracleReport } from './oracle.js'
import { consultOracle, miscountedRuns } from './oracle.js'
import { API_KEY, TOKEN } from './processes.js'
import { burst, DETECTIONS, HOUR_MS, MINUTE_MS, openSimulated, randomStart, TIME_ZONE } from './simulated.js'

export interface LedgerRoundsOptions {
  /** An empty folder. */
  readonly dir: string
  readonly rounds: number
  readonly seed: number
  readonly signal: AbortSignal
  readonly onRound?: (round: number) => void
}

export interface LedgerRoundsReport extends OracleReport {
  readonly events: number
  readonly runs: number
  /** Slots that processes were running when they were killed. */
  readonly interrupted: number
  readonly edits: number
  readonly killedWhileStarting: number
}

/** The longest that a process lives behind its last step; a slot takes some milliseconds, a backlog up to some seconds. */
const MAX_LAST_MS = 400
const MAX_STARTING_MS = 1_200
const STARTING = 0.15
const MAX_STEPS = 8

/**
 * A server that is killed again and again while its clock is set forward by minutes and hours: while it starts, runs what is owed, sweeps, takes late events, has its detections edited. Afterwards
 * the oracle is asked, and each record in control.db has to agree with the others.
 */
export async function runLedgerRounds ({ dir, rounds, seed, signal, onRound = () => {} }: LedgerRoundsOptions): Promise<LedgerRoundsReport> {
  const random = openRandom(seed)
  const simulated = openSimulated(random)
  const paths = { data: join(dir, 'data'), detections: join(dir, 'detections'), config: join(dir, 'config.yaml') }
  const faults: string[] = []
  const counts = { interrupted: 0, edits: 0, killedWhileStarting: 0 }
  let underway: MemoryEvent[] = []
  /** Whole seconds: a clock that stands must not wait for a part of one. */
  let nowMs = Math.ceil(randomStart(random) / 1000) * 1000
  const firstMs = nowMs

  prepare()
  const first = await startServer()
  await first.stop()
  for (let round = 1; round <= rounds; round++) {
    signal.throwIfAborted()
    await runRound()
    onRound(round)
    nowMs += random.below(random.fraction() < 0.2 ? 20 * HOUR_MS : HOUR_MS)
    nowMs -= nowMs % 1000
  }
  await runToTheEnd()
  return await check()

  function prepare (): void {
    for (const path of [paths.data, paths.detections]) mkdirSync(path)
    const db = openControlDatabase(paths.data)
    // The configuration would hold them for good.
    for (const { id, shapes: [shape] } of DETECTIONS) openDetectionStore(db).set({ detection_id: id, enabled: 1, cron: shape!.cron, earliest: shape!.earliest, latest: shape!.latest })
    db.close()
    writeDetections()
    writeFileSync(paths.config, JSON.stringify({
      listen: { port: 0 },
      data: { dir: 'data' },
      hec: { tokens: [{ name: 'bench', token: TOKEN }] },
      api: { keys: [{ name: 'bench', key: API_KEY, role: 'admin' }] },
      detections: { shipped: false, paths: ['detections'] },
      sources: { silent_after: '0s' },
      timezone: TIME_ZONE,
    }))
  }

  /** Whole files: the server reads them at any moment. */
  function writeDetections (): void {
    const files = simulated.files()
    for (const { id } of DETECTIONS) {
      const text = files.find(file => file.id === id)?.text
      const path = join(paths.detections, `${id}.yml`)
      if (text === undefined) rmSync(path, { force: true })
      else {
        writeFileSync(join(dir, 'next'), text)
        renameSync(join(dir, 'next'), path)
      }
    }
  }

  async function runRound (): Promise<void> {
    if (random.fraction() < STARTING) {
      counts.killedWhileStarting++
      const { kill } = spawnServer()
      await sleep(random.below(MAX_STARTING_MS), undefined, { signal })
      await kill()
      return
    }
    const server = await startServer()
    try {
      for (let left = 1 + random.below(MAX_STEPS); left > 0; left--) {
        await server.setClock(1 + random.below(left === 1 ? 6 * HOUR_MS : 40 * MINUTE_MS))
        if (random.fraction() < 0.15) await edit(server)
        for (let bursts = random.below(5); bursts > 0; bursts--) underway.push(...burst(nowMs, random))
        await send(server)
        await sleep(random.below(60), undefined, { signal })
      }
      await sleep(random.below(MAX_LAST_MS), undefined, { signal })
    } finally {
      await server.kill()
    }
    const db = openControlDatabase(paths.data)
    counts.interrupted += db.prepare<[], number>("SELECT count(*) FROM slot WHERE state = 'running'").pluck().get()!
    db.close()
  }

  /** Events come when their time has come; what was not acknowledged is sent again. */
  async function send (server: Awaited<ReturnType<typeof startServer>>): Promise<void> {
    const due = underway.filter(({ arrivalMs }) => arrivalMs <= nowMs)
    if (due.length === 0) return
    const body = due.map(({ timeUs, fields: { sourcetype, ...event } }) => JSON.stringify({ time: timeUs / 1e6, sourcetype, event })).join('')
    const { status } = await server.ask('services/collector/event', { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body })
    if (status === 200) underway = underway.filter(event => !due.includes(event))
    else faults.push(`events were answered with status ${status}`)
  }

  async function edit (server: Awaited<ReturnType<typeof startServer>>): Promise<void> {
    counts.edits++
    const setting = simulated.change(() => true)
    if (setting === null) writeDetections()
    else {
      const { id, ...patch } = setting
      const { status } = await server.ask(`api/v1/detections/${id}`, { method: 'PATCH', body: JSON.stringify({ enabled: patch.enabled, schedule: patch.schedule }) })
      if (status !== 200 && status !== 404 && status !== 409) faults.push(`an edit was answered with status ${status}`) // it may not be loaded
    }
  }

  /** All that is under way arrives, each when its time has come: what waits for the last would come too late. Then the server has the time that it takes. */
  async function runToTheEnd (): Promise<void> {
    const server = await startServer()
    while (underway.length > 0) {
      await server.setClock(Math.max(0, Math.min(...underway.map(({ arrivalMs }) => arrivalMs)) - nowMs))
      await send(server)
    }
    for (let stillTurns = 0; stillTurns < 10;) {
      await server.setClock(20 * MINUTE_MS)
      await sleep(100, undefined, { signal })
      const left = await server.count('hecate_ledger_owed_slots') + await server.count('hecate_ledger_failed_slots') + await server.count('hecate_ledger_late_slots')
      stillTurns = left === 0 ? stillTurns + 1 : 0
    }
    await server.stop()
  }

  async function check (): Promise<LedgerRoundsReport> {
    const db = openControlDatabase(paths.data)
    const events = await openSqliteEvents({
      dataDir: paths.data, durability: 'full', existingIndexes: new Set(['main']), maxEventBytes: 1 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES,
    })
    try {
      const report = await consultOracle(db, events, { firstMs, lastMs: nowMs })
      const runs = db.prepare<[], number>('SELECT count(*) FROM run').pluck().get()!
      return { ...report, ...counts, events: events.stats().events, runs, faults: [...faults, ...report.faults, ...checkRecords(db), ...checkDisk(paths.data)] }
    } finally {
      await events.close()
      db.close()
    }
  }

  function spawnServer () {
    const options: LedgerServerOptions = { config: paths.config, nowMs }
    const child = fork(fileURLToPath(new URL('./ledger-server.js', import.meta.url)), [JSON.stringify(options)], { signal })
    child.on('error', () => {}) // the signal's
    const exited = once(child, 'exit').then(([code]) => code as number | null)
    return {
      child,
      exited,
      async kill (): Promise<void> {
        child.kill('SIGKILL')
        await exited
      },
    }
  }

  async function startServer () {
    const { child, exited, kill } = spawnServer()
    const message = await Promise.race([once(child, 'message') as Promise<[{ url: string }]>, exited])
    if (!Array.isArray(message)) throw new Error(`the server ended with code ${message} before it served`)
    const [{ url }] = message
    const ask = async (path: string, init: RequestInit = {}) => {
      const reply = await fetch(`${url}/${path}`, { signal, ...init, headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...init.headers } })
      return { status: reply.status, text: await reply.text() }
    }
    return {
      ask,
      kill,
      async setClock (afterMs: number): Promise<void> {
        nowMs += Math.ceil(afterMs / 1000) * 1000
        await new Promise(resolve => { child.send(nowMs, resolve) })
      },
      async count (metric: string): Promise<number> {
        const { text } = await ask('metrics')
        return Number(new RegExp(`^${metric} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN)
      },
      async stop (): Promise<void> {
        child.kill('SIGTERM')
        const code = await exited
        if (code !== 0) faults.push(`the server ended with code ${code}`)
      },
    }
  }
}

/** Records of control.db that don't agree, a line each. */
function checkRecords (db: Database.Database): string[] {
  const lines = (sql: string) => db.prepare<[], string>(sql).pluck().all()
  return [
    ...lines('PRAGMA integrity_check').filter(line => line !== 'ok'),
    ...lines(`
      SELECT 'the slot of ' || detection_id || ' at ' || slot_ms || ' has no run of its position' FROM slot
      WHERE state = 'done' AND NOT EXISTS (SELECT 1 FROM run WHERE run.detection_id = slot.detection_id AND run.slot_ms = slot.slot_ms AND run.position = slot.position AND status = 'succeeded')
    `),
    ...lines(`
      SELECT 'the finding ' || id || ' has revision ' || revision || ', and other ones' FROM finding
      WHERE (SELECT count(*) FROM finding_revision WHERE finding_id = id) != revision OR (SELECT max(revision) FROM finding_revision WHERE finding_id = id) != revision
    `),
    ...lines("SELECT 'the finding ' || id || ' is of no run' FROM finding WHERE NOT EXISTS (SELECT 1 FROM run WHERE run.id = run_id)"),
    ...miscountedRuns(db),
  ]
}
