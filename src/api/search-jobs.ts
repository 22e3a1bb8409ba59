import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { SearchJob, SearchJobs } from '../detect/search-jobs.js'
import { JOB_STATES, KEPT_MS, MAX_JOB_BYTES, MAX_KEPT_JOBS, MAX_WAITING_JOBS, openSearchJobs } from '../detect/search-jobs.js'
import { AppError } from '../errors.js'
import { problemReplies } from './problem.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, toCursor, toWindowText, WindowText } from './query.js'
import type { SearchRouteDeps } from './search.js'
import { compile, SearchBody } from './search.js'

export interface SearchJobRouteDeps extends SearchRouteDeps {
  readonly newId: () => string
  /** Ends all searches. */
  readonly signal: AbortSignal
}

const DEFAULT_LIMIT = 10_000
const MAX_LIMIT = 100_000
const DEFAULT_SECONDS = 600
const MAX_SECONDS = 3_600

export const JobView = z.object({
  id: z.string(),
  state: z.enum(JOB_STATES),
  search: z.string(),
  window: WindowText,
  limit: z.number().int(),
  time_limit_seconds: z.number().int(),
  progress: z.object({
    fraction: z.number().nullable().describe('0 to 1: an estimate while it runs, 1 when it has succeeded; null where it has not begun, or there are no events'),
    scanned_events: z.number().int(),
    elapsed_ms: z.number().describe('since it began to run'),
  }),
  row_count: z.number().int().nullable().describe('rows that are kept; null until it has succeeded'),
  rows_cut: z.boolean().describe(`there are more rows than limit, or than ${MAX_JOB_BYTES >> 20} MB`),
  created_at: z.string(),
  created_by: z.string().describe('name of the API key'),
  expires_at: z.string().nullable().describe('when it and its rows are forgotten; null until it is over'),
  error: z.string().nullable(),
  warnings: z.array(z.string()).describe('what the rows do not show'),
}).meta({ id: 'SearchJob' })

const Id = z.strictObject({ id: z.string().min(1).max(100) })

/** /search/jobs: searches that take longer than anybody waits. */
export async function searchJobRoutes (app: FastifyInstance, { events, macros, knowledge, time, newId, signal }: SearchJobRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const jobs: SearchJobs = openSearchJobs({ events, now: time.now, newId, signal })
  const view = (job: SearchJob) => toView(job, time.now())

  const mayWorkOn = ({ apiKey }: FastifyRequest, job: SearchJob) => apiKey!.role === 'admin' || apiKey!.name === job.by

  /** Throws AppError `not_found`, also where it is somebody else's. */
  function ownJob (request: FastifyRequest, id: string): SearchJob {
    const job = jobs.get(id)
    if (!mayWorkOn(request, job)) throw new AppError('not_found', 'there is no such job: they go an hour after their end, and when the server stops')
    return job
  }

  routes.post('/search/jobs', {
    config: { audit: 'none' },
    schema: {
      summary: 'Run SPL behind, and ask for the rows later',
      description: `One job runs at a time, and ${MAX_WAITING_JOBS} may wait; for more it is 503. What is over is kept in memory for ${KEPT_MS / 60_000} minutes, ${MAX_KEPT_JOBS} jobs at most, and ends with the process. Who made a job sees it, and an admin.`,
      tags: ['search'],
      body: SearchBody.extend({
        limit: z.number().int().min(1).max(MAX_LIMIT).optional().describe(`rows at most; ${DEFAULT_LIMIT} where it is missing`),
        time_limit_seconds: z.number().int().min(1).max(MAX_SECONDS).optional().describe(`how long it may run; ${DEFAULT_SECONDS} where it is missing`),
      }),
      response: { 202: JobView, ...problemReplies },
    },
  }, async ({ body, apiKey, log }, reply) => {
    const { search, limit = DEFAULT_LIMIT, time_limit_seconds: seconds = DEFAULT_SECONDS } = body
    const window = resolveWindow(body, time)
    const plan = compile(search, macros(), knowledge())
    const job = jobs.add({ search, plan, window, limit, timeLimitMs: seconds * 1_000, timeZone: time.timeZone, by: apiKey!.name }, err => { log.error({ err }, 'a search job failed') })
    return reply.code(202).header('location', `/api/v1/search/jobs/${job.id}`).send(view(job))
  })

  routes.get('/search/jobs', {
    schema: { summary: 'Search jobs, the last that was asked for first', tags: ['search'], querystring: Page.pick({ limit: true }), response: { 200: pageOf(JobView), ...problemReplies } },
  }, async request => ({ items: jobs.list().filter(job => mayWorkOn(request, job)).slice(0, limitOf(request.query)).map(view), next_cursor: null }))

  routes.get('/search/jobs/:id', {
    schema: { summary: 'One search job, and how far it is', tags: ['search'], params: Id, response: { 200: JobView, ...problemReplies } },
  }, async request => view(ownJob(request, request.params.id)))

  routes.get('/search/jobs/:id/results', {
    schema: {
      summary: 'Rows of a search job',
      description: '409 until it has succeeded.',
      tags: ['search'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(z.unknown().describe('an object; a multivalue is an array, a null field is left out')).extend({ fields: z.array(z.string()).describe('columns in order'), rows_cut: z.boolean(), window: WindowText }), ...problemReplies },
    },
  }, async request => {
    const { state, error, rows, fields, rowsCut, window } = ownJob(request, request.params.id)
    if (state !== 'succeeded') throw new AppError('conflict', `the job has ${state === 'failed' ? `failed: ${error}` : `no rows: it is ${state}`}`)
    const [from] = request.query.cursor === undefined ? [0] : readCursor(request.query.cursor, z.tuple([z.number().int().min(0)]))
    const to = from + limitOf(request.query)
    return {
      fields: [...fields],
      items: rows.slice(from, to).map(text => JSON.parse(text) as unknown),
      next_cursor: to < rows.length ? toCursor([to]) : null,
      rows_cut: rowsCut,
      window: toWindowText(window),
    }
  })

  routes.post('/search/jobs/:id/cancel', {
    config: { audit: 'none' },
    schema: { summary: 'Stop a search job', description: 'One that is over stays as it is.', tags: ['search'], params: Id, response: { 200: JobView, ...problemReplies } },
  }, async request => view(jobs.cancel(ownJob(request, request.params.id).id)))

  routes.delete('/search/jobs/:id', {
    config: { audit: 'none' },
    schema: { summary: 'Stop and forget a search job', tags: ['search'], params: Id, response: { 204: z.null().describe('it is gone'), ...problemReplies } },
  }, async (request, reply) => {
    jobs.remove(ownJob(request, request.params.id).id)
    return reply.code(204).send(null)
  })
}

function toView (job: SearchJob, nowMs: number): z.infer<typeof JobView> {
  const { id, state, search, window, limit, timeLimitMs, fraction, scannedEvents, startedMs, endedMs, expiresMs, rows, rowsCut, createdMs, by, error, warnings } = job
  return {
    id, state, search, limit, error,
    window: toWindowText(window),
    time_limit_seconds: timeLimitMs / 1_000,
    progress: { fraction, scanned_events: scannedEvents, elapsed_ms: startedMs === null ? 0 : (endedMs ?? nowMs) - startedMs },
    row_count: state === 'succeeded' ? rows.length : null,
    rows_cut: rowsCut,
    created_at: new Date(createdMs).toISOString(),
    created_by: by,
    expires_at: expiresMs === null ? null : new Date(expiresMs).toISOString(),
    warnings: [...warnings],
  }
}
