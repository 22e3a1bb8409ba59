import { useState } from 'preact/hooks'
import type { Detection } from '../api-types.js'
import { messageOf, useApi } from '../api.js'
import { Badge } from '../components/badge.js'
import { Section } from '../components/card.js'
import { CopyButton } from '../components/code.js'
import { Dialog } from '../components/dialog.js'
import { ErrorState, Loading } from '../components/empty-state.js'
import { SplView, useExplained } from '../components/spl.js'
import { useToast } from '../components/toast.js'
import { useKeys } from '../keys.js'
import type { PageProps } from '../pages.js'
import { useQuery } from '../query.js'
import { useRouter } from '../router.js'
import { useSession } from '../session.js'
import { Visible, words } from '../text.js'
import { durationText, Time } from '../time.js'
import { Backfills } from './detection-backfills.js'
import { CoverageCard } from './detection-coverage.js'
import { Preview } from './detection-preview.js'
import { Runs } from './detection-runs.js'
import { detectionPath, DetectionState } from './detection-state.js'

/** One detection: what it looks for, when it runs, what it has seen, and what would come of it elsewhere. */
export function DetectionPage ({ params: { id = '' } }: PageProps) {
  const state = useQuery<Detection>(`/detections/${encodeURIComponent(id)}`, { pollMs: 30_000 })
  if (state.value === undefined) return state.error === null ? <Loading /> : <><h1><Visible text={id} /></h1><ErrorState error={state.error} onRetry={() => state.refresh()} /></>
  return <Loaded detection={state.value} onChange={() => state.refresh()} />
}

function Loaded ({ detection, onChange }: { detection: Detection, onChange: () => void }) {
  const { go } = useRouter()
  const { session, mayWrite } = useSession()
  const { tell, fail } = useToast()
  const api = useApi()
  const [isEditing, setEditing] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const { id, name, enabled, schedule, search } = detection
  const isAdmin = session.role === 'admin'
  const canRun = detection.definition !== null
  const findings = `/findings?${new URLSearchParams({ detection: id })}`
  const toggle = async () => {
    setBusy(true)
    try {
      await api.call('PATCH', `/detections/${encodeURIComponent(id)}`, { body: { enabled: !enabled } })
      tell(`${name ?? id} is ${enabled ? 'disabled' : 'enabled'}`)
      onChange()
    } catch (error) {
      fail(error)
    }
    setBusy(false)
  }
  useKeys('Detection', [
    { keys: 'f', label: 'Its findings', run: () => go(findings) },
    ...isAdmin ? [{ keys: 'e', label: 'Edit the schedule', run: () => setEditing(true) }] : [],
    { keys: 'u', label: 'Back to the list', run: () => go('/detections') },
  ])
  return (
    <div class='stack'>
      <header class='page-head'>
        <div>
          <p class='small-text'><a href='/detections'>Detections</a></p>
          <h1><Visible text={name ?? id} /></h1>
          <p class='tags'>
            <DetectionState detection={detection} />
            {detection.type !== null && <Badge>{detection.type}</Badge>}
            {detection.status !== null && detection.status !== 'production' && <Badge tone='warn'>{detection.status}</Badge>}
            {detection.mitre_attack.map(technique => <a key={technique} class='badge info' href={`/findings?${new URLSearchParams({ technique })}`}>{technique}</a>)}
          </p>
        </div>
        <div class='page-actions'>
          <a class='button' href={findings}>Findings</a>
          {search !== null && <a class='button' href={`/search?${new URLSearchParams({ search, earliest: schedule.earliest, latest: schedule.latest })}`}>Open in Search</a>}
          {isAdmin && <button type='button' onClick={() => setEditing(true)}>Schedule…</button>}
          {isAdmin && <button type='button' class={enabled ? 'danger' : 'primary'} disabled={isBusy} onClick={() => { toggle() }}>{enabled ? 'Disable' : 'Enable'}</button>}
        </div>
      </header>
      {detection.description !== null && detection.description !== '' && <p class='prose'><Visible text={detection.description} /></p>}
      <Problems detection={detection} />
      <div class='detection-grid'>
        {search !== null && <SearchSection search={search} />}
        <div class='stack'>
          <ScheduleSection detection={detection} />
          <RiskSection detection={detection} />
        </div>
      </div>
      <CoverageCard id={id} mayWrite={mayWrite} />
      <Runs id={id} />
      <TestsSection detection={detection} />
      {canRun && <Preview id={id} keyFields={detection.key_fields} />}
      {canRun && <Backfills detection={detection} mayWrite={mayWrite} />}
      {isEditing && <ScheduleDialog detection={detection} onClose={() => setEditing(false)} onSaved={() => { setEditing(false); tell('The schedule is changed'); onChange() }} />}
    </div>
  )
}

