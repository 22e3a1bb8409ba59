import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import type { PageOf } from '../api-types.js'
import { SEVERITIES, SeverityBadge, StatusBadge } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import type { Column } from '../components/data-table.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import type { Filter } from '../components/filter-bar.js'
import { FilterBar } from '../components/filter-bar.js'
import { SuppressDialog } from '../components/suppress-dialog.js'
import { TimeRange } from '../components/time-range.js'
import type { TriageTarget } from '../components/triage-dialog.js'
import { DISPOSITIONS, STATUSES, TriageDialog } from '../components/triage-dialog.js'
import type { FindingRow } from '../finding-list.js'
import { useFindingList } from '../finding-list.js'
import { useKeys } from '../keys.js'
import { useQuery } from '../query.js'
import { toQuery, useRouter } from '../router.js'
import { useSession } from '../session.js'
import { useFindingStream } from '../stream.js'
import { countOf, Visible, words } from '../text.js'
import { Time } from '../time.js'

const FILTERED_BY = ['status', 'severity', 'disposition', 'owner', 'detection', 'technique', 'risk_object', 'min_score', 'throttled', 'suppressed', 'suppressed_by'] as const
const ROW_HEIGHT = { table: 48, card: 124 } as const

/** Of ids that one call may name: src/api/finding-bulk.ts. */
const MAX_SELECTED = 1_000

const toOptions = (values: readonly string[]) => values.map(value => ({ value, label: words(value) }))

type Open = { readonly kind: 'triage', readonly task: 'close' | 'assign', readonly target: TriageTarget } | { readonly kind: 'suppress', readonly id: string }

