import { useEffect, useState } from 'preact/hooks'
import type { FindingDetail, PageOf, Suppression, SuppressionPreview } from '../api-types.js'
import { isAbort, messageOf, useApi } from '../api.js'
import { useQuery } from '../query.js'
import { countOf, Visible } from '../text.js'
import { Time } from '../time.js'
import { Dialog } from './dialog.js'
import { ErrorState, Loading } from './empty-state.js'
import { useToast } from './toast.js'

/** Longer ones, and lists of values, are no good to tell findings by. */
const MAX_VALUE = 300
const MAX_OFFERED = 30

/** Hides findings to come that are as this one, in what a person chooses; shows first what that would have hidden. */
export function SuppressDialog ({ id, onClose, onDone }: { id: string, onClose: () => void, onDone: () => void }) {
  const finding = useQuery<FindingDetail>(`/findings/${encodeURIComponent(id)}`)
  if (finding.value === undefined) {
    return <Dialog title='Suppress' onClose={onClose}>{finding.error === null ? <Loading /> : <ErrorState error={finding.error} />}</Dialog>
  }
  return <Form finding={finding.value} suppression={null} onClose={onClose} onDone={onDone} />
}

/** Makes a suppression from nothing, or changes one. */
export function SuppressionDialog ({ suppression, onClose, onDone }: { suppression: Suppression | null, onClose: () => void, onDone: (suppression: Suppression) => void }) {
  return <Form finding={null} suppression={suppression} onClose={onClose} onDone={onDone} />
}

interface FormProps {
  /** That findings to come are to be like. */
  readonly finding: FindingDetail | null
  /** That is changed; null makes one. */
  readonly suppression: Suppression | null
  readonly onClose: () => void
  readonly onDone: (suppression: Suppression) => void
}

function Form ({ finding, suppression, onClose, onDone }: FormProps) {
  const api = useApi()
  const { tell } = useToast()
  const offered = finding === null ? [] : fieldsOf(finding)
  const [chosen, setChosen] = useState<readonly string[]>(() => offered.filter(({ field }) => finding?.risk.objects.some(object => object.field === field)).map(({ field }) => field))
  const [condition, setCondition] = useState(() => suppression?.condition ?? toCondition(offered, chosen))
  const [detection, setDetection] = useState(finding?.detection.id ?? suppression?.detection ?? null)
  const [reason, setReason] = useState(suppression?.reason ?? '')
  const [days, setDays] = useState(suppression === null ? '30' : '') // '': as it is
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const preview = useSuppressionPreview({ detection, condition: condition.trim() })
  const expiry = days === '' ? {} : { expires_at: `+${days}d` }
  const changes = suppression === null
    ? { detection, condition: condition.trim(), reason: reason.trim(), ...expiry }
    : {
        ...detection === suppression.detection ? {} : { detection },
        ...condition.trim() === suppression.condition ? {} : { condition: condition.trim() },
        ...reason.trim() === suppression.reason ? {} : { reason: reason.trim() },
        ...expiry,
      }
  const isReady = preview.value !== null && reason.trim() !== '' && Object.keys(changes).length > 0 && !isBusy

  const choose = (field: string, isChosen: boolean) => {
    const next = isChosen ? [...chosen, field] : chosen.filter(one => one !== field)
    setChosen(next)
    setCondition(toCondition(offered, next))
  }
  const submit = async () => {
    if (!isReady) return
    setBusy(true)
    setFailure(null)
    try {
      const { value } = suppression === null
        ? await api.call<Suppression>('POST', '/suppressions', { body: changes })
        : await api.call<Suppression>('PATCH', `/suppressions/${encodeURIComponent(suppression.id)}`, { body: changes })
      tell(suppression === null ? 'Suppressed: findings to come that meet the condition are hidden' : 'The suppression is changed')
      onDone(value)
    } catch (error) {
      setBusy(false)
      setFailure(error)
    }
  }
  return (
    <Dialog
      title={finding !== null ? 'Suppress findings like this one' : suppression === null ? 'New suppression' : 'Change the suppression'} size='large' onClose={onClose} onSubmit={() => { submit() }}
      actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={!isReady}>{isBusy ? 'Saving…' : suppression === null ? 'Suppress' : 'Save'}</button></>}
    >
      <p class='muted'>It hides findings to come; {finding === null ? 'those that are there stay' : 'this one stays'}{suppression !== null && ' as they are'}. Hidden findings are kept, and can be listed.</p>
      {finding !== null && (
        <fieldset class='field-choices'>
          <legend>Where these are the same</legend>
          {offered.map(({ field, value }) => (
            <label key={field} class='check'>
              <input type='checkbox' checked={chosen.includes(field)} onChange={event => choose(field, event.currentTarget.checked)} />
              <span class='cut mono' title={value}><Visible text={field} /> = <Visible text={value} /></span>
            </label>
          ))}
          {offered.length === 0 && <p class='muted'>The row has no short single values; write a condition.</p>}
        </fieldset>
      )}
      {finding === null && <DetectionChoice value={detection} onChange={setDetection} />}
      <label class='field'><span>Condition (SPL, of the row’s fields; * is a wildcard)</span><textarea class='mono' value={condition} maxLength={2_000} required spellcheck={false} autofocus={finding === null} placeholder='pod_namespace="ci" process_name IN (mount, umount)' onInput={event => setCondition(event.currentTarget.value)} /></label>
      <div class='row'>
        <label class='field grow'><span>Reason</span><input value={reason} maxLength={1_000} required onInput={event => setReason(event.currentTarget.value)} /></label>
        <label class='field'><span>For</span>
          <select value={days} onChange={event => setDays(event.currentTarget.value)}>
            {suppression !== null && <option value=''>as it is</option>}
            {['1', '7', '30', '90', '365'].map(value => <option key={value} value={value}>{countOf(Number(value), 'day')}{suppression !== null && ' from now'}</option>)}
          </select>
        </label>
      </div>
      {finding !== null && <label class='check'><input type='checkbox' checked={detection === null} onChange={event => setDetection(event.currentTarget.checked ? null : finding.detection.id)} /> of all detections, not of <code>{finding.detection.id}</code> alone</label>}
      {failure !== null && <Refusal error={failure} />}
      <Consequences preview={preview} id={finding?.id ?? null} />
    </Dialog>
  )
}

