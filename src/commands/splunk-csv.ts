import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { CsvError, parse } from 'csv-parse'
import { escapeControls, quote } from '../spl/errors.js'

/** The values of each column that has some: none of them is empty. */
export type SplunkRow = ReadonlyMap<string, readonly string[]>

export interface SplunkCsv { readonly columns: readonly string[], readonly rows: readonly SplunkRow[] }

/** A file that is no such CSV; the message names file and line. */
export class CsvFileError extends Error {
  override name = 'CsvFileError'
}

export interface CsvLimits {
  /** Characters of one record, its quotes with it. */
  readonly recordChars: number
  readonly rows: number
  /** Characters of all cells: rows are held in memory. */
  readonly chars: number
}

export const CSV_LIMITS: CsvLimits = { recordChars: 4 << 20, rows: 500_000, chars: 256 << 20 }

/** With a multivalue column `x` Splunk's `outputcsv` writes its values a second time, told apart. */
const MULTIVALUE_PREFIX = '__mv_'

/**
 * Rows as Splunk exports them: a header, cells that may be quoted, a multivalue as lines of one cell or encoded in a column `__mv_…`.
 * Columns that Splunk keeps for itself (`_…`, but for `_time` and `_raw`) are left out. Throws CsvFileError.
 */
export async function readSplunkCsv (path: string, limits: CsvLimits = CSV_LIMITS): Promise<SplunkCsv> {
  const fail = (line: number, what: string): never => { throw new CsvFileError(`${escapeControls(path)}:${line}: ${what}`) }
  const parser = parse({ bom: true, info: true, max_record_size: limits.recordChars, skip_empty_lines: true })
  const reading = pipeline(createReadStream(path), parser)
  reading.catch(() => {}) // the parser's own iteration throws it too
  const rows: SplunkRow[] = []
  let columns: string[] | null = null
  let chars = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[], info: { lines: number } }>) {
      if (columns === null) {
        columns = record
        const twice = columns.find((name, i) => columns!.indexOf(name) !== i)
        if (twice !== undefined) fail(info.lines, `the column ${quote(twice)} is there twice`)
        continue
      }
      chars += record.reduce((sum, cell) => sum + cell.length, 0)
      if (rows.length === limits.rows || chars > limits.chars) fail(info.lines, `more than ${limits.rows} rows or ${limits.chars} characters; export a shorter range of time`)
      rows.push(toRow(columns, record))
    }
  } catch (error) {
    if (error instanceof CsvFileError) throw error
    if (error instanceof CsvError) return fail(Number(error.lines ?? parser.info.lines + 1), describe(error, limits))
    throw new CsvFileError(`${escapeControls(path)}: ${(error as Error).message}`, { cause: error })
  }
  if (columns === null) return fail(1, 'there is no header')
  return { columns: columns.filter(isCompared), rows }
}

function isCompared (column: string): boolean {
  return column !== '' && (!column.startsWith('_') || column === '_time' || column === '_raw')
}

function toRow (columns: readonly string[], record: readonly string[]): SplunkRow {
  const row = new Map<string, readonly string[]>()
  columns.forEach((column, i) => {
    if (!isCompared(column)) return
    const encoded = columns.indexOf(MULTIVALUE_PREFIX + column)
    const values = (encoded < 0 ? null : readMultivalue(record[encoded]!)) ?? record[i]!.split(/\r?\n/)
    const kept = values.filter(value => value !== '')
    if (kept.length > 0) row.set(column, kept)
  })
  return row
}

/** `$a$;$b$`, a dollar sign of a value doubled. Null where the text is no such list, as for a single value. */
function readMultivalue (text: string): string[] | null {
  const values: string[] = []
  let at = 0
  while (text[at] === '$') {
    let value = ''
    for (at++; ; at++) {
      const end = text.indexOf('$', at)
      if (end < 0) return null
      value += text.slice(at, end)
      at = end + 1
      if (text[at] !== '$') break
      value += '$'
    }
    values.push(value)
    if (at === text.length) return values
    if (text[at++] !== ';') return null
  }
  return null
}

function describe ({ code, message }: CsvError, { recordChars }: CsvLimits): string {
  switch (code) {
    case 'CSV_MAX_RECORD_SIZE': return `a row of more than ${recordChars} characters`
    case 'CSV_QUOTE_NOT_CLOSED': return 'a quoted cell that is not closed'
    case 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH': return 'another number of cells than the header has'
    case 'INVALID_OPENING_QUOTE':
    case 'CSV_INVALID_CLOSING_QUOTE': return 'a quote inside a cell that is not doubled'
    default: return escapeControls(message)
  }
}