function SearchSection ({ search }: { search: string }) {
  const explained = useExplained(search)
  return <Section title='Search'><SplView search={search} explained={explained} /></Section>
}

/** Errors stand open, with what their file has at that place; the rest is folded. */
function Problems ({ detection: { errors, warnings, notes, file, definition } }: { detection: Detection }) {
  return (
    <>
      {errors.length > 0 && (
        <div class='error-state' role='alert'>
          <p><b>Its file has {errors.length === 1 ? 'an error' : 'errors'}{definition === null ? '; it can’t run' : '; it runs as it last could'}.</b></p>
          {errors.map(({ line, column, message }) => <pre key={`${line} ${column} ${message}`} class='problem'>{file.split('/').at(-1)}:{line}:{column} <Visible text={message} lines /></pre>)}
        </div>
      )}
      {warnings.length > 0 && <ProblemList title={warnings.length === 1 ? 'A warning' : `${warnings.length} warnings`} items={warnings} isOpen />}
      {notes.length > 0 && <ProblemList title={notes.length === 1 ? 'A note on its file' : `${notes.length} notes on its file`} items={notes} isOpen={false} />}
    </>
  )
}

function ProblemList ({ title, items, isOpen }: { title: string, items: Detection['warnings'], isOpen: boolean }) {
  return (
    <details class={`notice${isOpen ? ' warn' : ''}`} open={isOpen}>
      <summary>{title}</summary>
      <ul class='problems'>{items.map(({ line, column, message }) => <li key={`${line} ${column} ${message}`}><span class='muted number'>{line}:{column}</span> <span class='pre-line'><Visible text={message} lines /></span></li>)}</ul>
    </details>
  )
}

const ORIGINS: Readonly<Record<Detection['origins']['cron'], string>> = { config: 'set by the configuration', api: 'set here or by the API', file: 'from its file', default: 'the default' }

function ScheduleSection ({ detection: { schedule, origins, enabled, next_run: next, key_fields: keys, bin_seconds: bin, definition, file, throttling } }: { detection: Detection }) {
  const setting = (title: string, value: string, origin: keyof typeof origins) => <div><dt>{title}</dt><dd><code><Visible text={value} /></code> <span class='origin'>{ORIGINS[origins[origin]]}</span></dd></div>
  return (
    <Section title='Schedule'>
      <dl class='pairs'>
        {setting('Runs', enabled ? 'enabled' : 'disabled', 'enabled')}
        {setting('Cron', schedule.cron, 'cron')}
        {setting('From', schedule.earliest, 'earliest')}
        {setting('To', schedule.latest, 'latest')}
        <div><dt>Next run</dt><dd>{next === null ? 'none' : <Time at={next} precision='minutes' />}</dd></div>
        {definition !== null && <div><dt>Rows differ by</dt><dd>{keys === null ? 'each is an event' : keys.length === 0 ? 'nothing: there is one' : <Visible text={keys.join(', ')} />}{bin !== null && `, bins of ${durationText(bin)}`}</dd></div>}
        {throttling !== null && <div><dt>Throttled</dt><dd>for {durationText(throttling.period_seconds)} by <Visible text={throttling.fields.length === 0 ? 'the detection' : throttling.fields.join(', ')} /></dd></div>}
        {definition !== null && <div><dt>Definition</dt><dd><code title={definition}>{definition.slice(0, 12)}</code></dd></div>}
        <div><dt>File</dt><dd class='cut-start' title={file}><Visible text={file.split('/').at(-1) ?? file} /></dd></div>
      </dl>
    </Section>
  )
}

