import { z } from 'zod'

const Text = z.string().min(1)
const Score = z.number().int().min(1).max(100)

/** Types of security_content (spl-semantics.md section 10). */
export const DetectionType = z.enum(['TTP', 'Anomaly', 'Hunting', 'Correlation'])

const RiskObject = z.object({ field: Text, type: z.enum(['system', 'user', 'other']), score: Score })
const ThreatObject = z.object({ field: Text, type: Text })

/** The risk block: what is said of a row, and of whom. */
export const Risk = z.object({
  message: Text,
  risk_objects: z.array(RiskObject),
  threat_objects: z.array(ThreatObject),
})
export type Risk = z.infer<typeof Risk>

/** A detection file as Splunk's security_content has it since 2025; keys that Hecate does not read are let be. */
export const DetectionFile = z.object({
  name: Text.max(500),
  id: z.uuid(),
  version: z.number().int().min(1),
  status: z.enum(['production', 'experimental', 'deprecated']).default('production'),
  type: DetectionType,
  description: z.string().default(''),
  search: Text,
  /** contentctl's own key: whether the detection is enabled where nobody says otherwise. */
  enabled_by_default: z.boolean().optional(),
  rba: z.object({ message: Text, risk_objects: z.array(RiskObject).min(1), threat_objects: z.array(ThreatObject).default([]) }).optional(),
  tags: z.object({
    analytic_story: z.array(Text).default([]),
    mitre_attack_id: z.array(Text).default([]),
  }).prefault({}),
})
export type DetectionFile = z.infer<typeof DetectionFile>

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
  /** The file's name without its ending. */
  readonly id: string
  readonly uuid: string
  readonly name: string
  readonly version: number
  readonly type: z.infer<typeof DetectionType>
  readonly status: DetectionFile['status']
  readonly description: string
  readonly search: string
  readonly enabled_by_default: boolean
  readonly risk: Risk | null
  readonly analytic_story: readonly string[]
  readonly mitre_attack: readonly string[]
}

/** Everything that decides what a detection gives. Its hash is its name in the ledger. */
export const Definition = z.object({
  detection_id: z.string(),
  name: z.string(),
  version: z.number().int(),
  /** Macros expanded: a later change of a macro is another definition. */
  search: z.string(),
  schedule: Schedule,
  time_zone: z.string(),
  risk: Risk.nullable(),
  mitre_attack: z.array(z.string()),
})
export type Definition = z.infer<typeof Definition>
