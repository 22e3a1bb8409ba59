import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { TokenName as TargetName } from '../config.js'
import type { Deliveries, TargetView } from '../notify/deliveries.js'
import { AT_A_TIME, KEPT_DAYS } from '../notify/deliveries.js'
import type { Delivery } from '../store/control/outbox.js'
import { DELIVERY_STATES, NOTICE_KINDS } from '../store/control/outbox.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, toCursor } from './query.js'

export interface DeliveryRouteDeps {
  readonly deliveries: Deliveries
  readonly time: TimeContext
}

export const DeliveryView = z.object({
  id: z.string().describe('the key by which the target tells a second try from a second message'),
  target: z.string(),
  what: z.enum(NOTICE_KINDS).describe('what became of the finding'),
  finding: z.object({ id: z.string(), revision: z.number().int() }),
  state: z.enum(DELIVERY_STATES).describe('dead: it was given up, and can be sent again'),
  tries: z.number().int(),
  status: z.number().int().nullable().describe('of the last answer; null where there was none, also where the target had nothing to be told'),
  error: z.string().nullable().describe('why the last try failed; null where it did not'),
  written_at: z.string(),
  next_try_at: z.string().nullable().describe('not before; null where it has ended or nothing has failed'),
  ended_at: z.string().nullable().describe('when it was delivered or given up'),
}).meta({ id: 'Delivery' })

export const Target = z.object({
  name: z.string(),
  type: z.enum(['webhook', 'slack', 'splunk']).nullable().describe('null: the configuration has no such target any more'),
  origin: z.string().nullable().describe('scheme, host and port of its URL; the rest may be a secret'),
  pending: z.number().int(),
  oldest_pending_at: z.string().nullable(),
  dead: z.number().int(),
  failing_since: z.string().nullable().describe('null where its last try succeeded, or there was none since the server started'),
  failures: z.number().int().describe('in a row'),
  last_error: z.string().nullable(),
  last_sent_at: z.string().nullable().describe('since the server started'),
}).meta({ id: 'Target' })

export const TestResult = z.object({
  succeeded: z.boolean(),
  status: z.number().int().nullable().describe('null where there was no answer'),
  elapsed_ms: z.number().int().nullable(),
  answer: z.string().nullable().describe('the first 200 characters of it, invisible ones as \\u{…}'),
  error: z.string().nullable(),
})

const Id = z.strictObject({ id: z.string().min(1).max(100) })
const OfTarget = z.strictObject({ target: TargetName })
const Count = z.object({ count: z.number().int() })

