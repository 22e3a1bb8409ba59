import type Database from 'better-sqlite3'

/** As it stands. What each column is: migrations/control/0011_workflow.sql. */
export interface Suppression extends SuppressionSettings {
  readonly number: number
  readonly id: string
  readonly created_by: string
  readonly created_ms: number
  readonly updated_ms: number
  readonly deleted_ms: number | null
  readonly hit_count: number
  readonly last_hit_ms: number | null
}

/** What people say of a suppression. */
export interface SuppressionSettings {
  /** Null: all. */
  readonly detection_id: string | null
  readonly condition: string
  readonly reason: string
  readonly enabled: 0 | 1
  readonly expires_ms: number
}

export const SUPPRESSION_STATES = ['active', 'disabled', 'expired', 'deleted'] as const
export type SuppressionState = typeof SUPPRESSION_STATES[number]

export interface SuppressionFilter { readonly state?: SuppressionState | undefined, readonly detection?: string | undefined, readonly nowMs: number }

/** Who did something with a suppression, and when. */
export interface SuppressionDeed { readonly by: string, readonly atMs: number }

export interface SuppressionEntry extends SuppressionDeed {
  readonly number: number
  /** What has changed; null where it was made. */
  readonly before: Partial<SuppressionSettings> | null
  /** Null where it was deleted. */
  readonly after: Partial<SuppressionSettings> | null
}

interface EntryRow { readonly number: number, readonly at_ms: number, readonly made_by: string, readonly before: string | null, readonly after: string | null }

/** What findings are to be hidden by, in control.db, with what was done with it. */
export function openSuppressionStore (db: Database.Database) {
  const insert = db.prepare(`
    INSERT INTO suppression (id, detection_id, condition, reason, enabled, expires_ms, created_by, created_ms, updated_ms)
    VALUES (@id, @detection_id, @condition, @reason, @enabled, @expires_ms, @by, @atMs, @atMs)
  `)
  const update = db.prepare(`
    UPDATE suppression SET detection_id = @detection_id, condition = @condition, reason = @reason, enabled = @enabled, expires_ms = @expires_ms, updated_ms = @atMs WHERE id = @id
  `)
  const remove = db.prepare('UPDATE suppression SET deleted_ms = @atMs, updated_ms = @atMs WHERE id = @id')
  const hit = db.prepare('UPDATE suppression SET hit_count = hit_count + 1, last_hit_ms = @nowMs WHERE id = @id')
  const select = db.prepare<[string], Suppression>('SELECT * FROM suppression WHERE id = ?')
  // uses suppression_kept_idx; there are few
  const selectKept = db.prepare<[], Suppression>('SELECT * FROM suppression WHERE deleted_ms IS NULL ORDER BY number')
  const state = "CASE WHEN deleted_ms IS NOT NULL THEN 'deleted' WHEN expires_ms <= @nowMs THEN 'expired' WHEN enabled = 0 THEN 'disabled' ELSE 'active' END"
  const where = `iif(@state IS NULL, deleted_ms IS NULL, ${state} = @state) AND (@detection IS NULL OR detection_id = @detection)`
  const selectPage = db.prepare<object, Suppression>(`SELECT * FROM suppression WHERE number < @before AND ${where} ORDER BY number DESC LIMIT @limit`)
  const countAll = db.prepare<object, number>(`SELECT count(*) FROM suppression WHERE ${where}`).pluck()
  const insertEntry = db.prepare(`
    INSERT INTO suppression_history (suppression_id, number, at_ms, made_by, before, after)
    SELECT @id, coalesce(max(number), 0) + 1, @atMs, @by, @before, @after FROM suppression_history WHERE suppression_id = @id
  `)
  const selectEntries = db.prepare<object, EntryRow>(`
    SELECT number, at_ms, made_by, before, after FROM suppression_history WHERE suppression_id = @id AND number < @before ORDER BY number DESC LIMIT @limit
  `)

  const addEntry = (id: string, before: object | null, after: object | null, deed: SuppressionDeed): void => {
    insertEntry.run({ id, ...deed, before: before === null ? null : JSON.stringify(before), after: after === null ? null : JSON.stringify(after) })
  }

  return {
    add: db.transaction((id: string, settings: SuppressionSettings, deed: SuppressionDeed): void => {
      insert.run({ id, ...settings, ...deed })
      addEntry(id, null, settings, deed)
    }),
    /** Writes down what differs; nothing where nothing does. */
    change: db.transaction((before: Suppression, after: SuppressionSettings, deed: SuppressionDeed): void => {
      const names = (['detection_id', 'condition', 'reason', 'enabled', 'expires_ms'] as const).filter(name => before[name] !== after[name])
      if (names.length === 0) return
      update.run({ id: before.id, ...after, ...deed })
      const pick = (settings: SuppressionSettings) => Object.fromEntries(names.map(name => [name, settings[name]]))
      addEntry(before.id, pick(before), pick(after), deed)
    }),
    /** It is left out of lists from then on, and hides no more. */
    remove: db.transaction(({ id, detection_id, condition, reason, enabled, expires_ms }: Suppression, deed: SuppressionDeed): void => {
      remove.run({ id, atMs: deed.atMs })
      addEntry(id, { detection_id, condition, reason, enabled, expires_ms }, null, deed)
    }),
    /** That it has hidden a finding, in the transaction that writes the finding. */
    hit: (id: string, nowMs: number): void => { hit.run({ id, nowMs }) },
    get: (id: string): Suppression | undefined => select.get(id),
    /** All that are not deleted, in the order of making. */
    kept: (): Suppression[] => selectKept.all(),
    /** The last that was made first, those before a number where given; without a state all but those that are deleted. */
    list: ({ state, detection, nowMs }: SuppressionFilter, limit: number, before = Infinity): Suppression[] => selectPage.all({ state: state ?? null, detection: detection ?? null, nowMs, limit, before }),
    count: ({ state, detection, nowMs }: SuppressionFilter): number => countAll.get({ state: state ?? null, detection: detection ?? null, nowMs })!,
    /** Newest first, before the number of one where given. */
    history: (id: string, limit: number, before = Infinity): SuppressionEntry[] => selectEntries.all({ id, limit, before }).map(row => ({
      number: row.number, by: row.made_by, atMs: row.at_ms, before: parse(row.before), after: parse(row.after),
    })),
  }
}
export type SuppressionStore = ReturnType<typeof openSuppressionStore>

function parse (json: string | null): Partial<SuppressionSettings> | null {
  return json === null ? null : JSON.parse(json) as Partial<SuppressionSettings>
}

export function stateOf ({ deleted_ms: deletedMs, expires_ms: expiresMs, enabled }: Suppression, nowMs: number): SuppressionState {
  if (deletedMs !== null) return 'deleted'
  if (expiresMs <= nowMs) return 'expired'
  return enabled === 1 ? 'active' : 'disabled'
}
