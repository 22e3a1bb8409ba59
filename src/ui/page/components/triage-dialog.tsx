import { useEffect, useState } from 'preact/hooks'
import type { BulkReply, Disposition, Finding, FindingStatus } from '../api-types.js'
import type { QueryValue } from '../api.js'
import { ApiError, isAbort, messageOf, useApi } from '../api.js'
import type { FindingRow } from '../finding-list.js'
import { useSession } from '../session.js'
import { countOf, Visible, words } from '../text.js'
import { timeText } from '../time.js'
import { Dialog } from './dialog.js'
import { useToast } from './toast.js'

export const STATUSES = ['new', 'in_progress', 'pending', 'resolved', 'closed'] as const satisfies readonly FindingStatus[]
export const DISPOSITIONS = ['true_positive', 'benign', 'false_positive', 'other'] as const satisfies readonly Disposition[]

/** One finding, which must be as it is shown; some by id; or all that meet a filter. */
export type TriageTarget =
  | { readonly kind: 'one', readonly finding: Pick<FindingRow, 'id' | 'etag' | 'status' | 'disposition' | 'owner'> }
  | { readonly kind: 'ids', readonly ids: readonly string[] }
  | { readonly kind: 'filter', readonly filter: Readonly<Record<string, QueryValue>>, readonly total: number }

export interface TriageProps {
  /** close: how it ended; assign: who looks at it; change: all of it. */
  readonly task: 'close' | 'assign' | 'change'
  readonly target: TriageTarget
  readonly onClose: () => void
  /** The finding as it is then; null where there were many. */
  readonly onDone: (finding: Finding | null) => void
}

const TITLES = { close: 'Close', assign: 'Assign', change: 'Change' } as const

/** Says what is done with findings. Of many it shows first what would change. */
export function TriageDialog ({ task, target, onClose, onDone }: TriageProps) {
  const api = useApi()
  const { tell, fail } = useToast()
  const { session } = useSession()
  const before = target.kind === 'one' ? target.finding : null
  const [status, setStatus] = useState<FindingStatus | ''>(task === 'close' ? 'closed' : task === 'assign' ? before === null || before.status === 'new' ? 'in_progress' : '' : before?.status ?? '')
  const [disposition, setDisposition] = useState<Disposition | ''>(before?.disposition ?? '')
  const [owner, setOwner] = useState(task === 'assign' ? before?.owner ?? session.name : before?.owner ?? '')
  const [comment, setComment] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [conflict, setConflict] = useState<string | null>(null)

  const withDisposition = task !== 'assign'
  const withOwner = task !== 'close'
  const change = {
    ...status === '' ? {} : { status },
    ...withDisposition && disposition !== '' ? { disposition } : {},
    ...withOwner && (owner.trim() !== '' || task === 'assign' || (before !== null && before.owner !== null)) ? { owner: owner.trim() === '' ? null : owner.trim() } : {},
  }
  const body = {
    ...target.kind === 'ids' ? { ids: target.ids } : target.kind === 'filter' ? { filter: toSelection(target.filter) } : {},
    change,
    ...comment.trim() === '' ? {} : { comment: comment.trim() },
  }
  const preview = usePreview(target.kind === 'one' || Object.keys(change).length === 0 ? null : { ...body, dry_run: true })
  const isReady = target.kind === 'one' ? Object.keys(change).length > 0 || comment.trim() !== '' : preview.value !== null
  const needsDisposition = task === 'close' && disposition === ''

  const submit = async () => {
    if (!isReady || needsDisposition || isBusy) return
    setBusy(true)
    setConflict(null)
    try {
      if (target.kind === 'one') {
        const finding = (await api.call<Finding>('PATCH', `/findings/${target.finding.id}`, { body: { ...change, ...comment.trim() === '' ? {} : { comment: comment.trim() } }, headers: { 'if-match': target.finding.etag } })).value
        tell(`${TITLES[task]}: done`)
        onDone(finding)
      } else {
        const reply = await api.post<BulkReply>('/findings/bulk', body)
        tell(`${countOf(reply.changed, 'finding')} changed${reply.conflicts > 0 ? `; ${reply.conflicts.toLocaleString('en')} had changed meanwhile and were left alone` : ''}`)
        onDone(null)
      }
    } catch (error) {
      setBusy(false)
      if (error instanceof ApiError && error.status === 412 && target.kind === 'one') setConflict(await whatChanged(target.finding))
      else fail(error)
    }
  }

  async function whatChanged (shown: Pick<FindingRow, 'id' | 'status' | 'disposition' | 'owner'>): Promise<string> {
    try {
      const now = await api.get<Finding>(`/findings/${shown.id}`)
      const changes = (['status', 'disposition', 'owner'] as const).filter(name => now[name] !== shown[name]).map(name => `${name}: ${words(shown[name] ?? 'none')} → ${words(now[name] ?? 'none')}`)
      return changes.length > 0 ? changes.join('; ') : `revision ${now.revision}, or a comment, has come`
    } catch (error) {
      return messageOf(error)
    }
  }

  const count = target.kind === 'one' ? 1 : target.kind === 'ids' ? target.ids.length : target.total
  return (
    <Dialog
      title={`${TITLES[task]} ${countOf(count, 'finding')}`} onClose={onClose} onSubmit={() => { submit() }}
      actions={(
        <>
          <button type='button' onClick={onClose}>Cancel</button>
          <button type='submit' class='primary' disabled={!isReady || needsDisposition || isBusy}>{isBusy ? 'Saving…' : preview.value === null ? TITLES[task] : `${TITLES[task]} ${preview.value.changed.toLocaleString('en')}`}</button>
        </>
      )}
    >
      {withDisposition && (
        <fieldset class='choices-row'>
          <legend>Disposition</legend>
          {DISPOSITIONS.map((value, n) => (
            <label key={value} class='check'><input type='radio' name='disposition' value={value} checked={disposition === value} autofocus={n === 0 && task === 'close'} onChange={() => setDisposition(value)} /> {words(value)}</label>
          ))}
        </fieldset>
      )}
      {withOwner && <label class='field'><span>Owner{task === 'assign' ? ' (nobody where it is empty)' : ''}</span><input value={owner} maxLength={200} autofocus={task === 'assign'} onInput={event => setOwner(event.currentTarget.value)} autocomplete='off' spellcheck={false} /></label>}
      <label class='field'>
        <span>Status</span>
        <select value={status} onChange={event => setStatus(event.currentTarget.value as FindingStatus | '')}>
          {task !== 'close' && <option value=''>as it is</option>}
          {(task === 'close' ? ['closed', 'resolved'] as const : STATUSES).map(value => <option key={value} value={value}>{words(value)}</option>)}
        </select>
      </label>
      <label class='field'><span>Comment</span><textarea value={comment} maxLength={10_000} onInput={event => setComment(event.currentTarget.value)} /></label>
      {conflict !== null && <p class='error-text' role='alert'>The finding has changed since it was shown, and was left alone: <Visible text={conflict} />. Close this and look again.</p>}
      {target.kind !== 'one' && <BulkPreview preview={preview} />}
    </Dialog>
  )
}

