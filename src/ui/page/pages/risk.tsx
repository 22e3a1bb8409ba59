import { useMemo } from 'preact/hooks'
import type { PageOf, RiskObject, RiskPosting } from '../api-types.js'
import { Badge } from '../components/badge.js'
import { Chart } from '../components/chart.js'
import type { Column } from '../components/data-table.js'
import { DataTable } from '../components/data-table.js'
import { EmptyState, ErrorState, Loading } from '../components/empty-state.js'
import { FilterBar } from '../components/filter-bar.js'
import { ListState } from '../components/list-state.js'
import { PRESETS, TimeRange } from '../components/time-range.js'
import { useCursor } from '../cursor.js'
import { useKeys } from '../keys.js'
import { useList } from '../list.js'
import { useRouter } from '../router.js'
import { countOf, numberText, Visible, words } from '../text.js'
import { Time } from '../time.js'

const PAGE_SIZE = 100
const POSTINGS = 200

/** Those that detections name most; others are offered once they are listed. */
const USUAL_TYPES = ['system', 'user', 'other']

/** The API's range ends now and begins a day before where nothing is said, so that all of time has to be said. */
const RANGES = PRESETS.map(one => one.earliest === '' ? { ...one, earliest: '0' } : one)
const USUAL_EARLIEST = '-24h'

type Listed = PageOf<RiskObject> & { readonly complete: boolean }
type Explained = PageOf<RiskPosting> & { readonly risk_object: RiskObject, readonly complete: boolean }

const keyOf = ({ type, key }: Pick<RiskObject, 'type' | 'key'>) => JSON.stringify([type, key])

/** Who is at risk, how much, and why. */
export function RiskPage () {
  const { query, setQuery } = useRouter()
  const range = { earliest: query.get('earliest') ?? USUAL_EARLIEST, latest: query.get('latest') ?? '' }
  const list = useList<RiskObject, Listed>('/risk-objects', {
    query: { ...range, type: query.get('object_type'), value: query.get('value'), min_score: query.get('min_score'), count: 'exact', limit: PAGE_SIZE },
  })
  const type = query.get('type')
  const key = query.get('key')
  const chosen = type === null || key === null ? null : { type, key }
  const { rows } = list
  const { at, setAt, row, move } = useCursor(rows, keyOf, chosen === null ? null : keyOf(chosen))
  const choose = (object: Pick<RiskObject, 'type' | 'key'> | null) => {
    if (object !== null) setAt(keyOf(object))
    setQuery({ type: object?.type ?? null, key: object?.key ?? null, ended: null })
  }
  const step = (by: number) => {
    const next = move(by)
    if (next !== undefined && chosen !== null) setQuery({ type: next.type, key: next.key, ended: null }, 'replace')
  }
  useKeys('Risk objects', [
    { keys: 'j', label: 'Next object', run: () => step(1) },
    { keys: 'k', label: 'Object before', run: () => step(-1) },
    { keys: 'Enter', label: 'Explain its score', run: () => choose(row ?? null) },
    { keys: 'u', label: 'Back to the list', run: () => choose(null) },
  ])
  const types = [...new Set([...USUAL_TYPES, ...rows.map(row => row.type), ...query.getAll('object_type')])]
  const highest = Math.max(1, ...rows.map(({ score }) => score))
  const columns = useMemo(() => columnsOf(highest, chosen !== null, object => toUrl(query, object)), [highest, chosen === null, query])
  const { total } = list.first ?? {}

  return (
    <>
      <div class='page-head'>
        <h1>Risk objects</h1>
        <span class='muted list-count' role='status'>{total === undefined ? '' : countOf(total, 'object')}</span>
      </div>
      <div class='filters'>
        <TimeRange value={range} presets={RANGES} onChange={({ earliest, latest }) => setQuery({ earliest: earliest === USUAL_EARLIEST || earliest === '' ? null : earliest, latest: latest || null })} />
        <FilterBar
          filters={[
            { kind: 'one', name: 'object_type', label: 'Type', options: types.map(value => ({ value, label: value })) },
            { kind: 'text', name: 'min_score', label: 'Score at least' },
            { kind: 'text', name: 'value', label: 'Value', placeholder: 'exactly' },
          ]}
        />
      </div>
      {list.first?.complete === false && <Incomplete />}
      <div class={chosen === null ? 'split' : 'split chosen'}>
        <div class='card split-list'>
          <ListState list={list} empty={<EmptyState title='No risk in this range'>No finding that meets the filters has posted a score to an object.</EmptyState>}>
            <DataTable label='Risk objects' columns={columns} rows={rows} rowKey={keyOf} cursor={at} onOpen={choose} />
          </ListState>
        </div>
        {chosen !== null && <Explanation key={keyOf(chosen)} object={chosen} range={range} onClose={() => choose(null)} />}
      </div>
    </>
  )
}

