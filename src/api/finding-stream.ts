import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { FindingStream } from '../notify/stream.js'
import { LOG_BOUNDS, MAX_LISTENERS } from '../notify/stream.js'
import { FindingQuery, toFilter } from './findings.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'

export interface FindingStreamRouteDeps {
  readonly findingStream: FindingStream
  readonly time: TimeContext
}

const LastId = z.string().max(200)

/** GET /findings/stream: what becomes of findings, as it does. */
export async function findingStreamRoutes (app: FastifyInstance, { findingStream, time }: FindingStreamRouteDeps) {
  app.addHook('preClose', async () => findingStream.close()) // the app waits for its connections

  app.withTypeProvider<ZodTypeProvider>().get('/findings/stream', {
    exposeHeadRoute: false, // it would have no end
    schema: {
      summary: 'What becomes of findings, as it does',
      description: `Server-sent events: \`id\`, \`event\` (created, revised, gone, changed) and \`data\`, the finding as the list gives it. With Last-Event-ID it begins behind that message, without it with now. The newest ${LOG_BOUNDS.changes} changes of ${LOG_BOUNDS.ageMs / 86_400_000} days, up to ${LOG_BOUNDS.bytes >> 20} MB, can be had so; where more is missing the event \`reset\` comes first: list again. A finding that a change takes out of the filter is told of that change. At most ${MAX_LISTENERS} clients listen; for more it is 503.`,
      tags: ['findings'],
      querystring: FindingQuery.omit({ earliest: true, latest: true }).extend({ last_event_id: LastId.optional().describe('in place of the header, for who can\'t set it; the header wins') }),
      headers: z.looseObject({ 'last-event-id': LastId.optional().describe('id of the last message that was taken') }),
      response: { 200: { description: 'A stream of server-sent events, until the client goes, the key is revoked or the server stops', content: { 'text/event-stream': { schema: z.string() } } }, ...problemReplies },
    },
  }, async (request, reply) => {
    const { last_event_id: lastId, ...filter } = request.query
    const stream = new Readable({ read: () => {} }) // what waits is bounded by whoever writes
    const { left } = findingStream.subscribe(toFilter(filter, time), request.headers['last-event-id'] ?? lastId, {
      write: bytes => { stream.push(bytes) },
      waiting: () => stream.readableLength + reply.raw.writableLength,
      isAllowed: () => request.isAllowed(),
      end: () => { stream.push(null) },
      cut: () => { stream.destroy() },
    })
    stream.once('close', left)
    return reply.headers({ 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' }).send(stream as unknown as string)
  })
}
