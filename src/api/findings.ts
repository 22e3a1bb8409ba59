import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Detections } from '../detect/detections.js'
import type { FilledDrilldown } from '../detect/drill-down.js'
import { fillDrilldowns } from '../detect/drill-down.js'
import { compileSearch } from '../detect/search.js'
import { toMicroseconds } from '../event.js'
import { AppError } from '../errors.js'
import { Disposition, Finding, FindingDetail, FindingHistoryEntry, FindingRevision, FindingStatus, Severity } from '../finding.js'
import type { Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import type { FindingFilter } from '../store/control/finding-lists.js'
import type { FindingStore } from '../store/control/findings.js'
import type { WorkflowStore } from '../store/control/workflow.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeInput, TimeRange, toCursor, toWindowText } from './query.js'

export interface FindingRouteDeps {
  readonly detections: Detections
  readonly macros: () => Macros
  readonly knowledge: () => Knowledge
  readonly findings: FindingStore
  readonly workflow: WorkflowStore
  readonly time: TimeContext
}

/** Values of one filter, any of which is enough. */
const MAX_VALUES = 20

/** One value, or several: `status=new&status=pending`. */
function several<T extends z.ZodType<string>> (value: T) {
  return z.union([value, z.array(value).min(1).max(MAX_VALUES)])
}

function toList<T> (values: T | readonly T[] | undefined): readonly T[] | undefined {
  return values === undefined || Array.isArray(values) ? values as readonly T[] | undefined : [values as T]
}

/** In filters it stands for none, so that nobody can be called so. */
const NONE = 'none'

const Owner = z.string().min(1).max(200)

const Text = (max: number) => z.string().min(1).max(max).refine(text => text.isWellFormed(), 'is not well-formed Unicode')

/** What lists of findings can be asked for, and what is done with many of them at once. */
export const FindingQuery = TimeRange.extend({
  status: several(FindingStatus).optional(),
  disposition: several(z.enum([...Disposition.options, NONE])).optional().describe('none: nobody has said'),
  owner: several(Owner).optional().describe('none: nobody'),
  severity: several(Severity).optional(),
  detection: several(z.string().min(1).max(300)).optional().describe('id of a detection'),
  technique: z.string().min(1).max(100).optional().describe('of ATT&CK, such as T1059; its sub-techniques too'),
  risk_object: z.string().min(1).max(10_000).optional().describe('value of a risk object'),
  min_score: z.string().regex(/^\d{1,3}$/).optional(),
  throttled: z.enum(['include', 'only']).optional().describe('findings that were throttled too, or them alone; they are left out without it'),
  suppressed: z.enum(['include', 'only']).optional().describe('findings that a suppression hides too, or them alone; they are left out without it'),
  suppressed_by: z.string().min(1).max(100).optional().describe('findings that this suppression hides'),
})

/** The same in a JSON body. */
export const FindingSelection = FindingQuery.extend({ earliest: TimeInput.optional(), latest: TimeInput.optional(), min_score: z.number().int().min(0).max(999).optional() })

export function toFilter (query: z.infer<typeof FindingQuery | typeof FindingSelection>, time: TimeContext): FindingFilter {
  const { throttled, suppressed, suppressed_by: suppressedBy, min_score: minScore } = query
  if (throttled === 'only' && (suppressed === 'only' || suppressedBy !== undefined)) throw new AppError('invalid', 'no finding is both throttled and suppressed: a suppressed one has not come to the throttling')
  return {
    window: resolveWindow(query, time),
    status: toList(query.status),
    disposition: toList(query.disposition),
    owner: toList(query.owner),
    severity: toList(query.severity),
    detection: toList(query.detection),
    technique: query.technique,
    risk_object: query.risk_object,
    min_score: minScore === undefined ? undefined : Number(minScore),
    throttled,
    suppressed,
    suppressed_by: suppressedBy,
  }
}

export const Change = z.strictObject({
  status: FindingStatus.optional(),
  disposition: Disposition.nullable().optional(),
  owner: Text(200).refine(owner => owner !== NONE, 'stands for nobody in filters').nullable().optional().describe('null: nobody'),
})

export const Comment = Text(10_000)

const Id = z.strictObject({ id: z.string().min(1).max(100) })

const IfMatch = z.looseObject({
  'if-match': z.string().max(1_000).optional().describe('ETags, one of which the finding has to have, or *; without it whatever it has'),
})

/** /findings: what detections found, and what people do with it. */
export async function findingRoutes (app: FastifyInstance, { detections, macros, knowledge, findings, workflow, time }: FindingRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  function get (id: string): Finding {
    const finding = findings.get(id)
    if (finding === undefined) throw new AppError('not_found', 'there is no such finding')
    return finding
  }

  /** Of the detection as it is now; none where there is none any more. */
  function drilldownsOf (finding: Finding): FilledDrilldown[] {
    const detection = detections.find(finding.detection.id)?.detection ?? null
    return detection === null ? [] : fillDrilldowns(detection, finding, search => { compileSearch(search, macros(), knowledge()) })
  }

  routes.get('/findings', {
    schema: {
      summary: 'Findings of a time range',
      tags: ['findings'],
      querystring: FindingQuery.extend(Page.shape).extend({ order_by: z.enum(['-time', 'time']).optional().describe('by event time; -time, newest first, where it is missing') }),
      response: { 200: pageOf(Finding), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const filter = toFilter(query, time)
    const order = query.order_by ?? '-time'
    const [timeUs, id] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.string()]))
    const found = await findings.list(filter, order, limit + 1, timeUs === undefined || id === undefined ? undefined : { timeUs, id })
    const page = found.slice(0, limit)
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page,
      next_cursor: last === undefined ? null : toCursor([toMicroseconds(last.time), last.id]),
      ...(query.count === 'exact' ? { total: await findings.count(filter) } : {}),
      ...toWindowText(filter.window),
    }
  })

  routes.get('/findings/:id', {
    schema: {
      summary: 'One finding with its events',
      description: 'The header ETag has its etag.',
      tags: ['findings'],
      params: Id,
      response: { 200: FindingDetail, ...problemReplies },
    },
  }, async ({ params }, reply) => {
    const finding = get(params.id)
    reply.header('etag', finding.etag)
    return { ...finding, evidence: findings.evidence(params.id), drill_down: findings.drillDown(params.id), drilldown_searches: drilldownsOf(finding) }
  })

  routes.patch('/findings/:id', {
    config: { role: 'analyst', audit: 'finding.change' },
    schema: {
      summary: 'Say what was done with a finding',
      description: 'What changes has an entry in the history. 412 where If-Match has no ETag of the finding.',
      tags: ['findings'],
      params: Id,
      headers: IfMatch,
      body: Change.extend({ comment: Comment.optional() }),
      response: { 200: Finding, ...problemReplies },
    },
  }, async (request, reply) => {
    const { comment, ...change } = request.body
    if (comment === undefined && Object.keys(change).length === 0) throw new AppError('invalid', 'give at least one of status, disposition, owner and comment')
    const { before, after } = workflow.change(request.params.id, change, { by: request.apiKey!.name, atMs: time.now(), comment }, expectedBy(request))
    request.audited({ before: workflowOf(before), after: workflowOf(after) })
    reply.header('etag', after.etag)
    return after
  })

  routes.post('/findings/:id/comments', {
    config: { role: 'analyst', audit: 'finding.comment' },
    schema: {
      summary: 'Say something about a finding',
      tags: ['findings'],
      params: Id,
      headers: IfMatch,
      body: z.strictObject({ comment: Comment }),
      response: { 201: FindingHistoryEntry, ...problemReplies },
    },
  }, async (request, reply) => {
    const { params: { id }, body: { comment } } = request
    const { after } = workflow.change(id, {}, { by: request.apiKey!.name, atMs: time.now(), comment }, expectedBy(request))
    return reply.code(201).header('etag', after.etag).send(workflow.comments(id, 1)[0]!)
  })

  routes.get('/findings/:id/comments', {
    schema: {
      summary: 'What people said about a finding, newest first',
      description: 'Entries of the history with a comment, also those that say why something was changed.',
      tags: ['findings'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(FindingHistoryEntry), ...problemReplies },
    },
  }, async ({ params: { id }, query }) => {
    get(id)
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = workflow.comments(id, limit + 1, before)
    const page = found.slice(0, limit)
    return { items: page, next_cursor: found.length > limit ? toCursor([page.at(-1)!.number]) : null }
  })

  routes.get('/findings/:id/history', {
    schema: {
      summary: 'What became of a finding: revisions, changes and comments, newest first',
      tags: ['findings'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(FindingHistoryEntry), ...problemReplies },
    },
  }, async ({ params: { id }, query }) => {
    get(id)
    const limit = limitOf(query)
    const [revision, number] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number().int(), z.number().int()]))
    const found = workflow.history(id, limit + 1, revision === undefined || number === undefined ? undefined : { revision, number })
    const page = found.slice(0, limit)
    return { items: page, next_cursor: found.length > limit ? toCursor([page.at(-1)!.revision, page.at(-1)!.number]) : null }
  })

  routes.get('/findings/:id/revisions', {
    schema: {
      summary: 'What was said of a finding, and what changed; newest first',
      tags: ['findings'],
      params: Id,
      querystring: Page.omit({ count: true }),
      response: { 200: pageOf(FindingRevision), ...problemReplies },
    },
  }, async ({ params, query }) => {
    get(params.id)
    const limit = limitOf(query)
    const [before] = query.cursor === undefined ? [undefined] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const found = findings.revisions(params.id, limit + 1, before)
    const page = found.slice(0, limit)
    return { items: page, next_cursor: found.length > limit ? toCursor([page.at(-1)!.revision]) : null }
  })
}

/** What If-Match asks of an ETag (RFC 9110, 13.1.1). Weak ones match nothing. */
function expectedBy ({ headers: { 'if-match': header } }: FastifyRequest): (etag: string) => boolean {
  const tags = header?.trim()
  return etag => tags === undefined || tags === '*' || tags.split(',').some(tag => tag.trim() === etag)
}

function workflowOf ({ status, disposition, owner }: Finding): Pick<Finding, 'status' | 'disposition' | 'owner'> {
  return { status, disposition, owner }
}
