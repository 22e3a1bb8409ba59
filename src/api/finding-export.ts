import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { findProcessTree } from '../detect/process-tree.js'
import { AppError } from '../errors.js'
import { toMicroseconds, toRfc3339 } from '../event.js'
import { DrillDown, Evidence, Finding, FindingHistoryEntry, FindingRevision } from '../finding.js'
import { ProcessTree } from '../process.js'
import type { FindingFilter, FindingPlace } from '../store/control/finding-lists.js'
import type { FindingStore } from '../store/control/findings.js'
import type { WorkflowStore } from '../store/control/workflow.js'
import type { EventStore } from '../store/events.js'
import { toCsvLine } from './csv.js'
import { FindingQuery, toFilter } from './findings.js'
import { toMarkdown } from './markdown.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'

export interface FindingExportDeps {
  readonly findings: FindingStore
  readonly workflow: WorkflowStore
  readonly events: EventStore
  readonly time: TimeContext
}

/** Revisions may have rows of a megabyte. */
const MAX_REVISIONS = 100
const MAX_HISTORY = 1_000

const DEFAULT_ROWS = 100_000
const MAX_ROWS = 1_000_000

/** Findings that are in memory at a time. */
const PAGE = 50

export const FindingExport = z.object({
  finding: Finding.extend({ evidence: Evidence.nullable(), drill_down: DrillDown.nullable() }),
  process_tree: ProcessTree,
  revisions: z.array(FindingRevision).describe(`newest first, at most ${MAX_REVISIONS}`),
  revisions_truncated: z.boolean(),
  history: z.array(FindingHistoryEntry).describe(`newest first, at most ${MAX_HISTORY}`),
  history_truncated: z.boolean(),
}).meta({ id: 'FindingExport' })
export type FindingExport = z.infer<typeof FindingExport>

/** The columns of the CSV of findings, in order. */
const CSV: readonly (readonly [name: string, read: (finding: Finding) => string | number | null])[] = [
  ['id', ({ id }) => id],
  ['time', ({ time }) => toRfc3339(toMicroseconds(time))],
  ['detection', ({ detection }) => detection.id],
  ['detection_name', ({ detection }) => detection.name],
  ['severity', ({ severity }) => severity],
  ['score', ({ risk }) => risk.score],
  ['message', ({ risk }) => risk.message],
  ['risk_objects', ({ risk }) => JSON.stringify(risk.objects.map(({ field, value }) => ({ [field]: value })))],
  ['threat_objects', ({ risk }) => JSON.stringify(risk.threat_objects.map(({ field, value }) => ({ [field]: value })))],
  ['mitre_attack', ({ mitre_attack: techniques }) => techniques.join(' ')],
  ['status', ({ status }) => status],
  ['disposition', ({ disposition }) => disposition],
  ['owner', ({ owner }) => owner],
  ['revision', ({ revision }) => revision],
  ['created_at', ({ created_at: at }) => at],
  ['updated_at', ({ updated_at: at }) => at],
  ['gone_at', ({ gone_at: at }) => at],
  ['throttled_by', ({ throttled_by: by }) => by],
  ['suppressed_by', ({ suppressed_by: by }) => by],
  ['window_earliest', ({ window }) => window.earliest],
  ['window_latest', ({ window }) => window.latest],
  ['result', ({ result }) => JSON.stringify(result)],
]

