import { setImmediate } from 'node:timers/promises'
import type { NotifyTarget } from '../config.js'
import { AppError } from '../errors.js'
import type { Finding } from '../finding.js'
import type { FindingWritten } from '../store/control/findings.js'
import type { Delivery, DeliveryFilter, OutboxStore, PendingDelivery } from '../store/control/outbox.js'
import { passes, toNoticeKind } from './filter.js'
import type { Answer } from './post.js'
import { toTestMessage } from './message.js'
import { MAX_RETRY_AFTER_MS, openBucket, pauseMs, retryAfterMs } from './pace.js'
import type { OpenTarget } from './targets.js'

export interface DeliveriesDeps {
  readonly targets: readonly OpenTarget[]
  readonly outbox: OutboxStore
  readonly newId: () => string
  /** 0 to 1. */
  readonly random: () => number
  readonly signal: AbortSignal
  readonly report: {
    /** A try ended. */
    readonly tried: (target: string, outcome: 'sent' | 'failed') => void
    /** The first failure after a success, or after the start. */
    readonly failing: (target: string, reason: string) => void
    /** The first success after failures. */
    readonly working: (target: string, failures: number) => void
    readonly gaveUp: (delivery: Delivery, reason: string) => void
  }
}

/** How a target is: what is not in the outbox. It begins anew with each start. */
export interface TargetState {
  /** In a row. */
  readonly failures: number
  readonly failingSinceMs: number | null
  readonly lastSentMs: number | null
  readonly lastError: string | null
}

/** A target as it stands; one that the configuration has no more has only what is left in the outbox. */
export interface TargetView extends TargetState {
  readonly name: string
  readonly settings: NotifyTarget | null
  readonly pending: number
  readonly dead: number
  readonly oldestPendingMs: number | null
}

/** How a try went; `answer` is null where there was none. */
export interface Attempt { readonly answer: Answer | null, readonly error: string | null }

/** How often the outbox is looked at for a target. */
const LOOK_MS = 1_000

const DAY_MS = 86_400_000

/** How long what was delivered can be seen, and what was given up re-sent. */
export const KEPT_DAYS = { delivered: 7, dead: 30 } as const

/** So many rows are removed at a time: HEC is answered between. */
export const AT_A_TIME = 1_000

