import type { Override } from '../config.js'
import type { Detection, Schedule } from '../detection.js'
import { DEFAULT_SCHEDULE } from '../detection.js'
import { AppError } from '../errors.js'
import { expandMacros } from '../spl/macro.js'
import type { Macros } from '../spl/macro.js'
import { parseSearch } from '../spl/parse.js'
import { SplError } from '../spl/errors.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { CompiledDefinition } from './definition.js'
import { compileDefinition, ScheduleError } from './definition.js'
import type { LoadedDetection } from './load.js'
import type { Problem } from './place.js'
import { START } from './place.js'
import { findWarnings } from './warnings.js'

/** Where a setting comes from. What the configuration sets, the API can't change. */
export type Origin = 'config' | 'api' | 'file' | 'default'

export interface Settings {
  readonly enabled: boolean
  readonly schedule: Schedule
  readonly origins: Readonly<Record<'enabled' | keyof Schedule, Origin>>
}

/** A detection as it runs now. `compiled` is null where its file has errors. Warnings and notes: see ReadDetection. */
export interface ActiveDetection {
  readonly id: string
  readonly file: string
  readonly detection: Detection | null
  readonly settings: Settings
  readonly compiled: CompiledDefinition | null
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly notes: readonly Problem[]
}

export interface SettingsPatch { readonly enabled?: boolean | undefined, readonly schedule?: Partial<Schedule> | undefined }

export interface DetectionsDeps {
  /** One of each id. */
  readonly files: readonly LoadedDetection[]
  readonly overrides: Readonly<Record<string, Override>>
  readonly macros: Macros
  readonly timeZone: string
  readonly store: DetectionStore
}

/** The detections that were loaded, with the settings in force. */
export function openDetections ({ files, overrides, macros, timeZone, store }: DetectionsDeps) {
  const active = new Map<string, ActiveDetection>()
  for (const file of files) active.set(file.id, activate(file))

  function activate (file: LoadedDetection): ActiveDetection {
    const settings = effectiveSettings(file)
    const { compiled, errors, warnings } = compile(file, settings.schedule)
    return {
      id: file.id, file: file.file, detection: file.detection, settings, compiled,
      errors: [...file.errors, ...errors],
      warnings: [...file.warnings, ...warnings],
      notes: file.notes,
    }
  }

  function effectiveSettings ({ id, detection }: LoadedDetection): Settings {
    const override = Object.hasOwn(overrides, id) ? overrides[id]! : {}
    const stored = store.setting(id)
    const origins: Record<string, Origin> = {}
    const pick = <T>(name: 'enabled' | keyof Schedule, ofApi: T | null, ofFile: T | undefined, otherwise: T): T => {
      const ofConfig = override[name] as T | undefined
      origins[name] = ofConfig !== undefined ? 'config' : ofApi !== null ? 'api' : ofFile !== undefined ? 'file' : 'default'
      return ofConfig ?? ofApi ?? ofFile ?? otherwise
    }
    const enabled = pick('enabled', stored.enabled === null ? null : stored.enabled === 1, detection?.enabled_by_default ?? false, false)
    const schedule = {
      cron: pick('cron', stored.cron, detection?.schedule.cron, DEFAULT_SCHEDULE.cron),
      earliest: pick('earliest', stored.earliest, detection?.schedule.earliest, DEFAULT_SCHEDULE.earliest),
      latest: pick('latest', stored.latest, detection?.schedule.latest, DEFAULT_SCHEDULE.latest),
    }
    return { enabled, schedule, origins: origins as Settings['origins'] }
  }

  function compile ({ detection, placeInSearch, places }: LoadedDetection, schedule: Schedule): { compiled: CompiledDefinition | null, errors: Problem[], warnings: Problem[] } {
    const failed = (...errors: Problem[]) => ({ compiled: null, errors, warnings: [] })
    if (detection === null || placeInSearch === null) return failed()
    try {
      const search = parseSearch(detection.search, macros) // for errors that point into the text as it was written
      const compiled = compileDefinition({
        detection_id: detection.id,
        name: detection.name,
        version: detection.version,
        type: detection.type,
        search: expandMacros(detection.search, macros).text,
        schedule,
        time_zone: timeZone,
        risk: detection.risk,
        mitre_attack: [...detection.mitre_attack],
      })
      return { compiled, errors: [], warnings: findWarnings({ detection, placeInSearch, places }, search, compiled) }
    } catch (error) {
      if (error instanceof SplError) return failed({ ...placeInSearch(error.span.start), message: `search: ${error.message}`, detail: `search: ${error.detail}` })
      if (error instanceof ScheduleError) return failed({ ...places.schedule ?? START, message: error.message })
      throw error
    }
  }

  return {
    /** Those in force. */
    macros: (): Macros => macros,
    /** In the order of their ids. */
    list: (): ActiveDetection[] => [...active.values()].sort((a, b) => a.id < b.id ? -1 : 1),
    /** By id or by the file's UUID. Throws AppError `not_found`. */
    get (idOrUuid: string): ActiveDetection {
      const found = active.get(idOrUuid) ?? [...active.values()].find(({ detection }) => detection?.uuid === idOrUuid.toLowerCase())
      if (found === undefined) throw new AppError('not_found', 'there is no such detection')
      return found
    },
    /** Changes settings for good. Throws AppError `conflict` for what the configuration sets, `invalid` for a schedule that is none. */
    patch (id: string, { enabled, schedule = {} }: SettingsPatch): ActiveDetection {
      const file = files.find(one => one.id === id)
      if (file === undefined) throw new AppError('not_found', 'there is no such detection')
      const override = Object.hasOwn(overrides, id) ? overrides[id]! : {}
      for (const [name, value] of Object.entries({ enabled, ...schedule })) {
        if (value !== undefined && override[name as keyof Override] !== undefined) {
          throw new AppError('conflict', `the configuration sets detections.overrides.${id}.${name}`)
        }
      }
      const before = store.setting(id)
      store.set({
        detection_id: id,
        enabled: enabled === undefined ? before.enabled : enabled ? 1 : 0,
        cron: schedule.cron ?? before.cron,
        earliest: schedule.earliest ?? before.earliest,
        latest: schedule.latest ?? before.latest,
      })
      const changed = activate(file)
      if (changed.compiled === null && changed.detection !== null && active.get(id)?.compiled !== null) {
        store.set(before)
        throw new AppError('invalid', changed.errors.map(({ message }) => message).join('\n'), { errors: [{ pointer: '/schedule', detail: changed.errors[0]!.message }] })
      }
      active.set(id, changed)
      return changed
    },
  }
}
export type Detections = ReturnType<typeof openDetections>
