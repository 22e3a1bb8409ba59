import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import type { DetectionStore, EnabledPeriod } from '../store/control/detections.js'
import type { FindingStore, RunOfBackfill, RunRecord } from '../store/control/findings.js'
import type { LedgerStore, NewSlot, Slot } from '../store/control/ledger.js'
import type { ActiveDetection } from './active.js'
import { runnable } from './active.js'
import type { Definitions } from './definitions.js'
import type { Detections, SettingsPatch } from './detections.js'
import type { RunDeps } from './run.js'
import { runSlot } from './run.js'

/** What the ledger tells of, for the log and the metrics. */
export interface LedgerReport {
  /** `failure` is null where the run succeeded. */
  readonly ran: (run: RunRecord, failure: unknown, twins: number) => void
  /** A run that could not even be recorded; its slot is owed to the next start. */
  readonly defect: (error: unknown) => void
}

export interface LedgerDeps extends RunDeps {
  readonly detections: Detections
  readonly detectionStore: DetectionStore
  readonly definitions: Definitions
  readonly ledger: LedgerStore
  readonly findings: FindingStore
  readonly report: LedgerReport
}

/** A failed slot is tried again after 30 s, then after twice as long each time, up to an hour. */
const FIRST_RETRY_MS = 30_000
const LAST_RETRY_MS = 3_600_000

/**
 * A slot with late events is evaluated again when none has come for a minute, and ten minutes after the first in any case: a burst of them costs one
 * evaluation.
 */
const SETTLE_MS = 60_000
const LONGEST_SETTLE_MS = 600_000

/** Detections whose slots of one time are caught up together, so that their searches read the events once. */
const MAX_BATCH = 32

/** How long it takes at most until the backlog sees what has become due by other hands. */
const BACKLOG_LOOK_MS = 5_000

/**
 * Runs detections slot by slot. No slot is skipped: what is owed is done oldest first, behind what has just come due, each slot with the window of its own
 * time and the definition that was in force then.
 */
