import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ActiveDetection } from '../detect/active.js'
import { runnable } from '../detect/active.js'
import type { Detections } from '../detect/detections.js'
import { explainRow } from '../detect/explain.js'
import { columnsOf, rowToJson } from '../detect/findings.js'
import type { Ledger } from '../detect/ledger.js'
import type { Offer, Offers } from '../detect/offer.js'
import { evaluate } from '../detect/run.js'
import { slotsWithin } from '../detect/slots.js'
import type { ReadTest } from '../detect/tests.js'
import { Risk, Schedule, Throttling } from '../detection.js'
import { toRfc3339 } from '../event.js'
import { AppError } from '../errors.js'
import type { SearchPlan } from '../spl/plan.js'
import type { FindingStore, RunRecord } from '../store/control/findings.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeInput, TimeRange, toCursor, toWindowText, WindowText } from './query.js'

export interface DetectionDeps {
  readonly events: EventStore
  readonly detections: Detections
  readonly ledger: Ledger
  readonly offers: Offers
  readonly findings: FindingStore
  readonly time: TimeContext
  readonly signal: AbortSignal
}

const Origin = z.enum(['config', 'api', 'file', 'default'])

/** Where in the file. */
const Problem = z.object({ line: z.number().int(), column: z.number().int(), message: z.string() })

export const DetectionView = z.object({
  id: z.string(),
  uuid: z.string().nullable(),
  name: z.string().nullable(),
  version: z.number().int().nullable(),
  type: z.string().nullable(),
  status: z.string().nullable(),
  description: z.string().nullable(),
  search: z.string().nullable(),
  risk: Risk.nullable(),
  throttling: Throttling.nullable().describe('which findings fire only once in a while; null where all do'),
  mitre_attack: z.array(z.string()),
  analytic_story: z.array(z.string()),
  file: z.string(),
  enabled: z.boolean(),
  schedule: Schedule,
  origins: z.object({ enabled: Origin, cron: Origin, earliest: Origin, latest: Origin }).describe('where each setting comes from; the API can\'t change what the configuration sets'),
  definition: z.string().nullable().describe('hash of all that decides what the detection gives; null where the file has errors'),
  next_run: z.string().nullable(),
  backfill_offer: WindowText.extend({ reason: z.string() }).nullable().describe('a stretch of the last 30 days that was evaluated with another search than that of now: POST /backfills would say what this one finds there'),
  key_fields: z.array(z.string()).nullable().describe('what tells its rows apart: the BY fields of the last stats, none where that has no BY; null where rows are events'),
  bin_seconds: z.number().nullable().describe('span of the last bin of _time'),
  errors: z.array(Problem),
  warnings: z.array(Problem).describe('what runs otherwise than it may seem to'),
  notes: z.array(Problem).describe('settings of the file that Hecate has its own way with'),
  tests: z.array(z.object({
    name: z.string(),
    logs: z.array(z.string()).describe('files, from the folder of the detection\'s, and URLs'),
    expects: z.enum(['rows', 'count', 'any']).nullable().describe('any: there are rows; null: the test can\'t be run'),
    problem: z.string().nullable().describe('why it is no test'),
  })).describe('those inside its file, which `hecate test` runs'),
}).meta({ id: 'Detection' })

export const Slot = z.object({ scheduled_time: z.string(), window: WindowText }).meta({ id: 'Slot' })

export const Preview = z.object({
  window: WindowText,
  fields: z.array(z.string()).describe('columns in order'),
  rows: z.array(z.unknown()),
})

/** What is known of the events behind a row. */
export const RowEvents = z.object({
  window: WindowText.describe("what was looked at: of the window, the row's bin where it has one"),
  event_count: z.number().int().describe("events that meet the search and have the row's BY values"),
  approximate: z.boolean().describe('the row may be of fewer of them: stages hold some back, or a BY field is computed'),
  last_index_time: z.string().nullable().describe('when the last of them arrived'),
  key_event_count: z.number().int().describe("events that have the row's BY values, whatever the search asks for"),
  lacking: z.array(z.object({ field: z.string(), event_count: z.number().int() })).describe('events that meet the search and have the other BY values, but none of this field'),
  added: z.array(z.string()).describe('BY fields that events have from their envelope or their token, not of themselves'),
})

export const RunView = z.object({
  id: z.string(),
  detection_id: z.string(),
  scheduled_time: z.string(),
  window: WindowText,
  status: z.enum(['succeeded', 'failed']),
  row_count: z.number().int(),
  scanned_events: z.number().int(),
  findings: z.object({ created: z.number().int(), throttled: z.number().int().optional().describe('new findings that were throttled, which are not among the created; missing where there are none'), suppressed: z.number().int().optional().describe('new findings that a suppression hides, which are not among the created; missing where there are none'), revised: z.number().int(), unchanged: z.number().int(), gone: z.number().int().optional().describe('findings of this slot whose rows are there no more; missing where there are none') }),
  started_at: z.string(),
  finished_at: z.string(),
  warnings: z.array(z.string()).describe('what the rows do not show, such as texts that were too costly for a regular expression'),
  error: z.string().optional(),
}).meta({ id: 'Run' })

