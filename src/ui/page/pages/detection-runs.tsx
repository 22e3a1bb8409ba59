import { useState } from 'preact/hooks'
import type { PageOf, Run } from '../api-types.js'
import { Badge } from '../components/badge.js'
import { Card } from '../components/card.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState } from '../components/empty-state.js'
import { useQuery } from '../query.js'
import { Visible } from '../text.js'
import { durationText, Time } from '../time.js'

const SIZES = [10, 100, 1_000] as const

/** Runs, the last first, with what went wrong. */
export function Runs ({ id }: { id: string }) {
  const [size, setSize] = useState(0)
  const limit = SIZES[size]!
  const state = useQuery<PageOf<Run>>(`/detections/${encodeURIComponent(id)}/runs`, { query: { limit }, pollMs: 30_000 })
  return (
    <Card title='Runs' state={state}>
      {({ items, next_cursor: more }) => items.length === 0
        ? <EmptyState title='It has not run yet' />
        : (
          <div class='runs'>
            <DataTable
              label='Runs' rows={items} rowKey={run => run.id} {...items.length > 100 ? { rowHeight: { table: 34, card: 150 } } : {}}
              columns={[
                { key: 'slot', title: 'Slot', width: '10rem', render: run => <Time at={run.scheduled_time} relative='none' precision='minutes' /> },
                { key: 'began', title: 'Began', width: '13rem', render: run => <Time at={run.started_at} /> },
                { key: 'status', title: 'Status', width: '6.5rem', render: run => <Badge tone={run.status === 'failed' ? 'bad' : 'good'}>{run.status}</Badge> },
                { key: 'rows', title: 'Rows', width: '4.5rem', align: 'right', render: run => run.row_count.toLocaleString('en') },
                { key: 'findings', title: 'Findings', render: run => <FindingsOf run={run} /> },
                { key: 'scanned', title: 'Events', width: '6.5rem', align: 'right', render: run => run.scanned_events.toLocaleString('en') },
                { key: 'took', title: 'Took', width: '5.5rem', align: 'right', render: run => durationText((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000) },
              ]}
            />
            {more !== null && (SIZES[size + 1] === undefined
              ? <p class='muted small-text'>Older runs are in the API: GET /api/v1/detections/{id}/runs.</p>
              : <button type='button' class='quiet' onClick={() => setSize(size + 1)}>Show up to {SIZES[size + 1]!.toLocaleString('en')}</button>)}
          </div>
          )}
    </Card>
  )
}

function FindingsOf ({ run: { findings, error, warnings } }: { run: Run }) {
  const parts = Object.entries(findings).filter(([, count]) => count !== undefined && count > 0).map(([what, count]) => `${count} ${what}`)
  return (
    <>
      {parts.length === 0 ? <span class='muted'>none</span> : parts.join(', ')}
      {error !== undefined && <span class='error-text pre-line'> <Visible text={error} lines /></span>}
      {warnings.map(warning => <span key={warning} class='warn-text pre-line'> <Visible text={warning} lines /></span>)}
    </>
  )
}
