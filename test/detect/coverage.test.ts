import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Coverage, GapCause } from '../../src/detect/coverage.js'
import { GAP_CAUSES, MAX_GAPS } from '../../src/detect/coverage.js'
import type { Schedule } from '../../src/detection.js'
import type { Window } from '../../src/event.js'
import type { Outcome, WrittenLedger, WrittenPeriod } from '../fixtures/ledger.js'
import { openWrittenLedgers } from '../fixtures/ledger.js'

const MINUTE_US = 60_000_000
const at = (time: string) => Date.parse(time.includes('T') ? time : `2026-03-10T${time}:00Z`)

const HOURLY: Schedule = { cron: '0 * * * *', earliest: '-60m', latest: 'now' }
const OVERLAPPING: Schedule = { cron: '0 * * * *', earliest: '-130m', latest: '-10m' }
const SHORT: Schedule = { cron: '0 * * * *', earliest: '-20m', latest: 'now' }
const HALF_HOURLY: Schedule = { cron: '*/30 * * * *', earliest: '-30m', latest: 'now' }
const DAILY: Schedule = { cron: '30 2 * * *', earliest: '-1d@d', latest: '@d' }

const always = (schedule: Schedule): WrittenPeriod[] => [{ fromMs: at('2026-03-09T06:30:00Z'), toMs: null, schedule }]
const became = (outcomes: Readonly<Record<string, Outcome>>) => (slotMs: number) => Object.entries(outcomes).find(([time]) => at(time) === slotMs)?.[1]
const waivedBy = (by: string, reason: string): Outcome => ({ state: 'waived', waived_by: by, waived_reason: reason, waived_ms: 1 })

interface Case extends Omit<WrittenLedger, 'nowMs'> {
  readonly what: string
  readonly now?: string
  /** Where the clock has gone back since the slots came into the ledger. */
  readonly asked?: string
  readonly range: readonly [string, string]
  /** Each as `from to cause`. */
  readonly gaps: readonly string[]
  readonly totals?: object
}