/** Findings as files. */
export async function findingExportRoutes (app: FastifyInstance, { findings, workflow, events, time }: FindingExportDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.get('/findings/:id/export', {
    schema: {
      summary: 'One finding as a file',
      description: 'With its events, processes, revisions and history. What events and people have said is harmless in the Markdown, and cut where it is long.',
      tags: ['findings'],
      params: z.strictObject({ id: z.string().min(1).max(100) }),
      querystring: z.strictObject({ format: z.enum(['json', 'markdown']).optional().describe('json where it is missing') }),
      response: {
        200: { description: 'The finding', content: { 'application/json': { schema: FindingExport }, 'text/markdown': { schema: z.string() } } },
        ...problemReplies,
      },
    },
  }, async ({ params: { id }, query: { format = 'json' } }, reply) => {
    const finding = findings.get(id)
    if (finding === undefined) throw new AppError('not_found', 'there is no such finding')
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort())
    const evidence = findings.evidence(id)
    const tree = await findProcessTree(evidence, events.position(), { events, signal: gone.signal })
    const revisions = findings.revisions(id, MAX_REVISIONS + 1)
    const history = workflow.history(id, MAX_HISTORY + 1)
    const whole: FindingExport = {
      finding: { ...finding, evidence, drill_down: findings.drillDown(id) },
      process_tree: tree,
      revisions: revisions.slice(0, MAX_REVISIONS),
      revisions_truncated: revisions.length > MAX_REVISIONS,
      history: history.slice(0, MAX_HISTORY),
      history_truncated: history.length > MAX_HISTORY,
    }
    reply.header('content-disposition', `attachment; filename="finding-${id.replace(/[^\w-]/g, '_')}.${format === 'json' ? 'json' : 'md'}"`)
    if (format === 'json') return whole
    return reply.type('text/markdown; charset=utf-8').send(toMarkdown(whole))
  })

  routes.get('/findings/export', {
    schema: {
      summary: 'Findings as a file',
      description: 'By the filters of the list, newest first. The header hecate-total says how many there were when it began, hecate-limit how many the file has at most, and hecate-truncated whether that is fewer. A file that ends before its time is a connection that broke.',
      tags: ['findings'],
      querystring: FindingQuery.extend({
        format: z.enum(['csv', 'ndjson']),
        order_by: z.enum(['-time', 'time']).optional(),
        limit: z.string().regex(/^\d{1,7}$/).refine(text => Number(text) >= 1 && Number(text) <= MAX_ROWS, `must be 1 to ${MAX_ROWS}`).optional().describe(`findings at most, up to ${MAX_ROWS}; ${DEFAULT_ROWS} where it is missing`),
      }),
      response: {
        200: { description: 'A finding in each line; of the CSV the first has the names of the columns', content: { 'text/csv': { schema: z.string() }, 'application/x-ndjson': { schema: z.string() } } },
        ...problemReplies,
      },
    },
  }, async ({ query: { format, limit: asked, order_by: order = '-time', ...query } }, reply) => {
    const filter = toFilter(query, time)
    const limit = asked === undefined ? DEFAULT_ROWS : Number(asked)
    const total = await findings.count(filter)
    reply.headers({
      'content-disposition': `attachment; filename="findings.${format}"`,
      'hecate-total': total, 'hecate-limit': limit, 'hecate-truncated': String(total > limit),
    })
    const all = each(filter, order, limit)
    const stream = Readable.from(format === 'csv' ? toCsv(all) : toNdjson(all), { objectMode: true, highWaterMark: 1 })
    return send(reply, format === 'csv' ? 'text/csv; charset=utf-8' : 'application/x-ndjson', stream)
  })

  /** A page at a time, the next when the one before was taken: whoever reads slowly makes it slow, and who leaves ends it. */
  async function * each (filter: FindingFilter, order: '-time' | 'time', limit: number): AsyncGenerator<Finding> {
    let after: FindingPlace | undefined
    for (let left = limit; left > 0;) {
      const places: readonly FindingPlace[] = await findings.places(filter, order, Math.min(PAGE, left), after)
      if (places.length === 0) return
      yield * findings.many(places.map(({ id }) => id))
      left -= places.length
      after = places.at(-1)
    }
  }
}

/** Its text is no JSON to be serialized by a schema. */
function send (reply: FastifyReply, type: string, stream: Readable) {
  return reply.type(type).send(stream as unknown as string)
}

async function * toCsv (findings: AsyncIterable<Finding>): AsyncGenerator<string> {
  yield toCsvLine(CSV.map(([name]) => name))
  for await (const finding of findings) yield toCsvLine(CSV.map(([, read]) => read(finding)))
}

async function * toNdjson (findings: AsyncIterable<Finding>): AsyncGenerator<string> {
  for await (const finding of findings) yield `${JSON.stringify(finding)}\n`
}
