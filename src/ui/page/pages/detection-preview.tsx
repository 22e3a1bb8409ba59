import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { PageOf, PreviewReply, Row, SlotOf } from '../api-types.js'
import { isAbort, useApi } from '../api.js'
import { Section } from '../components/card.js'
import { Chart } from '../components/chart.js'
import { EmptyState, ErrorState } from '../components/empty-state.js'
import { Progress } from '../components/progress.js'
import { Rows } from '../components/rows.js'
import { TimeRange } from '../components/time-range.js'
import type { Range } from '../components/time-range.js'
import { countOf } from '../text.js'

/** Slots of one preview: a month of hours. More are for a dry run of a backfill, which goes on when the page is left. */
const MAX_SLOTS = 750

/** Rows that are kept to be shown; all are counted. */
const MAX_ROWS = 10_000

const PRESETS = [
  { label: 'Last 4 hours', earliest: '-4h', latest: 'now' },
  { label: 'Last 24 hours', earliest: '-24h', latest: 'now' },
  { label: 'Last 7 days', earliest: '-7d', latest: 'now' },
  { label: 'Last 30 days', earliest: '-30d', latest: 'now' },
] as const

/** Column that the page adds; no search gives one of that name. */
export const SLOT = ' slot'

interface Seen {
  readonly slots: readonly SlotOf[]
  /** Rows of each slot that is done. */
  readonly counts: readonly number[]
  readonly fields: readonly string[]
  readonly rows: readonly Row[]
  readonly isCut: boolean
  readonly state: 'running' | 'stopped' | 'done'
}

/** What the detection would give over a stretch of its schedule, slot by slot, as its search is now. Nothing is written. */
export function Preview ({ id, keyFields }: { id: string, keyFields: readonly string[] | null }) {
  const api = useApi()
  const [range, setRange] = useState<Range>({ earliest: '-24h', latest: 'now' })
  const [seen, setSeen] = useState<Seen | null>(null)
  const [error, setError] = useState<unknown>(null)
  const running = useRef<AbortController | null>(null)
  const path = `/detections/${encodeURIComponent(id)}`
  useEffect(() => () => running.current?.abort(), [])

  const run = async () => {
    running.current?.abort()
    const abort = new AbortController()
    running.current = abort
    setError(null)
    setSeen(null)
    try {
      const { slots, isCut } = await slotsOf(range, abort.signal)
      let now: Seen = { slots, counts: [], fields: [SLOT], rows: [], isCut, state: slots.length === 0 ? 'done' : 'running' }
      setSeen(now)
      for (const { scheduled_time: scheduled } of slots) {
        const { fields, rows } = await api.post<PreviewReply>(`${path}/preview`, { scheduled_time: scheduled }, { signal: abort.signal })
        if (abort.signal.aborted) return
        now = {
          ...now,
          counts: [...now.counts, rows.length],
          fields: [...now.fields, ...fields.filter(field => !now.fields.includes(field))],
          rows: [...now.rows, ...rows.slice(0, MAX_ROWS - now.rows.length).map(row => ({ ...row, [SLOT]: scheduled }))],
        }
        setSeen({ ...now, state: now.counts.length === slots.length ? 'done' : 'running' })
      }
    } catch (problem) {
      if (isAbort(problem)) return
      setError(problem)
      setSeen(before => before === null ? null : { ...before, state: 'stopped' })
    }
  }
  const stop = () => {
    running.current?.abort()
    setSeen(before => before === null ? null : { ...before, state: 'stopped' })
  }

  async function slotsOf ({ earliest, latest }: Range, signal: AbortSignal): Promise<{ slots: SlotOf[], isCut: boolean }> {
    const { items, next_cursor: more } = await api.get<PageOf<SlotOf>>(`${path}/slots`, { query: { earliest: earliest === '' ? '0' : earliest, latest: latest === '' ? 'now' : latest, limit: MAX_SLOTS }, signal })
    return { slots: [...items], isCut: more !== null }
  }

  const times = useMemo(() => seen === null ? [] : seen.slots.map(({ scheduled_time: at }) => Date.parse(at) / 1000), [seen?.slots])
  const series = useMemo(() => [{ label: 'rows', values: times.map((_, n) => seen?.counts[n] ?? 0), color: '--accent', kind: 'bars' as const }], [times, seen?.counts])
  const sum = seen === null ? 0 : seen.counts.reduce((total, one) => total + one, 0)
  return (
    <Section title='Preview' id='preview'>
      <p class='muted'>Runs each slot of a stretch as it would run now, and shows its rows{keyFields !== null && keyFields.length > 0 ? '; rows of one slot differ by its BY fields' : ''}. Nothing is written.</p>
      <div class='search-bar'>
        <TimeRange value={range} onChange={setRange} presets={PRESETS} />
        <div class='search-buttons'>
          {seen?.state === 'running' ? <button type='button' class='danger' onClick={stop}>Stop</button> : <button type='button' class='primary' onClick={() => { run() }}>Preview</button>}
        </div>
      </div>
      {error !== null && <ErrorState error={error} />}
      {seen !== null && (seen.slots.length === 0
        ? <EmptyState title='No slot has its whole window in this stretch' />
        : (
          <>
            <Progress label='Slots that were run' done={seen.counts.length} total={seen.slots.length}><span role='status'>{countOf(sum, 'row')}{seen.state === 'stopped' ? ', stopped' : ''}</span></Progress>
            {seen.isCut && <p class='notice warn'>Only the first {MAX_SLOTS.toLocaleString('en')} slots of the stretch are run here. A dry run of a backfill does them all.</p>}
            {sum > 0 && <Chart label={`Rows by slot: ${sum} of ${seen.counts.length} slots`} times={times} series={series} height={120} />}
            {sum > seen.rows.length && <p class='notice warn'>The first {seen.rows.length.toLocaleString('en')} rows are shown; all are counted.</p>}
            {seen.rows.length > 0
              ? <Rows label='Rows of the preview' slotField={SLOT} fields={seen.fields} rows={seen.rows} />
              : seen.state === 'done' && <EmptyState title='It would have given nothing'>{countOf(seen.slots.length, 'slot')} without a row.</EmptyState>}
          </>
          ))}
    </Section>
  )
}