const CASES: readonly Case[] = [
  { what: 'windows that meet cover all', periods: always(HOURLY), range: ['08:00', '16:00'], gaps: [], totals: { slots: 8, evaluated: 8, states: { done: 8 }, seconds: 28_800, covered_seconds: 28_800 } },
  { what: 'of a range within a window there is one slot', periods: always(HOURLY), range: ['08:10', '08:20'], gaps: [], totals: { slots: 1 } },
  { what: 'an empty range has nothing', periods: always(HOURLY), range: ['08:10', '08:10'], gaps: [], totals: { seconds: 0, covered_seconds: 0 } },
  {
    what: 'before it was first enabled', periods: [{ fromMs: at('09:30'), toMs: null, schedule: HOURLY }], range: ['06:00', '12:00'], gaps: ['06:00 09:00 before_first_enabled'],
    totals: { slots: 3 },
  },
  { what: 'never enabled', periods: [], range: ['06:00', '12:00'], gaps: ['06:00 12:00 before_first_enabled'], totals: { slots: 0 } },
  {
    what: 'disabled, and enabled again',
    periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }, { fromMs: at('12:10'), toMs: null, schedule: HOURLY }],
    range: ['07:00', '15:00'], gaps: ['09:00 12:00 disabled'],
  },
  { what: 'disabled for a moment in which no slot was due', periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }, { fromMs: at('09:40'), toMs: null, schedule: HOURLY }], range: ['07:00', '15:00'], gaps: [] },
  { what: 'disabled to this day', periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }], range: ['07:00', '18:00'], gaps: ['09:00 18:00 disabled'] },
  {
    what: 'enabled for so short a time that no slot came due',
    periods: [{ fromMs: at('06:10'), toMs: at('06:20'), schedule: HOURLY }, { fromMs: at('09:30'), toMs: null, schedule: HOURLY }],
    range: ['05:00', '11:00'], gaps: ['05:00 06:00 before_first_enabled', '06:00 09:00 disabled'],
  },
  { what: 'enabled once, before any slot came due', periods: [{ fromMs: at('06:10'), toMs: at('06:20'), schedule: HOURLY }], range: ['05:00', '11:00'], gaps: ['05:00 06:00 before_first_enabled', '06:00 11:00 disabled'] },
  {
    what: 'a schedule that begins later than the last one ended',
    periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }, { fromMs: at('09:30'), toMs: null, schedule: SHORT }],
    range: ['08:00', '10:00'], gaps: ['09:00 09:40 schedule_edit'],
  },
  {
    what: 'a schedule that meets the last one',
    periods: [{ fromMs: at('06:30'), toMs: at('09:17'), schedule: HOURLY }, { fromMs: at('09:17'), toMs: null, schedule: HALF_HOURLY }],
    range: ['07:00', '12:00'], gaps: [], totals: { slots: 2 + 6 },
  },
  {
    what: 'three edits within an hour',
    periods: [
      { fromMs: at('06:30'), toMs: at('09:05'), schedule: HOURLY }, { fromMs: at('09:05'), toMs: at('09:06'), schedule: DAILY },
      { fromMs: at('09:06'), toMs: at('09:40'), schedule: HALF_HOURLY }, { fromMs: at('09:40'), toMs: null, schedule: SHORT },
    ],
    range: ['08:00', '11:00'], gaps: ['09:30 09:40 schedule_edit', '10:00 10:40 window_shorter_than_period'],
  },
  { what: 'windows shorter than the time between them', periods: always(SHORT), range: ['08:00', '10:00'], gaps: ['08:00 08:40 window_shorter_than_period', '09:00 09:40 window_shorter_than_period'], totals: { covered_seconds: 2_400 } },
  {
    what: 'the same windows under another search',
    periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: SHORT }, { fromMs: at('09:30'), toMs: null, schedule: { ...SHORT } }],
    range: ['09:00', '10:00'], gaps: ['09:00 09:40 window_shorter_than_period'],
  },
  { what: 'owed and running', periods: always(HOURLY), outcome: became({ '09:00': { state: 'owed' }, '10:00': { state: 'running' } }), range: ['07:00', '12:00'], gaps: ['08:00 10:00 owed'], totals: { states: { owed: 1, running: 1, done: 3 }, evaluated: 3 } },
  { what: 'failed', periods: always(HOURLY), outcome: became({ '09:00': { state: 'failed', tries: 2 } }), range: ['07:00', '12:00'], gaps: ['08:00 09:00 failed'] },
  {
    what: 'failed and running once more, after it was evaluated', periods: always(HOURLY), range: ['07:00', '12:00'], gaps: [], totals: { states: { failed: 1, running: 1 }, evaluated: 5 },
    outcome: became({ '09:00': { state: 'failed', tries: 1, done_ms: at('09:01'), first_done_ms: at('09:01') }, '10:00': { state: 'running', done_ms: at('10:01'), first_done_ms: at('10:01') } }),
  },
  {
    what: 'waived, by whom and why',
    periods: always(HOURLY), outcome: became({ '09:00': waivedBy('ann', 'load test'), '10:00': waivedBy('ann', 'load test'), '11:00': waivedBy('bob', 'load test') }),
    range: ['07:00', '12:00'], gaps: ['08:00 10:00 waived by ann: load test', '10:00 11:00 waived by bob: load test'],
  },
  {
    what: 'evaluated when events were gone', periods: always(HOURLY), outcome: became({ '09:00': { short: 1 } }), dropped: [
      { earliestUs: at('08:10') * 1000, latestUs: at('08:30') * 1000, nowMs: at('08:59') }, { earliestUs: at('08:20') * 1000, latestUs: at('08:35') * 1000, nowMs: at('09:00') },
      { earliestUs: at('08:50') * 1000, latestUs: at('08:55') * 1000, nowMs: at('09:30') },
    ],
    range: ['07:00', '12:00'], gaps: ['08:10 08:35 data_dropped'], totals: { evaluated: 5, short: 1 },
  },
  { what: 'evaluated when events were gone, nobody knows which', periods: always(HOURLY), outcome: became({ '09:00': { short: 1 } }), range: ['07:00', '12:00'], gaps: ['08:00 09:00 data_dropped'] },
  {
    what: 'evaluated when events were gone, of another part of the window', periods: always({ ...HOURLY, earliest: '-3h' }), outcome: became({ '09:00': { short: 1 }, '08:00': null, '10:00': null, '11:00': null }),
    dropped: [{ earliestUs: at('06:30') * 1000, latestUs: at('07:10') * 1000, nowMs: at('08:59') }], now: '11:30', range: ['07:20', '09:00'], gaps: [],
  },
  { what: 'evaluated before events were gone', periods: always(HOURLY), dropped: [{ earliestUs: 0, latestUs: at('12:00') * 1000, nowMs: at('11:00') }], range: ['07:00', '12:00'], gaps: [] },
  { what: 'not due yet', periods: always(HOURLY), now: '12:20', range: ['10:00', '14:00'], gaps: ['12:00 14:00 not_due_yet'] },
  { what: 'not due yet, of windows with holes between them', periods: always(SHORT), now: '12:20', range: ['11:40', '14:00'], gaps: ['12:00 14:00 not_due_yet'] },
  { what: 'a range that is all to come', periods: always(HOURLY), now: '12:20', range: ['15:00', '16:00'], gaps: ['15:00 16:00 not_due_yet'] },
  {
    what: 'not due yet, just enabled again',
    periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }, { fromMs: at('12:10'), toMs: null, schedule: HOURLY }],
    now: '12:20', range: ['08:00', '14:00'], gaps: ['09:00 12:00 disabled', '12:00 14:00 not_due_yet'],
  },
  { what: 'not due yet, just enabled', periods: [{ fromMs: at('12:10'), toMs: null, schedule: HOURLY }], now: '12:20', range: ['08:00', '14:00'], gaps: ['08:00 12:00 before_first_enabled', '12:00 14:00 not_due_yet'] },
  { what: 'come due this moment, and not in the ledger yet', periods: always(HOURLY), outcome: became({ '12:00': null }), now: '12:00', range: ['10:00', '12:00'], gaps: ['11:00 12:00 owed'], totals: { states: { owed: 1, missing: 0 } } },
  { what: 'a slot that the ledger lacks', periods: always(HOURLY), outcome: became({ '09:00': null }), range: ['07:00', '12:00'], gaps: ['08:00 09:00 missing'], totals: { slots: 5, states: { missing: 1 }, evaluated: 4 } },
  {
    what: 'far behind the range a slot that the ledger lacks', now: '2026-03-12T00:00:00Z',
    periods: [{ fromMs: at('06:30'), toMs: at('08:01'), schedule: HOURLY }, { fromMs: at('08:01'), toMs: at('2026-03-11T03:00:00Z'), schedule: { ...SHORT, cron: DAILY.cron } }],
    outcome: became({ '2026-03-11T02:30:00Z': null }), range: ['07:00', '08:30'], gaps: ['08:00 08:30 schedule_edit'],
  },
  { what: 'the last slot that a period lacks', periods: [{ fromMs: at('06:30'), toMs: at('09:30'), schedule: HOURLY }], outcome: became({ '09:00': null }), range: ['07:00', '12:00'], gaps: ['08:00 09:00 missing', '09:00 12:00 disabled'] },
  { what: 'overlapping windows: another slot covers a stretch', periods: always(OVERLAPPING), outcome: became({ '09:00': { state: 'failed' }, '12:00': { state: 'owed' }, '13:00': { state: 'waived', waived_by: 'a', waived_reason: 'b' } }), now: '14:30', range: ['06:00', '12:50'], gaps: ['10:50 11:50 owed'] },
  { what: 'a stretch that is failed, owed and waived is failed', periods: always({ ...HOURLY, earliest: '-3h' }), outcome: became({ '09:00': waivedBy('a', 'b'), '10:00': { state: 'failed' }, '11:00': { state: 'owed' }, '12:00': { state: 'owed' }, '13:00': { state: 'owed' } }), now: '13:30', range: ['07:00', '13:00'], gaps: ['08:00 10:00 failed', '10:00 13:00 owed'] },
  {
    what: 'what somebody ran by hand covers nothing, a backfill does',
    periods: [{ fromMs: at('09:30'), toMs: null, schedule: HOURLY }], others: [{ slotMs: at('07:00'), origin: 'manual' }, { slotMs: at('08:00'), origin: 'backfill' }],
    range: ['06:00', '11:00'], gaps: ['06:00 07:00 before_first_enabled', '08:00 09:00 before_first_enabled'], totals: { manual: 1, slots: 3, evaluated: 3 },
  },
  {
    what: 'a day of 23 hours', timeZone: 'Europe/Berlin', periods: [{ fromMs: at('2026-03-01T00:30:00Z'), toMs: null, schedule: HOURLY }], now: '2026-04-01T00:00:00Z',
    range: ['2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z'], gaps: [], totals: { slots: 23, evaluated: 23 },
  },
  {
    what: 'a day of 25 hours, of which one window is a day', timeZone: 'Europe/Berlin', periods: [{ fromMs: at('2026-10-01T00:30:00Z'), toMs: null, schedule: DAILY }], now: '2026-11-01T00:00:00Z',
    range: ['2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'], gaps: [], totals: { slots: 1, seconds: 90_000, covered_seconds: 90_000 },
  },
  {
    what: 'a day of 25 hours', timeZone: 'Europe/Berlin', periods: [{ fromMs: at('2026-10-01T00:30:00Z'), toMs: null, schedule: HOURLY }], now: '2026-11-01T00:00:00Z',
    range: ['2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z'], gaps: [], totals: { slots: 25, evaluated: 25 },
  },
  {
    what: 'the clock was ahead, and went back: slots are there before their time',
    periods: always(HOURLY), outcome: slotMs => slotMs > at('12:20') ? { state: 'owed' } : undefined, now: '15:10', asked: '12:20', range: ['11:00', '17:00'],
    gaps: ['12:00 17:00 not_due_yet'], totals: { states: { not_due: 3, owed: 0, missing: 0 } },
  },
]

