import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import type { Event, Finding, FindingChange, FindingDetail, FindingRevision, HistoryEntry, PageOf, ProcessTree as Tree, RiskObject, RiskPosting, SeenBefore as Seen } from '../api-types.js'
import { toUrl, useApi } from '../api.js'
import { Badge, SeverityBadge, StatusBadge } from '../components/badge.js'
import { Code, CopyButton, Json } from '../components/code.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { ProcessTree } from '../components/process-tree.js'
import { SeenBefore } from '../components/seen-before.js'
import { SuppressDialog } from '../components/suppress-dialog.js'
import { useToast } from '../components/toast.js'
import { TriageDialog } from '../components/triage-dialog.js'
import { useKeys } from '../keys.js'
import type { PageProps } from '../pages.js'
import { PATHS } from '../paths.js'
import { useNarrow } from '../preferences.js'
import type { QueryState } from '../query.js'
import { useQuery } from '../query.js'
import { useRouter } from '../router.js'
import { useSession } from '../session.js'
import { useFindingStream } from '../stream.js'
import { countOf, numberText, Visible, words } from '../text.js'
import { durationText, Time } from '../time.js'
import { Flags } from './findings.js'

/** One finding: what was done, by whom, what it is made of, and what people did about it. */
export function FindingPage ({ params: { id = '' } }: PageProps) {
  const path = `/findings/${encodeURIComponent(id)}`
  const state = useQuery<FindingDetail>(path)
  const tree = useQuery<Tree>(`${path}/process-tree`)
  const seen = useQuery<Seen>(`${path}/seen-before`)
  const revisions = useQuery<PageOf<FindingRevision>>(`${path}/revisions`, { query: { limit: 100 } })
  const history = useQuery<PageOf<HistoryEntry>>(`${path}/history`, { query: { limit: 200 } })
  const refresh = () => {
    for (const one of [state, tree, seen, revisions, history]) one.refresh()
  }
  const [isChanged, setChanged] = useState(false)
  const isNarrow = useNarrow()
  useFindingStream({ ...state.value === undefined ? {} : { detection: state.value.detection.id }, throttled: 'include', suppressed: 'include' }, {
    on (_kind, finding) { if (finding.id === id && state.value !== undefined && finding.etag !== state.value.etag) setChanged(true) },
    onReset: () => setChanged(true),
  })
  if (state.value === undefined) return state.error === null ? <Loading what='Loading the finding' /> : <><p class='crumbs'><a href='/findings'>Findings</a></p><h1>Finding</h1><ErrorState error={state.error} onRetry={() => state.refresh()} /></>
  const finding = state.value
  const about = <><Part title='Facts'><Facts finding={finding} /></Part><Part title='Risk'><RiskOf finding={finding} /></Part></>
  return (
    <>
      <p class='crumbs'><a href='/findings'>Findings</a></p>
      <Head finding={finding} onChanged={refresh} />
      <div aria-live='polite'>
        {isChanged && <p class='changed-note'>The finding has changed since it was shown. <button type='button' class='small' onClick={() => { setChanged(false); refresh() }}>Show it as it is now</button></p>}
      </div>
      <div class='finding-grid'>
        <div class='stack'>
          <Part title='What was done'><Commands finding={finding} /></Part>
          {isNarrow && about}
          <Part title='Process tree'><Asked state={tree}>{value => value.nodes.length === 0 ? <EmptyState title='No process is known'>{value.events_gone ? 'The contributing events are stored no more.' : 'The contributing events tell of none.'}</EmptyState> : <ProcessTree tree={value} />}</Asked></Part>
          <Part title='Seen before'><Asked state={seen}>{value => <SeenBefore seen={value} />}</Asked></Part>
          <Part title={`Evidence${finding.evidence === null ? '' : `: ${countOf(finding.evidence.event_count, 'event')}`}`}><EvidenceEvents finding={finding} /></Part>
          {finding.drilldown_searches.length > 0 && <Part title='Searches of the detection'><Searches finding={finding} /></Part>}
          <Part title='Row'><Json value={finding.result} label='The row of the search' /></Part>
          <Part title='Revisions'><Asked state={revisions}>{page => <Revisions page={page} />}</Asked></Part>
        </div>
        <div class='stack'>
          {!isNarrow && about}
          <Part title='History'><Asked state={history}>{page => <History page={page} />}</Asked><CommentForm finding={finding} onDone={refresh} /></Part>
        </div>
      </div>
    </>
  )
}

