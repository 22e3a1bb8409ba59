import { useCallback, useState } from 'preact/hooks'

/** A search that was run, and its range. */
export interface Past { readonly search: string, readonly earliest: string, readonly latest: string }

const KEPT_AS = 'hecate.searches'
export const MAX_PAST = 30

/** A longer search is not kept: browsers give a page 5 MB. */
const MAX_KEPT_TEXT = 20_000

/** The last searches that were run in this browser, newest first. They stay in it. */
export function usePastSearches () {
  const [list, setList] = useState(read)
  const keep = (searches: readonly Past[]): readonly Past[] => {
    try {
      localStorage.setItem(KEPT_AS, JSON.stringify(searches))
    } catch {
      // A browser that keeps nothing has them until the page is left.
    }
    return searches
  }
  const add = useCallback((one: Past) => {
    if (one.search.length > MAX_KEPT_TEXT) return
    setList(before => keep([one, ...before.filter(({ search, earliest, latest }) => search !== one.search || earliest !== one.earliest || latest !== one.latest)].slice(0, MAX_PAST)))
  }, [])
  const clear = useCallback(() => setList(keep([])), [])
  return { list, add, clear }
}

function read (): readonly Past[] {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT_AS) ?? '[]') as unknown
    return (Array.isArray(kept) ? kept as Partial<Record<keyof Past, unknown>>[] : [])
      .flatMap(({ search, earliest, latest }) => typeof search === 'string' && typeof earliest === 'string' && typeof latest === 'string' ? [{ search, earliest, latest }] : [])
      .slice(0, MAX_PAST)
  } catch {
    return []
  }
}