const ledgers = openWrittenLedgers(t)

function toText ({ earliestUs, latestUs, cause, waived }: Coverage['gaps'][number]): string {
  const time = (us: number) => new Date(us / 1000).toISOString().replace(/^2026-03-10T(\d\d:\d\d):00.000Z$/, '$1')
  return `${time(earliestUs)} ${time(latestUs)} ${cause}${waived === null ? '' : ` by ${waived.by}: ${waived.reason}`}`
}

t.test('gaps have their causes', async t => {
  for (const { what, now = '2026-03-11T00:00:00Z', asked = now, range, gaps, totals = {}, ...written } of CASES) {
    const id = ledgers.write({ ...written, nowMs: at(now) })
    const window = { earliestUs: at(range[0]) * 1000, latestUs: at(range[1]) * 1000 }

    const coverage = await ledgers.coverage.read(id, window, at(asked))

    t.strictSame(coverage.gaps.map(toText), gaps, what)
    t.match(coverage.totals, totals, what)
  }
})

t.test('of more gaps than anybody can read the first are listed, and all are counted', async t => {
  const [fromMs, minutes] = [at('2026-03-01T00:00:00Z'), MAX_GAPS + 500]
  const nowMs = fromMs + minutes * 60_000
  const id = ledgers.write({ periods: [{ fromMs, toMs: null, schedule: { cron: '* * * * *', earliest: '-30s', latest: 'now' } }], nowMs })

  const { gaps, moreGaps, totals } = await ledgers.coverage.read(id, { earliestUs: fromMs * 1000, latestUs: nowMs * 1000 }, nowMs)

  t.equal(gaps.length, MAX_GAPS)
  t.equal(moreGaps, 500)
  t.match(gaps.at(-1), { earliestUs: (fromMs + (MAX_GAPS - 1) * 60_000) * 1000, cause: 'window_shorter_than_period' })
  t.match(totals, { slots: minutes, evaluated: minutes, covered_seconds: minutes * 30, gaps: { window_shorter_than_period: { count: minutes - 1, seconds: (minutes - 1) * 30 }, before_first_enabled: { count: 1 } } })
})

