import { useState } from 'preact/hooks'
import type { LedgerSlot } from '../api-types.js'
import { Section } from '../components/card.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState } from '../components/empty-state.js'
import { ListState } from '../components/list-state.js'
import { WaiveDialog } from '../components/waive-dialog.js'
import { useList } from '../list.js'
import { useSession } from '../session.js'
import { Visible } from '../text.js'
import { Time, TimeSpan } from '../time.js'

const POLL_MS = 30_000
const PAGE_SIZE = 100

/** Windows that wait for an evaluation; those that nobody needs are waived. */
export function LedgerTab () {
  return (
    <>
      <Slots state='failed' title='Failed' empty='No run has failed' />
      <Slots state='owed' title='Owed' empty='Nothing is owed' />
    </>
  )
}

function Slots ({ state, title, empty }: { state: 'owed' | 'failed', title: string, empty: string }) {
  const list = useList<LedgerSlot>('/ledger', { query: { state, limit: PAGE_SIZE }, pollMs: POLL_MS })
  const { mayWrite } = useSession()
  const [waive, setWaive] = useState<LedgerSlot | null>(null)
  return (
    <Section title={title}>
      <ListState list={list} empty={<EmptyState title={empty}>{state === 'owed' ? 'Every window that was due has been evaluated or waived.' : 'One that fails is tried again.'}</EmptyState>}>
        <DataTable
          label={title} rows={list.rows} rowKey={slot => `${slot.detection_id} ${slot.scheduled_time}`}
          columns={[
            { key: 'slot', title: 'Slot', width: '210px', cardLabel: '', render: slot => <Time at={slot.scheduled_time} precision='minutes' /> },
            { key: 'detection', title: 'Detection', cardLabel: '', render: slot => <a href={`/detections/${encodeURIComponent(slot.detection_id)}`}><Visible text={slot.detection_id} /></a> },
            { key: 'window', title: 'Window', width: '225px', render: ({ window }) => <TimeSpan from={window.earliest} to={window.latest} /> },
            ...state === 'failed'
              ? [
                  { key: 'tries', title: 'Tries', width: '60px', align: 'right' as const, render: (slot: LedgerSlot) => slot.tries.toLocaleString('en') },
                  { key: 'next', title: 'Next try', width: '90px', render: (slot: LedgerSlot) => slot.next_try === null ? '–' : <Time at={slot.next_try} relative='only' /> },
                  { key: 'error', title: 'Error', render: (slot: LedgerSlot) => <span class='small-text error-text'><Visible text={slot.error ?? ''} lines /></span> },
                ]
              : [],
            ...mayWrite ? [{ key: 'actions', title: '', width: '100px', align: 'right' as const, cardLabel: '', render: (slot: LedgerSlot) => <button type='button' class='small' onClick={() => setWaive(slot)}>Waive…</button> }] : [],
          ]}
        />
      </ListState>
      {waive !== null && <WaiveDialog detection={waive.detection_id} stretch={{ scheduled_time: waive.scheduled_time }} onClose={() => setWaive(null)} onDone={() => { setWaive(null); list.refresh() }} />}
    </Section>
  )
}
