import type { AuditActor, AuditStore } from './store/control/audit.js'

/** What an action was of, and what it made of it. Never a secret. */
export interface AuditDetail {
  /** Of the target. */
  readonly id?: string | null
  readonly before?: object
  readonly after?: object
}

export interface AuditedAction extends AuditActor {
  /** Noun and verb, such as `token.add`. */
  readonly action: string
  readonly request_id: string | null
  readonly address: string | null
}

/** A summary that is longer is cut. */
const MAX_SUMMARY = 4_000

/** Refused keys of one address and reason are one entry for so long. */
const REFUSED_MS = 600_000

/** Of further addresses all are one entry. */
const MAX_ADDRESSES = 100

interface Refused { readonly number: number, count: number, last_ms: number }

/** Says who changed what, and whose key was refused. */
export function openAudit ({ store, now }: { readonly store: AuditStore, readonly now: () => number }) {
  /** Entries of refused keys, by address and reason, since `refusedSinceMs`. `count` is what they stand for beyond what is written down. */
  let refused = new Map<string, Refused>()
  let refusedSinceMs = -Infinity

  function begin ({ by, role, how, action, request_id: requestId, address }: AuditedAction, id: string | null): number {
    return store.add({
      by, role, how, action, request_id: requestId, address, at_ms: now(), target_type: action.split('.')[0]!, target_id: id, outcome: 'begun', before: null, after: null,
    })
  }

  function finish (number: number, outcome: 'done' | 'failed', id: string | null, { before, after }: AuditDetail): void {
    const [was, is] = before === undefined || after === undefined ? [before, after] : differing(before, after)
    store.finish({ number, outcome, target_id: id, before: toSummary(was), after: toSummary(is) })
  }

  function flush (): void {
    store.count([...refused.values()].filter(({ count }) => count > 0))
    for (const one of refused.values()) one.count = 0
  }

  return {
    /** Writes down that an action begins, before anything of it is done; gives the number by which `finish` and `withdraw` say what came of it. */
    begin,
    finish,
    /** Nothing was changed after all. */
    withdraw: (number: number): void => { store.remove(number) },
    /** Runs a change and writes it down, in one transaction. What `detail` gives may be what the change has given. */
    record<T> (action: AuditedAction, work: () => T, detail: (result: T) => AuditDetail): T {
      return store.write(() => {
        const result = work()
        const said = detail(result)
        finish(begin(action, said.id ?? null), 'done', said.id ?? null, said)
        return result
      })
    },
    /** A key was not taken. The first of an address is written down at once, what follows is counted there: a flood makes no flood of entries. */
    refusedKey (address: string, reason: string, requestId: string): void {
      const nowMs = now()
      if (nowMs - refusedSinceMs >= REFUSED_MS) {
        flush()
        refused = new Map()
        refusedSinceMs = nowMs
      }
      const isKnown = refused.has(`${address} ${reason}`) || refused.size < MAX_ADDRESSES
      const place = isKnown ? `${address} ${reason}` : `others ${reason}`
      const one = refused.get(place)
      if (one === undefined) {
        const number = store.add({
          by: null, role: null, how: null, at_ms: nowMs, action: 'login.refuse', target_type: 'login', target_id: null, outcome: 'refused',
          before: null, after: JSON.stringify({ reason }), request_id: isKnown ? requestId : null, address: isKnown ? address : null,
        })
        refused.set(place, { number, count: 0, last_ms: nowMs })
      } else {
        one.count++
        one.last_ms = nowMs
      }
    },
    /** Writes down what came together of refused keys; what can't be written stays counted, and the error is thrown. */
    flush,
    list: store.list,
    total: store.total,
  }
}
export type Audit = ReturnType<typeof openAudit>

/** The members in which they differ. */
function differing (before: object, after: object): [object, object] {
  const isSame = ([name, value]: [string, unknown], other: object) => JSON.stringify(value) === JSON.stringify((other as Record<string, unknown>)[name])
  const only = (one: object, other: object) => Object.fromEntries(Object.entries(one).filter(member => !isSame(member as [string, unknown], other)))
  return [only(before, after), only(after, before)]
}

function toSummary (value: object | undefined): string | null {
  if (value === undefined) return null
  const text = JSON.stringify(value)
  return text.length <= MAX_SUMMARY ? text : JSON.stringify({ cut: text.slice(0, MAX_SUMMARY / 2) })
}
