import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { z } from 'zod'
import { Coverage, CoverageLines } from '../api/coverage.js'
import { HARMLESS_CAUSES } from '../detect/coverage.js'
import { lengthText, nameCause } from '../detect/coverage-text.js'
import { escapeControls } from '../spl/errors.js'
import type { ApiClient } from './api-client.js'
import { ApiError, CLIENT_OPTIONS, toApiClient } from './api-client.js'
import type { CommandContext, Output } from './command.js'
import { UsageError } from './command.js'
import type { TerminalStyle } from './coverage-calendar.js'
import { openCalendar } from './coverage-calendar.js'
import { formatJson } from './json.js'
import { parseOptions } from './options.js'

export const usage = `hecate coverage [DETECTION]… [--earliest TIME] [--latest TIME] [--format calendar|csv|json] [--url URL] [--key KEY]

  Shows which windows of a detection were evaluated, and every stretch of event time that was not,
  with its cause (docs/coverage.md). Without a DETECTION it shows all.

    --url URL         of the running server (http://127.0.0.1:8088)
    --key KEY         an API key: env:NAME, file:PATH or the text; else HECATE_API_KEY
    --earliest TIME   epoch seconds, RFC 3339 or a time modifier such as -7d@d (24 hours before latest);
    --latest TIME     alike (now)
    --format          calendar; csv has a line for each slot; json the totals and all gaps

  Exit code 0 when all event time is covered, 1 when there are gaps (what is not due yet and what was
  before the first slot are none), 2 when that could not be found out.
`

const OPTIONS = {
  earliest: { type: 'string' },
  latest: { type: 'string' },
  format: { type: 'string' },
  ...CLIENT_OPTIONS,
} as const

type Reply = z.infer<typeof Coverage>
type Whole = Required<Reply>
interface Range { readonly earliest?: string | undefined, readonly latest?: string | undefined }

/** Slots that the API gives at a time. */
const PAGE = '1000'

/** Gaps of one detection that a terminal shows. */
const MAX_SHOWN = 20

const DEFAULT_WIDTH = 80

