import { useEffect, useState } from 'preact/hooks'

/** Splunk time modifiers, epoch seconds or RFC 3339; '' is without a bound. */
export interface Range { readonly earliest: string, readonly latest: string }

export const PRESETS: readonly (Range & { readonly label: string })[] = [
  { label: 'Last 15 minutes', earliest: '-15m', latest: '' },
  { label: 'Last hour', earliest: '-1h', latest: '' },
  { label: 'Last 4 hours', earliest: '-4h', latest: '' },
  { label: 'Last 24 hours', earliest: '-24h', latest: '' },
  { label: 'Today', earliest: '@d', latest: '' },
  { label: 'Last 7 days', earliest: '-7d', latest: '' },
  { label: 'Last 30 days', earliest: '-30d', latest: '' },
  { label: 'All time', earliest: '', latest: '' },
]

/** A stretch of time: one of the usual ones, or from and to as Splunk writes them. */
export function TimeRange ({ value, onChange, presets = PRESETS }: { value: Range, onChange: (range: Range) => void, presets?: typeof PRESETS }) {
  const at = presets.findIndex(({ earliest, latest }) => earliest === value.earliest && latest === value.latest)
  const [isCustom, setCustom] = useState(at < 0)
  const [earliest, setEarliest] = useState(value.earliest)
  const [latest, setLatest] = useState(value.latest)
  useEffect(() => {
    setEarliest(value.earliest)
    setLatest(value.latest)
    if (at < 0) setCustom(true)
  }, [value.earliest, value.latest])
  const apply = () => {
    if (earliest.trim() !== value.earliest || latest.trim() !== value.latest) onChange({ earliest: earliest.trim(), latest: latest.trim() })
  }
  const onEnter = (event: KeyboardEvent) => { if (event.key === 'Enter') { event.preventDefault(); apply() } }
  return (
    <div class='time-range'>
      <label class='field'>
        <span>Time</span>
        <select
          value={isCustom || at < 0 ? 'custom' : String(at)}
          onChange={event => {
            const chosen = presets[Number(event.currentTarget.value)]
            setCustom(chosen === undefined)
            if (chosen !== undefined) onChange({ earliest: chosen.earliest, latest: chosen.latest })
          }}
        >
          {presets.map(({ label }, n) => <option key={label} value={String(n)}>{label}</option>)}
          <option value='custom'>From … to …</option>
        </select>
      </label>
      {(isCustom || at < 0) && (
        <>
          <label class='field'><span>From</span><input value={earliest} placeholder='-24h@h' onInput={event => setEarliest(event.currentTarget.value)} onKeyDown={onEnter} onBlur={apply} spellcheck={false} autocomplete='off' /></label>
          <label class='field'><span>To</span><input value={latest} placeholder='now' onInput={event => setLatest(event.currentTarget.value)} onKeyDown={onEnter} onBlur={apply} spellcheck={false} autocomplete='off' /></label>
        </>
      )}
    </div>
  )
}
