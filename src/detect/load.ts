import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { Detection } from '../detection.js'
import { DetectionFile } from '../detection.js'

/** Something wrong with a file, where in it, as far as known; lines and columns count from 1. */
export interface Problem { readonly line: number, readonly column: number, readonly message: string }

export interface LoadedFile {
  readonly file: string
  /** The file's name without its ending. */
  readonly id: string
  /** Null where the file is no detection. */
  readonly detection: Detection | null
  /** Line and column of the first character of the search's text, for errors in it. */
  readonly searchPlace: Problem | null
  readonly errors: readonly Problem[]
}

/** A file larger than that is no detection. */
const MAX_FILE_BYTES = 1 << 20

/**
 * Reads detection files: single ones, and those of folders with their subfolders. A file of `paths` takes the place of the
 * shipped one of its name; two of one name in `paths` are an error of the second. Throws where a path is missing.
 */
export function loadDetectionFiles ({ shipped, paths }: { shipped: readonly string[], paths: readonly string[] }): LoadedFile[] {
  const files = new Map<string, LoadedFile>()
  for (const file of shipped.flatMap(filesOf).map(loadFile)) files.set(file.id, file)
  const own = new Set<string>()
  for (const file of [...new Set(paths.flatMap(filesOf))].map(loadFile)) {
    const first = own.has(file.id) ? files.get(file.id)! : null
    own.add(file.id)
    files.set(file.id, first === null ? file : { ...first, errors: [...first.errors, { line: 1, column: 1, message: `${file.file} has the same name` }] })
  }
  return [...files.values()]
}

function filesOf (path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter(name => /\.ya?ml$/i.test(name))
    .sort()
    .map(name => join(path, name))
}

function loadFile (file: string): LoadedFile {
  const id = basename(file, extname(file))
  const failed = (errors: readonly Problem[]): LoadedFile => ({ file, id, detection: null, searchPlace: null, errors })
  if (statSync(file).size > MAX_FILE_BYTES) return failed([{ line: 1, column: 1, message: `the file is larger than ${MAX_FILE_BYTES} bytes` }])
  const lines = new LineCounter()
  const document = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines, prettyErrors: false })
  const placeAt = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const placeOf = (path: readonly PropertyKey[]) => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { range?: readonly [number, number, number] } | undefined
      if (node?.range !== undefined) return placeAt(node.range[0])
    }
    return { line: 1, column: 1 }
  }
  if (document.errors.length > 0) return failed(document.errors.map(({ pos, message }) => ({ ...placeAt(pos[0]), message })))
  let content: unknown
  try {
    content = document.toJS({ maxAliasCount: 100 }) // a few lines of YAML can unfold to gigabytes
  } catch (error) {
    return failed([{ line: 1, column: 1, message: (error as Error).message }])
  }
  const parsed = DetectionFile.safeParse(content)
  if (!parsed.success) {
    return failed(parsed.error.issues.map(({ path, message }) => ({ ...placeOf(path), message: `${path.join('.') || 'file'}: ${message}` })))
  }
  return { file, id, detection: toDetection(id, parsed.data), searchPlace: { ...placeOf(['search']), message: '' }, errors: [] }
}

function toDetection (id: string, file: DetectionFile): Detection {
  return {
    id,
    uuid: file.id.toLowerCase(),
    name: file.name,
    version: file.version,
    type: file.type,
    status: file.status,
    description: file.description,
    search: file.search,
    // The actions of a type decide it: a Hunting search only gives rows (spl-semantics.md section 10).
    enabled_by_default: file.enabled_by_default ?? (file.type === 'TTP' || file.type === 'Anomaly'),
    risk: file.rba === undefined
      ? null
      : { message: file.rba.message, risk_objects: file.rba.risk_objects, threat_objects: file.rba.threat_objects },
    analytic_story: file.tags.analytic_story,
    mitre_attack: file.tags.mitre_attack_id,
  }
}
