import Database from 'better-sqlite3'
import { openDefinitions } from '../src/detect/definitions.js'
import { openDetections } from '../src/detect/detections.js'
import type { FolderContent } from '../src/detect/folders.js'
import { sweep } from '../src/detect/late.js'
import { openLedger } from '../src/detect/ledger.js'
import { toKnowledge } from '../src/detect/search.js'
import { readSecurityContent } from '../src/detect/security-content.js'
import { openSlotSamples } from '../src/detect/warnings.js'
import { BUILT_IN_TABLES } from '../src/fields/field-tables.js'
import { openDetectionStore } from '../src/store/control/detections.js'
import { openFindingStore } from '../src/store/control/findings.js'
import { openLedgerStore } from '../src/store/control/ledger.js'
import { migrate } from '../src/store/control/open.js'
import { openRandom } from './generator.js'
import type { MemoryEvent } from './memory-events.js'
import { openMemoryEvents } from './memory-events.js'
import { consultOracle, miscountedRuns, toText } from './oracle.js'
import { burst, DAY_MS, DETECTIONS, HOUR_MS, MINUTE_MS, openSimulated, randomStart, TIME_ZONE } from './simulated.js'

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
  const startMs = randomStart(random)
  const endMs = startMs + days * DAY_MS
  const chance = (likelihood: number) => random.fraction() < likelihood
  const faults: string[] = []
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

  const simulated = openSimulated(random)

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
    const detections = simulated.files().map(({ id, text }) => ({ file: `${id}.yml`, id, ...readSecurityContent(id, text) }))
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
    const findings = openFindingStore(control, [], undefined, { findingsPerCommit: 2, pause: () => mine.pause() })
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
          if (running.has(id)) faults.push(`${id} runs at ${toText(slotMs)} while it runs at ${toText(running.get(id)!)}`)
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
      sweep: async () => { counts.late += (await sweep(now(), { events, detectionStore, definitions, ledger: ledgerStore, addLacks: () => {}, signal: stop.signal })).late },
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

  function edit ({ ledger, detections }: ReturnType<typeof start>): void {
    counts.edits++
    const setting = simulated.change(id => detections.list().some(active => active.id === id && active.compiled !== null))
    if (setting === null) ledger.reload(content() as FolderContent)
    else ledger.patch(setting.id, setting)
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
  const firstMs = trueMs

  while (trueMs < endMs) {
    trueMs += chance(0.8) ? 1 + random.below(15 * MINUTE_MS) : random.below(70 * MINUTE_MS)
    if (chance(0.12)) underway.push(...burst(trueMs, random))
    if (trueMs >= soundMs && clockErrorMs !== 0) clockErrorMs = 0
    if (server === null && trueMs < upMs) continue
    await turnOn()
    for (let i = underway.length - 1; i >= 0; i--) if (underway[i]!.arrivalMs <= trueMs) events.add(underway.splice(i, 1)[0]!)
    if (chance(0.004)) {
      counts.clockSteps++
      // With an event that is six days late, and a while in which nothing runs, it has to stay below seven days: what comes later than that is not looked at, and the oracle knows nothing of it.
      clockErrorMs = chance(0.5) ? random.below(18 * HOUR_MS) : -random.below(3 * HOUR_MS)
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
  life = { ...beginLife(), pause: () => Promise.resolve() }
  const report = await consultOracle(db, events, { firstMs, lastMs: trueMs })
  const miscounted = miscountedRuns(db)
  db.close()
  return { seed, events: events.count(), ...counts, ...report, faults: [...faults, ...report.faults, ...miscounted] }
}
