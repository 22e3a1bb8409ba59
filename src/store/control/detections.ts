import type Database from 'better-sqlite3'
import { Definition } from '../../detection.js'
import type { LookupTable } from '../../spl/lookup.js'

/** What the API has set for a detection; null where it has not. */
export interface DetectionSetting {
  readonly detection_id: string
  readonly enabled: 0 | 1 | null
  readonly cron: string | null
  readonly earliest: string | null
  readonly latest: string | null
}

/** Detections' settings, definitions and enabled periods in control.db. */
export function openDetectionStore (db: Database.Database) {
  const selectSetting = db.prepare<[string], DetectionSetting>('SELECT * FROM detection_setting WHERE detection_id = ?')
  const putSetting = db.prepare<DetectionSetting>(`
    INSERT INTO detection_setting (detection_id, enabled, cron, earliest, latest) VALUES (@detection_id, @enabled, @cron, @earliest, @latest)
    ON CONFLICT (detection_id) DO UPDATE SET enabled = @enabled, cron = @cron, earliest = @earliest, latest = @latest
  `)
  const putDefinition = db.prepare<[string, string, string, number]>(`
    INSERT INTO definition (hash, detection_id, body, created_ms) VALUES (?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING
  `)
  const selectDefinition = db.prepare<[string], string>('SELECT body FROM definition WHERE hash = ?').pluck()
  // uses the primary key of slot
  const selectLastDefinition = db.prepare<[string], string>(`
    SELECT body FROM slot JOIN definition ON hash = definition_hash WHERE slot.detection_id = ? ORDER BY slot_ms DESC LIMIT 1
  `).pluck()
  const putLookup = db.prepare<[string, string, number]>('INSERT INTO lookup (hash, body, created_ms) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING')
  const hasLookup = db.prepare<[string], number>('SELECT 1 FROM lookup WHERE hash = ?').pluck()
  const selectLookup = db.prepare<[string], string>('SELECT body FROM lookup WHERE hash = ?').pluck()
  const selectOpenPeriod = db.prepare<[string], number>('SELECT from_ms FROM enabled_period WHERE detection_id = ? AND to_ms IS NULL').pluck()
  const insertPeriod = db.prepare<[string, number]>(`
    INSERT INTO enabled_period (detection_id, from_ms) VALUES (?, ?)
    ON CONFLICT (detection_id, from_ms) DO UPDATE SET to_ms = NULL
  `)
  const closePeriod = db.prepare<[number, string]>('UPDATE enabled_period SET to_ms = ? WHERE detection_id = ? AND to_ms IS NULL')
  const selectOpen = db.prepare<[], string>('SELECT detection_id FROM enabled_period WHERE to_ms IS NULL').pluck()
  return {
    setting: (detectionId: string): DetectionSetting => {
      return selectSetting.get(detectionId) ?? { detection_id: detectionId, enabled: null, cron: null, earliest: null, latest: null }
    },
    set: (setting: DetectionSetting): void => { putSetting.run(setting) },
    /** Keeps a definition's text, once. */
    keepDefinition (hash: string, definition: Definition, nowMs: number): void {
      putDefinition.run(hash, definition.detection_id, JSON.stringify(definition), nowMs)
    },
    /** Keeps lookups that definitions name by their hashes, each once. */
    keepLookups: db.transaction((tables: readonly LookupTable[], nowMs: number) => {
      for (const table of tables) if (hasLookup.get(table.hash) === undefined) putLookup.run(table.hash, JSON.stringify(table), nowMs)
    }),
    lookup (hash: string): LookupTable {
      const body = selectLookup.get(hash)
      if (body === undefined) throw new Error(`lookup ${hash} is not in control.db`)
      return JSON.parse(body) as LookupTable // as keepLookups wrote it
    },
    definition (hash: string): Definition {
      const body = selectDefinition.get(hash)
      if (body === undefined) throw new Error(`definition ${hash} is not in control.db`)
      return Definition.parse(JSON.parse(body))
    },
    /** That of the newest slot. */
    lastDefinition (detectionId: string): Definition | undefined {
      const body = selectLastDefinition.get(detectionId)
      return body === undefined ? undefined : Definition.parse(JSON.parse(body))
    },
    /** Since when the detection is enabled, epoch milliseconds; null while it is disabled. */
    enabledSince: (detectionId: string): number | null => selectOpenPeriod.get(detectionId) ?? null,
    /** Opens or closes the enabled period at `nowMs`, where that changes something. */
    setEnabled: db.transaction((detectionId: string, enabled: boolean, nowMs: number) => {
      const isEnabled = selectOpenPeriod.get(detectionId) !== undefined
      if (enabled && !isEnabled) insertPeriod.run(detectionId, nowMs)
      if (!enabled && isEnabled) closePeriod.run(nowMs, detectionId)
    }),
    /** Closes the periods of detections that are no more. */
    disableOthers: db.transaction((detectionIds: readonly string[], nowMs: number) => {
      for (const id of selectOpen.all()) if (!detectionIds.includes(id)) closePeriod.run(nowMs, id)
    }),
  }
}
export type DetectionStore = ReturnType<typeof openDetectionStore>
