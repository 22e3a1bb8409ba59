import { useMemo, useRef, useState } from 'preact/hooks'
import type { Coverage, CoverageGap, CoverageSlot } from '../api-types.js'
import { useApi } from '../api.js'
import { Section } from '../components/card.js'
import { CopyButton } from '../components/code.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { useToast } from '../components/toast.js'
import type { Stretch } from '../components/waive-dialog.js'
import { WaiveDialog } from '../components/waive-dialog.js'
import { usePreferences } from '../preferences.js'
import { useAsked } from '../query.js'
import { useRouter } from '../router.js'
import { countOf, Visible, words } from '../text.js'
import { durationText, Time, timeText } from '../time.js'

const DAYS = ['1', '7', '30'] as const

/** Slots that are drawn: a week of every five minutes is 2,016. */
const MAX_SLOTS = 4_000

const DAY_MS = 86_400_000
const STATES = ['done', 'owed', 'failed', 'waived', 'missing'] as const

interface Read { readonly coverage: Coverage, readonly slots: readonly CoverageSlot[], readonly isCut: boolean }

/** Which event time was looked at, a day to a line; a slot is opened by a click. */
export function CoverageCard ({ id, mayWrite }: { id: string, mayWrite: boolean }) {
  const api = useApi()
  const { query, setQuery } = useRouter()
  const days = DAYS.find(one => one === query.get('days')) ?? '7'
  const path = `/detections/${encodeURIComponent(id)}/coverage`
  const state = useAsked<Read>(`${path} ${days}`, async signal => {
    const coverage = await api.get<Coverage>(path, { query: { earliest: `-${days}d`, limit: 1000 }, signal })
    const slots = [...coverage.slots.items]
    let cursor = coverage.slots.next_cursor
    while (cursor !== null && slots.length < MAX_SLOTS) {
      const { slots: page } = await api.get<Coverage>(path, { query: { ...coverage.window, limit: 1000, cursor }, signal })
      slots.push(...page.items)
      cursor = page.next_cursor
    }
    return { coverage, slots, isCut: cursor !== null }
  }, 60_000)
  const [waive, setWaive] = useState<Stretch | null>(null)
  const read = state.value
  const chosen = read?.slots.find(({ scheduled_time: at }) => at === query.get('slot'))
  return (
    <Section
      title='Coverage' id='coverage'
      actions={(
        <>
          <span class='segments' role='group' aria-label='Days'>{DAYS.map(one => <button key={one} type='button' class='small' aria-pressed={one === days} onClick={() => setQuery({ days: one, slot: null }, 'replace')}>{one === '1' ? '24 h' : `${one} d`}</button>)}</span>
          <a class='button small' href={`/api/v1${path}?${new URLSearchParams({ format: 'csv', earliest: `-${days}d` })}`} download={`${id}-coverage.csv`}>CSV</a>
        </>
      )}
    >
      {state.error !== null && <ErrorState error={state.error} onRetry={() => state.refresh()} />}
      {read === undefined
        ? state.error === null && <Loading />
        : (
          <>
            <figure class='quote'><blockquote>{read.coverage.summary}</blockquote><CopyButton text={read.coverage.summary ?? ''} what='the sentence' /></figure>
            {read.slots.length === 0
              ? <EmptyState title='No slot was due in this stretch' />
              : <HeatMap slots={read.slots} chosen={chosen?.scheduled_time ?? null} onChoose={at => setQuery({ slot: at }, 'replace')} />}
            {read.isCut && <p class='notice warn'>Only the first {read.slots.length.toLocaleString('en')} slots are drawn; the sentence and the gaps are of all. Choose fewer days, or take the CSV.</p>}
            {chosen !== undefined && <SlotFacts id={id} slot={chosen} mayWrite={mayWrite} onWaive={() => setWaive({ scheduled_time: chosen.scheduled_time })} onRan={() => state.refresh()} />}
            <Gaps coverage={read.coverage} mayWrite={mayWrite} onWaive={gap => setWaive(waivable(gap, read.slots))} />
          </>
          )}
      {waive !== null && <WaiveDialog detection={id} stretch={waive} onClose={() => setWaive(null)} onDone={() => { setWaive(null); state.refresh() }} />}
    </Section>
  )
}

/** The owed and failed slots whose windows reach into a gap, as a stretch of their scheduled times. */
function waivable ({ earliest, latest }: CoverageGap, slots: readonly CoverageSlot[]): Stretch | null {
  const meant = slots.filter(({ state, window }) => (state === 'owed' || state === 'failed') && Date.parse(window.latest) > Date.parse(earliest) && Date.parse(window.earliest) < Date.parse(latest))
  const [first, last] = [meant[0], meant.at(-1)]
  if (first === undefined || last === undefined) return null
  return { earliest: first.scheduled_time, latest: new Date(Date.parse(last.scheduled_time) + 1000).toISOString() } // a slot is a whole second
}

interface Cell { readonly slot: CoverageSlot, readonly n: number, readonly left: number, readonly width: number }

