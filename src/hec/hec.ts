import type { Readable } from 'node:stream'
import type {} from '@fastify/swagger' // for `hide`
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Metadata } from '../event.js'
import { toMicroseconds } from '../event.js'
import { AppError } from '../errors.js'
import type { AppendOutcome, EventStore } from '../store/events.js'
import type { ByteBudget, CollectedBody } from './body.js'
import { collectBody } from './body.js'
import type { HecMetrics } from './metrics.js'
import type { HecCode } from './reply.js'
import { hecBody, HecError, HEC_REPLY } from './reply.js'
import type { HecToken, Tokens } from './token.js'

export interface HecDeps {
  readonly events: EventStore
  readonly tokens: Tokens
  readonly budget: ByteBudget
  readonly metrics: HecMetrics
  readonly maxBodyBytes: number
  readonly isShuttingDown: () => boolean
  /** Epoch milliseconds. */
  readonly now: () => number
}

declare module 'fastify' {
  interface FastifyRequest { hecToken: HecToken | null }
}

/** hec.md section 1; the paths below the plugin's prefix. */
const EVENT_PATHS = ['', '/event', '/event/1.0']
const HEALTH_PATHS = ['/health', '/health/1.0']
const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Splunk's HTTP Event Collector. Its body parser, token check and error format hold in this scope alone. */
export async function hec (app: FastifyInstance, deps: HecDeps) {
  app.decorateRequest('hecToken', null)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => collect(request, payload, deps))
  app.addHook('onRequest', async request => {
    delete request.raw.headers['content-type'] // Fastify itself refuses types that Splunk takes
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', vary: 'Authorization', 'x-frame-options': 'SAMEORIGIN', server: 'Splunkd' })
  })
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, deps))
  app.setNotFoundHandler((_request, reply) => send(reply, deps, 404))

  for (const path of EVENT_PATHS) {
    route(app, path, ['POST'], 'POST,OPTIONS')
    app.post<{ Body?: CollectedBody }>(path, {
      schema: { hide: true },
      onRequest: async request => check(request, deps),
    }, (request, reply) => receive(request, reply, deps))
  }
  for (const path of HEALTH_PATHS) {
    route(app, path, ['GET', 'HEAD'], 'GET,HEAD,OPTIONS')
    // No token is looked at here, whatever the manual says (hec.md section 2).
    app.get(path, { schema: { hide: true } }, (_request, reply) => send(reply, deps, deps.isShuttingDown() ? 23 : isBusy(deps) ? 18 : 17))
  }
}

/** OPTIONS and the methods that a path does not have. */
function route (app: FastifyInstance, path: string, methods: readonly HTTPMethods[], allow: string): void {
  app.options(path, { schema: { hide: true } }, (_request, reply) => reply.header('allow', allow).send())
  app.route({
    url: path,
    method: METHODS.filter(method => !methods.includes(method)),
    schema: { hide: true },
    // 405 with the text and code of 404 (hec.md section 1). The body is not read.
    onRequest: async () => { throw new HecError(404, 405) },
    handler: () => {},
  })
}

/** What can be refused before the body is read, in the order of hec.md section 10. */
function check (request: FastifyRequest, deps: HecDeps): void {
  const { headers } = request
  if (Number(headers['content-length'] ?? 0) > maxBytes(deps)) throw new HecError(6, 413, 'Content too large')
  request.hecToken = deps.tokens.authorize(headers.authorization, request.query as { token?: unknown })
  const encoding = encodingOf(request)
  if (encoding !== 'gzip' && encoding !== 'identity') throw new HecError(6, 415, 'Unsupported content encoding')
  if (deps.isShuttingDown()) throw new HecError(23)
}

function encodingOf ({ headers }: FastifyRequest): string {
  return headers['content-encoding']?.trim().toLowerCase() || 'identity'
}

/** A body that could never fit what may be in flight is too large, however little is in flight now. */
function maxBytes ({ maxBodyBytes, budget }: HecDeps): number {
  return Math.min(maxBodyBytes, budget.limit)
}

