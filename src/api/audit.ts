import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Audit, AuditDetail } from '../audit.js'
import { Role } from '../config.js'
import type { AuditEntry } from '../store/control/audit.js'
import { AUDIT_OUTCOMES } from '../store/control/audit.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, toCursor, toWindowText } from './query.js'

export interface AuditRouteDeps {
  readonly audit: Audit
  readonly time: TimeContext
}

interface Audited { readonly number: number, detail: AuditDetail | null }

/**
 * Writes an entry of every request of this scope that may change something, before its handler begins: no change is without one, even where the server ends
 * in the middle. What came of it, and what the route tells of it, is added before the reply goes out. A request that is refused leaves none.
 */
export function useAudit (app: FastifyInstance, { audit }: Pick<AuditRouteDeps, 'audit'>): void {
  const entries = new WeakMap<FastifyRequest, Audited>()
  app.decorateRequest('audited', () => {})
  app.addHook('preHandler', async request => {
    const { method, id, ip, apiKey, routeOptions: { url, config: { audit: action = `${method} ${url}` } } } = request
    if (method === 'GET' || method === 'HEAD' || action === 'none') return
    const number = audit.begin({ by: apiKey?.name ?? null, role: apiKey?.role ?? null, how: apiKey?.how ?? null, action, request_id: id, address: ip }, targetOf(request))
    const entry: Audited = { number, detail: {} }
    entries.set(request, entry)
    request.audited = detail => { entry.detail = detail }
  })
  app.addHook('onSend', async (request, reply) => {
    const entry = entries.get(request)
    if (entry === undefined) return
    entries.delete(request) // an error from here on is sent in its place, and comes by again
    const { number, detail } = entry
    if (detail === null || (reply.statusCode >= 400 && reply.statusCode < 500)) audit.withdraw(number)
    else audit.finish(number, reply.statusCode < 400 ? 'done' : 'failed', detail.id === undefined ? targetOf(request) : detail.id, detail)
  })
}

/** What the path names. */
function targetOf ({ params }: FastifyRequest): string | null {
  const { id, name } = params as { readonly id?: string, readonly name?: string }
  return id ?? name ?? null
}

export const AuditEntryView = z.object({
  id: z.number().int().describe('grows in the order of writing'),
  at: z.string(),
  by: z.string().nullable().describe('name of the API key, or of the user who ran a command; null: nobody that is known'),
  role: Role.nullable(),
  how: z.enum(['bearer', 'session', 'command']).nullable(),
  action: z.string().describe('noun and verb, such as token.add; login.refuse: a key that was not taken'),
  target: z.object({ type: z.string(), id: z.string().nullable() }),
  outcome: z.enum(AUDIT_OUTCOMES).describe('begun: it was asked for, and the server ended before it knew what came of it; failed: answered 5xx, so that some of it may be done; refused: a login'),
  before: z.record(z.string(), z.unknown()).nullable().describe('what changed, as it was'),
  after: z.record(z.string(), z.unknown()).nullable(),
  request_id: z.string().nullable(),
  address: z.string().nullable().describe('of the client, or of what stands in front of the server; null: a command, or more addresses than are told apart'),
  count: z.number().int().describe('refused keys that the entry stands for; else 1'),
  last_at: z.string().describe('the last of them'),
}).meta({ id: 'AuditEntry' })

const Text = z.string().min(1).max(300)

/** /audit: who changed what, and whose key was refused. */
export async function auditRoutes (app: FastifyInstance, { audit, time }: AuditRouteDeps) {
  app.withTypeProvider<ZodTypeProvider>().get('/audit', {
    config: { role: 'admin' },
    schema: {
      summary: 'Who changed what, and whose key was refused; newest first',
      tags: ['audit'],
      querystring: TimeRange.extend({
        by: Text.optional().describe('name of the key or user'),
        how: z.enum(['bearer', 'session', 'command']).optional(),
        action: Text.optional(),
        target_type: Text.optional(),
        target_id: Text.optional(),
      }).extend(Page.shape),
      response: { 200: pageOf(AuditEntryView), ...problemReplies },
    },
  }, async ({ query: { earliest, latest, by, how, action, target_type: targetType, target_id: targetId, ...page } }) => {
    const window = resolveWindow({ earliest, latest }, time)
    const filter = { fromMs: Math.ceil(window.earliestUs / 1_000), toMs: Math.ceil(window.latestUs / 1_000), by, how, action, target_type: targetType, target_id: targetId }
    const limit = limitOf(page)
    const [afterMs, afterNumber] = page.cursor === undefined ? [] : readCursor(page.cursor, z.tuple([z.number().int(), z.number().int()]))
    const found = audit.list(filter, limit + 1, afterMs === undefined ? undefined : { at_ms: afterMs, number: afterNumber! })
    const items = found.slice(0, limit)
    const last = items.at(-1)
    return {
      items: items.map(toView),
      next_cursor: found.length > limit ? toCursor([last!.at_ms, last!.number]) : null,
      ...(page.count === 'exact' ? { total: audit.total(filter) } : {}),
      ...toWindowText(window),
    }
  })
}

function toView ({ number, at_ms: atMs, by, role, how, action, target_type: type, target_id: id, outcome, before, after, request_id: requestId, address, count, last_ms: lastMs }: AuditEntry): z.infer<typeof AuditEntryView> {
  const toObject = (text: string | null) => text === null ? null : JSON.parse(text) as Record<string, unknown>
  return {
    id: number, at: new Date(atMs).toISOString(), by, role: role === null ? null : Role.parse(role), how, action, target: { type, id }, outcome,
    before: toObject(before), after: toObject(after), request_id: requestId, address, count, last_at: new Date(lastMs).toISOString(),
  }
}
