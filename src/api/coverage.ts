import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Coverage as DetectCoverage, CoverageSlot as DetectSlot, Gap as DetectGap } from '../detect/coverage.js'
import { COVERAGE_STATES, GAP_CAUSES, isEvaluated, MAX_GAPS } from '../detect/coverage.js'
import type { CoverageReader } from '../detect/coverage-reader.js'
import { summarize } from '../detect/coverage-text.js'
import type { Detections } from '../detect/detections.js'
import type { Window } from '../event.js'
import { toSeconds } from '../event.js'
import { SLOT_ORIGINS } from '../store/control/ledger.js'
import { toCsvLine } from './csv.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, toCursor, toWindowText, WindowText } from './query.js'

export interface CoverageRouteDeps {
  readonly detections: Detections
  readonly coverage: CoverageReader
  readonly time: TimeContext
}

const Count = z.number().int()

export const CoverageGap = z.object({
  ...WindowText.shape,
  seconds: z.number(),
  cause: z.enum(GAP_CAUSES),
  waived: z.object({ by: z.string(), reason: z.string() }).nullable(),
}).meta({ id: 'CoverageGap' })

const Totals = z.object({
  slots: Count.describe('on the schedule or of a backfill, whose windows touch the range'),
  states: z.record(z.enum(COVERAGE_STATES), Count),
  evaluated: Count.describe('those whose windows were evaluated, whatever became of a later evaluation'),
  manual: Count.describe('slots off the schedule; they cover nothing and are not among the others'),
  short: Count.describe('evaluated when events of the window had been dropped or damaged'),
  late: z.object({
    slots: Count.describe('evaluated again for late events'),
    evaluations: Count,
    events: Count,
    waiting_events: Count.describe('that no evaluation has seen yet'),
    too_late_events: Count.describe('that no evaluation will see'),
  }),
  seconds: z.number().describe('of the range'),
  covered_seconds: z.number(),
  gaps: z.record(z.enum(GAP_CAUSES), z.object({ count: Count, seconds: z.number() })),
}).meta({ id: 'CoverageTotals' })

export const CoverageSlot = z.object({
  scheduled_time: z.string(),
  origin: z.enum(SLOT_ORIGINS),
  state: z.enum(COVERAGE_STATES).describe('missing: it should be in the ledger and is not; not_due: it came into the ledger before its time, when the clock was ahead'),
  window: WindowText,
  definition: z.string(),
  evaluated: z.boolean(),
  lateness_seconds: z.number().nullable().describe('from its scheduled time to its first evaluation'),
  first_evaluated_at: z.string().nullable(),
  evaluated_at: z.string().nullable(),
  row_count: Count.nullable(),
  position: z.string().nullable().describe('how far events were visible to the last evaluation'),
  late: z.object({ evaluations: Count, events: Count, waiting_events: Count, too_late_events: Count }),
  short: z.boolean().describe('events of the window had been dropped, or may have been in a damaged partition, before its first evaluation'),
  waived: z.object({ by: z.string(), reason: z.string(), at: z.string() }).nullable(),
  error: z.string().nullable(),
}).meta({ id: 'CoverageSlot' })
export type CoverageSlot = z.infer<typeof CoverageSlot>

export const Coverage = z.object({
  detection_id: z.string(),
  time_zone: z.string(),
  window: WindowText,
  summary: z.string().optional().describe('a sentence to quote; it, totals and gaps are on the first page alone'),
  totals: Totals.optional(),
  gaps: z.array(CoverageGap).optional().describe('stretches of the range that no evaluation has seen, oldest first'),
  more_gaps: Count.optional().describe(`gaps that are not listed here, though totals have them: at most ${MAX_GAPS.toLocaleString('en')} are listed`),
  kept_after: z.string().nullable().optional().describe('scheduled time of the newest slot that went because of data.ledger_retention: of those up to it the ledger has only some; null where none went'),
  slots: z.object({ items: z.array(CoverageSlot), next_cursor: z.string().nullable() }).describe('whose windows touch the range, oldest first'),
}).meta({ id: 'Coverage' })

