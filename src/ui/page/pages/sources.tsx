import { useMemo, useState } from 'preact/hooks'
import type { Route, Source, Token } from '../api-types.js'
import { useApi } from '../api.js'
import { Badge } from '../components/badge.js'
import { Card, Section } from '../components/card.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import type { Filter } from '../components/filter-bar.js'
import { FilterBar } from '../components/filter-bar.js'
import { Forwarders } from '../components/forwarders.js'
import { useToast } from '../components/toast.js'
import { AddTokenDialog, RemoveTokenDialog } from '../components/token-dialogs.js'
import { useKeys } from '../keys.js'
import type { AllOf } from '../query.js'
import { useAll, useQuery } from '../query.js'
import { toQuery, useRouter } from '../router.js'
import { useSession } from '../session.js'
import { ALL_OTHERS, sourceName } from '../source.js'
import { countOf, numberText, Visible } from '../text.js'
import { durationText, Time } from '../time.js'

/** Asking for a month of many sources takes the server a while. */
const POLL_MS = 60_000

const FILTERS: readonly Filter[] = [
  { kind: 'one', name: 'silent', label: 'State', options: [{ value: 'true', label: 'silent' }] },
  { kind: 'text', name: 'node_name', label: 'Node' },
  { kind: 'text', name: 'cluster_name', label: 'Cluster' },
  { kind: 'text', name: 'sourcetype', label: 'Sourcetype' },
  { kind: 'text', name: 'index', label: 'Index' },
  { kind: 'one', name: 'earliest', label: 'Arrived in', none: 'last 24 hours', options: [{ value: '-1h', label: 'last hour' }, { value: '-7d', label: 'last 7 days' }, { value: '-30d', label: 'last 30 days' }] },
]

/** Who sends, how late it arrives and who is silent; the tokens that they send with; and how another is set up. */
export function SourcesPage () {
  const { query } = useRouter()
  const { session } = useSession()
  const [secret, setSecret] = useState<string | null>(null)
  const state = useAll<Source>('/sources', { query: toQuery(query, FILTERS.map(({ name }) => name)), pollMs: POLL_MS })
  return (
    <>
      <h1>Sources</h1>
      <div class='stack sources-page'>
        <FilterBar filters={FILTERS} />
        <Card title='Who sends' state={state}>{page => <SourceList page={page} isFiltered={FILTERS.some(({ name }) => query.has(name))} />}</Card>
        {session.role === 'admin'
          ? <Tokens onMade={setSecret} />
          : <Section title='HEC tokens'><p class='muted'>An admin sees and makes them. Your key is that of {session.role === 'analyst' ? 'an analyst' : 'a viewer'}.</p></Section>}
        <Routing />
        <Section title='Send events here'><Forwarders secret={secret} /></Section>
      </div>
    </>
  )
}

