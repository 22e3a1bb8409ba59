import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { PageOf, Row, SearchJob, SearchReply } from '../api-types.js'
import type { Api } from '../api.js'
import { isAbort, useApi } from '../api.js'
import { Chart } from '../components/chart.js'
import { Dialog } from '../components/dialog.js'
import { EmptyState, ErrorState } from '../components/empty-state.js'
import { Progress } from '../components/progress.js'
import { Rows } from '../components/rows.js'
import { SaveDialog } from '../components/save-dialog.js'
import { SplEditor, useExplained } from '../components/spl.js'
import { TimeRange } from '../components/time-range.js'
import { useKeys } from '../keys.js'
import { usePreferences } from '../preferences.js'
import { useLatest } from '../query.js'
import { useRouter } from '../router.js'
import { countOf, Visible } from '../text.js'
import { durationText, Time, timeText } from '../time.js'
import type { Past } from '../past-searches.js'
import { MAX_PAST, usePastSearches } from '../past-searches.js'
import { baseOf, useTimeline } from './search-timeline.js'

const DEFAULT_EARLIEST = '-24h'
const LIMITS = [1_000, 10_000] as const

const EXAMPLES: readonly (readonly [search: string, says: string])[] = [
  ['* | stats count BY sourcetype index', 'what comes in'],
  ['process_name IN ("sh", "bash") pod_name=* | table _time cluster_name pod_namespace pod_name process', 'shells in pods'],
  ['* | stats count dc(pod_name) AS pods BY process_name | sort - count | head 20', 'what runs most'],
]

interface Asked { readonly search: string, readonly earliest: string, readonly latest: string, readonly limit: number }

type Run =
  | { readonly state: 'none' }
  | { readonly state: 'running', readonly asked: Asked, readonly sinceMs: number, readonly job: SearchJob | null }
  | { readonly state: 'cancelled', readonly asked: Asked }
  | { readonly state: 'failed', readonly asked: Asked, readonly error: unknown }
  | { readonly state: 'done', readonly asked: Asked, readonly reply: SearchReply }

/** SPL over the events. The address has what was run, so that a link leads to the same rows. */
export function SearchPage () {
  const { query, setQuery } = useRouter()
  const ran = query.get('search') ?? ''
  const earliest = query.get('earliest') ?? DEFAULT_EARLIEST
  const latest = query.get('latest') ?? ''
  const limit = LIMITS.find(one => String(one) === query.get('limit')) ?? LIMITS[0]
  const [draft, setDraft] = useState(ran)
  const [turn, setTurn] = useState(0)
  const [dialog, setDialog] = useState<'past' | 'save' | null>(null)
  const past = usePastSearches()
  const page = useRef<HTMLDivElement>(null)
  useEffect(() => setDraft(ran), [ran]) // by back, or a link
  const explained = useExplained(draft)
  const { run, cancel, runAsJob } = useRun({ search: ran, earliest, latest, limit }, turn, past.add)

  const ask = (asked: Partial<Record<'search' | 'earliest' | 'latest' | 'limit', string | null>> = {}) => {
    setQuery({ search: draft.trim() === '' ? null : draft, limit: null, ...asked })
    setTurn(one => one + 1)
  }
  const editor = () => page.current?.querySelector('textarea')
  useKeys('Search', [
    { keys: '/', label: 'Go to the search', run: () => editor()?.focus() },
    { keys: 'r', label: 'Searches of before', run: () => setDialog('past') },
    { keys: 's', label: 'Save as a detection', run: () => { if (draft.trim() !== '') setDialog('save') } },
    { keys: 'Ctrl+Enter', label: 'In the search: run it', run: () => {} },
  ])
  useEffect(() => { if (ran === '') editor()?.focus() }, [])

  const isRunning = run.state === 'running'
  return (
    <div ref={page} class='search-page'>
      <h1>Search</h1>
      <div class='card search-card'>
        <SplEditor label='SPL' value={draft} onChange={setDraft} onRun={() => ask()} explained={explained} />
        <div class='search-bar'>
          <TimeRange value={{ earliest, latest }} onChange={range => ask(range)} />
          <div class='search-buttons'>
            <button type='button' class='primary' disabled={draft.trim() === ''} onClick={() => ask()}>Run <kbd>Ctrl ⏎</kbd></button>
            {isRunning && <button type='button' class='danger' onClick={cancel}>Cancel</button>}
            <button type='button' onClick={() => setDialog('past')}>Recent</button>
            <button type='button' disabled={draft.trim() === ''} onClick={() => setDialog('save')}>Save as detection…</button>
          </div>
        </div>
      </div>
      <Outcome run={run} explained={explained} onJob={runAsJob} onRange={range => ask(range)} onMore={() => ask({ limit: String(LIMITS[1]) })} onExample={search => { setDraft(search); setQuery({ search }); setTurn(one => one + 1) }} />
      {dialog === 'past' && <PastDialog past={past.list} onClear={() => past.clear()} onClose={() => setDialog(null)} onChoose={one => { setDialog(null); setDraft(one.search); ask(one) }} />}
      {dialog === 'save' && <SaveDialog search={draft} range={{ earliest, latest }} onClose={() => setDialog(null)} />}
    </div>
  )
}

