import { useMemo } from 'preact/hooks'
import type { Detection, Finding, LedgerSlot, PageOf, Run } from '../api-types.js'
import { Badge } from '../components/badge.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { FilterBar } from '../components/filter-bar.js'
import { useKeys } from '../keys.js'
import { useAll, useQuery } from '../query.js'
import { usePreferences } from '../preferences.js'
import { useRouter } from '../router.js'
import { countOf, numberText, Visible } from '../text.js'
import { Time, timeText } from '../time.js'
import { detectionPath, DetectionState, stateOf } from './detection-state.js'

const POLL_MS = 60_000

/** Findings are counted over so many days. */
const DAYS = 7

/** Runs that a strip has. */
const RUNS = 12

/** From so many on only those in view are in the document; each has requests of its own. */
const MAX_TALL = 60

const STATES = ['enabled', 'disabled', 'broken'] as const

/** Every detection: whether it runs, what came of it, and how much of that was for nothing. */
export function DetectionsPage () {
  const { query, setQuery, go } = useRouter()
  const list = useAll<Detection>('/detections', { pollMs: POLL_MS })
  const owed = useAll<LedgerSlot>('/ledger', { query: { state: 'owed' }, pollMs: POLL_MS })
  const failed = useAll<LedgerSlot>('/ledger', { query: { state: 'failed' }, pollMs: POLL_MS })
  const backlog = useMemo(() => countBacklog(owed.value?.items ?? [], failed.value?.items ?? []), [owed.value, failed.value])
  const text = query.get('q')?.toLowerCase() ?? ''
  const states = query.getAll('state')
  const types = query.getAll('type')
  const by = query.get('order_by') ?? 'name'
  const all = list.value?.items ?? []
  const rows = useMemo(() => sorted(all.filter(one =>
    (text === '' || [one.id, one.name ?? '', one.description ?? '', ...one.mitre_attack].some(part => part.toLowerCase().includes(text))) &&
    (states.length === 0 || states.includes(stateOf(one))) && (types.length === 0 || types.includes(one.type ?? ''))), by, backlog), [list.value, text, states.join(), types.join(), by, backlog])
  const cursor = query.get('at')
  const at = rows.findIndex(({ id }) => id === cursor)
  const move = (to: number) => { if (rows[to] !== undefined) setQuery({ at: rows[to].id }, 'replace') }
  useKeys('Detections', [
    { keys: 'j', label: 'Next', run: () => move(at + 1) },
    { keys: 'k', label: 'The one before', run: () => move(at - 1) },
    { keys: 'Enter', label: 'Open', run: () => { if (at >= 0) go(detectionPath(rows[at]!.id)) } },
  ])
  const countState = (state: string) => all.filter(one => stateOf(one) === state).length
  return (
    <div class='stack'>
      <h1>Detections</h1>
      {list.error !== null && <ErrorState error={list.error} onRetry={() => list.refresh()} />}
      {list.value === undefined
        ? list.error === null && <Loading />
        : all.length === 0
          ? <EmptyState title='There are no detections'>Name folders of detection files in <code>detections.paths</code>.</EmptyState>
          : (
            <>
              <p class='muted'>{countOf(all.length, 'detection')}{list.value.isCut ? ' or more' : ''}: {STATES.map(state => `${countState(state).toLocaleString('en')} ${state}`).join(', ')}.</p>
              <FilterBar filters={[
                { kind: 'text', name: 'q', label: 'Name, technique, words', placeholder: 'escape' },
                { kind: 'several', name: 'state', label: 'State', options: STATES.map(value => ({ value, label: value })) },
                { kind: 'several', name: 'type', label: 'Type', options: ['TTP', 'Anomaly', 'Hunting', 'Correlation'].map(value => ({ value, label: value })) },
              ]}
              />
              {rows.length === 0
                ? <EmptyState title='No detection meets these filters' />
                : (
                  <div class='card flush detections'>
                    <DataTable
                      label='Detections' rows={rows} rowKey={({ id }) => id} cursor={cursor} onOpen={({ id }) => go(detectionPath(id))}
                      sort={{ by, keys: ['name', 'next', 'backlog'], onSort: order => setQuery({ order_by: order }, 'replace') }}
                      {...rows.length > MAX_TALL ? { rowHeight: { table: 56, card: 250 } } : {}}
                      columns={[
                        { key: 'name', title: 'Detection', cardLabel: '', render: one => <NameCell detection={one} /> },
                        { key: 'state', title: 'State', width: '7rem', render: one => <DetectionState detection={one} /> },
                        { key: 'runs', title: 'Last runs', width: '9.5rem', render: one => <LastRuns id={one.id} /> },
                        { key: 'next', title: 'Next run', width: '6.5rem', render: ({ next_run: next }) => next === null ? <span class='muted'>none</span> : <Time at={next} relative='only' /> },
                        { key: 'findings', title: `Findings, ${DAYS} d`, cardLabel: 'Findings', width: '8rem', align: 'right', render: one => <FindingCount id={one.id} /> },
                        { key: 'noise', title: 'Noise', width: '7.5rem', align: 'right', render: one => <Noise id={one.id} /> },
                        { key: 'backlog', title: 'Backlog', width: '8rem', align: 'right', render: one => <Backlog counts={backlog.get(one.id)} error={owed.error ?? failed.error} /> },
                      ]}
                    />
                  </div>
                  )}
              <p class='muted small-text'>Noise is the share of findings of the last {DAYS} days that people called false positive or benign, of those that they called anything. Findings that were throttled or suppressed are in no count.{owed.value?.isCut === true || failed.value?.isCut === true ? ' More windows are owed or failed than were counted.' : ''}</p>
            </>
            )}
    </div>
  )
}

