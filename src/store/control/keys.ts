import type Database from 'better-sqlite3'
import type { Role } from '../../config.js'

export interface StoredKey {
  readonly name: string
  readonly hash: string
  readonly role: Role
  readonly enabled: boolean
  readonly created_ms: number
  /** Null: never. */
  readonly expires_ms: number | null
}

type KeyRow = Omit<StoredKey, 'enabled'> & { readonly enabled: 0 | 1 }

/** When a key was last used. `configured`: the key is none of this database. */
export interface KeyUse { readonly hash: string, readonly last_used_ms: number, readonly configured: boolean }

/** API keys in control.db: hashes only. Commands write it beside a running server. */
export function openKeyStore (db: Database.Database) {
  const insert = db.prepare<KeyRow>('INSERT INTO api_key (name, hash, role, enabled, created_ms, expires_ms) VALUES (@name, @hash, @role, @enabled, @created_ms, @expires_ms)')
  const update = db.prepare<KeyRow>('UPDATE api_key SET role = @role, enabled = @enabled, expires_ms = @expires_ms WHERE name = @name')
  const deleteSessions = db.prepare<[hash: string]>('DELETE FROM session WHERE key_hash = ?')
  const deleteUse = db.prepare<[hash: string]>('DELETE FROM api_key_use WHERE hash = ?')
  const remove = db.prepare<[hash: string]>('DELETE FROM api_key WHERE hash = ?')
  const selectAll = db.prepare<[], KeyRow>('SELECT * FROM api_key ORDER BY name')
  const selectByHash = db.prepare<[hash: string], KeyRow>('SELECT * FROM api_key WHERE hash = ?')
  // A key that another process has just revoked must not leave its use behind.
  const putUse = db.prepare<Omit<KeyUse, 'configured'> & { configured: 0 | 1 }>(`
    INSERT INTO api_key_use (hash, last_used_ms)
    SELECT @hash, @last_used_ms WHERE @configured OR EXISTS (SELECT 1 FROM api_key WHERE hash = @hash)
    ON CONFLICT (hash) DO UPDATE SET last_used_ms = max(last_used_ms, excluded.last_used_ms)
  `)
  const selectUses = db.prepare<[], { hash: string, last_used_ms: number }>('SELECT * FROM api_key_use')
  return {
    /** By name. */
    all: (): StoredKey[] => selectAll.all().map(toKey),
    /** Asks the database each time, so that what a command has just written holds at once. */
    find (hash: string): StoredKey | undefined {
      const row = selectByHash.get(hash)
      return row === undefined ? undefined : toKey(row)
    },
    /** Runs `change` in a transaction in which nobody else writes: what it reads first is still so when it writes. */
    write: <T>(change: () => T): T => db.transaction(change).immediate(),
    add: (key: StoredKey): void => { insert.run(toRow(key)) },
    /** Changes all but name, hash and time of creation; a key that is not enabled loses its sessions. */
    update: db.transaction((key: StoredKey): void => {
      update.run(toRow(key))
      if (!key.enabled) deleteSessions.run(key.hash)
    }),
    /** Removes a key with its sessions and its use. */
    remove: db.transaction((hash: string): void => {
      deleteSessions.run(hash)
      deleteUse.run(hash)
      remove.run(hash)
    }),
    /** By hash; epoch milliseconds. */
    uses: (): Map<string, number> => new Map(selectUses.all().map(({ hash, last_used_ms: lastUsedMs }) => [hash, lastUsedMs])),
    /** All or none. */
    putUses: db.transaction((uses: readonly KeyUse[]): void => { for (const use of uses) putUse.run({ ...use, configured: use.configured ? 1 : 0 }) }),
  }
}
export type KeyStore = ReturnType<typeof openKeyStore>

const toRow = (key: StoredKey): KeyRow => ({ ...key, enabled: key.enabled ? 1 : 0 })
const toKey = (row: KeyRow): StoredKey => ({ ...row, enabled: row.enabled === 1 })
