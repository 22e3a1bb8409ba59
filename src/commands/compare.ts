import { resolve } from 'node:path'
import { ApiError, CLIENT_OPTIONS, toApiClient } from './api-client.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { formatComparison } from './compare-text.js'
import { compareRows, NoCommonColumnError } from './comparison.js'
import { formatJson } from './json.js'
import { parseOptions } from './options.js'
import { CsvFileError, readSplunkCsv } from './splunk-csv.js'

export const usage = `hecate compare DETECTION ROWS.csv --earliest TIME --latest TIME [--url URL] [--key KEY] [--format text|json]

  Puts the rows that Splunk gave for a detection, exported as CSV, beside those that Hecate gives for
  every slot whose window lies between earliest and latest: the same, different, only there, only
  here, each with the most probable reason (docs/compare.md).

    --url URL         of the running server (http://127.0.0.1:8088)
    --key KEY         an API key: env:NAME, file:PATH or the text; else HECATE_API_KEY
    --earliest TIME   epoch seconds, RFC 3339 or a time modifier such as -7d@d; --latest alike

  Exit code 0 when all rows are the same, 1 when some are not, 2 when they could not be compared.
`

const OPTIONS = {
  earliest: { type: 'string' },
  latest: { type: 'string' },
  ...CLIENT_OPTIONS,
  format: { type: 'string' },
} as const

/** Compares Splunk's rows with ours, as a client of a running server. */
export async function compare (context: CommandContext): Promise<number> {
  const { values, positionals } = parseOptions(context.args, OPTIONS)
  const [id, file, ...others] = positionals
  if (id === undefined || file === undefined || others.length > 0) throw new UsageError('say what to compare: hecate compare DETECTION ROWS.csv --earliest TIME --latest TIME')
  const { earliest, latest, format = 'text' } = values
  if (earliest === undefined || latest === undefined) throw new UsageError('--earliest and --latest say which range of time to compare')
  if (format !== 'text' && format !== 'json') throw new UsageError('--format is text or json')
  const api = toApiClient(values, context)
  try {
    const csv = await readSplunkCsv(resolve(context.cwd, file))
    const comparison = await compareRows(api, id, { earliest, latest }, csv)
    context.stdout.write(format === 'json' ? formatJson(comparison) : formatComparison(comparison))
    return comparison.differences.length === 0 ? 0 : 1
  } catch (error) {
    if (!(error instanceof CsvFileError || error instanceof ApiError || error instanceof NoCommonColumnError)) throw error
    throw new UsageError(error.message, { cause: error })
  }
}