function Incomplete () {
  return <p class='changed-note' role='status'><b>Scores may be too low.</b> Findings of the past are still being posted, after an update or a change of <code>risk.entity</code>.</p>
}

/** The same page with that object chosen. */
function toUrl (query: URLSearchParams, { type, key }: RiskObject): string {
  const next = new URLSearchParams(query)
  next.set('type', type)
  next.set('key', key)
  next.delete('ended')
  return `/risk?${next}`
}

function columnsOf (highest: number, isBeside: boolean, urlOf: (object: RiskObject) => string): readonly Column<RiskObject>[] {
  return [
    {
      key: 'object', title: 'Object', cardLabel: '',
      render: object => (
        <>
          <a class='strong' href={urlOf(object)}><Visible text={object.value} /></a>
          <span class='block small-text muted'><Visible text={object.type} />{object.key !== object.value && <> · <Visible text={object.key} /></>}</span>
        </>
      ),
    },
    {
      key: 'score', title: 'Score', width: isBeside ? '86px' : '180px',
      render: ({ score }) => <span class='score'><b class='number'>{numberText(score)}</b><span class='bar' style={{ width: `${100 * score / highest}%` }} aria-hidden='true' /></span>,
    },
    { key: 'findings', title: 'Findings', align: 'right', width: '84px', render: ({ findings }) => findings.toLocaleString('en') },
    ...isBeside
      ? []
      : [
          { key: 'detections', title: 'Detections', align: 'right', width: '96px', render: ({ detections }) => detections.length.toLocaleString('en') } satisfies Column<RiskObject>,
          { key: 'tactics', title: 'Tactics', render: ({ tactics }) => <span class='small-text'>{tactics.length === 0 ? '–' : tactics.map(words).join(', ')}</span> } satisfies Column<RiskObject>,
          { key: 'last', title: 'Last', width: '190px', render: ({ last_time: last }) => last === null ? '–' : <Time at={last} precision='minutes' /> } satisfies Column<RiskObject>,
        ],
  ]
}

/** What the score of one object is made of. */
function Explanation ({ object: { type, key }, range, onClose }: { object: Pick<RiskObject, 'type' | 'key'>, range: { readonly earliest: string, readonly latest: string }, onClose: () => void }) {
  const { query, setQuery } = useRouter()
  const withEnded = query.get('ended') === 'include'
  const list = useList<RiskPosting, Explained>('/risk-objects/explain', { query: { type, key, ...range, ended: withEnded ? 'include' : null, limit: POSTINGS } })
  const found = list.first
  const object = found?.risk_object
  return (
    <section class='card split-one' aria-label='Explanation'>
      <header>
        <h2><Visible text={object?.value ?? key} /></h2>
        <button type='button' class='small' onClick={onClose}>Close <kbd>u</kbd></button>
      </header>
      {found === undefined || object === undefined
        ? list.error === null ? <Loading /> : <ErrorState error={list.error} onRetry={() => list.refresh()} />
        : (
          <div class='stack'>
            <p>
              <Badge><Visible text={type} /></Badge>{' '}
              {key !== object.value && <><span class='muted'>counted apart as</span> <code><Visible text={key} /></code> </>}
              <a href={`/findings?${new URLSearchParams({ risk_object: object.value, ...range.latest === '' ? {} : { latest: range.latest }, earliest: range.earliest })}`}>Its findings</a>
            </p>
            {!found.complete && <Incomplete />}
            <dl class='figures'>
              <div><dt>Score</dt><dd>{numberText(object.score)}</dd></div>
              <div><dt>Findings</dt><dd>{object.findings.toLocaleString('en')}</dd></div>
              <div><dt>Detections</dt><dd>{object.detections.length.toLocaleString('en')}</dd></div>
              <div><dt>Last</dt><dd>{object.last_time === null ? '–' : <Time at={object.last_time} relative='only' />}</dd></div>
            </dl>
            <Tactics object={object} />
            <Timeline postings={list.rows} isCut={list.hasMore} earliest={found.earliest} latest={found.latest} />
            <Shares object={object} />
            <div class='row'>
              <h3 class='grow'>Postings</h3>
              <label class='check'><input type='checkbox' checked={withEnded} onChange={event => setQuery({ ended: event.currentTarget.checked ? 'include' : null }, 'replace')} /> with those that count no more</label>
            </div>
            <ListState list={list} empty={<EmptyState title='No posting counts in this range'>{!withEnded && 'There may be some that count no more.'}</EmptyState>}>
              <Postings rows={list.rows} />
            </ListState>
          </div>
          )}
    </section>
  )
}