function SourceList ({ page: { items, isCut }, isFiltered }: { page: AllOf<Source>, isFiltered: boolean }) {
  const rows = useMemo(() => [...items].sort((a, b) => Number(b.silent) - Number(a.silent)), [items]) // stable: within both, by first arrival
  if (items.length === 0) {
    return isFiltered
      ? <EmptyState title='No source is like that'>Names are compared as a whole; take out a filter to see more.</EmptyState>
      : <EmptyState title='No events have come in'>Below is how to send some.</EmptyState>
  }
  const silent = items.filter(one => one.silent).length
  const sum = (of: (source: Source) => number) => items.reduce((total, one) => total + of(one), 0)
  const lost = sum(one => one.lost_events)
  const throttled = sum(one => one.throttled)
  return (
    <>
      <dl class='figures'>
        <div><dt>Sources</dt><dd>{items.length.toLocaleString('en')}{isCut && ' or more'}</dd></div>
        <div><dt>Silent</dt><dd class={silent > 0 ? 'warn-text' : ''}>{silent.toLocaleString('en')}</dd></div>
        <div><dt>Events</dt><dd>{sum(one => one.events).toLocaleString('en')}</dd></div>
        <div><dt>Events an hour</dt><dd>{numberText(sum(one => one.events_per_hour))}</dd></div>
        <div><dt>Lost at Tetragon</dt><dd class={lost > 0 ? 'warn-text' : ''}>{lost.toLocaleString('en')}</dd></div>
        <div><dt>Throttled cgroups</dt><dd class={throttled > 0 ? 'warn-text' : ''}>{throttled.toLocaleString('en')}</dd></div>
      </dl>
      <DataTable
        label='Sources' rows={rows} rowKey={keyOf} rowHeight={{ table: 58, card: 232 }}
        columns={[
          { key: 'source', title: 'Source', cardLabel: '', render: source => <SourceName source={source} /> },
          { key: 'fresh', title: 'Last arrival', width: '7.2rem', render: ({ silent: isSilent, last_arrival: at }) => <span>{isSilent ? <Badge tone='bad'>silent</Badge> : <Badge tone='good'>sends</Badge>}<br /><Time at={at} relative='only' /></span> },
          { key: 'events', title: 'Events', width: '5rem', align: 'right', render: ({ events }) => events.toLocaleString('en') },
          { key: 'rate', title: 'An hour', width: '5rem', align: 'right', render: ({ events_per_hour: rate }) => numberText(rate) },
          { key: 'lag', title: 'Lag p50 / p99 / max', cardLabel: 'Lag', width: '14rem', align: 'right', render: source => <Lag source={source} /> },
          { key: 'lacks', title: 'Lacks', width: '8.4rem', render: ({ lacking }) => <Lacks lacking={lacking} /> },
          { key: 'lost', title: 'Lost', width: '4rem', align: 'right', render: ({ lost_events: gone, throttled: times }) => <span class={gone + times > 0 ? 'warn-text' : ''} title='events that Tetragon’s rate limit dropped; times that it throttled a cgroup'>{gone.toLocaleString('en')}{times > 0 && <><br />{times.toLocaleString('en')} ×</>}</span> },
        ]}
      />
      <p class='muted small-text'>Silent ones first. Lag (p50 / p99 / max) is from the time of an event to its arrival. Lacks: fields that a detection groups by, so that events without them are in none of its rows. Lost: events that Tetragon says its rate limit dropped.</p>
    </>
  )
}

const keyOf = ({ index, sourcetype, cluster_name: cluster, node_name: node }: Source): string => JSON.stringify([index, sourcetype, cluster, node])

function SourceName ({ source }: { source: Source }) {
  const { node_name: node, cluster_name: cluster, sourcetype, index } = source
  if (index === null) return <span title='beyond those that are told apart'>{ALL_OTHERS}</span>
  return (
    <span class='source-name' title={sourceName(source)}>
      <b class='cut'>{node === null ? <span class='muted'>no node</span> : <Visible text={node} />}</b>
      <span class='cut muted small-text'>{cluster === null ? 'no cluster' : <Visible text={cluster} />} · <Visible text={sourcetype ?? ''} /> · <Visible text={index} /></span>
    </span>
  )
}

function Lag ({ source: { lag, from_the_future: ahead } }: { source: Source }) {
  if (lag === null) return <span class='muted'>–</span>
  return (
    <span>
      {[lag.p50, lag.p99, lag.max].map(seconds => durationText(seconds, 1)).join(' / ')}
      {ahead > 0 && <><br /><span class='warn-text'>{ahead.toLocaleString('en')} from the future</span></>}
    </span>
  )
}

/** By field: one event may be lacking to many detections. */
function Lacks ({ lacking }: Pick<Source, 'lacking'>) {
  if (lacking.length === 0) return <span class='muted'>–</span>
  const fields = [...new Set(lacking.map(({ field }) => field))].map(field => [field, lacking.filter(one => one.field === field)] as const)
  const all = lacking.map(({ field, events, detection_id: id }) => `${field}: ${countOf(events, 'event')} of ${id}`).join('\n')
  return (
    <span title={all}>
      {fields.slice(0, 2).map(([field, lacks]) => (
        <span key={field} class='cut'>
          <Badge tone='warn'><Visible text={field} /></Badge> <a href={`/detections/${encodeURIComponent(lacks[0]!.detection_id)}`}>{lacks.length === 1 ? lacks[0]!.detection_id : countOf(lacks.length, 'detection')}</a>
        </span>
      ))}
      {fields.length > 2 && <span class='muted'>and {countOf(fields.length - 2, 'other')}</span>}
    </span>
  )
}