export const CoverageLine = z.object({ detection_id: z.string(), summary: z.string(), totals: Totals }).meta({ id: 'CoverageLine' })

export const CoverageLines = pageOf(CoverageLine)

/** Lines of CSV at a time. */
const CHUNK = 100

const DAY_US = 86_400_000_000

const Range = z.strictObject({
  earliest: TimeRange.shape.earliest.describe('inclusive, of event time; 24 hours before latest where it is missing'),
  latest: TimeRange.shape.latest.describe('exclusive; now where it is missing'),
}).extend(Page.omit({ count: true }).shape)

/** /coverage: which event time was evaluated, and why the rest was not. */
export async function coverageRoutes (app: FastifyInstance, { detections, coverage, time }: CoverageRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const idOf = (name: string) => coverage.isKnown(name) ? name : detections.get(name).id

  /** The part of a range of whose slots some went because of their age. */
  function removedIn (id: string, window: Window): Window | null {
    const removed = coverage.removed(id)
    if (removed === undefined || removed.earliest_us >= window.latestUs || removed.latest_us <= window.earliestUs) return null
    return { earliestUs: Math.max(removed.earliest_us, window.earliestUs), latestUs: Math.min(removed.latest_us, window.latestUs) }
  }

  routes.get('/coverage', {
    schema: {
      summary: 'What of event time each detection has evaluated, by id',
      description: 'Of every detection there is or that ever was enabled.',
      tags: ['coverage'],
      querystring: Range,
      response: { 200: CoverageLines, ...problemReplies },
    },
  }, async ({ query }) => {
    const nowMs = time.now()
    const window = rangeOf(query, { ...time, now: () => nowMs })
    const [after] = query.cursor === undefined ? [''] : readCursor(query.cursor, z.tuple([z.string()]))
    const rest = [...new Set([...detections.list().map(({ id }) => id), ...coverage.ids()])].filter(id => id > after).sort()
    const page = rest.slice(0, limitOf(query))
    const items: z.infer<typeof CoverageLine>[] = []
    for (const id of page) {
      const found = await coverage.read(id, window, nowMs)
      items.push({ detection_id: id, summary: summarize(found, time.timeZone), totals: found.totals })
    }
    return { items, next_cursor: rest.length > page.length ? toCursor([page.at(-1)!]) : null, ...toWindowText(window) }
  })

  routes.get('/detections/:id/coverage', {
    schema: {
      summary: 'What of event time the detection has evaluated, and why the rest was not',
      description: 'As CSV, which is asked for by format=csv or "Accept: text/csv", all slots are there at once, without totals and gaps.',
      tags: ['coverage'],
      params: z.strictObject({ id: z.string().min(1).max(300) }),
      querystring: Range.extend({ format: z.enum(['json', 'csv']).optional() }),
      response: {
        200: { description: 'Coverage', content: { 'application/json': { schema: Coverage }, 'text/csv': { schema: z.string() } } },
        ...problemReplies,
      },
    },
  }, async ({ params, query, headers }, reply) => {
    const id = idOf(params.id)
    const nowMs = time.now()
    const window = rangeOf(query, { ...time, now: () => nowMs })
    const [afterMs] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const slots = coverage.slots(id, window, nowMs, afterMs)
    if ((query.format ?? (/\btext\/csv\b/.test(headers.accept ?? '') ? 'csv' : 'json')) === 'csv') {
      return reply.type('text/csv; charset=utf-8').send(Readable.from(toCsv(id, slots, removedIn(id, window))) as unknown as string)
    }
    const limit = limitOf(query)
    const page: DetectSlot[] = []
    for (const slot of slots) if (page.push(slot) > limit) break // one more tells whether there is a next page
    const items = page.slice(0, limit)
    return {
      detection_id: id,
      time_zone: time.timeZone,
      window: toWindowText(window),
      ...afterMs === undefined ? toCoverageView(await coverage.read(id, window, nowMs), time.timeZone) : {},
      slots: { items: items.map(toSlotView), next_cursor: page.length > limit ? toCursor([items.at(-1)!.slotMs]) : null },
    }
  })
}

