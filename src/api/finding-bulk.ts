import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { AppError } from '../errors.js'
import { Finding } from '../finding.js'
import type { Changed } from '../store/control/workflow.js'
import { isChange } from '../store/control/workflow.js'
import type { FindingRouteDeps } from './findings.js'
import { Change, Comment, FindingSelection, toFilter } from './findings.js'
import { problemReplies } from './problem.js'

/** Findings that one call changes at most. More are refused, not cut off. */
const MAX_FINDINGS = 10_000
const MAX_IDS = 1_000

/** So many are changed in one transaction, in some 20 ms: events are taken between. */
const AT_A_TIME = 100

/** So many are shown of those that change. */
const MAX_SHOWN = 20

const WorkflowOf = Finding.pick({ status: true, disposition: true, owner: true })

export const BulkReply = z.object({
  dry_run: z.boolean(),
  matched: z.number().int().describe('findings with one of the ids, or that meet the filter'),
  changed: z.number().int().describe('findings that were changed, or would be; where only a comment was given, that have it'),
  unchanged: z.number().int().describe('findings that were so already'),
  conflicts: z.number().int().describe('findings that somebody else or a run has changed meanwhile, and that were left alone'),
  not_found: z.array(z.string()).describe('ids that no finding has'),
  first: z.array(z.object({ id: z.string(), detection_id: z.string(), time: z.number(), before: WorkflowOf, after: WorkflowOf })).describe(`of those that change, the first ${MAX_SHOWN}`),
}).meta({ id: 'BulkReply' })

/** POST /findings/bulk: the same change of many findings. */
export async function findingBulkRoutes (app: FastifyInstance, { findings, workflow, time }: FindingRouteDeps) {
  /** Throws AppError `invalid` where there are too many. */
  async function select (ids: readonly string[] | undefined, filter: z.infer<typeof FindingSelection> | undefined): Promise<readonly string[]> {
    if (ids !== undefined) return [...new Set(ids)]
    const places = await findings.places(toFilter(filter!, time), '-time', MAX_FINDINGS + 1)
    if (places.length > MAX_FINDINGS) throw new AppError('invalid', `more than ${MAX_FINDINGS} findings meet the filter, and nothing was changed; narrow it, by earliest and latest for one`, { errors: [{ pointer: '/filter', detail: `is met by more than ${MAX_FINDINGS} findings` }] })
    return places.map(({ id }) => id)
  }

  app.withTypeProvider<ZodTypeProvider>().post('/findings/bulk', {
    config: { role: 'analyst', audit: 'finding.change_all' },
    schema: {
      summary: 'Change many findings',
      description: `By ids, at most ${MAX_IDS}, or by what the list takes, at most ${MAX_FINDINGS}; more are refused. ${AT_A_TIME} are changed in one transaction. The comment goes to each finding that changes; without a change to all.`,
      tags: ['findings'],
      body: z.strictObject({
        ids: z.array(z.string().min(1).max(100)).min(1).max(MAX_IDS).optional(),
        filter: FindingSelection.optional(),
        change: Change.optional(),
        comment: Comment.optional(),
        dry_run: z.boolean().optional().describe('says what would change, and changes nothing'),
      }),
      response: { 200: BulkReply, ...problemReplies },
    },
  }, async ({ body: { ids, filter, change = {}, comment, dry_run: isDryRun = false }, apiKey, log, audited }) => {
    audited(isDryRun ? null : { after: { change, ids, filter } }) // should it end in the middle
    if ((ids === undefined) === (filter === undefined)) throw new AppError('invalid', 'give either ids or a filter')
    if (comment === undefined && Object.keys(change).length === 0) throw new AppError('invalid', 'give a change, or a comment')
    const wanted = await select(ids, filter)
    const deed = { by: apiKey!.name, atMs: time.now(), comment }
    const seen: { id: string, etag: string }[] = []
    const all: Changed<Kept>[] = []
    for (const some of piecesOf(wanted)) {
      const previewed = workflow.preview(some, change)
      seen.push(...previewed.map(({ before: { id, etag } }) => ({ id, etag })))
      if (isDryRun) all.push(...previewed.map(toShort))
      await setImmediate()
    }
    for (const some of isDryRun ? [] : piecesOf(seen)) {
      all.push(...workflow.changeAll(new Map(some.map(({ id, etag }) => [id, etag])), change, deed).map(toShort))
      await setImmediate()
    }
    const changed = all.filter(({ before, after }) => isChange(before, after) || (comment !== undefined && Object.keys(change).length === 0))
    const found = new Set(seen.map(({ id }) => id))
    const counts = { matched: seen.length, changed: changed.length, unchanged: all.length - changed.length, conflicts: seen.length - all.length }
    if (!isDryRun) {
      audited({ after: { change, ...counts, filter, ids } })
      log.info({ ...counts, key_name: apiKey!.name }, 'findings were changed')
    }
    return {
      dry_run: isDryRun,
      ...counts,
      not_found: ids === undefined ? [] : wanted.filter(id => !found.has(id)),
      first: changed.slice(0, MAX_SHOWN).map(({ before, after }) => ({ id: before.id, detection_id: before.detection.id, time: before.time, before, after })),
    }
  })
}

/** What the reply needs of a finding: rows are large, and these are many. */
type Kept = Pick<Finding, 'id' | 'detection' | 'time' | 'status' | 'disposition' | 'owner'>

function toShort ({ before, after }: Changed): Changed<Kept> {
  const keep = ({ id, detection, time, status, disposition, owner }: Finding): Kept => ({ id, detection, time, status, disposition, owner })
  return { before: keep(before), after: keep(after) }
}

function * piecesOf<T> (all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += AT_A_TIME) yield all.slice(i, i + AT_A_TIME)
}
