import { z } from 'zod'
import { Event } from './event-schema.js'

/** What a person says of a finding. */
export const FindingStatus = z.enum(['new', 'in_progress', 'pending', 'resolved', 'closed'])
export const Disposition = z.enum(['true_positive', 'benign', 'false_positive', 'other'])
export const Severity = z.enum(['informational', 'low', 'medium', 'high', 'critical'])

export const RiskObjectValue = z.object({
  field: z.string(),
  type: z.string(),
  value: z.string(),
  score: z.number().int(),
  message: z.string().optional().describe('what is said of this object, where it is another than the message of the whole'),
})
export type RiskObjectValue = z.infer<typeof RiskObjectValue>

/** What a run says of one row. It stays as it is until a run from a newer position says otherwise. */
export const FindingBody = z.object({
  detection: z.object({ id: z.string(), name: z.string(), version: z.number().int() }),
  time: z.number().describe('epoch seconds: _time of the row, else the scheduled time'),
  result: z.unknown().describe('the row, as the search gives it'),
  result_cut: z.literal(true).optional().describe('the row was larger than 1 MB; the rest of it is not kept'),
  risk: z.object({
    score: z.number().int().describe('the highest of its risk objects, 0 without'),
    message: z.string().nullable(),
    objects: z.array(RiskObjectValue),
    threat_objects: z.array(z.object({ field: z.string(), type: z.string(), value: z.string() })),
  }),
  severity: Severity,
  mitre_attack: z.array(z.string()),
  window: z.object({ earliest: z.string(), latest: z.string() }),
})
export type FindingBody = z.infer<typeof FindingBody>

const CHANGE_REASONS = ['late_events', 'definition', 'again', 'arrival', 'evidence'] as const
/** Late events came; the detection is another than before; somebody asked for it; a silent source sends again; a risk rule has more findings to go by. */
export type ChangeReason = typeof CHANGE_REASONS[number]

/** What a revision says that the one before did not. */
export const FindingChange = z.object({
  reason: z.enum(CHANGE_REASONS),
  row: z.enum(['changed', 'gone', 'back']).describe('gone: the evaluation gave the row no more; back: it does again'),
  fields: z.array(z.object({
    field: z.string(),
    before: z.unknown().describe('of a field that has several values, or had, how many'),
    after: z.unknown(),
    added: z.array(z.string()).describe('values that the field had not; at most 20, of 200 characters'),
    removed: z.array(z.string()),
  })).describe('of the row, at most 50; risk_score is the score'),
  late: z.object({
    event_count: z.number().int().describe('events that came after the evaluation before; at most 100 are counted'),
    max_seconds: z.number().describe('the longest time from an event to its arrival'),
    nodes: z.array(z.string()).describe('that they came from; at most 5'),
  }).nullable(),
  text: z.string().describe('the same in one line'),
})
export type FindingChange = z.infer<typeof FindingChange>

/** A finding as the API shows it. */
export const Finding = FindingBody.extend({
  id: z.string(),
  status: FindingStatus,
  disposition: Disposition.nullable(),
  owner: z.string().nullable(),
  revision: z.number().int(),
  etag: z.string().describe('as in the header ETag, for If-Match: another one after each revision, change and comment'),
  created_at: z.string(),
  updated_at: z.string().describe('of the last revision or change'),
  run: z.string().describe('the run that gave this revision; empty where none did, but Hecate itself'),
  backfill: z.string().nullable().describe('the backfill that created it; null where a run of the schedule or by hand did'),
  throttled_by: z.string().nullable().describe('the finding that had fired with the same values of the detection\'s throttling fields, so that this one did not; null where it fired'),
  suppressed_by: z.string().nullable().describe('the suppression that hides it; null without'),
  gone_at: z.string().nullable().describe('when a later evaluation of its window gave the row no more, or a silent source sent again; null before'),
  change: FindingChange.nullable().describe('what this revision says that the one before did not; null of the first'),
}).meta({ id: 'Finding' })
export type Finding = z.infer<typeof Finding>

/** The events that a finding comes from, as far as they are kept. */
export const Evidence = z.object({
  event_count: z.number().int().describe('events that contribute, also those that are not kept'),
  approximate: z.boolean().describe('a BY field is computed by the search, so these may be too many'),
  events: z.array(Event).describe('at most 100, oldest first'),
})
export type Evidence = z.infer<typeof Evidence>

/** A search that runs as it is in POST /search. */
export const DrillDown = z.object({ search: z.string(), earliest: z.string(), latest: z.string() })
export type DrillDown = z.infer<typeof DrillDown>