/** A day to a line; each slot reaches from its time to the next one's. Arrow keys go from slot to slot. */
function HeatMap ({ slots, chosen, onChoose }: { slots: readonly CoverageSlot[], chosen: string | null, onChoose: (scheduledTime: string) => void }) {
  const { zone } = usePreferences()
  const box = useRef<HTMLDivElement>(null)
  const lines = useMemo(() => daysOf(slots, zone), [slots, zone])
  const at = slots.findIndex(({ scheduled_time: time }) => time === chosen)
  const entry = at < 0 ? slots.length - 1 : at // where tab leads
  const choose = (n: number) => {
    const slot = slots[n]
    if (slot === undefined) return
    onChoose(slot.scheduled_time)
    box.current?.querySelector<HTMLElement>(`[data-slot="${n}"]`)?.focus()
  }
  /** The slot nearest to so many days from one. */
  const beside = (n: number, days: number) => {
    const wanted = Date.parse(slots[n]!.scheduled_time) + days * DAY_MS
    const distance = (m: number) => Math.abs(Date.parse(slots[m]!.scheduled_time) - wanted)
    let best = n
    for (let m = 0; m < slots.length; m++) if (distance(m) < distance(best)) best = m
    return best
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const n = Number((event.target as HTMLElement).dataset.slot)
    const to = { ArrowLeft: n - 1, ArrowRight: n + 1, Home: 0, End: slots.length - 1 }[event.key] ?? (event.key === 'ArrowUp' ? beside(n, -1) : event.key === 'ArrowDown' ? beside(n, 1) : null)
    if (to === null || !Number.isInteger(n)) return
    event.preventDefault()
    choose(to)
  }
  return (
    <>
      <div ref={box} class='heat' role='group' aria-label='Slots by day; arrow keys go from one to the next' onKeyDown={onKeyDown}>
        {lines.map(({ day, cells }) => (
          <div key={day} class='heat-day'>
            <span class='muted number'>{day.slice(5)}</span>
            <div class='strip'>
              {cells.map(({ slot, n, left, width }) => (
                <button
                  key={slot.scheduled_time} type='button' data-slot={n} class={`slot ${slot.state}${(slot.row_count ?? 0) > 0 ? ' found' : ''}`} tabIndex={n === entry ? 0 : -1} aria-pressed={n === at}
                  style={{ left: `${left}%`, width: `${width}%` }} aria-label={slotText(slot, zone)} title={slotText(slot, zone)} onClick={() => choose(n)}
                />
              ))}
            </div>
          </div>
        ))}
        <div class='heat-day heat-hours' aria-hidden='true'><span /><div>{['00', '06', '12', '18'].map(hour => <span key={hour}>{hour}</span>)}</div></div>
      </div>
      <p class='muted small-text strip-legend'>
        {STATES.map(state => <span key={state} class='legend'><span class={`slot ${state}`} aria-hidden='true' />{words(state)}</span>)}
        <span class='legend'><span class='slot done found' aria-hidden='true' />with rows</span>
        <span>{zone === 'utc' ? 'Hours of UTC' : 'Hours of this browser'}</span>
      </p>
    </>
  )
}

function slotText ({ scheduled_time: at, state, row_count: rows, lateness_seconds: lateness }: CoverageSlot, zone: 'utc' | 'local'): string {
  return `${timeText(Date.parse(at), zone, 'minutes')}: ${words(state)}${rows === null ? '' : `, ${countOf(rows, 'row')}`}${lateness !== null && lateness > 60 ? `, ${durationText(lateness)} late` : ''}`
}

/** Days of the zone that times are shown in, the last first; places in percent of 24 hours. */
function daysOf (slots: readonly CoverageSlot[], zone: 'utc' | 'local'): { readonly day: string, readonly cells: readonly Cell[] }[] {
  const days = new Map<string, Cell[]>()
  const msOf = (n: number) => Date.parse(slots[n]!.scheduled_time)
  for (const [n, slot] of slots.entries()) {
    const text = timeText(msOf(n), zone)
    const left = 100 * (Number(text.slice(11, 13)) * 3600 + Number(text.slice(14, 16)) * 60 + Number(text.slice(17, 19))) / 86_400
    const gap = n + 1 < slots.length ? msOf(n + 1) - msOf(n) : n > 0 ? msOf(n) - msOf(n - 1) : DAY_MS
    const cells = days.get(text.slice(0, 10)) ?? []
    cells.push({ slot, n, left, width: Math.max(0.1, Math.min(100 - left, 100 * Math.min(gap, DAY_MS) / DAY_MS)) })
    days.set(text.slice(0, 10), cells)
  }
  return [...days].map(([day, cells]) => ({ day, cells })).toReversed()
}

