import type { BinStage, Expr, Predicate, Search, Span, Stage, StatsStage } from './ast.js'
import type { Value } from './row.js'
import { compileColumnTest } from './stages/table.js'
import { predicateFields } from './stages/search.js'
import { toScalars } from './value.js'

/**
 * What a store is asked for: the part of a search that it answers itself.
 * `bin` and `stats` are there only if every field they and `predicate` touch is a mapped one; both must give exactly what
 * the stages of that name give.
 */
export interface StoreQuery {
  readonly predicate: Predicate
  /** Fields of each event that the rest of the search reads; `null` is all of them. */
  readonly fields: readonly string[] | null
  readonly bin: BinStage | null
  readonly stats: StatsStage | null
}

/** How the rows of a search are told apart (design: a finding's identity). */
export type Identity =
  | { readonly kind: 'event' } // rows are still events
  | { readonly kind: 'by', readonly fields: readonly IdentityField[] } // BY of the last stats
  | { readonly kind: 'none' } // stats without BY

/** `computed`: an earlier stage made the field, so it can't be looked up in events. */
export interface IdentityField { readonly name: string, readonly computed: boolean }

/** A checked search, ready to run. */
export interface SearchPlan {
  readonly query: StoreQuery
  /** Stages that are left for after the store's part, in order. */
  readonly stages: readonly Stage[]
  /** Columns of the result in order, where the search says them (`table`, `stats`); else null. */
  readonly columns: readonly string[] | null
  readonly identity: Identity
  /** Span of the last `bin` of `_time` in the search; null without one. */
  readonly binSeconds: number | null
}

export interface PlanOptions {
  /** The fields that the store has as columns; `_time` always counts as one. */
  readonly columns: ReadonlySet<string>
  /** `off`: the store gives whole events, and every stage runs over rows. */
  readonly pushDown: 'on' | 'off'
}

/** Splits a search into what the store does and what is left. Both ways to split it give the same rows. */
export function planSearch (search: Search, options: PlanOptions): SearchPlan {
  const { query, stages } = options.pushDown === 'on' ? pushDown(search, options.columns) : keepAll(search)
  return {
    query,
    stages,
    columns: resultColumns(search.stages),
    identity: identityOf(search.stages),
    binSeconds: search.stages.filter(isTimeBin).at(-1)?.spanSeconds ?? null,
  }
}

interface Split { readonly query: StoreQuery, readonly stages: readonly Stage[] }

function keepAll (search: Search): Split {
  const all: Predicate = { kind: 'all', span: search.span }
  return { query: { predicate: all, fields: null, bin: null, stats: null }, stages: search.stages }
}

function pushDown (search: Search, columns: ReadonlySet<string>): Split {
  const filters = leadingPredicates(search.stages)
  const predicate = joinAnd(filters, search.span)
  const rest = search.stages.slice(filters.length)

  const first = rest[0]
  const bin = first !== undefined && isTimeBin(first) ? first : null
  const stats = rest[bin === null ? 0 : 1]
  if (stats?.kind === 'stats' && canPush(stats, predicate, columns)) {
    return { query: { predicate, fields: [], bin, stats }, stages: rest.slice(bin === null ? 1 : 2) }
  }
  return { query: { predicate, fields: fieldsRead(rest), bin: null, stats: null }, stages: rest }
}

/** Whether a store that has these columns can do the aggregation itself. It counts events, not a field's values. */
function canPush (stats: StatsStage, predicate: Predicate, columns: ReadonlySet<string>): boolean {
  const has = (field: string | null): boolean => field === null || field === '_time' || columns.has(field)
  return stats.by.every(has) &&
    stats.aggregates.every(aggregate => has(aggregate.field) && (aggregate.function !== 'count' || aggregate.field === null)) &&
    [...predicateFields(predicate)].every(has)
}

/** The `search` stages that a search begins with: they filter events. */
function leadingPredicates (stages: readonly Stage[]): Predicate[] {
  const predicates: Predicate[] = []
  for (const stage of stages) {
    if (stage.kind !== 'search') break
    predicates.push(stage.predicate)
  }
  return predicates
}

function joinAnd (predicates: readonly Predicate[], span: Span): Predicate {
  const terms = predicates.flatMap(predicate => predicate.kind === 'and' ? predicate.terms : [predicate]).filter(term => term.kind !== 'all')
  if (terms.length === 0) return { kind: 'all', span }
  return terms.length === 1 ? terms[0]! : { kind: 'and', terms, span }
}

function isTimeBin (stage: Stage): stage is BinStage & { readonly field: '_time', readonly as: '_time' } {
  return stage.kind === 'bin' && stage.field === '_time' && stage.as === '_time'
}

/** The event fields that stages read to give their result, worked out from the last stage back; null is all. */
function fieldsRead (stages: readonly Stage[]): readonly string[] | null {
  let needed: Set<string> | null = null
  for (const stage of stages.toReversed()) needed = readBefore(stage, needed)
  return needed === null ? null : [...needed]
}

