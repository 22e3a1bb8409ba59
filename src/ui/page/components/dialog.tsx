import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'

export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  /** Makes it a form: enter in a field submits. */
  readonly onSubmit?: () => void
  /** Buttons at the foot. */
  readonly actions?: ComponentChildren
  readonly size?: 'small' | 'large'
  readonly children: ComponentChildren
}

/** A modal: the browser keeps the focus in it and gives it back; escape closes. */
export function Dialog ({ title, onClose, onSubmit, actions, size = 'small', children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const dialog = ref.current!
    const before = document.activeElement
    if (!dialog.open) dialog.showModal()
    // The browser begins at the first button, which closes: what is to be filled in is more likely what is wanted.
    if (document.activeElement?.closest('.dialog-frame > header') !== null) dialog.querySelector<HTMLElement>('.dialog-body :is(input, select, textarea)')?.focus()
    return () => {
      dialog.close()
      if (before instanceof HTMLElement && before.isConnected) before.focus()
    }
  }, [])
  const content = (
    <>
      <header>
        <h2 id={titleId}>{title}</h2>
        <button type='button' class='quiet icon' aria-label='Close' onClick={onClose}>✕</button>
      </header>
      <div class='dialog-body'>{children}</div>
      {actions !== undefined && <footer>{actions}</footer>}
    </>
  )
  return (
    <dialog
      ref={ref} class={size} aria-labelledby={titleId}
      onCancel={event => { event.preventDefault(); onClose() }}
      onClick={event => { if (event.target === ref.current) onClose() }}
    >
      {onSubmit === undefined
        ? <div class='dialog-frame'>{content}</div>
        : <form class='dialog-frame' onSubmit={event => { event.preventDefault(); onSubmit() }}>{content}</form>}
    </dialog>
  )
}
