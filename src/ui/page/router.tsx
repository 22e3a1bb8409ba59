import type { ComponentChildren } from 'preact'
import { createContext } from 'preact'
import { useCallback, useContext, useEffect, useMemo, useState } from 'preact/hooks'

/** push: back leads to what was before; replace: it does not. */
export type HistoryMode = 'push' | 'replace'

export interface Router {
  readonly path: string
  /** The state of a page is in here: filters, order, what is chosen. */
  readonly query: URLSearchParams
  readonly go: (url: string, mode?: HistoryMode) => void
  /** Sets members of the query, and leaves the others; null and [] take one out. */
  readonly setQuery: (changes: Readonly<Record<string, string | readonly string[] | null>>, mode?: HistoryMode) => void
}

const RouterContext = createContext<Router | null>(null)

export function useRouter (): Router {
  return useContext(RouterContext)!
}

/** Follows the address: links inside the page change it without loading, which the history API tells. */
export function RouterProvider ({ children }: { children: ComponentChildren }) {
  const [url, setUrl] = useState(() => location.pathname + location.search)
  const go = useCallback((to: string, mode: HistoryMode = 'push') => {
    const next = new URL(to, location.href)
    const isElsewhere = next.pathname !== location.pathname
    if (mode === 'push' && next.href !== location.href) history.pushState(null, '', next)
    else history.replaceState(history.state, '', next)
    setUrl(next.pathname + next.search)
    if (isElsewhere) window.scrollTo(0, 0)
  }, [])

  useEffect(() => {
    const onPop = () => setUrl(location.pathname + location.search)
    const onClick = (event: MouseEvent) => {
      const link = (event.target as Element | null)?.closest?.('a[href]')
      if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
      const isOurs = link.origin === location.origin && !link.pathname.startsWith('/api/') && link.target === '' && !link.hasAttribute('download')
      if (!isOurs || (link.hash !== '' && link.pathname === location.pathname)) return
      event.preventDefault()
      go(link.href)
    }
    window.addEventListener('popstate', onPop)
    document.addEventListener('click', onClick)
    return () => {
      window.removeEventListener('popstate', onPop)
      document.removeEventListener('click', onClick)
    }
  }, [go])

  const router = useMemo((): Router => {
    const { pathname, searchParams } = new URL(url, location.href)
    return {
      path: pathname.length > 1 ? pathname.replace(/\/+$/, '') : pathname,
      query: searchParams,
      go,
      setQuery (changes, mode = 'push') {
        const query = new URLSearchParams(location.search)
        for (const [name, value] of Object.entries(changes)) {
          query.delete(name)
          for (const one of value === null ? [] : [value].flat() as string[]) query.append(name, one)
        }
        const text = query.toString()
        go(`${location.pathname}${text === '' ? '' : `?${text}`}`, mode)
      },
    }
  }, [url, go])
  return <RouterContext.Provider value={router}>{children}</RouterContext.Provider>
}

/** What a pattern's `:names` are in a path, decoded; null where it is another path. */
export function matchPath (pattern: string, path: string): Readonly<Record<string, string>> | null {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [n, segment] of wanted.entries()) {
    const text = given[n]!
    if (!segment.startsWith(':')) {
      if (segment !== text) return null
      continue
    }
    try {
      params[segment.slice(1)] = decodeURIComponent(text)
    } catch {
      return null
    }
  }
  return params
}

/** The query as text: what pages hand to the API. */
export function toQuery (query: URLSearchParams, names: readonly string[]): Record<string, readonly string[]> {
  return Object.fromEntries(names.map(name => [name, query.getAll(name)] as const).filter(([, values]) => values.length > 0))
}
