import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { Finding, PageOf } from './api-types.js'
import type { QueryValue } from './api.js'
import { isAbort, toUrl, useApi } from './api.js'

/** A finding without its row: a list may hold 100,000. */
export type FindingRow = Omit<Finding, 'result' | 'change' | 'window'>

function toRow ({ result: _result, change: _change, window: _window, ...row }: Finding): FindingRow {
  return row
}

/** The first page is soon there; the next are what one call gives at most. */
const FIRST_PAGE = 200
const NEXT_PAGE = 1_000

interface ListState {
  readonly url: string
  readonly rows: readonly FindingRow[]
  readonly cursor: string | null
  readonly total: number | null
  /** Epoch seconds that the time range began at when the first page came; null before. */
  readonly fromSeconds: number | null
  readonly error: unknown
  readonly isLoading: boolean
}

/** Findings that meet a filter, a page after the other as `loadMore` asks for them. */
export function useFindingList (query: Readonly<Record<string, QueryValue>>) {
  const api = useApi()
  const url = toUrl('/findings', query).slice('/api/v1'.length)
  const empty: ListState = { url, rows: [], cursor: null, total: null, fromSeconds: null, error: null, isLoading: true }
  const [state, setState] = useState(empty)
  const latest = useRef(state)
  latest.current = state
  const abort = useRef(new AbortController())
  const isBusy = useRef(false)

  const load = useCallback(async (cursor: string | null) => {
    const { signal } = abort.current
    isBusy.current = true
    setState(before => ({ ...before, isLoading: true, error: null }))
    try {
      const { items, next_cursor: next, total, earliest = '' } = await api.get<PageOf<Finding>>(url, { query: cursor === null ? { limit: FIRST_PAGE, count: 'exact' } : { limit: NEXT_PAGE, cursor }, signal })
      if (signal.aborted) return
      setState(before => {
        const known = new Set(cursor === null ? [] : before.rows.map(({ id }) => id))
        const rows = [...cursor === null ? [] : before.rows, ...items.filter(({ id }) => !known.has(id)).map(toRow)]
        return { url, rows, cursor: next, total: total ?? before.total, fromSeconds: cursor === null ? Date.parse(earliest) / 1000 : before.fromSeconds, error: null, isLoading: false }
      })
    } catch (error) {
      if (!isAbort(error) && !signal.aborted) setState(before => ({ ...before, error, isLoading: false }))
    } finally {
      if (!signal.aborted) isBusy.current = false
    }
  }, [api, url])

  const reload = useCallback(() => {
    abort.current.abort()
    abort.current = new AbortController()
    load(null)
  }, [load])

  useEffect(() => {
    setState(before => before.url === url ? before : empty)
    reload()
    return () => abort.current.abort()
  }, [url, reload])

  const loadMore = useCallback(() => {
    const { cursor, error } = latest.current
    if (cursor !== null && error === null && !isBusy.current) load(cursor)
  }, [load])

  /** Puts what has become of findings where they are; those that are not listed are left out. */
  const put = useCallback((findings: readonly Finding[]) => {
    const byId = new Map(findings.map(one => [one.id, toRow(one)]))
    setState(before => ({ ...before, rows: before.rows.map(row => byId.get(row.id) ?? row) }))
  }, [])

  const shown = state.url === url ? state : empty
  return { rows: shown.rows, total: shown.total, fromSeconds: shown.fromSeconds, error: shown.error, isLoading: shown.isLoading, hasMore: shown.cursor !== null, has: (id: string) => latest.current.rows.some(row => row.id === id), loadMore, reload, put }
}
