import { setImmediate } from 'node:timers/promises'
import type Database from 'better-sqlite3'
import type { Finding } from '../../finding.js'
import type { FindingPlace, Visibility } from './finding-lists.js'

/** So many findings of a risk object are counted, the newest. */
export const MAX_SEEN = 10_000

/** Entries that are read before others get their turn: up to 10 ms of the thread that takes events. */
const AT_A_TIME = 5_000

/** Findings of one detection that were closed, or not, alike. */
interface SeenGroup { readonly detection: string, readonly disposition: Finding['disposition'], readonly findings: number, readonly firstUs: number, readonly lastUs: number }

/** Findings that carry a risk object and whose time is before another one's. */
export interface SeenFindings {
  /** Of those that are shown; a pair of detection and disposition may come several times. */
  readonly groups: readonly SeenGroup[]
  readonly throttled: number
  readonly suppressed: number
  /** One of the numbers has met its bound. */
  readonly capped: boolean
}

/** What control.db knows of a risk object from before a time. */
export function openSeenFindings (db: Database.Database) {
  // By the primary key of finding_facet, and of each entry by finding_shown_idx, which has all the columns: rows of the table are large.
  const entries = `SELECT time_us, finding_id FROM finding_facet WHERE kind = 'risk_object' AND value = @value AND visibility = 'shown'
    AND (time_us, finding_id) < (@place_us, @place_id) ORDER BY time_us DESC, finding_id DESC`
  const selectGroups = db.prepare<object, SeenGroup>(`
    SELECT detection_id AS detection, disposition, count(*) AS findings, min(seen.time_us) AS firstUs, max(seen.time_us) AS lastUs
    FROM (${entries} LIMIT ${AT_A_TIME}) AS seen CROSS JOIN finding INDEXED BY finding_shown_idx
      ON finding.time_us = seen.time_us AND finding.id = seen.finding_id AND throttled_by IS NULL AND suppressed_by IS NULL
    GROUP BY detection_id, disposition
  `)
  const selectLast = db.prepare<object, FindingPlace>(`SELECT time_us AS timeUs, finding_id AS id FROM (${entries} LIMIT 1 OFFSET ${AT_A_TIME - 1})`)
  const selectNext = db.prepare<object, number>(`SELECT 1 FROM (${entries} LIMIT 1)`).pluck()
  // uses the primary key of finding_facet
  const countHidden = db.prepare<object, number>(`
    SELECT count(*) FROM (SELECT 1 FROM finding_facet WHERE kind = 'risk_object' AND value = @value AND visibility = @visibility AND time_us < @beforeUs LIMIT ${MAX_SEEN + 1})
  `).pluck()

  /** In pieces, between which others get their turn. */
  return async (value: string, beforeUs: number): Promise<SeenFindings> => {
    const groups: SeenGroup[] = []
    const behind = ({ timeUs, id }: FindingPlace) => ({ value, place_us: timeUs, place_id: id })
    let place: FindingPlace | undefined = { timeUs: beforeUs, id: '' } // before all findings of that time: no id is empty
    for (let read = 0; place !== undefined && read < MAX_SEEN; read += AT_A_TIME) {
      const from = behind(place)
      groups.push(...selectGroups.all(from))
      place = selectLast.get(from)
      await setImmediate()
    }
    const hidden = (visibility: Visibility) => countHidden.get({ value, visibility, beforeUs })!
    const [throttled, suppressed] = [hidden('throttled'), hidden('suppressed')]
    return {
      groups,
      throttled: Math.min(throttled, MAX_SEEN),
      suppressed: Math.min(suppressed, MAX_SEEN),
      capped: (place !== undefined && selectNext.get(behind(place)) !== undefined) || throttled > MAX_SEEN || suppressed > MAX_SEEN,
    }
  }
}