const Id = z.strictObject({ id: z.string().min(1).max(300) })

/** /detections: searches on a schedule, their previews and runs. */
export async function detectionRoutes (app: FastifyInstance, { events, detections, ledger, offers, findings, time, signal }: DetectionDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const view = (active: ActiveDetection, offer = offers.of(active)) => toView(active, ledger.nextSlotMs(active.id), offer)

  routes.get('/detections', {
    schema: { summary: 'Detections, by id', tags: ['detections'], querystring: Page, response: { 200: pageOf(DetectionView), ...problemReplies } },
  }, async ({ query }) => {
    const [after] = query.cursor === undefined ? [''] : readCursor(query.cursor, z.tuple([z.string()]))
    const all = detections.list()
    const rest = all.filter(({ id }) => id > after)
    const page = rest.slice(0, limitOf(query))
    const offered = offers.ofAll(page)
    return {
      items: page.map(active => view(active, offered.get(active.id) ?? null)),
      next_cursor: rest.length > page.length ? toCursor([page.at(-1)!.id]) : null,
      ...(query.count === 'exact' ? { total: all.length } : {}),
    }
  })

  routes.get('/detections/:id', {
    schema: { summary: 'One detection', tags: ['detections'], params: Id, response: { 200: DetectionView, ...problemReplies } },
  }, async ({ params }) => view(detections.get(params.id)))

  routes.patch('/detections/:id', {
    config: { role: 'admin', audit: 'detection.change' },
    schema: {
      summary: 'Enable, disable, schedule',
      tags: ['detections'],
      params: Id,
      body: z.strictObject({
        enabled: z.boolean().optional(),
        schedule: z.strictObject(Schedule.partial().shape).optional(),
      }),
      response: { 200: DetectionView, ...problemReplies },
    },
  }, async ({ params, body, audited }) => {
    const before = view(detections.get(params.id))
    const after = view(ledger.patch(before.id, body))
    audited({ id: before.id, before: { enabled: before.enabled, schedule: before.schedule }, after: { enabled: after.enabled, schedule: after.schedule } })
    return after
  })

  routes.post('/detections/:id/preview', {
    config: { audit: 'none' },
    schema: {
      summary: 'Rows that the detection would give; nothing is written',
      tags: ['detections'],
      params: Id,
      body: z.strictObject({ scheduled_time: TimeInput.optional(), earliest: TimeInput.optional(), latest: TimeInput.optional() }),
      response: { 200: Preview, ...problemReplies },
    },
  }, async ({ params, body }) => {
    const compiled = runnable(detections.get(params.id))
    const { scheduled_time: scheduled, earliest, latest } = body
    if ((scheduled === undefined) === (earliest === undefined && latest === undefined)) {
      throw new AppError('invalid', 'give either scheduled_time, or earliest and latest')
    }
    const slotMs = scheduled === undefined ? null : slotMsOf(scheduled, time)
    const window = slotMs === null ? resolveWindow({ earliest, latest }, time) : compiled.windowOf(slotMs)
    const { rows } = await evaluate(compiled, slotMs ?? time.now(), window, events.position(), { events, signal })
    return { window: toWindowText(window), fields: columnsOf(compiled.plan, rows), rows: rows.map(({ values }) => rowToJson(values)) }
  })

  routes.get('/detections/:id/slots', {
    schema: {
      summary: 'Slots of its schedule as it is now, oldest first, whose whole window lies in a range',
      tags: ['detections'],
      params: Id,
      querystring: TimeRange.required().extend(Page.omit({ count: true }).shape),
      response: { 200: pageOf(Slot), ...problemReplies },
    },
  }, async ({ params, query }) => {
    const compiled = runnable(detections.get(params.id))
    const window = resolveWindow(query, time)
    const [afterMs] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const limit = limitOf(query)
    const page: number[] = []
    for (const slotMs of slotsWithin(compiled, window, afterMs)) if (page.push(slotMs) > limit) break // one more tells whether there is a next page
    const items = page.slice(0, limit)
    return {
      items: items.map(slotMs => ({ scheduled_time: new Date(slotMs).toISOString(), window: toWindowText(compiled.windowOf(slotMs)) })),
      next_cursor: page.length > limit ? toCursor([items.at(-1)!]) : null,
      ...toWindowText(window),
    }
  })

  routes.post('/detections/:id/row-events', {
    config: { audit: 'none' },
    schema: {
      summary: 'What is known of the events that a row comes from, or would come from',
      tags: ['detections'],
      params: Id,
      body: z.strictObject({
        key: z.record(z.string(), z.union([z.string(), z.number()])).describe('values of key_fields, and _time in epoch seconds'),
        earliest: TimeInput,
        latest: TimeInput,
      }),
      response: { 200: RowEvents, ...problemReplies },
    },
  }, async ({ params, body }) => {
    const { plan } = runnable(detections.get(params.id))
    const found = await explainRow(plan, new Map(Object.entries(body.key)), resolveWindow(body, time), events.position(), { events, signal })
    return {
      window: toWindowText(found.window),
      event_count: found.eventCount,
      approximate: found.approximate,
      last_index_time: found.lastIndexTime,
      key_event_count: found.keyEventCount,
      lacking: found.lacking.map(({ field, eventCount }) => ({ field, event_count: eventCount })),
      added: [...found.added],
    }
  })

  routes.post('/detections/:id/runs', {
    config: { role: 'analyst', audit: 'detection.run' },
    schema: {
      summary: 'Run the detection as if it were that time',
      tags: ['detections'],
      params: Id,
      body: z.strictObject({ scheduled_time: TimeInput }),
      response: { 200: RunView, ...problemReplies },
    },
  }, async ({ params, body, audited }) => {
    const { detection_id: detectionId } = runnable(detections.get(params.id)).definition
    const slotMs = slotMsOf(body.scheduled_time, time)
    audited({ id: detectionId, after: { scheduled_time: new Date(slotMs).toISOString() } })
    return toRunView(await ledger.run(detectionId, slotMs))
  })

  routes.get('/detections/:id/runs', {
    schema: { summary: 'Runs, newest first', tags: ['detections'], params: Id, querystring: Page.omit({ count: true }), response: { 200: pageOf(RunView), ...problemReplies } },
  }, async ({ params, query }) => {
    const limit = limitOf(query)
    const [startedMs, id] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.string()]))
    const runs = findings.runs(detections.get(params.id).id, limit + 1, startedMs === undefined || id === undefined ? undefined : { startedMs, id })
    const page = runs.slice(0, limit)
    const last = runs.length > limit ? page.at(-1) : undefined
    return { items: page.map(toRunView), next_cursor: last === undefined ? null : toCursor([last.started_ms, last.id]) }
  })
}