function BulkPreview ({ preview: { value, error } }: { preview: Preview }) {
  if (error !== null) return <p class='error-text pre-line' role='alert'>{messageOf(error)}</p>
  if (value === null) return <p class='muted'>Choose what is to change, and a preview shows what that does.</p>
  return (
    <section class='preview' aria-label='Preview' aria-live='polite'>
      <p><b>{countOf(value.changed, 'finding')}</b> would change{value.unchanged > 0 && <>, {value.unchanged.toLocaleString('en')} {value.unchanged === 1 ? 'is' : 'are'} so already</>}{value.not_found.length > 0 && <>, {value.not_found.length} {value.not_found.length === 1 ? 'is' : 'are'} gone</>}.</p>
      <ul class='lines'>
        {value.first.map(({ id, detection_id: detection, time, before, after }) => (
          <li key={id}>
            <span class='cut'>{timeText(time * 1000, 'utc', 'minutes')} {detection}</span>
            <span class='muted'>{(['status', 'disposition', 'owner'] as const).filter(name => before[name] !== after[name]).map(name => `${words(before[name] ?? 'none')} → ${words(after[name] ?? 'none')}`).join(', ')}</span>
          </li>
        ))}
      </ul>
      {value.changed > value.first.length && <p class='muted'>and {countOf(value.changed - value.first.length, 'other')}</p>}
    </section>
  )
}

interface Preview { readonly value: BulkReply | null, readonly error: unknown }

const TYPING_MS = 250

function usePreview (body: object | null): Preview {
  const api = useApi()
  const [state, setState] = useState<Preview>({ value: null, error: null })
  const text = body === null ? null : JSON.stringify(body)
  useEffect(() => {
    setState({ value: null, error: null })
    if (text === null) return
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      try {
        setState({ value: await api.post<BulkReply>('/findings/bulk', JSON.parse(text), { signal: abort.signal }), error: null })
      } catch (error) {
        if (!isAbort(error)) setState({ value: null, error })
      }
    }, TYPING_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [text])
  return state
}

/** A list's query as a JSON body has it: the score is a number there, and what nobody asked for is left out. */
function toSelection (filter: Readonly<Record<string, QueryValue>>): Record<string, unknown> {
  const given = Object.entries(filter).filter(([name, value]) => name !== 'order_by' && value !== null && value !== undefined && value !== '')
  return Object.fromEntries(given.map(([name, value]) => {
    const one = Array.isArray(value) && value.length === 1 ? (value as readonly string[])[0] : value
    return [name, name === 'min_score' ? Number(one) : one]
  }))
}
