import type { ComponentChildren } from 'preact'
import type { Backup, Store } from '../api-types.js'
import { useApi } from '../api.js'
import type { Tone } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import { Card, Section } from '../components/card.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState } from '../components/empty-state.js'
import { ListState } from '../components/list-state.js'
import { useToast } from '../components/toast.js'
import { useList } from '../list.js'
import { useQuery } from '../query.js'
import { useSession } from '../session.js'
import { bytesText, Visible } from '../text.js'
import { durationText, Time, toMs, useNow } from '../time.js'

const POLL_MS = 30_000
/** While a backup runs. */
const PROGRESS_MS = 2_000
const PAGE_SIZE = 100
const DAY_MS = 86_400_000

/** What the events are in, and the disk below it. */
export function StoreTab () {
  const state = useQuery<Store>('/store', { pollMs: POLL_MS })
  return (
    <>
      <Card title='Disk' state={state}>
        {({ disk, partitions }) => (
          <>
            {disk.full && <p class='changed-note' role='alert'><b>Events are refused:</b> less is free than <code>data.reserve_bytes</code>.</p>}
            <dl class='figures'>
              <div><dt>Free</dt><dd class={disk.full ? 'error-text' : ''}>{bytesText(disk.free_bytes)}</dd></div>
              <div><dt>Kept free</dt><dd>{disk.reserve_bytes === 0 ? 'not watched' : bytesText(disk.reserve_bytes)}</dd></div>
              <div><dt>Events</dt><dd>{partitions.reduce((sum, { events }) => sum + (events ?? 0), 0).toLocaleString('en')}</dd></div>
              <div><dt>They take</dt><dd>{bytesText(partitions.reduce((sum, { bytes }) => sum + bytes, 0))}</dd></div>
            </dl>
          </>
        )}
      </Card>
      <Card title='Retention' state={state}>{store => <RetentionOf store={store} />}</Card>
      <Card title='Partitions' state={state}>
        {({ partitions }) => partitions.length === 0
          ? <EmptyState title='No events are stored' />
          : (
            <DataTable
              label='Partitions' rows={partitions.toReversed()} rowKey={({ name }) => name}
              columns={[
                { key: 'name', title: 'Day of arrival', cardLabel: '', render: ({ name }) => <b>{name}</b> },
                { key: 'state', title: 'State', width: '100px', render: ({ state: one, packed }) => <Badge tone={one === 'damaged' ? 'bad' : one === 'open' ? 'info' : 'good'}>{one !== 'damaged' && packed === true ? 'packed' : one}</Badge> },
                { key: 'events', title: 'Events', align: 'right', render: ({ events }) => events?.toLocaleString('en') ?? 'not known' },
                { key: 'bytes', title: 'Size', align: 'right', render: ({ bytes }) => bytesText(bytes) },
                { key: 'earliest', title: 'Earliest event', render: ({ earliest }) => earliest === null ? '–' : <Time at={earliest} relative='none' precision='minutes' /> },
                { key: 'latest', title: 'Latest event', render: ({ latest }) => latest === null ? '–' : <Time at={latest} relative='none' precision='minutes' /> },
              ]}
            />
            )}
      </Card>
    </>
  )
}