/** A slot is a whole second. */
function slotMsOf (scheduled: TimeInput, time: TimeContext): number {
  const { earliestUs } = resolveWindow({ earliest: scheduled }, time)
  return Math.floor(earliestUs / 1_000_000) * 1000
}

function toView ({ id, file, detection, settings, compiled, errors, warnings, notes, tests }: ActiveDetection, nextSlotMs: number | null, offer: Offer | null): z.infer<typeof DetectionView> {
  return {
    id,
    uuid: detection?.uuid ?? null,
    name: detection?.name ?? null,
    version: detection?.version ?? null,
    type: detection?.type ?? null,
    status: detection?.status ?? null,
    description: detection?.description ?? null,
    search: detection?.search ?? null,
    risk: detection?.risk ?? null,
    throttling: detection?.throttling ?? null,
    mitre_attack: [...detection?.mitre_attack ?? []],
    analytic_story: [...detection?.analytic_story ?? []],
    file,
    enabled: settings.enabled,
    schedule: settings.schedule,
    origins: settings.origins,
    definition: compiled?.hash ?? null,
    key_fields: compiled === null ? null : keyFieldsOf(compiled.plan),
    bin_seconds: compiled?.plan.binSeconds ?? null,
    next_run: nextSlotMs === null ? null : new Date(nextSlotMs).toISOString(),
    backfill_offer: offer === null ? null : { ...toWindowText(offer.window), reason: reasonOf(offer) },
    errors: [...errors],
    warnings: [...warnings],
    notes: [...notes],
    tests: tests.map(toTestView),
  }
}

function toTestView (read: ReadTest): z.infer<typeof DetectionView>['tests'][number] {
  if (read.test === null) return { name: read.name, logs: [], expects: null, problem: read.problem }
  const { name, attack_data: logs, expected } = read.test
  return { name, logs: logs.map(({ data }) => data), expects: expected == null ? 'any' : Array.isArray(expected) ? 'rows' : 'count', problem: null }
}

function reasonOf ({ changed }: Offer): string {
  return `evaluated with ${changed.map(part => `${part === 'search' ? 'another' : 'other'} ${part}`).join(' and ')}`
}

function keyFieldsOf ({ identity }: SearchPlan): string[] | null {
  switch (identity.kind) {
    case 'by': return identity.fields.map(({ name }) => name)
    case 'none': return []
    case 'event': return null
    default: return identity satisfies never
  }
}

function toRunView (run: RunRecord): z.infer<typeof RunView> {
  return {
    id: run.id,
    detection_id: run.detection_id,
    scheduled_time: new Date(run.slot_ms).toISOString(),
    window: { earliest: toRfc3339(run.earliest_us), latest: toRfc3339(run.latest_us) },
    status: run.status,
    row_count: run.row_count,
    scanned_events: run.scanned_events,
    findings: { created: run.created, ...(run.throttled > 0 ? { throttled: run.throttled } : {}), ...(run.suppressed > 0 ? { suppressed: run.suppressed } : {}), revised: run.revised, unchanged: run.unchanged, ...(run.gone > 0 ? { gone: run.gone } : {}) },
    started_at: new Date(run.started_ms).toISOString(),
    finished_at: new Date(run.finished_ms).toISOString(),
    warnings: [...run.warnings],
    ...(run.error === null ? {} : { error: run.error }),
  }
}
