import { useEffect, useState } from 'preact/hooks'
import type { SearchExplanation, SearchReply } from '../api-types.js'
import { isAbort, useApi } from '../api.js'

/** Events by time. `spanSeconds` is that of a bar. */
export interface Timeline { readonly times: readonly number[], readonly counts: readonly number[], readonly spanSeconds: number, readonly total: number }

const MAX_BARS = 120
const SPANS = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800, 2_592_000, 31_536_000]

/** Beyond it bars go by what there is, not by the range: all time has no beginning. */
const MAX_RANGE_SECONDS = 3 * 366 * 86_400

/** The condition that a search begins with; null where it begins with something else, or with a macro that may be more than a condition. */
export function baseOf (search: string, { commands, tokens }: SearchExplanation): string | null {
  const first = commands[0]
  if (first === undefined) return null
  const [token, second] = tokens.filter(({ kind }) => kind !== 'comment')
  const named = token?.kind === 'pipe' ? second : token
  if (named?.kind === 'command' && search.slice(named.start, named.end).toLowerCase() !== 'search') return null
  return search.slice(0, first.end)
}

/** How many events meet the condition that a search begins with, over its range; null while nobody knows, and where that says nothing. */
export function useTimeline (base: string | null, window: { readonly earliest: string, readonly latest: string } | null): Timeline | null {
  const api = useApi()
  const [timeline, setTimeline] = useState<Timeline | null>(null)
  const { earliest = '', latest = '' } = window ?? {}
  useEffect(() => {
    setTimeline(null)
    if (base === null || earliest === '') return
    const abort = new AbortController()
    const ask = (stages: string, range: { earliest: number | string, latest: number | string }, limit: number) => api.post<SearchReply>('/search', { search: `${base}\n| ${stages}`, ...range, limit }, { signal: abort.signal })
    const look = async () => {
      let from = Date.parse(earliest) / 1000
      let to = Date.parse(latest) / 1000
      if (!(to - from <= MAX_RANGE_SECONDS)) { // it has no end, or no beginning
        const { rows: [ends] } = await ask('stats min(_time) AS first max(_time) AS last', { earliest, latest }, 1)
        if (typeof ends?.first !== 'number' || typeof ends.last !== 'number') return
        const now = Date.now() / 1000
        to = Math.max(ends.last + 1, now - from <= MAX_RANGE_SECONDS ? now : 0)
        if (!(to - from <= MAX_RANGE_SECONDS)) from = ends.first
      }
      const span = SPANS.find(seconds => (to - from) / seconds <= MAX_BARS) ?? SPANS.at(-1)!
      const { rows } = await ask(`bin _time span=${span}s | stats count BY _time`, { earliest: from, latest: to }, 10_000)
      const counts = new Map(rows.map(row => [Number(row._time), Number(row.count)]))
      const first = Math.floor(from / span) * span
      const times = Array.from({ length: Math.min(10_000, Math.max(1, Math.ceil((to - first) / span))) }, (_, n) => first + n * span)
      setTimeline({ times, counts: times.map(time => counts.get(time) ?? 0), spanSeconds: span, total: [...counts.values()].reduce((sum, one) => sum + one, 0) })
    }
    look().catch((error: unknown) => { if (!isAbort(error)) setTimeline(null) }) // the search itself says what is wrong
    return () => abort.abort()
  }, [base, earliest, latest, api])
  return timeline
}
