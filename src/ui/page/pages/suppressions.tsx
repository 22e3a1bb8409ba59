import { useMemo, useState } from 'preact/hooks'
import type { PageOf, Suppression, SuppressionHistoryEntry } from '../api-types.js'
import { useApi } from '../api.js'
import type { Tone } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import { Code } from '../components/code.js'
import { ConfirmDialog } from '../components/confirm-dialog.js'
import type { Column } from '../components/data-table.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { FilterBar } from '../components/filter-bar.js'
import { ListState } from '../components/list-state.js'
import { SuppressionDialog } from '../components/suppress-dialog.js'
import { useToast } from '../components/toast.js'
import { useCursor } from '../cursor.js'
import { useKeys } from '../keys.js'
import { useList } from '../list.js'
import { useQuery } from '../query.js'
import { useRouter } from '../router.js'
import { useSession } from '../session.js'
import { countOf, Visible, words } from '../text.js'
import { Time, timeText } from '../time.js'
import { usePreferences } from '../preferences.js'

const PAGE_SIZE = 200
const POLL_MS = 30_000

const STATE_TONES: Readonly<Record<Suppression['state'], Tone>> = { active: 'good', disabled: 'warn', expired: 'neutral', deleted: 'neutral' }
const STATES = Object.keys(STATE_TONES)

const idOf = ({ id }: { readonly id: string }) => id
const pathOf = ({ id }: { readonly id: string }) => `/suppressions/${encodeURIComponent(id)}`

type Open = { readonly kind: 'edit' | 'delete', readonly suppression: Suppression } | { readonly kind: 'new' }

/** What findings are hidden by, and what that has hidden. */
export function SuppressionsPage () {
  const api = useApi()
  const { query, setQuery } = useRouter()
  const { mayWrite } = useSession()
  const { tell, fail } = useToast()
  const list = useList<Suppression>('/suppressions', { query: { state: query.get('state'), detection: query.get('detection'), count: 'exact', limit: PAGE_SIZE } })
  const { rows } = list
  const id = query.get('id')
  const { at, setAt, row, move } = useCursor(rows, idOf, id)
  const [open, setOpen] = useState<Open | null>(null)
  const [turn, setTurn] = useState(0) // of what is shown of the chosen one
  const choose = (next: string | null) => {
    if (next !== null) setAt(next)
    setQuery({ id: next })
  }
  const step = (by: number) => {
    const next = move(by)
    if (next !== undefined && id !== null) setQuery({ id: next.id }, 'replace')
  }
  const refresh = () => {
    setTurn(one => one + 1)
    list.refresh()
  }
  const setEnabled = async (suppression: Suppression, enabled: boolean) => {
    try {
      await api.call('PATCH', pathOf(suppression), { body: { enabled } })
      tell(enabled ? 'It hides findings to come again' : 'It hides nothing until it is enabled')
      refresh()
    } catch (error) {
      fail(error)
    }
  }
  const withRow = (run: (suppression: Suppression) => void) => () => { if (row !== undefined && row.state !== 'deleted') run(row) }
  useKeys('Suppressions', [
    { keys: 'j', label: 'Next suppression', run: () => step(1) },
    { keys: 'k', label: 'Suppression before', run: () => step(-1) },
    { keys: 'Enter', label: 'Show it with its history', run: () => choose(at) },
    { keys: 'u', label: 'Back to the list', run: () => choose(null) },
    ...mayWrite
      ? [
          { keys: 'n', label: 'New suppression', run: () => setOpen({ kind: 'new' }) },
          { keys: 'e', label: 'Change it', run: withRow(suppression => setOpen({ kind: 'edit', suppression })) },
          { keys: 'd', label: 'Disable or enable it', run: withRow(suppression => { setEnabled(suppression, !suppression.enabled) }) },
        ]
      : [],
  ])
  const detections = useQuery<PageOf<{ readonly id: string, readonly name: string }>>('/detections', { query: { limit: 1000 } })
  const columns = useMemo(() => columnsOf(id !== null, query), [id === null, query])
  const { total } = list.first ?? {}

  return (
    <>
      <div class='page-head'>
        <h1>Suppressions</h1>
        <span class='muted list-count' role='status'>{total === undefined ? '' : countOf(total, 'suppression')}</span>
        {mayWrite && <button type='button' class='primary' onClick={() => setOpen({ kind: 'new' })}>New suppression <kbd>n</kbd></button>}
      </div>
      <div class='filters'>
        <FilterBar
          filters={[
            { kind: 'one', name: 'state', label: 'State', options: STATES.map(value => ({ value, label: value })) },
            { kind: 'one', name: 'detection', label: 'Detection', options: (detections.value?.items ?? []).map(one => ({ value: one.id, label: one.name })) },
          ]}
        />
      </div>
      <div class={id === null ? 'split' : 'split chosen'}>
        <div class='card split-list'>
          <ListState list={list} empty={<EmptyState title={query.has('state') || query.has('detection') ? 'No suppression meets this' : 'Nothing is suppressed'}>{query.has('state') || query.has('detection') ? 'Other filters may show more.' : 'A suppression hides findings to come that meet a condition, until it expires. It is best made from a finding: s.'}</EmptyState>}>
            <DataTable label='Suppressions' columns={columns} rows={rows} rowKey={idOf} cursor={at} onOpen={({ id: next }) => choose(next)} rowClass={({ state }) => state === 'active' ? '' : 'idle'} />
          </ListState>
        </div>
        {id !== null && (
          <One
            key={id} id={id} turn={turn} onClose={() => choose(null)}
            onEdit={suppression => setOpen({ kind: 'edit', suppression })} onDelete={suppression => setOpen({ kind: 'delete', suppression })} onEnable={(suppression, enabled) => { setEnabled(suppression, enabled) }}
          />
        )}
      </div>
      {open !== null && open.kind !== 'delete' && (
        <SuppressionDialog
          suppression={open.kind === 'edit' ? open.suppression : null} onClose={() => setOpen(null)}
          onDone={suppression => {
            setOpen(null)
            choose(suppression.id)
            refresh()
          }}
        />
      )}
      {open?.kind === 'delete' && (
        <ConfirmDialog
          title='Delete the suppression' action='Delete' onClose={() => setOpen(null)}
          onConfirm={async () => {
            await api.call('DELETE', pathOf(open.suppression))
            tell('It hides nothing any more')
            setOpen(null)
            refresh()
          }}
        >
          <p>It ends for good: findings to come are shown again. What it has hidden, {countOf(open.suppression.hit_count, 'time')} so far, stays hidden, and it can still be read with its history.</p>
          <Code text={open.suppression.condition} label='Condition' wrap />
        </ConfirmDialog>
      )}
    </>
  )
}

