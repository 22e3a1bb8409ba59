import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { durationText } from '../detect/change.js'
import type { ExplainedPosting, ObjectRisk, Risk } from '../detect/risk.js'
import type { RiskRules } from '../detect/risk-rules.js'
import { MAX_KEY } from '../detect/risk-entity.js'
import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import { toSeconds } from '../event.js'
import { FindingStatus } from '../finding.js'
import type { FindingStore } from '../store/control/findings.js'
import type { RiskEntity } from '../store/control/risk.js'
import { END_REASONS } from '../store/control/risk.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, TimeText, toCursor, toWindowText } from './query.js'

export const RiskObject = z.object({
  type: z.string(),
  key: z.string().describe('what counts apart: the value, or what risk.entity puts in front of it and the value'),
  value: z.string().describe('of the field, as the findings have it'),
  score: z.number().describe('what the postings of the time range add up to, after half-life and cap; to the hundredth'),
  findings: z.number().int().describe('that add to it'),
  last_time: z.number().nullable().describe('of the newest of them, epoch seconds; null without'),
  detections: z.array(z.object({
    id: z.string(),
    findings: z.number().int(),
    sum: z.number().describe('of the scores, each weighed by its age'),
    highest: z.number().describe('of these scores'),
    counted: z.number().describe('the sum, but at most risk.cap times the highest'),
  })).describe('the one that adds most first'),
  tactics: z.array(z.string()).describe('of ATT&CK, that the techniques serve'),
  techniques: z.array(z.string()),
  unknown_techniques: z.array(z.string()).describe('of these, that the table of tactics does not know: they count as none'),
}).meta({ id: 'RiskObject' })

export const RiskPosting = z.object({
  finding: z.string(),
  revision: z.number().int().describe('of the finding, that posted it'),
  detection: z.string(),
  time: z.number().describe('of the finding, epoch seconds'),
  score: z.number().int(),
  weight: z.number().describe('what the half-life leaves of it; 1 is all'),
  counted: z.number().describe('of the score, in the score of the object; to the hundredth'),
  text: z.string().describe('why it counts for so much, in one line'),
  posted_at: z.string(),
  ended: z.object({ at: z.string(), why: z.enum(END_REASONS) }).nullable().describe('since when it counts no more, and why; null while it counts'),
}).meta({ id: 'RiskPosting' })

export const EvidenceFinding = z.object({
  id: z.string(),
  detection: z.string(),
  time: z.number().describe('epoch seconds'),
  score: z.number().int(),
  status: FindingStatus,
  revision: z.number().int().describe('of the finding of the rule, that it came with'),
}).meta({ id: 'EvidenceFinding' })

const Range = TimeRange.extend({
  earliest: TimeText.optional().describe('of event time, inclusive; 24 hours ago where it is missing'),
  latest: TimeText.optional().describe('exclusive; now where it is missing. The half-life is counted back from here'),
})
const Type = z.string().min(1).max(100)
/** The range, and a place in the order of the list: `now` moves between pages, and scores with it. */
const Place = z.tuple([z.number(), z.number(), z.number(), z.number().int()])
const isComplete = z.boolean().describe('false while findings of the past are still being posted, after an update or a change of risk.entity: scores may be too low')

export interface RiskRouteDeps { readonly risk: Risk, readonly riskRules: RiskRules, readonly findings: FindingStore, readonly time: TimeContext }