/** What must be there before a stage, so that `needed` is there behind it. */
function readBefore (stage: Stage, needed: ReadonlySet<string> | null): Set<string> | null {
  switch (stage.kind) {
    case 'stats': return new Set([...stage.by, ...stage.aggregates.flatMap(({ field }) => field ?? [])])
    case 'table': {
      if (stage.fields.some(field => field.includes('*'))) return null
      return new Set(needed === null ? stage.fields : stage.fields.filter(field => needed.has(field)))
    }
  }
  if (needed === null) return null
  switch (stage.kind) {
    case 'search': return new Set([...needed, ...predicateFields(stage.predicate)])
    case 'where': return new Set([...needed, ...expressionFields(stage.expr)])
    case 'bin': return needed.has(stage.as) ? new Set([...needed, stage.field]) : new Set(needed)
    case 'convert': return new Set([...needed, ...stage.conversions.filter(({ as }) => needed.has(as)).map(({ field }) => field)])
    case 'eval': {
      const before = new Set(needed)
      for (const { field, expr } of stage.assignments.toReversed()) {
        if (before.delete(field)) for (const name of expressionFields(expr)) before.add(name)
      }
      return before
    }
    default: return stage satisfies never
  }
}

/** The fields that an expression reads. */
function expressionFields (expr: Expr): Set<string> {
  const fields = new Set<string>()
  const visit = (node: Expr): void => {
    switch (node.kind) {
      case 'string':
      case 'number': return
      case 'field': fields.add(node.name); return
      case 'unary': return visit(node.operand)
      case 'binary': visit(node.left); return visit(node.right)
      case 'call': return node.args.forEach(visit)
      default: node satisfies never
    }
  }
  visit(expr)
  return fields
}

/** The fields that a stage makes or changes. The bin of `_time` is known, so its `_time` can still be looked up in events. */
function fieldsMade (stage: Stage): readonly string[] {
  switch (stage.kind) {
    case 'bin': return isTimeBin(stage) ? [] : [stage.as]
    case 'eval': return stage.assignments.map(({ field }) => field)
    case 'convert': return stage.conversions.map(({ as }) => as)
    case 'stats': return stage.aggregates.map(({ as }) => as)
    default: return []
  }
}

function identityOf (stages: readonly Stage[]): Identity {
  const last = stages.findLastIndex(stage => stage.kind === 'stats')
  const stats = stages[last]
  if (stats?.kind !== 'stats') return { kind: 'event' }
  if (stats.by.length === 0) return { kind: 'none' }
  const made = new Set(stages.slice(0, last).flatMap(fieldsMade))
  return { kind: 'by', fields: stats.by.map(name => ({ name, computed: made.has(name) })) }
}

function resultColumns (stages: readonly Stage[]): readonly string[] | null {
  let columns: readonly string[] | null = null
  for (const stage of stages) {
    if (stage.kind === 'stats') columns = [...stage.by, ...fieldsMade(stage)]
    else if (stage.kind === 'table') columns = tableColumns(stage.fields, columns)
    else if (columns !== null) columns = [...new Set([...columns, ...(stage.kind === 'bin' ? [stage.as] : fieldsMade(stage))])]
  }
  return columns
}

function tableColumns (fields: readonly string[], before: readonly string[] | null): readonly string[] | null {
  if (!fields.some(field => field.includes('*'))) return fields
  if (before === null) return null
  return [...new Set(fields.flatMap(field => field.includes('*') ? before.filter(compileColumnTest(field)) : field))]
}

/**
 * The condition that the events behind a row meet: the base predicate, and the row's BY values (R33). Which bin they lie in is
 * for the caller to add. `approximate`: other events may meet it too, since a BY field was computed or rows were filtered in
 * between. For rows that are still events it says nothing about the row: such a row is its own evidence.
 */
export function contributingPredicate (plan: SearchPlan, origin: readonly Value[]): { predicate: Predicate, approximate: boolean } {
  const isPushed = plan.query.stats !== null
  const leading = isPushed ? [] : leadingPredicates(plan.stages)
  const lastStats = plan.stages.findLastIndex(stage => stage.kind === 'stats')
  const between = plan.stages.slice(leading.length, Math.max(leading.length, lastStats))
  const isFiltered = between.some(stage => stage.kind === 'where' || stage.kind === 'search' || stage.kind === 'stats')
  const fields = plan.identity.kind === 'by' ? plan.identity.fields : []
  const { span } = plan.query.predicate
  const terms = fields.flatMap(({ name, computed }, index) => computed || name === '_time'
    ? []
    : toScalars(origin[index]).map((value): Predicate => ({ kind: 'is', field: name, value, span })))
  return {
    predicate: joinAnd([plan.query.predicate, ...leading, ...terms], span),
    approximate: plan.identity.kind === 'event' || isFiltered || (isPushed && lastStats >= 0) || fields.some(field => field.computed),
  }
}

/** The plan of `… | stats count` over the events that meet a condition: one row with the column `count`. */
export function planCount (predicate: Predicate, columns: ReadonlySet<string>): SearchPlan {
  const { span } = predicate
  const stats: StatsStage = { kind: 'stats', aggregates: [{ function: 'count', field: null, as: 'count', span }], by: [], span }
  return planSearch({ stages: [{ kind: 'search', predicate, span }, stats], span, warnings: [] }, { columns, pushDown: 'on' })
}
