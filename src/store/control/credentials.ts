import type Database from 'better-sqlite3'
import type { TokenSettings } from '../../config.js'

export interface StoredToken extends TokenSettings { readonly hash: string, readonly created_ms: number }

/** Requests that a token let in, and events that were stored of them. */
export interface TokenUse { readonly hash: string, readonly requests: number, readonly events: number, readonly last_used_ms: number }

interface TokenRow {
  readonly name: string
  readonly hash: string
  readonly index: string
  readonly indexes: string
  readonly sourcetype: string | null
  readonly source: string | null
  readonly host: string | null
  readonly ack: 0 | 1
  readonly enabled: 0 | 1
  readonly query_string_auth: 0 | 1
  readonly defaults: string
  readonly created_ms: number
}

/** HEC tokens in control.db: hashes only. Commands write it beside a running server. */
export function openCredentialStore (db: Database.Database) {
  const insertToken = db.prepare<TokenRow>(`
    INSERT INTO hec_token (name, hash, "index", indexes, sourcetype, source, host, ack, enabled, query_string_auth, defaults, created_ms)
    VALUES (@name, @hash, @index, @indexes, @sourcetype, @source, @host, @ack, @enabled, @query_string_auth, @defaults, @created_ms)
  `)
  const updateToken = db.prepare<TokenRow>(`
    UPDATE hec_token SET "index" = @index, indexes = @indexes, sourcetype = @sourcetype, source = @source, host = @host,
      ack = @ack, enabled = @enabled, query_string_auth = @query_string_auth, defaults = @defaults
    WHERE name = @name
  `)
  const deleteUse = db.prepare<[name: string]>('DELETE FROM hec_token_use WHERE hash = (SELECT hash FROM hec_token WHERE name = ?)')
  const deleteToken = db.prepare<[name: string]>('DELETE FROM hec_token WHERE name = ?')
  const selectTokens = db.prepare<[], TokenRow>('SELECT * FROM hec_token ORDER BY name')
  // A token that another process has just revoked must not leave its use behind.
  const addUse = db.prepare<TokenUse & { configured: 0 | 1 }>(`
    INSERT INTO hec_token_use (hash, last_used_ms, requests, events)
    SELECT @hash, @last_used_ms, @requests, @events WHERE @configured OR EXISTS (SELECT 1 FROM hec_token WHERE hash = @hash)
    ON CONFLICT (hash) DO UPDATE SET last_used_ms = excluded.last_used_ms, requests = requests + excluded.requests, events = events + excluded.events
  `)
  const selectUses = db.prepare<[], TokenUse>('SELECT * FROM hec_token_use')
  const dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck()
  return {
    /** Differs from what it was when another connection, of this process or another, has committed since. */
    version: (): number => dataVersion.get()!,
    tokens: (): StoredToken[] => selectTokens.all().map(toToken),
    /** Runs `change` in a transaction in which nobody else writes: what it reads first is still so when it writes. */
    write: <T>(change: () => T): T => db.transaction(change).immediate(),
    addToken: (token: StoredToken): void => { insertToken.run(toRow(token)) },
    /** Changes all but name, hash and time of creation. */
    updateToken: (token: StoredToken): void => { updateToken.run(toRow(token)) },
    /** Removes a token with its use. */
    removeToken: db.transaction((name: string) => {
      deleteUse.run(name)
      deleteToken.run(name)
    }),
    uses: (): TokenUse[] => selectUses.all(),
    /** Adds to what is counted already, all or none. `configured`: the token is none of this database. */
    addUse: db.transaction((uses: readonly (TokenUse & { configured: 0 | 1 })[]) => { for (const use of uses) addUse.run(use) }),
  }
}
export type CredentialStore = ReturnType<typeof openCredentialStore>

function toRow (token: StoredToken): TokenRow {
  return {
    ...token,
    indexes: JSON.stringify(token.indexes),
    sourcetype: token.sourcetype ?? null,
    source: token.source ?? null,
    host: token.host ?? null,
    ack: token.ack ? 1 : 0,
    enabled: token.enabled ? 1 : 0,
    query_string_auth: token.query_string_auth ? 1 : 0,
    defaults: JSON.stringify(token.defaults),
  }
}

function toToken (row: TokenRow): StoredToken {
  return {
    ...row,
    indexes: JSON.parse(row.indexes) as string[],
    sourcetype: row.sourcetype ?? undefined,
    source: row.source ?? undefined,
    host: row.host ?? undefined,
    ack: row.ack === 1,
    enabled: row.enabled === 1,
    query_string_auth: row.query_string_auth === 1,
    defaults: JSON.parse(row.defaults) as Record<string, string>,
  }
}
