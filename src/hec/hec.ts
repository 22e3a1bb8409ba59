import type { Readable } from 'node:stream'
import type {} from '@fastify/swagger' // for `hide`
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { Metadata } from '../event.js'
import { toMicroseconds } from '../event.js'
import { AppError } from '../errors.js'
import { parseTime } from '../envelope/time.js'
import type { Disk } from '../store/disk.js'
import type { AppendOutcome, AppendRequest, EventStore } from '../store/events.js'
import type { AckPlace, Acks } from './ack.js'
import { channelText, emitAcks, parseAckQuery, requireChannel } from './ack.js'
import type { ByteBudget, CollectedBody } from './body.js'
import { collectBody, discardBody } from './body.js'
import type { HecMetrics } from './metrics.js'
import type { HecCode, ReplyMembers } from './reply.js'
import { hecBody, HecError, HEC_REPLY } from './reply.js'
import type { HashedToken, Tokens } from './token.js'
import type { TokenUsage } from './usage.js'

export interface HecDeps {
  readonly events: EventStore
  readonly tokens: Tokens
  readonly acks: Acks
  readonly budget: ByteBudget
  readonly disk: Pick<Disk, 'state' | 'tryTake' | 'give'>
  readonly metrics: HecMetrics
  readonly usage: Pick<TokenUsage, 'letIn' | 'stored'>
  readonly maxBodyBytes: number
  /** Where the time of an event comes from whose envelope has none. */
  readonly timeFrom: AppendRequest['timeFrom']
  readonly isShuttingDown: () => boolean
  /** Epoch milliseconds. */
  readonly now: () => number
}

interface RouteDeps extends HecDeps { readonly contextOf: (token: HashedToken) => TokenContext }

/** Who sent a request, once it was let in. The channel is empty where there is none, and may be anything on a token without ack. */
interface Sender { readonly token: HashedToken, readonly channel: string }

/** What `collect` makes of a body. */
interface HecRoute { Body?: CollectedBody | HecError }

declare module 'fastify' {
  interface FastifyRequest { hecSender: Sender | null }
  interface FastifyContextConfig {
    /** What the bodies of a HEC route hold. */
    hecBody?: AppendRequest['format'] | 'acks'
  }
}

/** hec.md section 1; the paths below the plugin's prefix, and what their bodies hold. */
const BODY_PATHS = {
  envelopes: ['', '/event', '/event/1.0'],
  lines: ['/raw', '/raw/1.0'],
  acks: ['/ack', '/ack/1.0'],
} as const
const HEALTH_PATHS = ['/health', '/health/1.0']
const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

/** Room for the ids of a whole channel (ACK_LIMITS), of seven digits and a comma each. */
const MAX_ACK_BYTES = 8 << 20

/** Of every reply of a real HEC (hec.md section 3). */
export const HEC_HEADERS = { 'x-content-type-options': 'nosniff', vary: 'Authorization', 'x-frame-options': 'SAMEORIGIN', server: 'Splunkd' }

/** Splunk's HTTP Event Collector. Its body parser, token check and error format hold in this scope alone. */
export async function hec (app: FastifyInstance, given: HecDeps) {
  const deps: RouteDeps = { ...given, contextOf: openContexts() }
  app.decorateRequest('hecSender', null)
  app.setChildLoggerFactory(logger => logger) // a logger for each request takes longer than to count it
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => collect(request, payload, deps))
  app.addHook('onRequest', (request, _reply, done) => {
    delete request.raw.headers['content-type'] // Fastify itself refuses types that Splunk takes
    done()
  })
  app.addHook('onSend', (request, reply, _payload, done) => {
    reply.headers(HEC_HEADERS)
    if (reply.statusCode !== 413 && !deps.isShuttingDown() && request.raw.readableEnded) return done()
    leaveBody(request, reply, deps).then(() => done(), done)
  })
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, deps))
  app.setNotFoundHandler((_request, reply) => send(reply, deps, 404))

  for (const [hecBody, paths] of Object.entries(BODY_PATHS)) {
    for (const path of paths) {
      route(app, path, ['POST'], 'POST,OPTIONS')
      app.post<HecRoute>(path, {
        schema: { hide: true },
        config: { hecBody: hecBody as keyof typeof BODY_PATHS },
        onRequest: (request, _reply, done) => {
          check(request, deps)
          done()
        },
      }, (request, reply) => hecBody === 'acks' ? answerPoll(request, reply, deps) : receive(request, reply, deps))
    }
  }
  for (const path of HEALTH_PATHS) {
    route(app, path, ['GET', 'HEAD'], 'GET,HEAD,OPTIONS')
    // No token is looked at here, whatever the manual says (hec.md section 2).
    app.get(path, { schema: { hide: true } }, (_request, reply) => send(reply, deps, health(deps)))
  }
}