/** Tells targets of findings: at least once, to each in order, one at a time. */
export function openDeliveries ({ targets, outbox, newId, random, signal, report }: DeliveriesDeps) {
  const queues = new Map(targets.map(target => [target.settings.name, openQueue(target)]))

  function openQueue (target: OpenTarget) {
    const { settings: { name, give_up_after: giveUpAfterMs, max_tries: maxTries = Infinity, max_per_minute: perMinute }, build } = target
    const bucket = openBucket(perMinute)
    let state: TargetState = { failures: 0, failingSinceMs: null, lastSentMs: null, lastError: null }
    /** After a failure nothing is sent before, whichever is the next. */
    let notBeforeMs = 0
    let lastTurnMs = -Infinity
    /** Since the last try: what it said of the next is by another clock. */
    let isSetBack = false

    /** How long the last failure asks to wait. A pause longer than any is of a clock that was ahead, and nobody is to wait until it is right. */
    function pauseLeftMs (head: PendingDelivery, nowMs: number): number {
      isSetBack ||= nowMs < lastTurnMs
      lastTurnMs = nowMs
      const leftMs = Math.max(head.next_try_ms, notBeforeMs) - nowMs
      return isSetBack || leftMs > MAX_RETRY_AFTER_MS ? 0 : leftMs
    }

    function succeeded (delivery: Delivery, status: number | null, nowMs: number): void {
      outbox.succeed(delivery.id, status, nowMs)
      report.tried(name, 'sent')
      if (state.failures > 0) report.working(name, state.failures)
      state = { failures: 0, failingSinceMs: null, lastSentMs: nowMs, lastError: null }
    }

    function failed (delivery: Delivery, { answer, error }: Attempt, nowMs: number): void {
      const reason = error ?? ''
      state = { ...state, failures: state.failures + 1, failingSinceMs: state.failingSinceMs ?? nowMs, lastError: reason }
      notBeforeMs = nowMs + Math.max(pauseMs(Math.max(state.failures, delivery.tries + 1), random), retryAfterMs(answer?.retryAfter ?? null, nowMs))
      const outcome = { status: answer?.status ?? null, error: reason }
      const isLast = delivery.tries + 1 >= maxTries || nowMs - delivery.since_ms >= giveUpAfterMs
      if (isLast) outbox.giveUp(delivery.id, outcome, nowMs)
      else outbox.fail(delivery.id, outcome, notBeforeMs)
      report.tried(name, 'failed')
      if (state.failures === 1) report.failing(name, reason)
      if (isLast) report.gaveUp(delivery, reason)
    }

    return {
      target,
      state: (): TargetState => state,
      /** Lets the next try be at once. */
      hurry (): void { notBeforeMs = 0 },
      /** Tries the next delivery if it is due; gives when to look again. `now` is asked when the answer has come. */
      async turn (nowMs: number, now: () => number): Promise<number> {
        const head = outbox.head(name)
        if (head === undefined) return nowMs + LOOK_MS
        const dueMs = nowMs + Math.max(pauseLeftMs(head, nowMs), bucket.waitMs(nowMs))
        if (dueMs > nowMs) return Math.min(dueMs, nowMs + LOOK_MS) // somebody may re-send or drop something meanwhile
        const request = build(toMessage(head), nowMs)
        if (request === null) {
          outbox.succeed(head.id, null, nowMs)
          await setImmediate() // there may be thousands of these in a row
          return nowMs
        }
        bucket.take()
        isSetBack = false
        await outbox.onDisk()
        const attempt = await tryTo(target, request, signal)
        if (attempt.answer === null && signal.aborted) return nowMs // it was cut off, and is sent after the next start
        if (attempt.error === null) succeeded(head, attempt.answer!.status, now())
        else failed(head, attempt, now())
        return now()
      },
    }
  }

  function queueOf (name: string): ReturnType<typeof openQueue> {
    const queue = queues.get(name)
    if (queue === undefined) throw new AppError('not_found', 'the configuration has no such target')
    return queue
  }

  function get (id: string): Delivery {
    const delivery = outbox.get(id)
    if (delivery === undefined) throw new AppError('not_found', 'there is no such delivery')
    return delivery
  }

  return {
    /** Writes down who is to be told of a finding; in the transaction that wrote the finding. */
    keep: ((finding, { what, nowMs }) => {
      const told = toNoticeKind(finding, what)
      if (told === null) return
      const to = targets.filter(({ settings }) => passes(finding, told, settings.filter))
      if (to.length === 0) return
      outbox.add(
        { finding_id: finding.id, revision: finding.revision, what: told, written_ms: nowMs, finding: JSON.stringify(finding) },
        to.map(({ settings }) => ({ id: newId(), target: settings.name })),
      )
    }) satisfies FindingWritten,
    /** The targets of the configuration. */
    names: (): string[] => [...queues.keys()],
    /** A turn of one target's loop. */
    turn: (name: string, nowMs: number, now: () => number): Promise<number> => queueOf(name).turn(nowMs, now),
    /** Removes some of what was delivered or given up long ago; says whether there may be more. */
    forget (nowMs: number): boolean {
      const counts = (['delivered', 'dead'] as const).map(state => outbox.forgetSome(state, nowMs - KEPT_DAYS[state] * DAY_MS, AT_A_TIME))
      return Math.max(...counts) === AT_A_TIME
    },
    list: (filter: DeliveryFilter, limit: number, before?: number): Delivery[] => outbox.list(filter, limit, before),
    count: (filter: DeliveryFilter): number => outbox.count(filter),
    /** Throws AppError `not_found`. */
    get,
    /** Lets a dead one wait again, in its old place. Throws AppError `not_found`, `conflict` where it is not dead. */
    resend (id: string, nowMs: number): Delivery {
      const { target, state } = get(id)
      if (!outbox.resend(id, nowMs)) throw new AppError('conflict', `the delivery is ${state}; only a dead one can be sent again`)
      queues.get(target)?.hurry()
      return get(id)
    },
    /** So do all dead ones of a target of the configuration; gives how many. Throws AppError `not_found`. */
    async resendAll (name: string, nowMs: number): Promise<number> {
      const queue = queueOf(name)
      let count = 0
      for (let after = 0; ;) {
        const numbers = outbox.resendSome(name, nowMs, after, AT_A_TIME)
        count += numbers.length
        queue.hurry()
        if (numbers.length < AT_A_TIME) return count
        after = Math.max(...numbers) // one that has died again meanwhile is not sent once more
        await setImmediate()
      }
    },
    /** Removes one that waits or is dead. Throws AppError `not_found`, `conflict` where it is delivered. */
    drop (id: string): void {
      get(id)
      if (!outbox.drop(id)) throw new AppError('conflict', 'the delivery is delivered, and goes by itself')
    },
    /** Removes some of what waits for a target, or is dead; gives how many. The target may be one that the configuration has no more. */
    dropSome: (name: string, state: 'pending' | 'dead'): number => outbox.dropSome(name, state, AT_A_TIME),
    /** The targets of the configuration, and those for which something is left, by name. */
    targets (): TargetView[] {
      const counts = new Map(outbox.counts().map(one => [one.target, one]))
      return [...new Set([...queues.keys(), ...counts.keys()])].sort().map(name => {
        const queue = queues.get(name)
        const { pending = 0, dead = 0, oldest_pending_ms: oldestPendingMs = null } = counts.get(name) ?? {}
        return { failures: 0, failingSinceMs: null, lastSentMs: null, lastError: null, ...queue?.state(), name, settings: queue?.target.settings ?? null, pending, dead, oldestPendingMs }
      })
    },
    /** Sends a message that says that it is a test, beside all that waits. Throws AppError `not_found`. */
    async test (name: string, nowMs: number): Promise<Attempt> {
      const { target } = queueOf(name)
      return tryTo(target, target.build(toTestMessage(newId(), nowMs), nowMs)!, signal)
    },
  }
}
export type Deliveries = ReturnType<typeof openDeliveries>

function toMessage ({ id, what, written_ms: writtenMs, finding }: PendingDelivery) {
  return { id, what, writtenMs, finding: JSON.parse(finding) as Finding }
}

/** Any status but 2xx is a failure, a redirect too. */
async function tryTo ({ post }: OpenTarget, request: Parameters<OpenTarget['post']>[0], signal: AbortSignal): Promise<Attempt> {
  try {
    const answer = await post(request, signal)
    const isGood = answer.status >= 200 && answer.status < 300
    return { answer, error: isGood ? null : `answered ${answer.status}${answer.text === '' ? '' : `: ${answer.text}`}` }
  } catch (error) {
    return { answer: null, error: (error as Error).message }
  }
}
