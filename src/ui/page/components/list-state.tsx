import type { ComponentChildren } from 'preact'
import type { List } from '../list.js'
import { ErrorState, Loading } from './empty-state.js'

/** What is around a list's rows: what went wrong, that it is being loaded, what to show where there are none, and the way to more. */
export function ListState<T> ({ list, empty, children }: { list: List<T>, empty: ComponentChildren, children: ComponentChildren }) {
  return (
    <>
      {list.error !== null && <ErrorState error={list.error} onRetry={() => list.refresh()} />}
      {list.rows.length > 0 ? children : list.error === null && (list.isLoading ? <Loading /> : empty)}
      {list.hasMore && <p class='list-foot'><button type='button' disabled={list.isLoadingMore} onClick={() => list.loadMore()}>{list.isLoadingMore ? 'Loading…' : 'Show more'}</button></p>}
    </>
  )
}
