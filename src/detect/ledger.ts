import { AppError } from '../errors.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { FindingStore, RunRecord } from '../store/control/findings.js'
import type { LedgerStore, Slot } from '../store/control/ledger.js'
import type { ActiveDetection } from './active.js'
import type { CompiledDefinition } from './definition.js'
import { compileDefinition } from './definition.js'
import type { Detections, SettingsPatch } from './detections.js'
import type { RunDeps } from './run.js'
import { runSlot } from './run.js'

/** What the ledger tells of, for the log and the metrics. */
export interface LedgerReport {
  /** `failure` is null where the run succeeded. */
  readonly ran: (run: RunRecord, failure: unknown, twins: number) => void
}

export interface LedgerDeps extends RunDeps {
  readonly detections: Detections
  readonly detectionStore: DetectionStore
  readonly ledger: LedgerStore
  readonly findings: FindingStore
  readonly report: LedgerReport
}

/** A failed slot is tried again after 30 s, then after twice as long each time, up to an hour. */
const FIRST_RETRY_MS = 30_000
const LAST_RETRY_MS = 3_600_000

/**
 * Runs detections slot by slot. No slot is skipped: what is owed is done oldest first, each slot with the window of its own
 * time and the definition that it was owed with.
 */
export function openLedger (deps: LedgerDeps) {
  const { detections, detectionStore, ledger, report } = deps
  const compiledByHash = new Map<string, CompiledDefinition>()
  const busy = new Map<string, Promise<unknown>>() // runs of one detection never overlap

  /** Adds the slots that came due since the last one, up to `nowMs`. */
  function complete ({ id, compiled }: ActiveDetection, nowMs: number): void {
    const since = detectionStore.enabledSince(id)
    if (compiled === null || since === null) return
    keep(compiled, nowMs)
    const owed: number[] = []
    for (let slotMs = firstAfter(compiled, since, ledger.lastSlot(id)); slotMs <= nowMs; slotMs = compiled.nextSlot(slotMs)) owed.push(slotMs)
    if (owed.length > 0) ledger.owe(id, compiled.hash, owed)
  }

  /** Of a detection that can't run the period stays as it is: nobody has said that it is to end. */
  function setPeriods (nowMs: number): void {
    const all = detections.list()
    for (const { id, compiled, settings } of all) if (compiled !== null) detectionStore.setEnabled(id, settings.enabled, nowMs)
    detectionStore.disableOthers(all.map(({ id }) => id), nowMs)
  }

  function keep (compiled: CompiledDefinition, nowMs: number): void {
    if (compiledByHash.has(compiled.hash)) return
    detectionStore.keepLookups([...compiled.plan.lookups.values()], nowMs)
    detectionStore.keepDefinition(compiled.hash, compiled.definition, nowMs)
    compiledByHash.set(compiled.hash, compiled)
  }

  /** A slot is evaluated with the definition that it was first owed or run with. */
  function definitionOf ({ definition_hash: hash }: Slot): CompiledDefinition {
    let compiled = compiledByHash.get(hash)
    if (compiled === undefined) {
      compiled = compileDefinition(detectionStore.definition(hash), detectionStore.lookup)
      compiledByHash.set(hash, compiled)
    }
    return compiled
  }

  function runExclusively<T> (detectionId: string, run: () => Promise<T>): Promise<T> {
    const turn = (busy.get(detectionId) ?? Promise.resolve()).then(run)
    busy.set(detectionId, turn.catch(() => {}))
    return turn
  }

  async function evaluateSlot (slot: Slot): Promise<RunRecord> {
    const { detection_id: id, slot_ms: slotMs, tries } = slot
    ledger.start(id, slotMs)
    const nextTryMs = (nowMs: number) => nowMs + Math.min(FIRST_RETRY_MS * 2 ** tries, LAST_RETRY_MS)
    const { run, twins, failure } = await runSlot(definitionOf(slot), slotMs, nextTryMs, deps)
    report.ran(run, failure, twins)
    return run
  }

  return {
    /** Makes the ledger whole at the start. Enabled periods begin and end at `nowMs` where settings changed, or a file is gone. */
    complete (nowMs: number): void {
      ledger.releaseRunning()
      setPeriods(nowMs)
      for (const detection of detections.list()) complete(detection, nowMs)
    },

    /** Takes what was read of files again; slots that came due before are owed as they were. */
    reload (content: Parameters<Detections['reload']>[0]): void {
      const nowMs = deps.now()
      for (const detection of detections.list()) complete(detection, nowMs)
      detections.reload(content)
      setPeriods(nowMs)
    },

    /** Runs the oldest slot that is due of each detection; gives the time when the next one is, which may be past. */
    async turn (nowMs: number): Promise<number> {
      for (const detection of detections.list()) complete(detection, nowMs)
      const due = ledger.oldestDue(nowMs)
      await Promise.all(due.map(({ detection_id: id, slot_ms: slotMs }) => runExclusively(id, async () => {
        const slot = ledger.slot(id, slotMs)
        // Somebody may have run it by hand meanwhile.
        if (slot !== undefined && slot.state !== 'done' && !deps.signal.aborted) await evaluateSlot(slot)
      })))
      if (due.length > 0) return nowMs
      const times = detections.list().map(({ id, compiled }) => {
        const since = detectionStore.enabledSince(id)
        return compiled === null || since === null ? Infinity : firstAfter(compiled, since, ledger.lastSlot(id))
      })
      const retry = ledger.nextTryMs()
      return Math.min(...times, retry !== null && retry > nowMs ? retry : Infinity)
    },

    /**
     * Evaluates one slot now, on the schedule or off it, enabled or not. Throws AppError `conflict` where its window ends in the
     * future, `invalid` where the detection can't run.
     */
    async run (id: string, slotMs: number): Promise<RunRecord> {
      const { compiled, errors } = detections.get(id)
      if (compiled === null) throw new AppError('invalid', `the detection has errors: ${errors.map(({ message }) => message).join('; ')}`)
      const nowMs = deps.now()
      if (compiled.windowOf(slotMs).latestUs > nowMs * 1000) throw new AppError('conflict', 'the window of that time ends in the future')
      return runExclusively(id, async () => {
        keep(compiled, nowMs)
        return evaluateSlot(ledger.oweManual(id, compiled.hash, slotMs))
      })
    },

    /** Changes settings; slots that came due before are owed as they were. */
    patch (id: string, patch: SettingsPatch): ActiveDetection {
      const nowMs = deps.now()
      complete(detections.get(id), nowMs)
      const changed = detections.patch(id, patch)
      detectionStore.setEnabled(id, changed.settings.enabled, nowMs)
      return changed
    },

    /** When the detection's next slot is; null while it is disabled or has errors. */
    nextSlotMs (id: string): number | null {
      const { compiled } = detections.get(id)
      const since = detectionStore.enabledSince(id)
      return compiled === null || since === null ? null : firstAfter(compiled, since, ledger.lastSlot(id))
    },
  }
}
export type Ledger = ReturnType<typeof openLedger>

/** The ledger of a detection begins with the first slot after it was enabled; after a pause it goes on from there. */
function firstAfter ({ nextSlot }: CompiledDefinition, sinceMs: number, lastSlotMs: number | null): number {
  return nextSlot(lastSlotMs === null ? sinceMs : Math.max(sinceMs, lastSlotMs))
}