function rangeOf ({ earliest, latest = 'now' }: { earliest?: string | undefined, latest?: string | undefined }, time: TimeContext): Window {
  if (earliest !== undefined) return resolveWindow({ earliest, latest }, time)
  const { latestUs } = resolveWindow({ latest }, time)
  return { earliestUs: latestUs - DAY_US, latestUs }
}

function toCoverageView (found: DetectCoverage, timeZone: string) {
  return { summary: summarize(found, timeZone), totals: found.totals, gaps: found.gaps.map(toGapView), more_gaps: found.moreGaps, kept_after: found.keptAfterMs === null ? null : new Date(found.keptAfterMs).toISOString() }
}

function toGapView (gap: DetectGap): z.infer<typeof CoverageGap> {
  return { ...toWindowText(gap), seconds: toSeconds(gap.latestUs - gap.earliestUs), cause: gap.cause, waived: gap.waived }
}

function toSlotView (slot: DetectSlot): CoverageSlot {
  const { row } = slot
  const toText = (ms: number | null | undefined) => ms == null ? null : new Date(ms).toISOString()
  return {
    scheduled_time: new Date(slot.slotMs).toISOString(),
    origin: slot.origin,
    state: slot.state,
    window: toWindowText(slot.window),
    definition: slot.definitionHash,
    evaluated: isEvaluated(slot),
    lateness_seconds: row === null || row.first_done_ms === null ? null : (row.first_done_ms - row.slot_ms) / 1000,
    first_evaluated_at: toText(row?.first_done_ms),
    evaluated_at: toText(row?.done_ms),
    row_count: row?.row_count ?? null,
    position: row?.position ?? null,
    late: { evaluations: row?.late_runs ?? 0, events: row?.late_events ?? 0, waiting_events: row?.waiting_events ?? 0, too_late_events: row?.too_late_events ?? 0 },
    short: row?.short === 1,
    waived: row === null || row.waived_by === null ? null : { by: row.waived_by, reason: row.waived_reason!, at: toText(row.waived_ms)! },
    error: row?.error ?? null,
  }
}

/** The head of the CSV. */
export const COVERAGE_CSV_COLUMNS = [
  'detection_id', 'scheduled_time', 'origin', 'state', 'earliest', 'latest', 'definition', 'evaluated', 'lateness_seconds', 'first_evaluated_at', 'evaluated_at', 'row_count', 'position',
  'late_evaluations', 'late_events', 'waiting_events', 'too_late_events', 'short', 'waived_by', 'waived_reason', 'waived_at', 'error',
]

/** The slots, as they are read, after a line for those that went because of their age: a reader that is slow holds up nothing, and one that leaves ends it. */
async function * toCsv (id: string, slots: Iterable<DetectSlot>, removed: Window | null): AsyncGenerator<string> {
  let lines = [toCsvLine(COVERAGE_CSV_COLUMNS)]
  if (removed !== null) {
    const { earliest, latest } = toWindowText(removed)
    lines.push(toCsvLine(COVERAGE_CSV_COLUMNS.map(column => ({ detection_id: id, state: 'not_kept', earliest, latest })[column] ?? null)))
  }
  for (const slot of slots) {
    if (lines.length === CHUNK) {
      yield lines.join('')
      lines = []
      await setImmediate()
    }
    const { late, window, waived, ...view } = toSlotView(slot)
    lines.push(toCsvLine([
      id, view.scheduled_time, view.origin, view.state, window.earliest, window.latest, view.definition, view.evaluated, view.lateness_seconds, view.first_evaluated_at, view.evaluated_at,
      view.row_count, view.position, late.evaluations, late.events, late.waiting_events, late.too_late_events, view.short, waived?.by ?? null, waived?.reason ?? null, waived?.at ?? null, view.error,
    ]))
  }
  yield lines.join('')
}
