import type { ComponentChildren } from 'preact'

/** How far something is, with what there is to say of it. */
export function Progress ({ label, done, total, children }: { label: string, done: number, total: number, children?: ComponentChildren }) {
  const percent = total === 0 ? 100 : Math.min(100, 100 * done / total)
  return (
    <div class='progress'>
      <div class='progress-bar' role='progressbar' aria-label={label} aria-valuemin={0} aria-valuemax={total} aria-valuenow={done}><span style={{ width: `${percent}%` }} /></div>
      <span class='number'>{done.toLocaleString('en')} of {total.toLocaleString('en')}</span>
      {children}
    </div>
  )
}
