import { useEffect, useMemo, useState } from 'preact/hooks'
import type { Coverage, CoverageLine, CoverageSlot, Event, Finding, LedgerSlot, PageOf, RiskObject, Severity, Source } from '../api-types.js'
import { SEVERITIES, SeverityBadge } from '../components/badge.js'
import { Card } from '../components/card.js'
import { Chart } from '../components/chart.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, Loading } from '../components/empty-state.js'
import { Welcome } from '../components/welcome.js'
import type { QueryState } from '../query.js'
import { useQuery } from '../query.js'
import { sourceName } from '../source.js'
import { countOf, numberText, Visible, words } from '../text.js'
import { durationText, Time, timeText, useNow } from '../time.js'
import { usePreferences } from '../preferences.js'

const POLL_MS = 30_000
const OPEN = ['new', 'in_progress', 'pending'] as const
const DAY_S = 86_400
const HOUR_S = 3_600

/** Of a list that is added up here; where there are more, the page says so. */
const MAX_LISTED = 1000
const MAX_SILENT = 10

type Counts = Readonly<Record<Severity, PageOf<Finding>>>

/** How soon the page sees the first event. */
const FIRST_EVENT_MS = 2_000

/** Are we watching, and what was found? Before there is anything to watch: how it gets here. */
export function HomePage () {
  const [hasEvents, setHasEvents] = useState(false)
  const { value, error, refresh } = useQuery<PageOf<Event>>('/events', { query: { limit: 1 }, ...hasEvents ? {} : { pollMs: FIRST_EVENT_MS } })
  useEffect(() => { if (value !== undefined && value.items.length > 0) setHasEvents(true) }, [value])
  return (
    <>
      <h1>Home</h1>
      {hasEvents || (value === undefined ? error !== null : value.items.length > 0)
        ? <Overview />
        : value === undefined ? <Loading /> : <Welcome error={error} onRetry={refresh} />}
    </>
  )
}

function Overview () {
  const critical = useOpen('critical')
  const high = useOpen('high')
  const medium = useOpen('medium')
  const low = useOpen('low')
  const informational = useOpen('informational')
  const states = { critical, high, medium, low, informational }
  const counts = SEVERITIES.every(severity => states[severity].value !== undefined)
    ? Object.fromEntries(SEVERITIES.map(severity => [severity, states[severity].value!])) as Counts
    : undefined
  const recent = useQuery<PageOf<Finding>>('/findings', { query: { earliest: '-24h', limit: MAX_LISTED }, pollMs: POLL_MS })
  const risk = useQuery<PageOf<RiskObject>>('/risk-objects', { query: { limit: 8 }, pollMs: POLL_MS })
  const coverage = useQuery<PageOf<CoverageLine>>('/coverage', { query: { limit: MAX_LISTED }, pollMs: 2 * POLL_MS })
  const sources = useQuery<PageOf<Source>>('/sources', { query: { limit: MAX_LISTED, count: 'exact' }, pollMs: POLL_MS })
  const silent = useQuery<PageOf<Source>>('/sources', { query: { silent: 'true', limit: MAX_SILENT, count: 'exact' }, pollMs: POLL_MS })
  const owed = useQuery<PageOf<LedgerSlot>>('/ledger', { query: { state: 'owed', limit: MAX_LISTED }, pollMs: POLL_MS })
  const failed = useQuery<PageOf<LedgerSlot>>('/ledger', { query: { state: 'failed', limit: MAX_LISTED }, pollMs: POLL_MS })

  return (
    <>
      <Answer counts={counts} sources={sources.value} silent={silent.value} coverage={coverage.value} owed={owed.value} failed={failed.value} />
      <div class='tiles'>
        {SEVERITIES.map(severity => (
          <a key={severity} class={`tile ${severity}`} href={`/findings?${new URLSearchParams([...OPEN.map(status => ['status', status]), ['severity', severity]])}`}>
            <SeverityBadge severity={severity} />
            <span class='tile-number'>{states[severity].value?.total?.toLocaleString('en') ?? (states[severity].error === null ? '…' : '?')}</span>
            <span class='muted'>open</span>
          </a>
        ))}
      </div>
      <div class='grid'>
        <Card title='Risk, last 24 hours' wide state={recent}>{page => <RiskTimeline page={page} />}</Card>
        <Card title='Top risk objects' state={risk} link={{ to: '/risk', text: 'All risk objects' }}>{page => <TopRisk page={page} />}</Card>
        <Card title='Coverage, last 24 hours' wide state={coverage} link={{ to: '/detections', text: 'Detections' }}>{page => <CoverageStrips page={page} />}</Card>
        <div class='stack'>
          <Card title='Ingest, last 24 hours' state={sources} link={{ to: '/sources', text: 'Sources' }}>{page => <Ingest page={page} />}</Card>
          <Card title='Silent sources' state={silent} link={{ to: '/sources?silent=true', text: 'All silent' }}>{page => <Silent page={page} />}</Card>
          <Card title='Owed windows' state={owed} link={{ to: '/operations?tab=ledger', text: 'Owed and failed' }}>{page => <Owed owed={page} failed={failed.value} />}</Card>
        </div>
      </div>
    </>
  )
}