/** Minute by minute what the gaps should be, from all slots at once: null where it is covered. */
function model ({ periods, nowMs, timeZone, outcome, others, dropped }: Required<WrittenLedger>): (timeUs: number) => GapCause | null {
  interface ModelSlot { readonly slotMs: number, readonly period: WrittenPeriod, readonly window: Window, readonly became: Outcome | undefined, readonly isDue: boolean }
  const scheduleOf = (period: WrittenPeriod) => ledgers.scheduleOf(period.schedule, timeZone)
  const scheduled: ModelSlot[] = []
  for (const period of periods) {
    const { nextSlot, windowOf } = scheduleOf(period)
    let slotMs = nextSlot(period.fromMs)
    for (; slotMs <= Math.min(period.toMs ?? nowMs, nowMs); slotMs = nextSlot(slotMs)) scheduled.push({ slotMs, period, window: windowOf(slotMs), became: outcome(slotMs), isDue: true })
    if (period.toMs === null) scheduled.push({ slotMs, period, window: windowOf(slotMs), became: undefined, isDue: false })
  }
  const last = periods.at(-1)
  const lastMs = Math.max(...scheduled.filter(({ became, isDue }) => isDue && became !== null).map(({ slotMs }) => slotMs))
  const backfilled: ModelSlot[] = last === undefined
    ? []
    : others.filter(({ origin, slotMs }) => origin === 'backfill' && !scheduled.some(slot => slot.slotMs === slotMs && slot.became !== null && slot.isDue))
      .map(({ slotMs, outcome: became = {} }) => ({ slotMs, period: last, window: scheduleOf(last).windowOf(slotMs), became, isDue: true }))
  const isIn = ({ earliestUs, latestUs }: Window, timeUs: number) => earliestUs <= timeUs && timeUs < latestUs

  function ofSlot ({ slotMs, period, window, became }: ModelSlot, timeUs: number): GapCause | null {
    if (became === null) return period.toMs === null && slotMs > lastMs ? 'owed' : 'missing'
    const { state = 'done', short = 0 } = became ?? {}
    if (state === 'owed' && slotMs > nowMs) return 'not_due_yet'
    if (state === 'running') return 'owed'
    if (state === 'owed' || state === 'failed' || state === 'waived') return state
    if (short === 0) return null
    const lost = dropped.filter(one => one.nowMs <= slotMs + 15_000 && one.earliestUs < window.latestUs && one.latestUs > window.earliestUs)
    return lost.length === 0 || lost.some(one => isIn(one, timeUs)) ? 'data_dropped' : null
  }

  function between (before: Pick<ModelSlot, 'slotMs' | 'period'>, after: ModelSlot): GapCause {
    const isSame = JSON.stringify(before.period.schedule) === JSON.stringify(after.period.schedule)
    const isPaused = periods.some(({ toMs }, i) => {
      const untilMs = periods[i + 1]?.fromMs ?? Infinity
      return toMs !== null && untilMs > toMs && toMs < after.slotMs && untilMs > before.slotMs
    })
    if (isSame && (!isPaused || scheduleOf(before.period).nextSlot(before.slotMs) === after.slotMs)) return 'window_shorter_than_period'
    return isPaused ? 'disabled' : 'schedule_edit'
  }

  return timeUs => {
    const causes = [...scheduled.filter(({ isDue }) => isDue), ...backfilled].filter(({ window }) => isIn(window, timeUs)).map(slot => ofSlot(slot, timeUs))
    if (causes.includes(null)) return null
    const [worst] = GAP_CAUSES.filter(cause => causes.includes(cause))
    if (worst !== undefined) return worst
    const [first] = periods
    if (first === undefined) return 'before_first_enabled'
    const firstMs = scheduleOf(first).nextSlot(first.fromMs)
    const begins = scheduled[0] !== undefined && scheduled[0].slotMs < firstMs ? scheduled[0].window : scheduleOf(first).windowOf(firstMs)
    if (timeUs < begins.earliestUs) return 'before_first_enabled'
    const i = scheduled.findIndex(({ window }) => window.latestUs > timeUs)
    if (i < 0) return last!.toMs === null ? 'not_due_yet' : 'disabled'
    const after = scheduled[i]!
    if (!after.isDue && after.window.earliestUs <= timeUs) return 'not_due_yet'
    const cause = between(scheduled[i - 1] ?? { slotMs: first.fromMs, period: first }, after)
    return cause === 'window_shorter_than_period' && !after.isDue && i > 0 ? 'not_due_yet' : cause
  }
}

