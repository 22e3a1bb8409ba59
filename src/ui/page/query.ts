import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { PageOf } from './api-types.js'
import type { QueryValue } from './api.js'
import { isAbort, toUrl, useApi } from './api.js'

export interface QueryState<T> {
  /** The last reply of this path, also while another is awaited; undefined before the first. */
  readonly value: T | undefined
  readonly error: unknown
  readonly isLoading: boolean
  readonly refresh: () => void
}

export interface QueryOptions {
  readonly query?: Readonly<Record<string, QueryValue>>
  /** Asks again after so long, while the tab is seen. */
  readonly pollMs?: number
}

/** What GET of a path below /api/v1 replies; null asks nothing. A request that nobody waits for any more is aborted. */
export function useQuery<T> (path: string | null, { query, pollMs }: QueryOptions = {}): QueryState<T> {
  const api = useApi()
  const url = path === null ? null : toUrl(path, query).slice('/api/v1'.length)
  return useAsked(url, signal => api.get<T>(url!, { signal }), pollMs)
}

/** Items of a list that are asked for; a list may have more. */
const MAX_ITEMS = 20_000

export interface AllOf<T> { readonly items: readonly T[], readonly isCut: boolean }

/** All pages of a list, one after the other. */
export function useAll<T> (path: string, { query, pollMs }: QueryOptions = {}): QueryState<AllOf<T>> {
  const api = useApi()
  const url = toUrl(path, { ...query, limit: 1000 }).slice('/api/v1'.length)
  return useAsked(url, async signal => {
    const items: T[] = []
    let cursor: string | null = null
    do {
      const page: PageOf<T> = await api.get<PageOf<T>>(url, { query: { cursor }, signal })
      items.push(...page.items)
      cursor = page.next_cursor
    } while (cursor !== null && items.length < MAX_ITEMS)
    return { items, isCut: cursor !== null }
  }, pollMs)
}

/** What `ask` gives; it is asked anew when `key`, which says what is asked for, is another, and every `pollMs`. With null nothing is asked. */
export function useAsked<T> (key: string | null, ask: (signal: AbortSignal) => Promise<T>, pollMs?: number): QueryState<T> {
  const latest = useLatest(ask)
  const [state, setState] = useState<{ key: string | null, value: T | undefined, error: unknown, isLoading: boolean }>({ key, value: undefined, error: null, isLoading: key !== null })
  const [turn, setTurn] = useState(0)
  const refresh = useCallback(() => setTurn(one => one + 1), [])

  useEffect(() => {
    if (key === null) return
    const abort = new AbortController()
    let timer: number | undefined
    let isAsking = false
    setState(before => ({ key, value: before.key === key ? before.value : undefined, error: before.key === key ? before.error : null, isLoading: true }))
    const ask = async () => {
      if (isAsking) return // a tab that is seen again while it waits for a reply
      isAsking = true
      try {
        const value = await latest.current(abort.signal)
        if (!abort.signal.aborted) setState({ key, value, error: null, isLoading: false })
      } catch (error) {
        if (isAbort(error) || abort.signal.aborted) return
        setState(before => ({ key, value: before.key === key ? before.value : undefined, error, isLoading: false }))
      } finally {
        isAsking = false
      }
      later()
    }
    const later = () => {
      if (pollMs === undefined || abort.signal.aborted || document.hidden) return
      timer = window.setTimeout(() => { ask() }, pollMs)
    }
    const onVisible = () => {
      window.clearTimeout(timer)
      if (!document.hidden && pollMs !== undefined) ask()
    }
    ask()
    document.addEventListener('visibilitychange', onVisible)
    return () => {
      abort.abort()
      window.clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisible)
    }
  }, [key, pollMs, turn, latest])

  const isOld = state.key !== key
  return { value: isOld ? undefined : state.value, error: isOld ? null : state.error, isLoading: isOld ? key !== null : state.isLoading, refresh }
}

/** The newest of a value, for a listener that is set up once. */
export function useLatest<T> (value: T): { readonly current: T } {
  const ref = useRef(value)
  ref.current = value
  return ref
}
