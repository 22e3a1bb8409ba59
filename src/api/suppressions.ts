import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Detections } from '../detect/detections.js'
import { RISK_RULE_IDS } from '../detect/risk-rules.js'
import { SILENT_SOURCE } from '../detect/sources.js'
import type { Suppressions } from '../detect/suppressions.js'
import { AppError } from '../errors.js'
import { Finding } from '../finding.js'
import type { FindingStore } from '../store/control/findings.js'
import type { Suppression, SuppressionSettings } from '../store/control/suppressions.js'
import { stateOf, SUPPRESSION_STATES } from '../store/control/suppressions.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveExpiry, resolveWindow, TimeInput, toCursor, toWindowText, WindowText } from './query.js'

export interface SuppressionRouteDeps {
  readonly suppressions: Suppressions
  readonly findings: FindingStore
  readonly detections: Detections
  readonly newId: () => string
  readonly time: TimeContext
}

const DAY_MS = 86_400_000
const DEFAULT_DAYS = 90
const MAX_DAYS = 5 * 365

const DetectionId = z.string().min(1).max(300).nullable().describe('id of a detection; null: all')
const Condition = z.string().min(1).max(2_000).describe('of a row, as the search command has it: pod_namespace="ci" process_name IN (mount, umount)')
const Reason = z.string().min(1).max(1_000)
const Expiry = TimeInput.describe(`when it ends; ${DEFAULT_DAYS} days from now where it is missing, ${MAX_DAYS} at most`)

export const SuppressionView = z.object({
  id: z.string(),
  detection: DetectionId,
  condition: z.string(),
  reason: z.string(),
  owner: z.string().describe('name of the API key that made it'),
  enabled: z.boolean(),
  state: z.enum(SUPPRESSION_STATES).describe('only active ones hide findings'),
  error: z.string().nullable().describe('what is wrong with a condition that an earlier version took, so that it hides nothing'),
  expires_at: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  deleted_at: z.string().nullable(),
  hit_count: z.number().int().describe('how often it has hidden a new finding, or what was new of one'),
  last_hit_at: z.string().nullable(),
}).meta({ id: 'Suppression' })

const Settings = z.object({ detection: DetectionId, condition: z.string(), reason: z.string(), enabled: z.boolean(), expires_at: z.string() }).partial()

export const SuppressionHistoryEntry = z.object({
  at: z.string(),
  by: z.string(),
  before: Settings.nullable().describe('what has changed; null where it was made'),
  after: Settings.nullable().describe('null where it was deleted'),
}).meta({ id: 'SuppressionHistoryEntry' })

export const Preview = z.object({
  checked: z.number().int().describe('findings of the time range that are shown'),
  hidden: z.number().int().describe('of these, that it would have hidden'),
  true_positives: z.number().int().describe('of these, whose disposition is true_positive'),
  first: z.array(Finding).describe('the newest 50 of them; true positives before all others'),
  window: WindowText,
}).meta({ id: 'SuppressionPreview' })

const Id = z.strictObject({ id: z.string().min(1).max(100) })

