import type { Window } from '../event.js'
import type { FieldTables } from '../fields/field-tables.js'
import { dataModelSourcetypes } from '../fields/field-tables.js'
import { COLUMNS, DATA_MODELS } from '../fields/tables.js'
import type { Predicate, Span } from '../spl/ast.js'
import type { Knowledge } from '../spl/knowledge.js'
import type { Macros } from '../spl/macro.js'
import { parseSearch } from '../spl/parse.js'
import type { SearchPlan } from '../spl/plan.js'
import { planCount, planSearch } from '../spl/plan.js'
import type { EventStore, Position } from '../store/events.js'

/** The fields that an event store has as columns. */
export const STORE_COLUMNS: ReadonlySet<string> = new Set(Object.keys(COLUMNS))

/** What searches may name: the data models of the field tables, and these lookups. */
export function toKnowledge (tables: FieldTables, lookups: Knowledge['lookups']): Knowledge {
  return { dataModels: new Map(Object.entries(DATA_MODELS).map(([name, { fields }]) => [name, { sourcetypes: dataModelSourcetypes(tables, name), fields }])), lookups }
}

/** SPL text → plan over the event store. Throws SplError. */
export function compileSearch (search: string, macros: Macros, knowledge: Knowledge): SearchPlan {
  return planSearch(parseSearch(search, macros, knowledge), { columns: STORE_COLUMNS, pushDown: 'on', lookups: knowledge.lookups })
}

/** A search as it is run: what the store does of each command, and what it hands on. */
export interface SearchSplit {
  /** In the order of the search; a macro of several commands is one. `both`: the store begins what is ended over its rows. */
  readonly commands: readonly { readonly span: Span, readonly runs: 'store' | 'both' | 'rows' }[]
  /** Fields of each event that what is left reads; null is all of them. None where the store gives rows of its own. */
  readonly fields: readonly string[] | null
  readonly warnings: readonly string[]
}

/** Where the store's part of a search ends. Throws SplError. */
export function splitSearch (search: string, macros: Macros, knowledge: Knowledge): SearchSplit {
  const parsed = parseSearch(search, macros, knowledge)
  const { query, stages: left } = planSearch(parsed, { columns: STORE_COLUMNS, pushDown: 'on', lookups: knowledge.lookups })
  const pushed = parsed.stages.length - left.length // what is left is the end of the search
  const commands: { span: Span, runs: 'store' | 'both' | 'rows' }[] = []
  for (const [n, { span }] of parsed.stages.entries()) {
    const runs = n < pushed ? 'store' : 'rows'
    const last = commands.at(-1)
    if (last === undefined || last.span.start !== span.start || last.span.end !== span.end) commands.push({ span, runs })
    else if (last.runs !== runs) last.runs = 'both'
  }
  return { commands, fields: query.fields, warnings: parsed.warnings }
}

/** How many events of a window meet a condition. */
export async function countEvents (events: EventStore, predicate: Predicate, scope: { window: Window, position: Position, signal?: AbortSignal }): Promise<number> {
  const { rows } = await events.search(planCount(predicate, STORE_COLUMNS), { ...scope, timeZone: 'UTC', nowMs: 0, limit: 1 })
  return rows[0]!.values.get('count') as number
}
