import type { NotifyTarget } from '../config.js'
import type { Finding } from '../finding.js'
import type { NoticeKind } from '../store/control/outbox.js'

/** What became of a finding → what is told of it. Throttled ones have not fired. */
const TOLD: Readonly<Partial<Record<string, NoticeKind>>> = { created: 'created', revised: 'revised', gone: 'gone', ended: 'gone' }

/** What is told of a finding after what became of it; null: nothing, for one that was throttled has not fired, and neither has what is new of it. */
export function toNoticeKind (finding: Finding, what: string): NoticeKind | null {
  const isMuted = finding.throttled_by !== null || finding.suppressed_by !== null
  return isMuted ? null : TOLD[what] ?? null
}

/** Whether a target is told that of a finding. */
export function passes (finding: Finding, what: NoticeKind, filter: NotifyTarget['filter']): boolean {
  const has = <T>(list: readonly T[], value: T) => list.length === 0 || list.includes(value)
  return filter.what.some(one => one === what) && finding.risk.score >= filter.min_score && has(filter.detections, finding.detection.id) && has(filter.severity, finding.severity) &&
    has(filter.statuses, finding.status) && (filter.backfills || what !== 'created' || finding.backfill === null)
}