function Part ({ title, children }: { title: string, children: ComponentChildren }) {
  return <section class='card' aria-label={title}><header><h2>{title}</h2></header>{children}</section>
}

function Asked<T> ({ state: { value, error, refresh }, children }: { state: QueryState<T>, children: (value: T) => ComponentChildren }) {
  if (value !== undefined) return <>{children(value)}</>
  return error === null ? <Loading /> : <ErrorState error={error} onRetry={() => refresh()} />
}

function Head ({ finding, onChanged }: { finding: FindingDetail, onChanged: () => void }) {
  const { go } = useRouter()
  const { mayWrite } = useSession()
  const [open, setOpen] = useState<'close' | 'assign' | 'change' | 'suppress' | null>(null)
  const close = () => setOpen(null)
  useKeys('Finding', [
    ...mayWrite
      ? [
          { keys: 'e', label: 'Close', run: () => setOpen('close') },
          { keys: 'a', label: 'Assign', run: () => setOpen('assign') },
          { keys: 's', label: 'Suppress findings like it', run: () => setOpen('suppress') },
        ]
      : [],
    { keys: 'u', label: 'Back to the list', run: () => { if (history.length > 1) history.back(); else go('/findings') } },
  ])
  return (
    <div class='finding-head'>
      <div class='row'><SeverityBadge severity={finding.severity} /><span class='muted'>score {finding.risk.score}</span><StatusBadge status={finding.status} />{finding.disposition !== null && <Badge>{words(finding.disposition)}</Badge>}<Flags row={finding} /></div>
      <h1><Visible text={finding.detection.name} /></h1>
      {finding.risk.message !== null && <p class='message'><Visible text={finding.risk.message} lines /></p>}
      <div class='row actions'>
        {mayWrite && (
          <>
            <button type='button' class='primary' onClick={() => setOpen('close')}>Close <kbd>e</kbd></button>
            <button type='button' onClick={() => setOpen('assign')}>Assign <kbd>a</kbd></button>
            <button type='button' onClick={() => setOpen('change')}>Change…</button>
            <button type='button' onClick={() => setOpen('suppress')}>Suppress <kbd>s</kbd></button>
          </>
        )}
        <a class='button' href={toUrl(`/findings/${encodeURIComponent(finding.id)}/export`, { format: 'json' })} download={`finding-${finding.id}.json`}>Export JSON</a>
        <a class='button' href={toUrl(`/findings/${encodeURIComponent(finding.id)}/export`, { format: 'markdown' })} download={`finding-${finding.id}.md`}>Export Markdown</a>
      </div>
      {open === 'suppress' && <SuppressDialog id={finding.id} onClose={close} onDone={close} />}
      {open !== null && open !== 'suppress' && <TriageDialog task={open} target={{ kind: 'one', finding }} onClose={close} onDone={() => { close(); onChanged() }} />}
    </div>
  )
}

function Facts ({ finding }: { finding: FindingDetail }) {
  return (
    <dl class='facts'>
      <div><dt>Time</dt><dd><Time at={finding.time} /></dd></div>
      <div><dt>Detection</dt><dd><a href={`/detections/${encodeURIComponent(finding.detection.id)}`}>{finding.detection.id}</a></dd></div>
      <div><dt>Window</dt><dd><Time at={finding.window.earliest} relative='none' precision='minutes' /> to <Time at={finding.window.latest} relative='none' precision='minutes' /></dd></div>
      <div><dt>ATT&amp;CK</dt><dd>{finding.mitre_attack.length === 0 ? 'none' : finding.mitre_attack.map((one, n) => <span key={one}>{n > 0 && ', '}<a href={`/findings?${new URLSearchParams({ technique: one })}`}><Visible text={one} /></a></span>)}</dd></div>
      <div><dt>Owner</dt><dd>{finding.owner === null ? 'nobody' : <Visible text={finding.owner} />}</dd></div>
      <div><dt>Created</dt><dd><Time at={finding.created_at} /></dd></div>
      {finding.updated_at !== finding.created_at && <div><dt>Updated</dt><dd><Time at={finding.updated_at} /></dd></div>}
      {finding.gone_at !== null && <div><dt>Gone</dt><dd><Time at={finding.gone_at} /></dd></div>}
      {finding.throttled_by !== null && <div><dt>Throttled by</dt><dd><a href={`/findings/${encodeURIComponent(finding.throttled_by)}`}>another finding</a></dd></div>}
      {finding.suppressed_by !== null && <div><dt>Suppressed by</dt><dd><a href={`/findings?${new URLSearchParams({ suppressed_by: finding.suppressed_by })}`}>a suppression</a></dd></div>}
      {finding.backfill !== null && <div><dt>Backfill</dt><dd class='mono'>{finding.backfill}</dd></div>}
      <div><dt>Id</dt><dd class='mono'>{finding.id}</dd></div>
    </dl>
  )
}