const SCHEDULES: readonly Schedule[] = ['0 * * * *', '*/30 * * * *', '15 */3 * * *', '30 2 * * *', '7,50 * * * *'].flatMap(cron => (
  [['-60m', 'now'], ['-130m@m', '-10m@m'], ['-20m', 'now'], ['-1d@d', '@d'], ['-3h@h', '@h'], ['+5m', '+20m']].map(([earliest, latest]) => ({ cron, earliest: earliest!, latest: latest! }))
))
const START_MS = at('2026-03-28T12:00:00Z')
const SPAN_MINUTES = 30 * 60

const anOutcome: fc.Arbitrary<Outcome | undefined> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(undefined) },
  fc.constantFrom<Outcome>({ state: 'owed' }, { state: 'failed', tries: 1 }, { state: 'running' }, waivedBy('a', 'b'), waivedBy('b', 'b'), { short: 1 }, null),
)
const aMinute = fc.integer({ min: 0, max: SPAN_MINUTES })
const aLedger = fc.record({
  changes: fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: SPAN_MINUTES * 60 }), fc.option(fc.constantFrom(...SCHEDULES), { freq: 3 })), { maxLength: 6, selector: ([second]) => second }),
  outcomes: fc.array(anOutcome, { minLength: 1, maxLength: 40 }),
  others: fc.uniqueArray(fc.record({ minute: aMinute, origin: fc.constantFrom('manual' as const, 'backfill' as const), outcome: anOutcome.map(one => one ?? {}) }), { maxLength: 4, selector: ({ minute }) => minute }),
  dropped: fc.array(fc.record({ from: aMinute, minutes: fc.integer({ min: 1, max: 300 }), at: aMinute }), { maxLength: 3 }),
  timeZone: fc.constantFrom('UTC', 'Europe/Berlin'),
  nowMinutes: fc.integer({ min: 0, max: 600 }),
  range: fc.tuple(aMinute, fc.integer({ min: 0, max: 900 })),
})

