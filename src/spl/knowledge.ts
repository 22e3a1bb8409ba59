import type { LookupTable } from './lookup.js'

/** A data model's object, such as Endpoint.Processes: whose events are its own, and which fields it has. */
export interface DataModel {
  readonly sourcetypes: readonly string[]
  readonly fields: readonly string[]
}

/** What a search may name, beside macros, that isn't in its text. */
export interface Knowledge {
  /** By name, such as `Endpoint.Processes`. */
  readonly dataModels: ReadonlyMap<string, DataModel>
  /** By name, as `lookup` and `inputlookup` call them. */
  readonly lookups: ReadonlyMap<string, LookupTable>
}

export const NO_KNOWLEDGE: Knowledge = { dataModels: new Map(), lookups: new Map() }