/** Runs what is asked for, and again at another turn. What runs is aborted by the next, by leaving the page, and by cancel. */
function useRun ({ search, earliest, latest, limit }: Asked, turn: number, onDone: (past: Past) => void): { readonly run: Run, readonly cancel: () => void, readonly runAsJob: () => void } {
  const api = useApi()
  const [run, setRun] = useState<Run>({ state: 'none' })
  const running = useRef<AbortController | null>(null)
  useEffect(() => {
    if (search === '') {
      setRun({ state: 'none' })
      return
    }
    const asked = { search, earliest, latest, limit }
    const abort = new AbortController()
    running.current = abort
    setRun({ state: 'running', asked, sinceMs: performance.now(), job: null })
    api.post<SearchReply>('/search', bodyOf(asked), { signal: abort.signal })
      .then(reply => {
        setRun({ state: 'done', asked, reply })
        onDone({ search, earliest, latest })
      }, (error: unknown) => { if (!isAbort(error)) setRun({ state: 'failed', asked, error }) })
    return () => running.current?.abort()
  }, [search, earliest, latest, limit, turn, api])
  const cancel = useCallback(() => {
    running.current?.abort()
    setRun(before => before.state === 'running' ? { state: 'cancelled', asked: before.asked } : before)
  }, [])
  const runAsJob = () => {
    if (run.state !== 'running' || run.job !== null) return
    running.current?.abort()
    const abort = new AbortController()
    running.current = abort
    const { asked } = run
    awaitJob(api, asked, abort.signal, job => setRun(before => before.state === 'running' ? { ...before, job } : before))
      .then(reply => {
        setRun({ state: 'done', asked, reply })
        onDone({ search, earliest, latest })
      }, (error: unknown) => { if (!isAbort(error)) setRun({ state: 'failed', asked, error }) })
  }
  return { run, cancel, runAsJob }
}

function bodyOf ({ search, earliest, latest, limit }: Asked) {
  return { search, limit, ...earliest === '' ? {} : { earliest }, ...latest === '' ? {} : { latest } }
}

/** How often a job is asked how far it is. */
const JOB_POLL_MS = 500

/** Runs a search as a job, and takes its rows. The job is forgotten then, and where nobody waits for it any more. */
async function awaitJob (api: Api, asked: Asked, signal: AbortSignal, onProgress: (job: SearchJob) => void): Promise<SearchReply> {
  let job = await api.post<SearchJob>('/search/jobs', bodyOf(asked)) // not aborted: its id is needed to forget it
  const path = `/search/jobs/${encodeURIComponent(job.id)}`
  try {
    while (job.state === 'queued' || job.state === 'running') {
      if (!signal.aborted) onProgress(job)
      await new Promise(resolve => setTimeout(resolve, JOB_POLL_MS))
      job = await api.get<SearchJob>(path, { signal })
    }
    if (job.state !== 'succeeded') throw new Error(job.error ?? `the job is ${job.state}`)
    const rows: Row[] = []
    let fields: readonly string[] = []
    let cursor: string | null = null
    do {
      const page: PageOf<Row> & { readonly fields: readonly string[] } = await api.get(`${path}/results`, { query: { limit: 1000, cursor }, signal })
      rows.push(...page.items)
      fields = page.fields
      cursor = page.next_cursor
    } while (cursor !== null)
    return { fields: [...fields], rows, truncated: job.rows_cut, window: job.window, warnings: job.warnings, stats: { scanned_events: job.progress.scanned_events, elapsed_ms: job.progress.elapsed_ms } }
  } finally {
    api.call('DELETE', path).catch(() => {}) // it goes by itself after an hour
  }
}

