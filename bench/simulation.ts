import Database from 'better-sqlite3'
import { openDefinitions } from '../src/detect/definitions.js'
import type { CompiledDefinition } from '../src/detect/definition.js'
import { openDetections } from '../src/detect/detections.js'
import type { FolderContent } from '../src/detect/folders.js'
import { toFindings } from '../src/detect/findings.js'
import { sweep } from '../src/detect/late.js'
import { openLedger } from '../src/detect/ledger.js'
import { evaluate } from '../src/detect/run.js'
import { toKnowledge } from '../src/detect/search.js'
import { readSecurityContent } from '../src/detect/security-content.js'
import { openSlotSamples } from '../src/detect/warnings.js'
import type { Window } from '../src/event.js'
import { toMicroseconds } from '../src/event.js'
import { BUILT_IN_TABLES } from '../src/fields/field-tables.js'
import { parseCron } from '../src/schedule/cron.js'
import { openDetectionStore } from '../src/store/control/detections.js'
import { openFindingStore } from '../src/store/control/findings.js'
import type { Slot } from '../src/store/control/ledger.js'
import { openLedgerStore } from '../src/store/control/ledger.js'
import { migrate } from '../src/store/control/open.js'
import { openRandom } from './generator.js'
import type { MemoryEvent } from './memory-events.js'
import { openMemoryEvents } from './memory-events.js'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Daylight saving begins and ends within sixty days of these. */
const STARTS = [Date.parse('2026-03-01T10:17:00Z'), Date.parse('2026-09-25T05:44:00Z')]
const TIME_ZONE = 'Europe/Berlin'

const COMMANDS = ['nsenter', 'mount', 'ps', 'ls'] as const

export interface SimulationReport {
  readonly seed: number
  readonly events: number
  readonly late: number
  readonly slots: number
  readonly runs: number
  readonly lives: number
  readonly kills: number
  readonly failures: number
  readonly edits: number
  readonly clockSteps: number
  readonly findings: number
  readonly revisions: number
  readonly gone: number
  readonly faults: readonly string[]
}

interface Shape { readonly cron: string, readonly earliest: string, readonly latest: string }

/** A detection of the simulation: what its search is, and what may be made of it while it runs. Windows begin and end with bins. */
interface Simulated {
  readonly id: string
  readonly search: string
  readonly otherSearch: string
  readonly shapes: readonly Shape[]
  /** Whether it stays as it is, so that one evaluation over all time gives its findings. */
  readonly isSteady: boolean
}

const base = 'sourcetype=exec process_name IN ("nsenter","mount","ps","ls")'
const byBin = (span: string, rest: string) => `${base} | bin _time span=${span} | stats count dc(process_name) AS commands values(process_name) AS process_name BY pod_name node_name _time ${rest}`

const DETECTIONS: readonly Simulated[] = [
  { id: 'hourly', search: byBin('5m', '| where commands>=2'), otherSearch: '', shapes: [{ cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }], isSteady: true },
  { id: 'daily', search: byBin('1h', '| where commands>=3'), otherSearch: '', shapes: [{ cron: '10 0 * * *', earliest: '-1d@d', latest: '@d' }], isSteady: true },
  { id: 'single', search: byBin('10m', '| where commands=1'), otherSearch: byBin('10m', '| where commands=1 AND pod_name!="pod-1"'), shapes: [{ cron: '*/20 * * * *', earliest: '-30m@m', latest: '-10m@m' }, { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }], isSteady: false },
  { id: 'overlapping', search: byBin('5m', '| where commands>=2'), otherSearch: byBin('5m', '| where commands>=2 AND count>=3'), shapes: [{ cron: '*/30 * * * *', earliest: '-60m@m', latest: '@m' }, { cron: '15 */2 * * *', earliest: '-4h@m', latest: '-15m@m' }], isSteady: false },
  { id: 'timeless', search: `${base} | stats count values(process_name) AS process_name BY pod_name | where count>=2`, otherSearch: `${base} pod_name=pod-2 | stats count`, shapes: [{ cron: '30 */6 * * *', earliest: '-6h@h', latest: '@h' }, { cron: '0 */3 * * *', earliest: '-3h@h', latest: '@h' }], isSteady: false },
]

/** They are worked out once: time zones are slow. */
const SAMPLES = openSlotSamples()

/** Ends a life: whoever meets it has no more to say. */
class Killed extends Error {}

/**
 * Sixty days of a server, or as many as there is time for, by a clock of its own: events that come late, downtimes, kills at any write or wait, searches that fail, clocks that jump, detections that are edited,
 * disabled, removed. Afterwards all slots have to be done or waived once, and the findings have to be those of who knows nothing of all that.
 */
