import type Database from 'better-sqlite3'

export interface StoredToken { readonly name: string, readonly hash: string, readonly index: string, readonly created_ms: number }
export interface StoredKey { readonly name: string, readonly hash: string, readonly role: string, readonly created_ms: number }

/** HEC tokens and API keys in control.db: hashes only. */
export function openCredentialStore (db: Database.Database) {
  const insertToken = db.prepare<StoredToken>('INSERT INTO hec_token (name, hash, "index", created_ms) VALUES (@name, @hash, @index, @created_ms)')
  const insertKey = db.prepare<StoredKey>('INSERT INTO api_key (name, hash, role, created_ms) VALUES (@name, @hash, @role, @created_ms)')
  const selectTokens = db.prepare<[], StoredToken>('SELECT * FROM hec_token ORDER BY name')
  const selectKeys = db.prepare<[], StoredKey>('SELECT * FROM api_key ORDER BY name')
  return {
    tokens: () => selectTokens.all(),
    keys: () => selectKeys.all(),
    /** Adds what is given, both or none. */
    addFirst: db.transaction((token: StoredToken | null, key: StoredKey | null) => {
      if (token !== null) insertToken.run(token)
      if (key !== null) insertKey.run(key)
    }),
  }
}
export type CredentialStore = ReturnType<typeof openCredentialStore>