function useOpen (severity: Severity): QueryState<PageOf<Finding>> {
  return useQuery<PageOf<Finding>>('/findings', { query: { status: OPEN, severity, count: 'exact', limit: 1 }, pollMs: POLL_MS })
}

/** Gaps that nobody need worry about: src/detect/coverage.ts. */
const HARMLESS = new Set(['not_due_yet', 'before_first_enabled'])

/** What of the last 24 hours no evaluation has seen, and should have. */
function gapSeconds ({ totals }: CoverageLine): number {
  return Object.entries(totals.gaps).reduce((sum, [cause, gap]) => HARMLESS.has(cause) ? sum : sum + gap.seconds, 0)
}

/** The whole page in a sentence. */
function Answer ({ counts, sources, silent, coverage, owed, failed }: { counts: Counts | undefined, sources: PageOf<Source> | undefined, silent: PageOf<Source> | undefined, coverage: PageOf<CoverageLine> | undefined, owed: PageOf<LedgerSlot> | undefined, failed: PageOf<LedgerSlot> | undefined }) {
  const now = useNow()
  if (counts === undefined || sources === undefined || silent === undefined || coverage === undefined || owed === undefined || failed === undefined) return <p class='answer neutral' role='status'>Looking…</p>
  const silentCount = silent.total ?? silent.items.length
  const watched = coverage.items.filter(({ totals }) => totals.slots > 0)
  const withGaps = watched.filter(line => gapSeconds(line) > 0)
  const late = owed.items.filter(({ scheduled_time: at }) => now - Date.parse(at) > 5 * 60_000)
  const trouble = [
    ...sources.items.length === 0 ? ['no events have come in'] : [],
    ...watched.length === 0 ? ['no detection has run'] : [],
    ...silentCount > 0 ? [`${countOf(silentCount, 'source is', 'sources are')} silent`] : [],
    ...withGaps.length > 0 ? [`${countOf(withGaps.length, 'detection has', 'detections have')} gaps${coverage.next_cursor === null ? '' : ', and not all were looked at'}`] : [],
    ...late.length > 0 ? [`${atLeast(late.length === owed.items.length ? owed : null)}${countOf(late.length, 'window is', 'windows are')} owed for more than 5 minutes`] : [],
    ...failed.items.length > 0 ? [`${atLeast(failed)}${countOf(failed.items.length, 'run has', 'runs have')} failed`] : [],
  ]
  const open = SEVERITIES.map(severity => ({ severity, count: counts[severity].total ?? 0 }))
  const sum = open.reduce((total, { count }) => total + count, 0)
  const worst = open.find(({ count }) => count > 0)
  const isBlind = sources.items.length === 0 || watched.length === 0
  const watching = trouble.length === 0
    ? `We are watching: ${countOf(watched.length, 'detection')} over ${countOf(sources.total ?? sources.items.length, 'source')}, without gaps in the last 24 hours.`
    : `${isBlind ? 'We are not watching' : 'We are watching, but not everything'}: ${trouble.join(', ')}.`
  const foundText = worst === undefined
    ? 'No finding is open.'
    : `${countOf(sum, 'finding is', 'findings are')} open${sum === 1 ? `, of severity ${worst.severity}` : `; the worst are ${worst.severity}: ${worst.count.toLocaleString('en')}`}.`
  return <p class={`answer ${isBlind ? 'bad' : trouble.length > 0 ? 'warn' : 'good'}`} role='status'><span aria-hidden='true' class='answer-mark'>{isBlind ? '✕' : trouble.length > 0 ? '!' : '✓'}</span><span>{watching} <b>{foundText}</b></span></p>
}

/** Says of a list that has a next page that there are more. */
const atLeast = (page: PageOf<unknown> | null) => page === null || page.next_cursor === null ? '' : 'at least '