/** A reply before the end of its request's body closes the connection (hec.md section 8). */
async function leaveBody (request: FastifyRequest, reply: FastifyReply, { maxBodyBytes, isShuttingDown }: HecDeps): Promise<void> {
  const isReadWhole = reply.statusCode !== 413 && !isShuttingDown() && await discardBody(request.raw, maxBodyBytes)
  if (!isReadWhole) reply.header('connection', 'close')
}

/** OPTIONS and the methods that a path does not have. */
function route (app: FastifyInstance, path: string, methods: readonly HTTPMethods[], allow: string): void {
  app.options(path, { schema: { hide: true } }, (_request, reply) => reply.header('allow', allow).send())
  app.route({
    url: path,
    method: METHODS.filter(method => !methods.includes(method)),
    schema: { hide: true },
    // 405 with the text and code of 404 (hec.md section 1).
    onRequest: async () => { throw new HecError(404, 405) },
    handler: () => {},
  })
}

/** What can be refused before the body is read, in the order of hec.md section 10. */
function check (request: FastifyRequest, deps: HecDeps): void {
  const { headers } = request
  if (Number(headers['content-length'] ?? 0) > maxBytes(request, deps)) throw new HecError(6, 413, 'Content too large')
  const query = request.query as { token?: unknown, channel?: unknown }
  const token = deps.tokens.authorize(headers.authorization, query)
  const isPoll = request.routeOptions.config.hecBody === 'acks'
  const header = headers['x-splunk-request-channel'] as string | undefined
  // Without ack a channel says nothing, not even that it is wrong (hec.md section 6).
  const channel = token.ack || isPoll ? requireChannel(header, query.channel) : channelText(header, query.channel)
  if (isPoll && !token.ack) throw new HecError(14)
  const encoding = encodingOf(request)
  if (encoding !== 'gzip' && encoding !== 'identity') throw new HecError(6, 415, 'Unsupported content encoding')
  if (deps.isShuttingDown()) throw new HecError(23)
  if (!isPoll && deps.disk.state().isFull) throw new HecError(9)
  if (!deps.budget.hasRoom(declaredBytes(request))) throw new HecError(9) // before the body is sent, where the client says how long it is
  request.hecSender = { token, channel }
  deps.usage.letIn(token, deps.now())
}

function encodingOf ({ headers }: FastifyRequest): string {
  return headers['content-encoding']?.trim().toLowerCase() || 'identity'
}

/** As they are sent, so fewer than there are where they are compressed; 0 where the client doesn't say. */
function declaredBytes ({ headers }: FastifyRequest): number {
  return Number(headers['content-length'] ?? 0)
}

/** A body that could never fit what may be in flight is too large, however little is in flight now. */
function maxBytes (request: FastifyRequest, { maxBodyBytes, budget }: HecDeps): number {
  return Math.min(maxBodyBytes, budget.largest, request.routeOptions.config.hecBody === 'acks' ? MAX_ACK_BYTES : Infinity)
}

/** Whether a request would be refused with code 9. */
function isBusy ({ budget, disk, events }: HecDeps): boolean {
  return budget.isFull || disk.state().isFull || events.failure() !== null
}

/** What `/health` says; no token is looked at. */
function health (deps: HecDeps): HecCode {
  if (deps.isShuttingDown()) return 23
  if (isBusy(deps)) return deps.acks.isFull() ? 20 : 18
  return deps.acks.isFull() ? 19 : 17
}

