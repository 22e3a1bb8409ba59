import type { ComponentChildren } from 'preact'
import { createContext } from 'preact'
import { useCallback, useContext, useMemo, useRef, useState } from 'preact/hooks'
import { isAbort, messageOf } from '../api.js'

interface Toast { readonly id: number, readonly text: string, readonly tone: 'good' | 'bad' }
interface Toasts {
  readonly tell: (text: string) => void
  /** What went wrong; of an aborted request nothing is told. */
  readonly fail: (error: unknown) => void
}

const ToastContext = createContext<Toasts>({ tell: () => {}, fail: () => {} })
export const useToast = (): Toasts => useContext(ToastContext)

const SHOWN_MS = 6_000
const MAX_SHOWN = 4

/** Short words about what was done. Errors stay until they are closed. */
export function ToastProvider ({ children }: { children: ComponentChildren }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([])
  const lastId = useRef(0)
  const close = useCallback((id: number) => setToasts(before => before.filter(one => one.id !== id)), [])
  const add = useCallback((text: string, tone: Toast['tone']) => {
    const id = ++lastId.current
    setToasts(before => [...before.slice(1 - MAX_SHOWN), { id, text, tone }])
    if (tone === 'good') setTimeout(() => close(id), SHOWN_MS)
  }, [close])
  const value = useMemo((): Toasts => ({ tell: text => add(text, 'good'), fail: error => { if (!isAbort(error)) add(messageOf(error), 'bad') } }), [add])
  return (
    <ToastContext.Provider value={value}>
      {children}
      <div class='toasts' role='status' aria-live='polite'>
        {toasts.map(({ id, text, tone }) => (
          <div key={id} class={`toast ${tone}`}>
            <span>{tone === 'bad' && <b>Error: </b>}{text}</span>
            <button type='button' class='quiet icon' aria-label='Dismiss' onClick={() => close(id)}>✕</button>
          </div>
        ))}
      </div>
    </ToastContext.Provider>
  )
}
