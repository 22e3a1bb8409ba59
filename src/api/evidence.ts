import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { findProcessTree } from '../detect/process-tree.js'
import { AppError } from '../errors.js'
import type { Finding } from '../finding.js'
import { ProcessTree } from '../process.js'
import type { FindingStore } from '../store/control/findings.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'

export interface EvidenceRouteDeps {
  readonly findings: FindingStore
  readonly events: EventStore
}

const Id = z.strictObject({ id: z.string().min(1).max(100) })

/** What the events around a finding say of it. */
export async function evidenceRoutes (app: FastifyInstance, { findings, events }: EvidenceRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  function get (id: string): Finding {
    const finding = findings.get(id)
    if (finding === undefined) throw new AppError('not_found', 'there is no such finding')
    return finding
  }

  routes.get('/findings/:id/process-tree', {
    schema: {
      summary: 'The processes of a finding with their ancestors and descendants',
      description: 'From the events that are kept with the finding and those that are stored around them.',
      tags: ['findings'],
      params: Id,
      response: { 200: ProcessTree, ...problemReplies },
    },
  }, async ({ params: { id } }, reply) => {
    get(id)
    return findProcessTree(findings.evidence(id), events.position(), { events, signal: goneOf(reply) })
  })
}

/** Aborts when nobody waits for the reply any more. */
function goneOf (reply: FastifyReply): AbortSignal {
  const abort = new AbortController()
  reply.raw.once('close', () => abort.abort())
  return abort.signal
}
