import type { FieldTables } from '../../fields/field-tables.js'
import type { Fields } from '../../fields/fields.js'
import { openFields } from '../../fields/fields.js'
import { compileCalculatedField } from '../../spl/calculated-field.js'

/** Whoever reads fields is told what their calculation costs. */
export interface Watch {
  /** Notes what could not be looked at. */
  readonly warn: (message: string) => void
  /** Called every so many values; stops the calculation by throwing. */
  readonly alive: () => void
}

/** The fields of events; calculated ones in SPL. */
export function openEventFields (tables: FieldTables, { warn, alive }: Watch): Fields {
  return openFields(tables, text => compileCalculatedField(text, { timeZone: tables.timeZone, warn, alive }))
}
