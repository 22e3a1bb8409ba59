import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type {} from '@fastify/cookie'
import type {} from '@fastify/rate-limit'
import type { Audit, AuditDetail } from '../audit.js'
import type { Role } from '../config.js'
import { AppError } from '../errors.js'
import type { Keys, Refusal } from '../keys.js'
import type { Sessions } from '../sessions.js'
import type { ApiMetrics } from './metrics.js'

/** Who asks: the key that the request, or the session that it belongs to, came with. */
export interface ApiKey {
  readonly name: string
  readonly role: Role
  readonly how: 'bearer' | 'session'
  /** Of the session or, without one, of the key; null: never. */
  readonly expires_ms: number | null
}

/** Why a request is not let in. `session`: its session has ended; `foreign`: another site's page has sent it. */
export type AuthFailure = 'missing' | 'malformed' | Refusal | 'session' | 'foreign'

export interface AuthDeps {
  readonly keys: Keys
  readonly sessions: Sessions
  readonly apiMetrics: ApiMetrics
  readonly audit: Pick<Audit, 'refusedKey' | 'record'>
  readonly time: { readonly now: () => number }
}

const RANK: Readonly<Record<Role, number>> = { viewer: 0, analyst: 1, admin: 2 }

/** Failed keys of one address before its refusals become 429. */
const MAX_FAILURES = { max: 20, timeWindow: 60_000 }

export const SESSION_COOKIE = 'hecate_session'

/** A page of another site can't send it without asking first, which is never granted. */
const SAME_SITE_HEADER = 'x-hecate-request'

const WHY: Readonly<Record<Refusal | 'missing' | 'malformed' | 'session', string>> = {
  missing: 'the API asks for "Authorization: Bearer <key>" with a key that it knows, or for a session',
  malformed: 'the API asks for "Authorization: Bearer <key>" with a key that it knows',
  unknown: 'the API asks for "Authorization: Bearer <key>" with a key that it knows',
  disabled: 'the key is disabled',
  expired: 'the key has expired',
  session: 'the session has ended',
}

declare module 'fastify' {
  interface FastifyRequest {
    apiKey: ApiKey | null
    /** Whether the same request would be let in now: of one that has no end, the key may be revoked meanwhile. */
    isAllowed: () => boolean
    /** Says what the request has changed, for its entry of the audit log; null: nothing. What is told is never a secret. */
    audited: (detail: AuditDetail | null) => void
  }
  interface FastifyContextConfig {
    /** The least role that may call the route, viewer where it says nothing; `none`: whoever may reach it. */
    role?: Role | 'none'
    /** What a request that is neither GET nor HEAD does: noun and verb, such as `token.add`. `none`: it changes nothing, or writes its entry itself. */
    audit?: string
  }
}

/** Asks every request of this scope for a key of a sufficient role, as `Authorization: Bearer <key>` or by the cookie of a session. */
export function useApiKeys (app: FastifyInstance, { keys, sessions, apiMetrics, audit, time }: AuthDeps) {
  const countFailure = app.createRateLimit(MAX_FAILURES)

  /** Counts a credential that failed, and throws what the request is answered with. Only keys can be guessed, so only they make an address wait. */
  async function refuse (request: FastifyRequest, reply: FastifyReply, reason: keyof typeof WHY): Promise<never> {
    apiMetrics.failed(reason)
    if (reason !== 'missing' && reason !== 'session') {
      audit.refusedKey(request.ip, reason, request.id)
      const { isExceeded, ttlInSeconds } = await countFailure(request) as { isExceeded?: boolean, ttlInSeconds?: number }
      if (isExceeded === true) {
        reply.header('retry-after', ttlInSeconds ?? 60)
        throw Object.assign(new Error('too many failed credentials from this address'), { statusCode: 429 })
      }
    }
    reply.header('www-authenticate', 'Bearer')
    throw new AppError('unauthorized', WHY[reason])
  }

  /** Throws AppError `forbidden` where a browser says that a page of elsewhere sends the request. */
  function refuseForeign ({ headers, host }: FastifyRequest): void {
    const { origin, 'sec-fetch-site': site } = headers
    if ((site === undefined || site === 'same-origin') && (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host))) return
    apiMetrics.failed('foreign')
    throw new AppError('forbidden', 'the request comes from a page of another site')
  }

  /** A browser sends the cookie whoever made it ask; what may change something has to show that it was a page of this server. */
  function refuseForged (request: FastifyRequest): void {
    if (request.method === 'GET' || request.method === 'HEAD') return
    if (request.headers[SAME_SITE_HEADER] !== '1') {
      apiMetrics.failed('foreign')
      throw new AppError('forbidden', `a request of a session that is no GET asks for the header "${SAME_SITE_HEADER}: 1"`)
    }
    refuseForeign(request)
  }

  /** Who asks, or why nobody that is known. Where there is a key, it alone counts: a request has one reason to be let in. */
  function find ({ headers: { authorization }, cookies }: FastifyRequest): { readonly caller: ApiKey } | { readonly failure: keyof typeof WHY } {
    const nowMs = time.now()
    if (authorization !== undefined) {
      const secret = /^Bearer +(\S+)$/i.exec(authorization.trim())?.[1]
      if (secret === undefined) return { failure: 'malformed' }
      const found = keys.find(secret, nowMs)
      if ('refusal' in found) return { failure: found.refusal }
      const { name, role, expires_ms: expiresMs } = found.key
      keys.used(found.key, nowMs)
      return { caller: { name, role, how: 'bearer', expires_ms: expiresMs } }
    }
    const id = cookies[SESSION_COOKIE]
    if (id === undefined) return { failure: 'missing' }
    const session = sessions.use(id, nowMs)
    if (session === null) return { failure: 'session' }
    const { key: { name, role }, expiresMs } = session
    return { caller: { name, role, how: 'session', expires_ms: expiresMs } }
  }

  app.decorateRequest('apiKey', null)
  app.decorateRequest('isAllowed', () => false)
  app.addHook('onRequest', async (request, reply) => {
    const role = request.routeOptions.config.role ?? 'viewer'
    if (role === 'none') return
    const found = find(request)
    if ('failure' in found) {
      if (found.failure === 'session') reply.clearCookie(SESSION_COOKIE, { path: '/' })
      return refuse(request, reply, found.failure)
    }
    const { caller } = found
    if (caller.how === 'session') refuseForged(request)
    if (RANK[caller.role] < RANK[role]) throw new AppError('forbidden', `this call asks for the role ${role}; the key has ${caller.role}`)
    request.apiKey = caller
    request.isAllowed = () => {
      const now = find(request)
      return 'caller' in now && RANK[now.caller.role] >= RANK[role]
    }
  })

  return { refuse, refuseForeign }
}
export type Auth = ReturnType<typeof useApiKeys>
