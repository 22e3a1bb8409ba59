import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Finding } from '../finding.js'
import type { Output } from './command.js'
import { escapeJson } from './json.js'
import { formatTable } from './table.js'

const FORMATS = ['ndjson', 'table'] as const
export type FindingFormat = typeof FORMATS[number]

export function isFormat (text: string): text is FindingFormat {
  return (FORMATS as readonly string[]).includes(text)
}

/** So many findings a table; then comes the next one, since the widths of all columns are needed first. */
const TABLE_ROWS = 1_000

/** Writes findings as they come: a line of JSON for each, or tables. Gives how many; whoever reads may go away before the end. */
export async function writeFindings (findings: Iterable<Finding>, format: FindingFormat, stdout: Output): Promise<number> {
  let count = 0
  function * counting () {
    for (const finding of findings) {
      count++
      yield finding
    }
  }
  try {
    await pipeline(Readable.from(format === 'ndjson' ? toLines(counting()) : toTables(counting())), stdout, { end: false })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
  return count
}

function * toLines (findings: Iterable<Finding>): Generator<string> {
  for (const finding of findings) yield `${escapeJson(JSON.stringify(finding))}\n`
}

function * toTables (findings: Iterable<Finding>): Generator<string> {
  let rows: string[][] = []
  const table = () => `${formatTable(['time', 'detection', 'severity', 'score', 'risk objects', 'message'], rows)}\n`
  for (const { time, detection, severity, risk } of findings) {
    rows.push([new Date(time * 1000).toISOString().replace('.000Z', 'Z'), detection.id, severity, String(risk.score), risk.objects.map(({ value }) => value).join('\n'), risk.message ?? ''])
    if (rows.length < TABLE_ROWS) continue
    yield table()
    rows = []
  }
  if (rows.length > 0) yield table()
}