function Outcome ({ run, explained, onJob, onRange, onMore, onExample }: { run: Run, explained: ReturnType<typeof useExplained>, onJob: () => void, onRange: (range: { earliest: string, latest: string }) => void, onMore: () => void, onExample: (search: string) => void }) {
  switch (run.state) {
    case 'none': return (
      <EmptyState title='Nothing has been asked for yet'>
        <ul class='examples'>{EXAMPLES.map(([search, says]) => <li key={search}><button type='button' class='quiet' onClick={() => onExample(search)}><code>{search}</code></button> <span class='muted'>{says}</span></li>)}</ul>
      </EmptyState>
    )
    case 'running': return <Running sinceMs={run.sinceMs} job={run.job} onJob={onJob} />
    case 'cancelled': return <EmptyState title='The search was cancelled' />
    case 'failed': return explained?.search === run.asked.search && explained.explanation.errors.length > 0 ? null : <ErrorState error={run.error} /> // the editor says it already
    case 'done': return <Found asked={run.asked} reply={run.reply} explained={explained} onRange={onRange} onMore={onMore} />
    default: return run satisfies never
  }
}

/** A search that takes longer may become a job, which says how far it is. */
const LONG_MS = 2_000

function Running ({ sinceMs, job, onJob }: { sinceMs: number, job: SearchJob | null, onJob: () => void }) {
  const [now, setNow] = useState(sinceMs)
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 200)
    return () => clearInterval(timer)
  }, [])
  const fraction = job?.progress.fraction ?? null
  return (
    <div class='card'>
      <p class='loading' role='status'>{job?.state === 'queued' ? 'Waiting for other jobs' : 'Searching'}… <span class='number' aria-hidden='true'>{((now - sinceMs) / 1000).toFixed(1)} s</span></p>
      {job !== null && <Progress label='Of the search' done={Math.floor(100 * (fraction ?? 0))} total={100}>{countOf(job.progress.scanned_events, 'event')} scanned</Progress>}
      {job === null && now - sinceMs > LONG_MS && <p>It takes a while. <button type='button' class='small' onClick={onJob}>Run it as a job, with progress</button></p>}
    </div>
  )
}

function Found ({ asked, reply, explained, onRange, onMore }: { asked: Asked, reply: SearchReply, explained: ReturnType<typeof useExplained>, onRange: (range: { earliest: string, latest: string }) => void, onMore: () => void }) {
  const { query, setQuery } = useRouter()
  const { fields, rows, truncated, window, warnings, stats } = reply
  const hasEvents = fields.includes('_raw')
  const view = hasEvents && query.get('view') !== 'table' ? 'events' : 'table'
  // What the timeline goes by is of the search that was run, whatever is written since.
  const base = useRef<{ readonly search: string, readonly base: string | null } | null>(null)
  if (explained?.search === asked.search) base.current = { search: asked.search, base: baseOf(asked.search, explained.explanation) }
  const timeline = useTimeline(base.current?.search === asked.search ? base.current.base : null, window)
  return (
    <>
      <Histogram timeline={timeline} onRange={onRange} />
      <div class='search-stats' role='status'>
        <span><b>{countOf(rows.length, 'row')}</b> of {countOf(stats.scanned_events, 'scanned event')} in {durationText(stats.elapsed_ms / 1000)}</span>
        <span class='muted'><Range window={window} /></span>
        {hasEvents && (
          <span class='segments' role='group' aria-label='Shown as'>
            {(['events', 'table'] as const).map(one => <button key={one} type='button' class='small' aria-pressed={view === one} onClick={() => setQuery({ view: one }, 'replace')}>{one === 'events' ? 'Events' : 'Table'}</button>)}
          </span>
        )}
      </div>
      {truncated && (
        <p class='notice warn' role='status'>
          There are more rows: only the first {rows.length.toLocaleString('en')} are here.{' '}
          {asked.limit < LIMITS[1] ? <button type='button' class='small' onClick={onMore}>Show up to {LIMITS[1].toLocaleString('en')}</button> : 'Narrow the search or the time, or let the search add them up.'}
        </p>
      )}
      {warnings.length > 0 && <ul class='notice warn'>{warnings.map(warning => <li key={warning} class='pre-line'><Visible text={warning} lines /></li>)}</ul>}
      {rows.length === 0
        ? <EmptyState title='No rows'>{stats.scanned_events === 0 ? 'There are no events in this stretch of time.' : 'Of the events of this stretch, none meets the search.'}</EmptyState>
        : <Rows key={`${asked.search} ${view}`} label='Rows' fields={fields} rows={rows} as={view} />}
    </>
  )
}

