import { AppError } from '../errors.js'
import type { Finding, Workflow } from '../finding.js'
import type { FindingFilter } from '../store/control/finding-lists.js'
import { meets } from '../store/control/finding-lists.js'
import type { FindingLog, LoggedChange, LoggedKind, LogPlace } from '../store/control/finding-log.js'
import type { FindingWritten } from '../store/control/findings.js'

/** Who listens. It is written to in order, whole messages at a time. */
export interface Listener {
  readonly write: (bytes: Buffer) => void
  /** Bytes that were written and not taken yet. */
  readonly waiting: () => number
  /** Whether it may still listen. */
  readonly isAllowed: () => boolean
  /** Says goodbye. */
  readonly end: () => void
  /** Cuts the connection: it comes back, and goes on where it was. */
  readonly cut: () => void
}

export interface FindingStreamDeps {
  readonly log: FindingLog
  /** Every so often something is sent. */
  readonly heartbeatMs?: number
  /** Every so often it is asked whether listeners may still listen. */
  readonly askMs?: number
  readonly maxListeners?: number
  readonly maxWaiting?: number
}

/** While somebody catches up, it is looked so often whether he has taken the page before. */
const LOOK_MS = 20

/** What is kept for those who come back. */
export const LOG_BOUNDS = { changes: 10_000, bytes: 64 << 20, ageMs: 7 * 86_400_000 }

export const MAX_LISTENERS = 100
/** Proxies cut what is silent for 30 s or 60 s. */
const HEARTBEAT_MS = 15_000
/** A key that is revoked is to be of no use within a second. */
const ASK_MS = 1_000
/** A listener that is so far behind is cut off. The largest findings have 1 MB. */
const MAX_WAITING = 4 << 20

/** When to come back after the connection was lost. */
const RETRY_MS = 3_000

/** So much of the log is read at a time: some 10 ms of the thread that takes events. */
const PAGE = 200
const PAGE_BYTES = 1 << 20

/** What was written of a finding → what is told of it. */
const TOLD: Readonly<Record<Parameters<FindingWritten>[1]['what'], LoggedKind>> = {
  created: 'created', throttled: 'created', suppressed: 'created', revised: 'revised', gone: 'gone', ended: 'gone', changed: 'changed', commented: 'changed',
}

/** Somebody who listens, and how far he has heard. */
interface Subscriber {
  readonly filter: FindingFilter
  readonly to: Listener
  at: LogPlace
  /** Of a heartbeat ago. */
  waited: number
  /** Reads the log by himself until he has come to its end. */
  isBehind: boolean
}

