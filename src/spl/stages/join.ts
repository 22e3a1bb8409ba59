import type { JoinStage } from '../ast.js'
import type { Row, Value } from '../row.js'
import type { RunSubsearch } from '../subsearch.js'
import { combinations, toKey, toScalars } from '../value.js'

/** How many rows a result can be joined with that has several values in the fields: each combination may be in the subsearch. */
const MAX_KEYS = 1_000

/** A join that names no fields has as many indexes at most, one for each list of fields that its results share with the subsearch. */
const MAX_INDEXES = 8

/** Joins results with the rows of a subsearch, in the order of the results. What has none of the fields is joined with nothing. */
export function join (stage: JoinStage, run: RunSubsearch): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    const others = run(stage.search)
    const columns = new Set(others.flatMap(({ values }) => [...values.keys()]))
    const indexBy = openIndexes(others)
    for (const row of rows) {
      const fields = stage.fields.length > 0 ? stage.fields : [...row.values.keys()].filter(name => columns.has(name) && !name.startsWith('_'))
      yield * joinRow(row, fields, indexBy(fields), stage)
    }
  }
}

/** The rows by their values in fields; of the lists of fields that were asked for last the index is kept. */
function openIndexes (rows: readonly Row[]): (fields: readonly string[]) => ReadonlyMap<string, readonly Row[]> {
  const indexes = new Map<string, ReadonlyMap<string, readonly Row[]>>()
  return fields => {
    const key = toKey(fields)
    const index = indexes.get(key) ?? indexOf(rows, fields)
    indexes.delete(key)
    indexes.set(key, index) // the one that was used last is the last
    if (indexes.size > MAX_INDEXES) indexes.delete(indexes.keys().next().value!)
    return index
  }
}

function indexOf (rows: readonly Row[], fields: readonly string[]): Map<string, Row[]> {
  const index = new Map<string, Row[]>()
  for (const row of rows) {
    for (const key of keysOf(row, fields)) {
      const known = index.get(key)
      if (known === undefined) index.set(key, [row])
      else known.push(row)
    }
  }
  return index
}

/** The combinations of values that a row has in the fields; none where it lacks one. */
function keysOf ({ values }: Row, fields: readonly string[]): string[] {
  if (fields.length === 0) return []
  const keys = new Set<string>()
  for (const choice of combinations(fields.map(field => toScalars(values.get(field))), MAX_KEYS)) keys.add(toKey(choice))
  return [...keys]
}

function * joinRow (row: Row, fields: readonly string[], index: ReadonlyMap<string, readonly Row[]>, { type, max, overwrite }: JoinStage): Iterable<Row> {
  const found = [...new Set(keysOf(row, fields).flatMap(key => index.get(key) ?? []))]
  const taken = max === 0 ? found : found.slice(0, max)
  if (taken.length === 0 && type === 'left') yield row
  for (const other of taken) {
    const values = new Map<string, Value>(row.values)
    for (const [name, value] of other.values) if (!fields.includes(name) && (overwrite || !values.has(name))) values.set(name, value)
    yield { values, origin: max === 1 ? row.origin : [...row.origin, ...other.origin] }
  }
}
