import cliProgress from 'cli-progress'
import type { Output } from './command.js'

/** How far work is, for whoever watches a terminal; nothing is shown elsewhere. */
export interface Progress {
  /** Begins a part of the work; the one before is done. `total` is null where nobody knows it. */
  readonly begin: (what: string, total: number | null) => void
  readonly at: (value: number, text: string) => void
  /** Makes room for a line; the bar comes back with the next value. */
  readonly pause: () => void
  /** Takes the bar away. */
  readonly end: () => void
}

/** A bar on stderr where that is a terminal. */
export function openProgress (stderr: Output): Progress {
  if (!stderr.isTTY) return { begin: () => {}, at: () => {}, pause: () => {}, end: () => {} }
  let bar: cliProgress.SingleBar | null = null
  const end = () => {
    bar?.stop()
    bar = null
  }
  return {
    begin (what, total) {
      end()
      const format = total === null ? `${what}  {text}` : `${what} {bar} {percentage} %  {text}`
      bar = new cliProgress.SingleBar({ stream: stderr, format, barsize: 30, clearOnComplete: true, hideCursor: true, linewrap: false }, cliProgress.Presets.shades_classic)
      bar.start(total ?? 1, 0, { text: '' })
    },
    at: (value, text) => { bar?.update(value, { text }) },
    pause: () => { if (bar !== null) stderr.write('\r\u001b[K') },
    end,
  }
}