/** /risk-objects: who is at risk, how much, and why. */
export async function riskRoutes (app: FastifyInstance, { risk, riskRules, findings, time }: RiskRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  function placeOf ({ earliest = '-24h', latest = 'now', cursor }: z.infer<typeof Range> & { cursor?: string | undefined }): { window: Window, behind?: readonly [number, number] } {
    if (cursor === undefined) return { window: resolveWindow({ earliest, latest }, time) }
    const [earliestUs, latestUs, ...behind] = readCursor(cursor, Place)
    return { window: { earliestUs, latestUs }, behind }
  }

  routes.get('/risk-objects', {
    schema: {
      summary: 'Risk objects of a time range with their scores, the highest first',
      tags: ['risk'],
      querystring: Range.extend(Page.shape).extend({
        type: Type.optional().describe('of the risk object, such as system or user'),
        value: z.string().max(MAX_KEY).optional().describe('of the field, exactly: all objects of that name, whatever risk.entity tells them apart by'),
        min_score: z.string().regex(/^\d{1,9}(\.\d{1,6})?$/).optional(),
      }),
      response: { 200: pageOf(RiskObject).extend({ complete: isComplete }), ...problemReplies },
    },
  }, async ({ query }) => {
    const limit = limitOf(query)
    const { window, behind } = placeOf(query)
    const minScore = query.min_score === undefined ? undefined : Number(query.min_score)
    const { items: found, total } = await risk.list({ window, type: query.type, value: query.value, minScore }, limit + 1, behind === undefined ? undefined : { score: behind[0], objectId: behind[1] })
    const page = found.slice(0, limit)
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page.map(toRiskObject),
      next_cursor: last === undefined ? null : toCursor([window.earliestUs, window.latestUs, last.score, last.object.id]),
      ...(query.count === 'exact' ? { total } : {}),
      ...toWindowText(window),
      complete: risk.isPosted(),
    }
  })

  // Not in the path: a value may be anything, a client sends no path that ends in `..`, and proxies have their own idea of %2F.
  routes.get('/risk-objects/explain', {
    schema: {
      summary: 'The score of one risk object with the postings that it is made of, newest event time first',
      tags: ['risk'],
      querystring: Range.extend(Page.shape).extend({
        type: Type,
        key: z.string().max(MAX_KEY).describe('as the list has it; without risk.entity the value'),
        ended: z.enum(['include']).optional().describe('postings too that count no more: of older revisions, of findings that are gone or false positives'),
      }),
      response: { 200: pageOf(RiskPosting).extend({ risk_object: RiskObject, complete: isComplete }), ...problemReplies },
    },
  }, async ({ query }) => {
    const { type, key } = query
    const limit = limitOf(query)
    const { window, behind } = placeOf(query)
    const which = query.ended === undefined ? 'standing' : 'all'
    const object = risk.object(type, key)
    if (object === undefined) throw new AppError('not_found', 'no finding has posted risk for such an object')
    const found = await risk.of(object, window)
    const postings = risk.explain(object, found, window, which, limit + 1, behind === undefined ? undefined : { timeUs: behind[0], id: behind[1] })
    const page = postings.slice(0, limit)
    const last = postings.length > limit ? page.at(-1) : undefined
    return {
      risk_object: found === null ? toNoRisk(object) : toRiskObject(found),
      items: page.map(posting => ({
        finding: posting.finding_id,
        revision: posting.revision,
        detection: posting.detection_id,
        time: toSeconds(posting.time_us),
        score: posting.score,
        weight: posting.weight,
        counted: posting.counted,
        text: textOf(posting, found, window.latestUs),
        posted_at: new Date(posting.posted_ms).toISOString(),
        ended: posting.ended_ms === null || posting.ended_why === null ? null : { at: new Date(posting.ended_ms).toISOString(), why: posting.ended_why },
      })),
      next_cursor: last === undefined ? null : toCursor([window.earliestUs, window.latestUs, last.time_us, last.id]),
      ...(query.count === 'exact' ? { total: risk.countPostings(object.id, window, which) } : {}),
      ...toWindowText(window),
      complete: risk.isPosted(),
    }
  })

  routes.get('/findings/:id/findings', {
    schema: {
      summary: 'The findings that a finding of a risk rule is made of, newest event time first; none of another',
      tags: ['findings'],
      params: z.strictObject({ id: z.string().min(1).max(100) }),
      querystring: Page,
      response: { 200: pageOf(EvidenceFinding), ...problemReplies },
    },
  }, async ({ params: { id }, query }) => {
    if (findings.get(id) === undefined) throw new AppError('not_found', 'there is no such finding')
    const limit = limitOf(query)
    const [timeUs, before] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.string()]))
    const found = riskRules.evidence(id, limit + 1, timeUs === undefined || before === undefined ? undefined : { timeUs, id: before })
    const page = found.slice(0, limit)
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page.map(({ detection_id: detection, time_us: time, ...rest }) => ({ ...rest, detection, time: toSeconds(time) })),
      next_cursor: last === undefined ? null : toCursor([last.time_us, last.id]),
      ...(query.count === 'exact' ? { total: riskRules.countEvidence(id) } : {}),
    }
  })

  function textOf ({ detection_id: id, time_us: timeUs, score, weight, counted, ended_why: why }: ExplainedPosting, found: ObjectRisk | null, latestUs: number): string {
    if (why !== null) return ENDED[why]
    const share = found?.detections.find(one => one.id === id)
    if (share === undefined) return 'it came while the score was added up'
    const reasons = [
      ...weight < 1 ? [`it is ${durationText((latestUs - timeUs) / 1e6)} old and the half-life is ${durationText(risk.halfLifeMs / 1_000)}`] : [],
      ...share.counted < share.sum ? [`the postings of the detection add up to ${toText(share.sum)}, of which ${risk.cap} times the highest, ${toText(share.counted)}, count`] : [],
    ]
    return [`${toText(counted)} of ${score} count`, ...reasons].join('; ')
  }
}

const ENDED = {
  superseded: 'a later revision of the finding took its place',
  gone: 'the search gives the row of the finding no more',
  false_positive: 'the finding was closed as a false positive',
  suppressed: 'the finding is throttled or suppressed',
  entity: 'risk.entity makes another object of it now',
} as const satisfies Record<typeof END_REASONS[number], string>

function toRiskObject ({ object: { type, key, value }, score, findings, lastUs, detections, tactics, techniques, unknownTechniques }: ObjectRisk): z.infer<typeof RiskObject> {
  return { type, key, value, score, findings, last_time: toSeconds(lastUs), detections: [...detections], tactics: [...tactics], techniques: [...techniques], unknown_techniques: [...unknownTechniques] }
}

function toNoRisk ({ type, key, value }: RiskEntity): z.infer<typeof RiskObject> {
  return { type, key, value, score: 0, findings: 0, last_time: null, detections: [], tactics: [], techniques: [], unknown_techniques: [] }
}

function toText (score: number): string {
  return String(Math.round(score * 100) / 100)
}
