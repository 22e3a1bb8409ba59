import type { DedupStage } from '../ast.js'
import type { Row } from '../row.js'
import { toKey, toScalars } from '../value.js'
import { openHolder } from './hold.js'
import { sortRows } from './sort.js'

/**
 * R77: whether a row is one of the first of its combination of values, in the order in which they come. Values are told apart by their text, with
 * case; a multivalue by all its values. A row without one of the fields is dropped, or kept by `keepempty`.
 */
export function openDedup ({ fields, count, consecutive, keepempty }: DedupStage): (row: Row) => boolean {
  const isKept = consecutive ? countRuns(count) : countAll(count)
  return row => {
    const key = keyOf(row, fields)
    return key === null ? keepempty : isKept(key)
  }
}

/** The same of rows in the order that `sortby` gives. */
export function dedup (stage: DedupStage): (rows: Iterable<Row>) => Iterable<Row> {
  const isKept = openDedup(stage)
  return function * (rows) {
    for (const row of sortRows(rows, stage.sortby, 'dedup sortby')) if (isKept(row)) yield row
  }
}

function countAll (count: number): (key: string) => boolean {
  const seen = new Map<string, number>()
  const holder = openHolder('dedup')
  return key => {
    const before = seen.get(key) ?? 0
    if (before === count) return false
    if (before === 0) holder.add(key.length)
    seen.set(key, before + 1)
    return true
  }
}

function countRuns (count: number): (key: string) => boolean {
  let last: string | null = null
  let run = 0
  return key => {
    run = key === last ? run + 1 : 1
    last = key
    return run <= count
  }
}

/** Null where a field is missing. */
function keyOf ({ values }: Row, fields: readonly string[]): string | null {
  let key = ''
  for (const field of fields) {
    const value = values.get(field)
    if (value === undefined) return null
    const scalars = toScalars(value)
    key += `${scalars.length}[${toKey(scalars)}`
  }
  return key
}
