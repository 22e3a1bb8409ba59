import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { toMicroseconds } from '../event.js'
import { AppError } from '../errors.js'
import { Finding, FindingDetail, FindingRevision, FindingStatus } from '../finding.js'
import type { FindingStore } from '../store/control/findings.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, toCursor, toWindowText } from './query.js'

/** /findings: what detections found, newest event time first. */
export async function findingRoutes (app: FastifyInstance, { findings, time }: { findings: FindingStore, time: TimeContext }) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  routes.get('/findings', {
    schema: {
      summary: 'Findings of a time range',
      tags: ['findings'],
      querystring: TimeRange.extend(Page.shape).extend({
        status: FindingStatus.optional(),
        detection: z.string().min(1).max(300).optional().describe('id of a detection'),
        risk_object: z.string().min(1).max(10_000).optional().describe('value of a risk object'),
        min_score: z.string().regex(/^\d{1,3}$/).optional(),
        throttled: z.enum(['include', 'only']).optional().describe('findings that were throttled too, or them alone; they are left out without it'),
      }),
      response: { 200: pageOf(Finding), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const filter = {
      window: resolveWindow(query, time),
      status: query.status,
      detection: query.detection,
      risk_object: query.risk_object,
      min_score: query.min_score === undefined ? undefined : Number(query.min_score),
      throttled: query.throttled,
    }
    const [timeUs, id] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.string()]))
    const found = findings.list(filter, limit + 1, timeUs === undefined || id === undefined ? undefined : { timeUs, id })
    const page = found.slice(0, limit)
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page,
      next_cursor: last === undefined ? null : toCursor([toMicroseconds(last.time), last.id]),
      ...(query.count === 'exact' ? { total: findings.count(filter) } : {}),
      ...toWindowText(filter.window),
    }
  })

  routes.get('/findings/:id', {
    schema: {
      summary: 'One finding with its events',
      tags: ['findings'],
      params: z.strictObject({ id: z.string().min(1).max(100) }),
      response: { 200: FindingDetail, ...problemReplies },
    },
  }, async ({ params }) => {
    const finding = findings.get(params.id)
    if (finding === undefined) throw new AppError('not_found', 'there is no such finding')
    return { ...finding, evidence: findings.evidence(params.id) }
  })

  routes.get('/findings/:id/revisions', {
    schema: {
      summary: 'What was said of a finding, and what changed; newest first',
      tags: ['findings'],
      params: z.strictObject({ id: z.string().min(1).max(100) }),
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(FindingRevision), ...problemReplies },
    },
  }, async ({ params, query }) => {
    if (findings.get(params.id) === undefined) throw new AppError('not_found', 'there is no such finding')
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = findings.revisions(params.id, limit + 1, before)
    const page = found.slice(0, limit)
    return { items: page, next_cursor: found.length > limit ? toCursor([page.at(-1)!.revision]) : null }
  })
}
