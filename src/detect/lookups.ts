import { createHash } from 'node:crypto'
import { basename, dirname, extname } from 'node:path'
import { parse as parseCsv } from 'csv-parse/sync'
import { z } from 'zod'
import type { LookupMatch, LookupTable } from '../spl/lookup.js'
import { readText, UnreadableError } from './load.js'
import type { Problem } from './place.js'
import { START } from './place.js'
import { parseYamlText } from './yaml.js'

/** A file of a lookup: a table, or security_content's settings of one, whose table is a CSV file beside it. */
export interface LookupFile {
  readonly file: string
  /** What the lookup is called; null where the file can't be used. */
  readonly name: string | null
  readonly content: Table | Settings | null
  readonly errors: readonly Problem[]
  readonly warnings: readonly Problem[]
}

interface Table { readonly kind: 'table', readonly columns: readonly string[], readonly rows: readonly (readonly string[])[] }

interface Settings extends Omit<LookupTable, 'columns' | 'rows' | 'hash'> {
  readonly kind: 'settings'
  /** Null of a KV store's collection, which has no file. */
  readonly csv: string | null
  readonly columns: readonly string[]
}

/** A larger file is no lookup to be held in memory. */
const MAX_BYTES = { csv: 32 << 20, yaml: 1 << 20 }
const MAX_ROWS = 500_000
const MAX_COLUMNS = 1_000

/** transforms.conf: max_matches of a lookup without times. */
const DEFAULT_MAX_MATCHES = 1_000

export function isLookupFile (name: string): boolean {
  return /\.(?:csv|ya?ml)$/i.test(name)
}

export function loadLookupFile (file: string): LookupFile {
  const isCsv = extname(file).toLowerCase() === '.csv'
  const failed = (...errors: Problem[]): LookupFile => ({ file, name: null, content: null, errors, warnings: [] })
  try {
    const text = readText(file, isCsv ? MAX_BYTES.csv : MAX_BYTES.yaml)
    if (isCsv) return { file, name: basename(file), content: readTable(text), errors: [], warnings: [] }
    return readSettings(file, text)
  } catch (error) {
    if (error instanceof UnreadableError) return failed({ ...START, message: error.message })
    if (error instanceof TableError) return failed({ ...START, line: error.line, message: error.message })
    throw error
  }
}

class TableError extends Error {
  override name = 'TableError'
  constructor (message: string, readonly line: number, options?: ErrorOptions) { super(message, options) }
}

/** A CSV file with a line of column names. Throws TableError. */
function readTable (text: string): Table {
  let lines: string[][]
  try {
    lines = parseCsv(text, { bom: true, relax_column_count_less: true, skip_empty_lines: true, to: MAX_ROWS + 2 })
  } catch (cause) {
    throw new TableError(`this is no CSV file: ${(cause as Error).message}`, (cause as { lines?: number }).lines ?? 1, { cause })
  }
  const [columns, ...rows] = lines
  if (columns === undefined) throw new TableError('expected a line with the names of the columns', 1)
  if (columns.length > MAX_COLUMNS || rows.length > MAX_ROWS) throw new TableError(`a lookup has at most ${MAX_COLUMNS} columns and ${MAX_ROWS} rows`, 1)
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice !== undefined) throw new TableError(`two columns are called ${JSON.stringify(twice)}`, 1)
  return { kind: 'table', columns, rows: rows.map(cells => columns.map((_, i) => cells[i] ?? '').map(cell => cell.toWellFormed())) }
}

const Flag = z.union([z.boolean(), z.stringFormat('true or false', /^(?:true|false)$/i).transform(text => text.toLowerCase() === 'true')])
const Names = z.union([z.array(z.string()), z.string().transform(text => text.split(',').map(name => name.trim()))])

/** security_content's form: the settings of a transforms.conf stanza. */
const LookupYaml = z.object({
  name: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, _, . and -'),
  lookup_type: z.enum(['csv', 'kvstore', 'mlmodel']).optional(),
  filename: z.string().optional(),
  collection: z.string().optional(),
  fields: Names.optional(),
  fields_list: Names.nullish(),
  match_type: Names.nullish(),
  case_sensitive_match: Flag.nullish(),
  max_matches: z.coerce.number().int().min(1).max(1_000).nullish(),
  min_matches: z.coerce.number().int().min(0).max(1_000).nullish(),
  default_match: z.union([z.string(), z.boolean().transform(String), z.number().transform(String)]).nullish(),
})

