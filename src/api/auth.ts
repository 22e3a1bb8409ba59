import type { FastifyInstance, FastifyRequest } from 'fastify'
import type {} from '@fastify/rate-limit'
import type { Role } from '../config.js'
import { AppError } from '../errors.js'

/** Who asks, by the key that the request came with. */
export interface ApiKey { readonly name: string, readonly role: Role }

/** Looks a key up by its hash. */
export type FindKey = (key: string) => ApiKey | undefined

const RANK: Readonly<Record<Role, number>> = { viewer: 0, analyst: 1, admin: 2 }

/** Failed credentials of one address before its refusals become 429. */
const MAX_FAILURES = { max: 20, timeWindow: 60_000 }

declare module 'fastify' {
  interface FastifyRequest {
    apiKey: ApiKey | null
    /** Whether the same request would be let in now: of one that has no end, the key may be revoked meanwhile. */
    isAllowed: () => boolean
  }
  interface FastifyContextConfig {
    /** The least role that may call the route; viewer where it says nothing. */
    role?: Role
  }
}

/** Asks every request of this scope for `Authorization: Bearer <key>` of a sufficient role. */
export function useApiKeys (app: FastifyInstance, findKey: FindKey): void {
  const countFailure = app.createRateLimit(MAX_FAILURES)
  app.decorateRequest('apiKey', null)
  app.decorateRequest('isAllowed', () => false)
  app.addHook('onRequest', async (request, reply) => {
    const key = keyOf(request, findKey)
    if (key === null) {
      const { isExceeded, ttlInSeconds } = await countFailure(request) as { isExceeded?: boolean, ttlInSeconds?: number }
      if (isExceeded === true) {
        reply.header('retry-after', ttlInSeconds ?? 60)
        throw Object.assign(new Error('too many failed credentials from this address'), { statusCode: 429 })
      }
      reply.header('www-authenticate', 'Bearer')
      throw new AppError('unauthorized', 'the API asks for "Authorization: Bearer <key>" with a key that it knows')
    }
    const role = request.routeOptions.config.role ?? 'viewer'
    if (RANK[key.role] < RANK[role]) throw new AppError('forbidden', `this call asks for the role ${role}; the key has ${key.role}`)
    request.apiKey = key
    request.isAllowed = () => {
      const known = keyOf(request, findKey)
      return known !== null && RANK[known.role] >= RANK[role]
    }
  })
}

function keyOf ({ headers }: FastifyRequest, findKey: FindKey): ApiKey | null {
  const match = /^Bearer +(\S+)$/i.exec(headers.authorization?.trim() ?? '')
  return match === null ? null : findKey(match[1]!) ?? null
}