/** What goes when, and of the two limits that events have the one that is nearer. */
function RetentionOf ({ store: { partitions, retention } }: { store: Store }) {
  const now = useNow()
  const oldest = partitions.find(({ state }) => state !== 'damaged')?.name.slice(0, 10)
  const goesMs = oldest === undefined ? null : Date.parse(oldest) + DAY_MS + retention.events_seconds * 1000 // src/store/sqlite/retention.ts
  const used = retention.bytes / retention.max_bytes
  const aged = goesMs === null ? 0 : Math.max(0, 1 - (goesMs - now) / 1000 / retention.events_seconds)
  const nearest = goesMs === null ? null : used > aged ? 'data.max_bytes' : 'data.retention'
  const rows: readonly Limit[] = [
    {
      what: 'Events, by age', setting: 'data.retention', kept: durationText(retention.events_seconds), share: aged,
      note: goesMs === null ? 'no events are stored' : <>the oldest day, {oldest}, goes <Time at={goesMs / 1000} relative='only' /></>,
    },
    {
      what: 'Events, by size', setting: 'data.max_bytes', kept: `up to ${bytesText(retention.max_bytes)}`, share: used,
      note: `${bytesText(retention.bytes)} are taken, ${percentText(used)}; above it the oldest days go`,
    },
    { what: 'Findings', setting: 'data.findings_retention', kept: durationText(retention.findings_seconds), note: 'after their last change, with their events' },
    { what: 'Slots of the ledger', setting: 'data.ledger_retention', kept: durationText(retention.ledger_seconds), note: 'after their last change; what is owed or failed stays' },
    { what: 'Audit log', setting: 'data.audit_retention', kept: durationText(retention.audit_seconds), note: 'after it was written' },
  ]
  return (
    <DataTable
      label='Limits' rows={rows} rowKey={({ setting }) => setting}
      columns={[
        { key: 'what', title: 'What', cardLabel: '', render: ({ what, setting }) => <><b>{what}</b>{setting === nearest && <> <Badge tone='info'>nearest</Badge></>}<code class='block small-text muted'>{setting}</code></> },
        { key: 'kept', title: 'Kept', width: '120px', render: ({ kept }) => kept },
        { key: 'share', title: 'Used', width: '140px', render: ({ what, share }) => share === undefined ? null : <meter min={0} max={1} value={Math.min(1, share)} aria-label={`${what}: ${percentText(share)}`} /> },
        { key: 'note', title: '', cardLabel: '', render: ({ note }) => <span class='muted'>{note}</span> },
      ]}
    />
  )
}

interface Limit { readonly what: string, readonly setting: string, readonly kept: string, readonly share?: number, readonly note: ComponentChildren }

const percentText = (share: number) => share > 0 && share < 0.001 ? 'under 0.1 %' : `${(100 * share).toLocaleString('en', { maximumFractionDigits: 1 })} %`

const BACKUP_TONES: Readonly<Record<Backup['state'], Tone>> = { running: 'info', succeeded: 'good', failed: 'bad' }

/** Copies of the data folder. */
export function BackupsTab () {
  const api = useApi()
  const { session } = useSession()
  const { tell, fail } = useToast()
  const newest = useQuery<{ readonly items: readonly Backup[] }>('/backups', { query: { limit: 1 }, pollMs: PROGRESS_MS })
  const running = newest.value?.items.find(({ state }) => state === 'running')
  const list = useList<Backup>('/backups', { query: { limit: PAGE_SIZE }, pollMs: running === undefined ? POLL_MS : PROGRESS_MS })
  const start = async () => {
    try {
      await api.post('/backups', undefined)
      tell('A backup has begun')
    } catch (error) {
      fail(error)
    }
    newest.refresh()
    list.refresh()
  }
  return (
    <Section title='Backups' {...session.role === 'admin' ? { actions: <button type='button' class='small' disabled={running !== undefined} onClick={() => { start() }}>{running === undefined ? 'Begin a backup' : 'One runs'}</button> } : {}}>
      <ListState list={list} empty={<EmptyState title='There is no backup'>They go below <code>data.backup_dir</code>, while the server runs.</EmptyState>}>
        <DataTable
          label='Backups' rows={list.rows} rowKey={({ id }) => id}
          columns={[
            { key: 'started', title: 'Begun', cardLabel: '', render: ({ started_at: at, id }) => <><Time at={at} precision='seconds' /><span class='block small-text muted mono'>{id}</span></> },
            { key: 'state', title: 'State', width: '110px', render: ({ state }) => <Badge tone={BACKUP_TONES[state]}>{state}</Badge> },
            { key: 'took', title: 'Took', render: ({ started_at: from, finished_at: to }) => to === null ? '–' : durationText((toMs(to) - toMs(from)) / 1000) },
            { key: 'bytes', title: 'Size', render: ({ state, bytes, total_bytes: all }) => state === 'running' ? <span class='copied'><progress max={Math.max(all, bytes, 1)} value={bytes} aria-label='copied' /> {bytesText(bytes)} of {bytesText(all)}</span> : bytesText(bytes) },
            { key: 'events', title: 'Events', align: 'right', render: ({ event_count: events }) => events?.toLocaleString('en') ?? '–' },
            { key: 'error', title: 'Error', render: ({ error }) => error === null ? '–' : <span class='error-text'><Visible text={error} /></span> },
          ]}
        />
      </ListState>
    </Section>
  )
}
