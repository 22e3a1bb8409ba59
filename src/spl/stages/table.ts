import type { TableStage } from '../ast.js'
import { compileWildcard } from '../match.js'
import type { Row, Value } from '../row.js'

/** R72: a row with these columns in this order; a field that the row lacks gives none. Where the row comes from stays known. */
export function compileTable (stage: TableStage): (row: Row) => Row {
  const columns = stage.fields.map(field => ({ field, matches: field.includes('*') ? compileColumnTest(field) : null }))
  return ({ values, origin }) => {
    const kept = new Map<string, Value>()
    for (const { field, matches } of columns) {
      for (const name of matches === null ? [field] : [...values.keys()].filter(matches)) {
        const value = values.get(name)
        if (value !== undefined) kept.set(name, value)
      }
    }
    return { values: kept, origin }
  }
}

/** A test for the names that a field list's entry means, a wildcard or one name. Names are case-sensitive (R5). Internal fields such as `_time` match only where the pattern begins with `_`. */
export function compileColumnTest (pattern: string): (name: string) => boolean {
  const matches = compileWildcard(pattern)
  return name => matches(name) && (!name.startsWith('_') || pattern.startsWith('_'))
}