export const FindingDetail = Finding.extend({
  evidence: Evidence.nullable(),
  drill_down: DrillDown.nullable().describe('lists the contributing events; null where there are none, where it would be longer than a search may be, and of findings that an older Hecate found'),
  drilldown_searches: z.array(DrillDown.extend({
    name: z.string(),
    missing: z.array(z.string()).describe('fields that the row lacks, or has several values of where one can stand: their $tokens$ stand there as they are'),
    error: z.string().nullable().describe('why Hecate cannot run it'),
  })).describe('those of the detection file, filled with the values of the row'),
}).meta({ id: 'FindingDetail' })

const CountSeen = z.number().int()
const Seen = z.number().nullable().describe('epoch seconds; null where there is none, or nothing was looked through')

/** What was known of a finding's risk objects and command lines before it. */
export const SeenBefore = z.object({
  risk_objects: z.array(RiskObjectValue.pick({ field: true, type: true, value: true }).extend({
    findings: CountSeen.describe('shown findings with a risk object of this value, whose time is before that of this finding; at most 10,000, the newest'),
    first: Seen,
    last: Seen,
    by_detection: z.array(z.object({
      detection: z.string(),
      findings: CountSeen,
      dispositions: z.object({ true_positive: CountSeen, benign: CountSeen, false_positive: CountSeen, other: CountSeen, none: CountSeen }).describe('none: nobody has said'),
    })).describe('most findings first; at most 20'),
    detections: CountSeen.describe('that have findings with it, also those that are not listed'),
    throttled: CountSeen.describe('findings with it that are throttled; not in the others'),
    suppressed: CountSeen.describe('findings with it that are suppressed; not in the others'),
    capped: z.boolean().describe('there are more than 10,000 shown, throttled or suppressed ones'),
  })).describe('at most 20'),
  commands: z.array(z.object({
    process: z.string().describe('the command line; cut after 4,000 characters, with … behind it'),
    process_name: z.string().nullable(),
    events: CountSeen.nullable().describe('stored events with it, before the window of the finding; null where nothing was looked through'),
    pods: CountSeen.nullable().describe('different names of pods in them'),
    nodes: CountSeen.nullable().describe('different names of nodes in them'),
    first: Seen,
    last: Seen,
  })).describe('different command lines of the kept events, in the order in which they came; at most 20'),
  searched: z.object({ earliest: z.string(), latest: z.string() }).nullable().describe('the event time that was looked through for command lines; null where there are none, or the time was over before'),
  complete: z.boolean().describe('all 30 days before the window were looked through; false: the time for that was over, and it is 7 days, one, or none'),
  events_gone: z.boolean().describe('some events of that time are stored no more or damaged, so that there may have been more'),
  truncated: z.boolean().describe('there are more risk objects or command lines, or more contributing events than are kept'),
}).meta({ id: 'SeenBefore' })
export type SeenBefore = z.infer<typeof SeenBefore>

export const FindingRevision = FindingBody.extend({
  revision: z.number().int(),
  created_at: z.string(),
  run: z.string(),
  change: FindingChange.nullable(),
}).meta({ id: 'FindingRevision' })
export type FindingRevision = z.infer<typeof FindingRevision>

/** What a person sets of a finding. */
export type Workflow = Pick<Finding, 'status' | 'disposition' | 'owner'>

const WorkflowPart = Finding.pick({ status: true, disposition: true, owner: true }).partial()

export const FindingHistoryEntry = z.object({
  kind: z.enum(['change', 'comment', 'revision']).describe('change: of status, disposition or owner, with a comment or without; revision: a run said something else, see /findings/{id}/revisions'),
  revision: z.number().int().describe('that the finding had, or that came'),
  at: z.string(),
  by: z.string().nullable().describe('name of the API key; null: Hecate itself'),
  before: WorkflowPart.nullable().describe('the members that changed'),
  after: WorkflowPart.nullable(),
  comment: z.string().nullable(),
  reason: z.string().nullable().describe('why Hecate changed something, or what a revision says in one line'),
}).meta({ id: 'FindingHistoryEntry' })
export type FindingHistoryEntry = z.infer<typeof FindingHistoryEntry>

/** Bounds of Splunk's severities (spl-semantics.md R106). */
export function severityOf (score: number): z.infer<typeof Severity> {
  if (score <= 20) return 'informational'
  if (score <= 40) return 'low'
  if (score <= 60) return 'medium'
  return score <= 80 ? 'high' : 'critical'
}

/** Whether two runs say the same of a row; which run's window it was in makes no difference. */
export function saysTheSame (a: FindingBody, b: FindingBody): boolean {
  const said = ({ time, result, risk, mitre_attack: techniques }: FindingBody) => JSON.stringify([time, result, risk, techniques])
  return said(a) === said(b)
}
