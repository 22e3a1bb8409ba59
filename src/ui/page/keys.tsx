import type { ComponentChildren } from 'preact'
import { createContext } from 'preact'
import { useContext, useEffect, useMemo, useRef } from 'preact/hooks'
import { useLatest } from './query.js'

/** A key, or two after one another such as `g f`. */
export interface KeyBinding {
  readonly keys: string
  readonly label: string
  readonly run: () => void
}

interface KeyRegistry {
  readonly add: (group: string, bindings: () => readonly KeyBinding[]) => () => void
  /** Those in force, by the group that they were added under. */
  readonly all: () => ReadonlyMap<string, readonly KeyBinding[]>
}

const KeysContext = createContext<KeyRegistry | null>(null)

/** The second key of two has to come by then. */
const CHORD_MS = 1_500

/** Keys go to what is bound last; none while somebody types or a dialog is open. */
export function KeysProvider ({ children }: { children: ComponentChildren }) {
  const groups = useRef(new Map<symbol, { group: string, bindings: () => readonly KeyBinding[] }>())
  const registry = useMemo((): KeyRegistry => ({
    add (group, bindings) {
      const id = Symbol(group)
      groups.current.set(id, { group, bindings })
      return () => { groups.current.delete(id) }
    },
    all () {
      const found = new Map<string, KeyBinding[]>()
      for (const { group, bindings } of groups.current.values()) found.set(group, [...found.get(group) ?? [], ...bindings()])
      return found
    },
  }), [])

  useEffect(() => {
    let first = ''
    let firstMs = 0
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector('dialog[open]') !== null) return
      const bindings = [...registry.all().values()].flat().reverse()
      const chord = first !== '' && event.timeStamp - firstMs < CHORD_MS ? `${first} ${event.key}` : ''
      const bound = bindings.find(({ keys }) => keys === chord) ?? bindings.find(({ keys }) => keys === event.key)
      first = bound === undefined && bindings.some(({ keys }) => keys.startsWith(`${event.key} `)) ? event.key : ''
      firstMs = event.timeStamp
      if (bound === undefined) return
      // Enter and space on a control are that control's own.
      if ((event.key === 'Enter' || event.key === ' ') && (event.target as Element | null)?.closest?.('a, button, summary, [role=button]') != null) return
      event.preventDefault()
      bound.run()
    }
    document.addEventListener('keydown', onKey)
    return () => document.removeEventListener('keydown', onKey)
  }, [registry])
  return <KeysContext.Provider value={registry}>{children}</KeysContext.Provider>
}

/** Binds keys while the component is there. The help (`?`) shows them under `group`. */
export function useKeys (group: string, bindings: readonly KeyBinding[]): void {
  const registry = useContext(KeysContext)
  const latest = useLatest(bindings)
  useEffect(() => registry?.add(group, () => latest.current), [registry, group, latest])
}

export function useKeyRegistry (): KeyRegistry | null {
  return useContext(KeysContext)
}

function isTyping (target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input:not([type=checkbox]):not([type=radio]), textarea, select'))
}