interface Command { readonly ms: number | null, readonly text: string, readonly where: string }

/** The commands of the bin in the order they were run: of the events, else of the row. */
function Commands ({ finding }: { finding: FindingDetail }) {
  const commands = useMemo(() => commandsOf(finding), [finding])
  if (commands.length === 0) return <EmptyState title='The events tell of no command'>What they say is below.</EmptyState>
  const first = commands[0]!.ms
  return (
    <ol class='commands'>
      {commands.map(({ ms, text, where }, n) => (
        <li key={n}>
          <span class='command-time'>{ms !== null && <Time at={ms / 1000} relative='none' precision='seconds' />}{ms !== null && first !== null && n > 0 && <span class='muted small-text'> +{durationText((ms - first) / 1000)}</span>}</span>
          <span class='command-text'><code class='command'><Visible text={text} /></code>{where !== '' && <span class='muted small-text'> <Visible text={where} /></span>}</span>
          <CopyButton text={text} what='the command' />
        </li>
      ))}
    </ol>
  )
}

function commandsOf ({ evidence, result }: FindingDetail): readonly Command[] {
  const ofEvents = new Map<string, Command>()
  for (const event of evidence?.events ?? []) {
    const process = processOf(event)
    if (process === null) continue
    const key = JSON.stringify([process.execId ?? event.id, process.text]) // a process has several events
    if (!ofEvents.has(key)) ofEvents.set(key, { ms: event.time * 1000, text: process.text, where: process.where })
  }
  if (ofEvents.size > 0) return [...ofEvents.values()].sort((a, b) => a.ms! - b.ms!)
  const said = (result as Readonly<Record<string, unknown>> | null)?.process
  return (Array.isArray(said) ? said as unknown[] : [said]).filter(one => typeof one === 'string').map(text => ({ ms: null, text, where: '' }))
}

/** Of an event of Tetragon: whichever kind it is, it names its process. */
function processOf ({ event }: Event): { readonly text: string, readonly execId: string | null, readonly where: string } | null {
  for (const kind of Object.values(typeof event === 'object' && event !== null ? event as Record<string, unknown> : {})) {
    const process = memberOf(kind, 'process')
    const binary = memberOf(process, 'binary')
    if (typeof binary !== 'string') continue
    const [args, execId, container] = [memberOf(process, 'arguments'), memberOf(process, 'exec_id'), memberOf(memberOf(memberOf(process, 'pod'), 'container'), 'name')]
    return {
      text: typeof args === 'string' && args !== '' ? `${binary} ${args}` : binary,
      execId: typeof execId === 'string' ? execId : null,
      where: typeof container === 'string' ? container : memberOf(process, 'pod') === undefined ? 'host' : '',
    }
  }
  return null
}

