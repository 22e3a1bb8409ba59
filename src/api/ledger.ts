import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Detections } from '../detect/detections.js'
import type { Ledger } from '../detect/ledger.js'
import { AppError } from '../errors.js'
import type { Slot } from '../store/control/ledger.js'
import type { LedgerStore } from '../store/control/ledger.js'
import { SLOT_ORIGINS, SLOT_STATES } from '../store/control/ledger.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeInput, TimeRange, toCursor, toWindowText, WindowText } from './query.js'

export interface LedgerRouteDeps {
  readonly detections: Detections
  readonly ledger: Ledger
  readonly ledgerStore: LedgerStore
  readonly time: TimeContext
}

export const LedgerSlot = z.object({
  detection_id: z.string(),
  scheduled_time: z.string(),
  definition: z.string().describe('hash of the definition that it is evaluated with'),
  origin: z.enum(SLOT_ORIGINS).describe('manual: somebody asked for that time; backfill: for that stretch of the past'),
  window: WindowText,
  state: z.enum(SLOT_STATES),
  row_count: z.number().int().nullable().describe('of the last evaluation that succeeded'),
  position: z.string().nullable().describe('how far events were visible to that'),
  evaluated_at: z.string().nullable(),
  first_evaluated_at: z.string().nullable(),
  tries: z.number().int().describe('failures since the last success'),
  next_try: z.string().nullable().describe('of a failed slot'),
  error: z.string().nullable(),
  late: z.object({
    due: z.string().nullable().describe('when it is evaluated again for events that came late; null where none wait'),
    waiting_events: z.number().int(),
    event_count: z.number().int().describe('events that came after an evaluation'),
    evaluations: z.number().int().describe('for late events'),
    too_late_events: z.number().int().describe('that came when others of the window were dropped, so that it is not evaluated again'),
  }),
  short: z.boolean().describe('events of the window had been dropped before its first evaluation'),
  waived: z.object({ by: z.string(), reason: z.string(), at: z.string() }).nullable(),
}).meta({ id: 'LedgerSlot' })

export const Waived = z.object({ waived: z.number().int().describe('slots that were owed or failed') })

const Id = z.strictObject({ id: z.string().min(1).max(300) })

/** /ledger: every slot and what became of it, and the waiving of those that are not to be run. */
export async function ledgerRoutes (app: FastifyInstance, { detections, ledger, ledgerStore, time }: LedgerRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.get('/ledger', {
    schema: {
      summary: 'Slots of all detections, oldest first',
      tags: ['detections'],
      querystring: TimeRange.extend(Page.omit({ count: true }).shape).extend({
        detection: z.string().min(1).max(300).optional().describe('id of a detection'),
        state: z.enum(SLOT_STATES).optional(),
        late: z.enum(['true']).optional().describe('only slots that wait for an evaluation because of late events'),
      }),
      response: { 200: pageOf(LedgerSlot), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const window = resolveWindow(query, time)
    const [slotMs, detectionId] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.string()]))
    const filter = {
      detectionId: query.detection, state: query.state, isLate: query.late === 'true',
      fromMs: Math.ceil(window.earliestUs / 1000), toMs: Math.ceil(window.latestUs / 1000),
    }
    const slots = ledgerStore.list(filter, limit + 1, slotMs === undefined || detectionId === undefined ? undefined : { slotMs, detectionId })
    const page = slots.slice(0, limit)
    const last = slots.length > limit ? page.at(-1) : undefined
    return { items: page.map(toSlotView), next_cursor: last === undefined ? null : toCursor([last.slot_ms, last.detection_id]), ...toWindowText(window) }
  })

  routes.post('/detections/:id/waivers', {
    config: { role: 'analyst', audit: 'slot.waive' },
    schema: {
      summary: 'Owed and failed slots are not run',
      tags: ['detections'],
      params: Id,
      body: z.strictObject({
        scheduled_time: TimeInput.optional().describe('of one slot'),
        earliest: TimeInput.optional().describe('slots from that time on'),
        latest: TimeInput.optional().describe('slots before that time'),
        reason: z.string().min(1).max(1000),
      }),
      response: { 200: Waived, ...problemReplies },
    },
  }, async ({ params, body, apiKey, audited }) => {
    const { scheduled_time: scheduled, earliest, latest, reason } = body
    if ((scheduled === undefined) === (earliest === undefined || latest === undefined)) throw new AppError('invalid', 'give either scheduled_time, or earliest and latest')
    const window = resolveWindow(scheduled === undefined ? { earliest, latest } : { earliest: scheduled }, time)
    const fromMs = Math.ceil(window.earliestUs / 1000)
    const stretch = { fromMs, toMs: scheduled === undefined ? Math.ceil(window.latestUs / 1000) : fromMs + 1 }
    const detection = detections.get(params.id).id
    const waived = ledger.waive(detection, stretch, { by: apiKey!.name, reason })
    audited({ id: detection, after: { earliest: new Date(stretch.fromMs).toISOString(), latest: new Date(stretch.toMs).toISOString(), reason, waived } })
    return { waived }
  })
}

const toText = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()

export function toSlotView (slot: Slot): z.infer<typeof LedgerSlot> {
  return {
    detection_id: slot.detection_id,
    scheduled_time: new Date(slot.slot_ms).toISOString(),
    definition: slot.definition_hash,
    origin: slot.origin,
    window: toWindowText({ earliestUs: slot.earliest_us, latestUs: slot.latest_us }),
    state: slot.state,
    row_count: slot.row_count,
    position: slot.position,
    evaluated_at: toText(slot.done_ms),
    first_evaluated_at: toText(slot.first_done_ms),
    tries: slot.tries,
    next_try: slot.state === 'failed' ? toText(slot.next_try_ms) : null,
    error: slot.error,
    late: {
      due: slot.first_done_ms === null ? null : toText(slot.late_due_ms),
      waiting_events: slot.waiting_events,
      event_count: slot.late_events,
      evaluations: slot.late_runs,
      too_late_events: slot.too_late_events,
    },
    short: slot.short === 1,
    waived: slot.waived_by === null ? null : { by: slot.waived_by, reason: slot.waived_reason!, at: toText(slot.waived_ms)! },
  }
}