function Tactics ({ object: { tactics, techniques, unknown_techniques: unknown } }: { object: RiskObject }) {
  if (techniques.length === 0) return <p class='muted'>Its detections name no technique of ATT&CK.</p>
  return (
    <dl class='pairs'>
      <div><dt>Tactics</dt><dd>{tactics.length === 0 ? <span class='muted'>none that is known</span> : <ul class='tags'>{tactics.map(one => <li key={one}>{words(one)}</li>)}</ul>}</dd></div>
      <div>
        <dt>Techniques</dt>
        <dd>
          <ul class='tags'>
            {techniques.map(one => <li key={one}><a class='mono' href={`/findings?${new URLSearchParams({ technique: one })}`}><Visible text={one} /></a>{unknown.includes(one) && <span class='warn-text small-text' title='The table of tactics does not know it: it counts as none'> unknown</span>}</li>)}
          </ul>
        </dd>
      </div>
    </dl>
  )
}

/** How much each detection adds. */
function Shares ({ object: { detections } }: { object: RiskObject }) {
  if (detections.length === 0) return null
  const highest = Math.max(...detections.map(({ counted }) => counted), 1)
  return (
    <div>
      <h3>By detection</h3>
      <ul class='bars'>
        {detections.map(({ id, findings, sum, counted }) => (
          <li key={id}>
            <a href={`/detections/${encodeURIComponent(id)}`}><Visible text={id} /></a>
            <span class='muted'>{countOf(findings, 'finding')}{counted < sum && `; ${numberText(sum)} before the cap`}</span>
            <b class='number'>{numberText(counted)}</b>
            <span class='bar' style={{ width: `${100 * counted / highest}%` }} aria-hidden='true' />
          </li>
        ))}
      </ul>
    </div>
  )
}

const STEPS_S = [60, 300, 900, 3_600, 10_800, 21_600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400]
const MAX_BARS = 72

/** The range in steps of equal length, at most MAX_BARS; epoch seconds, with what the postings of each count for. */
function toSteps (postings: readonly RiskPosting[], fromS: number, toS: number): { readonly times: readonly number[], readonly values: readonly number[] } {
  const step = STEPS_S.find(one => (toS - fromS) / one <= MAX_BARS) ?? (toS - fromS) / MAX_BARS
  const start = Math.floor(fromS / step) * step
  const times = Array.from({ length: Math.max(2, Math.ceil((toS - start) / step)) }, (_, n) => start + n * step)
  const values = times.map(() => 0)
  for (const { time, counted } of postings) {
    const n = Math.floor((time - start) / step)
    if (values[n] !== undefined) values[n] += counted
  }
  return { times, values }
}

function Timeline ({ postings, isCut, earliest, latest }: { postings: readonly RiskPosting[], isCut: boolean, earliest: string | undefined, latest: string | undefined }) {
  const { times, series } = useMemo(() => {
    const all = postings.map(({ time }) => time)
    const first = Math.min(...all)
    const fromS = Math.max(Date.parse(earliest ?? '') / 1000 || first, first - 31 * 86_400) // all of time is mostly empty
    const steps = toSteps(postings, fromS, Math.min(Date.parse(latest ?? '') / 1000 || Infinity, Math.max(...all) + 31 * 86_400))
    return { times: steps.times, series: [{ label: 'counted score', values: steps.values, color: '--accent', kind: 'bars' as const }] }
  }, [postings.length, postings[0], postings.at(-1), earliest, latest])
  if (postings.length === 0) return null
  return (
    <div>
      <h3>Timeline</h3>
      <Chart label={`What ${countOf(postings.length, 'posting')} count for over time`} times={times} series={series} height={130} />
      {isCut && <p class='muted small-text'>Of the newest {postings.length.toLocaleString('en')} postings, that are shown below.</p>}
    </div>
  )
}

function Postings ({ rows }: { rows: readonly RiskPosting[] }) {
  return (
    <DataTable
      label='Postings' rows={rows} rowKey={({ finding, revision, posted_at: posted }) => `${finding} ${revision} ${posted}`}
      rowClass={({ ended }) => ended === null ? '' : 'ended'}
      columns={[
        { key: 'time', title: 'Time', width: '140px', cardLabel: '', render: ({ time }) => <Time at={time} relative='none' precision='minutes' /> },
        {
          key: 'what', title: 'Finding', cardLabel: '',
          render: ({ finding, revision, detection, text, ended }) => (
            <>
              <a href={`/findings/${encodeURIComponent(finding)}`}><Visible text={detection} /></a>{revision > 1 && <span class='muted'> revision {revision}</span>}
              <span class='block small-text muted'>{ended !== null && <><Badge title={ended.at}>{words(ended.why)}</Badge> </>}<Visible text={text} /></span>
            </>
          ),
        },
        { key: 'score', title: 'Score', align: 'right', width: '60px', render: ({ score }) => numberText(score) },
        { key: 'weight', title: 'Weight', align: 'right', width: '64px', render: ({ weight }) => numberText(weight) },
        { key: 'counted', title: 'Counted', align: 'right', width: '72px', render: ({ counted }) => <b>{numberText(counted)}</b> },
      ]}
    />
  )
}
