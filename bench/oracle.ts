import type Database from 'better-sqlite3'
import { openDefinitions } from '../src/detect/definitions.js'
import type { CompiledDefinition } from '../src/detect/definition.js'
import { toFindings } from '../src/detect/findings.js'
import { evaluate } from '../src/detect/run.js'
import type { Window } from '../src/event.js'
import { toMicroseconds } from '../src/event.js'
import { parseCron } from '../src/schedule/cron.js'
import { openDetectionStore } from '../src/store/control/detections.js'
import { openFindingStore } from '../src/store/control/findings.js'
import type { Slot } from '../src/store/control/ledger.js'
import { openLedgerStore } from '../src/store/control/ledger.js'
import type { EventStore } from '../src/store/events.js'
import { DETECTIONS, TIME_ZONE } from './simulated.js'

export interface OracleReport {
  readonly slots: number
  readonly findings: number
  readonly revisions: number
  readonly gone: number
  readonly faults: readonly string[]
}

/**
 * Whether the ledger of the simulated detections from one time to another is whole, and the findings are those of who knows nothing of slots: one evaluation over all
 * time where windows tile, window by window otherwise, of all events that are there now.
 */
export async function consultOracle (db: Database.Database, events: EventStore, { firstMs, lastMs }: { readonly firstMs: number, readonly lastMs: number }): Promise<OracleReport> {
  const detectionStore = openDetectionStore(db)
  const definitions = openDefinitions(detectionStore)
  const faults: string[] = []
  const slots = openLedgerStore(db).list({ fromMs: 0, toMs: Infinity }, 10_000_000)
  for (const slot of slots) if (slot.state !== 'done' && slot.state !== 'waived') faults.push(`the slot of ${slot.detection_id} at ${toText(slot.slot_ms)} is ${slot.state}: ${slot.error ?? ''}`)

  const tally = { findings: 0, revisions: 0, gone: 0 }
  const actual = new Map<string, string>()
  for (const finding of openFindingStore(db).each()) {
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
  for (const { id, isSteady, shapes } of DETECTIONS) {
    const own = slots.filter(slot => slot.detection_id === id)
    if (new Set(own.map(({ slot_ms: slotMs }) => slotMs)).size !== own.length) faults.push(`${id} has a slot twice`)
    if (isSteady) {
      faults.push(...checkTiles(id, shapes[0]!.cron, own, { firstMs, lastMs }))
      const periods = detectionStore.periods(id).length
      if (periods !== 1) faults.push(`${id} has ${periods} periods`)
      if (own.length > 0) await evaluateAll(definitions.get(own[0]!.definition_hash), own.at(-1)!.slot_ms, { earliestUs: own[0]!.earliest_us, latestUs: own.at(-1)!.latest_us })
    } else for (const slot of own) await evaluateAll(definitions.get(slot.definition_hash), slot.slot_ms, { earliestUs: slot.earliest_us, latestUs: slot.latest_us })
  }
  for (const [id, what] of wanted) {
    const is = actual.get(id)
    if (is === undefined) faults.push(`missing: ${what}`)
    else if (is !== what) faults.push(`${what} should be there, it is ${is}`)
  }
  for (const [id, what] of actual) if (!wanted.has(id)) faults.push(`not wanted: ${what}`)
  return { slots: slots.length, ...tally, faults }
}

/** Each time of the schedule has its slot, and their windows meet. */
function checkTiles (id: string, expression: string, own: readonly Slot[], { firstMs, lastMs }: { readonly firstMs: number, readonly lastMs: number }): string[] {
  const faults: string[] = []
  const known = new Set(own.map(({ slot_ms: slotMs }) => slotMs))
  const cron = parseCron(expression, TIME_ZONE)!
  for (let slotMs = cron(firstMs); slotMs <= lastMs; slotMs = cron(slotMs)) if (!known.has(slotMs)) faults.push(`${id} has no slot at ${toText(slotMs)}`)
  own.forEach((slot, i) => {
    if (i > 0 && own[i - 1]!.latest_us !== slot.earliest_us) faults.push(`the windows of ${id} before and at ${toText(slot.slot_ms)} do not meet`)
  })
  return faults
}

function said (id: string, { time, result }: { readonly time: number, readonly result: unknown }): string {
  return `${id} ${toText(toMicroseconds(time) / 1000)} ${JSON.stringify(result)}`
}

export function toText (ms: number): string {
  return new Date(ms).toISOString()
}

/** Detections whose runs say that they have written more revisions of findings than there are, or fewer; a line each. */
export function miscountedRuns (db: Database.Database): string[] {
  return db.prepare<[], string>(`
    WITH said AS (SELECT detection_id, sum(created + throttled + suppressed + revised + gone) AS revisions FROM run GROUP BY detection_id),
      found AS (SELECT detection_id, count(*) AS revisions FROM finding_revision JOIN finding ON finding.id = finding_id GROUP BY detection_id)
    SELECT 'the runs of ' || said.detection_id || ' wrote ' || said.revisions || ' revisions, there are ' || coalesce(found.revisions, 0)
    FROM said LEFT JOIN found USING (detection_id) WHERE said.revisions != coalesce(found.revisions, 0)
  `).pluck().all()
}
