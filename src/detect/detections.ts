import type { Override } from '../config.js'
import type { Schedule } from '../detection.js'
import { AppError } from '../errors.js'
import { SplError } from '../spl/errors.js'
import type { Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import type { DetectionStore } from '../store/control/detections.js'
import type { ActiveDetection } from './active.js'
import { activate, settingsOf } from './active.js'
import { compileDefinition, ScheduleError } from './definition.js'
import type { FolderContent } from './folders.js'
import type { LoadedDetection } from './load.js'
import { START } from './place.js'
import type { SlotSamples } from './warnings.js'
import { openSlotSamples } from './warnings.js'

export interface SettingsPatch { readonly enabled?: boolean | undefined, readonly schedule?: Partial<Schedule> | undefined }

export interface DetectionsDeps {
  /** One of each id. */
  readonly files: readonly LoadedDetection[]
  readonly overrides: Readonly<Record<string, Override>>
  readonly macros: Macros
  readonly knowledge: Knowledge
  readonly timeZone: string
  readonly store: DetectionStore
  /** Known from before. */
  readonly samples?: SlotSamples
}

/** The detections that were loaded, with the settings in force. */
export function openDetections ({ files, overrides, macros: firstMacros, knowledge: firstKnowledge, timeZone, store, samples = openSlotSamples() }: DetectionsDeps) {
  let macros = firstMacros
  let knowledge = firstKnowledge
  let loaded = byId(files)
  let active = new Map(files.map(one => [one.id, open(one, undefined)]))

  function read (file: LoadedDetection): ActiveDetection {
    return activate(file, store.setting(file.id), { overrides, macros, knowledge, timeZone, samples })
  }

  /** What can't run as it is now goes on as it last could: in this process, else by what control.db has of it. */
  function open (file: LoadedDetection, last: ActiveDetection | undefined): ActiveDetection {
    const opened = read(file)
    return opened.compiled === null ? carryOn(opened, last) : opened
  }

  function carryOn (failed: ActiveDetection, last: ActiveDetection | undefined): ActiveDetection {
    const { id } = failed
    const definition = last?.compiled?.definition ?? store.lastDefinition(id)
    if (definition === undefined) return failed
    const own = last?.detection ?? { enabled_by_default: store.openPeriod(id) !== undefined, schedule: definition.schedule }
    const settings = settingsOf(id, own, store.setting(id), overrides)
    const tables = [...last?.compiled?.plan.lookups.values() ?? []] // it may never have run, so that none is kept yet
    try {
      const compiled = compileDefinition({ ...definition, schedule: settings.schedule, time_zone: timeZone }, hash => tables.find(table => table.hash === hash) ?? store.lookup(hash))
      return { ...failed, detection: last?.detection ?? failed.detection, settings, compiled }
    } catch (error) {
      if (!(error instanceof ScheduleError || error instanceof SplError)) throw error
      return { ...failed, errors: [...failed.errors, { ...START, message: error.message }] }
    }
  }

  return {
    /** Those in force. */
    macros: (): Macros => macros,
    knowledge: (): Knowledge => knowledge,
    /** In the order of their ids. */
    list: (): ActiveDetection[] => [...active.values()].sort((a, b) => a.id < b.id ? -1 : 1),
    find: (id: string): ActiveDetection | undefined => active.get(id),
    /** By id or by the file's UUID. Throws AppError `not_found`. */
    get (idOrUuid: string): ActiveDetection {
      const found = active.get(idOrUuid) ?? [...active.values()].find(({ detection }) => detection?.uuid === idOrUuid.toLowerCase())
      if (found === undefined) throw new AppError('not_found', 'there is no such detection')
      return found
    },
    /** Analytic stories of a detection by its id; none of one that is not there. */
    storiesOf: (id: string): readonly string[] => active.get(id)?.detection?.analytic_story ?? [],
    /** Takes the place of what was loaded. A detection that can't run any more goes on as it last did, with its errors. */
    reload (content: Pick<FolderContent, 'detections' | 'macros' | 'lookups'>): void {
      const [loadedBefore, activeBefore] = [loaded, active]
      const isSame = content.macros === macros && content.lookups === knowledge.lookups
      macros = content.macros
      knowledge = { ...knowledge, lookups: content.lookups }
      loaded = byId(content.detections)
      active = new Map(content.detections.map(one => {
        const last = activeBefore.get(one.id)
        return [one.id, isSame && last !== undefined && loadedBefore.get(one.id) === one ? last : open(one, last)]
      }))
    },
    /** Changes settings for good. Throws AppError `conflict` for what the configuration sets, `invalid` for a schedule that is none. */
    patch (id: string, { enabled, schedule = {} }: SettingsPatch): ActiveDetection {
      const file = loaded.get(id)
      const last = active.get(id)
      if (file === undefined || last === undefined) throw new AppError('not_found', 'there is no such detection')
      const override = Object.hasOwn(overrides, id) ? overrides[id]! : {}
      for (const [name, value] of Object.entries({ enabled, ...schedule })) {
        if (value !== undefined && override[name as keyof Override] !== undefined) {
          throw new AppError('conflict', `the configuration sets detections.overrides.${id}.${name}`)
        }
      }
      const before = store.setting(id)
      const wasBroken = read(file).compiled === null
      store.set({
        detection_id: id,
        enabled: enabled === undefined ? before.enabled : enabled ? 1 : 0,
        cron: schedule.cron ?? before.cron,
        earliest: schedule.earliest ?? before.earliest,
        latest: schedule.latest ?? before.latest,
      })
      const changed = wasBroken ? open(file, last) : read(file)
      if (changed.compiled === null && last.compiled !== null) {
        store.set(before)
        throw new AppError('invalid', changed.errors.map(({ message }) => message).join('\n'), { errors: [{ pointer: '/schedule', detail: changed.errors.at(-1)!.message }] })
      }
      active.set(id, changed)
      return changed
    },
  }
}
export type Detections = ReturnType<typeof openDetections>

function byId (files: readonly LoadedDetection[]): ReadonlyMap<string, LoadedDetection> {
  return new Map(files.map(one => [one.id, one]))
}
