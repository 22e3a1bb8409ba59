import { useState } from 'preact/hooks'
import type { Backfill, BackfillRow, Detection, PageOf, Row } from '../api-types.js'
import { messageOf, useApi } from '../api.js'
import type { Tone } from '../components/badge.js'
import { Badge } from '../components/badge.js'
import { Section } from '../components/card.js'
import { Dialog } from '../components/dialog.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { Progress } from '../components/progress.js'
import { Rows } from '../components/rows.js'
import { useToast } from '../components/toast.js'
import { useAll, useQuery } from '../query.js'
import { countOf, Visible } from '../text.js'
import { durationText, Time } from '../time.js'
import { SLOT } from './detection-preview.js'

const TONES: Readonly<Record<string, Tone>> = { queued: 'info', running: 'info', succeeded: 'good', failed: 'bad', cancelled: 'neutral' }
const SHOWN = 20

interface Asked { readonly earliest: string, readonly latest: string, readonly isDryRun: boolean }

/** The past, evaluated with the search of now: first to see what it gives, then for good. */
export function Backfills ({ detection: { id, backfill_offer: offer }, mayWrite }: { detection: Detection, mayWrite: boolean }) {
  const [pollMs, setPollMs] = useState(15_000)
  const state = useQuery<PageOf<Backfill>>('/backfills', { query: { detection: id, limit: SHOWN }, pollMs })
  const [asked, setAsked] = useState<Asked | null>(null)
  const [rowsOf, setRowsOf] = useState<Backfill | null>(null)
  const items = state.value?.items ?? []
  const wanted = items.some(isOpen) ? 1_500 : 15_000
  if (wanted !== pollMs) setPollMs(wanted)
  return (
    <Section title='Backfills' id='backfills' actions={mayWrite && <button type='button' class='small' onClick={() => setAsked({ earliest: '-7d', latest: 'now', isDryRun: true })}>Backfill…</button>}>
      {offer !== null && (
        <div class='notice'>
          <p>From <Time at={offer.earliest} relative='none' /> to <Time at={offer.latest} relative='none' /> it was {offer.reason} than it has now.</p>
          {mayWrite && <p><button type='button' class='small' onClick={() => setAsked({ earliest: offer.earliest, latest: offer.latest, isDryRun: true })}>See what it finds there…</button></p>}
        </div>
      )}
      {state.error !== null && <ErrorState error={state.error} onRetry={() => state.refresh()} />}
      {state.value === undefined
        ? state.error === null && <Loading />
        : items.length === 0
          ? <EmptyState title='There was no backfill'>A backfill evaluates the past with the search of now.</EmptyState>
          : <ul class='backfills'>{items.map(one => <Line key={one.id} backfill={one} mayWrite={mayWrite} onChange={() => state.refresh()} onRows={() => setRowsOf(one)} onForGood={() => setAsked({ ...one.window, isDryRun: false })} />)}</ul>}
      {state.value?.next_cursor != null && <p class='muted small-text'>The last {SHOWN} are shown.</p>}
      {asked !== null && <StartDialog id={id} first={asked} onClose={() => setAsked(null)} onStarted={() => { setAsked(null); state.refresh() }} />}
      {rowsOf !== null && <RowsDialog backfill={rowsOf} onClose={() => setRowsOf(null)} />}
    </Section>
  )
}

function isOpen ({ state }: Backfill): boolean {
  return state === 'queued' || state === 'running'
}