/**
 * Reads a body only where a token let the request in: nobody would give back the bytes of a 404 or an OPTIONS. A refusal
 * takes the place of the body until `letIn`: Fastify closes the connection where a parser throws.
 */
async function collect (request: FastifyRequest, payload: Readable, deps: HecDeps): Promise<CollectedBody | HecError | undefined> {
  if (request.hecSender === null) return undefined
  try {
    return await collectBody(payload, { gzip: encodingOf(request) === 'gzip', maxBytes: maxBytes(request, deps), declared: declaredBytes(request), budget: deps.budget })
  } catch (error) {
    if (error instanceof HecError) return error
    throw error
  }
}

/** The body and the sender of a request that was let in. Throws HecError where its body was refused. */
function letIn ({ hecSender, body }: FastifyRequest<HecRoute>): Sender & Pick<CollectedBody, 'body'> & Partial<CollectedBody> {
  if (hecSender === null) throw new Error('a request without a token came through')
  if (body instanceof HecError) throw body
  const { token, channel } = hecSender
  if (body === undefined || body === null) return { token, channel, body: new ArrayBuffer(0) } // Fastify parses no body that has no bytes
  return { token, channel, body: body.body, share: body.share }
}

/** Stores a request's events. The reply says 200 when they are on disk. */
async function receive (request: FastifyRequest<HecRoute>, reply: FastifyReply, deps: RouteDeps) {
  const { token, channel, body, share } = letIn(request)
  const bytes = body.byteLength // it is moved to the writer below
  if (bytes === 0) throw new HecError(5)
  const nowMs = deps.now()
  const sender = senderOf(token, channel)
  const hasRoom = deps.disk.tryTake(bytes)
  let place: AckPlace | null = null
  try {
    if (!hasRoom) throw new HecError(9)
    place = token.ack ? deps.acks.reserve(sender, nowMs) : null
    const outcome = await deps.events.append(toAppend(request, { token, body, sender, arrivalUs: toMicroseconds(nowMs / 1000) }, deps))
    deps.metrics.count(token.name, outcome, bytes)
    deps.usage.stored(token, outcome.resent ? 0 : outcome.stored, deps.now())
    const { code, number } = toCode(outcome)
    // Of a faulty body the events before the fault are receipted too (hec.md 4.4).
    const ackId = code === 0 || outcome.stored > 0 ? place?.give() : undefined
    return send(reply, deps, code, { number, ackId })
  } finally {
    place?.release()
    if (hasRoom) deps.disk.give(bytes)
    share?.release()
  }
}

/** Answers `/ack`: which ids of the channel are on disk. */
async function answerPoll (request: FastifyRequest<HecRoute>, reply: FastifyReply, deps: HecDeps) {
  const { token, channel, body, share } = letIn(request)
  try {
    const acks = deps.acks.query(senderOf(token, channel), parseAckQuery(body), deps.now())
    return reply.header('content-type', JSON_TYPE).send(emitAcks(acks))
  } finally {
    share?.release()
  }
}

/** One text for a token and a channel: whose ids, and whose re-sends. */
function senderOf (token: HashedToken, channel: string): string {
  return `${token.hash} ${channel}`
}

/** What the request and its token say of all its events. Throws HecError 15 where the query's `time` is none. */
function toAppend (request: FastifyRequest, { token, body, sender, arrivalUs }: { readonly token: HashedToken } & Pick<AppendRequest, 'body' | 'sender' | 'arrivalUs'>, { timeFrom, contextOf }: RouteDeps): AppendRequest {
  const format = request.routeOptions.config.hecBody === 'lines' ? 'lines' : 'envelopes'
  const context = contextOf(token)
  const time = firstOf(request, 'time')
  const timeUs = time === undefined ? null : parseTime(time)
  if (time !== undefined && timeUs === null) throw new HecError(15)
  // Splunk looks into the text of lines, and into that of events where it is asked to (hec.md 4.6).
  const isExtracted = format === 'lines' || /^(?:true|1)$/i.test(firstOf(request, 'auto_extract_timestamp') ?? '')
  // All by name: an object that is spread into another one gets a hidden class of its own, a kilobyte a request that only the large garbage collection takes away.
  return {
    body,
    sender,
    arrivalUs,
    format,
    defaults: defaultsOf(request, token, context),
    timeUs,
    timeFrom: isExtracted ? 'event' : timeFrom,
    fill: token.defaults,
    allowedIndexes: context.allowedIndexes,
  }
}