export function openLedger (deps: LedgerDeps) {
  const { events, detections, detectionStore, definitions, ledger, report } = deps
  const busy = new Map<string, Promise<unknown>>() // runs of one detection never overlap
  const queued = new Set<string>()

  /** Adds the slots that came due since the last one, up to `nowMs`, with the definition that was in force. */
  function owe (nowMs: number): void {
    for (const period of detectionStore.openPeriods()) {
      if (period.from_ms > nowMs) detectionStore.movePeriod(period.detection_id, nowMs) // the clock was ahead: nothing is owed by a time that has not come
      const owed: NewSlot[] = []
      for (const slot of slotsAfterLast(period)) {
        if (slot.slotMs > nowMs) break
        owed.push(slot)
      }
      if (owed.length > 0) ledger.owe(period.detection_id, owed)
    }
  }

  /** The slots that are still to come into the ledger: from the first after the period began, or after the last one. None before the definition is known. */
  function * slotsAfterLast ({ detection_id: id, from_ms: fromMs, definition_hash: hash }: EnabledPeriod): Generator<NewSlot> {
    if (hash === null) return
    const { nextSlot, windowOf } = definitions.schedule(hash)
    const last = ledger.lastSlot(id)
    for (let slotMs = nextSlot(last === null ? fromMs : Math.max(fromMs, last)); ; slotMs = nextSlot(slotMs)) yield { slotMs, definitionHash: hash, window: windowOf(slotMs) }
  }

  /** What is in force from `nowMs` on. Of a detection that can't run nothing changes: nobody has said that it is to end. */
  function setPeriods (nowMs: number): void {
    const all = detections.list()
    for (const one of all) setPeriod(one, nowMs)
    const ids = new Set(all.map(({ id }) => id))
    for (const period of detectionStore.openPeriods()) if (!ids.has(period.detection_id)) changePeriod(period.detection_id, null, nowMs)
  }

  function setPeriod ({ id, compiled, settings }: ActiveDetection, nowMs: number): void {
    if (compiled === null) return
    definitions.keep(compiled, nowMs)
    changePeriod(id, settings.enabled ? compiled.hash : null, nowMs)
  }

  function changePeriod (id: string, definitionHash: string | null, nowMs: number): void {
    const before = detectionStore.openPeriod(id)
    if (before !== undefined && before.definition_hash !== definitionHash) lookAgain(before, nowMs)
    detectionStore.setPeriod(id, definitionHash, nowMs)
  }

  /** The next slot of a definition that ends will not come: events that were left to it, though windows before held them too, are seen by the last of these. */
  function lookAgain (period: EnabledPeriod, nowMs: number): void {
    const lastMs = ledger.lastSlot(period.detection_id)
    const last = lastMs === null ? undefined : ledger.slot(period.detection_id, lastMs)
    if (last?.position == null || last.definition_hash !== period.definition_hash) return
    const [next] = take(slotsAfterLast(period), 1)
    const position = events.position()
    if (next === undefined || next.window.earliestUs >= last.latest_us || !events.isAfter(position, last.position)) return
    ledger.lookAgain(period.detection_id, last.slot_ms, { last: position, dueMs: lateDueMs(last, nowMs), nowMs })
  }

  function runExclusively<T> (detectionId: string, run: () => Promise<T>): Promise<T> {
    const turn = (busy.get(detectionId) ?? Promise.resolve()).then(run)
    const settled = turn.then(() => {}, () => {}).then(() => { if (busy.get(detectionId) === settled) busy.delete(detectionId) })
    busy.set(detectionId, settled)
    return turn
  }

  /** Evaluates a slot when its detection is free, if that is still to be done then. */
  async function begin ({ detection_id: id, slot_ms: slotMs }: Slot): Promise<void> {
    const key = `${slotMs} ${id}`
    if (queued.has(key)) return
    queued.add(key)
    try {
      await runExclusively(id, async () => {
        const slot = ledger.slot(id, slotMs) // somebody may have run or waived it meanwhile
        if (slot === undefined || slot.state === 'waived' || (slot.state === 'done' && slot.late_due_ms === null) || deps.signal.aborted) return
        if (hasLost(slot)) ledger.giveUp(id, slotMs)
        else await evaluateSlot(slot)
      })
    } finally {
      queued.delete(key)
    }
  }

  /** Whether events of its window were dropped since it was evaluated, or are in a partition that is damaged since: another evaluation would see less. */
  function hasLost (slot: Slot): boolean {
    if (slot.done_ms === null) return false
    return ledger.dropped(windowOf(slot)).some(({ dropped_ms: droppedMs }) => droppedMs >= slot.done_ms!) || (slot.short === 0 && deps.events.isDamaged(windowOf(slot)))
  }

  /** The same of a slot that the ledger may have no more: then it counts as evaluated when all events were there, whose findings another evaluation would take back. */
  function mayHaveLost (id: string, slotMs: number, window: Window): boolean {
    const slot = ledger.slot(id, slotMs)
    if (slot !== undefined) return hasLost(slot)
    const removed = ledger.removed(id)
    return removed !== undefined && removed.earliest_us < window.latestUs && removed.latest_us > window.earliestUs && isShort(window)
  }

  function isShort (window: Window): boolean {
    return ledger.dropped(window).length > 0 || deps.events.isDamaged(window)
  }

  async function evaluateSlot (slot: Slot, backfill?: RunOfBackfill): Promise<{ run: RunRecord, failure: unknown }> {
    if (slot.state !== 'running') ledger.start(slot.detection_id, slot.slot_ms)
    const nextTryMs = (nowMs: number) => nowMs + Math.min(FIRST_RETRY_MS * 2 ** slot.tries, LAST_RETRY_MS)
    const { run, twins, failure } = await runSlot(slot, { isShort: isShort(windowOf(slot)), nextTryMs, backfill }, deps)
    report.ran(run, failure, twins)
    return { run, failure }
  }

  /** Begins the slots that have just come due. */
  function beginCurrent (nowMs: number): Promise<void>[] {
    owe(nowMs)
    return ledger.current(nowMs).map(begin)
  }

  function nextMs (): number {
    return Math.min(Infinity, ...detectionStore.openPeriods().flatMap(period => take(slotsAfterLast(period), 1).map(({ slotMs }) => slotMs)))
  }

  /** Catches up with the oldest slot that can be, for all detections that have it; says whether there was one. */
  async function workOff (nowMs: number): Promise<boolean> {
    const due = ledger.backlog(nowMs, LAST_RETRY_MS).filter(({ slot_ms: slotMs, detection_id: id }) => !queued.has(`${slotMs} ${id}`))
    const oldestMs = Math.min(...due.map(({ slot_ms: slotMs }) => slotMs))
    await Promise.all(due.filter(({ slot_ms: slotMs }) => slotMs === oldestMs).slice(0, MAX_BATCH).map(begin))
    return due.length > 0
  }

  return {
    /** Makes the ledger whole at the start: what came due while nothing ran is owed. Periods begin and end at `nowMs` where settings changed, or a file is gone. */
    complete (nowMs: number): void {
      ledger.releaseRunning()
      ledger.cursor(events.position()) // before anything is evaluated: what comes from now on may be late
      for (const slot of ledger.withoutWindow()) ledger.setWindow(slot, definitions.schedule(slot.definition_hash).windowOf(slot.slot_ms))
      owe(nowMs)
      setPeriods(nowMs)
      owe(nowMs) // of periods whose definition was not known until now
    },

    /** Takes what was read of files again; slots that came due before are owed as they were. */
    reload (content: Parameters<Detections['reload']>[0]): void {
      const nowMs = deps.now()
      owe(nowMs)
      detections.reload(content)
      setPeriods(nowMs)
    },

    /** Begins the slots that have just come due, and does not wait for them; gives the time when the next one comes due. */
    turnCurrent (nowMs: number): number {
      for (const one of beginCurrent(nowMs)) one.catch(deps.report.defect)
      return nextMs()
    },

    /** Does the next of what is left: owed, failed or late slots. Gives the time to look again, which may be past. */
    async turnBacklog (nowMs: number): Promise<number> {
      if (await workOff(nowMs)) return nowMs
      return Math.min(nowMs + BACKLOG_LOOK_MS, ledger.nextTryMs(nowMs) ?? Infinity)
    },

    /** Both, to their end; gives the time when there is something to do next, which may be past. */
    async turn (nowMs: number): Promise<number> {
      await Promise.all(beginCurrent(nowMs))
      if (await workOff(nowMs)) return nowMs
      return Math.min(nextMs(), ledger.nextTryMs(nowMs) ?? Infinity)
    },

    /** Resolves when no run is under way. */
    async settled (): Promise<void> {
      while (busy.size > 0) await Promise.all(busy.values())
    },

    /**
     * Evaluates one slot now, on the schedule or off it, enabled or not. Throws AppError `conflict` where its window ends in the
     * future or has lost events since it was evaluated, `invalid` where the detection can't run.
     */
    async run (id: string, slotMs: number): Promise<RunRecord> {
      const compiled = runnable(detections.get(id))
      const nowMs = deps.now()
      const window = compiled.windowOf(slotMs)
      if (window.latestUs > nowMs * 1000) throw new AppError('conflict', 'the window of that time ends in the future')
      return runExclusively(id, async () => {
        definitions.keep(compiled, nowMs)
        if (mayHaveLost(id, slotMs, window)) throw new AppError('conflict', 'events of that window were dropped, or a partition of theirs was damaged, since it was evaluated; what was found stays as it is')
        return (await evaluateSlot(ledger.oweOther(id, 'manual', { slotMs, definitionHash: compiled.hash, window }))).run
      })
    },

    /** Whether something is to be done at `nowMs` that goes before a backfill: a slot has come due, is caught up with or evaluated again for late events, or is being so. */
    hasWork (nowMs: number): boolean {
      return queued.size > 0 || ledger.current(nowMs).length > 0 || ledger.backlog(nowMs, LAST_RETRY_MS).length > 0
    },

    /** How much of the events of a window of the past is there. Lost: some were dropped or damaged after its slot was evaluated, so that another evaluation would see less. */
    eventsOf (id: string, slotMs: number, window: Window): 'whole' | 'short' | 'lost' {
      if (mayHaveLost(id, slotMs, window)) return 'lost'
      return isShort(window) ? 'short' : 'whole'
    },

    /** Evaluates a slot of the past for a backfill, with the definition that the backfill has for it. Gives null where events of its window were lost, and it stays as it is. */
    backfill (id: string, slot: NewSlot, backfill: RunOfBackfill): Promise<{ run: RunRecord, failure: unknown } | null> {
      return runExclusively(id, async () => {
        return mayHaveLost(id, slot.slotMs, slot.window) ? null : evaluateSlot(ledger.startBackfill(id, slot), backfill)
      })
    },

    /** Changes settings; slots that came due before are owed as they were. */
    patch (id: string, patch: SettingsPatch): ActiveDetection {
      const nowMs = deps.now()
      owe(nowMs)
      const changed = detections.patch(id, patch)
      setPeriod(changed, nowMs)
      return changed
    },

    /** Owed and failed slots of a stretch are not run: somebody says so, and why. Gives how many there were. */
    waive (id: string, stretch: { readonly fromMs: number, readonly toMs: number }, { by, reason }: { readonly by: string, readonly reason: string }): number {
      const nowMs = deps.now()
      owe(nowMs)
      return ledger.waive(id, stretch, { by, reason, nowMs })
    },

    /** When the detection's next slot is; null while it is disabled or has errors. */
    nextSlotMs (id: string): number | null {
      const period = detectionStore.openPeriod(detections.get(id).id)
      return period === undefined ? null : take(slotsAfterLast(period), 1)[0]?.slotMs ?? null
    },
  }
}
export type Ledger = ReturnType<typeof openLedger>

function windowOf ({ earliest_us: earliestUs, latest_us: latestUs }: Slot) {
  return { earliestUs, latestUs }
}

/** When a slot with late events that are seen at `nowMs` is evaluated again; not before its time, should the clock have been ahead. */
export function lateDueMs ({ slot_ms: slotMs, late_since_ms: sinceMs }: Pick<Slot, 'slot_ms' | 'late_since_ms'>, nowMs: number): number {
  return Math.max(slotMs, Math.min(nowMs + SETTLE_MS, Math.max((sinceMs ?? nowMs) + LONGEST_SETTLE_MS, nowMs)))
}

function take<T> (all: Iterable<T>, count: number): T[] {
  const taken: T[] = []
  for (const one of all) {
    if (taken.push(one) >= count) break
  }
  return taken
}
