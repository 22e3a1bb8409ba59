import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Backfills, Pace } from '../detect/backfill.js'
import type { Backfill } from '../store/control/backfills.js'
import { BACKFILL_STATES, MAX_KEPT_ROWS } from '../store/control/backfills.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeInput, toCursor, toWindowText, WindowText } from './query.js'

export interface BackfillRouteDeps {
  readonly backfills: Backfills
  readonly time: TimeContext
}

export const BackfillView = z.object({
  id: z.string(),
  detection_id: z.string(),
  definition: z.string().describe('hash of the definition that was in force when it was asked for; it keeps to that'),
  window: WindowText.describe('all slots whose whole window lies in it, and had ended when it was asked for'),
  dry_run: z.boolean(),
  state: z.enum(BACKFILL_STATES).describe('queued: another one runs, or the ledger has slots to do; failed: slots of it have, and are in the ledger'),
  progress: z.object({
    done: z.number().int().describe('slots that are done with'),
    total: z.number().int(),
    percent: z.number(),
    slots_per_second: z.number().nullable().describe('since it began or was taken up again; null before the first'),
    eta_seconds: z.number().int().nullable(),
  }),
  failed_slots: z.number().int(),
  short_slots: z.number().int().describe('evaluated, though events of the window had been dropped'),
  lost_slots: z.number().int().describe('left as they were: events of the window were dropped after they had been evaluated'),
  row_count: z.number().int(),
  rows_cut: z.number().int().describe(`rows of a dry run that are not kept; the first ${MAX_KEPT_ROWS.toLocaleString('en')} are, or 64 MB`),
  findings: z.object({ created: z.number().int(), throttled: z.number().int().describe('new ones that were throttled, which are not among the created'), suppressed: z.number().int().describe('new ones that a suppression hides, likewise'), revised: z.number().int(), unchanged: z.number().int(), gone: z.number().int() }),
  warnings: z.array(z.string()),
  created_by: z.string().describe('name of the API key'),
  created_at: z.string(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  error: z.string().nullable(),
}).meta({ id: 'Backfill' })

export const BackfillRow = z.object({ scheduled_time: z.string(), window: WindowText, row: z.unknown() })

const Id = z.strictObject({ id: z.string().min(1).max(100) })

/** /backfills: detections over stretches of the past. */
export async function backfillRoutes (app: FastifyInstance, { backfills, time }: BackfillRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const view = (backfill: Backfill) => toView(backfill, backfills.paceOf(backfill))

  routes.get('/backfills', {
    schema: {
      summary: 'Backfills, the last that was asked for first',
      tags: ['backfills'],
      querystring: Page.omit({ count: true }).extend({
        detection: z.string().min(1).max(300).optional().describe('id of a detection'),
        state: z.enum(BACKFILL_STATES).optional(),
      }),
      response: { 200: pageOf(BackfillView), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = backfills.list({ detectionId: query.detection, state: query.state }, limit + 1, before)
    const page = found.slice(0, limit)
    return { items: page.map(view), next_cursor: found.length > limit ? toCursor([page.at(-1)!.number]) : null }
  })

  routes.post('/backfills', {
    config: { role: 'analyst', audit: 'backfill.begin' },
    schema: {
      summary: 'Evaluate a detection over a stretch of the past',
      description: 'With the definition of now, slot by slot, oldest first, behind all slots that the ledger has to do. One backfill runs at a time.',
      tags: ['backfills'],
      body: z.strictObject({
        detection: z.string().min(1).max(300).describe('its id or UUID'),
        earliest: TimeInput,
        latest: TimeInput,
        dry_run: z.boolean().optional().describe('gives the rows, and changes neither ledger nor findings'),
      }),
      response: { 202: BackfillView, ...problemReplies },
    },
  }, async ({ body, apiKey, log, audited }, reply) => {
    const backfill = await backfills.create(body.detection, resolveWindow(body, time), { isDryRun: body.dry_run === true, by: apiKey!.name })
    audited({ id: backfill.id, after: { detection: backfill.detection_id, ...toWindowText({ earliestUs: backfill.earliest_us, latestUs: backfill.latest_us }), dry_run: backfill.dry_run === 1 } })
    log.info({ backfill_id: backfill.id, detection_id: backfill.detection_id, slots: backfill.total_slots, dry_run: backfill.dry_run === 1, key_name: apiKey!.name }, 'backfill asked for')
    return reply.code(202).header('location', `/api/v1/backfills/${backfill.id}`).send(view(backfill))
  })

  routes.get('/backfills/:id', {
    schema: { summary: 'One backfill, and how far it is', tags: ['backfills'], params: Id, response: { 200: BackfillView, ...problemReplies } },
  }, async ({ params }) => view(backfills.get(params.id)))

  routes.post('/backfills/:id/cancel', {
    config: { role: 'analyst', audit: 'backfill.cancel' },
    schema: {
      summary: 'End a backfill; the slot under way is still done, and what was found stays',
      tags: ['backfills'],
      params: Id,
      response: { 200: BackfillView, ...problemReplies },
    },
  }, async ({ params, apiKey, log }) => {
    const backfill = backfills.cancel(params.id)
    log.info({ backfill_id: backfill.id, key_name: apiKey!.name }, 'backfill cancelled')
    return view(backfill)
  })

  routes.get('/backfills/:id/rows', {
    schema: {
      summary: 'Rows of a dry run, in the order of its slots; they are kept for seven days after its end',
      tags: ['backfills'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(BackfillRow), ...problemReplies },
    },
  }, async ({ params, query }) => {
    const limit = limitOf(query)
    const [after] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const rows = backfills.rows(params.id, limit + 1, after)
    const page = rows.slice(0, limit)
    return {
      items: page.map(({ slot_ms: slotMs, earliest_us: earliestUs, latest_us: latestUs, body }) => ({
        scheduled_time: new Date(slotMs).toISOString(),
        window: toWindowText({ earliestUs, latestUs }),
        row: JSON.parse(body) as unknown,
      })),
      next_cursor: rows.length > limit ? toCursor([page.at(-1)!.number]) : null,
    }
  })
}

const toText = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()

function toView (backfill: Backfill, { slotsPerSecond, etaSeconds }: Pace): z.infer<typeof BackfillView> {
  const { id, detection_id, state, done_slots: done, total_slots: total, failed_slots, short_slots, lost_slots, row_count, rows_cut, created, throttled, suppressed, revised, unchanged, gone, created_by, error } = backfill
  return {
    id,
    detection_id,
    definition: backfill.definition_hash,
    window: toWindowText({ earliestUs: backfill.earliest_us, latestUs: backfill.latest_us }),
    dry_run: backfill.dry_run === 1,
    state,
    progress: {
      done,
      total,
      percent: Math.floor(Math.min(1, done / total) * 1000) / 10,
      slots_per_second: slotsPerSecond === null ? null : Math.round(slotsPerSecond * 100) / 100,
      eta_seconds: etaSeconds === null ? null : Math.max(0, Math.round(etaSeconds)),
    },
    failed_slots,
    short_slots,
    lost_slots,
    row_count,
    rows_cut,
    findings: { created, throttled, suppressed, revised, unchanged, gone },
    warnings: [
      ...short_slots > 0 ? [`events of ${counted(short_slots, 'window')} had been dropped before`] : [],
      ...lost_slots > 0 ? [`${counted(lost_slots, 'slot')} left as evaluated before, since events of the window were dropped after that`] : [],
      ...rows_cut > 0 ? [`${counted(rows_cut, 'row')} not kept, since there were too many`] : [],
    ],
    created_by,
    created_at: toText(backfill.created_ms)!,
    started_at: toText(backfill.started_ms),
    finished_at: toText(backfill.finished_ms),
    error,
  }
}

function counted (count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}
