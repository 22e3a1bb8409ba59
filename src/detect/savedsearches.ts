import { z } from 'zod'
import type { Detection, Risk, RiskObject as EntityRisk, ThreatObject as ThreatObjectType, Throttling } from '../detection.js'
import { DetectionType, RiskObject, ThreatObject } from '../detection.js'
import type { Setting, Stanza } from './conf.js'
import { parseConf } from './conf.js'
import type { Problem } from './place.js'
import type { ReadDetection } from './security-content.js'
import { failed, readDrilldowns, toRisk } from './security-content.js'
import { fieldProblem, parsePeriod } from './throttling.js'

/** A name as a file's name and a detection's id: lower case, with each blank, `-`, `.` and `/` as `_` (spl-semantics.md section 10). */
export function toId (name: string): string {
  return name.toLowerCase().replace(/[\s\-./]/g, '_')
}

/** What belongs to no stanza goes by the file's own name. */
export function readSavedSearches (fileName: string, text: string): { id: string, read: ReadDetection }[] {
  const { stanzas, errors } = parseConf(text)
  return [
    ...(errors.length === 0 ? [] : [{ id: toId(fileName), read: failed(errors) }]),
    ...stanzas.filter(isDetection).map(stanza => ({ id: toId(stanza.name), read: readStanza(stanza) })),
  ]
}

/** ESCU's baselines and response tasks stand in the same file. */
function isDetection ({ settings }: Stanza): boolean {
  return (settings.get('action.escu.search_type')?.value ?? 'detection') === 'detection'
}

const Annotations = z.object({
  type: DetectionType.optional().catch(undefined),
  analytic_story: z.array(z.string()).default([]),
  mitre_attack: z.array(z.string()).default([]),
})

/** Of contentctl since 4.4. */
const Metadata = z.object({ detection_id: z.guid().optional(), detection_version: z.coerce.number().int().min(1).default(1) })

/** Entries of `action.risk.param._risk` and of `action.notable.param._entities`. */
const ThreatEntry = z.object({ threat_object_field: ThreatObject.shape.field, threat_object_type: ThreatObject.shape.type })
const RiskEntry = z.object({
  risk_object_field: RiskObject.shape.field,
  risk_object_type: RiskObject.shape.type,
  risk_score: z.coerce.number().pipe(RiskObject.shape.score).optional(),
  /** Of ES 8: each risk object has its own message. */
  risk_message: RiskObject.shape.message,
})

const Score = z.coerce.number().int().min(0).max(100)