function NameCell ({ detection: { id, name, type, errors, backfill_offer: offer } }: { detection: Detection }) {
  const [error] = errors
  return (
    <div class='detection-name'>
      <a href={detectionPath(id)}><Visible text={name ?? id} /></a>
      <span class='muted small-text cut' title={id}>{type !== null && <>{type} · </>}<code><Visible text={id} /></code></span>
      {offer !== null && <a class='small-text' href={`${detectionPath(id)}#backfills`}>backfill offered</a>}
      {error !== undefined && <span class='error-text small-text cut' title={error.message}>{error.line}:{error.column} <Visible text={error.message.split('\n')[0]!} /></span>}
    </div>
  )
}

function LastRuns ({ id }: { id: string }) {
  const { zone } = usePreferences()
  const { value, error } = useQuery<PageOf<Run>>(`/detections/${encodeURIComponent(id)}/runs`, { query: { limit: RUNS }, pollMs: POLL_MS })
  if (error !== null) return <span class='error-text'>not available</span>
  if (value === undefined) return <span class='muted'>…</span>
  if (value.items.length === 0) return <span class='muted'>none</span>
  const runs = value.items.toReversed()
  const bad = runs.filter(({ status }) => status === 'failed').length
  return (
    <span class='run-strip' role='img' aria-label={`${countOf(runs.length, 'run')}, ${bad === 0 ? 'none failed' : `${bad} failed`}`}>
      {runs.map(run => <span key={run.id} class={`slot ${run.status === 'failed' ? 'failed' : 'done'}${run.row_count > 0 ? ' found' : ''}`} title={`${timeText(Date.parse(run.scheduled_time), zone, 'minutes')}: ${run.status}, ${countOf(run.row_count, 'row')}`} />)}
    </span>
  )
}

/** How many findings of the last days have one of these dispositions; whatever they have without. */
function useFindingCount (id: string, disposition?: readonly string[]): { readonly count: number | undefined, readonly error: unknown } {
  const { value, error } = useQuery<PageOf<Finding>>('/findings', { query: { detection: id, earliest: `-${DAYS}d`, count: 'exact', limit: 1, ...disposition === undefined ? {} : { disposition } }, pollMs: POLL_MS })
  return { count: value?.total, error }
}

function FindingCount ({ id }: { id: string }) {
  const { count, error } = useFindingCount(id)
  if (error !== null) return <span class='error-text'>?</span>
  if (count === undefined) return <span class='muted'>…</span>
  if (count === 0) return <span class='muted'>0</span>
  return <><a href={`/findings?${new URLSearchParams({ detection: id, earliest: `-${DAYS}d` })}`}>{count.toLocaleString('en')}</a> <span class='muted small-text'>{numberText(count / DAYS)}/day</span></>
}

function Noise ({ id }: { id: string }) {
  const judged = useFindingCount(id, ['true_positive', 'benign', 'false_positive', 'other'])
  const noisy = useFindingCount(id, ['benign', 'false_positive'])
  if (judged.error !== null || noisy.error !== null) return <span class='error-text'>?</span>
  if (judged.count === undefined || noisy.count === undefined) return <span class='muted'>…</span>
  if (judged.count === 0) return <span class='muted' title='nobody has said what its findings were'>–</span>
  const share = 100 * noisy.count / judged.count
  return <span class={share >= 50 ? 'warn-text' : ''} title={`${noisy.count} of ${judged.count}`}>{numberText(share)} % <span class='muted small-text'>of {judged.count.toLocaleString('en')}</span></span>
}

interface Counts { readonly owed: number, readonly failed: number }

function Backlog ({ counts, error }: { counts: Counts | undefined, error: unknown }) {
  if (error !== null) return <span class='error-text'>?</span>
  if (counts === undefined) return <span class='muted'>none</span>
  return <>{counts.failed > 0 && <Badge tone='bad'>{counts.failed.toLocaleString('en')} failed</Badge>} {counts.owed > 0 && <Badge tone='warn'>{counts.owed.toLocaleString('en')} owed</Badge>}</>
}

function countBacklog (owed: readonly LedgerSlot[], failed: readonly LedgerSlot[]): ReadonlyMap<string, Counts> {
  const counts = new Map<string, Counts>()
  for (const { detection_id: id, state } of [...owed, ...failed]) {
    const before = counts.get(id) ?? { owed: 0, failed: 0 }
    counts.set(id, state === 'failed' ? { ...before, failed: before.failed + 1 } : { ...before, owed: before.owed + 1 })
  }
  return counts
}

function sorted (rows: readonly Detection[], by: string, backlog: ReadonlyMap<string, Counts>): readonly Detection[] {
  const isDown = by.startsWith('-')
  const weight = ({ id, next_run: next }: Detection): number | null => {
    switch (by.replace('-', '')) {
      case 'next': return next === null ? null : Date.parse(next)
      case 'backlog': return (backlog.get(id)?.owed ?? 0) + 1000 * (backlog.get(id)?.failed ?? 0)
      default: return 0
    }
  }
  return rows.toSorted((a, b) => {
    const [one, other] = [weight(a), weight(b)]
    if (one === null || other === null) return Number(one === null) - Number(other === null) // what has none comes last
    return (isDown ? -1 : 1) * (one - other || (a.name ?? a.id).localeCompare(b.name ?? b.id))
  })
}
