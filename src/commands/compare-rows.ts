import { fractionUs, toSeconds, zoneMinutes } from '../event.js'
import { foldCase } from '../spl/match.js'
import { compareUtf8 } from '../spl/value.js'

/** The values of a row's columns in one form for both sides, so that equal values are equal texts. */
export type ComparedRow = ReadonlyMap<string, readonly string[]>

/** A row with whatever it was made of. */
export interface Side<T> { readonly cells: ComparedRow, readonly of: T }

export type Pairing<There, Here> =
  | { readonly result: 'same', readonly there: There, readonly here: Here }
  | { readonly result: 'different', readonly there: There, readonly here: Here, readonly columns: readonly string[], readonly isCaseOnly: boolean }
  | { readonly result: 'only_there', readonly there: There, readonly isCaseOnly: boolean }
  | { readonly result: 'only_here', readonly here: Here, readonly isCaseOnly: boolean }

const DECIMAL = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/
const INSTANT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? ?(Z|UTC|[+-]\d\d:?\d\d)$/

/**
 * Values of a cell as they are compared: numbers by value, whatever their decimals, times with a zone by their instant, a multivalue as
 * the set of its lines in the order of UTF-8 bytes.
 */
export function toCompared (values: readonly string[]): string[] {
  const lines = values.flatMap(value => value.split(/\r?\n/)).filter(line => line !== '')
  return [...new Set(lines.map(toComparedText))].sort(compareUtf8)
}

function toComparedText (text: string): string {
  const instant = INSTANT.exec(text)
  if (instant !== null) {
    const [, day, clock, fraction, zone = 'Z'] = instant
    const ms = Date.parse(`${day}T${clock}Z`)
    if (Number.isFinite(ms)) return String(toSeconds((ms - zoneMinutes(zone === 'UTC' ? 'Z' : zone) * 60_000) * 1000 + fractionUs(fraction)))
  }
  const decimal = DECIMAL.exec(text)
  if (decimal === null) return text
  // As text: a number of twenty digits is no double.
  const [, sign, whole, decimals = ''] = decimal
  const kept = decimals.replace(/0+$/, '')
  const number = kept === '' ? whole! : `${whole!}.${kept}`
  return number === '0' ? '0' : sign! + number
}

/**
 * Puts rows beside each other that have the same values in the key columns: equal ones first, the others as they come. Rows of one side
 * that are equal in all columns count once.
 */
export function pairRows<There, Here> (there: readonly Side<There>[], here: readonly Side<Here>[], columns: readonly string[], keyColumns: readonly string[]): Pairing<There, Here>[] {
  const [thereByKey, hereByKey] = [byKey(distinctRows(there, columns), keyColumns), byKey(distinctRows(here, columns), keyColumns)]
  const pairs: Pairing<There, Here>[] = []
  const leftThere: Side<There>[] = []
  const leftHere: Side<Here>[] = []
  for (const key of new Set([...thereByKey.keys(), ...hereByKey.keys()])) {
    const others = new Map((hereByKey.get(key) ?? []).map(row => [keyOf(row.cells, columns), row]))
    const unequal: Side<There>[] = []
    for (const row of thereByKey.get(key) ?? []) {
      const all = keyOf(row.cells, columns)
      const equal = others.get(all)
      if (equal === undefined) unequal.push(row)
      else pairs.push({ result: 'same', there: row.of, here: equal.of })
      others.delete(all)
    }
    const rest = [...others.values()]
    unequal.forEach((row, i) => {
      const other = rest[i]
      if (other === undefined) leftThere.push(row)
      else pairs.push({ result: 'different', there: row.of, here: other.of, ...differenceOf(row.cells, other.cells, columns) })
    })
    leftHere.push(...rest.slice(unequal.length))
  }
  const foldedOf = (rows: readonly Side<unknown>[]) => new Set(rows.map(({ cells }) => keyOf(cells, keyColumns, foldCase)))
  const [foldedThere, foldedHere] = [foldedOf(leftThere), foldedOf(leftHere)]
  for (const { cells, of } of leftThere) pairs.push({ result: 'only_there', there: of, isCaseOnly: foldedHere.has(keyOf(cells, keyColumns, foldCase)) })
  for (const { cells, of } of leftHere) pairs.push({ result: 'only_here', here: of, isCaseOnly: foldedThere.has(keyOf(cells, keyColumns, foldCase)) })
  return pairs
}

/** The first of rows that are equal in all columns. */
export function distinctRows<T> (rows: readonly Side<T>[], columns: readonly string[]): Side<T>[] {
  const byText = new Map<string, Side<T>>()
  for (const row of rows) {
    const text = keyOf(row.cells, columns)
    if (!byText.has(text)) byText.set(text, row)
  }
  return [...byText.values()]
}

function byKey<T> (rows: readonly Side<T>[], columns: readonly string[]): Map<string, Side<T>[]> {
  const groups = new Map<string, Side<T>[]>()
  for (const row of rows) {
    const key = keyOf(row.cells, columns)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [row])
    else group.push(row)
  }
  return groups
}

function keyOf (cells: ComparedRow, columns: readonly string[], change = (text: string) => text): string {
  return JSON.stringify(columns.map(column => cells.get(column)?.map(change) ?? []))
}

function differenceOf (there: ComparedRow, here: ComparedRow, columns: readonly string[]): { columns: string[], isCaseOnly: boolean } {
  const different = columns.filter(column => keyOf(there, [column]) !== keyOf(here, [column]))
  return { columns: different, isCaseOnly: keyOf(there, different, foldCase) === keyOf(here, different, foldCase) }
}
