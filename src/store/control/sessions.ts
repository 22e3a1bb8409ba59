import type Database from 'better-sqlite3'

export interface StoredSession {
  readonly hash: string
  readonly key_hash: string
  readonly created_ms: number
  readonly expires_ms: number
  readonly last_used_ms: number
}

/** Browser sessions in control.db, by the hash of their cookie. */
export function openSessionStore (db: Database.Database) {
  const insert = db.prepare<StoredSession>('INSERT INTO session (hash, key_hash, created_ms, expires_ms, last_used_ms) VALUES (@hash, @key_hash, @created_ms, @expires_ms, @last_used_ms)')
  // There are few, as each key has a bounded number.
  const removeEnded = db.prepare<[nowMs: number, idleSinceMs: number]>('DELETE FROM session WHERE expires_ms <= ? OR last_used_ms <= ?')
  // uses session_key_hash_created_ms_idx
  const removeOldest = db.prepare<[keyHash: string, kept: number]>('DELETE FROM session WHERE hash IN (SELECT hash FROM session WHERE key_hash = ? ORDER BY created_ms DESC, hash LIMIT -1 OFFSET ?)')
  const remove = db.prepare<[hash: string]>('DELETE FROM session WHERE hash = ?')
  const select = db.prepare<[hash: string], StoredSession>('SELECT * FROM session WHERE hash = ?')
  const use = db.prepare<[lastUsedMs: number, hash: string]>('UPDATE session SET last_used_ms = ? WHERE hash = ?')
  return {
    /** Adds one; those that have ended go, and the oldest of the key where it has more than `atMost`. */
    add: db.transaction((session: StoredSession, { atMost, idleSinceMs }: { readonly atMost: number, readonly idleSinceMs: number }): void => {
      removeEnded.run(session.created_ms, idleSinceMs)
      removeOldest.run(session.key_hash, atMost - 1)
      insert.run(session)
    }),
    find: (hash: string): StoredSession | undefined => select.get(hash),
    remove: (hash: string): void => { remove.run(hash) },
    /** When sessions were last used, all or none; one that has ended meanwhile stays so. */
    use: db.transaction((uses: ReadonlyMap<string, number>): void => { for (const [hash, lastUsedMs] of uses) use.run(lastUsedMs, hash) }),
  }
}
export type SessionStore = ReturnType<typeof openSessionStore>
