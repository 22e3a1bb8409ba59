import { z } from 'zod'
import type { Detection, Risk, RiskObject as EntityRisk, Schedule, ThreatObject as ThreatObjectType, Throttling } from '../detection.js'
import { DetectionStatus, DetectionType, DrilldownSearch, RiskObject, Text, THREAT_OBJECT_TYPES, ThreatObject } from '../detection.js'
import type { Place, Problem } from './place.js'
import type { ReadTest } from './tests.js'
import { readTests } from './tests.js'
import { fieldProblem, parsePeriod } from './throttling.js'
import { parseYamlText } from './yaml.js'

/** A detection as it was read: with errors it can't run. Warnings say what runs otherwise than it may seem to, notes what Hecate does its own way. */
export interface ReadDetection {
  /** Null where the text is no detection. */
  readonly detection: Detection | null
  /** The place in the file of an offset into the search; null where there is no search to run. */
  readonly placeInSearch: ((offset: number) => Place) | null
  /** Where what a problem is about stands in the file. */
  readonly places: Readonly<Partial<Record<'risk' | 'schedule' | 'throttling', Place>>>
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly notes: readonly Problem[]
  readonly tests: readonly ReadTest[]
}

const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform(items => items ?? [])

/** Those of the three generations are told apart by where the risk stands; keys that Hecate does not read are let be (spl-semantics.md section 10). */
const DetectionFile = z.object({
  name: Text.max(500),
  // Any UUID: published files have ones that RFC 9562 has no variant for.
  id: z.guid(),
  version: z.number().int().min(1),
  status: DetectionStatus.default('production'),
  type: DetectionType,
  description: z.string().default(''),
  search: Text,
  /** contentctl's own key: whether the detection is enabled where nobody says otherwise. */
  enabled_by_default: z.boolean().optional(),
  /** contentctl's own key. */
  deployment: z.object({
    scheduling: z.object({ cron_schedule: Text.optional(), earliest_time: Text.optional(), latest_time: Text.optional() }).optional(),
  }).optional(),
  /** Classification, since 2026 at the top. */
  analytic_story: list(Text),
  mitre_attack_id: list(Text),
  /** Risk since 2026. */
  finding: z.object({ title: Text, entity: RiskObject.omit({ message: true }) }).optional(),
  intermediate_findings: z.object({ entities: z.array(RiskObject.required()).min(1) }).optional(),
  threat_objects: list(ThreatObject),
  /** Read apart: what is wrong with one is no error of the detection. */
  drilldown_searches: z.array(z.unknown()).nullish().catch(null),
  /** Risk of 2025. */
  rba: z.object({ message: Text, risk_objects: z.array(RiskObject.omit({ message: true })).min(1), threat_objects: list(ThreatObject) }).optional(),
  tags: z.object({
    analytic_story: list(Text),
    mitre_attack_id: list(Text),
    throttling: z.object({ fields: z.array(Text).min(1), period: z.string() }).nullish(),
    /** Risk of 2024 and before. */
    message: Text.optional(),
    risk_score: z.number().optional(),
    impact: z.number().optional(),
    confidence: z.number().optional(),
    observable: list(z.object({ name: Text, type: Text, role: list(Text) })),
  }).nullish().transform(tags => tags ?? undefined),
  /** Read apart: what is wrong with them is no error of the detection. */
  tests: z.unknown().optional(),
})
type DetectionFile = z.infer<typeof DetectionFile>

