import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { SearchExplanation } from '../api-types.js'
import { useApi } from '../api.js'
import { countOf } from '../text.js'
import { CopyButton } from './code.js'

type Token = SearchExplanation['tokens'][number]
type SplError = SearchExplanation['errors'][number]

/** An answer of the server about a search, and the search that it is about. */
export interface Explained { readonly search: string, readonly explanation: SearchExplanation }

/** Typing has ended for so long when the server is asked. */
const TYPING_MS = 250

/** A longer text has no colours while it is written: each of its pieces is an element. */
const MAX_COLOURED = 20_000

/** What the server says of a search: the last answer there is, which may be about the text of a moment ago. */
export function useExplained (search: string): Explained | null {
  const api = useApi()
  const [explained, setExplained] = useState<Explained | null>(null)
  const isFirst = useRef(true)
  useEffect(() => {
    if (search.trim() === '') {
      setExplained(null)
      return
    }
    const abort = new AbortController()
    const timer = setTimeout(() => {
      api.post<SearchExplanation>('/search/explain', { search }, { signal: abort.signal })
        .then(explanation => setExplained({ search, explanation }), () => {}) // without an answer the text has no colours; running it says why
    }, isFirst.current ? 0 : TYPING_MS)
    isFirst.current = false
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [search, api])
  return explained
}

/** SPL to be written, with the colours of what it is made of and the place of its error. Ctrl or Cmd with Enter runs it. */
export function SplEditor ({ value, onChange, onRun, explained, label }: { value: string, onChange: (search: string) => void, onRun: () => void, explained: Explained | null, label: string }) {
  const isColoured = value.length <= MAX_COLOURED
  const isCurrent = explained?.search === value
  const tokens = useMemo(() => explained === null || !isColoured ? [] : isCurrent ? explained.explanation.tokens : moved(explained, value), [explained, value, isColoured, isCurrent])
  const error = isCurrent ? explained.explanation.errors[0] : undefined
  return (
    <div class='spl-editor'>
      <div class={`spl-box${isColoured ? '' : ' plain'}`}>
        <textarea
          class='spl-text' value={value} aria-label={label} spellcheck={false} autocomplete='off' autocapitalize='off' maxLength={100_000} rows={3}
          placeholder='process_name=nsenter | stats count BY pod_name'
          {...error === undefined ? {} : { 'aria-invalid': true, 'aria-describedby': 'spl-error' }}
          onInput={event => onChange(event.currentTarget.value)}
          onKeyDown={event => {
            if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
            event.preventDefault()
            onRun()
          }}
        />
        {isColoured && <pre class='spl-text spl-colours' aria-hidden='true'><Coloured text={value} tokens={tokens} error={error} />{'\n'}</pre>}
      </div>
      {error !== undefined && <SplProblem text={value} error={error} id='spl-error' />}
    </div>
  )
}

/** The tokens of a text that was changed in one place since: those before it stand, those behind it have moved. */
function moved ({ search: before, explanation: { tokens } }: Explained, now: string): Token[] {
  const shorter = Math.min(before.length, now.length)
  let head = 0
  while (head < shorter && before[head] === now[head]) head++
  let tail = 0
  while (tail < shorter - head && before.at(-1 - tail) === now.at(-1 - tail)) tail++
  const by = now.length - before.length
  return tokens.flatMap(token => token.end <= head ? [token] : token.start >= before.length - tail ? [{ ...token, start: token.start + by, end: token.end + by }] : [])
}

/** Text in pieces. Those of the error are marked; where it has no length, its place is. */
function Coloured ({ text, tokens, error, from = 0, to = text.length }: { text: string, tokens: readonly Token[], error?: SplError | undefined, from?: number, to?: number }) {
  const parts: ComponentChildren[] = []
  let at = from
  const put = (until: number, kind?: string) => {
    while (at < until) {
      const isWrong = error !== undefined && at >= error.start && at < error.end
      const end = error === undefined ? until : Math.min(until, ...[error.start, error.end].filter(edge => edge > at))
      const names = [...kind === undefined ? [] : [`spl-${kind}`], ...isWrong ? ['spl-wrong'] : []].join(' ')
      parts.push(names === '' ? text.slice(at, end) : <span key={at} class={names}>{text.slice(at, end)}</span>)
      at = end
    }
  }
  for (const { start, end, kind } of tokens) {
    if (end <= from || start >= to) continue
    put(Math.max(start, from))
    put(Math.min(end, to), kind)
  }
  put(to)
  return <>{parts}</>
}

/** So much of a line is shown on each side of the caret. */
const EXCERPT = 50

/** What is wrong, with the line and a caret below its place. */
export function SplProblem ({ text, error: { line, column, message }, id }: { text: string, error: Pick<SplError, 'line' | 'column' | 'message'>, id?: string }) {
  const whole = text.split('\n')[line - 1] ?? ''
  const start = Math.max(0, column - 1 - EXCERPT)
  const before = `${start > 0 ? '…' : ''}${whole.slice(start, column - 1)}`.replaceAll('\t', ' ')
  return (
    <div class='spl-problem' role='alert' {...id === undefined ? {} : { id }}>
      <p><b>Line {line}, column {column}:</b> <bdi>{message}</bdi></p>
      <pre aria-hidden='true'>{`${before}${whole.slice(column - 1, column - 1 + EXCERPT)}\n${' '.repeat(before.length)}^`}</pre>
    </div>
  )
}

/** SPL to be read, with the line where the store's part ends. */
export function SplView ({ search, explained }: { search: string, explained: Explained | null }) {
  const { tokens = [], errors: [error] = [], commands = [], fields = null } = explained?.search === search ? explained.explanation : {} as Partial<SearchExplanation>
  const firstLeft = commands.findIndex(({ runs }) => runs !== 'store')
  const isSplit = commands.length > 0
  const border = firstLeft < 0 ? search.length : firstLeft === 0 ? 0 : borderOf(search, commands[firstLeft - 1]!.end, commands[firstLeft]!.start)
  const part = (from: number, to: number) => <pre tabIndex={0} role='region' aria-label='Search'><code><Coloured text={search} tokens={tokens} error={error} from={from} to={to} /></code></pre>
  return (
    <div class='spl-view'>
      <CopyButton text={search} what='the search' />
      {!isSplit && part(0, search.length)}
      {isSplit && border > 0 && <div class='spl-part stored'>{part(0, search.slice(0, border).trimEnd().length)}</div>}
      {isSplit && (
        <p class='spl-border'>
          <b>{firstLeft < 0 ? 'The store does all of it.' : firstLeft === 0 ? 'The store gives events.' : 'The push-down ends here.'}</b>{' '}
          {firstLeft >= 0 && (commands[firstLeft]!.runs === 'both' ? 'The next command is begun by the store; what follows' : 'What follows')}
          {firstLeft >= 0 && ` runs over its rows${fields === null ? ', which have all fields of the events' : fields.length === 0 ? '' : `, which have ${countOf(fields.length, 'field')}: ${fields.slice(0, 12).join(', ')}${fields.length > 12 ? ', …' : ''}`}.`}
        </p>
      )}
      {isSplit && border < search.length && <div class='spl-part'>{part(border, search.length)}</div>}
      {error !== undefined && <SplProblem text={search} error={error} />}
    </div>
  )
}

/** The beginning of the line that the second of two commands is on, where that is between them; else its pipe. */
function borderOf (search: string, end: number, start: number): number {
  const newline = search.lastIndexOf('\n', start - 1)
  if (newline >= end) return newline + 1
  const pipe = search.indexOf('|', end)
  return pipe >= 0 && pipe < start ? pipe : start
}
