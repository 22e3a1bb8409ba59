import type { ComponentChildren } from 'preact'
import type { QueryState } from '../query.js'
import { ErrorState, Loading } from './empty-state.js'

export interface Link { readonly to: string, readonly text: string }

/** A part of a page that has its own request: one that fails leaves the others. */
export function Card<T> ({ title, wide = false, state, link, actions, children }: { title: string, wide?: boolean, state: QueryState<T>, link?: Link, actions?: ComponentChildren, children: (value: T) => ComponentChildren }) {
  return (
    <Section title={title} wide={wide} actions={link === undefined ? actions : <a href={link.to}>{link.text}</a>}>
      {state.error !== null && <ErrorState error={state.error} onRetry={() => state.refresh()} />}
      {state.value !== undefined ? children(state.value) : state.error === null && <Loading />}
    </Section>
  )
}

/** A part of a page, with what can be done in its head. */
export function Section ({ title, wide = false, id, actions, children }: { title: string, wide?: boolean, id?: string, actions?: ComponentChildren, children: ComponentChildren }) {
  return (
    <section class={`card${wide ? ' wide' : ''}`} aria-label={title} {...id === undefined ? {} : { id }}>
      <header><h2>{title}</h2>{actions !== undefined && <div class='card-actions'>{actions}</div>}</header>
      {children}
    </section>
  )
}