function RiskTimeline ({ page: { items, next_cursor: more } }: { page: PageOf<Finding> }) {
  const now = useNow()
  const { times, scores, counts } = useMemo(() => {
    const end = Math.floor(now / 1000 / HOUR_S) * HOUR_S + HOUR_S
    const hours = Array.from({ length: DAY_S / HOUR_S }, (_, n) => end - DAY_S + n * HOUR_S)
    const at = (n: number) => items.filter(({ time }) => time >= hours[n]! && time < hours[n]! + HOUR_S)
    return { times: hours, scores: hours.map((_, n) => at(n).reduce((sum, { risk }) => sum + risk.score, 0)), counts: hours.map((_, n) => at(n).length) }
  }, [items, now])
  const series = useMemo(() => [{ label: 'risk score', values: scores, color: '--accent', kind: 'bars' as const }], [scores])
  const sum = scores.reduce((total, one) => total + one, 0)
  if (items.length === 0) return <EmptyState title='Nothing was found in the last 24 hours'>Findings of before are in <a href='/findings'>the list</a>.</EmptyState>
  return (
    <>
      <Chart label={`Risk score by hour: ${sum} in all, of ${counts.reduce((total, one) => total + one, 0)} findings`} times={times} series={series} height={170} />
      <p class='muted small-text'>Sum of the risk scores of findings, by hour of event time{more === null ? '' : `; only the newest ${MAX_LISTED.toLocaleString('en')} findings are added up`}.</p>
    </>
  )
}

function TopRisk ({ page: { items } }: { page: PageOf<RiskObject> }) {
  if (items.length === 0) return <EmptyState title='No risk in the last 24 hours' />
  const highest = Math.max(...items.map(({ score }) => score), 1)
  return (
    <ul class='bars'>
      {items.map(({ type, key, value, score, findings }) => (
        <li key={`${type} ${key}`}>
          <a href={`/risk?${new URLSearchParams({ type, key })}`}><Visible text={value} /></a>
          <span class='muted'>{type} · {countOf(findings, 'finding')}</span>
          <b class='number'>{numberText(score)}</b>
          <span class='bar' style={{ width: `${100 * score / highest}%` }} aria-hidden='true' />
        </li>
      ))}
    </ul>
  )
}

/** Detections with a strip of their own; each is a request. */
const MAX_STRIPS = 25

function CoverageStrips ({ page: { items } }: { page: PageOf<CoverageLine> }) {
  const watched = items.filter(({ totals }) => totals.slots > 0).toSorted((a, b) => gapSeconds(b) - gapSeconds(a)) // the worst first: it must be among those that are drawn
  const idle = items.length - watched.length
  if (watched.length === 0) return <EmptyState title='No slot of a detection was due in the last 24 hours'>{idle > 0 && <>{countOf(idle, 'detection')} {idle === 1 ? 'is' : 'are'} there. Enable one, and its slots appear here.</>}</EmptyState>
  return (
    <>
      <ul class='strips'>{watched.slice(0, MAX_STRIPS).map(line => <Strip key={line.detection_id} line={line} />)}</ul>
      <p class='muted small-text strip-legend'><Key state='done' /> <Key state='owed' /> <Key state='failed' /> <Key state='waived' /> <Key state='missing' /> <span class='legend'><span class='slot no-slot' aria-hidden='true' />no slot</span>{watched.length > MAX_STRIPS && ` ${countOf(watched.length - MAX_STRIPS, 'more detection')} on the page of detections.`}{idle > 0 && ` ${countOf(idle, 'detection')} had no slots.`}</p>
    </>
  )
}

function Key ({ state }: { state: CoverageSlot['state'] }) {
  return <span class='legend'><span class={`slot ${state}`} aria-hidden='true' />{words(state)}</span>
}

function Strip ({ line: { detection_id: id, summary, totals } }: { line: CoverageLine }) {
  const { zone } = usePreferences()
  const state = useQuery<Coverage>(`/detections/${encodeURIComponent(id)}/coverage`, { query: { limit: MAX_LISTED }, pollMs: 2 * POLL_MS })
  const slots = state.value?.slots.items ?? []
  const percent = totals.seconds === 0 ? 0 : 100 * totals.covered_seconds / totals.seconds
  return (
    <li>
      <a href={`/detections/${encodeURIComponent(id)}`} title={summary}>{id}</a>
      <span class='strip' role='img' aria-label={summary}>
        {placesOf(slots, state.value?.window).map(({ slot: { scheduled_time: at, state: became, lateness_seconds: lateness, row_count: rows }, left, width }) => (
          <span key={at} class={`slot ${became}`} style={{ left: `${left}%`, width: `${width}%` }} title={`${timeText(Date.parse(at), zone, 'minutes')}: ${words(became)}${rows === null ? '' : `, ${countOf(rows, 'row')}`}${lateness !== null && lateness > 60 ? `, ${durationText(lateness)} late` : ''}`} />
        ))}
        {state.error !== null && <span class='error-text'>not available</span>}
      </span>
      <span class='number' title='of the last 24 hours, that an evaluation has seen'>{numberText(Math.floor(percent * 10) / 10)} %</span>
    </li>
  )
}

