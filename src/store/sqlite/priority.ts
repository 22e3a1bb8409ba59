import { readlinkSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'
import { basename } from 'node:path'

const STEPS = { near: constants.priority.PRIORITY_BELOW_NORMAL, far: constants.priority.PRIORITY_LOW }

/** Where there are not cores enough, who takes events goes first: this thread takes a little longer, and no sender waits for it. Linux alone gives a thread a priority of its own. */
export function goBehindOthers (how: keyof typeof STEPS): void {
  if (process.platform !== 'linux') return
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')))
    setPriority(thread, Math.min(constants.priority.PRIORITY_LOW, getPriority(thread) + STEPS[how]))
  } catch {} // a system without /proc, or one that forbids it
}
