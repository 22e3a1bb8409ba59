import { z } from 'zod'
import { escapeControls } from '../spl/errors.js'
import type { Row, Scalar, Value } from '../spl/row.js'
import { toScalars, toText } from '../spl/value.js'

const ExpectedScalar = z.union([z.string(), z.number(), z.boolean()]).transform(String)

/** Fields of a row and their values; null where the row has no such field. What a row has beside them is let be. */
const ExpectedRow = z.record(z.string(), z.union([ExpectedScalar, z.array(ExpectedScalar).min(1), z.null()]))
type ExpectedRow = z.infer<typeof ExpectedRow>

/** The rows that a test wants, in any order, or how many. */
export const Expected = z.union([z.array(ExpectedRow), z.strictObject({ count: z.number().int().min(0) })], {
  error: 'expected a list of rows, each of fields and values, or count',
})
export type Expected = z.infer<typeof Expected>

/** So many rows are shown, and so much of a value. */
const SHOWN_ROWS = 10
const SHOWN_CHARS = 200

/** How rows differ from what is expected of them, in lines; none where they don't. Without an expectation any row will do. */
export function differences (expected: Expected | undefined, rows: readonly Row[]): string[] {
  if (expected === undefined) return rows.length > 0 ? [] : ['expected any row, found none']
  if (!Array.isArray(expected)) return rows.length === expected.count ? [] : [`expected ${count(expected.count)}, found ${count(rows.length)}`, ...showRows(rows)]
  const partners = matchRows(expected, rows)
  const missing = [...expected.keys()].filter(i => !partners.includes(i))
  const left = rows.filter((_, i) => partners[i] === -1)
  if (missing.length === 0 && left.length === 0) return []
  const pairs = missing.slice(0, SHOWN_ROWS).map(place => {
    const nearest = takeNearest(expected[place]!, left)
    return [
      `row ${place + 1} of the expected ones is missing${nearest === null ? '' : '; the nearest other one differs'}:`,
      ...showPair(expected[place]!, nearest),
    ]
  })
  return [
    `expected ${count(expected.length)}, found ${count(rows.length)}`,
    ...pairs.flat(),
    ...more(missing.length),
    ...showRows(left),
  ]
}

function count (rows: number): string {
  return rows === 1 ? '1 row' : `${rows} rows`
}

/**
 * Gives for each row the place of the expected one that it stands for, -1 without. An expected row may fit several, so each one that finds
 * its rows taken looks whether another can give way (augmenting paths of bipartite matching).
 */
function matchRows (expected: readonly ExpectedRow[], rows: readonly Row[]): number[] {
  const partners: number[] = rows.map(() => -1)
  const fits = expected.map(one => rows.flatMap((row, i) => Object.entries(one).every(([field, value]) => isEqual(value, row.values.get(field))) ? [i] : []))
  const findRow = (place: number, tried: Set<number>): boolean => fits[place]!.some(i => {
    if (tried.has(i)) return false
    tried.add(i)
    if (partners[i] !== -1 && !findRow(partners[i]!, tried)) return false
    partners[i] = place
    return true
  })
  for (const place of expected.keys()) findRow(place, new Set())
  return partners
}

/** Values are told apart by their text, as everywhere (R33); those of a multivalue in their order. */
function isEqual (expected: ExpectedRow[string], value: Value | undefined): boolean {
  const wanted = expected === null ? [] : [expected].flat()
  const found = toScalars(value)
  return wanted.length === found.length && wanted.every((text, i) => text === toText(found[i]!))
}

/** The row that has most of the expected fields, taken out of `left`; null where none has any. */
function takeNearest (expected: ExpectedRow, left: Row[]): Row | null {
  const equal = ({ values }: Row) => Object.entries(expected).filter(([field, value]) => isEqual(value, values.get(field))).length
  let best = -1
  let most = 0
  left.forEach((row, i) => {
    const fields = equal(row)
    if (fields > most) [best, most] = [i, fields]
  })
  return best === -1 ? null : left.splice(best, 1)[0]!
}

function showPair (expected: ExpectedRow, row: Row | null): string[] {
  return Object.entries(expected).flatMap(([field, value]) => {
    const found = row?.values.get(field)
    if (row !== null && isEqual(value, found)) return [`    ${field}: ${show(found)}`]
    return [`  - ${field}: ${show(value ?? undefined)}`, ...(row === null ? [] : [`  + ${field}: ${show(found)}`])]
  })
}

/** Rows that nobody expects. */
function showRows (rows: readonly Row[]): string[] {
  return [
    ...rows.slice(0, SHOWN_ROWS).flatMap(({ values }) => ['a row that is not expected:', ...[...values].map(([field, value]) => `  + ${field}: ${show(value)}`)]),
    ...more(rows.length),
  ]
}

function more (rows: number): string[] {
  return rows > SHOWN_ROWS ? [`and ${rows - SHOWN_ROWS} more`] : []
}

function show (value: Value | readonly string[] | undefined): string {
  if (value === undefined) return '(no value)'
  const scalars = (typeof value === 'object' ? value : [value]) as readonly Scalar[]
  const text = scalars.length === 1 ? toText(scalars[0]!) : JSON.stringify(scalars.map(toText))
  return escapeControls(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text)
}
