import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Event } from '../event-schema.js'
import type { Predicate } from '../spl/ast.js'
import { countEvents } from '../detect/search.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, toCursor, toWindowText } from './query.js'

const Name = z.string().min(1).max(1000)

const NOWHERE = { start: 0, end: 0 }

/** GET /events: stored events, newest first unless asked otherwise. */
export async function eventRoutes (app: FastifyInstance, { events, time }: { events: EventStore, time: TimeContext }) {
  app.withTypeProvider<ZodTypeProvider>().get('/events', {
    schema: {
      summary: 'Stored events',
      tags: ['events'],
      querystring: TimeRange.extend(Page.shape).extend({
        index: Name.optional(),
        sourcetype: Name.optional(),
        order_by: z.enum(['-time', 'time', 'id', '-id']).optional().describe('-time where it is missing; id is the order of storing'),
      }),
      response: { 200: pageOf(Event), ...problemReplies },
    },
  }, async ({ query }) => {
    const window = resolveWindow(query, time)
    const limit = limitOf(query)
    const [timeUs, id] = query.cursor === undefined ? [] : readCursor(query.cursor, z.tuple([z.number(), z.number()]))
    const scope = { predicate: predicateOf(query), window, position: events.position() }
    const found = await events.find({
      ...scope,
      order: query.order_by ?? '-time',
      limit: limit + 1, // one more tells whether there is a next page
      after: timeUs === undefined || id === undefined ? undefined : { timeUs, id },
    })
    const page = found.slice(0, limit)
    const last = found.length > limit ? page.at(-1) : undefined
    return {
      items: page.map(({ event }) => event),
      next_cursor: last === undefined ? null : toCursor([last.timeUs, last.event.id]),
      ...(query.count === 'exact' ? { total: await countEvents(events, scope.predicate, scope) } : {}),
      ...toWindowText(window),
    }
  })
}

function predicateOf (query: { index?: string | undefined, sourcetype?: string | undefined }): Predicate {
  const terms: Predicate[] = []
  for (const field of ['index', 'sourcetype'] as const) {
    const value = query[field]
    if (value !== undefined) terms.push({ kind: 'is', field, value, span: NOWHERE })
  }
  return { kind: 'and', terms, span: NOWHERE }
}