/** The same page with that one chosen. */
function urlOf (query: URLSearchParams, id: string): string {
  const next = new URLSearchParams(query)
  next.set('id', id)
  return `/suppressions?${next}`
}

const hiddenBy = ({ id }: Suppression) => `/findings?${new URLSearchParams({ suppressed_by: id })}`

function columnsOf (isBeside: boolean, query: URLSearchParams): readonly Column<Suppression>[] {
  return [
    {
      key: 'condition', title: 'Condition', cardLabel: '',
      render: ({ id, condition, reason, error }) => (
        <>
          <a class='mono' href={urlOf(query, id)}><Visible text={condition} /></a>
          <span class='block small-text muted'><Visible text={reason} /></span>
          {error !== null && <span class='block small-text error-text'>its condition is wrong, so that it hides nothing</span>}
        </>
      ),
    },
    { key: 'state', title: 'State', width: '90px', render: ({ state }) => <Badge tone={STATE_TONES[state]}>{state}</Badge> },
    { key: 'hits', title: 'Hits', align: 'right', width: '70px', render: one => one.hit_count === 0 ? '0' : <a href={hiddenBy(one)} title='the findings that it hides'>{one.hit_count.toLocaleString('en')}</a> },
    ...isBeside
      ? []
      : [
          { key: 'last', title: 'Last hit', width: '110px', render: ({ last_hit_at: last }) => last === null ? <span class='muted'>never</span> : <Time at={last} relative='only' /> } satisfies Column<Suppression>,
          { key: 'detection', title: 'Detection', width: '22%', render: ({ detection }) => detection === null ? 'all' : <a href={`/detections/${encodeURIComponent(detection)}`}><Visible text={detection} /></a> } satisfies Column<Suppression>,
          { key: 'expires', title: 'Expires', width: '110px', render: ({ expires_at: at }) => <Time at={at} relative='only' /> } satisfies Column<Suppression>,
          { key: 'owner', title: 'Owner', width: '110px', render: ({ owner }) => <Visible text={owner} /> } satisfies Column<Suppression>,
        ],
  ]
}

interface OneProps {
  readonly id: string
  /** Another one asks again. */
  readonly turn: number
  readonly onClose: () => void
  readonly onEdit: (suppression: Suppression) => void
  readonly onDelete: (suppression: Suppression) => void
  readonly onEnable: (suppression: Suppression, enabled: boolean) => void
}

