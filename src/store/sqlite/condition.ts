import type { Predicate } from '../../spl/ast.js'
import { MAX_PUSHED_TESTS } from '../../spl/plan.js'
import { compileTest, countTests } from '../../spl/stages/search.js'
import { COLUMNS } from '../../fields/tables.js'
import type { Scalar } from '../../event.js'
import { toSeconds } from '../../event.js'
import { columnName } from './partition.js'

/** A test of one field, as `spl/` means it. SQL calls it by its number. */
export interface FieldTest {
  readonly field: string
  /** Of what the column holds: text, of `_time` microseconds. */
  readonly matches: (value: Scalar) => boolean
  /** Whether SQL looks the field's dictionary ids up in `temp.match_<number>`, filled before; else it calls `spl_test`. */
  readonly byDictionary: boolean
}

/** SQL that holds for every event that the predicate holds for, over events whose columns hold all their fields. */
export interface Condition {
  readonly sql: string
  readonly tests: readonly FieldTest[]
  /** Whether it holds for no other event; if not, the events it holds for must be read. */
  readonly exact: boolean
}

/**
 * Says a predicate in SQL. SQL alone has other ideas of case, NUL and numbers, so every test runs in TypeScript: once per
 * dictionary entry for dictionary columns, by `spl_test(number, value)` for the others. No text of the search is in the SQL.
 * Conditions of one statement have their tests in one list, `tests`.
 */
export function toCondition (predicate: Predicate, tests: FieldTest[] = []): Condition {
  const terms = predicate.kind === 'and' ? predicate.terms : [predicate]
  const parts = terms.map(term => countTests(term) > MAX_PUSHED_TESTS ? null : emit(term, tests))
  const said = parts.filter(part => part !== null)
  return { sql: said.length === 0 ? '1' : join(said, 'AND'), tests, exact: said.length === parts.length }
}

/** Null where a field of it has no column. */
function emit (predicate: Predicate, tests: FieldTest[]): string | null {
  switch (predicate.kind) {
    case 'all': return '1'
    case 'and': case 'or': {
      const parts = predicate.terms.map(term => emit(term, tests))
      return parts.every(part => part !== null) ? join(parts, predicate.kind === 'and' ? 'AND' : 'OR') : null
    }
    case 'not': {
      const part = emit(predicate.term, tests)
      return part === null ? null : `NOT ${part}`
    }
    case 'compare': case 'in': case 'is': return emitTest(predicate, tests)
    case 'raw': case 'rows': case 'subsearch': return null
    default: return predicate satisfies never
  }
}

/** Never null, so that NOT keeps events without the field (R8); no test is true of a missing field. */
function emitTest (predicate: Extract<Predicate, { field: string }>, tests: FieldTest[]): string | null {
  const { field } = predicate
  if (field === '_time') {
    const matches = compileTest(predicate)
    const number = tests.push({ field, matches: timeUs => matches(toSeconds(timeUs as number)), byDictionary: false }) - 1
    return `spl_test(${number}, e.time_us)`
  }
  if (!Object.hasOwn(COLUMNS, field)) return null
  const column = `e.${columnName(field)}`
  const byDictionary = COLUMNS[field] === 'dictionary'
  const number = tests.push({ field, matches: compileTest(predicate), byDictionary }) - 1
  const matches = byDictionary ? `${column} IN (SELECT id FROM temp.match_${number})` : `spl_test(${number}, ${column})`
  return `(${column} IS NOT NULL AND ${matches})`
}

/** Balanced: SQLite's expressions are at most 1,000 levels deep. */
export function join (parts: readonly string[], operator: 'AND' | 'OR'): string {
  if (parts.length === 0) return operator === 'AND' ? '1' : '0'
  if (parts.length === 1) return parts[0]!
  const half = parts.length >> 1
  return `(${join(parts.slice(0, half), operator)} ${operator} ${join(parts.slice(half), operator)})`
}
