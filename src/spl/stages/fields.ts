import type { FieldsStage } from '../ast.js'
import type { Row, Value } from '../row.js'
import { compileColumnTest } from './table.js'

/** The names that `fields` leaves of a row's, in order: internal ones first, then the list's (R74). */
export function compileFieldList ({ mode, fields }: Pick<FieldsStage, 'mode' | 'fields'>): (names: Iterable<string>) => string[] {
  const tests = fields.map(compileColumnTest)
  const isListed = (name: string) => tests.some(test => test(name))
  if (mode === 'remove') return names => [...names].filter(name => !isListed(name))
  return names => {
    const all = [...names]
    const internal = all.filter(name => name.startsWith('_') && !isListed(name))
    return [...new Set([...internal, ...tests.flatMap(test => all.filter(test))])]
  }
}

/** R74: keeps or removes fields. Internal ones go only where a name that begins with `_` says so. */
export function compileFields (stage: FieldsStage): (row: Row) => Row {
  const choose = compileFieldList(stage)
  return ({ values, origin }) => ({ values: new Map(choose(values.keys()).map((name): [string, Value] => [name, values.get(name)!])), origin })
}