/** Whether a request would be refused with code 9. */
function isBusy ({ budget, events }: HecDeps): boolean {
  return budget.bytes >= budget.limit || events.failure() !== null
}

/** Reads a body only where a token let the request in: nobody would give back the bytes of a 404 or an OPTIONS. */
async function collect (request: FastifyRequest, payload: Readable, deps: HecDeps): Promise<CollectedBody | undefined> {
  if (request.hecToken === null) return undefined
  return collectBody(payload, { gzip: encodingOf(request) === 'gzip', maxBytes: maxBytes(deps), budget: deps.budget })
}

/** Stores a request's events. The reply says 200 when they are on disk. */
async function receive (request: FastifyRequest<{ Body?: CollectedBody }>, reply: FastifyReply, deps: HecDeps) {
  const { body: collected } = request
  const token = request.hecToken
  if (token === null) throw new Error('a request without a token came through')
  if (collected === undefined || collected.bytes === 0) throw new HecError(5) // Fastify parses no body that has no bytes
  try {
    const outcome = await deps.events.append({
      body: collected.body,
      arrivalUs: toMicroseconds(deps.now() / 1000),
      defaults: defaultsOf(request, token),
      // The token's own index is always usable (hec.md 4.5), one that the query names is not.
      allowedIndexes: token.indexes.length === 0 ? null : [...token.indexes, token.index],
    })
    deps.metrics.count(token.name, outcome, collected.bytes)
    const { code, number } = toCode(outcome)
    return send(reply, deps, code, number)
  } finally {
    deps.budget.give(collected.bytes)
  }
}

/** First match wins: envelope, query, token, built-in (hec.md 4.5). The host is the peer's address, as `connection_host = ip`. */
function defaultsOf (request: FastifyRequest, token: HecToken): Metadata {
  const query = request.query as Record<string, string | string[] | undefined>
  const first = (key: keyof Metadata): string | undefined => {
    const value = query[key]
    return (Array.isArray(value) ? value[0] : value) || undefined
  }
  return {
    host: first('host') ?? token.host ?? request.ip.replace(/^::ffff:/, ''),
    source: first('source') ?? token.source ?? `http:${token.name}`,
    sourcetype: first('sourcetype') ?? token.sourcetype ?? 'httpevent',
    index: first('index') ?? token.index,
  }
}

function toCode ({ stored, fault, skipped }: AppendOutcome): { code: HecCode, number?: number } {
  if (fault !== null) return fault
  return { code: stored > 0 || skipped > 0 ? 0 : 5 }
}

function sendError (error: unknown, request: FastifyRequest, reply: FastifyReply, deps: HecDeps) {
  if (error instanceof HecError) {
    if (error.status === 413) reply.header('connection', 'close') // the rest of the body is not read (hec.md section 8)
    // A format error that is found before any object is read is one of the first object.
    const number = error.code === 6 && error.status === 400 ? 0 : undefined
    return send(reply, deps, error.code, number, error)
  }
  if (error instanceof AppError && error.code === 'too_large') return sendError(new HecError(6, 413, 'Content too large'), request, reply, deps)
  if (error instanceof AppError && error.code === 'unavailable') {
    request.log.error({ err: error }, 'events could not be stored')
    return send(reply, deps, 9)
  }
  const { statusCode } = error as { statusCode?: number }
  // Fastify's own refusals of a request that is no HTTP as HEC knows it.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return send(reply, deps, 6, 0, new HecError(6, statusCode))
  if (request.raw.destroyed && (error as { code?: string }).code === 'ECONNRESET') return reply.hijack() // nobody is left to answer
  request.log.error({ err: error }, 'HEC request failed')
  return send(reply, deps, 8)
}

function send (reply: FastifyReply, { metrics }: HecDeps, code: HecCode, number?: number, { status, text }: { status: number, text: string } = HEC_REPLY[code]) {
  metrics.reply(code, status)
  return reply.code(status).header('content-type', 'application/json; charset=UTF-8').send(hecBody(code, text, number))
}
