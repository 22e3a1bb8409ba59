import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import type { z } from 'zod'
import { BackfillRow, BackfillView } from '../api/backfills.js'
import { pageOf } from '../api/query.js'
import { durationText } from '../detect/change.js'
import { escapeControls } from '../spl/errors.js'
import type { ApiClient } from './api-client.js'
import { ApiError, CLIENT_OPTIONS, openApiClient, toClientOptions } from './api-client.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { escapeJson } from './json.js'
import { parseOptions } from './options.js'
import { openProgress } from './progress.js'

export const usage = `hecate backfill DETECTION --earliest TIME --latest TIME [--dry-run] [--detach] [--url URL] [--key KEY]

  Has a running server evaluate a detection over the past, every slot of its schedule whose window
  lies between earliest and latest, and waits for it (docs/backfill.md). Ctrl-C cancels it.

    --dry-run         writes no finding; prints the rows, a line of JSON each
    --detach          prints the id and doesn't wait
    --url URL         of the running server (http://127.0.0.1:8088)
    --key KEY         an API key of an analyst: env:NAME, file:PATH or the text; else HECATE_API_KEY
    --earliest TIME   epoch seconds, RFC 3339 or a time modifier such as -7d@d; --latest alike

  Exit code 1 when slots failed or it was cancelled.
`

const OPTIONS = {
  earliest: { type: 'string' },
  latest: { type: 'string' },
  'dry-run': { type: 'boolean' },
  detach: { type: 'boolean' },
  ...CLIENT_OPTIONS,
} as const

type Backfill = z.infer<typeof BackfillView>

/** How often it is asked how far it is, and how often that is printed where there is no terminal. */
const ASK_MS = 500
const PRINT_MS = 10_000

/** A server that is started anew goes on with the backfill; so long it is waited for. */
const PATIENCE_MS = 60_000

/** How long the server may take to hear that the backfill is cancelled. */
const CANCEL_WITHIN_MS = 5_000

/** Asks a running server for a backfill, and follows it to its end. */
export async function backfill (context: CommandContext): Promise<number> {
  const { values, positionals: [detection, ...others] } = parseOptions(context.args, OPTIONS)
  if (detection === undefined || others.length > 0) throw new UsageError('say which detection: hecate backfill DETECTION --earliest TIME --latest TIME')
  const { earliest, latest, detach, 'dry-run': isDryRun = false } = values
  if (earliest === undefined || latest === undefined) throw new UsageError('--earliest and --latest say which range of time to evaluate')
  const client = toClientOptions(values, context)
  const say = (text: string) => { context.stderr.write(`hecate backfill: ${escapeControls(text)}\n`) }
  try {
    // Not stopped by the signal: nobody would know the backfill that is to be cancelled.
    const { id, progress: { total } } = await begin(openApiClient({ ...client, signal: new AbortController().signal }), { detection, earliest, latest, dry_run: isDryRun })
    if (detach === true) {
      context.stdout.write(`${id}\n`)
      return 0
    }
    if (!context.stderr.isTTY) context.stderr.write(`${counted(total, 'slot')}; backfill ${escapeControls(id)}\n`)
    const api = openApiClient({ ...client, signal: context.signal })
    const ended = await follow(api, id, context).catch(async (error: unknown) => {
      if (!context.signal.aborted) throw error
      return openApiClient({ ...client, signal: AbortSignal.timeout(CANCEL_WITHIN_MS) }).call(BackfillView, `backfills/${id}/cancel`, {})
    })
    if (isDryRun && ended.state !== 'cancelled') await pipeline(Readable.from(rowLines(api, id)), context.stdout, { end: false })
    const summary = `${describe(ended)}\n`
    if (isDryRun) context.stderr.write(summary)
    else context.stdout.write(summary)
    for (const text of [...ended.warnings, ...ended.error === null ? [] : [ended.error]]) say(text)
    return ended.state === 'succeeded' ? 0 : 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 0 // whoever reads has enough
    if (!(error instanceof ApiError)) throw error
    say(error.message)
    return 1
  }
}

/** Throws UsageError where the server refuses what was asked for. */
async function begin (api: ApiClient, asked: object): Promise<Backfill> {
  try {
    return await api.call(BackfillView, 'backfills', asked)
  } catch (error) {
    if (error instanceof ApiError && error.status !== null && error.status < 500) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** Shows how far it is until it has ended. Throws ApiError where the server is gone for too long. */
async function follow (api: ApiClient, id: string, { stderr, signal }: CommandContext): Promise<Backfill> {
  const progress = openProgress(stderr)
  let isBegun = false
  let seenMs = performance.now()
  let printedMs = seenMs
  try {
    for (;;) {
      const found = await api.call(BackfillView, `backfills/${id}`).catch((error: unknown) => {
        const isPassing = error instanceof ApiError && (error.status === null || error.status >= 500) && performance.now() - seenMs < PATIENCE_MS
        if (signal.aborted || !isPassing) throw error
        return null
      })
      if (found !== null) {
        seenMs = performance.now()
        if (found.finished_at !== null) return found
        if (!isBegun) progress.begin('evaluating', found.progress.total)
        isBegun = true
        progress.at(found.progress.done, describeProgress(found))
        if (!stderr.isTTY && performance.now() - printedMs >= PRINT_MS) {
          printedMs = performance.now()
          stderr.write(`${describeProgress(found)}\n`)
        }
      }
      await setTimeout(ASK_MS, undefined, { signal })
    }
  } finally {
    progress.end()
  }
}

async function * rowLines (api: ApiClient, id: string): AsyncGenerator<string> {
  for (let query = ''; ;) {
    const page = await api.call(pageOf(BackfillRow), `backfills/${id}/rows?limit=1000${query}`)
    for (const row of page.items) yield `${escapeJson(JSON.stringify(row))}\n`
    if (page.next_cursor === null) return
    query = `&cursor=${page.next_cursor}`
  }
}

function describeProgress ({ state, progress: { done, total, slots_per_second: rate, eta_seconds: eta } }: Backfill): string {
  if (state === 'queued') return 'waits for its turn'
  const pace = rate === null || eta === null ? '' : `, ${rate.toLocaleString('en', { maximumFractionDigits: 1 })} a second, ${durationText(eta)} left`
  return `${done.toLocaleString('en')} of ${total.toLocaleString('en')} slots${pace}`
}

function describe ({ id, detection_id: detection, state, dry_run: isDryRun, progress: { done, total }, row_count: rows, findings: { created, throttled, suppressed, revised, gone }, started_at: startedAt, finished_at: finishedAt }: Backfill): string {
  const slots = state === 'cancelled' ? `cancelled after ${done.toLocaleString('en')} of ${total.toLocaleString('en')} slots` : counted(done, 'slot')
  const seconds = startedAt === null || finishedAt === null ? 0 : (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000
  const given = isDryRun ? counted(rows, 'row') : `${counted(created, 'finding')} created, ${throttled > 0 ? `${throttled.toLocaleString('en')} throttled, ` : ''}${suppressed > 0 ? `${suppressed.toLocaleString('en')} suppressed, ` : ''}${revised.toLocaleString('en')} revised, ${gone.toLocaleString('en')} gone`
  return `${escapeControls(detection)}: ${slots} in ${seconds.toFixed(1)} s; ${given} (backfill ${escapeControls(id)})`
}

function counted (count: number, what: string): string {
  return `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`
}
