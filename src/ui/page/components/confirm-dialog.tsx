import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { messageOf } from '../api.js'
import { Dialog } from './dialog.js'

export interface ConfirmDialogProps {
  readonly title: string
  /** What the button says. */
  readonly action: string
  /** Closes the dialog itself when it is done; what it throws is shown. */
  readonly onConfirm: () => Promise<void>
  readonly onClose: () => void
  /** What it does, and whether it can be taken back. */
  readonly children: ComponentChildren
}

/** Asks before something that can't be taken back. */
export function ConfirmDialog ({ title, action, onConfirm, onClose, children }: ConfirmDialogProps) {
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<unknown>(null)
  const confirm = async () => {
    if (isBusy) return
    setBusy(true)
    setFailure(null)
    try {
      await onConfirm()
    } catch (error) {
      setBusy(false)
      setFailure(error)
    }
  }
  return (
    <Dialog
      title={title} onClose={onClose} onSubmit={() => { confirm() }}
      actions={<><button type='button' onClick={onClose}>Cancel</button><button type='submit' class='danger' disabled={isBusy}>{action}</button></>}
    >
      {children}
      {failure !== null && <p class='error-text pre-line' role='alert'>{messageOf(failure)}</p>}
    </Dialog>
  )
}