/** What was found, to look through and to say what was done with it. */
export function FindingsPage () {
  const { query, setQuery, go } = useRouter()
  const { session, mayWrite } = useSession()
  const filter = useMemo(() => ({ ...toQuery(query, FILTERED_BY), ...toQuery(query, ['earliest', 'latest']) }), [query])
  const order = query.get('order_by') ?? '-time'
  const list = useFindingList({ ...filter, order_by: order === '-time' ? null : order })
  const { rows, total, has, put, reload, loadMore } = list
  const [arrived, setArrived] = useState<ReadonlySet<string>>(new Set())
  const [isStale, setStale] = useState(false)
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const [open, setOpen] = useState<Open | null>(null)
  const [at, setAt] = useState<string | null>(query.get('at'))
  const filterText = JSON.stringify([filter, order])

  const refresh = useCallback(() => {
    setArrived(new Set())
    setStale(false)
    reload()
  }, [reload])
  useEffect(() => {
    setArrived(new Set())
    setStale(false)
    setSelected(new Set())
  }, [filterText])

  // The stream knows of no time range: what a backfill finds may be older than what is listed.
  const latest = query.get('latest')
  const isInRange = (time: number) => latest === null && !(list.fromSeconds !== null && time < list.fromSeconds)
  const stream = useFindingStream(toQuery(query, FILTERED_BY), {
    on (kind, finding) {
      if (has(finding.id)) put([finding])
      else if (kind === 'created' && isInRange(finding.time)) setArrived(before => new Set([...before, finding.id]))
    },
    onReset: () => setStale(true),
  })

  // The row that one is at is in the address, so that back leads to it; not at once, since browsers count changes of the address.
  useEffect(() => {
    const timer = setTimeout(() => { if (query.get('at') !== at) setQuery({ at }, 'replace') }, 400)
    return () => clearTimeout(timer)
  }, [at])

  const cursorRow = rows.find(({ id }) => id === at)
  const move = (by: number) => {
    const from = rows.findIndex(({ id }) => id === at)
    const next = rows[from < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, from + by))]
    if (next !== undefined) setAt(next.id)
    if (from + by > rows.length - 20) loadMore()
  }
  const select = (id: string) => setSelected(before => {
    const next = new Set(before)
    if (!next.delete(id) && next.size < MAX_SELECTED) next.add(id)
    return next
  })
  const targetOf = (): TriageTarget | null => selected.size > 0
    ? { kind: 'ids', ids: [...selected] }
    : cursorRow === undefined ? null : { kind: 'one', finding: cursorRow }
  const triage = (task: 'close' | 'assign') => {
    const target = targetOf()
    if (target !== null && mayWrite) setOpen({ kind: 'triage', task, target })
  }
  useKeys('Findings', [
    { keys: 'j', label: 'Next finding', run: () => move(1) },
    { keys: 'k', label: 'Finding before', run: () => move(-1) },
    { keys: 'Enter', label: 'Open the finding', run: () => { if (cursorRow !== undefined) go(toPath(cursorRow)) } },
    { keys: 'r', label: 'Show what has come', run: refresh },
    ...mayWrite
      ? [
          { keys: 'x', label: 'Select it, or not', run: () => { if (at !== null) select(at) } },
          { keys: 'e', label: 'Close', run: () => triage('close') },
          { keys: 'a', label: 'Assign', run: () => triage('assign') },
          { keys: 's', label: 'Suppress findings like it', run: () => { if (cursorRow !== undefined) setOpen({ kind: 'suppress', id: cursorRow.id }) } },
        ]
      : [],
    { keys: 'Escape', label: 'Select nothing', run: () => setSelected(new Set()) },
  ])

  const filters = useFilters()
  const columns = useMemo(() => columnsOf(mayWrite, selected, select), [mayWrite, selected])
  const views = [
    { label: 'Open', query: 'status=new&status=in_progress&status=pending' },
    { label: 'Mine', query: `${new URLSearchParams([['status', 'new'], ['status', 'in_progress'], ['status', 'pending'], ['owner', session.name]])}` },
    { label: 'Nobody’s', query: 'status=new&status=in_progress&status=pending&owner=none' },
    { label: 'All', query: '' },
  ]
  const here = new URLSearchParams([...query].filter(([name]) => !['at', 'order_by'].includes(name))).toString()

  return (
    <div class='findings-page'>
      <div class='page-head'>
        <h1>Findings</h1>
        <nav class='views' aria-label='Views'>{views.map(({ label, query: to }) => <a key={label} href={`/findings${to === '' ? '' : `?${to}`}`} {...here === to ? { 'aria-current': 'true' as const } : {}}>{label}</a>)}</nav>
        <span class='muted list-count' role='status'>{total === null ? '' : countOf(total, 'finding')}</span>
        <span class={`live ${stream}`} title={stream === 'live' ? 'What becomes of findings is shown as it does' : 'The stream of changes is not connected'}>{stream === 'live' ? '● live' : '○ not live'}</span>
      </div>
      <div class='filters'>
        <TimeRange value={{ earliest: query.get('earliest') ?? '', latest: query.get('latest') ?? '' }} onChange={range => setQuery({ earliest: range.earliest || null, latest: range.latest || null })} />
        <FilterBar filters={filters} also={['earliest', 'latest', 'suppressed_by']} />
      </div>
      {selected.size > 0 && (
        <div class='selection' role='toolbar' aria-label='Selected findings'>
          <b>{countOf(selected.size, 'finding')} selected</b>
          <button type='button' onClick={() => triage('close')}>Close <kbd>e</kbd></button>
          <button type='button' onClick={() => triage('assign')}>Assign <kbd>a</kbd></button>
          <button type='button' class='quiet' onClick={() => setSelected(new Set())}>Select nothing</button>
          {total !== null && total > selected.size && (
            <span class='row'>
              <span class='muted'>or all {total.toLocaleString('en')} that meet the filter:</span>
              <button type='button' class='small' onClick={() => setOpen({ kind: 'triage', task: 'close', target: { kind: 'filter', filter, total } })}>Close all</button>
              <button type='button' class='small' onClick={() => setOpen({ kind: 'triage', task: 'assign', target: { kind: 'filter', filter, total } })}>Assign all</button>
            </span>
          )}
        </div>
      )}
      <div class='pill-place' aria-live='polite'>
        {(arrived.size > 0 || isStale) && <button type='button' class='pill' onClick={refresh}>{isStale ? 'Findings have changed: show them' : `${countOf(arrived.size, 'new finding')}: show ${arrived.size === 1 ? 'it' : 'them'}`}</button>}
      </div>
      {list.error !== null && <ErrorState error={list.error} onRetry={() => reload()} />}
      {rows.length === 0 && list.error === null
        ? list.isLoading ? <Loading what='Loading findings' /> : <EmptyState title='No finding meets this'>{here === '' ? 'No detection has found anything yet.' : <a href='/findings'>Show all findings</a>}</EmptyState>
        : (
          <DataTable
            label='Findings' columns={columns} rows={rows} rowKey={({ id }) => id} rowHeight={ROW_HEIGHT} cursor={at}
            rowClass={row => `${selected.has(row.id) ? 'selected ' : ''}${row.gone_at === null ? '' : 'gone'}`}
            onOpen={row => go(toPath(row))} onEnd={loadMore}
            sort={{ by: order, keys: ['time'], onSort: by => setQuery({ order_by: by === '-time' ? null : by }) }}
            foot={list.hasMore && list.isLoading ? <p class='muted list-foot'>Loading more…</p> : undefined}
          />
          )}
      {open?.kind === 'triage' && (
        <TriageDialog
          task={open.task} target={open.target} onClose={() => setOpen(null)}
          onDone={finding => {
            setOpen(null)
            setSelected(new Set())
            if (finding !== null) put([finding])
            else if (stream !== 'live') refresh()
          }}
        />
      )}
      {open?.kind === 'suppress' && <SuppressDialog id={open.id} onClose={() => setOpen(null)} onDone={() => setOpen(null)} />}
    </div>
  )
}

