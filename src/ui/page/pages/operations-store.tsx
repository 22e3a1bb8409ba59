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
import { durationText, Time, toMs } from '../time.js'

const POLL_MS = 30_000
/** While a backup runs. */
const PROGRESS_MS = 2_000
const PAGE_SIZE = 100

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
              <div><dt>Kept free</dt><dd>{bytesText(disk.reserve_bytes)}</dd></div>
              <div><dt>Events</dt><dd>{partitions.reduce((sum, { events }) => sum + (events ?? 0), 0).toLocaleString('en')}</dd></div>
              <div><dt>They take</dt><dd>{bytesText(partitions.reduce((sum, { bytes }) => sum + bytes, 0))}</dd></div>
            </dl>
            <p class='muted small-text'>How long events stay, and how much they may take, the configuration says: <code>data.retention</code>, <code>data.max_bytes</code>.</p>
          </>
        )}
      </Card>
      <Card title='Partitions' state={state}>
        {({ partitions }) => partitions.length === 0
          ? <EmptyState title='No events are stored' />
          : (
            <DataTable
              label='Partitions' rows={partitions.toReversed()} rowKey={({ name }) => name}
              columns={[
                { key: 'name', title: 'Day of arrival', cardLabel: '', render: ({ name }) => <b>{name}</b> },
                { key: 'state', title: 'State', width: '100px', render: ({ state: one }) => <Badge tone={one === 'damaged' ? 'bad' : one === 'open' ? 'info' : 'good'}>{one}</Badge> },
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
