import type { Override } from '../config.js'
import type { Definition, Detection, Schedule } from '../detection.js'
import { DEFAULT_SCHEDULE } from '../detection.js'
import { AppError } from '../errors.js'
import { expandMacros } from '../spl/macro.js'
import type { Macros } from '../spl/macro.js'
import { parseSearch } from '../spl/parse.js'
import { SplError } from '../spl/errors.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { CompiledDefinition } from './definition.js'
import { compileDefinition, ScheduleError } from './definition.js'
import type { LoadedFile, Problem } from './load.js'

/** Where a setting comes from. What the configuration sets, the API can't change. */
export type Origin = 'config' | 'api' | 'file' | 'default'

export interface Settings {
  readonly enabled: boolean
  readonly schedule: Schedule
  readonly origins: Readonly<Record<'enabled' | keyof Schedule, Origin>>
}

/** A detection as it runs now. `compiled` is null where its file has errors. */
export interface ActiveDetection {
  readonly id: string
  readonly file: string
  readonly detection: Detection | null
  readonly settings: Settings
  readonly compiled: CompiledDefinition | null
  readonly errors: readonly Problem[]
}

export interface SettingsPatch { readonly enabled?: boolean | undefined, readonly schedule?: Partial<Schedule> | undefined }

export interface DetectionsDeps {
  /** One of each id. */
  readonly files: readonly LoadedFile[]
  readonly overrides: Readonly<Record<string, Override>>
  readonly macros: Macros
  readonly timeZone: string
  readonly store: DetectionStore
}

/** The detections that were loaded, with the settings in force. */
export function openDetections ({ files, overrides, macros, timeZone, store }: DetectionsDeps) {
  const active = new Map<string, ActiveDetection>()
  for (const file of files) active.set(file.id, activate(file))

  function activate (file: LoadedFile): ActiveDetection {
    const settings = effectiveSettings(file)
    const { compiled, errors } = compile(file, settings.schedule)
    return { id: file.id, file: file.file, detection: file.detection, settings, compiled, errors: [...file.errors, ...errors] }
  }

  function effectiveSettings ({ id, detection }: LoadedFile): Settings {
    const override = Object.hasOwn(overrides, id) ? overrides[id]! : {}
    const stored = store.setting(id)
    const origins: Record<string, Origin> = {}
    const pick = <T>(name: 'enabled' | keyof Schedule, ofApi: T | null, ofFile: T, fileOrigin: Origin): T => {
      const ofConfig = override[name] as T | undefined
      origins[name] = ofConfig !== undefined ? 'config' : ofApi !== null ? 'api' : fileOrigin
      return ofConfig ?? ofApi ?? ofFile
    }
    const enabled = pick('enabled', stored.enabled === null ? null : stored.enabled === 1, detection?.enabled_by_default ?? false, 'file')
    const schedule = {
      cron: pick('cron', stored.cron, DEFAULT_SCHEDULE.cron, 'default'),
      earliest: pick('earliest', stored.earliest, DEFAULT_SCHEDULE.earliest, 'default'),
      latest: pick('latest', stored.latest, DEFAULT_SCHEDULE.latest, 'default'),
    }
    return { enabled, schedule, origins: origins as Settings['origins'] }
  }

  function compile ({ detection, searchPlace }: LoadedFile, schedule: Schedule): { compiled: CompiledDefinition | null, errors: Problem[] } {
    if (detection === null || searchPlace === null) return { compiled: null, errors: [] }
    try {
      parseSearch(detection.search, macros) // for errors that point into the text as it was written
      const definition: Definition = {
        detection_id: detection.id,
        name: detection.name,
        version: detection.version,
        search: expandMacros(detection.search, macros).text,
        schedule,
        time_zone: timeZone,
        risk: detection.risk,
        mitre_attack: [...detection.mitre_attack],
      }
      return { compiled: compileDefinition(definition), errors: [] }
    } catch (error) {
      if (error instanceof SplError) return { compiled: null, errors: [{ ...searchPlace, message: `search: ${error.message}` }] }
      if (error instanceof ScheduleError) return { compiled: null, errors: [{ line: 1, column: 1, message: error.message }] }
      throw error
    }
  }

  return {
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