function readSettings (file: string, text: string): LookupFile {
  const { yaml, errors } = parseYamlText(text)
  const failed = (errors: readonly Problem[]): LookupFile => ({ file, name: null, content: null, errors, warnings: [] })
  if (yaml === null) return failed(errors)
  const parsed = LookupYaml.safeParse(yaml.content)
  if (!parsed.success) return failed(parsed.error.issues.map(({ path, message }) => ({ ...yaml.placeOf(path), message: `${path.join('.') || 'file'}: ${message}` })))
  const { name, lookup_type: type, filename, collection, ...settings } = parsed.data
  if (type === 'mlmodel' || filename?.endsWith('.mlmodel') === true) return failed([{ ...yaml.placeOf(['lookup_type']), message: 'a model is no table: Hecate can\'t look anything up in it' }])
  const isStore = type === 'kvstore' || (collection !== undefined && filename === undefined)
  const matchTypes: Record<string, LookupMatch> = {}
  for (const written of settings.match_type ?? []) {
    const [, how = '', column = ''] = /^(WILDCARD|CIDR|EXACT)\(\s*([^)]+?)\s*\)$/i.exec(written.trim()) ?? []
    if (how === '') return failed([{ ...yaml.placeOf(['match_type']), message: `match_type: expected WILDCARD(column) or CIDR(column), found ${JSON.stringify(written)}` }])
    if (how.toUpperCase() !== 'EXACT') matchTypes[column] = how.toLowerCase() as LookupMatch
  }
  return {
    file,
    name,
    content: {
      kind: 'settings',
      csv: isStore ? null : filename ?? `${basename(file, extname(file))}.csv`,
      columns: settings.fields ?? settings.fields_list ?? [],
      matchTypes,
      caseSensitive: settings.case_sensitive_match ?? true,
      maxMatches: settings.max_matches ?? DEFAULT_MAX_MATCHES,
      minMatches: settings.min_matches ?? 0,
      defaultMatch: settings.default_match ?? null,
    },
    errors: [],
    warnings: isStore ? [{ ...yaml.placeOf(['name']), message: 'collections of a KV store are not kept: the lookup is empty' }] : [],
  }
}

/**
 * The lookups of files, the last of a name over those before it, with what is wrong between them. A CSV file is called by its name,
 * with and without its ending; settings are called by their own.
 */
export function toLookups (files: readonly LookupFile[]): { lookups: ReadonlyMap<string, LookupTable>, files: readonly LookupFile[] } {
  const tables = new Map<string, Table>()
  for (const { file, content } of files) if (content?.kind === 'table') tables.set(file, content)
  const lookups = new Map<string, LookupTable>()
  for (const [file, { columns, rows }] of tables) {
    const table = withHash({ columns, rows, matchTypes: {}, caseSensitive: true, maxMatches: DEFAULT_MAX_MATCHES, minMatches: 0, defaultMatch: null })
    lookups.set(basename(file), table).set(basename(file, extname(file)), table)
  }
  const checked = files.map(one => {
    if (one.content?.kind !== 'settings') return one
    const { kind, csv, columns, ...settings } = one.content
    const table = csv === null ? { columns, rows: [] } : tableOf(tables, dirname(one.file), csv)
    if (table === undefined) return { ...one, errors: [{ ...START, message: `${one.name}: there is no file ${csv} that can be read` }] }
    lookups.set(one.name!, withHash({ ...settings, columns: table.columns, rows: table.rows }))
    return one
  })
  return { lookups, files: checked }
}

/** The file beside the settings, else one of that name in any folder: an app has them apart. */
function tableOf (tables: ReadonlyMap<string, Table>, folder: string, csv: string): Table | undefined {
  const found = [...tables].filter(([file]) => basename(file) === basename(csv))
  return (found.find(([file]) => dirname(file) === folder) ?? found.at(-1))?.[1]
}

function withHash (table: Omit<LookupTable, 'hash'>): LookupTable {
  const { columns, rows, matchTypes, caseSensitive, maxMatches, minMatches, defaultMatch } = table
  return { ...table, hash: createHash('sha256').update(JSON.stringify([columns, rows, Object.entries(matchTypes).sort(), caseSensitive, maxMatches, minMatches, defaultMatch])).digest('hex') }
}