/** A security_content detection. `id` is its file's name. */
export function readSecurityContent (id: string, text: string): ReadDetection {
  const { yaml, errors } = parseYamlText(text)
  if (yaml === null) return failed(errors)
  const parsed = DetectionFile.safeParse(withoutRiskOfCorrelation(yaml.content))
  if (!parsed.success) return failed(parsed.error.issues.map(({ path, message }) => ({ ...yaml.placeOf(path), message: `${path.join('.') || 'file'}: ${message}` })))
  const file = parsed.data
  const problem = (path: readonly PropertyKey[], message: string): Problem => ({ ...yaml.placeOf(path), message: `${path.join('.')}: ${message}` })
  const { risk, path: riskPath, errors: riskErrors, warnings } = readRisk(file, problem)
  const { throttling, errors: throttlingErrors } = readThrottling(file, problem)
  const refused = file.type === 'Correlation'
    ? [problem(['type'], 'Correlation is not supported: Hecate has no index of risk events for it to search')]
    : [...riskErrors, ...throttlingErrors]
  const { cron_schedule: cron, earliest_time: earliest, latest_time: latest } = file.deployment?.scheduling ?? {}
  const schedule: Partial<Schedule> = { ...(cron && { cron }), ...(earliest && { earliest }), ...(latest && { latest }) }
  const { tests, problems: testProblems } = readTests(file.tests, yaml.placeOf)
  return {
    detection: {
      id,
      uuid: file.id.toLowerCase(),
      name: file.name,
      version: file.version,
      type: file.type,
      status: file.status,
      description: file.description,
      search: file.search,
      enabled_by_default: file.enabled_by_default ?? isEnabledByType(file.type),
      schedule,
      risk,
      throttling,
      drilldown_searches: readDrilldowns(file.drilldown_searches),
      analytic_story: file.tags?.analytic_story.length ? file.tags.analytic_story : file.analytic_story,
      mitre_attack: file.tags?.mitre_attack_id.length ? file.tags.mitre_attack_id : file.mitre_attack_id,
    },
    placeInSearch: refused.length > 0 ? null : yaml.placeIn('search'),
    places: { risk: yaml.placeOf(riskPath), throttling: yaml.placeOf(['tags', 'throttling']), schedule: yaml.placeOf(['deployment', 'scheduling']) },
    errors: refused,
    warnings: [...warnings, ...testProblems],
    notes: [],
    tests,
  }
}

export function failed (errors: readonly Problem[]): ReadDetection {
  return { detection: null, placeInSearch: null, places: {}, errors, warnings: [], notes: [], tests: [] }
}

/** Those that can be read, as many as somebody may look at. */
export function readDrilldowns (given: readonly unknown[] | null | undefined): DrilldownSearch[] {
  return (given ?? []).slice(0, MAX_DRILLDOWNS).flatMap(one => DrilldownSearch.safeParse(one).data ?? [])
}

const MAX_DRILLDOWNS = 20

/** A Hunting search only gives rows, so it runs when somebody asks for it (spl-semantics.md section 10). */
export function isEnabledByType (type: DetectionType): boolean {
  return type === 'TTP' || type === 'Anomaly'
}

/** A Correlation is refused for what it is, not for its risk block: that has a score of 0. */
function withoutRiskOfCorrelation (content: unknown): unknown {
  if (typeof content !== 'object' || content === null || !('type' in content) || content.type !== 'Correlation') return content
  return { ...content, finding: undefined, intermediate_findings: undefined, rba: undefined, tags: undefined }
}

type ProblemAt = (path: readonly PropertyKey[], message: string) => Problem

interface ReadRisk { readonly risk: Risk | null, readonly path: readonly string[], readonly errors: readonly Problem[], readonly warnings: readonly Problem[] }

/** The newest risk block of a file; those of older generations beside it are let be, with a warning. */
function readRisk (file: DetectionFile, problem: ProblemAt): ReadRisk {
  const { type, finding, intermediate_findings: intermediate, rba, tags } = file
  const none = { risk: null, path: ['type'], errors: [], warnings: [] }
  if (type === 'Correlation') return none
  const keys = (['finding', 'intermediate_findings', 'rba'] as const).filter(key => file[key] !== undefined)
  if (type === 'Hunting') return { ...none, warnings: keys.map(key => problem([key], 'a Hunting search gives no findings, so this is not read')) }
  if (finding !== undefined && type !== 'TTP') return { ...none, errors: [problem(['finding'], 'only a TTP has a finding; what an Anomaly says is in intermediate_findings')] }
  if (finding !== undefined || intermediate !== undefined) {
    const entities = [...(finding === undefined ? [] : [{ ...finding.entity, message: finding.title }]), ...intermediate?.entities ?? []]
    return {
      risk: toRisk(entities, file.threat_objects),
      path: [keys[0]!],
      errors: [],
      warnings: rba === undefined ? [] : [problem(['rba'], `not read, since the file has ${keys[0]}`)],
    }
  }
  if (rba !== undefined) return { ...none, risk: rba, path: ['rba'] }
  if (tags?.message !== undefined) return readObservables(tags, tags.message, problem)
  return { ...none, warnings: [problem(['type'], `a ${type} without a risk block: its findings have score 0 and no risk object`)] }
}

