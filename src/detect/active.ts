import type { Override } from '../config.js'
import type { Definition, Detection, Schedule } from '../detection.js'
import { DEFAULT_SCHEDULE } from '../detection.js'
import { AppError } from '../errors.js'
import { SplError } from '../spl/errors.js'
import type { DataModel, Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import { expandMacros } from '../spl/macro.js'
import { parseSearch } from '../spl/parse.js'
import { lookupNames } from '../spl/plan.js'
import type { DetectionSetting } from '../store/control/detections.js'
import type { CompiledDefinition } from './definition.js'
import { compileDefinition, ScheduleError } from './definition.js'
import type { LoadedDetection } from './load.js'
import type { Problem } from './place.js'
import { START } from './place.js'
import type { ReadTest } from './tests.js'
import type { SlotSamples } from './warnings.js'
import { findWarnings } from './warnings.js'

/** Where a setting comes from. What the configuration sets, the API can't change. */
export type Origin = 'config' | 'api' | 'file' | 'default'

export interface Settings {
  readonly enabled: boolean
  readonly schedule: Schedule
  readonly origins: Readonly<Record<'enabled' | keyof Schedule, Origin>>
}

/**
 * A detection with the settings in force. `compiled` is null where it can't run; with errors and `compiled` it goes on as it
 * last could. Warnings and notes: see ReadDetection.
 */
export interface ActiveDetection {
  readonly id: string
  readonly file: string
  readonly detection: Detection | null
  readonly settings: Settings
  readonly compiled: CompiledDefinition | null
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly notes: readonly Problem[]
  /** Those inside its file. */
  readonly tests: readonly ReadTest[]
}

/** What decides how the files of detections run, beside the files. */
export interface Surroundings {
  readonly overrides: Readonly<Record<string, Override>>
  readonly macros: Macros
  readonly knowledge: Knowledge
  readonly timeZone: string
  readonly samples: SlotSamples
}

/** Where the API has set nothing. */
export function noSetting (detectionId: string): DetectionSetting {
  return { detection_id: detectionId, enabled: null, cron: null, earliest: null, latest: null }
}

/** A detection ready to run, or with what is wrong with it. */
export function activate (loaded: LoadedDetection, stored: DetectionSetting, surroundings: Surroundings): ActiveDetection {
  const { id, file, detection } = loaded
  const settings = settingsOf(id, detection, stored, surroundings.overrides)
  const { compiled, errors, findWarnings } = compile(loaded, settings.schedule, surroundings)
  let warnings: readonly Problem[] | null = null
  return {
    id, file, detection, settings, compiled,
    errors: [...loaded.errors, ...errors],
    // They look at a year of slots, which a start is not to wait for.
    get warnings () {
      warnings ??= [...loaded.warnings, ...findWarnings()]
      return warnings
    },
    notes: loaded.notes,
    tests: loaded.tests,
  }
}

/** Throws AppError `invalid` where the detection can't run. */
export function runnable ({ compiled, errors }: ActiveDetection): CompiledDefinition {
  if (compiled === null) throw new AppError('invalid', `the detection has errors: ${errors.map(({ message }) => message).join('; ')}`)
  return compiled
}

/** The configuration over the API over the file over the defaults. */
export function settingsOf (id: string, own: Pick<Detection, 'enabled_by_default' | 'schedule'> | null, stored: DetectionSetting, overrides: Surroundings['overrides']): Settings {
  const override = Object.hasOwn(overrides, id) ? overrides[id]! : {}
  const origins: Record<string, Origin> = {}
  const pick = <T>(name: 'enabled' | keyof Schedule, ofApi: T | null, ofFile: T | undefined, otherwise: T): T => {
    const ofConfig = override[name] as T | undefined
    origins[name] = ofConfig !== undefined ? 'config' : ofApi !== null ? 'api' : ofFile !== undefined ? 'file' : 'default'
    return ofConfig ?? ofApi ?? ofFile ?? otherwise
  }
  const enabled = pick('enabled', stored.enabled === null ? null : stored.enabled === 1, own?.enabled_by_default ?? false, false)
  const schedule = {
    cron: pick('cron', stored.cron, own?.schedule.cron, DEFAULT_SCHEDULE.cron),
    earliest: pick('earliest', stored.earliest, own?.schedule.earliest, DEFAULT_SCHEDULE.earliest),
    latest: pick('latest', stored.latest, own?.schedule.latest, DEFAULT_SCHEDULE.latest),
  }
  return { enabled, schedule, origins: origins as Settings['origins'] }
}

function compile ({ detection, placeInSearch, places }: LoadedDetection, schedule: Schedule, { macros, knowledge, timeZone, samples }: Surroundings): { compiled: CompiledDefinition | null, errors: Problem[], findWarnings: () => Problem[] } {
  const failed = (...errors: Problem[]) => ({ compiled: null, errors, findWarnings: () => [] })
  if (detection === null || placeInSearch === null) return failed()
  try {
    const search = parseSearch(detection.search, macros, knowledge) // for errors that point into the text as it was written
    const tables = lookupNames(search).map(name => ({ name, table: knowledge.lookups.get(name)! }))
    const compiled = compileDefinition({
      detection_id: detection.id,
      name: detection.name,
      version: detection.version,
      type: detection.type,
      search: expandMacros(detection.search, macros).text,
      data_models: Object.fromEntries(search.dataModels.map(name => [name, toJson(knowledge.dataModels.get(name)!)])),
      lookups: Object.fromEntries(tables.map(({ name, table }) => [name, table.hash])),
      schedule,
      time_zone: timeZone,
      risk: detection.risk,
      mitre_attack: [...detection.mitre_attack],
      throttling: detection.throttling,
    }, hash => tables.find(({ table }) => table.hash === hash)!.table)
    return { compiled, errors: [], findWarnings: () => findWarnings({ detection, placeInSearch, places }, search, compiled, samples) }
  } catch (error) {
    if (error instanceof SplError) return failed({ ...placeInSearch(error.span.start), message: `search: ${error.message}`, detail: `search: ${error.detail}` })
    if (error instanceof ScheduleError) return failed({ ...places.schedule ?? START, message: error.message })
    throw error
  }
}

function toJson ({ sourcetypes, fields }: DataModel): Definition['data_models'][string] {
  return { sourcetypes: [...sourcetypes], fields: [...fields] }
}