/** By what is inside an event it gets another sourcetype, which detections look for. */
function Routing () {
  const state = useQuery<{ readonly items: readonly Route[] }>('/routes')
  return (
    <Card title='Routing' state={state}>
      {({ items }) => (
        <>
          <DataTable
            label='Routing' rows={items} rowKey={route => JSON.stringify(route)}
            columns={[
              { key: 'from', title: 'Comes as', render: ({ from }) => <Visible text={from} /> },
              { key: 'key', title: 'Has, in its JSON', cardLabel: 'Has', render: ({ key }) => <code><Visible text={key} /></code> },
              { key: 'to', title: 'Becomes', render: ({ from, to }) => from === to ? <span class='muted'>stays as it is</span> : <b><Visible text={to} /></b> },
              { key: 'origin', title: 'From', render: ({ origin }) => origin === 'configuration' ? <span>the configuration: <code>routes</code></span> : <span class='muted'>built in</span> },
            ]}
          />
          <p class='muted small-text'>An event’s sourcetype, when it comes in; the first line that fits counts.</p>
        </>
      )}
    </Card>
  )
}

function Tokens ({ onMade }: { onMade: (secret: string) => void }) {
  const api = useApi()
  const { tell, fail } = useToast()
  const [isAdding, setAdding] = useState(false)
  const [removing, setRemoving] = useState<Token | null>(null)
  const { value, error, refresh } = useAll<Token>('/tokens', { pollMs: POLL_MS })
  useKeys('Sources', [{ keys: 'n', label: 'Add a HEC token', run: () => setAdding(true) }])
  const toggle = async ({ name, enabled }: Token) => {
    try {
      await api.call('PATCH', `/tokens/${encodeURIComponent(name)}`, { body: { enabled: !enabled } })
      tell(`${enabled ? 'Disabled' : 'Enabled'}: token ${name}`)
    } catch (problem) {
      fail(problem)
    }
    refresh()
  }
  return (
    <Section title='HEC tokens' actions={<button type='button' class='small' title='n' onClick={() => setAdding(true)}>Add a token</button>}>
      {error !== null && <ErrorState error={error} onRetry={refresh} />}
      {value === undefined && error === null && <Loading />}
      {value?.items.length === 0 && <EmptyState title='There is no token'>Nobody can send events. Add one.</EmptyState>}
      {value !== undefined && value.items.length > 0 && (
        <DataTable
          label='HEC tokens' rows={value.items} rowKey={({ name }) => name}
          columns={[
            { key: 'name', title: 'Name', render: ({ name, enabled }) => <span><b><Visible text={name} /></b> {enabled ? null : <Badge tone='warn'>disabled</Badge>}</span> },
            { key: 'origin', title: 'From', render: ({ origin, created_at: at }) => origin === 'configuration' ? <span>the configuration: <code>hec.tokens</code></span> : <span>added {at !== null && <Time at={at} relative='only' />}</span> },
            { key: 'index', title: 'Index', render: ({ index }) => <Visible text={index} /> },
            { key: 'sourcetype', title: 'Sourcetype', render: ({ sourcetype }) => sourcetype === null ? <span class='muted'>–</span> : <Visible text={sourcetype} /> },
            { key: 'used', title: 'Last used', render: ({ last_used_at: at }) => at === null ? <span class='muted'>never</span> : <Time at={at} relative='only' /> },
            { key: 'requests', title: 'Requests', align: 'right', render: ({ requests }) => requests.toLocaleString('en') },
            { key: 'events', title: 'Events', align: 'right', render: ({ events }) => events.toLocaleString('en') },
            {
              key: 'do', title: 'Change', cardLabel: '', render: token => token.origin === 'configuration'
                ? <span class='muted small-text'>in the configuration</span>
                : (
                  <span class='row'>
                    <button type='button' class='small' aria-label={`${token.enabled ? 'Disable' : 'Enable'} ${token.name}`} onClick={() => { toggle(token) }}>{token.enabled ? 'Disable' : 'Enable'}</button>
                    <button type='button' class='small danger' aria-label={`Remove ${token.name}`} onClick={() => setRemoving(token)}>Remove</button>
                  </span>
                  ),
            },
          ]}
        />
      )}
      {isAdding && <AddTokenDialog onClose={() => setAdding(false)} onMade={secret => { onMade(secret); refresh() }} />}
      {removing !== null && <RemoveTokenDialog token={removing} onClose={() => setRemoving(null)} onRemoved={() => { setRemoving(null); refresh() }} />}
    </Section>
  )
}
