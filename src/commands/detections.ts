import type { Config } from '../config.js'
import type { ActiveDetection, Surroundings } from '../detect/active.js'
import { activate, noSetting } from '../detect/active.js'
import type { FolderContent } from '../detect/folders.js'
import { openFolders } from '../detect/folders.js'
import type { LoadedDetection } from '../detect/load.js'
import { toKnowledge } from '../detect/search.js'
import { openSlotSamples } from '../detect/warnings.js'
import type { FieldTables } from '../fields/field-tables.js'
import { checkOverrides, foldersOf, readFolders } from '../server.js'

/** The detections of the configuration, or those of paths in their place. Throws ConfigError. */
export function readContent (config: Config, paths: readonly string[]): FolderContent {
  const folders = foldersOf(config)
  if (paths.length > 0) return readFolders(openFolders({ ...folders, shipped: [], paths }), config)
  const content = readFolders(openFolders(folders), config)
  checkOverrides(config, content.detections.map(({ id }) => id))
  return content
}

/** Makes detections ready to run as the server does where the API has set nothing. */
export function openActivation ({ detections: { overrides }, timezone: timeZone }: Config, { macros, lookups }: FolderContent, fieldTables: FieldTables): (loaded: LoadedDetection) => ActiveDetection {
  const surroundings: Surroundings = { overrides, macros, knowledge: toKnowledge(fieldTables, lookups), timeZone, samples: openSlotSamples() }
  return loaded => activate(loaded, noSetting(loaded.id), surroundings)
}

/** In the order of files. */
export function byFile (a: { readonly file: string }, b: { readonly file: string }): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : 0
}
