import { randomBytes } from 'node:crypto'
import type { Config, Role } from './config.js'
import { AppError } from './errors.js'
import { hashSecret } from './hec/token.js'
import { quote } from './spl/errors.js'
import type { KeyStore, StoredKey } from './store/control/keys.js'

/** An API key that the server knows. Of one of the configuration nobody knows when it was made. */
export type Key = Omit<StoredKey, 'created_ms'> & { readonly origin: 'configuration' | 'added', readonly created_ms: number | null }

/** Why a secret is not taken. */
export type Refusal = 'unknown' | 'disabled' | 'expired'

/** A key that is taken, or why there is none. */
export type FoundKey = { readonly key: Key } | { readonly refusal: Refusal }

export interface KeySettings { readonly name: string, readonly role: Role, readonly expires_ms: number | null }

export type KeyPatch = { readonly [K in 'role' | 'enabled' | 'expires_ms']?: Key[K] | undefined }

/** Bounds what a list and a search for the last admin read. */
const MAX_KEYS = 1_000

/** The API keys of the configuration and of control.db. Where both have one of a name or secret, the configuration's holds. */
export function openKeys ({ api }: Pick<Config, 'api'>, store: KeyStore) {
  const configured = api.keys.map(({ name, key, role }): Key => ({ name, role, hash: hashSecret(key), origin: 'configuration', enabled: true, created_ms: null, expires_ms: null }))
  const configuredByHash = new Map(configured.map(key => [key.hash, key]))
  /** Last uses that are still to be written down, by hash. */
  let used = new Map<string, { readonly key: Key, readonly last_used_ms: number }>()

  const isHidden = ({ name, hash }: StoredKey) => configuredByHash.has(hash) || configured.some(key => key.name === name)

  function list (): Key[] {
    return [...configured, ...store.all().filter(key => !isHidden(key)).map((key): Key => ({ ...key, origin: 'added' }))].sort((a, b) => a.name < b.name ? -1 : 1)
  }

  function byHash (hash: string, nowMs: number): FoundKey {
    const added = configuredByHash.has(hash) ? undefined : store.find(hash)
    const key = configuredByHash.get(hash) ?? (added === undefined || isHidden(added) ? undefined : { ...added, origin: 'added' as const })
    if (key === undefined) return { refusal: 'unknown' }
    if (!key.enabled) return { refusal: 'disabled' }
    return isOver(key, nowMs) ? { refusal: 'expired' } : { key }
  }

  function refuseConfigured (name: string): void {
    const place = configured.findIndex(key => key.name === name)
    if (place >= 0) throw new AppError('conflict', `the configuration sets the key ${quote(name)}: api.keys.${place}`)
  }

  function getAdded (name: string): StoredKey {
    refuseConfigured(name)
    return store.all().find(key => key.name === name) ?? throwUnknown(name)
  }

  /** Throws AppError `conflict` where nobody could change keys once this one can't. */
  function keepAnAdmin (before: StoredKey, nowMs: number): void {
    const isAdmin = (key: StoredKey | Key) => key.role === 'admin' && key.enabled && !isOver(key, nowMs)
    if (!isAdmin(before) || list().some(key => key.name !== before.name && isAdmin(key))) return
    throw new AppError('conflict', `${quote(before.name)} is the last key with the role admin: without it nobody could add another`)
  }

  return {
    /**
     * The key with this secret. It is looked up by SHA-256 of what was sent: how long that takes depends on a hash that nobody can steer towards a stored
     * one, and says nothing of how much of a guess is right. Secrets are random and long, so that the hash needs no salt and no slowness either.
     */
    find: (secret: string, nowMs: number): FoundKey => byHash(hashSecret(secret), nowMs),
    byHash,
    /** Says that the key was used. It is written down by `flush`. */
    used (key: Key, nowMs: number): void { used.set(key.hash, { key, last_used_ms: nowMs }) },
    /** Writes down when keys were used; what can't be written is kept, and the error is thrown. */
    flush (): void {
      if (used.size === 0) return
      store.putUses([...used.values()].map(({ key: { hash, origin }, last_used_ms: lastUsedMs }) => ({ hash, last_used_ms: lastUsedMs, configured: origin === 'configuration' })))
      used = new Map()
    },
    /** When each was last used, by hash; null: never. */
    readUses (): (hash: string) => number | null {
      const written = store.uses()
      return hash => used.get(hash)?.last_used_ms ?? written.get(hash) ?? null
    },
    /** By name. */
    list,
    /** Throws AppError `not_found`. */
    get: (name: string): Key => list().find(key => key.name === name) ?? throwUnknown(name),
    /** Names of added keys that are not taken, since the configuration has that name or secret. */
    hidden: (): string[] => store.all().filter(isHidden).map(({ name }) => name),
    /** Adds a key and returns its secret. Throws AppError `conflict` where the name is taken or there are too many. */
    add ({ name, role, expires_ms: expiresMs }: KeySettings, nowMs: number): string {
      const secret = newSecret()
      store.write(() => {
        refuseConfigured(name)
        const all = store.all()
        if (all.some(key => key.name === name)) throw new AppError('conflict', `there is a key ${quote(name)} already`)
        if (all.length >= MAX_KEYS) throw new AppError('conflict', `there are ${MAX_KEYS} keys already`)
        store.add({ name, role, hash: hashSecret(secret), enabled: true, created_ms: nowMs, expires_ms: expiresMs })
      })
      return secret
    },
    /** Changes a key. Throws AppError `not_found`, and `conflict` where the configuration sets it or no admin would be left. */
    patch (name: string, patch: KeyPatch, nowMs: number): { readonly before: StoredKey, readonly after: StoredKey } {
      return store.write(() => {
        const before = getAdded(name)
        const after = { ...before, role: patch.role ?? before.role, enabled: patch.enabled ?? before.enabled, expires_ms: patch.expires_ms === undefined ? before.expires_ms : patch.expires_ms }
        if (after.role !== 'admin' || !after.enabled || (after.expires_ms ?? Infinity) < (before.expires_ms ?? Infinity)) keepAnAdmin(before, nowMs)
        store.update(after)
        return { before, after }
      })
    },
    /** Removes a key; its sessions end. Throws AppError `not_found`, and `conflict` where the configuration sets it or no admin would be left. */
    revoke (name: string, nowMs: number): StoredKey {
      return store.write(() => {
        const key = getAdded(name)
        keepAnAdmin(key, nowMs)
        store.remove(key.hash)
        used.delete(key.hash)
        return key
      })
    },
    /** Makes an admin key where there is no key at all, and returns its secret; else null. */
    makeFirst (nowMs: number): string | null {
      return store.write(() => {
        if (configured.length > 0 || store.all().length > 0) return null
        const secret = newSecret()
        store.add({ name: 'first', hash: hashSecret(secret), role: 'admin', enabled: true, created_ms: nowMs, expires_ms: null })
        return secret
      })
    },
  }
}
export type Keys = ReturnType<typeof openKeys>

function isOver ({ expires_ms: expiresMs }: Pick<Key, 'expires_ms'>, nowMs: number): boolean {
  return expiresMs !== null && expiresMs <= nowMs
}

function newSecret (): string {
  return randomBytes(24).toString('base64url')
}

function throwUnknown (name: string): never {
  throw new AppError('not_found', `there is no key ${quote(name)}`)
}
