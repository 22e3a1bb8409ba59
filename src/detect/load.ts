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

/** The detections of one file; one without a detection where it can't be read. */
export function loadFile (file: string): LoadedDetection[] {
  const id = basename(file, extname(file))
  const isConf = extname(file) === '.conf'
  try {
    const text = readText(file, isConf ? MAX_BYTES.conf : MAX_BYTES.yaml)
    if (!isConf) return [{ file, id, ...readSecurityContent(id, text) }]
    return readSavedSearches(basename(file), text).map(({ id, read }) => ({ file, id, ...read }))
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error
    return [{ file, id, ...failed([{ ...START, message: error.message }]) }]
  }
}

/** A file that can't be read, or is too large to be what it is taken for. */
export class UnreadableError extends Error {
  override name = 'UnreadableError'
}

/** Throws UnreadableError. */
export function readText (file: string, maxBytes: number): string {
  try {
    if (statSync(file).size <= maxBytes) return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UnreadableError((cause as Error).message, { cause })
  }
  throw new UnreadableError(`the file is larger than ${maxBytes} bytes`)
}