/** /deliveries and /targets: who is told of findings, and what became of that. */
export async function deliveryRoutes (app: FastifyInstance, { deliveries, time }: DeliveryRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.get('/deliveries', {
    schema: {
      summary: 'What targets were told, or are to be told; the newest first',
      description: `What was delivered is kept for ${KEPT_DAYS.delivered} days, what was given up for ${KEPT_DAYS.dead}.`,
      tags: ['deliveries'],
      querystring: Page.extend({
        target: TargetName.optional(),
        state: z.enum(DELIVERY_STATES).optional(),
        finding: z.string().min(1).max(100).optional().describe('id of a finding'),
      }),
      response: { 200: pageOf(DeliveryView), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const filter = { target: query.target, state: query.state, finding: query.finding }
    const found = deliveries.list(filter, limit + 1, before)
    const page = found.slice(0, limit)
    return {
      items: page.map(toView),
      next_cursor: found.length > limit ? toCursor([page.at(-1)!.number]) : null,
      ...(query.count === 'exact' ? { total: deliveries.count(filter) } : {}),
    }
  })

  routes.get('/deliveries/:id', {
    schema: { summary: 'One delivery', tags: ['deliveries'], params: Id, response: { 200: DeliveryView, ...problemReplies } },
  }, async ({ params }) => toView(deliveries.get(params.id)))

  routes.post('/deliveries/:id/resend', {
    config: { role: 'analyst', audit: 'delivery.resend' },
    schema: { summary: 'Send one again that was given up, before all that was written after it', tags: ['deliveries'], params: Id, response: { 200: DeliveryView, ...problemReplies } },
  }, async ({ params, apiKey, log, audited }) => {
    const delivery = deliveries.resend(params.id, time.now())
    audited({ after: { target: delivery.target, finding: delivery.finding_id } })
    log.info({ delivery_id: delivery.id, target: delivery.target, key_name: apiKey!.name }, 'a delivery is sent again')
    return toView(delivery)
  })

  routes.post('/deliveries/resend', {
    config: { role: 'analyst', audit: 'delivery.resend_all' },
    schema: { summary: 'Send all again that was given up for a target', tags: ['deliveries'], body: OfTarget, response: { 200: Count, ...problemReplies } },
  }, async ({ body, apiKey, log, audited }) => {
    const count = await deliveries.resendAll(body.target, time.now())
    audited({ after: { ...body, count } })
    log.info({ target: body.target, count, key_name: apiKey!.name }, 'deliveries are sent again')
    return { count }
  })

  routes.delete('/deliveries/:id', {
    config: { role: 'admin', audit: 'delivery.drop' },
    schema: { summary: 'Remove one that waits or was given up', tags: ['deliveries'], params: Id, response: { 204: z.null().describe('it is gone'), ...problemReplies } },
  }, async ({ params, apiKey, log, audited }, reply) => {
    const { target, state, finding_id: finding } = deliveries.get(params.id)
    audited({ before: { target, state, finding } })
    deliveries.drop(params.id)
    log.info({ delivery_id: params.id, key_name: apiKey!.name }, 'a delivery was removed')
    return reply.code(204).send(null)
  })

  routes.post('/deliveries/drop', {
    config: { role: 'admin', audit: 'delivery.drop_all' },
    schema: {
      summary: 'Remove all that waits or was given up for a target, which may be one that the configuration has no more',
      tags: ['deliveries'],
      body: OfTarget.extend({ state: z.enum(['pending', 'dead']).optional().describe('only those') }),
      response: { 200: Count, ...problemReplies },
    },
  }, async ({ body, apiKey, log, audited }) => {
    let count = 0
    for (const state of body.state === undefined ? ['pending', 'dead'] as const : [body.state]) {
      for (let dropped = AT_A_TIME; dropped === AT_A_TIME;) {
        dropped = deliveries.dropSome(body.target, state)
        count += dropped
        await setImmediate()
      }
    }
    audited({ after: { ...body, count } })
    log.info({ target: body.target, count, key_name: apiKey!.name }, 'deliveries were removed')
    return { count }
  })

  routes.get('/targets', {
    schema: {
      summary: 'Who is told of findings, and how that goes; by name',
      description: 'The targets of the configuration, and those that it has no more but for which something waits or was given up.',
      tags: ['deliveries'],
      querystring: Page,
      response: { 200: pageOf(Target), ...problemReplies },
    },
  }, async ({ query }) => {
    const [after] = query.cursor === undefined ? [''] : readCursor(query.cursor, z.tuple([z.string()]))
    const all = deliveries.targets()
    const rest = all.filter(({ name }) => name > after)
    const page = rest.slice(0, limitOf(query))
    return {
      items: page.map(toTargetView),
      next_cursor: rest.length > page.length ? toCursor([page.at(-1)!.name]) : null,
      ...(query.count === 'exact' ? { total: all.length } : {}),
    }
  })

  routes.post('/targets/:name/test', {
    config: { role: 'admin', audit: 'target.test' },
    schema: {
      summary: 'Send a test message now, and say what the target answered',
      tags: ['deliveries'],
      params: z.strictObject({ name: TargetName }),
      response: { 200: TestResult, ...problemReplies },
    },
  }, async ({ params, apiKey, log, audited }) => {
    const { answer, error } = await deliveries.test(params.name, time.now())
    audited({ after: { succeeded: error === null, status: answer?.status ?? null } })
    log.info({ target: params.name, status: answer?.status ?? null, key_name: apiKey!.name }, 'a target was tested')
    return { succeeded: error === null, status: answer?.status ?? null, elapsed_ms: answer?.elapsedMs ?? null, answer: answer?.text ?? null, error }
  })
}

const toText = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()

function toView ({ finding_id: findingId, revision, written_ms: writtenMs, next_try_ms: nextTryMs, ended_ms: endedMs, ...delivery }: Delivery): z.infer<typeof DeliveryView> {
  const { id, target, what, state, tries, status, error } = delivery
  return {
    id, target, what, finding: { id: findingId, revision }, state, tries, status, error,
    written_at: toText(writtenMs)!,
    next_try_at: state !== 'pending' || nextTryMs === 0 ? null : toText(nextTryMs),
    ended_at: toText(endedMs),
  }
}

function toTargetView ({ name, settings, pending, oldestPendingMs, dead, failingSinceMs, failures, lastError, lastSentMs }: TargetView): z.infer<typeof Target> {
  return {
    name,
    type: settings?.type ?? null,
    origin: settings === null ? null : new URL(settings.url).origin,
    pending,
    oldest_pending_at: toText(oldestPendingMs),
    dead,
    failing_since: toText(failingSinceMs),
    failures,
    last_error: lastError,
    last_sent_at: toText(lastSentMs),
  }
}
