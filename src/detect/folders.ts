import { statSync } from 'node:fs'
import type { LookupTable } from '../spl/lookup.js'
import type { Macros } from '../spl/macro.js'
import type { LoadedDetection } from './load.js'
import { filesOf, isDetectionFile, loadFile, mergeDetections } from './load.js'
import type { LookupFile } from './lookups.js'
import { isLookupFile, loadLookupFile, toLookups } from './lookups.js'
import type { MacroFile } from './macros.js'
import { isMacroFile, loadMacroFile, toMacros, withReplaced } from './macros.js'

export interface FolderPaths {
  readonly shipped: readonly string[]
  readonly paths: readonly string[]
  readonly macros: readonly string[]
  readonly lookups: readonly string[]
  readonly define: Readonly<Record<string, string>>
}

/** What the folders hold at one time. */
export interface FolderContent {
  readonly detections: readonly LoadedDetection[]
  readonly macroFiles: readonly MacroFile[]
  readonly macros: Macros
  readonly lookupFiles: readonly LookupFile[]
  readonly lookups: ReadonlyMap<string, LookupTable>
}

/** The folders of detections, macros and lookups, each file read when it is new or has changed. */
export function openFolders ({ shipped, paths, macros, lookups, define }: FolderPaths) {
  const detectionFiles = openFiles(loadFile)
  const macroFiles = openFiles(file => [loadMacroFile(file)])
  const lookupFiles = openFiles(file => [loadLookupFile(file)])
  let content: FolderContent | null = null
  return {
    /** Looks at every file. Gives the content of before, itself, where nothing has changed. Throws where a path is missing. */
    read (): FolderContent {
      const own = filesOf(paths, isDetectionFile)
      const ofShipped = filesOf(shipped, isDetectionFile)
      const isDetectionsSame = detectionFiles.look([...new Set([...ofShipped, ...own])])
      const isMacrosSame = macroFiles.look(filesOf(macros, isMacroFile))
      const isLookupsSame = lookupFiles.look(filesOf(lookups, isLookupFile))
      if (content !== null && isDetectionsSame && isMacrosSame && isLookupsSame) return content
      const files = withReplaced(macroFiles.values())
      const read = content !== null && isLookupsSame ? { files: content.lookupFiles, lookups: content.lookups } : toLookups(lookupFiles.values())
      content = {
        detections: mergeDetections({ shipped: detectionFiles.values(ofShipped), own: detectionFiles.values(own) }),
        macroFiles: files,
        macros: toMacros(define, files),
        lookupFiles: read.files,
        lookups: read.lookups,
      }
      return content
    },
  }
}
export type Folders = ReturnType<typeof openFolders>

/** Files and what `load` makes of each. */
function openFiles<T> (load: (file: string) => readonly T[]) {
  let known = new Map<string, { readonly mark: string, readonly values: readonly T[] }>()
  return {
    /** Takes these files, in this order. Gives whether they are the ones of before, as they were. */
    look (files: readonly string[]): boolean {
      const before = known
      known = new Map()
      let isSame = true
      for (const file of files) {
        const mark = markOf(file)
        if (mark === null) continue // removed meanwhile, or a folder of such a name
        const last = before.get(file)
        if (last?.mark === mark) known.set(file, last)
        else {
          known.set(file, { mark, values: load(file) })
          isSame = false
        }
      }
      return isSame && known.size === before.size
    },
    values: (files: readonly string[] = [...known.keys()]): T[] => files.flatMap(file => known.get(file)?.values ?? []),
  }
}

/** Changes with the file's content, as far as that can be seen from outside. */
function markOf (file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true })
  return stat === undefined || !stat.isFile() ? null : [stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join()
}
