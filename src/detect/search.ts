import type { Window } from '../event.js'
import type { FieldTables } from '../fields/field-tables.js'
import { dataModelSourcetypes } from '../fields/field-tables.js'
import { COLUMNS, DATA_MODELS } from '../fields/tables.js'
import type { Predicate } from '../spl/ast.js'
import type { Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import { parseSearch } from '../spl/parse.js'
import type { SearchPlan } from '../spl/plan.js'
import { planCount, planSearch } from '../spl/plan.js'
import type { EventStore, Position } from '../store/events.js'

const STORE_COLUMNS: ReadonlySet<string> = new Set(Object.keys(COLUMNS))

/** What searches may name: the data models of the field tables, and these lookups. */
export function toKnowledge (tables: FieldTables, lookups: Knowledge['lookups']): Knowledge {
  return { dataModels: new Map(Object.entries(DATA_MODELS).map(([name, { fields }]) => [name, { sourcetypes: dataModelSourcetypes(tables, name), fields }])), lookups }
}

/** SPL text → plan over the event store. Throws SplError. */
export function compileSearch (search: string, macros: Macros, knowledge: Knowledge): SearchPlan {
  return planSearch(parseSearch(search, macros, knowledge), { columns: STORE_COLUMNS, pushDown: 'on', lookups: knowledge.lookups })
}

/** How many events of a window meet a condition. */
export async function countEvents (events: EventStore, predicate: Predicate, scope: { window: Window, position: Position, signal?: AbortSignal }): Promise<number> {
  const { rows } = await events.search(planCount(predicate, STORE_COLUMNS), { ...scope, timeZone: 'UTC', nowMs: 0, limit: 1 })
  return rows[0]!.values.get('count') as number
}