function memberOf (value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

const toSearch = ({ search, earliest, latest }: { readonly search: string, readonly earliest: string, readonly latest: string }) => `${PATHS.search}?${new URLSearchParams({ search, earliest, latest })}`

/** The searches that the detection's file has for whoever looks into a finding. */
function Searches ({ finding: { drilldown_searches: searches } }: { finding: FindingDetail }) {
  return (
    <ul class='stack'>
      {searches.map(({ name, search, earliest, latest, missing, error }, n) => (
        <li key={n}>
          <p class='row'><b class='grow'><Visible text={name} /></b>{error === null && <a class='button small' href={toSearch({ search, earliest, latest })}>Search</a>}</p>
          <Code text={search} label={`Search ${n + 1}`} wrap />
          {missing.length > 0 && <p class='warn-text small-text'>The row lacks <Visible text={missing.join(', ')} />, or has several values of it.</p>}
          {error !== null && <p class='error-text small-text pre-line'><Visible text={error} lines /></p>}
        </li>
      ))}
    </ul>
  )
}

function EvidenceEvents ({ finding: { evidence, drill_down: drill } }: { finding: FindingDetail }) {
  const [shown, setShown] = useState(20)
  if (evidence === null || evidence.events.length === 0) return <EmptyState title='No events are kept'>The search makes rows that no event can be told of.</EmptyState>
  return (
    <>
      {evidence.approximate && <p class='muted'>A field that the search groups by is computed, so these may be too many.</p>}
      <ul class='events'>
        {evidence.events.slice(0, shown).map(event => (
          <li key={event.id}>
            <details>
              <summary><Time at={event.time} relative='none' precision='milliseconds' /> <span class='cut mono'><Visible text={processOf(event)?.text ?? event.raw.slice(0, 300)} /></span></summary>
              <Code text={typeof event.event === 'string' ? event.event : JSON.stringify(event.event, null, 2)} label={`Event ${event.id}`} wrap={typeof event.event === 'string'} />
              <p class='muted small-text'>index <Visible text={event.index} /> · sourcetype <Visible text={event.sourcetype} /> · source <Visible text={event.source} /> · host <Visible text={event.host} /> · arrived <Time at={event.index_time} relative='none' /></p>
            </details>
          </li>
        ))}
      </ul>
      <div class='row'>
        {drill !== null && <a class='button small' href={toSearch(drill)}>Search for them</a>}
        {evidence.events.length > shown && <button type='button' onClick={() => setShown(evidence.events.length)}>Show all {evidence.events.length}</button>}
        <CopyButton text={evidence.events.map(({ raw }) => raw).join('\n')} what='the events, a line each' label='Copy all' />
        {evidence.event_count > evidence.events.length && <span class='muted'>{evidence.events.length} of {evidence.event_count.toLocaleString('en')} are kept.</span>}
      </div>
    </>
  )
}

function Revisions ({ page: { items, next_cursor: more } }: { page: PageOf<FindingRevision> }) {
  return (
    <>
      <ol class='revisions'>
        {items.map(({ revision, created_at: at, change, risk }) => (
          <li key={revision}>
            <p><b>Revision {revision}</b> <span class='muted'>score {risk.score}</span> <Time at={at} /></p>
            {change === null ? <p class='muted'>the first</p> : <Change change={change} />}
          </li>
        ))}
      </ol>
      {more !== null && <p class='muted'>Older ones are left out here; the API has them.</p>}
    </>
  )
}

function Change ({ change }: { change: FindingChange }) {
  return (
    <>
      <p><Visible text={change.text} /></p>
      {change.fields.length > 0 && (
        <div class='table-frame' tabIndex={0} role='region' aria-label='Differences'>
          <table class='diff'>
            <thead><tr><th scope='col'>Field</th><th scope='col'>Before</th><th scope='col'>After</th></tr></thead>
            <tbody>
              {change.fields.map(({ field, before, after, added, removed }) => (
                <tr key={field}>
                  <td class='mono'><Visible text={field} /></td>
                  <td><Value value={before} />{removed.map(one => <p key={one} class='removed'><span aria-hidden='true'>− </span><del><Visible text={one} /></del></p>)}</td>
                  <td><Value value={after} />{added.map(one => <p key={one} class='added'><span aria-hidden='true'>+ </span><ins><Visible text={one} /></ins></p>)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

function Value ({ value }: { value: unknown }) {
  if (value === null || value === undefined) return <span class='muted'>–</span>
  return <Visible text={typeof value === 'string' ? value : JSON.stringify(value)} />
}

function RiskOf ({ finding }: { finding: Finding }) {
  if (finding.risk.objects.length === 0) return <EmptyState title='It names no risk object' />
  return (
    <div class='stack'>
      {finding.risk.objects.slice(0, 5).map(({ type, value, score, message }) => (
        <div key={`${type} ${value}`}>
          <p><b><Visible text={value} /></b> <span class='muted'>{type}, score {score}</span></p>
          {message !== undefined && <p class='muted'><Visible text={message} lines /></p>}
          <Postings type={type} value={value} id={finding.id} time={finding.time} />
        </div>
      ))}
      {finding.risk.objects.length > 5 && <p class='muted'>and {countOf(finding.risk.objects.length - 5, 'other')}</p>}
      {finding.risk.threat_objects.length > 0 && (
        <div>
          <h3>Threat objects</h3>
          <ul class='tags'>{finding.risk.threat_objects.slice(0, 30).map(({ type, value }) => <li key={`${type} ${value}`}><span class='muted small-text'><Visible text={type} /></span> <span class='mono'><Visible text={value} /></span></li>)}</ul>
        </div>
      )}
    </div>
  )
}

const DAY_S = 86_400

/** What the score of the risk object was made of in the day that ends an hour after the finding. */
function Postings ({ type, value, id, time }: { type: string, value: string, id: string, time: number }) {
  const found = useQuery<PageOf<RiskObject>>('/risk-objects', { query: { type, value, earliest: String(time - DAY_S), latest: String(time + 3_600), limit: 1 } })
  const key = found.value?.items[0]?.key
  const state = useQuery<PageOf<RiskPosting> & { readonly risk_object: RiskObject }>(key === undefined ? null : '/risk-objects/explain', { query: { type, key, earliest: String(time - DAY_S), latest: String(time + 3_600), limit: 10 } })
  if (found.value !== undefined && key === undefined) return <p class='muted'>No risk is posted for it around that time.</p>
  return (
    <Asked state={found.error === null ? state : { ...state, error: found.error }}>
      {({ items, risk_object: object, next_cursor: more }) => (
        <>
          <p class='small-text'><a href={`/risk?${new URLSearchParams({ type, key: object.key })}`}>Score {numberText(object.score)}</a> <span class='muted'>within the day around it, of {countOf(object.findings, 'finding')}</span></p>
          <ul class='lines small-text'>
            {items.map(posting => (
              <li key={`${posting.finding} ${posting.revision}`} title={posting.text}>
                <span class='cut'>{posting.finding === id ? <b>this finding</b> : <a href={`/findings/${encodeURIComponent(posting.finding)}`}>{posting.detection}</a>}</span>
                <Time at={posting.time} relative='none' precision='minutes' /><span class='number'>+{numberText(posting.counted)}</span>
              </li>
            ))}
            {more !== null && <li class='muted'>and more</li>}
          </ul>
        </>
      )}
    </Asked>
  )
}

function History ({ page: { items, next_cursor: more } }: { page: PageOf<HistoryEntry> }) {
  return (
    <>
      <ol class='history'>
        {items.map((entry, n) => (
          <li key={`${entry.at} ${n}`}>
            <p class='small-text'><b>{entry.by === null ? 'Hecate' : <Visible text={entry.by} />}</b> <Time at={entry.at} /></p>
            {entry.kind === 'revision' && <p>{entry.reason === null ? `revision ${entry.revision}` : <Visible text={entry.reason} />}</p>}
            {entry.after !== null && <p>{(['status', 'disposition', 'owner'] as const).filter(name => entry.after?.[name] !== undefined).map((name, i) => <span key={name}>{i > 0 && ', '}{name}: <Visible text={words(entry.before?.[name] ?? 'none')} /> → <b><Visible text={words(entry.after?.[name] ?? 'none')} /></b></span>)}{entry.kind !== 'revision' && entry.reason !== null && <span class='muted'> (<Visible text={entry.reason} />)</span>}</p>}
            {entry.comment !== null && <p class='comment'><Visible text={entry.comment} lines /></p>}
          </li>
        ))}
      </ol>
      {more !== null && <p class='muted'>Older entries are left out here; the API has them.</p>}
    </>
  )
}

function CommentForm ({ finding: { id }, onDone }: { finding: FindingDetail, onDone: () => void }) {
  const api = useApi()
  const { mayWrite } = useSession()
  const { fail } = useToast()
  const [text, setText] = useState('')
  const [isBusy, setBusy] = useState(false)
  if (!mayWrite) return null
  const send = async () => {
    if (text.trim() === '' || isBusy) return
    setBusy(true)
    try {
      await api.post(`/findings/${encodeURIComponent(id)}/comments`, { comment: text.trim() })
      setText('')
      onDone()
    } catch (error) {
      fail(error)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form class='stack comment-form' onSubmit={event => { event.preventDefault(); send() }}>
      <label class='field'><span>Comment</span><textarea value={text} maxLength={10_000} onInput={event => setText(event.currentTarget.value)} /></label>
      <div><button type='submit' disabled={isBusy || text.trim() === ''}>Comment</button></div>
    </form>
  )
}
