import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Role, Secret } from '../config.js'
import type { Auth, AuthDeps } from './auth.js'
import { SESSION_COOKIE } from './auth.js'
import { problemReplies } from './problem.js'

export interface SessionRouteDeps extends Pick<AuthDeps, 'keys' | 'sessions' | 'audit' | 'time'> {
  readonly auth: Auth
  /** Whether the server itself speaks TLS. */
  readonly isSecure: boolean
}

export const SessionView = z.object({
  name: z.string().describe('of the key'),
  role: Role,
  expires_at: z.string().nullable().describe('when the session, or the key where there is no session, ends at the latest; null: never'),
}).meta({ id: 'Session' })

/** /session: who asks, and sessions of browsers. */
export async function sessionRoutes (app: FastifyInstance, { auth, keys, sessions, audit, time, isSecure }: SessionRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const noStore = { 'cache-control': 'no-store' }

  routes.post('/session', {
    config: { role: 'none', audit: 'none' }, // until the key is known, nobody may have an entry made
    schema: {
      summary: 'Begin a session',
      description: 'Sets the cookie hecate_session, which counts as the key does until it ends, 12 hours later at the latest, or after 4 hours without a request. Requests of a session other than GET and HEAD need the header x-hecate-request: 1.',
      tags: ['session'],
      security: [],
      body: z.strictObject({ key: Secret.describe('an API key') }),
      response: { 200: SessionView, ...problemReplies },
    },
  }, async (request, reply) => {
    auth.refuseForeign(request) // else another site could have its visitors work with a key of its own
    const nowMs = time.now()
    const found = keys.find(request.body.key, nowMs)
    if ('refusal' in found) return auth.refuse(request, reply, found.refusal)
    const { key } = found
    const before = request.cookies[SESSION_COOKIE]
    if (before !== undefined) sessions.end(before)
    const action = { by: key.name, role: key.role, how: 'session', action: 'session.begin', request_id: request.id, address: request.ip } as const
    const { id, expiresMs } = audit.record(action, () => sessions.begin(key, nowMs), session => ({ after: { expires_at: new Date(session.expiresMs).toISOString() } }))
    request.log.info({ key_name: key.name }, 'session begun')
    reply.setCookie(SESSION_COOKIE, id, {
      path: '/',
      httpOnly: true,
      sameSite: 'strict',
      // What speaks TLS may stand in front of the server; the browser says what its page came by.
      secure: isSecure || request.headers.origin?.startsWith('https:') === true,
      maxAge: Math.floor((expiresMs - nowMs) / 1_000),
    })
    return reply.headers(noStore).send({ name: key.name, role: key.role, expires_at: new Date(expiresMs).toISOString() })
  })

  routes.get('/session', {
    config: { role: 'viewer' },
    schema: { summary: 'Who asks', tags: ['session'], response: { 200: SessionView, ...problemReplies } },
  }, async ({ apiKey }, reply) => {
    const { name, role, expires_ms: expiresMs } = apiKey!
    return reply.headers(noStore).send({ name, role, expires_at: expiresMs === null ? null : new Date(expiresMs).toISOString() })
  })

  routes.delete('/session', {
    config: { role: 'viewer', audit: 'session.end' },
    schema: { summary: 'End the session', description: 'Without one there is nothing to end, and the answer is the same.', tags: ['session'], response: { 204: z.null().describe('it has ended'), ...problemReplies } },
  }, async ({ apiKey, cookies, log, audited }, reply) => {
    const id = cookies[SESSION_COOKIE]
    if (apiKey!.how !== 'session' || id === undefined) audited(null)
    else {
      sessions.end(id)
      log.info({ key_name: apiKey!.name }, 'session ended')
    }
    reply.clearCookie(SESSION_COOKIE, { path: '/' })
    return reply.code(204).headers(noStore).send(null)
  })
}