export async function simulate (seed: number, days: number): Promise<SimulationReport> {
  const random = openRandom(seed)
  const startMs = STARTS[random.below(STARTS.length)]! + random.below(DAY_MS)
  const endMs = startMs + days * DAY_MS
  const chance = (likelihood: number) => random.fraction() < likelihood
  const faults: string[] = []
  const slots: Slot[] = []
  const tally = { findings: 0, revisions: 0, gone: 0 }
  const counts = { late: 0, runs: 0, lives: 0, kills: 0, failures: 0, edits: 0, clockSteps: 0 }
  let trueMs = startMs
  let clockErrorMs = 0
  let failing = false
  const now = () => trueMs + clockErrorMs

  const db = new Database(':memory:')
  db.pragma('foreign_keys = ON')
  migrate(db)
  let life = beginLife()
  const events = openMemoryEvents(() => life.pause())

  const state = new Map(DETECTIONS.map(({ id }) => [id, { shape: 0, isEnabled: true, isOther: false, file: 'there' as 'there' | 'broken' | 'gone' }]))

  /** A process: it ends at a write or a wait that nobody knows before. */
  function beginLife () {
    let left = chance(0.7) ? 1 + random.below(4_000) : Infinity
    let isDead = false
    const step = () => {
      if (isDead) throw new Killed()
      if (--left > 0) return
      isDead = true
      counts.kills++
      throw new Killed()
    }
    return {
      get isDead () { return isDead },
      step,
      end (): void { isDead = true },
      async pause (): Promise<void> {
        for (let turns = random.below(4); turns > 0; turns--) await null
        step()
      },
    }
  }

  /** The database as a process sees it: after its end nothing is written, and what it was writing is not there. */
  function mortal (mine: typeof life): Database.Database {
    return new Proxy(db, {
      get (target, name) {
        const value = Reflect.get(target, name) as unknown
        if (name === 'prepare') {
          return (sql: string) => {
            const statement = target.prepare(sql)
            const { run } = statement
            statement.run = (...args: unknown[]) => {
              mine.step()
              return run.apply(statement, args)
            }
            return statement
          }
        }
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }

  function content (): Pick<FolderContent, 'detections' | 'macros' | 'lookups'> {
    const detections = DETECTIONS.flatMap(({ id, search, otherSearch }) => {
      const { isOther, file } = state.get(id)!
      if (file === 'gone') return []
      const text = file === 'broken' ? 'name: [' : JSON.stringify({ name: id, id: '00000000-0000-4000-8000-000000000000', version: isOther ? 2 : 1, type: 'TTP', description: id, search: isOther ? otherSearch : search, tags: {} })
      return [{ file: `${id}.yml`, id, ...readSecurityContent(id, text) }]
    })
    return { detections, macros: new Map(), lookups: new Map() }
  }

  /** What a server has in memory. */
  function start () {
    counts.lives++
    life = beginLife()
    const mine = life
    const control = mortal(mine)
    const detectionStore = openDetectionStore(control)
    const ledgerStore = openLedgerStore(control)
    const findings = openFindingStore(control)
    const definitions = openDefinitions(detectionStore)
    const detections = openDetections({ files: content().detections, overrides: {}, macros: new Map(), knowledge: toKnowledge(BUILT_IN_TABLES, new Map()), timeZone: TIME_ZONE, store: detectionStore, samples: SAMPLES })
    const stop = new AbortController()
    const running = new Map<string, number>()
    const flaky: typeof events = {
      ...events,
      async search (plan, options) {
        const result = await events.search(plan, options)
        if (failing && chance(0.5)) {
          counts.failures++
          throw new Error('the store has a bad day')
        }
        return result
      },
    }
    const ledger = openLedger({
      events: flaky, findings, detections, detectionStore, definitions,
      ledger: {
        ...ledgerStore,
        start (id: string, slotMs: number) {
          if (mine.isDead) throw new Killed()
          if (running.has(id)) faults.push(`${id} runs at ${text(slotMs)} while it runs at ${text(running.get(id)!)}`)
          running.set(id, slotMs)
          ledgerStore.start(id, slotMs)
        },
      },
      now, newId: random.uuid, signal: stop.signal,
      report: {
        ran ({ detection_id: id }) {
          counts.runs++
          running.delete(id)
        },
        defect (error) { if (!mine.isDead) faults.push(`a run could not be recorded: ${String(error)}`) },
      },
    })
    return {
      detections, ledger, ledgerStore,
      sweep: async () => { counts.late += (await sweep(now(), { events, detectionStore, definitions, ledger: ledgerStore, signal: stop.signal })).late },
      end: () => { life.end(); stop.abort() },
    }
  }

  /** Does something as a process would: where it is killed meanwhile, null. */
  async function alive<T> (work: () => Promise<T> | T): Promise<T | null> {
    const mine = life
    try {
      return await work()
    } catch (error) {
      if (!mine.isDead) throw error
      return null
    }
  }

  async function work ({ ledger, sweep }: ReturnType<typeof start>): Promise<void> {
    const tasks = [
      async () => {
        ledger.turnCurrent(now())
        await ledger.settled()
      },
      async () => { for (let turns = 0; turns < 10_000 && await ledger.turnBacklog(now()) <= now(); turns++); },
      sweep,
    ]
    if (chance(0.5)) tasks.reverse()
    if (chance(0.3)) await Promise.all(tasks.map(task => task()))
    else for (const task of tasks) await task()
    await ledger.settled()
  }

  /** An event of one pod, and when it arrives. */
  function * burst (): Generator<MemoryEvent> {
    const pod = `pod-${random.below(4)}`
    const fromMs = trueMs - random.below(10 * MINUTE_MS)
    for (let left = 1 + random.below(5); left > 0; left--) {
      const timeUs = (fromMs + random.below(12 * MINUTE_MS)) * 1000 + random.below(1000)
      const delay = random.fraction()
      const delayMs = delay < 0.6 ? random.below(5_000) : delay < 0.75 ? random.below(90 * MINUTE_MS) : delay < 0.92 ? random.below(20 * HOUR_MS) : random.below(6 * DAY_MS)
      const other = chance(0.1) ? { sourcetype: 'other' } : { sourcetype: 'exec' }
      yield { timeUs, arrivalMs: Math.ceil(timeUs / 1000) + delayMs, fields: { ...other, process_name: random.pick([...COMMANDS, 'cat']), pod_name: pod, node_name: `node-${random.below(2)}` } }
    }
  }

  function edit ({ ledger, detections }: ReturnType<typeof start>): void {
    const { id, shapes } = random.pick(DETECTIONS.filter(({ isSteady }) => !isSteady))
    const one = state.get(id)!
    counts.edits++
    const change = random.below(5)
    if (change === 0) one.isOther = !one.isOther
    else if (change === 1) one.file = one.file === 'there' ? random.pick(['broken', 'gone'] as const) : 'there'
    else if (change === 2) {
      one.file = 'there'
      one.isOther = false
    } else if (detections.list().some(active => active.id === id && active.compiled !== null)) {
      if (change === 3) one.isEnabled = !one.isEnabled
      else one.shape = random.below(shapes.length)
      ledger.patch(id, { enabled: one.isEnabled, schedule: shapes[one.shape]! })
      return
    }
    ledger.reload(content() as FolderContent)
  }

  const underway: MemoryEvent[] = []
  let server = null as ReturnType<typeof start> | null
  let upMs = startMs
  let soundMs = startMs
  const goOn = async () => {
    if (server === null) return
    const mine: ReturnType<typeof start> = server
    await alive(() => work(mine))
    if (life.isDead) server = null
  }
  const turnOn = async () => {
    for (let tries = 0; server === null && tries < 100; tries++) {
      server = await alive(() => {
        const opened = start()
        opened.ledger.complete(now())
        return opened
      })
    }
  }

  for (const { id, shapes } of DETECTIONS) {
    const { cron, earliest, latest } = shapes[0]!
    openDetectionStore(db).set({ detection_id: id, enabled: 1, cron, earliest, latest })
  }
  await turnOn()
  const firstUs = trueMs * 1000

  while (trueMs < endMs) {
    trueMs += chance(0.8) ? 1 + random.below(15 * MINUTE_MS) : random.below(70 * MINUTE_MS)
    if (chance(0.12)) underway.push(...burst())
    if (trueMs >= soundMs && clockErrorMs !== 0) clockErrorMs = 0
    if (server === null && trueMs < upMs) continue
    await turnOn()
    for (let i = underway.length - 1; i >= 0; i--) if (underway[i]!.arrivalMs <= trueMs) events.add(underway.splice(i, 1)[0]!)
    if (chance(0.004)) {
      counts.clockSteps++
      clockErrorMs = chance(0.5) ? random.below(26 * HOUR_MS) : -random.below(3 * HOUR_MS)
      soundMs = trueMs + random.below(4 * HOUR_MS)
    }
    failing = chance(failing ? 0.8 : 0.02)
    if (chance(0.02) && server !== null) {
      const mine: ReturnType<typeof start> = server
      await alive(() => edit(mine))
      if (life.isDead) server = null
    }
    await goOn()
    if (chance(0.01) && server !== null) {
      server.end() // a stop, or a crash between two writes
      server = null
      upMs = trueMs + random.below(chance(0.2) ? 20 * HOUR_MS : 2 * HOUR_MS)
    }
  }

  // All that is under way arrives, and the server has the time that it takes.
  failing = false
  clockErrorMs = 0
  for (const event of underway) events.add(event)
  for (let turns = 0; turns < 1_000; turns++) {
    trueMs += 20 * MINUTE_MS
    await turnOn()
    await goOn()
    const counts = openLedgerStore(db).counts()
    if (server !== null && counts.owed + counts.failed + counts.late === 0 && turns > 80) break
  }
  await check()
  db.close()
  return { seed, events: events.count(), slots: slots.length, ...tally, ...counts, faults }

  async function check (): Promise<void> {
    const ledgerStore = openLedgerStore(db)
    const detectionStore = openDetectionStore(db)
    const definitions = openDefinitions(detectionStore)
    const findings = openFindingStore(db)
    life = { ...beginLife(), pause: () => Promise.resolve() }
    slots.push(...ledgerStore.list({ fromMs: 0, toMs: Infinity }, 10_000_000))
    for (const slot of slots) if (slot.state !== 'done' && slot.state !== 'waived') faults.push(`the slot of ${slot.detection_id} at ${text(slot.slot_ms)} is ${slot.state}: ${slot.error ?? ''}`)

    const actual = new Map<string, string>()
    for (const finding of findings.each()) {
      tally.findings++
      tally.revisions += finding.revision - 1
      if (finding.gone_at !== null) tally.gone++
      else actual.set(finding.id, said(finding.detection.id, finding))
    }
    const wanted = new Map<string, string>()
    const evaluateAll = async (compiled: CompiledDefinition, slotMs: number, window: Window) => {
      const { rows } = await evaluate(compiled, slotMs, window, events.position(), { events, signal: new AbortController().signal })
      for (const { id, body } of toFindings(compiled.definition, compiled.plan, rows, slotMs, window).findings) wanted.set(id, said(compiled.definition.detection_id, body))
    }
    for (const { id, isSteady } of DETECTIONS) {
      const own = slots.filter(slot => slot.detection_id === id)
      checkSlots(id, own, detectionStore.periods(id))
      if (isSteady) await evaluateAll(definitions.get(own[0]!.definition_hash), own.at(-1)!.slot_ms, { earliestUs: own[0]!.earliest_us, latestUs: own.at(-1)!.latest_us })
      else for (const slot of own) await evaluateAll(definitions.get(slot.definition_hash), slot.slot_ms, { earliestUs: slot.earliest_us, latestUs: slot.latest_us })
    }
    for (const [id, what] of wanted) {
      const is = actual.get(id)
      if (is === undefined) faults.push(`missing: ${what}`)
      else if (is !== what) faults.push(`${what} should be there, it is ${is}`)
    }
    for (const [id, what] of actual) if (!wanted.has(id)) faults.push(`not wanted: ${what}`)
  }

  /** Between two changes each time of the schedule has its slot, and no other time has one. */
  function checkSlots (id: string, own: readonly Slot[], periods: ReturnType<ReturnType<typeof openDetectionStore>['periods']>): void {
    const known = new Set(own.map(({ slot_ms: slotMs }) => slotMs))
    if (known.size !== own.length) faults.push(`${id} has a slot twice`)
    const isSteady = DETECTIONS.some(one => one.id === id && one.isSteady)
    if (!isSteady) return
    const cron = parseCron(DETECTIONS.find(one => one.id === id)!.shapes[0]!.cron, TIME_ZONE)!
    const wanted: number[] = []
    for (let slotMs = cron(firstUs / 1000); slotMs <= trueMs; slotMs = cron(slotMs)) wanted.push(slotMs)
    for (const slotMs of wanted) if (!known.has(slotMs)) faults.push(`${id} has no slot at ${text(slotMs)}`)
    if (periods.length !== 1) faults.push(`${id} has ${periods.length} periods`)
    own.forEach((slot, i) => {
      if (i > 0 && own[i - 1]!.latest_us !== slot.earliest_us) faults.push(`the windows of ${id} before and at ${text(slot.slot_ms)} do not meet`)
    })
  }
}

function said (id: string, { time, result }: { readonly time: number, readonly result: unknown }): string {
  return `${id} ${text(toMicroseconds(time) / 1000)} ${JSON.stringify(result)}`
}

function text (ms: number): string {
  return new Date(ms).toISOString()
}
