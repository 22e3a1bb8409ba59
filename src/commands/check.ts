import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { loadConfig } from '../config.js'
import type { ActiveDetection } from '../detect/active.js'
import type { Problem } from '../detect/place.js'
import { buildFieldTables } from '../fields/field-tables.js'
import { escapeControls, SplError } from '../spl/errors.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { byFile, openActivation, readContent } from './detections.js'
import { formatJson } from './json.js'
import { CONFIG_OPTIONS, parseOptions, toSource } from './options.js'

export const usage = `hecate check [PATH…] [--config FILE] [--format text|json]

  Reads the configuration and its detection, macro and lookup files as hecate serve does, and says what is
  wrong with them: with errors a detection can't run, with warnings it may do something else than
  it seems to. With PATHs these detections are read in place of the configuration's. Exit code 1
  when there are errors, 2 when the configuration itself can't be used.
`

type Status = 'ok' | 'warnings' | 'failed'

interface CheckedFile {
  readonly file: string
  /** Of what the file is; a detection has an id. */
  readonly kind: 'detection' | 'macros' | 'lookup'
  readonly id: string | null
  readonly status: Status
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
  readonly notes: readonly Problem[]
}

export async function check (context: CommandContext): Promise<number> {
  const { values, positionals: paths } = parseOptions(context.args, { ...CONFIG_OPTIONS, format: { type: 'string' } })
  const format = values.format ?? 'text'
  if (format !== 'text' && format !== 'json') throw new UsageError('--format is text or json')
  const config = loadConfig(toSource(values, context))
  const content = readContent(config, paths.map(path => resolve(context.cwd, path)))
  const detections = content.detections.map(openActivation(config, content, buildFieldTables(config)))
  const checked = [
    ...detections.map(one => toChecked('detection', one)),
    ...content.macroFiles.map(one => toChecked('macros', { ...one, id: null, notes: [] })),
    ...content.lookupFiles.map(one => toChecked('lookup', { ...one, id: null, notes: [] })),
  ].sort(byFile)
  context.stdout.write(format === 'json' ? formatJson(toReport(checked)) : formatText(checked))
  return checked.some(({ status }) => status === 'failed') ? 1 : 0
}

function toChecked (kind: CheckedFile['kind'], { file, id, errors, warnings, notes }: Pick<ActiveDetection, 'file' | 'errors' | 'warnings' | 'notes'> & { readonly id: string | null }): CheckedFile {
  return { kind, file, id, status: errors.length > 0 ? 'failed' : warnings.length > 0 ? 'warnings' : 'ok', errors, warnings, notes }
}

function toReport (checked: readonly CheckedFile[]): object {
  const toJson = ({ line, column, message, detail = message }: Problem) => ({ line, column, message: detail })
  const listOf = (wanted: CheckedFile['kind']) => checked.filter(({ kind }) => kind === wanted).map(({ file, id, status, errors, warnings, notes }) => ({
    file,
    ...(id === null ? {} : { id }),
    status,
    errors: errors.map(toJson),
    warnings: warnings.map(toJson),
    ...(id === null ? {} : { notes: notes.map(toJson) }),
  }))
  return { detections: listOf('detection'), macros: listOf('macros'), lookups: listOf('lookup') }
}

/** Each problem with its line and a caret, in the form of a search's errors; then how many there were of each status. */
function formatText (checked: readonly CheckedFile[]): string {
  const linesOf = new Map<string, readonly string[]>()
  const texts = checked.flatMap(({ file, errors, warnings, notes }) => {
    const problems = [...errors.map(one => ['error', one] as const), ...warnings.map(one => ['warning', one] as const), ...notes.map(one => ['note', one] as const)]
    if (problems.length === 0) return []
    const lines = linesOf.get(file) ?? readLines(file)
    linesOf.set(file, lines)
    return problems.map(([kind, problem]) => `${escapeControls(file)}:${showAt(lines, kind, problem)}\n`)
  })
  const count = (status: Status) => checked.filter(one => one.id !== null && one.status === status).length
  const broken = (wanted: CheckedFile['kind'], name: string) => {
    const count = checked.filter(one => one.kind === wanted && one.status === 'failed').length
    return count > 0 ? `; ${name}: ${count} failed` : ''
  }
  return `${texts.join('\n')}${texts.length > 0 ? '\n' : ''}detections: ${count('ok')} ok, ${count('warnings')} with warnings, ${count('failed')} failed${broken('macros', 'macro files')}${broken('lookup', 'lookup files')}\n`
}

/** None of a file that can't be read: one of its errors says so. */
function readLines (file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch {
    return []
  }
}

function showAt (lines: readonly string[], kind: string, { line, column, message, detail = message }: Problem): string {
  const text = `${'\n'.repeat(line - 1)}${lines[line - 1] ?? ''}` // only its own line is shown
  const start = Math.min(line + column - 2, text.length)
  return new SplError(escapeControls(`${kind}: ${detail.split('\n', 1)[0]!}`), text, { start, end: start }).message
}