t.test('what is covered and the gaps are the range, and are as a look at every minute says', async () => {
  await fc.assert(fc.asyncProperty(aLedger, async ({ changes, outcomes, others, dropped, timeZone, nowMinutes, range }) => {
    const edges = changes.sort(([a], [b]) => a - b).map(([second, schedule]) => ({ ms: START_MS + second * 1000, schedule }))
    const periods = edges.flatMap(({ ms, schedule }, i) => schedule === null ? [] : [{ fromMs: ms, toMs: edges[i + 1]?.ms ?? null, schedule }])
    const written = {
      periods, timeZone,
      nowMs: Math.max(START_MS, edges.at(-1)?.ms ?? 0) + nowMinutes * 60_000,
      outcome: (slotMs: number) => outcomes[slotMs / 60_000 % outcomes.length],
      others: periods.length === 0 ? [] : others.map(({ minute, ...one }) => ({ slotMs: START_MS + minute * 60_000, ...one })),
      dropped: dropped.map(one => ({ earliestUs: START_MS * 1000 + one.from * MINUTE_US, latestUs: START_MS * 1000 + (one.from + one.minutes) * MINUTE_US, nowMs: START_MS + one.at * 60_000 })),
    }
    const earliestUs = START_MS * 1000 + (range[0] - 600) * MINUTE_US
    const window = { earliestUs, latestUs: earliestUs + range[1] * MINUTE_US }

    const { gaps, totals } = await ledgers.coverage.read(ledgers.write(written), window, written.nowMs)

    const expected = model(written)
    let i = 0
    let uncovered = 0
    for (let timeUs = window.earliestUs; timeUs < window.latestUs; timeUs += MINUTE_US) {
      while (i < gaps.length && gaps[i]!.latestUs <= timeUs) i++
      const gap = gaps[i] !== undefined && gaps[i]!.earliestUs <= timeUs ? gaps[i]! : null
      if (gap !== null) uncovered += 60
      const cause = expected(timeUs)
      if ((gap?.cause ?? null) !== cause) throw new Error(`${new Date(timeUs / 1000).toISOString()} is ${gap?.cause ?? 'covered'}, not ${cause ?? 'covered'}: ${gaps.map(toText).join(', ')}`)
    }
    gaps.forEach(({ earliestUs, latestUs, cause, waived }, i) => {
      const before = gaps[i - 1]
      if (earliestUs >= latestUs || earliestUs < (before?.latestUs ?? window.earliestUs) || latestUs > window.latestUs) throw new Error('gaps overlap')
      if (before !== undefined && before.latestUs === earliestUs && before.cause === cause && before.waived?.by === waived?.by) throw new Error('gaps are one')
    })
    return totals.covered_seconds + uncovered === totals.seconds && gaps.reduce((sum, gap) => sum + (gap.latestUs - gap.earliestUs) / 1e6, 0) === uncovered
  }), { numRuns: Number(process.env.RUNS ?? 150) })
})