function SlotFacts ({ id, slot, mayWrite, onWaive, onRan }: { id: string, slot: CoverageSlot, mayWrite: boolean, onWaive: () => void, onRan: () => void }) {
  const api = useApi()
  const { tell, fail } = useToast()
  const [isBusy, setBusy] = useState(false)
  const { state, window, late, waived } = slot
  const run = async () => {
    setBusy(true)
    try {
      const { row_count: rows } = await api.post<{ row_count: number }>(`/detections/${encodeURIComponent(id)}/runs`, { scheduled_time: slot.scheduled_time })
      tell(`It ran: ${countOf(rows, 'row')}`)
      onRan()
    } catch (error) {
      fail(error)
    }
    setBusy(false)
  }
  return (
    <div class='slot-facts' role='region' aria-label='The slot that is chosen' aria-live='polite'>
      <h3>Slot <Time at={slot.scheduled_time} precision='minutes' /></h3>
      <dl class='pairs'>
        <div><dt>State</dt><dd>{words(state)}{slot.origin === 'schedule' ? '' : ` (${slot.origin})`}</dd></div>
        <div><dt>Window</dt><dd><Time at={window.earliest} relative='none' /> – <Time at={window.latest} relative='none' /></dd></div>
        <div><dt>Rows</dt><dd>{slot.row_count?.toLocaleString('en') ?? '–'}</dd></div>
        <div><dt>Evaluated</dt><dd>{slot.evaluated_at === null ? 'not yet' : <Time at={slot.evaluated_at} relative='none' />}</dd></div>
        {slot.lateness_seconds !== null && <div><dt>First evaluated</dt><dd>{durationText(slot.lateness_seconds)} after it was due</dd></div>}
        {late.evaluations > 0 && <div><dt>Late events</dt><dd>{countOf(late.events, 'event')}, {countOf(late.evaluations, 'evaluation')} for them</dd></div>}
        {late.too_late_events > 0 && <div><dt>Too late</dt><dd class='warn-text'>{countOf(late.too_late_events, 'event')} that no evaluation sees</dd></div>}
        {slot.short && <div><dt>Short</dt><dd class='warn-text'>events had been dropped before</dd></div>}
        {waived !== null && <div><dt>Waived</dt><dd>by <Visible text={waived.by} />: <Visible text={waived.reason} /></dd></div>}
        <div><dt>Definition</dt><dd><code title={slot.definition}>{slot.definition.slice(0, 12)}</code></dd></div>
      </dl>
      {slot.error !== null && <p class='error-text pre-line'><Visible text={slot.error} lines /></p>}
      <p class='page-actions'>
        <a class='button small' href={`/findings?${new URLSearchParams({ detection: id, earliest: window.earliest, latest: window.latest })}`}>Findings of its window</a>
        {mayWrite && <button type='button' class='small' disabled={isBusy} onClick={() => { run() }}>{slot.evaluated ? 'Run again' : 'Run now'}</button>}
        {mayWrite && (state === 'owed' || state === 'failed') && <button type='button' class='small' onClick={onWaive}>Waive…</button>}
      </p>
    </div>
  )
}

/** Causes that nobody need worry about: src/detect/coverage.ts. */
const HARMLESS = new Set(['not_due_yet', 'before_first_enabled'])

function Gaps ({ coverage: { gaps = [], more_gaps: more = 0 }, mayWrite, onWaive }: { coverage: Coverage, mayWrite: boolean, onWaive: (gap: CoverageGap) => void }) {
  const shown = gaps.toReversed().toSorted((a, b) => Number(HARMLESS.has(a.cause)) - Number(HARMLESS.has(b.cause)))
  if (shown.length === 0) return <p class='muted'>There are no gaps.</p>
  return (
    <details class='gaps' open={shown.some(({ cause }) => !HARMLESS.has(cause))}>
      <summary>{countOf(gaps.length + more, 'gap')}</summary>
      <DataTable
        label='Gaps' rows={shown} rowKey={gap => gap.earliest} {...shown.length > 60 ? { rowHeight: { table: 34, card: 120 } } : {}}
        columns={[
          { key: 'from', title: 'From', width: '12rem', render: gap => <Time at={gap.earliest} relative='none' /> },
          { key: 'to', title: 'To', width: '12rem', render: gap => <Time at={gap.latest} relative='none' /> },
          { key: 'seconds', title: 'Long', width: '7rem', align: 'right', render: gap => durationText(gap.seconds) },
          { key: 'cause', title: 'Cause', render: ({ cause, waived }) => <><span class={HARMLESS.has(cause) ? 'muted' : 'warn-text'}>{words(cause)}</span>{waived !== null && <> by <Visible text={waived.by} />: <Visible text={waived.reason} /></>}</> },
          ...mayWrite ? [{ key: 'act', title: '', cardLabel: '', width: '6rem', render: (gap: CoverageGap) => gap.cause === 'owed' || gap.cause === 'failed' ? <button type='button' class='small' onClick={() => onWaive(gap)}>Waive…</button> : null }] : [],
        ]}
      />
      {more > 0 && <p class='muted small-text'>{countOf(more, 'gap')} more are not listed.</p>}
    </details>
  )
}