/** /suppressions: what findings are hidden by. */
export async function suppressionRoutes (app: FastifyInstance, { suppressions, findings, detections, newId, time }: SuppressionRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const analyst = { role: 'analyst' } as const
  const view = (suppression: Suppression) => toView(suppression, suppressions.problemOf(suppression), time.now())
  const deedOf = ({ apiKey }: { readonly apiKey: { readonly name: string } | null }) => ({ by: apiKey!.name, atMs: time.now() })

  /** Hecate's own findings have a detection that no file has. Throws AppError `invalid`. */
  function detectionIdOf (id: string | null): string | null {
    if (id === null || id === SILENT_SOURCE.id || RISK_RULE_IDS.has(id)) return id
    try {
      return detections.get(id).id
    } catch (cause) {
      throw new AppError('invalid', 'there is no such detection', { cause, errors: [{ pointer: '/detection', detail: 'is no detection' }] })
    }
  }

  /** Throws AppError `invalid`. */
  function expiryOf (input: z.infer<typeof TimeInput> | undefined): number {
    return input === undefined ? time.now() + DEFAULT_DAYS * DAY_MS : resolveExpiry(input, time, MAX_DAYS)
  }

  routes.get('/suppressions', {
    schema: {
      summary: 'Suppressions, the last that was made first',
      tags: ['suppressions'],
      querystring: Page.extend({
        state: z.enum(SUPPRESSION_STATES).optional().describe('all but deleted ones where it is missing'),
        detection: z.string().min(1).max(300).optional().describe('those of this detection alone'),
      }),
      response: { 200: pageOf(SuppressionView), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const filter = { state: query.state, detection: query.detection, nowMs: time.now() }
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = suppressions.list(filter, limit + 1, before)
    const page = found.slice(0, limit)
    return {
      items: page.map(view),
      next_cursor: found.length > limit ? toCursor([page.at(-1)!.number]) : null,
      ...(query.count === 'exact' ? { total: suppressions.count(filter) } : {}),
    }
  })

  routes.post('/suppressions', {
    config: { ...analyst, audit: 'suppression.add' },
    schema: {
      summary: 'Hide findings to come',
      description: 'Errors of the condition show line and caret.',
      tags: ['suppressions'],
      body: z.strictObject({ detection: DetectionId.optional(), condition: Condition, reason: Reason, expires_at: Expiry.optional(), enabled: z.boolean().optional() }),
      response: { 201: SuppressionView, ...problemReplies },
    },
  }, async (request, reply) => {
    const { detection = null, condition, reason, expires_at: expiresAt, enabled = true } = request.body
    const settings = { detection_id: detectionIdOf(detection), condition, reason, enabled: enabled ? 1 : 0, expires_ms: expiryOf(expiresAt) } as const
    const suppression = suppressions.add(newId(), settings, deedOf(request))
    request.audited({ id: suppression.id, after: settingsOf(suppression) })
    request.log.info({ suppression_id: suppression.id, detection_id: suppression.detection_id, key_name: request.apiKey?.name }, 'suppression added')
    return reply.code(201).header('location', `/api/v1/suppressions/${suppression.id}`).send(view(suppression))
  })

  routes.post('/suppressions/preview', {
    config: { audit: 'none' },
    schema: {
      summary: 'What a suppression would have hidden',
      description: 'Looks at the findings of a time range that are shown, 50,000 at most; more are refused.',
      tags: ['suppressions'],
      body: z.strictObject({ detection: DetectionId.optional(), condition: Condition, earliest: TimeInput.optional(), latest: TimeInput.optional() }),
      response: { 200: Preview, ...problemReplies },
    },
  }, async ({ body: { detection = null, condition, ...range } }, reply) => {
    const window = resolveWindow(range, time)
    const abort = new AbortController()
    reply.raw.once('close', () => abort.abort()) // nobody waits for it any more
    const { first, ...counts } = await suppressions.preview({ detection_id: detectionIdOf(detection), condition }, window, findings, abort.signal)
    return { ...counts, first: [...first], window: toWindowText(window) }
  })

  routes.get('/suppressions/:id', {
    schema: { summary: 'One suppression, a deleted one too', tags: ['suppressions'], params: Id, response: { 200: SuppressionView, ...problemReplies } },
  }, async ({ params }) => view(suppressions.get(params.id)))

  routes.patch('/suppressions/:id', {
    config: { ...analyst, audit: 'suppression.change' },
    schema: {
      summary: 'Enable, disable, change',
      tags: ['suppressions'],
      params: Id,
      body: z.strictObject({ detection: DetectionId.optional(), condition: Condition.optional(), reason: Reason.optional(), expires_at: Expiry.optional(), enabled: z.boolean().optional() })
        .refine(body => Object.keys(body).length > 0, 'has nothing to change'),
      response: { 200: SuppressionView, ...problemReplies },
    },
  }, async request => {
    const { detection, condition, reason, expires_at: expiresAt, enabled } = request.body
    const before = suppressions.get(request.params.id)
    const suppression = suppressions.change(request.params.id, {
      ...detection === undefined ? {} : { detection_id: detectionIdOf(detection) },
      ...condition === undefined ? {} : { condition },
      ...reason === undefined ? {} : { reason },
      ...expiresAt === undefined ? {} : { expires_ms: expiryOf(expiresAt) },
      ...enabled === undefined ? {} : { enabled: enabled ? 1 : 0 },
    }, deedOf(request))
    request.log.info({ suppression_id: suppression.id, key_name: request.apiKey?.name }, 'suppression changed')
    request.audited({ before: settingsOf(before), after: settingsOf(suppression) })
    return view(suppression)
  })

  routes.delete('/suppressions/:id', {
    config: { ...analyst, audit: 'suppression.delete' },
    schema: { summary: 'Hide no more', description: 'What it has hidden stays hidden.', tags: ['suppressions'], params: Id, response: { 204: z.null().describe('it hides no more'), ...problemReplies } },
  }, async (request, reply) => {
    request.audited({ before: settingsOf(suppressions.get(request.params.id)) })
    suppressions.remove(request.params.id, deedOf(request))
    request.log.info({ suppression_id: request.params.id, key_name: request.apiKey?.name }, 'suppression deleted')
    return reply.code(204).send(null)
  })

  routes.get('/suppressions/:id/history', {
    schema: {
      summary: 'Who made, changed and deleted it; newest first',
      tags: ['suppressions'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(SuppressionHistoryEntry), ...problemReplies },
    },
  }, async ({ params: { id }, query }) => {
    suppressions.get(id)
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = suppressions.history(id, limit + 1, before)
    const page = found.slice(0, limit)
    return {
      items: page.map(({ by, atMs, before, after }) => ({ at: toText(atMs), by, before: toSettings(before), after: toSettings(after) })),
      next_cursor: found.length > limit ? toCursor([page.at(-1)!.number]) : null,
    }
  })
}

const toText = (ms: number) => new Date(ms).toISOString()

function toView (suppression: Suppression, error: string | null, nowMs: number): z.infer<typeof SuppressionView> {
  const { id, detection_id: detection, condition, reason, created_by: owner, enabled, expires_ms, created_ms, updated_ms, deleted_ms, hit_count, last_hit_ms } = suppression
  return {
    id, detection, condition, reason, owner, error, hit_count,
    enabled: enabled === 1,
    state: stateOf(suppression, nowMs),
    expires_at: toText(expires_ms),
    created_at: toText(created_ms),
    updated_at: toText(updated_ms),
    deleted_at: deleted_ms === null ? null : toText(deleted_ms),
    last_hit_at: last_hit_ms === null ? null : toText(last_hit_ms),
  }
}

function toSettings (settings: Partial<SuppressionSettings> | null): z.infer<typeof Settings> | null {
  if (settings === null) return null
  const { detection_id: detection, condition, reason, enabled, expires_ms: expiresMs } = settings
  return {
    ...detection === undefined ? {} : { detection },
    ...condition === undefined ? {} : { condition },
    ...reason === undefined ? {} : { reason },
    ...enabled === undefined ? {} : { enabled: enabled === 1 },
    ...expiresMs === undefined ? {} : { expires_at: toText(expiresMs) },
  }
}

/** What people set. */
function settingsOf ({ detection_id: detection, condition, reason, enabled, expires_ms: expiresMs }: Suppression) {
  return { detection, condition, reason, enabled: enabled === 1, expires_at: new Date(expiresMs).toISOString() }
}