/** The stretch that was searched; all of time has no ends that say anything. */
function Range ({ window: { earliest, latest } }: { window: SearchReply['window'] }) {
  const isFrom = !earliest.startsWith('0000')
  const isTo = !latest.startsWith('9999')
  if (!isFrom || !isTo) return isFrom ? <>since <Time at={earliest} relative='none' /></> : isTo ? <>until <Time at={latest} relative='none' /></> : <>all time</>
  return <><Time at={earliest} relative='none' /> – <Time at={latest} relative='none' /></>
}

function Histogram ({ timeline, onRange }: { timeline: ReturnType<typeof useTimeline>, onRange: (range: { earliest: string, latest: string }) => void }) {
  const { zone } = usePreferences()
  const series = useMemo(() => [{ label: 'events', values: timeline?.counts ?? [], color: '--accent', kind: 'bars' as const }], [timeline])
  const span = timeline?.spanSeconds ?? 1
  const latest = useLatest(onRange) // a chart is made anew for another function
  const onSelect = useCallback((from: number, to: number) => latest.current({ earliest: String(Math.floor(from / span) * span), latest: String(Math.max(Math.floor(from / span) + 1, Math.ceil(to / span)) * span) }), [span, latest])
  if (timeline === null || timeline.total === 0) return null
  const { times, counts, total } = timeline
  const most = counts.indexOf(Math.max(...counts))
  return (
    <section class='timeline' aria-label='Events over time'>
      <Chart label={`${countOf(total, 'event')} that meet the first condition, by time; most, ${counts[most]!.toLocaleString('en')}, from ${timeText(times[most]! * 1000, zone)}`} times={times} series={series} height={110} onSelect={onSelect} />
      <p class='muted small-text'>{countOf(total, 'event')} that meet the first condition, in bars of {durationText(span)}. Click a bar or drag over some to narrow the time.</p>
    </section>
  )
}

function PastDialog ({ past, onClear, onClose, onChoose }: { past: readonly Past[], onClear: () => void, onClose: () => void, onChoose: (one: Past) => void }) {
  return (
    <Dialog title='Recent searches' size='large' onClose={onClose} {...past.length === 0 ? {} : { actions: <button type='button' class='danger' onClick={onClear}>Forget them</button> }}>
      {past.length === 0
        ? <EmptyState title='None yet'>This browser keeps the last {MAX_PAST} searches that were run in it.</EmptyState>
        : (
          <ul class='past'>
            {past.map(one => (
              <li key={`${one.search} ${one.earliest} ${one.latest}`}>
                <button type='button' class='quiet' onClick={() => onChoose(one)}>
                  <code><Visible text={one.search} lines /></code>
                  <span class='muted'><Visible text={`${one.earliest === '' ? 'the beginning' : one.earliest} – ${one.latest === '' ? 'now' : one.latest}`} /></span>
                </button>
              </li>
            ))}
          </ul>
          )}
    </Dialog>
  )
}
