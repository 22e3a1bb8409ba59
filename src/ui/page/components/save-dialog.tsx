import { useState } from 'preact/hooks'
import type { DetectionDraft } from '../detection-file.js'
import { toDetectionFile, toFileName } from '../detection-file.js'
import { Dialog } from './dialog.js'
import type { Range } from './time-range.js'

const TYPES = {
  TTP: 'TTP: each finding is to be looked at',
  Anomaly: 'Anomaly: each finding adds to the risk',
  Hunting: 'Hunting: rows to look through, no findings',
} as const

/** Makes a detection file of a search, which the browser downloads. Nothing is sent. */
export function SaveDialog ({ search, range, onClose }: { search: string, range: Range, onClose: () => void }) {
  const [draft, setDraft] = useState<DetectionDraft>({
    name: '', description: '', type: 'TTP', search, cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m', message: '', riskField: 'pod_name', riskType: 'system', riskScore: 50, techniques: [],
  })
  const [techniques, setTechniques] = useState('')
  const set = (changes: Partial<DetectionDraft>) => setDraft(before => ({ ...before, ...changes }))
  const isRelative = /^[-+@n]/.test(range.earliest)
  const download = () => {
    const text = toDetectionFile({ ...draft, techniques: techniques.split(/[\s,]+/).filter(one => one !== '') }, { uuid: newUuid(), date: new Date().toISOString().slice(0, 10) })
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text], { type: 'application/yaml' }))
    link.download = toFileName(draft.name)
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
    onClose()
  }
  const hasFindings = draft.type !== 'Hunting'
  return (
    <Dialog title='Save as detection' onClose={onClose} onSubmit={download} actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary'>Download the file</button></>}>
      <p class='muted'>A detection file as security_content has them. Put it into a folder of <code>detections.paths</code>, and Hecate runs it; nothing is sent from here.</p>
      <label class='field'><span>Name</span><input required maxLength={200} pattern='.*[A-Za-z0-9].*' value={draft.name} placeholder='Shell in a production pod' onInput={event => set({ name: event.currentTarget.value })} /></label>
      <label class='field'><span>Description</span><textarea required maxLength={5_000} value={draft.description} onInput={event => set({ description: event.currentTarget.value })} /></label>
      <label class='field'>
        <span>Type</span>
        <select value={draft.type} onChange={event => set({ type: event.currentTarget.value as DetectionDraft['type'] })}>
          {Object.entries(TYPES).map(([type, says]) => <option key={type} value={type}>{says}</option>)}
        </select>
      </label>
      <fieldset class='fields'>
        <legend>Schedule</legend>
        <label class='field'><span>Cron</span><input required class='mono' maxLength={100} value={draft.cron} onInput={event => set({ cron: event.currentTarget.value })} /></label>
        <label class='field'><span>From</span><input required class='mono' maxLength={100} value={draft.earliest} onInput={event => set({ earliest: event.currentTarget.value })} /></label>
        <label class='field'><span>To</span><input required class='mono' maxLength={100} value={draft.latest} onInput={event => set({ latest: event.currentTarget.value })} /></label>
        {isRelative && (range.earliest !== draft.earliest || (range.latest === '' ? 'now' : range.latest) !== draft.latest) && <button type='button' class='small' onClick={() => set({ earliest: range.earliest, latest: range.latest === '' ? 'now' : range.latest })}>As searched: {range.earliest} – {range.latest === '' ? 'now' : range.latest}</button>}
      </fieldset>
      {hasFindings && (
        <fieldset class='fields'>
          <legend>Risk</legend>
          <label class='field whole'><span>Message; $field$ stands for its value</span><input required maxLength={1_000} value={draft.message} placeholder='$process$ ran in pod $pod_name$' onInput={event => set({ message: event.currentTarget.value })} /></label>
          <label class='field'><span>Object: field</span><input required class='mono' maxLength={200} value={draft.riskField} onInput={event => set({ riskField: event.currentTarget.value })} /></label>
          <label class='field'>
            <span>Is a</span>
            <select value={draft.riskType} onChange={event => set({ riskType: event.currentTarget.value as DetectionDraft['riskType'] })}>{['system', 'user', 'other'].map(type => <option key={type} value={type}>{type}</option>)}</select>
          </label>
          <label class='field'><span>Score</span><input required type='number' min={1} max={100} step={1} value={draft.riskScore} onInput={event => set({ riskScore: event.currentTarget.valueAsNumber })} /></label>
        </fieldset>
      )}
      <label class='field'><span>ATT&CK techniques</span><input class='mono' maxLength={500} pattern='[\sT0-9.,]*' value={techniques} placeholder='T1059.004 T1609' onInput={event => setTechniques(event.currentTarget.value)} /></label>
    </Dialog>
  )
}

/** RFC 9562, version 4. crypto.randomUUID is there over HTTPS alone. */
function newUuid (): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