function One ({ id, turn, onClose, onEdit, onDelete, onEnable }: OneProps) {
  const { mayWrite } = useSession()
  const state = useQuery<Suppression>(pathOf({ id }), { pollMs: POLL_MS })
  const history = useList<SuppressionHistoryEntry>(`${pathOf({ id })}/history`, { query: { limit: 50 } })
  const [shownTurn, setShownTurn] = useState(turn)
  if (shownTurn !== turn) {
    setShownTurn(turn)
    state.refresh()
    history.refresh()
  }
  const one = state.value
  return (
    <section class='card split-one' aria-label='Suppression'>
      <header>
        <h2>Suppression {one !== undefined && <Badge tone={STATE_TONES[one.state]}>{one.state}</Badge>}</h2>
        <button type='button' class='small' onClick={onClose}>Close <kbd>u</kbd></button>
      </header>
      {one === undefined
        ? state.error === null ? <Loading /> : <ErrorState error={state.error} onRetry={() => state.refresh()} />
        : (
          <div class='stack'>
            <Code text={one.condition} label='Condition' wrap />
            {one.error !== null && <pre class='refusal' role='alert' tabIndex={0}>It hides nothing:{'\n'}<Visible text={one.error} lines /></pre>}
            <dl class='figures'>
              <div><dt>Hits</dt><dd>{one.hit_count.toLocaleString('en')}</dd></div>
              <div><dt>Last hit</dt><dd>{one.last_hit_at === null ? 'never' : <Time at={one.last_hit_at} relative='only' />}</dd></div>
              <div><dt>{one.state === 'expired' ? 'Expired' : 'Expires'}</dt><dd><Time at={one.expires_at} relative='only' /></dd></div>
            </dl>
            <p><a href={hiddenBy(one)}>Findings that it hides</a></p>
            <dl class='pairs'>
              <div><dt>Reason</dt><dd><Visible text={one.reason} lines /></dd></div>
              <div><dt>Detection</dt><dd>{one.detection === null ? 'all' : <a href={`/detections/${encodeURIComponent(one.detection)}`}><Visible text={one.detection} /></a>}</dd></div>
              <div><dt>Owner</dt><dd><Visible text={one.owner} /></dd></div>
              <div><dt>Expires</dt><dd><Time at={one.expires_at} precision='minutes' /></dd></div>
              <div><dt>Made</dt><dd><Time at={one.created_at} precision='minutes' /></dd></div>
              {one.deleted_at !== null && <div><dt>Deleted</dt><dd><Time at={one.deleted_at} precision='minutes' /></dd></div>}
            </dl>
            {mayWrite && one.state !== 'deleted' && (
              <div class='row'>
                <button type='button' onClick={() => onEdit(one)}>Change <kbd>e</kbd></button>
                <button type='button' onClick={() => onEnable(one, !one.enabled)}>{one.enabled ? 'Disable' : 'Enable'} <kbd>d</kbd></button>
                <button type='button' class='danger' onClick={() => onDelete(one)}>Delete</button>
              </div>
            )}
            <h3>History</h3>
            <ListState list={history} empty={<EmptyState title='Nothing is known of it' />}>
              <ol class='history'>{history.rows.map((entry, n) => <Entry key={`${entry.at} ${n}`} entry={entry} />)}</ol>
            </ListState>
          </div>
          )}
    </section>
  )
}

const SETTINGS = ['detection', 'condition', 'reason', 'enabled', 'expires_at'] as const

function Entry ({ entry: { at, by, before, after } }: { entry: SuppressionHistoryEntry }) {
  const { zone } = usePreferences()
  const textOf = (settings: SuppressionHistoryEntry['after'], name: typeof SETTINGS[number]): string => {
    const value = settings?.[name]
    return value === undefined ? '' : value === null ? 'all' : name === 'expires_at' ? timeText(Date.parse(String(value)), zone, 'minutes') : typeof value === 'boolean' ? value ? 'yes' : 'no' : value
  }
  return (
    <li>
      <p class='small-text'><b><Visible text={by} /></b> <Time at={at} precision='minutes' /></p>
      {after === null
        ? <p>deleted it</p>
        : before === null
          ? <p>made it</p>
          : (
            <dl class='pairs small-text'>
              {SETTINGS.filter(name => after[name] !== undefined && after[name] !== before[name]).map(name => (
                <div key={name}>
                  <dt>{words(name)}</dt>
                  <dd><del class='removed'><Visible text={textOf(before, name)} /></del> → <ins class='added'><Visible text={textOf(after, name)} /></ins></dd>
                </div>
              ))}
            </dl>
            )}
    </li>
  )
}