/** A query parameter, the first where it is given twice; undefined where it is empty. */
function firstOf ({ query }: FastifyRequest, name: string): string | undefined {
  const value = (query as Record<string, string | string[] | undefined>)[name]
  return (Array.isArray(value) ? value[0] : value) || undefined
}

/** What requests of a token have in common. Of many requests in one message to the writer it is copied once. */
interface TokenContext { readonly allowedIndexes: readonly string[] | null, defaults: Metadata | null }

function openContexts (): (token: HashedToken) => TokenContext {
  const contexts = new WeakMap<HashedToken, TokenContext>()
  return token => {
    let context = contexts.get(token)
    if (context === undefined) {
      // The token's own index is always usable (hec.md 4.5), one that the query names is not.
      context = { allowedIndexes: token.indexes.length === 0 ? null : [...token.indexes, token.index], defaults: null }
      contexts.set(token, context)
    }
    return context
  }
}

/** First match wins: envelope, query, token, built-in (hec.md 4.5). The host is the peer's address, as `connection_host = ip`. */
function defaultsOf (request: FastifyRequest, token: HashedToken, context: TokenContext): Metadata {
  const first = (key: keyof Metadata) => firstOf(request, key)
  const host = first('host') ?? token.host ?? request.ip.replace(/^::ffff:/, '')
  const source = first('source') ?? token.source ?? `http:${token.name}`
  const sourcetype = first('sourcetype') ?? token.sourcetype ?? 'httpevent'
  const index = first('index') ?? token.index
  const last = context.defaults
  if (last !== null && last.host === host && last.source === source && last.sourcetype === sourcetype && last.index === index) return last
  context.defaults = { host, source, sourcetype, index }
  return context.defaults
}

function toCode ({ stored, fault, skipped }: AppendOutcome): { code: HecCode, number?: number } {
  if (fault !== null) return fault
  return { code: stored > 0 || skipped > 0 ? 0 : 5 }
}

function sendError (error: unknown, request: FastifyRequest, reply: FastifyReply, deps: HecDeps) {
  if (error instanceof HecError) {
    // An error that is found before any object is read is one of the first object; a poll has no objects.
    const isOfObject = (error.code === 6 || error.code === 15) && error.status === 400 && request.routeOptions.config.hecBody !== 'acks'
    return send(reply, deps, error.code, { number: isOfObject ? 0 : undefined, text: error.text }, error.status)
  }
  if (error instanceof AppError && error.code === 'too_large') return sendError(new HecError(6, 413, 'Content too large'), request, reply, deps)
  if (error instanceof AppError && error.code === 'unavailable') {
    request.log.error({ err: error, request_id: request.id }, 'events could not be stored')
    return send(reply, deps, 9)
  }
  const { statusCode } = error as { statusCode?: number }
  // Fastify's own refusals of a request that is no HTTP as HEC knows it.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return send(reply, deps, 6, { number: 0 }, statusCode)
  if (request.raw.destroyed && (error as { code?: string }).code === 'ECONNRESET') return reply.hijack() // nobody is left to answer
  request.log.error({ err: error, request_id: request.id }, 'HEC request failed')
  return send(reply, deps, 8)
}

const JSON_TYPE = 'application/json; charset=UTF-8'

function send (reply: FastifyReply, { metrics }: HecDeps, code: HecCode, members: ReplyMembers = {}, status: number = HEC_REPLY[code].status) {
  metrics.reply(code, status)
  return reply.code(status).header('content-type', JSON_TYPE).send(hecBody(code, members))
}
