import type { RenameStage } from '../ast.js'
import { compileCapture, fillWildcards } from '../match.js'
import type { Row, Value } from '../row.js'
import { compileColumnTest } from './table.js'

/** The new name of a field; null for one that isn't renamed. */
type NewName = (name: string) => string | null

/** The new name that one part of a `rename` gives. A wildcard leaves internal fields alone unless it begins with `_`. */
export function compileNewName ({ field, as }: RenameStage['renames'][number]): NewName {
  if (!field.includes('*')) return name => name === field ? as : null
  const capture = compileCapture(field)
  const isColumn = compileColumnTest(field)
  return name => {
    const captures = isColumn(name) ? capture(name) : null
    return captures === null ? null : fillWildcards(as, captures)
  }
}

/** R73: values move and stay in their column; a field whose new value is missing is gone. */
export function compileRename ({ renames }: RenameStage): (row: Row) => Row {
  const parts = renames.map(part => ({ ...part, newName: compileNewName(part), isOne: !part.field.includes('*') }))
  return ({ values, origin }) => {
    let result = values
    for (const { field, as, newName, isOne } of parts) {
      if (!isOne) result = renameColumns(result, newName)
      else if (result.has(field)) result = renameColumns(result, newName)
      else result.delete(as)
    }
    return { values: result, origin }
  }
}

/** Columns under their new names. A column of a name that another one takes is gone. */
export function renameColumns (columns: ReadonlyMap<string, Value>, newName: NewName): Map<string, Value> {
  const taken = new Set<string>()
  for (const name of columns.keys()) {
    const as = newName(name)
    if (as !== null && as !== name) taken.add(as)
  }
  const renamed = new Map<string, Value>()
  for (const [name, value] of columns) {
    const as = newName(name)
    if (as !== null) renamed.set(as, value)
    else if (!taken.has(name)) renamed.set(name, value)
  }
  return renamed
}