/** As contentctl checks it (throttling.py, and detection_abstract.py for the fields); of a digest, since contentctl writes alert.digest_mode = 1. */
function readThrottling ({ search, tags }: DetectionFile, problem: ProblemAt): { throttling: Throttling | null, errors: Problem[] } {
  if (tags?.throttling == null) return { throttling: null, errors: [] }
  const { fields, period } = tags.throttling
  const path = ['tags', 'throttling']
  const seconds = /^[0-9]+[smh]$/.test(period) ? parsePeriod(period) : null
  const errors = fields.flatMap((field, i) => {
    const why = fieldProblem(field) ?? (search.includes(field) ? null : `${field} does not occur in the search`)
    return why === null ? [] : [problem([...path, 'fields', i], why)]
  })
  if (seconds === null) errors.push(problem([...path, 'period'], 'expected a period such as 3600s, 60m or 24h'))
  return { throttling: seconds === null ? null : { fields: [...new Set(fields)], period_seconds: seconds, mode: 'digest' }, errors }
}

/** The message of the first entity is that of the whole; others keep theirs where it differs. */
export function toRisk (entities: readonly Required<EntityRisk>[], threatObjects: readonly ThreatObjectType[]): Risk {
  const { message } = entities[0]!
  return {
    message,
    risk_objects: entities.map(({ message: own, ...entity }) => own === message ? entity : { ...entity, message: own }),
    threat_objects: [...threatObjects],
  }
}

/** Types of observables, in lower case. Source: contentctl 4, Detection_Abstract.risk. */
const VICTIMS: Readonly<Record<string, EntityRisk['type']>> = {
  user: 'user', username: 'user', 'user name': 'user', 'email address': 'user',
  device: 'system', endpoint: 'system', hostname: 'system', 'ip address': 'system',
}

/** As above, but for the types that the list of 2025 tells apart: `process_name` and `file_hash` were `process` and `file_name`. */
const ATTACKERS: Readonly<Record<string, ThreatObjectType['type']>> = {
  process: 'process', 'process name': 'process_name',
  file: 'file_name', 'file name': 'file_name', 'file hash': 'file_hash',
  'ip address': 'ip_address',
  url: 'url', 'url string': 'url',
}

/** Observables as contentctl 4 reads them: what is neither a victim nor an attacker of a known type is a risk object `other`. */
function readObservables ({ observable, risk_score: given, impact, confidence }: NonNullable<DetectionFile['tags']>, message: string, problem: ProblemAt): ReadRisk {
  const score = given ?? (impact === undefined || confidence === undefined ? undefined : Math.round(impact * confidence / 100))
  const path = ['tags', 'message']
  const refuse = (at: readonly string[], why: string): ReadRisk => ({ risk: null, path, errors: [problem(at, why)], warnings: [] })
  if (observable.length === 0) return refuse(path, 'expected tags.observable beside it: who is at risk')
  if (score === undefined) return refuse(path, 'expected tags.risk_score, or impact and confidence, beside it')
  if (!Number.isInteger(score) || score < 1 || score > 100) return refuse(['tags', given === undefined ? 'impact' : 'risk_score'], `expected a score from 1 to 100, found ${score}`)
  const risk: Risk = { message, risk_objects: [], threat_objects: [] }
  for (const { name: field, type, role } of observable) {
    const known = type.toLowerCase()
    const threat = role.includes('Attacker') ? threatType(known) : undefined
    if (threat !== undefined) risk.threat_objects.push({ field, type: threat })
    else risk.risk_objects.push({ field, type: (role.includes('Victim') && Object.hasOwn(VICTIMS, known) ? VICTIMS[known] : undefined) ?? 'other', score })
  }
  return { risk, path, errors: [], warnings: [] }
}

function threatType (known: string): ThreatObjectType['type'] | undefined {
  return Object.hasOwn(ATTACKERS, known) ? ATTACKERS[known] : THREAT_OBJECT_TYPES.find(one => one === known.replaceAll(' ', '_'))
}