/** Where each slot is in a strip of the whole range, in percent: a slot reaches from the one before it to its own time. */
function placesOf (slots: readonly CoverageSlot[], window: { readonly earliest: string, readonly latest: string } | undefined): { readonly slot: CoverageSlot, readonly left: number, readonly width: number }[] {
  if (window === undefined) return []
  const from = Date.parse(window.earliest)
  const percentOf = (ms: number) => Math.min(100, Math.max(0, 100 * (ms - from) / (Date.parse(window.latest) - from)))
  return slots.map((slot, n) => {
    const at = Date.parse(slot.scheduled_time)
    const before = slots[n - 1]
    const left = percentOf(before === undefined ? Math.max(Date.parse(slot.window.earliest), at - (slots[1] === undefined ? Infinity : Date.parse(slots[1].scheduled_time) - at)) : Date.parse(before.scheduled_time))
    return { slot, left, width: Math.max(percentOf(at) - left, 0.15) }
  })
}

function Ingest ({ page: { items, total, next_cursor: more } }: { page: PageOf<Source> }) {
  if (items.length === 0) return <EmptyState title='No events have come in'>Send some to <code>/services/collector/event</code> with a HEC token.</EmptyState>
  const events = items.reduce((sum, one) => sum + one.events, 0)
  const perHour = items.reduce((sum, one) => sum + one.events_per_hour, 0)
  const lags = items.flatMap(({ lag }) => lag === null ? [] : [lag.p99])
  const lost = items.reduce((sum, one) => sum + one.lost_events, 0)
  return (
    <>
      <dl class='facts'>
        <div><dt>Events</dt><dd>{events.toLocaleString('en')}</dd></div>
        <div><dt>Rate</dt><dd>{perHour < 3_600 ? `${numberText(perHour)}/h` : `${numberText(perHour / 3_600)}/s`}</dd></div>
        <div><dt>Worst lag (p99)</dt><dd>{lags.length === 0 ? '–' : durationText(Math.max(...lags))}</dd></div>
        <div><dt>Sources</dt><dd>{(total ?? items.length).toLocaleString('en')}</dd></div>
        <div><dt>Lost at Tetragon</dt><dd class={lost > 0 ? 'warn-text' : ''}>{lost.toLocaleString('en')}</dd></div>
      </dl>
      {more !== null && <p class='muted small-text'>Of the first {items.length.toLocaleString('en')} sources.</p>}
    </>
  )
}

function Silent ({ page: { items: silent, total = 0 } }: { page: PageOf<Source> }) {
  if (silent.length === 0) return <EmptyState title='No source is silent' />
  return (
    <ul class='lines'>
      {silent.map((source, n) => <li key={n}><span class='cut'><Visible text={sourceName(source)} /></span><Time at={source.last_arrival} relative='only' /></li>)}
      {total > silent.length && <li class='muted'>and {countOf(total - silent.length, 'other')}</li>}
    </ul>
  )
}

function Owed ({ owed, failed }: { owed: PageOf<LedgerSlot>, failed: PageOf<LedgerSlot> | undefined }) {
  const all = [...failed?.items ?? [], ...owed.items]
  const hasMore = owed.next_cursor !== null || (failed?.next_cursor ?? null) !== null
  if (all.length === 0) return <EmptyState title='Nothing is owed'>Every window that was due has been evaluated or waived.</EmptyState>
  return (
    <>
      <p><b>{all.length.toLocaleString('en')}{hasMore ? ' or more' : ''}</b> {all.length === 1 ? 'window waits' : 'windows wait'} for an evaluation.</p>
      <DataTable
        label='Owed windows' rows={all.slice(0, 6)} rowKey={slot => `${slot.detection_id} ${slot.scheduled_time}`}
        columns={[
          { key: 'time', title: 'Slot', render: slot => <Time at={slot.scheduled_time} relative='only' />, width: '6.5rem' },
          { key: 'detection', title: 'Detection', render: slot => <a class='cut' href={`/detections/${encodeURIComponent(slot.detection_id)}`}>{slot.detection_id}</a> },
          { key: 'state', title: 'State', render: slot => words(slot.state), width: '5rem' },
        ]}
      />
    </>
  )
}
