import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Sources } from '../detect/sources.js'
import { KEPT_MS } from '../detect/sources.js'
import type { Window } from '../event.js'
import { toRfc3339, toSeconds } from '../event.js'
import type { Route } from '../fields/tables.js'
import { ROUTES } from '../fields/tables.js'
import { HOUR_MS, MAX_SOURCES } from '../store/events.js'
import { lagPercentile } from '../store/lag.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveWindow, TimeRange, TimeText, toCursor, toWindowText } from './query.js'

const Name = z.string().min(1).max(1000)

export const Source = z.object({
  index: z.string().nullable(),
  sourcetype: z.string().nullable(),
  cluster_name: z.string().nullable(),
  node_name: z.string().nullable(),
  first_arrival: z.string(),
  last_arrival: z.string(),
  last_event: z.number().describe('the newest event time, epoch seconds'),
  events: z.number().int().describe('that arrived in the time range'),
  events_per_hour: z.number().describe('those, by the part of the time range that is over'),
  lag: z.object({ p50: z.number(), p99: z.number(), max: z.number() }).nullable()
    .describe('seconds from the time of an event to its arrival: what half of the events and 99 of 100 do not exceed, each up to 19 % too large, and the largest; null without events'),
  from_the_future: z.number().int().describe('events whose time was after their arrival; their lag counts as 0'),
  lost_events: z.number().int().describe('that Tetragon says its rate limit dropped: rate_limit_info'),
  throttled: z.number().int().describe('how often Tetragon says that it began to throttle a cgroup: process_throttle'),
  lacking: z.array(z.object({ detection_id: z.string(), field: z.string(), events: z.number().int() }))
    .describe('events of the time range that a detection looks for, and that lack a field which it groups by: they are in none of its rows'),
  silent: z.boolean().describe('it has sent nothing for longer than sources.silent_after, and not for longer than sources.forget_after'),
  silent_since: z.string().nullable().describe('its last arrival, while it is silent'),
}).meta({
  id: 'Source',
  description: `Events of one index, sourcetype, cluster and node; null is events without that field. At most ${MAX_SOURCES} are told apart: one item, whose index is null too, has all others.`,
})

export const RouteView = z.object({
  from: z.string().describe('the sourcetype that an event comes with'),
  key: z.string().describe('what its JSON has at its top level'),
  to: z.string().describe('the sourcetype that it gets'),
  origin: z.enum(['configuration', 'built_in']),
}).meta({ id: 'Route' })

export interface SourceRouteDeps {
  readonly sources: Sources
  /** Of the configuration; they are looked at before the built-in ones. */
  readonly routes: readonly Route[]
  readonly time: TimeContext
}

/** GET /sources: who sends, how late it arrives, and who is silent. GET /routes: which sourcetype becomes of what comes in. */
export async function sourceRoutes (app: FastifyInstance, { sources, routes, time }: SourceRouteDeps) {
  app.withTypeProvider<ZodTypeProvider>().get('/routes', {
    schema: {
      summary: 'Which sourcetype events get by what is inside; the first that fits counts',
      tags: ['events'],
      response: { 200: z.object({ items: z.array(RouteView) }), ...problemReplies },
    },
  }, async () => ({
    items: [...routes.map(route => ({ ...route, origin: 'configuration' as const })), ...ROUTES.map(route => ({ ...route, origin: 'built_in' as const }))],
  }))

  app.withTypeProvider<ZodTypeProvider>().get('/sources', {
    schema: {
      summary: 'Who sends events, how late they arrive, and who is silent; in the order of their first arrival',
      tags: ['events'],
      querystring: TimeRange.extend(Page.shape).extend({
        earliest: TimeText.optional().describe('of arrival, from the beginning of that hour on; 24 hours ago where it is missing. What is older than 30 days is not kept'),
        latest: TimeText.optional().describe('to the end of that hour; all until now where it is missing'),
        index: Name.optional(),
        sourcetype: Name.optional(),
        cluster_name: Name.optional(),
        node_name: Name.optional(),
        silent: z.enum(['true']).optional().describe('only sources that are silent'),
      }),
      response: { 200: pageOf(Source), ...problemReplies },
    },
  }, async ({ query }) => {
    const { earliest = '-24h', latest, silent, index, sourcetype, cluster_name: cluster, node_name: node } = query
    const nowMs = time.now()
    const { fromMs, toMs } = toHours(resolveWindow({ earliest, latest }, { ...time, now: () => nowMs }), nowMs)
    const limit = limitOf(query)
    const [after] = query.cursor === undefined ? [-1] : readCursor(query.cursor, z.tuple([z.number().int()]))
    const filter = { index, sourcetype, cluster_name: cluster, node_name: node, isSilent: silent === 'true' }
    const found = sources.list(filter, nowMs, limit + 1, after)
    const page = found.slice(0, limit)
    const hours = Math.max(0, Math.min(toMs, nowMs) - fromMs) / HOUR_MS
    const items: z.infer<typeof Source>[] = []
    for (const { id, isSilent, ...source } of page) {
      const { events, lag, maxLagUs, fromTheFuture, lostEvents, throttled } = sources.hours(id, fromMs, toMs)
      const max = toSeconds(maxLagUs)
      const lastArrival = toRfc3339(source.last_arrival_ms * 1_000)
      items.push({
        index: source.index,
        sourcetype: source.sourcetype,
        cluster_name: source.cluster_name,
        node_name: source.node_name,
        first_arrival: toRfc3339(source.first_arrival_ms * 1_000),
        last_arrival: lastArrival,
        last_event: toSeconds(source.last_time_us),
        events,
        events_per_hour: hours === 0 ? 0 : events / hours,
        lag: events === 0 ? null : { p50: lagPercentile(lag, 50, max), p99: lagPercentile(lag, 99, max), max },
        from_the_future: fromTheFuture,
        lost_events: lostEvents,
        throttled,
        lacking: sources.lacks(id, fromMs, toMs),
        silent: isSilent,
        silent_since: isSilent ? lastArrival : null,
      })
      await setImmediate() // a month of many sources takes long, and HEC waits meanwhile
    }
    return {
      items,
      next_cursor: found.length > limit ? toCursor([page.at(-1)!.id]) : null,
      ...(query.count === 'exact' ? { total: sources.count(filter, nowMs) } : {}),
      ...toWindowText({ earliestUs: fromMs * 1_000, latestUs: toMs * 1_000 }),
    }
  })
}

/** The whole hours that a window touches, as far as there can be something in them. */
function toHours ({ earliestUs, latestUs }: Window, nowMs: number): { fromMs: number, toMs: number } {
  const hourOf = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS
  const endMs = hourOf(nowMs) + HOUR_MS
  const fromMs = Math.min(Math.max(hourOf(earliestUs / 1_000), hourOf(nowMs - KEPT_MS)), endMs)
  return { fromMs, toMs: Math.max(fromMs, Math.min(Math.ceil(latestUs / 1_000 / HOUR_MS) * HOUR_MS, endMs)) }
}
