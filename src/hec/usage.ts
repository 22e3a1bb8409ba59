import type { CredentialStore, TokenUse } from '../store/control/credentials.js'
import type { HashedToken } from './token.js'

/** A token that nobody has used. */
const NO_USE = { requests: 0, events: 0, last_used_ms: null }

interface Pending { readonly token: HashedToken, requests: number, events: number, last_used_ms: number }

/** Counts what tokens are used for. A request costs an increment here; `flush` writes down what came together since the last. */
export function openTokenUsage (store: CredentialStore) {
  let pending = new Map<string, Pending>()

  function pendingOf (token: HashedToken, nowMs: number): Pending {
    let use = pending.get(token.hash)
    if (use === undefined) pending.set(token.hash, use = { token, requests: 0, events: 0, last_used_ms: nowMs })
    use.last_used_ms = nowMs
    return use
  }

  return {
    /** A request that the token let in, whatever becomes of it. */
    letIn (token: HashedToken, nowMs: number): void { pendingOf(token, nowMs).requests++ },
    /** Events that came with the token and are stored. */
    stored (token: HashedToken, events: number, nowMs: number): void { pendingOf(token, nowMs).events += events },
    /** Writes down what is counted; what can't be written stays counted here, and the error is thrown. */
    flush (): void {
      if (pending.size === 0) return
      store.addUse([...pending.values()].map(({ token: { hash, origin }, ...use }) => ({ ...use, hash, configured: origin === 'configuration' ? 1 : 0 })))
      pending = new Map()
    },
    /** What is written down and what is still to be, together, by a token's hash. */
    read (): (hash: string) => Omit<TokenUse, 'hash' | 'last_used_ms'> & { readonly last_used_ms: number | null } {
      const written = new Map(store.uses().map(use => [use.hash, use]))
      return hash => {
        const [old, recent] = [written.get(hash) ?? NO_USE, pending.get(hash) ?? NO_USE]
        return { requests: old.requests + recent.requests, events: old.events + recent.events, last_used_ms: recent.last_used_ms ?? old.last_used_ms }
      }
    },
  }
}
export type TokenUsage = ReturnType<typeof openTokenUsage>