const toPath = ({ id }: { readonly id: string }) => `/findings/${encodeURIComponent(id)}`

function useFilters (): readonly Filter[] {
  const detections = useQuery<PageOf<{ readonly id: string, readonly name: string }>>('/detections', { query: { limit: 1000 } })
  return useMemo(() => [
    { kind: 'several', name: 'status', label: 'Status', options: toOptions(STATUSES) },
    { kind: 'several', name: 'severity', label: 'Severity', options: toOptions(SEVERITIES) },
    { kind: 'several', name: 'detection', label: 'Detection', options: (detections.value?.items ?? []).map(({ id, name }) => ({ value: id, label: name })) },
    { kind: 'text', name: 'technique', label: 'ATT&CK technique', placeholder: 'T1611' },
    { kind: 'text', name: 'risk_object', label: 'Risk object' },
    { kind: 'text', name: 'owner', label: 'Owner', placeholder: 'none: nobody' },
    { kind: 'several', name: 'disposition', label: 'Disposition', options: toOptions([...DISPOSITIONS, 'none']) },
    { kind: 'text', name: 'min_score', label: 'Score at least' },
    { kind: 'one', name: 'throttled', label: 'Throttled', options: [{ value: 'include', label: 'too' }, { value: 'only', label: 'only' }] },
    { kind: 'one', name: 'suppressed', label: 'Suppressed', options: [{ value: 'include', label: 'too' }, { value: 'only', label: 'only' }] },
  ], [detections.value])
}

function columnsOf (mayWrite: boolean, selected: ReadonlySet<string>, select: (id: string) => void): readonly Column<FindingRow>[] {
  return [
    ...mayWrite
      ? [{
          key: 'select', title: '', width: '38px', cardLabel: '',
          render: ({ id, detection }: FindingRow) => <input type='checkbox' aria-label={`Select the finding of ${detection.name}`} checked={selected.has(id)} onChange={() => select(id)} />,
        }]
      : [],
    { key: 'time', title: 'Time', width: '174px', cardLabel: '', render: ({ time }) => <><Time at={time} relative='none' /><br /><span class='small-text muted'><Time at={time} relative='only' /></span></> },
    { key: 'severity', title: 'Severity', width: '148px', cardLabel: '', render: ({ severity, risk }) => <><SeverityBadge severity={severity} /><br /><span class='small-text muted'>score {risk.score}</span></> },
    {
      key: 'what', title: 'Finding', cardLabel: '',
      render: row => <><a class='cut strong' href={toPath(row)}><Visible text={row.detection.name} /></a><span class='cut small-text muted' title={row.risk.message ?? ''}><Flags row={row} /><Visible text={row.risk.message ?? ''} /></span></>,
    },
    { key: 'object', title: 'Risk object', width: '17%', cardLabel: '', render: ({ risk }) => <><span class='cut'><Visible text={risk.objects[0]?.value ?? '–'} /></span><span class='small-text muted'>{risk.objects[0]?.type}{risk.objects.length > 1 && ` and ${countOf(risk.objects.length - 1, 'other')}`}</span></> },
    { key: 'technique', title: 'ATT&CK', width: '104px', cardLabel: '', render: ({ mitre_attack: techniques }) => <span class='techniques mono' title={techniques.join(', ')}>{techniques.map(one => <span key={one}><a class='inline' href={`/findings?${new URLSearchParams({ technique: one })}`}>{one}</a></span>)}</span> },
    { key: 'status', title: 'Status', width: '112px', cardLabel: '', render: ({ status, disposition, owner }) => <><StatusBadge status={status} /><span class='cut small-text muted'>{[disposition === null ? null : words(disposition), owner].filter(one => one !== null).join(' · ') || 'nobody’s'}</span></> },
  ]
}

/** What is unusual about a finding. */
export function Flags ({ row }: { row: Pick<FindingRow, 'gone_at' | 'throttled_by' | 'suppressed_by' | 'revision'> }) {
  return (
    <>
      {row.gone_at !== null && <><Badge tone='warn' title='A later evaluation of its window gave it no more'>gone</Badge> </>}
      {row.throttled_by !== null && <><Badge title='It did not fire, since another had'>throttled</Badge> </>}
      {row.suppressed_by !== null && <><Badge title='A suppression hides it'>suppressed</Badge> </>}
      {row.revision > 1 && <><Badge title='How often it has been told anew'>revision {row.revision}</Badge> </>}
    </>
  )
}
