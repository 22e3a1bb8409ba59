import type { Aggregate, Subsearch } from '../../src/spl/ast.js'
import type { SearchPlan, StoreQuery } from '../../src/spl/plan.js'
import { planSearch } from '../../src/spl/plan.js'
import type { Row, Scalar } from '../../src/spl/row.js'
import { compileBin } from '../../src/spl/stages/bin.js'
import type { RunContext } from '../../src/spl/stages/run.js'
import { openSink, runStages } from '../../src/spl/stages/run.js'
import { compilePredicate } from '../../src/spl/stages/search.js'
import { openStats } from '../../src/spl/stages/stats.js'
import type { Partial } from '../../src/spl/stages/stats.js'
import { resolveSubsearches } from '../../src/spl/subsearch.js'
import { toText } from '../../src/spl/value.js'
import type { Fields } from './cases.js'

/** Runs a plan over events as a server does: the store's part by the simplest store there can be, then the stages that are left. */
export function runPlan (plan: SearchPlan, events: readonly Fields[], timeZone: string, nowMs = 0): Row[] {
  const { query, stages, lookups } = plan
  const subsearch = (search: Subsearch) => runPlan(planSearch(search, { columns: new Set(), pushDown: 'on', lookups }), events, timeZone, nowMs)
  const predicate = resolveSubsearches(query.predicate, subsearch)
  const context = { ...CONTEXT, timeZone, nowMs, lookups, subsearch }
  const rows = [...runStages(stages, answer({ ...query, predicate }, events), context)]
  const sink = openSink(stages, context, Infinity)
  for (const row of answer({ ...query, predicate }, events)) sink.add(row)
  const [pulled, pushed] = [rows, [...sink.rows()]].map(list => JSON.stringify(list.map(({ values, origin }) => [[...values], origin])))
  if (pulled !== pushed) throw new Error(`rows one by one give ${pushed}, all of them ${pulled}`)
  return rows
}

/** What stages know of their run, where a test says nothing else. */
export const CONTEXT: RunContext = { timeZone: 'UTC', nowMs: 0, alive: () => {}, warn: () => {}, lookups: new Map(), subsearch: () => [] }

/** What a store gives for a query. Events are taken as listed in their order; aggregates come from two partitions, each as partials. */
function answer (query: StoreQuery, events: readonly Fields[]): Row[] {
  const test = compilePredicate(query.predicate)
  const rows = events
    .map((event, id): Row => ({ values: new Map(event), origin: [id] }))
    .filter(({ values }) => test(field => values.get(field)))
  if (query.stats === null) {
    const projected = rows.map(row => project(row, query.fields))
    return query.order === 'any' ? projected.reverse() : projected
  }
  if (query.bin !== null) rows.forEach(compileBin(query.bin, 'UTC'))
  const stats = openStats(query.stats)
  const { by, aggregates } = query.stats
  for (const partition of [rows.filter((_, index) => index % 2 === 1), rows.filter((_, index) => index % 2 === 0)]) {
    for (const group of groupRows(partition, by)) stats.addPartial({ by: keyOfGroup(group, by), partials: aggregates.map(aggregate => toPartial(aggregate, group)) })
  }
  return stats.rows()
}

function project ({ values, origin }: Row, fields: readonly string[] | null): Row {
  return { values: new Map([...values].filter(([name]) => fields === null || fields.includes(name))), origin }
}

function groupRows (rows: readonly Row[], by: readonly string[]): Row[][] {
  const groups = new Map<string, Row[]>()
  for (const row of rows) {
    if (!by.every(field => row.values.has(field))) continue
    const key = JSON.stringify(keyOf(row, by).map(toText))
    groups.set(key, [...groups.get(key) ?? [], row])
  }
  return [...groups.values()]
}

function keyOf (row: Row, by: readonly string[]): Scalar[] {
  return by.map(field => toScalar(row, field)!)
}

/** Of 42 and "42" in one group the string is kept, as stats keeps it. */
function keyOfGroup (rows: readonly Row[], by: readonly string[]): Scalar[] {
  return by.map(field => {
    const values = rows.map(row => toScalar(row, field)!)
    return values.find(value => typeof value === 'string') ?? values[0]!
  })
}

function toPartial ({ field }: Aggregate, rows: readonly Row[]): Partial {
  return field === null ? rows.length : [...new Set(rows.map(row => toScalar(row, field)).filter(value => value !== undefined))]
}

/** Columns hold one value. */
function toScalar (row: Row, field: string): Scalar | undefined {
  const value = row.values.get(field)
  if (typeof value === 'object') throw new Error(`${field} is a multivalue and can't be a column`)
  return value
}
