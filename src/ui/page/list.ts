import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import type { PageOf } from './api-types.js'
import type { QueryOptions } from './query.js'
import { useQuery } from './query.js'
import { isAbort, useApi } from './api.js'

interface More<T> { readonly of: unknown, readonly rows: readonly T[], readonly cursor: string | null, readonly error: unknown, readonly isLoading: boolean }

/** A list by GET of a path below /api/v1, null asks nothing: its first page, and the next ones when `loadMore` asks for them. A first page that comes anew begins it anew. */
export function useList<T, P extends PageOf<T> = PageOf<T>> (path: string | null, { query = {}, ...options }: QueryOptions = {}) {
  const api = useApi()
  const { value: first, error, isLoading, refresh } = useQuery<P>(path, { query, ...options })
  const nothing: More<T> = { of: first, rows: [], cursor: first?.next_cursor ?? null, error: null, isLoading: false }
  const [state, setState] = useState(nothing)
  const more = state.of === first ? state : nothing
  const abort = useRef(new AbortController())
  useEffect(() => {
    abort.current = new AbortController()
    return () => abort.current.abort()
  }, [first])

  const loadMore = useCallback(async () => {
    if (path === null || more.cursor === null || more.isLoading) return
    const { signal } = abort.current
    setState({ ...more, error: null, isLoading: true })
    try {
      const { items, next_cursor: cursor } = await api.get<PageOf<T>>(path, { query: { ...query, count: null, cursor: more.cursor }, signal })
      if (!signal.aborted) setState({ of: first, rows: [...more.rows, ...items], cursor, error: null, isLoading: false })
    } catch (problem) {
      if (!isAbort(problem) && !signal.aborted) setState({ ...more, error: problem, isLoading: false })
    }
  }, [api, path, query, first, more])

  return {
    /** The reply with the first page, for what it says besides. */
    first,
    rows: [...first?.items ?? [], ...more.rows] as readonly T[],
    hasMore: more.cursor !== null,
    isLoadingMore: more.isLoading,
    error: error ?? more.error,
    isLoading,
    refresh,
    loadMore: () => { loadMore() },
  }
}
export type List<T> = Omit<ReturnType<typeof useList<T>>, 'first'>
