import { AppError } from '../errors.js'
import { compileWildcard, foldCase } from './match.js'
import { compileNetworks } from './stages/search.js'

/** How a lookup's column is compared with a field: as text, as a pattern with `*`, or as a network. */
export type LookupMatch = 'exact' | 'wildcard' | 'cidr'

/** A table of text that searches look values up in, with the settings of its transforms.conf stanza. */
export interface LookupTable {
  readonly columns: readonly string[]
  /** A cell for each column; '' is no value. */
  readonly rows: readonly (readonly string[])[]
  /** Of columns that are compared otherwise than exactly. */
  readonly matchTypes: Readonly<Record<string, LookupMatch>>
  readonly caseSensitive: boolean
  /** Matches beyond it aren't looked at. */
  readonly maxMatches: number
  /** Where fewer rows match, `defaultMatch` is the value of each output. */
  readonly minMatches: number
  readonly defaultMatch: string | null
  /** SHA-256 of all of that, hexadecimal. */
  readonly hash: string
}

/** Comparisons that one search may make with patterns and networks of lookups, which are tried one after the other. */
const MAX_COMPARISONS = 200_000_000

type Find = (values: readonly string[]) => readonly (readonly string[])[]

/** Finds the rows whose cells in these columns match these values, in the order of the table, up to `maxMatches`. */
export function compileLookup (table: LookupTable, columns: readonly string[]): Find {
  const places = columns.map(column => table.columns.indexOf(column))
  const fold = table.caseSensitive ? (text: string) => text : foldCase
  const exact = columns.flatMap((column, i) => matchTypeOf(table, column) === 'exact' ? [i] : [])
  const others = columns.flatMap((column, i) => matchTypeOf(table, column) === 'exact' ? [] : [i])
  const keyOf = (cells: (place: number) => string) => JSON.stringify(exact.map(i => fold(cells(i))))
  const byKey = new Map<string, { readonly row: readonly string[], readonly tests: readonly ((text: string) => boolean)[] }[]>()
  for (const row of table.rows) {
    if (places.some(place => row[place] === '')) continue // no value matches nothing
    const key = keyOf(i => row[places[i]!]!)
    const tests = others.map(i => compileCell(row[places[i]!]!, matchTypeOf(table, columns[i]!), fold))
    const known = byKey.get(key)
    if (known === undefined) byKey.set(key, [{ row, tests }])
    else known.push({ row, tests })
  }
  let comparisons = 0
  return values => {
    const found: (readonly string[])[] = []
    for (const { row, tests } of byKey.get(keyOf(i => values[i]!)) ?? []) {
      if (tests.length > 0 && ++comparisons > MAX_COMPARISONS) throw new AppError('invalid', `lookup would have to make more than ${MAX_COMPARISONS} comparisons with patterns`)
      if (!tests.every((test, n) => test(values[others[n]!]!))) continue
      found.push(row)
      if (found.length === table.maxMatches) break
    }
    return found
  }
}

function matchTypeOf ({ matchTypes }: LookupTable, column: string): LookupMatch {
  return Object.hasOwn(matchTypes, column) ? matchTypes[column]! : 'exact'
}

function compileCell (cell: string, type: LookupMatch, fold: (text: string) => string): (value: string) => boolean {
  if (type === 'cidr') return compileNetworks([cell]) ?? (value => value === cell)
  const matches = compileWildcard(fold(cell))
  return value => matches(fold(value))
}
