/** What the API replies, from the schemas that the server validates by. Types alone: nothing of zod comes to the browser. */
import type { z } from 'zod'
import type { AuditEntryView } from '../../api/audit.js'
import type { BackfillRow as BackfillRowSchema, BackfillView } from '../../api/backfills.js'
import type { BulkReply as BulkReplySchema } from '../../api/finding-bulk.js'
import type { Coverage as CoverageSchema, CoverageGap as CoverageGapSchema, CoverageLine as CoverageLineSchema, CoverageSlot as CoverageSlotSchema } from '../../api/coverage.js'
import type { DetectionView, Preview as DetectionPreview, RunView, Slot } from '../../api/detections.js'
import type { DeliveryView, Target as TargetSchema, TestResult } from '../../api/deliveries.js'
import type { KeyView, MadeKey as MadeKeySchema } from '../../api/keys.js'
import type { LedgerSlot as LedgerSlotSchema } from '../../api/ledger.js'
import type { Problem as ProblemSchema } from '../../api/problem.js'
import type { EvidenceFinding as EvidenceFindingSchema, RiskObject as RiskObjectSchema, RiskPosting as RiskPostingSchema } from '../../api/risk.js'
import type { SentSample as SentSampleSchema } from '../../api/samples.js'
import type { SessionView } from '../../api/session.js'
import type { JobView } from '../../api/search-jobs.js'
import type { SearchExplanation as SearchExplanationSchema, SearchReply as SearchReplySchema } from '../../api/search.js'
import type { RouteView, Source as SourceSchema } from '../../api/sources.js'
import type { StoreView } from '../../api/store.js'
import type { Preview as SuppressionPreviewSchema, SuppressionHistoryEntry as SuppressionHistoryEntrySchema, SuppressionView } from '../../api/suppressions.js'
import type { MadeToken as MadeTokenSchema, TokenView } from '../../api/tokens.js'
import type { Disposition as DispositionSchema, FindingDetail as FindingDetailSchema, FindingHistoryEntry as HistoryEntrySchema, FindingStatus as FindingStatusSchema, Severity as SeveritySchema } from '../../finding.js'
export type { Role } from '../../config.js'
export type { Backup } from '../../store/backups.js'
export type { Event } from '../../event.js'
export type { ProcessNode, ProcessTree } from '../../process.js'
export type { Finding, FindingChange, FindingRevision, SeenBefore } from '../../finding.js'

/** A page of a list. */
export interface PageOf<T> {
  readonly items: readonly T[]
  readonly next_cursor: string | null
  readonly total?: number
  readonly earliest?: string
  readonly latest?: string
}

export type AuditEntry = z.infer<typeof AuditEntryView>
export type Backfill = z.infer<typeof BackfillView>
export type BackfillRow = z.infer<typeof BackfillRowSchema>
export type BulkReply = z.infer<typeof BulkReplySchema>
export type Coverage = z.infer<typeof CoverageSchema>
export type CoverageGap = z.infer<typeof CoverageGapSchema>
export type CoverageLine = z.infer<typeof CoverageLineSchema>
export type CoverageSlot = z.infer<typeof CoverageSlotSchema>
export type Delivery = z.infer<typeof DeliveryView>
export type Detection = z.infer<typeof DetectionView>
export type Disposition = z.infer<typeof DispositionSchema>
export type EvidenceFinding = z.infer<typeof EvidenceFindingSchema>
export type FindingDetail = z.infer<typeof FindingDetailSchema>
export type FindingStatus = z.infer<typeof FindingStatusSchema>
export type HistoryEntry = z.infer<typeof HistoryEntrySchema>
export type Key = KeyView
export type LedgerSlot = z.infer<typeof LedgerSlotSchema>
export type MadeKey = z.infer<typeof MadeKeySchema>
export type PreviewReply = Omit<z.infer<typeof DetectionPreview>, 'rows'> & { readonly rows: readonly Row[] }
export type Problem = z.infer<typeof ProblemSchema>
export type RiskObject = z.infer<typeof RiskObjectSchema>
export type RiskPosting = z.infer<typeof RiskPostingSchema>
export type Route = z.infer<typeof RouteView>
/** A row of a search: a multivalue is an array, a null field is left out. */
export type Row = Readonly<Record<string, unknown>>
export type Run = z.infer<typeof RunView>
export type SearchExplanation = z.infer<typeof SearchExplanationSchema>
export type SearchJob = z.infer<typeof JobView>
export type SearchReply = Omit<z.infer<typeof SearchReplySchema>, 'rows'> & { readonly rows: readonly Row[] }
export type SentSample = z.infer<typeof SentSampleSchema>
export type Severity = z.infer<typeof SeveritySchema>
export type SlotOf = z.infer<typeof Slot>
export type Source = z.infer<typeof SourceSchema>
export type Store = z.infer<typeof StoreView>
export type Suppression = z.infer<typeof SuppressionView>
export type SuppressionHistoryEntry = z.infer<typeof SuppressionHistoryEntrySchema>
export type SuppressionPreview = z.infer<typeof SuppressionPreviewSchema>
export type MadeToken = z.infer<typeof MadeTokenSchema>
export type Token = TokenView
export type Target = z.infer<typeof TargetSchema>
export type TargetTest = z.infer<typeof TestResult>

/** Who is signed in. */
export type Session = z.infer<typeof SessionView>