function readStanza ({ name, place, settings, errors: syntaxErrors, warnings: syntaxWarnings }: Stanza): ReadDetection {
  const errors: Problem[] = [...syntaxErrors]
  const warnings: Problem[] = [...syntaxWarnings]
  const text = (key: string): string => settings.get(key)?.value ?? ''
  const refuse = ({ key, placeIn }: Setting, why: string) => { errors.push({ ...placeIn(0), message: `${key}: ${why}` }) }

  function flag (key: string): boolean | undefined {
    const setting = settings.get(key)
    if (setting === undefined || setting.value === '') return undefined
    if (/^(?:1|t|true|y|yes)$/i.test(setting.value)) return true
    if (!/^(?:0|f|false|n|no)$/i.test(setting.value)) refuse(setting, 'expected 1 or 0, true or false')
    return false
  }

  function value<T extends z.ZodType> (key: string, schema: T, read: (text: string) => unknown = JSON.parse): z.output<T> | undefined {
    const setting = settings.get(key)
    if (setting === undefined || setting.value === '') return undefined
    try {
      return checked(setting, schema, read(setting.value))
    } catch {
      refuse(setting, 'is no JSON')
    }
    return undefined
  }

  function checked<T extends z.ZodType> (setting: Setting, schema: T, input: unknown, ...within: readonly number[]): z.output<T> | undefined {
    const parsed = schema.safeParse(input)
    if (parsed.success) return parsed.data
    for (const { path, message } of parsed.error.issues) refuse(setting, [...within, ...path, message].join(': '))
    return undefined
  }

  function readRisk (): Risk | null {
    const entities: Required<EntityRisk>[] = []
    const threatObjects: ThreatObjectType[] = []
    const score = value('action.risk.param._risk_score', Score, Number)
    const take = (key: string, messageKey: string) => {
      const entries = value(key, z.array(z.looseObject({}))) ?? []
      entries.forEach((entry, i) => {
        const setting = settings.get(key)!
        if ('threat_object_field' in entry) {
          const threat = checked(setting, ThreatEntry, entry, i)
          if (threat !== undefined) threatObjects.push({ field: threat.threat_object_field, type: threat.threat_object_type })
          return
        }
        const risk = checked(setting, RiskEntry, entry, i)
        if (risk === undefined) return
        const { risk_object_field: field, risk_object_type: type, risk_score: own = score, risk_message: message = text(messageKey) } = risk
        if (own === undefined || own < 1) refuse(setting, `${i}: ${field}: expected a risk_score from 1 to 100`)
        else if (message === '') refuse(setting, `${i}: ${field}: expected ${messageKey} beside it`)
        else entities.push({ field, type, score: own, message })
      })
    }
    if (notable ?? true) take('action.notable.param._entities', 'action.notable.param.rule_title')
    if (flag('action.risk') ?? true) take('action.risk.param._risk', 'action.risk.param._risk_message')
    return entities.length === 0 ? null : toRisk(entities, threatObjects)
  }

  /** Sources: savedsearches.conf.spec, "alert suppression settings", and spl-semantics.md R96. */
  function readThrottling (): Throttling | null {
    const suppress = settings.get('alert.suppress')
    if (suppress === undefined || flag('alert.suppress') !== true) return null
    const period = settings.get('alert.suppress.period') ?? suppress
    const periodSeconds = parsePeriod(text('alert.suppress.period'))
    if (periodSeconds === null) refuse(period, `expected ${period === suppress ? 'alert.suppress.period beside it' : 'a period'}, such as 3600s, 60m or 24h`)
    const fields = settings.get('alert.suppress.fields') ?? suppress
    const named = [...text('alert.suppress.fields').matchAll(/"([^"]*)"|[^\s,"]+/g)].map(match => ({ field: match[1] ?? match[0], at: match.index }))
    for (const { field, at } of named) {
      const why = fieldProblem(field)
      if (why !== null) errors.push({ ...fields.placeIn(at), message: `alert.suppress.fields: ${why}` })
    }
    const mode = flag('alert.digest_mode') ?? true ? 'digest' : 'result'
    if (mode === 'result' && named.length === 0) refuse(fields, `expected ${fields === suppress ? 'alert.suppress.fields beside it' : 'fields'}: with alert.digest_mode = 0 each result is suppressed by its own`)
    const group = settings.get('alert.suppress.group_name')
    if (group !== undefined && group.value !== '') warnings.push({ ...group.place, message: 'alert.suppress.group_name: groups are not supported: only findings of the stanza itself throttle others' })
    return periodSeconds === null ? null : { fields: [...new Set(named.map(({ field }) => field))], period_seconds: periodSeconds, mode }
  }

  const annotations = value('action.correlationsearch.annotations', Annotations)
  const metadata = value('action.correlationsearch.metadata', Metadata)
  const notable = flag('action.notable')
  const risk = readRisk()
  const throttling = readThrottling()
  const hasNotable = notable ?? isAmong(text('actions'), 'notable')
  // Where nobody says, the actions tell: they are what a type is about (spl-semantics.md section 10).
  const type = annotations?.type ?? (hasNotable ? 'TTP' : risk !== null ? 'Anomaly' : 'Hunting')
  const isDisabled = flag('disabled') ?? false
  const isScheduled = flag('enableSched') ?? true
  if (type === 'Correlation') errors.push({ ...place, message: 'Correlation is not supported: Hecate has no index of risk events for it to search' })
  else if (text('search') === '') errors.push({ ...place, message: 'search: the stanza has none' })
  else if (type !== 'Hunting' && risk === null) warnings.push({ ...place, message: `a ${type} without a risk action: its findings have score 0 and no risk object` })
  warnings.push(...unsupported(settings))
  const detection: Detection = {
    id: toId(name),
    uuid: metadata?.detection_id?.toLowerCase() ?? null,
    name,
    version: metadata?.detection_version ?? 1,
    type,
    status: /^WARNING, this detection has been marked deprecated/.test(text('description')) ? 'deprecated' : 'production',
    description: text('description'),
    search: text('search'),
    enabled_by_default: !isDisabled && isScheduled,
    schedule: {
      ...(text('cron_schedule') && { cron: text('cron_schedule') }),
      ...(text('dispatch.earliest_time') && { earliest: text('dispatch.earliest_time') }),
      ...(text('dispatch.latest_time') && { latest: text('dispatch.latest_time') }),
    },
    risk: type === 'Hunting' || type === 'Correlation' ? null : risk,
    throttling,
    drilldown_searches: readDrilldowns(z.array(z.unknown()).safeParse(parseJson(text('action.notable.param.drilldown_searches'))).data),
    analytic_story: annotations?.analytic_story ?? [],
    mitre_attack: annotations?.mitre_attack ?? [],
  }
  const search = settings.get('search')
  return {
    detection,
    placeInSearch: errors.length > 0 || search === undefined ? null : search.placeIn,
    places: {
      risk: settings.get('action.risk.param._risk_message')?.place ?? settings.get('action.risk.param._risk')?.place ?? place,
      schedule: settings.get('cron_schedule')?.place ?? place,
      throttling: settings.get('alert.suppress.fields')?.place ?? place,
    },
    errors,
    warnings,
    notes: scheduleNotes(settings, flag('realtime_schedule') ?? false),
    tests: [],
  }
}

/** What a setting holds that the search does not hang on; null where it is no JSON. */
function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isAmong (list: string, name: string): boolean {
  return list.split(',').some(one => one.trim() === name)
}

/** Settings that would give fewer findings in Splunk (spl-semantics.md section 8). */
function unsupported (settings: ReadonlyMap<string, Setting>): Problem[] {
  const warnings: Problem[] = []
  for (const [key, only] of [['counttype', /^(?:number of events|always)$/i], ['relation', /^greater than$/i], ['quantity', /^0*$/], ['alert_condition', /^$/]] as const) {
    const setting = settings.get(key)
    if (setting !== undefined && !only.test(setting.value)) warnings.push({ ...setting.place, message: `${key}: conditions of an alert are not supported: every row gives its finding` })
  }
  return warnings
}

/** Splunk may start a search later, or leave a slot out (spl-semantics.md R91–R93). */
function scheduleNotes (settings: ReadonlyMap<string, Setting>, isRealtime: boolean): Problem[] {
  const keys = [
    ...(isRealtime ? ['realtime_schedule'] : []),
    ...['schedule_window', 'allow_skew'].filter(key => !/^0?[%smhd]?$/.test(settings.get(key)?.value ?? '')),
  ]
  if (keys.length === 0) return []
  return [{ ...settings.get(keys[0]!)!.place, message: `${keys.join(', ')}: the schedule is always continuous: every slot is evaluated, with the window of its nominal time` }]
}