function Line ({ backfill, mayWrite, onChange, onRows, onForGood }: { backfill: Backfill, mayWrite: boolean, onChange: () => void, onRows: () => void, onForGood: () => void }) {
  const api = useApi()
  const { fail } = useToast()
  const { state, window, dry_run: isDryRun, progress, findings, row_count: rows, warnings, error, created_by: by, created_at: at, failed_slots: failed } = backfill
  const cancel = async () => {
    try {
      await api.post(`/backfills/${encodeURIComponent(backfill.id)}/cancel`, undefined)
      onChange()
    } catch (problem) {
      fail(problem)
    }
  }
  const outcome = Object.entries(findings).filter(([, count]) => count > 0).map(([what, count]) => `${count.toLocaleString('en')} ${what}`).join(', ')
  return (
    <li>
      <p class='tags'>
        <Badge tone={TONES[state] ?? 'neutral'}>{state}</Badge>
        {isDryRun && <Badge>dry run</Badge>}
        <span><Time at={window.earliest} relative='none' /> – <Time at={window.latest} relative='none' /></span>
        <span class='muted'>by <Visible text={by} />, <Time at={at} relative='only' /></span>
      </p>
      {isOpen(backfill) && (
        <Progress label='Slots of the backfill' done={progress.done} total={progress.total}>
          <span class='muted'>{progress.eta_seconds === null ? 'waits for its turn' : `${durationText(progress.eta_seconds)} to go`}</span>
        </Progress>
      )}
      <p>
        {countOf(progress.done, 'slot')}, {countOf(rows, 'row')}{isDryRun ? '' : outcome === '' ? ', no findings' : `; findings: ${outcome}`}
        {failed > 0 && <span class='error-text'>; {countOf(failed, 'slot')} failed</span>}
      </p>
      {error !== null && <p class='error-text pre-line'><Visible text={error} lines /></p>}
      {warnings.map(warning => <p key={warning} class='warn-text'><Visible text={warning} /></p>)}
      <p class='page-actions'>
        {isDryRun && rows > 0 && <button type='button' class='small' onClick={onRows}>Rows</button>}
        {mayWrite && isDryRun && state === 'succeeded' && <button type='button' class='small' onClick={onForGood}>Do it for good…</button>}
        {mayWrite && isOpen(backfill) && <button type='button' class='small danger' onClick={() => { cancel() }}>Cancel</button>}
      </p>
    </li>
  )
}

/** A dry run is what is offered first: it changes nothing. */
function StartDialog ({ id, first, onClose, onStarted }: { id: string, first: Asked, onClose: () => void, onStarted: () => void }) {
  const api = useApi()
  const { tell } = useToast()
  const [asked, setAsked] = useState(first)
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(false)
  const start = async () => {
    setBusy(true)
    setError(null)
    try {
      const { progress } = await api.post<Backfill>('/backfills', { detection: id, earliest: asked.earliest.trim(), latest: asked.latest.trim(), dry_run: asked.isDryRun })
      tell(`${asked.isDryRun ? 'The dry run' : 'The backfill'} of ${countOf(progress.total, 'slot')} begins`)
      onStarted()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  return (
    <Dialog title='Backfill' onClose={onClose} onSubmit={() => { start() }} actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={isBusy}>{asked.isDryRun ? 'Start the dry run' : 'Start the backfill'}</button></>}>
      <fieldset class='fields two'>
        <legend>Event time</legend>
        <label class='field'><span>From</span><input required class='mono' maxLength={100} value={asked.earliest} onInput={event => setAsked({ ...asked, earliest: event.currentTarget.value })} spellcheck={false} autocomplete='off' /></label>
        <label class='field'><span>To</span><input required class='mono' maxLength={100} value={asked.latest} onInput={event => setAsked({ ...asked, latest: event.currentTarget.value })} spellcheck={false} autocomplete='off' /></label>
      </fieldset>
      <label class='check'><input type='checkbox' checked={asked.isDryRun} onChange={event => setAsked({ ...asked, isDryRun: event.currentTarget.checked })} /> Dry run: gives the rows, and changes neither ledger nor findings</label>
      {!asked.isDryRun && <p class='notice warn'>Findings of that time come up as new, and are delivered like others.</p>}
      {error !== null && <p class='error-text pre-line' role='alert'>{messageOf(error)}</p>}
    </Dialog>
  )
}

function RowsDialog ({ backfill, onClose }: { backfill: Backfill, onClose: () => void }) {
  const state = useAll<BackfillRow>(`/backfills/${encodeURIComponent(backfill.id)}/rows`)
  const rows = (state.value?.items ?? []).map(({ scheduled_time: slot, row }): Row => ({ [SLOT]: slot, ...row as Row }))
  const fields = [...new Set(rows.flatMap(row => Object.keys(row)))]
  return (
    <Dialog title='Rows of the dry run' size='large' onClose={onClose}>
      {state.error !== null && <ErrorState error={state.error} onRetry={() => state.refresh()} />}
      {state.value === undefined ? state.error === null && <Loading /> : rows.length === 0 ? <EmptyState title='Its rows are kept no more'>They go seven days after its end.</EmptyState> : <Rows label='Rows of the dry run' slotField={SLOT} fields={fields} rows={rows} />}
      {(state.value?.isCut === true || backfill.rows_cut > 0) && <p class='notice warn'>Of {countOf(backfill.row_count, 'row')} only the first {rows.length.toLocaleString('en')} are here.</p>}
    </Dialog>
  )
}
