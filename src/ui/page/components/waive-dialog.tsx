import { useState } from 'preact/hooks'
import { isAbort, messageOf, useApi } from '../api.js'
import { countOf, Visible } from '../text.js'
import { Time } from '../time.js'
import { Dialog } from './dialog.js'
import { useToast } from './toast.js'

/** Scheduled times: one, or those from `earliest` on and before `latest`. */
export type Stretch = { readonly scheduled_time: string } | { readonly earliest: string, readonly latest: string }

/** Slots that are not to be run; coverage tells who said so, and why. */
export function WaiveDialog ({ detection, stretch, onClose, onDone }: { detection: string, stretch: Stretch, onClose: () => void, onDone: () => void }) {
  const api = useApi()
  const { tell } = useToast()
  const [reason, setReason] = useState('')
  const [error, setError] = useState<unknown>(null)
  const submit = async () => {
    try {
      const { waived } = await api.post<{ waived: number }>(`/detections/${encodeURIComponent(detection)}/waivers`, { ...stretch, reason: reason.trim() })
      tell(`${countOf(waived, 'slot')} waived`)
      onDone()
    } catch (problem) {
      if (!isAbort(problem)) setError(problem)
    }
  }
  return (
    <Dialog title='Waive' onClose={onClose} onSubmit={() => { submit() }} actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={reason.trim() === ''}>Waive</button></>}>
      <p class='mono'><Visible text={detection} /></p>
      <p>{'scheduled_time' in stretch ? <>The slot <Time at={stretch.scheduled_time} relative='none' /></> : <>Owed and failed slots from <Time at={stretch.earliest} relative='none' /> to <Time at={stretch.latest} relative='none' /></>} will not be run. The window stays a gap, with your name and reason.</p>
      <label class='field'><span>Reason</span><input required maxLength={1000} value={reason} onInput={event => setReason(event.currentTarget.value)} /></label>
      {error !== null && <p class='error-text pre-line' role='alert'>{messageOf(error)}</p>}
    </Dialog>
  )
}