/** Shows coverage, as a client of a running server. */
export async function coverage (context: CommandContext): Promise<number> {
  const { values, positionals } = parseOptions(context.args, OPTIONS)
  const { earliest, latest, format = 'calendar' } = values
  if (format !== 'calendar' && format !== 'csv' && format !== 'json') throw new UsageError('--format is calendar, csv or json')
  const api = toApiClient(values, context)
  try {
    const { ids, range } = positionals.length > 0 ? { ids: positionals, range: { earliest, latest } } : await allDetections(api, { earliest, latest })
    return await write(api, ids, range, format, context) ? 0 : 1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return 2 // whoever reads has seen enough; the rest may have gaps
    if (error instanceof ApiError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** Whether all is covered of all that was written. */
async function write (api: ApiClient, ids: readonly string[], asked: Range, format: 'calendar' | 'csv' | 'json', context: CommandContext): Promise<boolean> {
  let range = asked
  let isCovered = true
  async function * firstPages (limit: string): AsyncGenerator<Whole> {
    for (const id of ids) {
      const first = await readPage(api, id, range, { limit }) as Whole
      range = first.window // relative times mean the same for all
      isCovered &&= !hasGaps(first)
      yield first
    }
  }
  const text = format === 'calendar'
    ? toCalendars(api, firstPages(PAGE), styleOf(context))
    : format === 'json' ? toJson(firstPages('1')) : fitFor(context.stdout, toCsv(api, firstPages('1')))
  await pipeline(Readable.from(text), context.stdout, { end: false })
  return isCovered
}

/** The range is as times then: relative ones mean the same for all calls. */
async function allDetections (api: ApiClient, range: Range): Promise<{ ids: string[], range: Range }> {
  const ids: string[] = []
  let resolved = range
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: z.infer<typeof CoverageLines> = await api.call(CoverageLines, `coverage?${toQuery({ ...resolved, limit: '50', cursor })}`)
    ids.push(...page.items.map(({ detection_id: id }) => id))
    resolved = { earliest: page.earliest, latest: page.latest }
    cursor = page.next_cursor
  }
  return { ids, range: resolved }
}

async function readPage (api: ApiClient, id: string, range: Range, page: { readonly limit: string, readonly cursor?: string }): Promise<Reply> {
  return api.call(Coverage, `${pathOf(id)}?${toQuery({ ...range, ...page })}`)
}

function pathOf (id: string): string {
  return `detections/${encodeURIComponent(id)}/coverage`
}

function toQuery (values: Readonly<Record<string, string | undefined>>): string {
  return new URLSearchParams(Object.entries(values).flatMap(([name, value]): [string, string][] => value === undefined ? [] : [[name, value]])).toString()
}

async function * toCalendars (api: ApiClient, pages: AsyncIterable<Whole>, style: TerminalStyle): AsyncGenerator<string> {
  let before = ''
  for await (const first of pages) {
    const text = (await formatCoverage(api, first, style)).join('\n')
    yield `${before}${style.isUnicode ? text : text.replace(/\P{ASCII}/gu, '?')}\n`
    before = '\n'
  }
}

async function * toJson (pages: AsyncIterable<Whole>): AsyncGenerator<string> {
  const all: Omit<Whole, 'slots'>[] = []
  for await (const { slots, ...rest } of pages) all.push(rest)
  yield formatJson(all)
}

async function * toCsv (api: ApiClient, pages: AsyncIterable<Whole>): AsyncGenerator<string> {
  let isFirst = true
  for await (const { detection_id: id, window } of pages) {
    const text = api.text(`${pathOf(id)}?${toQuery({ ...window, format: 'csv' })}`)
    yield * isFirst ? text : withoutFirstLine(text)
    isFirst = false
  }
}

/** A file gets every byte. On a terminal nothing of it acts. */
async function * fitFor ({ isTTY }: Output, text: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const part of text) yield isTTY ? part.split('\n').map(line => escapeControls(line.replace(/\r$/, ''))).join('\n') : part
}

async function * withoutFirstLine (text: AsyncIterable<string>): AsyncGenerator<string> {
  let begun: string | null = ''
  for await (const part of text) {
    if (begun === null) {
      yield part
      continue
    }
    begun += part
    const end = begun.indexOf('\n')
    if (end < 0) continue
    yield begun.slice(end + 1)
    begun = null
  }
}

function hasGaps ({ totals }: Whole): boolean {
  return Object.entries(totals.gaps).some(([cause, { count }]) => count > 0 && !HARMLESS_CAUSES.has(cause as keyof typeof totals.gaps))
}

function styleOf ({ stdout, env }: CommandContext): TerminalStyle {
  return {
    width: stdout.columns ?? DEFAULT_WIDTH,
    isUnicode: /utf-?8/i.test([env.LC_ALL, env.LC_CTYPE, env.LANG].find(value => value !== undefined && value !== '') ?? ''),
    isColoured: stdout.isTTY === true && (env.NO_COLOR ?? '') === '',
  }
}

async function formatCoverage (api: ApiClient, first: Whole, style: TerminalStyle): Promise<string[]> {
  const { detection_id: id, time_zone: timeZone, window, summary, gaps, more_gaps: moreGaps, kept_after: keptAfter } = first
  const spanDays = (Date.parse(window.latest) - Date.parse(window.earliest)) / 86_400_000
  const calendar = openCalendar(timeZone, first.slots.items, spanDays, style, keptAfter)
  for (let page: Reply = first; ; page = await readPage(api, id, window, { limit: PAGE, cursor: page.slots.next_cursor })) {
    for (const slot of page.slots.items) calendar.add(slot)
    if (page.slots.next_cursor === null) break
  }
  const lines = calendar.toLines()
  const more = Math.max(0, gaps.length - MAX_SHOWN) + moreGaps
  return [
    `${escapeControls(id)}, slots by scheduled time, ${timeZone}`,
    ...lines.length > 0 ? ['', ...lines] : [],
    ...gaps.length > 0 ? ['', ...gaps.slice(0, MAX_SHOWN).map(formatGap)] : [],
    ...more > 0 ? [`  and ${more.toLocaleString('en')} more; --format json lists ${moreGaps > 0 ? 'more' : 'all'}`] : [],
    '',
    summary,
  ]
}

function formatGap ({ earliest, latest, seconds, cause, waived }: Whole['gaps'][number]): string {
  const short = (time: string) => time.replace('.000Z', 'Z')
  const said = waived === null ? '' : ` by ${escapeControls(waived.by)}: ${escapeControls(waived.reason)}`
  return `  ${short(earliest)} to ${short(latest)}  ${lengthText(seconds).padEnd(11)}  ${nameCause(cause)}${said}`
}
