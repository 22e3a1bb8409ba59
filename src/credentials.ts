import { randomUUID } from 'node:crypto'
import type { Config } from './config.js'
import { TokenSettings } from './config.js'
import type { ErrorDetail } from './errors.js'
import { AppError } from './errors.js'
import type { HashedToken } from './hec/token.js'
import { hashSecret } from './hec/token.js'
import { quote } from './spl/errors.js'
import type { CredentialStore, StoredToken } from './store/control/credentials.js'

/** A HEC token in force. Of one of the configuration nobody knows when it was made. */
export type Token = TokenSettings & HashedToken & { readonly created_ms: number | null }

/** Settings to change; null takes one away. */
export type TokenPatch = { readonly [K in keyof Omit<TokenSettings, 'name'>]?: TokenSettings[K] | null | undefined }

type CredentialConfig = Pick<Config, 'indexes'> & { readonly hec: Pick<Config['hec'], 'tokens'> }

/**
 * The HEC tokens in force: those of the configuration and those of control.db. Where both have a token of one name
 * or secret, the configuration's holds.
 */
export function openCredentials ({ hec, indexes }: CredentialConfig, store: CredentialStore) {
  const configured: readonly Token[] = hec.tokens.map(({ token, ...settings }) => ({ ...settings, hash: hashSecret(token), origin: 'configuration', created_ms: null }))
  let tokens: ReadonlyMap<string, Token> = new Map()
  let hidden: readonly string[] = []
  let version: number | null = null

  function reload (): void {
    const seen = store.version() // before the rows: what is committed in between is noticed the next time
    const stored = store.tokens().map((token): Token => ({ ...token, origin: 'added' }))
    const isHidden = ({ name, hash }: Token) => configured.some(token => token.name === name || token.hash === hash)
    tokens = new Map([...configured, ...stored.filter(token => !isHidden(token))].map(token => [token.hash, token]))
    hidden = stored.filter(isHidden).map(({ name }) => name)
    version = seen
  }

  /** Changes control.db knowing all that others have committed; what it now holds is in force when this returns. */
  function change<T> (work: () => T): T {
    const result = store.write(() => {
      reload()
      return work()
    })
    reload()
    return result
  }

  function get (name: string): Token {
    return [...tokens.values()].find(token => token.name === name) ?? throwUnknown(name)
  }

  function refuseConfigured (name: string): void {
    const place = configured.findIndex(token => token.name === name)
    if (place >= 0) throw new AppError('conflict', `the configuration sets the token ${quote(name)}: hec.tokens.${place}`)
  }

  function getAdded (name: string): StoredToken {
    refuseConfigured(name)
    return store.tokens().find(token => token.name === name) ?? throwUnknown(name)
  }

  function checkIndexes (index: string | null | undefined, allowed: readonly string[] | null | undefined): void {
    const named = [...index === null || index === undefined ? [] : [{ name: index, pointer: '/index' }], ...(allowed ?? []).map((name, i) => ({ name, pointer: `/indexes/${i}` }))]
    const missing = named.filter(({ name }) => !indexes.includes(name))
    if (missing.length === 0) return
    const errors = missing.map(({ name, pointer }): ErrorDetail => ({ pointer, detail: `${quote(name)} is not in the indexes of the configuration` }))
    throw new AppError('invalid', `index ${errors[0]!.detail}`, { errors })
  }

  reload()
  return {
    findToken: (hash: string): HashedToken | undefined => tokens.get(hash),
    /** By name. */
    listTokens: (): Token[] => [...tokens.values()].sort((a, b) => a.name < b.name ? -1 : 1),
    /** Throws AppError `not_found`. */
    getToken: get,
    /** Names of added tokens that are not in force, since the configuration has that name or secret. */
    hiddenTokens: () => hidden,
    /** Adds a token whose secret is `given`, or made; returns the secret. Throws AppError `conflict` where name or secret are taken, `invalid` for an index that is none. */
    addToken (settings: TokenSettings, given: string | undefined, nowMs: number): string {
      const secret = given ?? randomUUID()
      checkIndexes(settings.index, settings.indexes)
      change(() => {
        refuseConfigured(settings.name)
        if (store.tokens().some(({ name }) => name === settings.name)) throw new AppError('conflict', `there is a token ${quote(settings.name)} already`)
        const hash = hashSecret(secret)
        if (tokens.has(hash) || store.tokens().some(token => token.hash === hash)) throw new AppError('conflict', 'another token has this secret')
        store.addToken({ ...settings, hash, created_ms: nowMs })
      })
      return secret
    },
    /** Changes a token. Throws AppError `conflict` where the configuration sets it, `not_found`, `invalid` for an index that is none. */
    patchToken (name: string, patch: TokenPatch): Token {
      checkIndexes(patch.index, patch.indexes)
      change(() => {
        const { hash, created_ms, ...before } = getAdded(name)
        const changes = Object.fromEntries(Object.entries(patch).map(([key, value]) => [key, value ?? undefined]))
        store.updateToken({ ...TokenSettings.parse({ ...before, ...changes }), hash, created_ms })
      })
      return get(name)
    },
    /** Removes a token, and what was counted of its use. Throws AppError `conflict` where the configuration sets it, `not_found`. */
    revokeToken (name: string): void {
      change(() => store.removeToken(getAdded(name).name))
    },
    /** Reads control.db again where another process has changed it; says whether. */
    refresh (): boolean {
      if (store.version() === version) return false
      reload()
      return true
    },
    /** Makes a token where there is none, and returns its secret; else null. */
    makeFirst (nowMs: number): string | null {
      return change(() => {
        const token = tokens.size === 0 ? randomUUID() : null
        if (token !== null) store.addToken({ ...TokenSettings.parse({ name: 'first', index: indexes[0] }), hash: hashSecret(token), created_ms: nowMs })
        return token
      })
    },
  }
}
export type Credentials = ReturnType<typeof openCredentials>

function throwUnknown (name: string): never {
  throw new AppError('not_found', `there is no token ${quote(name)}`)
}
