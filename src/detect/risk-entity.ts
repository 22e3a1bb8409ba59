import { createHash } from 'node:crypto'
import type { Value } from '../event.js'
import type { Finding, RiskObjectValue } from '../finding.js'
import { toScalars, toText } from '../spl/value.js'
import type { RiskEntity, RiskOfFinding } from '../store/control/risk.js'

/** Risk objects of a field, or of a type, count apart by the values of other fields of the row. */
export interface EntityRule { readonly field?: string | undefined, readonly type?: string | undefined, readonly by: readonly string[] }

/** Longer keys and values are cut, and end in a hash: a field may have a megabyte. */
export const MAX_KEY = 1_000
const KEPT_OF_LONG = 900

/** In place of a field that a row lacks, as tstats has it (spl-semantics.md). */
const UNKNOWN = 'unknown'

/** What a finding adds to whose risk. Findings of `own` detections add nothing: they are made of risk. */
export function riskOf (rules: readonly EntityRule[], own: ReadonlySet<string>): (finding: Finding) => RiskOfFinding {
  return finding => {
    const why = whyNot(finding)
    if (why !== null || own.has(finding.detection.id)) return { entities: [], why }
    const entities = new Map<string, RiskOfFinding['entities'][number]>()
    for (const object of finding.risk.objects) {
      const entity = entityOf(object, finding.result, rules)
      const id = JSON.stringify([entity.type, entity.key])
      // Two fields may name the same object: the finding counts once, with the higher score.
      entities.set(id, { ...entity, score: Math.max(object.score, entities.get(id)?.score ?? 0) })
    }
    return { entities: [...entities.values()], why: null }
  }
}

/** Why a finding adds nothing; null where it does. What is hidden was found all the same, but nobody is to be troubled by it. */
function whyNot (finding: Finding): RiskOfFinding['why'] {
  if (finding.gone_at !== null) return 'gone'
  if (finding.status === 'closed' && finding.disposition === 'false_positive') return 'false_positive'
  return finding.throttled_by !== null || finding.suppressed_by !== null ? 'suppressed' : null
}

/** Whose risk an object of a row is. */
function entityOf ({ field, type, value }: RiskObjectValue, result: unknown, rules: readonly EntityRule[]): RiskEntity {
  const rule = rules.find(one => (one.field ?? field) === field && (one.type ?? type) === type)
  const key = rule === undefined ? value : [...rule.by.map(name => onlyText(result, name)), value].map(escape).join('/')
  return { type, key: shorten(key), value: shorten(value) }
}

/** The text of a field with one value. Of several nobody knows which is the object's. */
function onlyText (result: unknown, name: string): string {
  const row = result as Readonly<Record<string, Value>>
  const scalars = Object.hasOwn(row, name) ? toScalars(row[name]) : []
  return scalars.length === 1 ? toText(scalars[0]!) : UNKNOWN
}

/** So that the parts of a key can be told apart. */
function escape (part: string): string {
  return part.replaceAll('%', '%25').replaceAll('/', '%2F')
}

function shorten (text: string): string {
  return text.length <= MAX_KEY ? text : `${text.slice(0, KEPT_OF_LONG)}…${createHash('sha256').update(text).digest('hex')}`
}
