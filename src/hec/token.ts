import { hash } from 'node:crypto'
import { HecError } from './reply.js'

/** What a HEC token decides about the events that come with it. */
export interface HecToken {
  readonly name: string
  readonly enabled: boolean
  readonly index: string
  /** Indexes that its events may name; empty is any that exists (hec.md 4.5). */
  readonly indexes: readonly string[]
  readonly sourcetype?: string | undefined
  readonly source?: string | undefined
  readonly host?: string | undefined
  /** Whether replies carry an ackId (hec.md section 6); such requests need a channel. */
  readonly ack: boolean
  /** Whether `?token=` may be used. */
  readonly query_string_auth: boolean
  /** Fields for events that have none of that name. */
  readonly defaults: Readonly<Record<string, string>>
}

/** Who made a token: the configuration file, or somebody at run time. */
export type TokenOrigin = 'configuration' | 'added'

export interface HashedToken extends HecToken { readonly hash: string, readonly origin: TokenOrigin }

/** What is kept and compared of a secret. Secrets are long and random, so a plain hash is enough. */
export function hashSecret (secret: string): string {
  return hash('sha256', secret)
}

/**
 * Finds the token of a request. The look-up is by hash: how long it takes says nothing of how much of a guess is right.
 * `find` is asked each time, so a token can come and go while the server runs.
 */
export function openTokens (find: (hash: string) => HashedToken | undefined) {
  return {
    /**
     * The token of a request; throws HecError 16, 2, 3, 4 or 1 (hec.md section 2). One in the query wins over the header even
     * where it is not allowed. An unknown one is not allowed either: code 4 would tell who guesses from who knows.
     */
    authorize (authorization: string | undefined, query: { readonly token?: unknown }): HashedToken {
      const inQuery = query.token !== undefined
      const token = find(hashSecret(inQuery ? String(query.token) : secretOf(authorization)))
      if (inQuery && token?.query_string_auth !== true) throw new HecError(16)
      if (token === undefined) throw new HecError(4)
      if (!token.enabled) throw new HecError(1)
      return token
    },
  }
}
export type Tokens = ReturnType<typeof openTokens>

/** `Splunk <token>`, or `Basic` with any user and the token as the password. */
function secretOf (authorization: string | undefined): string {
  if (authorization === undefined || authorization.trim() === '') throw new HecError(2)
  const [scheme = '', ...rest] = authorization.trim().split(/\s+/)
  switch (scheme.toLowerCase()) {
    case 'splunk':
      if (rest.length === 0) throw new HecError(2)
      if (rest.length > 1) throw new HecError(3)
      return rest[0]!
    case 'basic': {
      const [, password] = /^[^:]*:(.+)$/s.exec(Buffer.from(rest[0] ?? '', 'base64').toString()) ?? []
      if (rest.length !== 1 || password === undefined) throw new HecError(3)
      return password
    }
    default: throw new HecError(3)
  }
}
