/** Where time comes from. The loop alone reads it; everything below gets slots and times as arguments. */
export interface Clock {
  /** Epoch milliseconds. */
  now (): number
  /** Resolves after `ms`, or at once when `signal` aborts. */
  sleep (ms: number, signal: AbortSignal): Promise<void>
}

/** The longest sleep: the clock may be set, or the machine may have been suspended. */
const MAX_SLEEP_MS = 30_000

export interface LoopDeps {
  readonly clock: Clock
  /** Does what is due at `nowMs` and gives the time of what is due next, which may be past. Must not throw. */
  readonly turn: (nowMs: number) => Promise<number>
  readonly signal: AbortSignal
}

/** Takes one turn after the other, each when something is due, until `signal` aborts; resolves when the turn under way has ended. */
export async function runLoop ({ clock, turn, signal }: LoopDeps): Promise<void> {
  while (!signal.aborted) {
    const nextMs = await turn(clock.now())
    const waitMs = Math.min(nextMs - clock.now(), MAX_SLEEP_MS)
    if (waitMs > 0) await clock.sleep(waitMs, signal)
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => new Promise(resolve => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  }),
}
