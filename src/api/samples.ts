import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { SampleDeps } from '../detect/sample.js'
import { openSample, SAMPLE_CLUSTER } from '../detect/sample.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'

export const SentSample = z.object({
  finding_id: z.string(),
  detection_id: z.string(),
  events: z.number().int().describe('that were stored; 0 where the sample was sent in the last 24 hours'),
  scheduled_time: z.string().nullable().describe('of the run that found it; null where the sample was sent in the last 24 hours'),
}).meta({ id: 'SentSample' })

/** POST /samples: something to find, for those who have no events yet. */
export async function sampleRoutes (app: FastifyInstance, { time, ...deps }: SampleDeps & { time: TimeContext }) {
  const sample = openSample(deps)

  app.withTypeProvider<ZodTypeProvider>().post('/samples', {
    config: { role: 'admin', audit: 'sample.send' },
    schema: {
      summary: 'Send the sample that ships, and find it',
      description: `Stores the log of a container escape, as if it were of the last hour, in the index main with the source hecate:sample and the cluster_name ${SAMPLE_CLUSTER}, and runs the detection that finds it, enabled or not. The finding is as any other: targets are told of it. Where a sample of the last 24 hours has been found, nothing is stored and nothing runs, and the reply has that finding.`,
      tags: ['events'],
      response: { 201: SentSample, ...problemReplies },
    },
  }, async ({ log, apiKey, audited }, reply) => {
    const { findingId, detectionId, events, slotMs } = await sample.send(time.now())
    audited({ id: findingId, after: { detection_id: detectionId, events } })
    log.info({ finding_id: findingId, events, key_name: apiKey?.name }, 'sample sent')
    return reply.code(201).header('location', `/api/v1/findings/${findingId}`).send({
      finding_id: findingId,
      detection_id: detectionId,
      events,
      scheduled_time: slotMs === null ? null : new Date(slotMs).toISOString(),
    })
  })
}