function RiskSection ({ detection: { risk } }: { detection: Detection }) {
  if (risk === null) return null
  return (
    <Section title='Risk'>
      <p class='prose'><Visible text={risk.message} /></p>
      <ul class='lines'>
        {risk.risk_objects.map(({ field, type, score }) => <li key={`${field} ${type}`}><span><code><Visible text={field} /></code> <span class='muted'>{type}</span></span><b class='number'>{score}</b></li>)}
        {risk.threat_objects.map(({ field, type }) => <li key={`threat ${field} ${type}`}><span><code><Visible text={field} /></code> <span class='muted'>threat: {words(type)}</span></span></li>)}
      </ul>
    </Section>
  )
}

const EXPECTS = { rows: 'rows that it names', count: 'so many rows', any: 'any rows' } as const

/** They need a store of their own and take a core: the command line runs them. */
function TestsSection ({ detection: { tests, file } }: { detection: Detection }) {
  if (tests.length === 0) return null
  const command = `hecate test ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`}`
  return (
    <Section title='Tests' actions={<CopyButton text={command} what='the command that runs them' label='Copy the command' />}>
      <ul class='tests'>
        {tests.map(({ name, logs, expects, problem }, n) => (
          <li key={n}>
            <b><Visible text={name} /></b>
            {problem === null ? <span class='muted'> expects {EXPECTS[expects ?? 'any']} of <Visible text={logs.join(', ')} /></span> : <span class='error-text'> <Visible text={problem} /></span>}
          </li>
        ))}
      </ul>
      <p class='muted small-text prose'>The command line runs them, in a store of their own: <code><Visible text={command} /></code></p>
    </Section>
  )
}

/** What the configuration sets is not to be changed here; the API says which key does. */
function ScheduleDialog ({ detection: { id, schedule, origins }, onClose, onSaved }: { detection: Detection, onClose: () => void, onSaved: () => void }) {
  const api = useApi()
  const [draft, setDraft] = useState(schedule)
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(false)
  const changed = Object.fromEntries((['cron', 'earliest', 'latest'] as const).filter(name => draft[name].trim() !== schedule[name]).map(name => [name, draft[name].trim()]))
  const save = async () => {
    setBusy(true)
    setError(null)
    try {
      await api.call('PATCH', `/detections/${encodeURIComponent(id)}`, { body: { schedule: changed } })
      onSaved()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const field = (name: 'cron' | 'earliest' | 'latest', title: string) => (
    <label class='field'>
      <span>{title} <span class='origin'>{ORIGINS[origins[name]]}</span></span>
      <input required class='mono' maxLength={100} value={draft[name]} onInput={event => setDraft({ ...draft, [name]: event.currentTarget.value })} spellcheck={false} autocomplete='off' />
    </label>
  )
  return (
    <Dialog title='Schedule' onClose={onClose} onSubmit={() => { save() }} actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='primary' disabled={isBusy || Object.keys(changed).length === 0}>Save</button></>}>
      {field('cron', 'Cron')}
      {field('earliest', 'From, counted from the slot')}
      {field('latest', 'To')}
      <p class='muted small-text'>Another schedule is another definition: slots from now on are evaluated with it, what was evaluated stays. <a href={detectionPath(id)} onClick={onClose}>Coverage</a> shows what that leaves out.</p>
      {error !== null && <p class='error-text pre-line' role='alert'>{messageOf(error)}</p>}
    </Dialog>
  )
}