/** Tells those who listen what becomes of findings: the log is read once for all who are at its end. */
export function openFindingStream ({ log, heartbeatMs = HEARTBEAT_MS, askMs = ASK_MS, maxListeners = MAX_LISTENERS, maxWaiting = MAX_WAITING }: FindingStreamDeps) {
  const subscribers = new Set<Subscriber>()
  let isDue = false
  let isClosed = false
  /** Everybody who is not behind has heard up to here. */
  let heard: LogPlace = log.newest()
  const beat = every(heartbeatMs, () => { for (const one of subscribers) heartbeat(one) })
  const ask = every(askMs, () => { for (const one of subscribers) if (!one.to.isAllowed()) leave(one, 'end') })

  function leave (one: Subscriber, how: 'end' | 'cut' | null): void {
    if (!subscribers.delete(one)) return
    if (how !== null) one.to[how]()
    if (subscribers.size > 0) return
    beat.stop()
    ask.stop()
  }

  /** The id goes with it, so that who is told little doesn't fall out of the log. Who has taken nothing since the last one is gone. */
  function heartbeat (one: Subscriber): void {
    const waiting = one.to.waiting()
    if (waiting > 0 && waiting >= one.waited && one.waited > 0) return leave(one, 'cut')
    one.waited = waiting
    one.to.write(Buffer.from(`: still here\nid: ${toId(one.at)}\n\n`))
  }

  function wake (): void {
    if (isDue || subscribers.size === 0) return
    isDue = true
    setImmediate(pump) // after the transaction
  }

  /** Tells everybody who is at the end of the log what is new, one page in a turn. */
  function pump (): void {
    isDue = false
    if (![...subscribers].some(({ isBehind }) => !isBehind)) return
    const page = log.after(heard, PAGE, PAGE_BYTES)
    const messages = page.map(toMessage)
    for (const one of subscribers) if (!one.isBehind) for (const message of messages) tell(one, message)
    if (page.length === 0) return
    heard = page.at(-1)!
    wake()
  }

  function tell (one: Subscriber, { place, bytes, passes }: Message): void {
    if (!subscribers.has(one) || place.number <= one.at.number) return
    one.at = place
    if (!passes(one.filter)) return
    one.to.write(bytes)
    if (one.to.waiting() > maxWaiting) leave(one, 'cut')
  }

  /** What somebody has missed, a page when he has taken the one before. */
  function catchUp (one: Subscriber): void {
    if (!subscribers.has(one)) return
    if (one.to.waiting() > 0) {
      setTimeout(() => catchUp(one), LOOK_MS).unref()
      return
    }
    if (!log.reaches(one.at)) reset(one) // he was slower than the log
    const page = log.after(one.at, PAGE, PAGE_BYTES)
    for (const message of page.map(toMessage)) tell(one, message)
    if (page.length > 0) {
      setImmediate(() => catchUp(one))
      return
    }
    if (![...subscribers].some(other => !other.isBehind)) heard = one.at
    one.isBehind = false
  }

  function reset (one: Subscriber): void {
    one.at = log.newest()
    one.to.write(Buffer.from(`id: ${toId(one.at)}\nevent: reset\ndata: {"reason":"what came behind the last id is not kept any more: list again"}\n\n`))
  }

  return {
    /** Writes down what became of a finding; in the transaction that wrote the finding. */
    keep: ((finding, { what, nowMs, before }) => {
      log.add({ at_ms: nowMs, what: TOLD[what], before: before === undefined ? null : JSON.stringify(before), finding: JSON.stringify(finding) })
      wake()
    }) satisfies FindingWritten,
    /**
     * Tells somebody of what becomes of findings that meet a filter: behind the message with an id, where one is given, else from now on. An id that the log
     * has not is answered by `reset`. Throws AppError `unavailable` where too many listen.
     */
    subscribe (filter: FindingFilter, lastId: string | undefined, to: Listener): { readonly left: () => void } {
      if (isClosed) throw new AppError('unavailable', 'the server is shutting down')
      if (subscribers.size >= maxListeners) throw new AppError('unavailable', `${maxListeners} clients listen already, which is as many as may`)
      const from = lastId === undefined ? log.newest() : readId(lastId)
      const one: Subscriber = { filter, to, at: from ?? log.newest(), waited: 0, isBehind: true }
      subscribers.add(one)
      beat.start()
      ask.start()
      to.write(Buffer.from(`retry: ${RETRY_MS}\nid: ${toId(one.at)}\n\n`))
      if (from === null || !log.reaches(from)) reset(one)
      setImmediate(() => catchUp(one))
      return { left: () => leave(one, null) }
    },
    count: (): number => subscribers.size,
    /** Ends all streams; no more are begun. */
    close (): void {
      isClosed = true
      for (const one of subscribers) leave(one, 'end')
    },
    /** Removes what has become too old to be told again. */
    forget: log.trim,
  }
}
export type FindingStream = ReturnType<typeof openFindingStream>

interface Message {
  readonly place: LogPlace
  readonly bytes: Buffer
  /** Whether the finding meets a filter, or met it before somebody changed it. */
  readonly passes: (filter: FindingFilter) => boolean
}

function toMessage ({ number, at_ms: atMs, what, before, finding: json }: LoggedChange): Message {
  const place = { number, at_ms: atMs }
  const finding = JSON.parse(json) as Finding
  const earlier = before === null ? null : { ...finding, ...JSON.parse(before) as Workflow }
  return {
    place,
    bytes: Buffer.from(`id: ${toId(place)}\nevent: ${what}\ndata: ${json}\n\n`), // one for all who get it
    passes: filter => meets(finding, filter) || (earlier !== null && meets(earlier, filter)),
  }
}

/** Opaque to clients. Padded, so that it grows as text too. */
function toId ({ number, at_ms: atMs }: LogPlace): string {
  return `${String(number).padStart(12, '0')}-${atMs.toString(36)}`
}

/** Null where it is none. */
function readId (text: string): LogPlace | null {
  const [, number, atMs] = /^(\d{12,15})-([0-9a-z]{1,10})$/.exec(text) ?? []
  return number === undefined || atMs === undefined ? null : { number: Number(number), at_ms: Number.parseInt(atMs, 36) }
}

/** A timer that holds no process up. */
function every (ms: number, work: () => void) {
  let timer: NodeJS.Timeout | null = null
  return {
    start (): void { timer ??= setInterval(work, ms).unref() },
    stop (): void {
      if (timer !== null) clearInterval(timer)
      timer = null
    },
  }
}
