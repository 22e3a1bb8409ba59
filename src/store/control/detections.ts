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

/** A definition of a detection was in force from a time on, up to another; null while it lasts. */
export interface EnabledPeriod {
  readonly detection_id: string
  readonly from_ms: number
  readonly to_ms: number | null
  /** Null of a period from before that was kept. */
  readonly definition_hash: string | null
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
  const selectOpenPeriod = db.prepare<[string], EnabledPeriod>('SELECT * FROM enabled_period WHERE detection_id = ? AND to_ms IS NULL')
  const insertPeriod = db.prepare<[string, number, string]>(`
    INSERT INTO enabled_period (detection_id, from_ms, definition_hash) VALUES (?, ?, ?)
    ON CONFLICT (detection_id, from_ms) DO UPDATE SET to_ms = NULL, definition_hash = excluded.definition_hash
  `)
  const closePeriod = db.prepare<[number, string]>('UPDATE enabled_period SET to_ms = max(from_ms, ?) WHERE detection_id = ? AND to_ms IS NULL')
  const namePeriod = db.prepare<[string, string]>('UPDATE enabled_period SET definition_hash = ? WHERE detection_id = ? AND to_ms IS NULL')
  const movePeriod = db.prepare<[number, string]>('UPDATE OR REPLACE enabled_period SET from_ms = ? WHERE detection_id = ? AND to_ms IS NULL')
  const selectOpen = db.prepare<[], EnabledPeriod>('SELECT * FROM enabled_period WHERE to_ms IS NULL ORDER BY detection_id')
  const selectPeriods = db.prepare<[string], EnabledPeriod>('SELECT * FROM enabled_period WHERE detection_id = ? ORDER BY from_ms')
  const selectEnabledIds = db.prepare<[], string>('SELECT DISTINCT detection_id FROM enabled_period ORDER BY detection_id').pluck()
  const selectHashes = db.prepare<[string], string>('SELECT hash FROM definition WHERE detection_id = ?').pluck()
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
    /** The period that lasts, of a detection that is enabled. */
    openPeriod: (detectionId: string): EnabledPeriod | undefined => selectOpenPeriod.get(detectionId),
    openPeriods: (): EnabledPeriod[] => selectOpen.all(),
    /** All periods, the oldest first. */
    periods: (detectionId: string): EnabledPeriod[] => selectPeriods.all(detectionId),
    /** Detections that ever were enabled, those too whose files are gone. */
    enabledIds: (): string[] => selectEnabledIds.all(),
    /** All definitions that a detection ever had, as far as they were kept. */
    definitionHashes: (detectionId: string): string[] => selectHashes.all(detectionId),
    /** From `nowMs` on a definition is in force, none where it is null; a period ends and one begins where that is a change. */
    setPeriod: db.transaction((detectionId: string, definitionHash: string | null, nowMs: number) => {
      const period = selectOpenPeriod.get(detectionId)
      if (period !== undefined && period.definition_hash === definitionHash) return
      if (period !== undefined && period.definition_hash === null && definitionHash !== null) {
        namePeriod.run(definitionHash, detectionId)
        return
      }
      if (period !== undefined) closePeriod.run(nowMs, detectionId)
      if (definitionHash !== null) insertPeriod.run(detectionId, nowMs, definitionHash)
    }),
    /** The period that lasts begins at another time. */
    movePeriod: (detectionId: string, fromMs: number): void => { movePeriod.run(fromMs, detectionId) },
  }
}
export type DetectionStore = ReturnType<typeof openDetectionStore>
