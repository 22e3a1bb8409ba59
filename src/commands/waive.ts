import { Waived } from '../api/ledger.js'
import { ApiError, CLIENT_OPTIONS, toApiClient } from './api-client.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { parseOptions } from './options.js'

export const usage = `hecate waive DETECTION --reason TEXT (--scheduled-time TIME | --earliest TIME --latest TIME) [--url URL] [--key KEY]

  Says that slots that are owed or failed are not to be run, and why: one, or those from earliest on
  and before latest. The ledger keeps who said so, and hecate coverage shows it.

    --url URL         of the running server (http://127.0.0.1:8088)
    --key KEY         an API key of an analyst: env:NAME, file:PATH or the text; else HECATE_API_KEY

  Exit code 1 when there was no such slot, or the server refused.
`

const OPTIONS = {
  'scheduled-time': { type: 'string' },
  earliest: { type: 'string' },
  latest: { type: 'string' },
  reason: { type: 'string' },
  ...CLIENT_OPTIONS,
} as const

/** Waives slots, as a client of a running server. */
export async function waive (context: CommandContext): Promise<number> {
  const { values, positionals } = parseOptions(context.args, OPTIONS)
  const { 'scheduled-time': scheduled, earliest, latest, reason } = values
  const [id, ...others] = positionals
  if (id === undefined || others.length > 0) throw new UsageError('say whose slots: hecate waive DETECTION --reason TEXT --scheduled-time TIME')
  if (reason === undefined || reason === '') throw new UsageError('--reason says why, for whoever looks at the ledger later')
  const isStretch = earliest !== undefined && latest !== undefined && scheduled === undefined
  if (!isStretch && (scheduled === undefined || earliest !== undefined || latest !== undefined)) throw new UsageError('give either --scheduled-time, or --earliest and --latest')
  const api = toApiClient(values, context)
  try {
    const { waived } = await api.call(Waived, `detections/${encodeURIComponent(id)}/waivers`, { reason, ...(isStretch ? { earliest, latest } : { scheduled_time: scheduled }) })
    context.stdout.write(waived === 0 ? 'no slot there is owed or failed\n' : `${waived} ${waived === 1 ? 'slot' : 'slots'} waived\n`)
    return waived === 0 ? 1 : 0
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    context.stderr.write(`hecate waive: ${error.message}\n`)
    return 1
  }
}
