import type { Scalar, Value } from '../event.js'
import type { ChangeReason, FindingBody, FindingChange } from '../finding.js'
import { toScalars, toText } from '../spl/value.js'

const MAX_FIELDS = 50
const MAX_MEMBERS = 20
const MAX_TEXT = 200

/** What a row says now that it did not say before. */
export function toChange (before: FindingBody, after: FindingBody, { reason, late }: { readonly reason: ChangeReason, readonly late: FindingChange['late'] }): FindingChange {
  const rows = [before, after].map(({ result, risk: { score } }) => ({ ...result as Record<string, Value>, risk_score: score }) as Record<string, Value>)
  const names = [...new Set(rows.flatMap(row => Object.keys(row)))]
  const fields = names.flatMap(name => fieldChange(name, rows[0]![name], rows[1]![name])).slice(0, MAX_FIELDS)
  return { reason, row: 'changed', fields, late, text: textOf(fields, late) }
}

/** A row is gone, or there again. */
export function toAppearance (row: 'gone' | 'back', reason: ChangeReason): FindingChange {
  return { reason, row, fields: [], late: null, text: row === 'gone' ? 'the search gives the row no more' : 'the search gives the row again' }
}

function fieldChange (field: string, before: Value | undefined, after: Value | undefined): FindingChange['fields'] {
  const [old, now] = [before, after].map(value => new Set(toScalars(value).map(toText))) as [Set<string>, Set<string>]
  const added = [...now].filter(text => !old.has(text))
  const removed = [...old].filter(text => !now.has(text))
  if (added.length === 0 && removed.length === 0) return []
  const hasMany = typeof before === 'object' || typeof after === 'object'
  const shown = (value: Value | undefined, count: number) => hasMany ? count : value === undefined ? null : cut(value as Scalar)
  const some = (texts: readonly string[]) => hasMany ? texts.slice(0, MAX_MEMBERS).map(cutText) : []
  return [{ field, before: shown(before, old.size), after: shown(after, now.size), added: some(added), removed: some(removed) }]
}

/** One line: texts of events are in `fields`, not in here. */
function textOf (fields: FindingChange['fields'], late: FindingChange['late']): string {
  const changes = fields.map(({ field, before, after, added, removed }) => {
    const name = cutText(field)
    if (added.length > 0 || removed.length > 0) return [name, ...added.length > 0 ? [`+${added.length}`] : [], ...removed.length > 0 ? [`−${removed.length}`] : []].join(' ')
    return typeof before === 'number' && typeof after === 'number' ? `${name} ${before} → ${after}` : `${name} changed`
  })
  return [...changes, ...late === null ? [] : [lateText(late)]].join('; ')
}

function lateText ({ event_count: count, max_seconds: seconds, nodes }: NonNullable<FindingChange['late']>): string {
  const from = nodes.length === 0 ? '' : ` from node${nodes.length === 1 ? '' : 's'} ${nodes.join(', ')}`
  return `${count} event${count === 1 ? '' : 's'} arrived ${count === 1 ? '' : 'up to '}${durationText(seconds)} late${from}`
}

/** In the largest unit that it has one of: `41 min`. */
export function durationText (seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`
  return seconds < 86_400 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86_400).toFixed(1)} d`
}

function cut (value: Scalar): Scalar {
  return typeof value === 'string' ? cutText(value) : value
}

export function cutText (text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`
}