function DetectionChoice ({ value, onChange }: { value: string | null, onChange: (id: string | null) => void }) {
  const { value: page } = useQuery<PageOf<{ readonly id: string, readonly name: string }>>('/detections', { query: { limit: 1000 } })
  const listed = page?.items ?? []
  return (
    <label class='field'>
      <span>Detection</span>
      <select value={value ?? ''} onChange={event => onChange(event.currentTarget.value === '' ? null : event.currentTarget.value)}>
        <option value=''>all detections</option>
        {value !== null && !listed.some(({ id }) => id === value) && <option value={value}>{value}</option>}
        {listed.map(({ id, name }) => <option key={id} value={id}>{name}</option>)}
      </select>
    </label>
  )
}

/** With a caret below what is wrong, so that columns have to stand. */
function Refusal ({ error }: { error: unknown }) {
  return <pre class='refusal' role='alert' tabIndex={0}><Visible text={messageOf(error)} lines /></pre>
}

function Consequences ({ preview: { value, error, isLoading }, id }: { preview: Preview, id: string | null }) {
  if (error !== null) return <Refusal error={error} />
  if (value === null) return isLoading ? <Loading what='Looking at the findings of the last 30 days' /> : <p class='muted'>A condition is missing.</p>
  const hasThis = id === null || value.first.some(one => one.id === id)
  return (
    <section class='preview' aria-label='Preview' aria-live='polite'>
      <p>Of {countOf(value.checked, 'finding')} of the last 30 days it would have hidden <b>{value.hidden.toLocaleString('en')}</b>{value.hidden > 0 && value.hidden <= value.first.length && !hasThis && ', but not this one'}.</p>
      {value.true_positives > 0 && <p class='warn-text'><b>{countOf(value.true_positives, 'of them was a true positive', 'of them were true positives')}.</b></p>}
      <ul class='lines'>
        {value.first.slice(0, 10).map(one => (
          <li key={one.id} class={one.disposition === 'true_positive' ? 'true-positive' : ''}><span class='cut'>{one.disposition === 'true_positive' && <b class='warn-text'>true positive </b>}<Visible text={one.risk.message ?? one.detection.name} /></span><Time at={one.time} relative='none' precision='minutes' /></li>
        ))}
      </ul>
      {value.hidden > 10 && <p class='muted'>and {countOf(value.hidden - Math.min(10, value.first.length), 'other')}</p>}
    </section>
  )
}

interface Preview { readonly value: SuppressionPreview | null, readonly error: unknown, readonly isLoading: boolean }

const TYPING_MS = 400

function useSuppressionPreview ({ detection, condition }: { detection: string | null, condition: string }): Preview {
  const api = useApi()
  const [state, setState] = useState<Preview>({ value: null, error: null, isLoading: false })
  useEffect(() => {
    setState({ value: null, error: null, isLoading: condition !== '' })
    if (condition === '') return
    const abort = new AbortController()
    const timer = setTimeout(async () => {
      try {
        setState({ value: await api.post<SuppressionPreview>('/suppressions/preview', { detection, condition, earliest: '-30d' }, { signal: abort.signal }), error: null, isLoading: false })
      } catch (error) {
        if (!isAbort(error)) setState({ value: null, error, isLoading: false })
      }
    }, TYPING_MS)
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [detection, condition])
  return state
}

interface Offered { readonly field: string, readonly value: string }

/** What of the row a condition can compare: single values of a moderate length. */
function fieldsOf ({ result, risk }: FindingDetail): readonly Offered[] {
  if (typeof result !== 'object' || result === null) return []
  const isRisk = (field: string) => risk.objects.some(object => object.field === field)
  return Object.entries(result)
    .filter(([field, value]) => (typeof value === 'string' || typeof value === 'number') && String(value).length <= MAX_VALUE && String(value) !== '' && !/^_?time$/i.test(field))
    .map(([field, value]) => ({ field, value: String(value) }))
    .sort((a, b) => Number(isRisk(b.field)) - Number(isRisk(a.field)))
    .slice(0, MAX_OFFERED)
}

function toCondition (offered: readonly Offered[], chosen: readonly string[]): string {
  return offered.filter(({ field }) => chosen.includes(field)).map(({ field, value }) => `${/^[A-Za-z_][\w.:{}-]*$/.test(field) && !/^(?:as|by|and|or|not|in)$/i.test(field) ? field : quoteText(field)}=${quoteText(value)}`).join(' ')
}

/** As src/spl/print.ts quotes: a `*` in a value stays a wildcard, which meets that value too. */
function quoteText (text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
