import type { Scalar, Value } from '../../event.js'
import type { FieldTables } from '../../fields/field-tables.js'
import type { IndexedEvent } from '../../fields/fields.js'
import { COLUMNS } from '../../fields/tables.js'
import { openEventFields } from './event-fields.js'

/** The fields that have a column, in the order of the columns. */
export const COLUMN_FIELDS = Object.keys(COLUMNS)

/** `odd`: some column can't hold its field's value, so that the event itself must be read. */
export interface ColumnValues { readonly columns: readonly (Scalar | null)[], readonly odd: boolean }

/**
 * How often the calculation of one field may report that it is alive, which it does once in 256 values. What takes longer is left to
 * searches: they can be stopped, the writer can't.
 */
const MAX_REPORTS = 1_000

class TooCostly extends Error {}

/** Reads the fields that the writer needs to know. What a search would warn of makes the event odd: then the search sees it too. */
export function openColumnReader (tables: FieldTables) {
  let reports = 0
  let isOdd = false
  const { hash, route, fieldOf } = openEventFields(tables, {
    warn: () => { isOdd = true },
    alive: () => { if (++reports > MAX_REPORTS) throw new TooCostly() },
  })

  function read (event: IndexedEvent, field: string): Value | undefined {
    reports = 0
    try {
      return fieldOf(event, field)
    } catch (error) {
      if (!(error instanceof TooCostly)) throw error
      isOdd = true
      return undefined
    }
  }

  return {
    hash,
    route,
    /** Of what takes too long to calculate it is false: a value that is filled in does not hide it from searches. */
    has: (event: IndexedEvent, field: string): boolean => read(event, field) !== undefined,
    columnsOf (event: IndexedEvent): ColumnValues {
      isOdd = false
      const columns = COLUMN_FIELDS.map(field => {
        const value = read(event, field)
        if (value === undefined) return null
        if (typeof value === 'string' || (typeof value === 'number' && COLUMNS[field] === 'dictionary')) return value
        isOdd = true
        return null
      })
      return { columns, odd: isOdd }
    },
  }
}
export type ColumnReader = ReturnType<typeof openColumnReader>
