import type { ComponentChildren } from 'preact'
import { messageOf } from '../api.js'

/** Says why there is nothing, and what to do about it. */
export function EmptyState ({ title, children }: { title: string, children?: ComponentChildren }) {
  return <div class='empty'><p class='empty-title'>{title}</p>{children !== undefined && <div>{children}</div>}</div>
}

/** What the API says, with a way to ask again. */
export function ErrorState ({ error, onRetry }: { error: unknown, onRetry?: () => void }) {
  return (
    <div class='error-state' role='alert'>
      <p><b>That did not work.</b></p>
      <p class='pre-line'>{messageOf(error)}</p>
      {onRetry !== undefined && <button type='button' onClick={onRetry}>Try again</button>}
    </div>
  )
}

export function Loading ({ what = 'Loading' }: { what?: string }) {
  return <p class='loading' role='status'>{what}…</p>
}
