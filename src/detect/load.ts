import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { START } from './place.js'
import { readSavedSearches } from './savedsearches.js'
import type { ReadDetection } from './security-content.js'
import { failed, readSecurityContent } from './security-content.js'

/** A detection of a file: a YAML file holds one, a savedsearches.conf one a stanza. */
export interface LoadedDetection extends ReadDetection {
  readonly file: string
  /** A YAML file's name without its ending; a stanza's name in the form of one. */
  readonly id: string
}

/** A YAML file larger than that is no detection; ESCU's savedsearches.conf has more than ten megabytes. */
const MAX_BYTES = { yaml: 1 << 20, conf: 64 << 20 }

/**
 * Reads detection files: single ones, and those of folders with their subfolders. A detection of `paths` takes the place of the
 * shipped one of its id; two of one id in `paths` are an error of the first. Throws where a path is missing.
 */
export function loadDetectionFiles ({ shipped, paths }: { shipped: readonly string[], paths: readonly string[] }): LoadedDetection[] {
  return mergeDetections({ shipped: filesOf(shipped, isDetectionFile).flatMap(loadFile), own: filesOf(paths, isDetectionFile).flatMap(loadFile) })
}

/** One detection of each id. */
export function mergeDetections ({ shipped, own }: { shipped: readonly LoadedDetection[], own: readonly LoadedDetection[] }): LoadedDetection[] {
  const detections = new Map(shipped.map(one => [one.id, one]))
  const seen = new Set<string>()
  for (const one of own) {
    const first = seen.has(one.id) ? detections.get(one.id)! : null
    seen.add(one.id)
    detections.set(one.id, first === null ? one : { ...first, errors: [...first.errors, { ...START, message: `${one.file} has the same name` }] })
  }
  return [...detections.values()]
}

/**
 * The files that are named, and those of folders and their subfolders whose names are wanted, by name. What begins with a full
 * stop is left out: a mounted ConfigMap has its files a second time in such a folder. Throws where a path is missing.
 */
export function filesOf (paths: readonly string[], isWanted: (name: string) => boolean): string[] {
  return [...new Set(paths.flatMap(path => {
    if (!statSync(path).isDirectory()) return [path]
    return readdirSync(path, { recursive: true, encoding: 'utf8' })
      .filter(name => isWanted(name) && !/(?:^|[/\\])\./.test(name))
      .sort()
      .map(name => join(path, name))
  }))]
}

export function isDetectionFile (name: string): boolean {
  return /\.ya?ml$/i.test(name) || basename(name) === 'savedsearches.conf'
}

/** The detections of one file. */
export function loadFile (file: string): LoadedDetection[] {
  const isConf = extname(file) === '.conf'
  const name = basename(file)
  const id = basename(file, extname(file))
  const maxBytes = isConf ? MAX_BYTES.conf : MAX_BYTES.yaml
  if (statSync(file).size > maxBytes) return [{ file, id, ...failed([{ ...START, message: `the file is larger than ${maxBytes} bytes` }]) }]
  const text = readFileSync(file, 'utf8')
  if (!isConf) return [{ file, id, ...readSecurityContent(id, text) }]
  return readSavedSearches(name, text).map(({ id, read }) => ({ file, id, ...read }))
}
