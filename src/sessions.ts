import { randomBytes } from 'node:crypto'
import { hashSecret } from './hec/token.js'
import type { Key, Keys } from './keys.js'
import type { SessionStore } from './store/control/sessions.js'

const HOUR_MS = 3_600_000

/** A session ends that long after it began, and when it was not used for that long. */
export const SESSION_MS = 12 * HOUR_MS
export const SESSION_IDLE_MS = 4 * HOUR_MS

/** A further session of a key ends its oldest. */
export const MAX_SESSIONS_PER_KEY = 20

export interface Session { readonly key: Key, readonly expiresMs: number }

/** Sessions of browsers. Each is as good as the key that it was begun with, as long as that is taken; its id is a secret of 256 random bits. */
export function openSessions ({ keys, store }: { readonly keys: Keys, readonly store: SessionStore }) {
  /** Last uses that are still to be written down, by hash. */
  let used = new Map<string, number>()
  return {
    /** Begins a session; its id is for the browser alone. */
    begin (key: Key, nowMs: number): Session & { readonly id: string } {
      const id = randomBytes(32).toString('base64url')
      const expiresMs = Math.min(nowMs + SESSION_MS, key.expires_ms ?? Infinity)
      store.use(used) // so that none in use is taken for idle
      used = new Map()
      store.add({ hash: hashSecret(id), key_hash: key.hash, created_ms: nowMs, expires_ms: expiresMs, last_used_ms: nowMs }, { atMost: MAX_SESSIONS_PER_KEY, idleSinceMs: nowMs - SESSION_IDLE_MS })
      keys.used(key, nowMs)
      return { id, key, expiresMs }
    },
    /** The session with this id, which is used by that; null where it has ended, or its key is not taken any more. Looked up by hash, as keys are. */
    use (id: string, nowMs: number): Session | null {
      const session = store.find(hashSecret(id))
      if (session === undefined || session.expires_ms <= nowMs || (used.get(session.hash) ?? session.last_used_ms) + SESSION_IDLE_MS <= nowMs) return null
      const found = keys.byHash(session.key_hash, nowMs)
      if (!('key' in found)) return null
      used.set(session.hash, nowMs)
      keys.used(found.key, nowMs)
      return { key: found.key, expiresMs: session.expires_ms }
    },
    end (id: string): void {
      store.remove(hashSecret(id))
    },
    /** Writes down when sessions were used; what can't be written is kept, and the error is thrown. */
    flush (): void {
      if (used.size === 0) return
      store.use(used)
      used = new Map()
    },
  }
}
export type Sessions = ReturnType<typeof openSessions>
