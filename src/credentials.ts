import { randomBytes, randomUUID } from 'node:crypto'
import type { ApiKey } from './api/auth.js'
import type { Config } from './config.js'
import { Role } from './config.js'
import type { HashedToken } from './hec/token.js'
import { hashSecret } from './hec/token.js'
import type { CredentialStore } from './store/control/credentials.js'

/** Secrets that were made because there were none of their kind; they are kept as hashes only, so this is the one time to show them. */
export interface FirstSecrets { readonly token: string | null, readonly key: string | null }

/** The HEC tokens and API keys in force: those of the configuration and those of control.db. */
export function openCredentials ({ hec, api, indexes }: Config, store: CredentialStore) {
  const tokens = new Map<string, HashedToken>()
  const keys = new Map<string, ApiKey>()

  function refresh (): void {
    for (const { name, hash, index } of store.tokens()) tokens.set(hash, { name, hash, index, indexes: [], enabled: true, ack: false, query_string_auth: false, defaults: {} })
    for (const { name, hash, role } of store.keys()) keys.set(hash, { name, role: Role.parse(role) })
    for (const { token, ...settings } of hec.tokens) tokens.set(hashSecret(token), { ...settings, hash: hashSecret(token) })
    for (const { name, key, role } of api.keys) keys.set(hashSecret(key), { name, role })
  }

  refresh()
  return {
    findToken: (hash: string): HashedToken | undefined => tokens.get(hash),
    findKey: (key: string): ApiKey | undefined => keys.get(hashSecret(key)),
    /** Makes a token where there is none, and an admin key where there is none. */
    makeFirst (nowMs: number): FirstSecrets {
      const token = tokens.size === 0 ? randomUUID() : null
      const key = keys.size === 0 ? randomBytes(24).toString('base64url') : null
      store.addFirst(
        token === null ? null : { name: 'first', hash: hashSecret(token), index: indexes[0]!, created_ms: nowMs },
        key === null ? null : { name: 'first', hash: hashSecret(key), role: 'admin', created_ms: nowMs }
      )
      refresh()
      return { token, key }
    },
  }
}
