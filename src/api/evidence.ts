import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { findProcessTree } from '../detect/process-tree.js'
import { findSeenBefore } from '../detect/seen-before.js'
import { AppError } from '../errors.js'
import type { Window } from '../event.js'
import type { Finding } from '../finding.js'
import { SeenBefore } from '../finding.js'
import { ProcessTree } from '../process.js'
import type { FindingStore } from '../store/control/findings.js'
import type { LedgerStore } from '../store/control/ledger.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'

export interface EvidenceRouteDeps {
  readonly findings: FindingStore
  readonly events: EventStore
  readonly ledgerStore: LedgerStore
}

const Id = z.strictObject({ id: z.string().min(1).max(100) })

/** What the events around a finding say of it. */
export async function evidenceRoutes (app: FastifyInstance, { findings, events, ledgerStore }: EvidenceRouteDeps) {
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

  routes.get('/findings/:id/seen-before', {
    schema: {
      summary: 'What was known of the risk objects and command lines of a finding before it',
      description: 'Earlier findings with the same risk objects, and how often the command lines of the kept events came in the 30 days before.',
      tags: ['findings'],
      params: Id,
      response: { 200: SeenBefore, ...problemReplies },
    },
  }, async ({ params: { id } }, reply) => {
    const isDropped = (window: Window) => ledgerStore.dropped(window).length > 0
    return findSeenBefore(get(id), findings.evidence(id), events.position(), { findings, events, isDropped, signal: goneOf(reply) })
  })
}

/** Aborts when nobody waits for the reply any more. */
function goneOf (reply: FastifyReply): AbortSignal {
  const abort = new AbortController()
  reply.raw.once('close', () => abort.abort())
  return abort.signal
}
