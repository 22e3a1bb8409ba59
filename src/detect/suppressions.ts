import { setImmediate } from 'node:timers/promises'
import { AppError } from '../errors.js'
import type { Value, Window } from '../event.js'
import type { Finding, FindingBody } from '../finding.js'
import { parseCondition } from '../spl/condition.js'
import { SplError } from '../spl/errors.js'
import { compilePredicate } from '../spl/stages/search.js'
import type { FindingStore, SuppressionOf } from '../store/control/findings.js'
import type { Suppression, SuppressionDeed, SuppressionSettings, SuppressionStore } from '../store/control/suppressions.js'

/** Every new finding is asked of each, on the thread that takes events. */
const MAX_KEPT = 500

/** Findings that a preview looks at. More are refused, not left out. */
const MAX_PREVIEWED = 50_000
const AT_A_TIME = 200

/** So many findings a preview shows of those that it counts. */
const MAX_SHOWN = 50

interface Compiled {
  readonly suppression: Suppression
  /** Null where the condition is none in this version. */
  readonly test: ((body: FindingBody) => boolean) | null
}

export interface SuppressionPreview {
  readonly checked: number
  readonly hidden: number
  readonly true_positives: number
  /** The newest of those that would have been hidden; true positives first. */
  readonly first: readonly Finding[]
}

/** What people have said that findings are to be hidden by. */
export function openSuppressions (store: SuppressionStore) {
  let kept = load()

  function load (): readonly Compiled[] {
    return store.kept().map(suppression => ({ suppression, test: compileKept(suppression) }))
  }

  /** Throws AppError `not_found`, and `conflict` where it was deleted. */
  function getKept (id: string): Suppression {
    const suppression = get(id)
    if (suppression.deleted_ms !== null) throw new AppError('conflict', 'the suppression was deleted')
    return suppression
  }

  function get (id: string): Suppression {
    const suppression = store.get(id)
    if (suppression === undefined) throw new AppError('not_found', 'there is no such suppression')
    return suppression
  }

  const suppressionOf: SuppressionOf = (body, nowMs) => {
    const found = kept.find(({ suppression: { detection_id: id, enabled, expires_ms: expiresMs }, test }) =>
      enabled === 1 && expiresMs > nowMs && (id === null || id === body.detection.id) && test?.(body) === true)
    if (found === undefined) return null
    store.hit(found.suppression.id, nowMs)
    return found.suppression.id
  }

  return {
    /** Of several that hide a finding, the one that was made first; it is counted there. */
    suppressionOf,
    get,
    list: store.list,
    count: store.count,
    history: store.history,
    /** Throws AppError: `invalid` for a condition that is none, `conflict` where there are too many. */
    add (id: string, settings: SuppressionSettings, deed: SuppressionDeed): Suppression {
      compile(settings.condition)
      if (kept.length >= MAX_KEPT) throw new AppError('conflict', `there are ${MAX_KEPT} suppressions already; delete some that have expired or are disabled`)
      store.add(id, settings, deed)
      kept = load()
      return get(id)
    },
    change (id: string, patch: Partial<SuppressionSettings>, deed: SuppressionDeed): Suppression {
      const before = getKept(id)
      const after = { ...before, ...patch }
      compile(after.condition)
      store.change(before, after, deed)
      kept = load()
      return get(id)
    },
    /** What it has hidden stays hidden. */
    remove (id: string, deed: SuppressionDeed): void {
      store.remove(getKept(id), deed)
      kept = load()
    },
    /** What it would have hidden of the findings that are shown. Throws AppError `invalid` for a condition that is none, and where there are too many findings. */
    async preview ({ detection_id: detection, condition }: Pick<SuppressionSettings, 'detection_id' | 'condition'>, window: Window, findings: FindingStore, signal: AbortSignal): Promise<SuppressionPreview> {
      const test = compile(condition)
      const places = await findings.places({ window, detection: detection === null ? undefined : [detection] }, '-time', MAX_PREVIEWED + 1)
      if (places.length > MAX_PREVIEWED) throw new AppError('invalid', `there are more than ${MAX_PREVIEWED} findings to look at; give a shorter time range`)
      const shown = { truePositives: [] as Finding[], others: [] as Finding[] }
      const counts = { checked: 0, hidden: 0, true_positives: 0 }
      for (let i = 0; i < places.length && !signal.aborted; i += AT_A_TIME) {
        for (const finding of findings.many(places.slice(i, i + AT_A_TIME).map(({ id }) => id))) {
          counts.checked++
          if (!test(finding)) continue
          counts.hidden++
          const isTrue = finding.disposition === 'true_positive'
          if (isTrue) counts.true_positives++
          const list = isTrue ? shown.truePositives : shown.others
          if (list.length < MAX_SHOWN) list.push(finding)
        }
        await setImmediate()
      }
      return { ...counts, first: [...shown.truePositives, ...shown.others].slice(0, MAX_SHOWN) }
    },
    /** What is wrong with a condition that an earlier version took; null where nothing is. */
    problemOf: ({ condition }: Suppression): string | null => problemOf(condition),
  }
}
export type Suppressions = ReturnType<typeof openSuppressions>

/** Throws AppError `invalid` with line and caret. */
function compile (condition: string): (body: Pick<FindingBody, 'result'>) => boolean {
  try {
    return compileCondition(condition)
  } catch (error) {
    if (error instanceof SplError) throw new AppError('invalid', error.message, { cause: error, errors: [{ pointer: '/condition', detail: error.detail }] })
    throw error
  }
}

/** A condition of the row, as `search` behind the detection's own search would have it. */
function compileCondition (condition: string): (body: Pick<FindingBody, 'result'>) => boolean {
  const test = compilePredicate(parseCondition(condition))
  return ({ result }) => {
    const row = result as Record<string, Value>
    return test(field => Object.hasOwn(row, field) ? row[field] : undefined)
  }
}

function compileKept ({ condition }: Suppression): Compiled['test'] {
  return problemOf(condition) === null ? compileCondition(condition) : null
}

function problemOf (condition: string): string | null {
  try {
    parseCondition(condition)
    return null
  } catch (error) {
    if (error instanceof SplError) return error.message
    throw error
  }
}