t.test('where slots went because of their age all else is as it was, and there it is not kept or what the slots that stay say', async () => {
  await fc.assert(fc.asyncProperty(aLedger, aMinute, async ({ changes, outcomes, others, timeZone, nowMinutes, range }, cutMinute) => {
    const edges = changes.sort(([a], [b]) => a - b).map(([second, schedule]) => ({ ms: START_MS + second * 1000, schedule }))
    const periods = edges.flatMap(({ ms, schedule }, i) => schedule === null ? [] : [{ fromMs: ms, toMs: edges[i + 1]?.ms ?? null, schedule }])
    const nowMs = Math.max(START_MS, edges.at(-1)?.ms ?? 0) + nowMinutes * 60_000
    const id = ledgers.write({
      periods, timeZone, nowMs,
      outcome: (slotMs: number) => outcomes[slotMs / 60_000 % outcomes.length] ?? undefined, // none that is missing
      others: periods.length === 0 ? [] : others.map(({ minute, ...one }) => ({ slotMs: START_MS + minute * 60_000, ...one })),
    })
    const earliestUs = START_MS * 1000 + (range[0] - 600) * MINUTE_US
    const window = { earliestUs, latestUs: earliestUs + range[1] * MINUTE_US }
    const causesOf = ({ gaps }: Coverage) => {
      const causes: (GapCause | null)[] = []
      for (let timeUs = window.earliestUs, i = 0; timeUs < window.latestUs; timeUs += MINUTE_US) {
        while (i < gaps.length && gaps[i]!.latestUs <= timeUs) i++
        causes.push(gaps[i] !== undefined && gaps[i]!.earliestUs <= timeUs ? gaps[i]!.cause : null)
      }
      return causes
    }

    const before = causesOf(await ledgers.coverage.read(id, window, nowMs))
    const removed = ledgers.remove(id, START_MS + cutMinute * 60_000)
    const after = causesOf(await ledgers.coverage.read(id, window, nowMs))

    after.forEach((cause, i) => {
      const timeUs = window.earliestUs + i * MINUTE_US
      const isIn = removed !== undefined && timeUs >= removed.earliest_us && timeUs < removed.latest_us
      const isRight = cause === before[i] || (isIn && (cause === 'not_kept' || (before[i] === null && ['failed', 'owed', 'data_dropped', 'waived'].includes(cause!))))
      if (!isRight) throw new Error(`${new Date(timeUs / 1000).toISOString()} is ${cause ?? 'covered'} and was ${before[i] ?? 'covered'}; ${JSON.stringify(removed)}`)
    })
  }), {
    numRuns: Number(process.env.RUNS ?? 150),
    examples: [
      // The first definition was replaced before its first slot, whose window begins earlier than those of the slots that went.
      [{ changes: [[0, DAILY], [1, HOURLY], [57_600, null]], outcomes: [undefined], others: [], dropped: [], timeZone: 'UTC', nowMinutes: 0, range: [0, 1] }, 901],
      // A slot stays before the first one that went, with a hole between their windows.
      [{ changes: [[0, HOURLY], [3_600, { ...SHORT, cron: '15 */3 * * *' }], [18_900, null]], outcomes: [{ state: 'owed' }, undefined], others: [], dropped: [], timeZone: 'Europe/Berlin', nowMinutes: 0, range: [0, 661] }, 136],
    ],
  })
})
