import { z } from 'zod'

export const Text = z.string().min(1)
const Score = z.number().int().min(1).max(100)

/**
 * Types of security_content (spl-semantics.md section 10). What a TTP finds is to be looked at, an Anomaly only adds to the risk
 * of its objects; both are findings here. A Hunting search gives rows and no more.
 */
export const DetectionType = z.enum(['TTP', 'Anomaly', 'Hunting', 'Correlation'])
export type DetectionType = z.infer<typeof DetectionType>

export const DetectionStatus = z.enum(['production', 'experimental', 'deprecated'])

const RISK_OBJECT_TYPES = ['system', 'user', 'other'] as const

/** Source: contentctl's rba.py. */
export const THREAT_OBJECT_TYPES = [
  'certificate_common_name', 'certificate_organization', 'certificate_serial', 'certificate_unit', 'command', 'domain', 'email_address',
  'email_subject', 'file_hash', 'file_name', 'file_path', 'http_user_agent', 'ip_address', 'process', 'process_name', 'parent_process',
  'parent_process_name', 'process_hash', 'registry_path', 'registry_value_name', 'registry_value_text', 'service', 'signature', 'system',
  'tls_hash', 'url',
] as const

/** `message` is there where it is another than that of the risk block. */
export const RiskObject = z.object({ field: Text, type: z.enum(RISK_OBJECT_TYPES), score: Score, message: Text.optional() })
export type RiskObject = z.infer<typeof RiskObject>
export const ThreatObject = z.object({ field: Text, type: z.enum(THREAT_OBJECT_TYPES) })
export type ThreatObject = z.infer<typeof ThreatObject>

/** The risk block: what is said of a row, and of whom. */
export const Risk = z.object({
  message: Text,
  risk_objects: z.array(RiskObject),
  threat_objects: z.array(ThreatObject),
})
export type Risk = z.infer<typeof Risk>

/**
 * After a finding fired, others with the same values of these fields are throttled for a period that is counted from its slot: Splunk's
 * alert.suppress (spl-semantics.md R96, R98).
 */
export const Throttling = z.object({
  fields: z.array(Text).describe('none: any finding of the detection'),
  period_seconds: z.number().int(),
  mode: z.enum(['digest', 'result']).describe('digest: what a slot gives fires together; result: each row by itself, one after the other'),
})
export type Throttling = z.infer<typeof Throttling>

/** A search with `$field$` tokens for the values of a row, and `%original_detection_search%` for the detection's own. Source: contentctl's drilldown.py. */
export const DrilldownSearch = z.object({
  name: z.string().max(1_000),
  search: Text.max(100_000),
  earliest_offset: z.coerce.string().max(100).nullish().transform(offset => offset ?? null),
  latest_offset: z.coerce.string().max(100).nullish().transform(offset => offset ?? null),
})
export type DrilldownSearch = z.infer<typeof DrilldownSearch>

/** When a detection runs and over which stretch, as Splunk writes them. */
export const Schedule = z.object({
  cron: z.string().describe('five fields'),
  earliest: z.string().describe('time modifier, counted from the slot'),
  latest: z.string(),
})
export type Schedule = z.infer<typeof Schedule>

/** As ESCU schedules every detection (spl-semantics.md section 8). */
export const DEFAULT_SCHEDULE: Schedule = { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }

/** What a detection's author writes, whatever the file's format. */
export interface Detection {
  /** Of a YAML file its name without ending, of a stanza its name as a file's. */
  readonly id: string
  /** Null where a stanza names none. */
  readonly uuid: string | null
  readonly name: string
  readonly version: number
  readonly type: DetectionType
  readonly status: z.infer<typeof DetectionStatus>
  readonly description: string
  readonly search: string
  readonly enabled_by_default: boolean
  /** What the file says of its schedule; the rest is DEFAULT_SCHEDULE. */
  readonly schedule: Partial<Schedule>
  readonly risk: Risk | null
  /** Null where every row gives a finding that fires. */
  readonly throttling: Throttling | null
  /** What an analyst may search for next: Splunk's drilldown_searches. They decide nothing of what a detection gives. */
  readonly drilldown_searches: readonly DrilldownSearch[]
  readonly analytic_story: readonly string[]
  readonly mitre_attack: readonly string[]
}

/** Everything that decides what a detection gives. Its hash is its name in the ledger. */
export const Definition = z.object({
  detection_id: z.string(),
  name: z.string(),
  version: z.number().int(),
  /** Definitions that were kept before they had types gave findings. */
  type: DetectionType.default('Anomaly'),
  /** Macros expanded: a later change of a macro is another definition. */
  search: z.string(),
  /** What the data models are that the search reads. */
  data_models: z.record(z.string(), z.object({ sourcetypes: z.array(z.string()), fields: z.array(z.string()) })).default({}),
  /** Hashes of the lookups that the search names. */
  lookups: z.record(z.string(), z.string()).default({}),
  schedule: Schedule,
  time_zone: z.string(),
  risk: Risk.nullable(),
  mitre_attack: z.array(z.string()),
  throttling: Throttling.nullable().default(null),
})
export type Definition = z.infer<typeof Definition>
