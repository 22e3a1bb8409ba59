import type { AuditEntry } from '../api-types.js'
import type { Tone } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import { Section } from '../components/card.js'
import { Json } from '../components/code.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState } from '../components/empty-state.js'
import { FilterBar } from '../components/filter-bar.js'
import { ListState } from '../components/list-state.js'
import { TimeRange } from '../components/time-range.js'
import { useList } from '../list.js'
import { toQuery, useRouter } from '../router.js'
import { Visible } from '../text.js'
import { Time } from '../time.js'

const PAGE_SIZE = 100
const FILTERED_BY = ['by', 'how', 'action', 'target_type', 'target_id', 'earliest', 'latest']

const TONES: Readonly<Record<AuditEntry['outcome'], Tone>> = { begun: 'warn', done: 'good', failed: 'bad', refused: 'warn' }

/** Who changed what, and whose key was refused. */
export function AuditTab () {
  const { query, setQuery } = useRouter()
  const list = useList<AuditEntry>('/audit', { query: { ...toQuery(query, FILTERED_BY), limit: PAGE_SIZE } })
  return (
    <Section title='Audit log'>
      <div class='filters'>
        <TimeRange value={{ earliest: query.get('earliest') ?? '', latest: query.get('latest') ?? '' }} onChange={({ earliest, latest }) => setQuery({ earliest: earliest || null, latest: latest || null })} />
        <FilterBar
          also={['earliest', 'latest']}
          filters={[
            { kind: 'text', name: 'by', label: 'By' },
            { kind: 'one', name: 'how', label: 'How', options: ['bearer', 'session', 'command'].map(value => ({ value, label: value })) },
            { kind: 'text', name: 'action', label: 'Action', placeholder: 'key.add' },
            { kind: 'text', name: 'target_type', label: 'Kind of target', placeholder: 'key' },
            { kind: 'text', name: 'target_id', label: 'Target' },
          ]}
        />
      </div>
      <ListState list={list} empty={<EmptyState title='No entry meets this' />}>
        <DataTable
          label='Audit log' rows={list.rows} rowKey={({ id }) => String(id)}
          columns={[
            { key: 'at', title: 'Time', width: '160px', cardLabel: '', render: ({ at }) => <Time at={at} relative='none' /> },
            { key: 'by', title: 'By', width: '130px', render: ({ by, role, how }) => <span>{by === null ? <span class='muted'>nobody that is known</span> : <Visible text={by} />}<span class='block small-text muted'>{[role, how].filter(one => one !== null).join(', ')}</span></span> },
            { key: 'action', title: 'Action', width: '165px', render: ({ action, count }) => <span class='mono'><Visible text={action} />{count > 1 && ` × ${count.toLocaleString('en')}`}</span> },
            { key: 'target', title: 'Target', render: ({ target }) => <span><span class='muted'><Visible text={target.type} /></span>{target.id !== null && <> <Visible text={target.id} /></>}</span> },
            { key: 'outcome', title: 'Outcome', width: '90px', render: ({ outcome }) => <Badge tone={TONES[outcome]}>{outcome}</Badge> },
            { key: 'address', title: 'Address', width: '115px', render: ({ address }) => address === null ? '–' : <Visible text={address} /> },
            { key: 'change', title: 'Change', cardLabel: '', render: ({ id, before, after }) => before === null && after === null ? '–' : <details class='change'><summary>what changed</summary>{before !== null && <Json value={before} label={`before, ${id}`} />}{after !== null && <Json value={after} label={`after, ${id}`} />}</details> },
          ]}
        />
      </ListState>
    </Section>
  )
}
