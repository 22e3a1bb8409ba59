import type { SeenBefore as Seen } from '../api-types.js'
import { countOf, Visible, words } from '../text.js'
import { Time, toMs } from '../time.js'
import { EmptyState } from './empty-state.js'

/** What was known of a finding's command lines and risk objects before it. */
export function SeenBefore ({ seen }: { seen: Seen }) {
  const { commands, risk_objects: objects } = seen
  if (commands.length === 0 && objects.length === 0) return <EmptyState title='There is nothing to look for'>It has no command line and names no risk object.</EmptyState>
  return (
    <div class='stack'>
      {commands.length > 0 && <Commands seen={seen} />}
      {objects.length > 0 && <ul class='stack'>{objects.map(object => <li key={`${object.field} ${object.type} ${object.value}`}><SeenObject object={object} /></li>)}</ul>}
      {seen.truncated && <p class='muted small-text'>There are more risk objects, command lines or events than are told of here.</p>}
    </div>
  )
}

const DAY_MS = 86_400_000

function Commands ({ seen: { commands, searched, complete, events_gone: areGone } }: { seen: Seen }) {
  if (searched === null) return <p class='warn-text'>Command lines were not looked for: the time for it was over.</p>
  const days = Math.round((toMs(searched.latest) - toMs(searched.earliest)) / DAY_MS)
  return (
    <div>
      <p class='muted small-text'>Command lines in the events of {days === 1 ? 'the day' : `${days} days`} before <Time at={searched.latest} relative='none' precision='minutes' /></p>
      {!complete && <p class='warn-text small-text'>The time was over before all 30 days were looked through.</p>}
      {areGone && <p class='warn-text small-text'>Some events of that time are stored no more, or can't be read.</p>}
      <ul class='seen'>
        {commands.map(({ process, events, pods, nodes, first, last }, n) => (
          <li key={n} class={events === 0 ? 'new' : ''}>
            <p><code class='command'><Visible text={process} /></code></p>
            {events === null || first === null || last === null
              ? <p class='small-text'><b>not in that time</b></p>
              : <p class='small-text'>{countOf(events, 'event')} on {countOf(pods ?? 0, 'pod')} and {countOf(nodes ?? 0, 'node')}, from <Time at={first} relative='none' precision='minutes' /> to <Time at={last} relative='none' precision='minutes' /></p>}
          </li>
        ))}
      </ul>
    </div>
  )
}

function SeenObject ({ object: { type, value, findings, first, last, by_detection: detections, detections: detectionCount, throttled, suppressed, capped } }: { object: Seen['risk_objects'][number] }) {
  const hidden = [...throttled > 0 ? [`${throttled.toLocaleString('en')} throttled`] : [], ...suppressed > 0 ? [`${suppressed.toLocaleString('en')} suppressed`] : []]
  return (
    <>
      <p>
        <b><Visible text={value} /></b> <span class='muted'><Visible text={type} /></span>{' '}
        {findings === 0 ? 'had no finding before' : <>had <a href={`/findings?${new URLSearchParams({ risk_object: value, ...rangeOf(first, last) })}`}>{countOf(findings, 'finding')}</a> before{capped && ', or more'}</>}
        {first !== null && last !== null && <>, from <Time at={first} relative='none' precision='minutes' /> to <Time at={last} relative='none' precision='minutes' /></>}
        {hidden.length > 0 && <span class='muted'>; beside {findings === 0 ? 'that' : 'them'} {hidden.join(' and ')}</span>}
      </p>
      <ul class='lines small-text'>
        {detections.map(({ detection, findings: count, dispositions }) => (
          <li key={detection}><a class='cut' href={`/detections/${encodeURIComponent(detection)}`}>{detection}</a><span class='muted'>{dispositionsText(dispositions)}</span><span class='number'>{count.toLocaleString('en')}</span></li>
        ))}
        {detectionCount > detections.length && <li class='muted'>and {countOf(detectionCount - detections.length, 'other detection')}</li>}
      </ul>
    </>
  )
}

/** Times that hold both; the end of a range is not in it. */
function rangeOf (first: number | null, last: number | null): { earliest?: string, latest?: string } {
  return first === null || last === null ? {} : { earliest: new Date(toMs(first)).toISOString(), latest: new Date(toMs(last) + 1).toISOString() }
}

/** `1 benign, 3 undecided`. */
function dispositionsText (dispositions: Seen['risk_objects'][number]['by_detection'][number]['dispositions']): string {
  return Object.entries(dispositions).flatMap(([name, count]) => count === 0 ? [] : [`${count.toLocaleString('en')} ${name === 'none' ? 'undecided' : words(name)}`]).join(', ')
}
