import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
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
  const [state, setState] = useState<{ url: string | null, value: T | undefined, error: unknown, isLoading: boolean }>({ url, value: undefined, error: null, isLoading: url !== null })
  const [turn, setTurn] = useState(0)
  const refresh = useCallback(() => setTurn(one => one + 1), [])

  useEffect(() => {
    if (url === null) return
    const abort = new AbortController()
    let timer: number | undefined
    let isAsking = false
    setState(before => ({ url, value: before.url === url ? before.value : undefined, error: before.url === url ? before.error : null, isLoading: true }))
    const ask = async () => {
      if (isAsking) return // a tab that is seen again while it waits for a reply
      isAsking = true
      try {
        const value = await api.get<T>(url, { signal: abort.signal })
        if (!abort.signal.aborted) setState({ url, value, error: null, isLoading: false })
      } catch (error) {
        if (isAbort(error) || abort.signal.aborted) return
        setState(before => ({ url, value: before.url === url ? before.value : undefined, error, isLoading: false }))
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
  }, [url, pollMs, turn, api])

  const isOld = state.url !== url
  return { value: isOld ? undefined : state.value, error: isOld ? null : state.error, isLoading: isOld ? url !== null : state.isLoading, refresh }
}

/** The newest of a value, for a listener that is set up once. */
export function useLatest<T> (value: T): { readonly current: T } {
  const ref = useRef(value)
  ref.current = value
  return ref
}
