import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { columnsOf, rowToJson } from '../detect/findings.js'
import { compileSearch, splitSearch } from '../detect/search.js'
import { AppError } from '../errors.js'
import { SplError } from '../spl/errors.js'
import { highlight, HIGHLIGHTS } from '../spl/highlight.js'
import type { Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import type { SearchPlan } from '../spl/plan.js'
import type { EventStore } from '../store/events.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { resolveWindow, TimeInput, toWindowText, WindowText } from './query.js'

const DEFAULT_LIMIT = 1000

const Offset = z.number().int()

const SearchText = z.string().min(1).max(100_000)

export const SearchExplanation = z.object({
  tokens: z.array(z.object({ start: Offset, end: Offset, kind: z.enum(HIGHLIGHTS) }))
    .describe('what the text is made of, in order; offsets count UTF-16 units. What is wrong has tokens too'),
  errors: z.array(z.object({ line: Offset, column: Offset, start: Offset, end: Offset, message: z.string() })).describe('what is wrong with it; a search is read up to the first error'),
  warnings: z.array(z.string()),
  commands: z.array(z.object({ start: Offset, end: Offset, runs: z.enum(['store', 'both', 'rows']) }))
    .describe('where each command is run: by the store, over the rows that it gives, or in part by both; none where the search has an error'),
  fields: z.array(z.string()).nullable().describe('fields of each event that commands over rows read; null is all of them'),
}).meta({ id: 'SearchExplanation' })

/** What a search takes. */
export const SearchBody = z.strictObject({
  search: SearchText,
  earliest: TimeInput.optional(),
  latest: TimeInput.optional(),
  limit: z.number().int().min(1).max(10_000).optional().describe(`rows at most; ${DEFAULT_LIMIT} where it is missing`),
})

export interface SearchRouteDeps { readonly events: EventStore, readonly macros: () => Macros, readonly knowledge: () => Knowledge, readonly time: TimeContext }

export const SearchReply = z.object({
  fields: z.array(z.string()).describe('columns in order'),
  rows: z.array(z.unknown()).describe('objects; a multivalue is an array, a null field is left out'),
  truncated: z.boolean().describe('whether the limit cut rows off'),
  window: WindowText,
  warnings: z.array(z.string()).describe('what the rows do not show, such as texts that were too costly for a regular expression'),
  stats: z.object({ scanned_events: z.number().int(), elapsed_ms: z.number() }),
})

/** POST /search: SPL over events, nothing written. POST /search/explain: what it is made of, and where each command is run. */
export async function searchRoutes (app: FastifyInstance, { events, macros, knowledge, time }: SearchRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()

  routes.post('/search/explain', {
    config: { audit: 'none' },
    schema: {
      summary: 'What SPL is made of, what is wrong with it, and what of it the store does; nothing is run',
      tags: ['search'],
      body: z.strictObject({ search: SearchText }),
      response: { 200: SearchExplanation, ...problemReplies },
    },
  }, async ({ body: { search } }) => {
    const tokens = highlight(search)
    try {
      const { commands, fields, warnings } = splitSearch(search, macros(), knowledge())
      return { tokens, errors: [], warnings: [...warnings], commands: commands.map(({ span, runs }) => ({ ...span, runs })), fields: fields === null ? null : [...fields] }
    } catch (error) {
      if (!(error instanceof SplError)) throw error
      return { tokens, errors: [{ line: error.line, column: error.column, ...error.span, message: error.detail }], warnings: [], commands: [], fields: null }
    }
  })

  routes.post('/search', {
    config: { audit: 'none' },
    schema: {
      summary: 'Run SPL',
      tags: ['search'],
      body: SearchBody,
      response: {
        200: SearchReply,
        ...problemReplies,
      },
    },
  }, async ({ body }, reply) => {
    const startedMs = time.now()
    const window = resolveWindow(body, time)
    const plan = compile(body.search, macros(), knowledge())
    const abort = new AbortController()
    reply.raw.once('close', () => abort.abort()) // nobody waits for the rows any more
    const { rows, truncated, scannedEvents, warnings } = await events.search(plan, {
      window, position: events.position(), timeZone: time.timeZone, nowMs: startedMs, limit: body.limit ?? DEFAULT_LIMIT, signal: abort.signal,
    })
    return {
      fields: columnsOf(plan, rows),
      rows: rows.map(({ values }) => rowToJson(values)),
      truncated,
      window: toWindowText(window),
      warnings: [...warnings],
      stats: { scanned_events: scannedEvents, elapsed_ms: time.now() - startedMs },
    }
  })
}

/** Throws AppError `invalid` with the line, the caret and the reason. */
export function compile (search: string, macros: Macros, knowledge: Knowledge): SearchPlan {
  try {
    return compileSearch(search, macros, knowledge)
  } catch (error) {
    if (error instanceof SplError) throw new AppError('invalid', error.message, { cause: error, errors: [{ pointer: '/search', detail: error.detail }] })
    throw error
  }
}
