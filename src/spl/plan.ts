import type { Aggregate, AggregateFunction, BinStage, ForeachStage, Predicate, RenameStage, SearchStage, Span, Stage, StatsStage, Subsearch, TopStage } from './ast.js'
import type { LookupTable } from './lookup.js'
import { compileCapture, compileWildcard, countWildcards, fillWildcards } from './match.js'
import { expressionFields, isTimeless } from './expression-fields.js'
import { allOf, andTerms, isNothing, joinTerms, lacks, nothing } from './predicate.js'
import type { Value } from './row.js'
import { hasSubsearch, subsearchesOf } from './subsearch.js'
import { compileFieldList } from './stages/fields.js'
import { compileNewName, renameColumns } from './stages/rename.js'
import { compileColumnTest } from './stages/table.js'
import { countTests, predicateFields } from './stages/search.js'
import { toScalars, toText } from './value.js'

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
  /** Events newest first, the higher id first of equal times; or in any order, where the result doesn't hang on it. */
  readonly order: '-time' | 'any'
}

/** How the rows of a search are told apart (design: a finding's identity). */
export type Identity =
  | { readonly kind: 'event' } // rows are still events
  | { readonly kind: 'by', readonly fields: readonly IdentityField[] } // BY of the last stats, or the fields of top
  | { readonly kind: 'none' } // stats without BY

/**
 * `computed`: an earlier stage made the field, so it can't be looked up in events. `fillers`: what `fillnull` gives the field
 * where an event has none, if nothing else made it.
 */
export interface IdentityField { readonly name: string, readonly computed: boolean, readonly fillers?: readonly string[] }

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
  /** Whether a row hangs on nothing but the events of its BY values and time: neither on others of its window nor on when it is searched for. */
  readonly isLocal: boolean
  /** The tables that the search names, in brackets too. */
  readonly lookups: ReadonlyMap<string, LookupTable>
}

export interface PlanOptions {
  /** The fields that the store has as columns; `_time` always counts as one. */
  readonly columns: ReadonlySet<string>
  /** `off`: the store gives whole events, and every stage runs over rows. */
  readonly pushDown: 'on' | 'off'
  /** None where the search names none. */
  readonly lookups?: ReadonlyMap<string, LookupTable>
}

/** Splits a search into what the store does and what is left. Both ways to split it give the same rows. */
export function planSearch (search: Subsearch, options: PlanOptions): SearchPlan {
  const { query, stages } = options.pushDown === 'on' ? pushDown(search, options.columns) : keepAll(search)
  const names = new Set(lookupNames(search))
  return {
    query,
    stages,
    columns: resultColumns(search.stages),
    identity: identityOf(search.stages),
    binSeconds: search.stages.filter(isTimeBin).at(-1)?.spanSeconds ?? null,
    isLocal: search.stages.every(isLocal),
    lookups: new Map([...options.lookups ?? []].filter(([name]) => names.has(name))),
  }
}

interface Split { readonly query: StoreQuery, readonly stages: readonly Stage[] }

function keepAll (search: Subsearch): Split {
  const all: Predicate = { kind: 'all', span: search.span }
  return { query: { predicate: all, fields: null, bin: null, stats: null, order: '-time' }, stages: search.stages }
}

function pushDown (search: Subsearch, columns: ReadonlySet<string>): Split {
  const filters = leadingPredicates(search.stages)
  const predicate = allOf(filters, search.span)
  const rest = search.stages.slice(filters.length)

  const first = rest[0]
  const bin = first !== undefined && isTimeBin(first) && first.days === undefined ? first : null // a store knows no zones
  const stats = rest[bin === null ? 0 : 1]
  if (stats?.kind === 'stats' && canPush(stats, predicate, columns)) {
    return { query: { predicate, fields: [], bin, stats, order: 'any' }, stages: rest.slice(bin === null ? 1 : 2) }
  }
  return { query: { predicate, fields: fieldsRead(rest), bin: null, stats: null, order: orderNeeded(rest) }, stages: rest }
}

/** Aggregates that a store makes of parts of the events. They give the same in whatever order the values come. */
const PUSHED: ReadonlySet<AggregateFunction> = new Set(['count', 'dc', 'max', 'min', 'values'])

/** Other aggregates that hang on no order. A sum of numbers with fractions does. */
const ORDER_FREE: ReadonlySet<AggregateFunction> = new Set([...PUSHED, 'mode', 'perc', 'range'])

/** A store makes a test of its own of each comparison; a condition with more is looked at event by event. */
export const MAX_PUSHED_TESTS = 500

/** Whether a store that has these columns can do the aggregation itself. It counts events, not a field's values. */
function canPush (stats: StatsStage, predicate: Predicate, columns: ReadonlySet<string>): boolean {
  const has = (field: string | null): boolean => field === null || field === '_time' || columns.has(field)
  const canMake = ({ function: name, field, expr }: Aggregate) => PUSHED.has(name) && expr === undefined && has(field) && (name !== 'count' || field === null)
  return stats.by.every(has) && stats.aggregates.every(canMake) && !hasSubsearch(predicate) && countTests(predicate) <= MAX_PUSHED_TESTS && [...predicateFields(predicate)].every(has)
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

function isTimeBin (stage: Stage): stage is BinStage & { readonly field: '_time', readonly as: '_time' } {
  return stage.kind === 'bin' && stage.field === '_time' && stage.as === '_time'
}

function isOrderFree (aggregates: readonly Aggregate[]): boolean {
  return aggregates.every(aggregate => ORDER_FREE.has(aggregate.function))
}

/** The order in which stages must get their rows: any, if they aggregate before anything looks at it. */
function orderNeeded (stages: readonly Stage[]): StoreQuery['order'] {
  for (const stage of stages) {
    switch (stage.kind) {
      case 'stats': return isOrderFree(stage.aggregates) ? 'any' : '-time'
      case 'top':
      case 'rare': return 'any'
      case 'eventstats':
        if (!isOrderFree(stage.aggregates)) return '-time'
        break
      case 'dedup':
      case 'foreach': // it goes through the fields as they come up
      case 'head':
      case 'tail': return '-time'
      case 'sort': if (stage.count !== 0) return '-time' // of equal rows, those that came first are left
    }
  }
  return '-time' // the rows come in this order
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
    case 'stats': return aggregatedFields(stage)
    case 'top':
    case 'rare': return new Set(groupFields(stage))
    case 'table': {
      if (stage.fields.some(field => field.includes('*'))) return null
      return new Set(needed === null ? stage.fields : stage.fields.filter(field => needed.has(field)))
    }
  }
  if (needed === null) return null
  switch (stage.kind) {
    case 'eventstats': {
      const made = fieldsMade(stage).filter(name => needed.has(name))
      const isRead = made.length > 0
      // A row without a group keeps what it has, so that isn't struck off.
      return new Set([...needed, ...isRead ? aggregatedFields(stage) : []])
    }
    case 'mvexpand':
    case 'regex': return new Set([...needed, stage.field])
    case 'rex': return stage.names.some(name => needed.has(name)) ? new Set([...needed, stage.field]) : new Set(needed)
    case 'foreach': return null // which fields match hangs on all there are
    case 'spath': return stage.path === null || needed.has(stage.output) ? new Set([...needed, stage.input]) : new Set(needed)
    case 'addtotals': {
      if (!needed.has(stage.as)) return new Set(needed)
      return stage.fields.length === 0 || stage.fields.some(field => field.includes('*')) ? null : new Set([...needed, ...stage.fields])
    }
    case 'fields': return new Set(compileFieldList(stage)(needed))
    case 'rename': return namesBefore(stage, needed)
    case 'fillnull':
    case 'head':
    case 'tail':
    case 'reverse':
    case 'makemv':
    case 'nomv':
    case 'sed':
    case 'replace': return new Set(needed)
    case 'dedup': return new Set([...needed, ...stage.fields, ...stage.sortby.map(({ field }) => field)])
    case 'sort': return new Set([...needed, ...stage.keys.map(({ field }) => field)])
    case 'search': return hasSubsearch(stage.predicate) ? null : new Set([...needed, ...predicateFields(stage.predicate)])
    case 'join': return stage.fields.length === 0 ? null : new Set([...needed, ...stage.fields])
    case 'lookup': return new Set([...needed, ...stage.inputs.map(({ field }) => field), ...stage.mode === 'new' ? stage.outputs.map(({ field }) => field) : []])
    case 'inputlookup': return new Set(needed)
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

function aggregatedFields ({ by, aggregates }: Pick<StatsStage, 'by' | 'aggregates'>): Set<string> {
  return new Set([...by, ...aggregates.flatMap(aggregateFields)])
}

/** The fields that an aggregate reads. */
function aggregateFields ({ function: name, field, expr }: Aggregate): string[] {
  const time = name === 'earliest' || name === 'latest' || name === 'earliest_time' || name === 'latest_time' ? ['_time'] : []
  return [...time, ...field === null ? [] : [field], ...expr === undefined ? [] : expressionFields(expr)]
}

/** The fields that become these ones by a rename. Null, for all, where one name could come of several. */
function namesBefore ({ renames }: RenameStage, after: ReadonlySet<string>): Set<string> | null {
  let needed = new Set(after)
  for (const { field, as } of renames.toReversed()) {
    if (countWildcards(field) > 1) return null
    const newName = compileNewName({ field, as })
    const capture = compileCapture(as)
    const before = new Set<string>()
    for (const name of needed) {
      const captures = capture(name)
      const old = captures === null ? null : fillWildcards(field, captures)
      if (old !== null && newName(old) === name) before.add(old)
      // The field of this very name stays unless it is renamed itself; without wildcards also not where it is a new name (R73).
      if (newName(name) === null && (field.includes('*') || name !== as)) before.add(name)
    }
    needed = before
  }
  return needed
}

/** The columns that a stage adds to those there are. */
function fieldsMade (stage: Stage): readonly string[] {
  switch (stage.kind) {
    case 'bin': return [stage.as]
    case 'eval': return stage.assignments.map(({ field }) => field)
    case 'convert': return stage.conversions.filter(one => one.function !== 'none' && !one.field.includes('*')).map(({ as }) => as)
    case 'rex': return stage.names
    case 'spath': return stage.path === null ? [] : [stage.output]
    case 'stats':
    case 'eventstats': return stage.aggregates.map(({ as }) => as)
    case 'addtotals': return [stage.as]
    case 'fillnull': return stage.fields ?? []
    case 'lookup': return stage.outputs.map(({ field }) => field)
    case 'inputlookup': return stage.columns
    default: return []
  }
}

/**
 * Whether a stage may make another value of a field than the event has, so that a BY field of this name can't be looked up in
 * events. The bin of `_time` is known, and a missing value that `fillnull` fills is too.
 */
function mayChange (stage: Stage, field: string): boolean {
  switch (stage.kind) {
    case 'bin': return !isTimeBin(stage) && stage.as === field
    case 'rename': return stage.renames.some(({ field: from, as }) => compileWildcard(from)(field) || compileWildcard(as)(field))
    case 'fillnull': return false
    case 'mvexpand': return stage.limit > 0 && stage.field === field // with all its values the event is found by each
    case 'makemv':
    case 'nomv':
    case 'sed': return stage.field === field
    case 'convert': return stage.conversions.some(({ function: name, as }) => name !== 'none' && compileWildcard(as)(field))
    case 'foreach': return targetPatterns(stage).some(pattern => compileWildcard(pattern)(field))
    case 'spath': return stage.path === null || stage.output === field
    case 'replace': return stage.fields === null || stage.fields.includes(field)
    case 'join': return !stage.fields.includes(field)
    default: return fieldsMade(stage).includes(field)
  }
}

/** The fields that a template sets, `*` for each placeholder. */
function targetPatterns ({ assignments }: ForeachStage): string[] {
  return assignments.map(({ field }) => field.replace(/<<\w+>>/g, '*'))
}

/** A stage that makes groups of rows, whose BY values tell its results apart. */
type GroupingStage = StatsStage | TopStage

function isGrouping (stage: Stage): stage is GroupingStage {
  return stage.kind === 'stats' || stage.kind === 'top' || stage.kind === 'rare'
}

function groupFields (stage: GroupingStage): readonly string[] {
  return stage.kind === 'stats' ? stage.by : [...stage.by, ...stage.fields]
}

function identityOf (stages: readonly Stage[]): Identity {
  const last = stages.findLastIndex(isGrouping)
  const grouping = stages[last]
  if (grouping === undefined || !isGrouping(grouping)) return { kind: 'event' }
  const fields = groupFields(grouping)
  if (fields.length === 0) return { kind: 'none' }
  const before = stages.slice(0, last)
  return { kind: 'by', fields: fields.map(name => identityField(name, before)) }
}

function identityField (name: string, before: readonly Stage[]): IdentityField {
  const isFilled = (stage: Stage) => stage.kind === 'fillnull' && (stage.fields === null || stage.fields.includes(name))
  const fillers = before.flatMap(stage => stage.kind === 'fillnull' && isFilled(stage) ? [stage.value] : [])
  const firstFill = before.findIndex(isFilled)
  // What is filled before it is aggregated, and then grouped again, is no event's value any more.
  const computed = before.some((stage, index) => mayChange(stage, name) || (firstFill >= 0 && index > firstFill && isGrouping(stage)))
  return { name, computed, ...(fillers.length > 0 && !computed ? { fillers } : {}) }
}

function isLocal (stage: Stage): boolean {
  if (mayChange(stage, '_time') || subsearchesOf(stage).length > 0) return false
  switch (stage.kind) {
    case 'stats': return stage.by.includes('_time')
    case 'where': return isTimeless(stage.expr)
    case 'eval':
    case 'foreach': return stage.assignments.every(({ expr }) => isTimeless(expr))
    case 'sort': return stage.count === 0
    case 'search':
    case 'bin':
    case 'table':
    case 'fields':
    case 'rename':
    case 'convert':
    case 'fillnull':
    case 'lookup':
    case 'mvexpand':
    case 'makemv':
    case 'nomv':
    case 'addtotals':
    case 'replace':
    case 'regex':
    case 'rex':
    case 'sed':
    case 'spath':
    case 'reverse': return true
    default: return false
  }
}

function resultColumns (stages: readonly Stage[]): readonly string[] | null {
  let columns: readonly string[] | null = null
  for (const stage of stages) columns = columnsAfter(stage, columns)
  return columns
}

/** The columns behind a stage; null where they hang on the events. */
function columnsAfter (stage: Stage, columns: readonly string[] | null): readonly string[] | null {
  switch (stage.kind) {
    case 'stats': return [...stage.by, ...fieldsMade(stage)]
    case 'top':
    case 'rare': return [...groupFields(stage), stage.countfield, stage.percentfield].filter(name => name !== null)
    case 'table': return tableColumns(stage.fields, columns)
  }
  if (columns === null) return null
  switch (stage.kind) {
    case 'fields': return compileFieldList(stage)(columns)
    case 'foreach': return targetPatterns(stage).some(pattern => pattern.includes('*')) ? null : [...new Set([...columns, ...targetPatterns(stage)])]
    case 'spath': return stage.path === null ? null : [...new Set([...columns, stage.output])]
    case 'join': return joinColumns(columns, resultColumns(stage.search.stages))
    case 'rename': return stage.renames.reduce((names, part) => [...renameColumns(new Map(names.map(name => [name, ''])), compileNewName(part)).keys()], columns)
    default: return [...new Set([...columns, ...fieldsMade(stage)])]
  }
}

function joinColumns (columns: readonly string[], others: readonly string[] | null): readonly string[] | null {
  return others === null ? null : [...new Set([...columns, ...others])]
}

function tableColumns (fields: readonly string[], before: readonly string[] | null): readonly string[] | null {
  if (!fields.some(field => field.includes('*'))) return fields
  if (before === null) return null
  return [...new Set(fields.flatMap(field => field.includes('*') ? before.filter(compileColumnTest(field)) : field))]
}

/** The condition that the events behind a row meet: the base predicate, which is that of every row, and the row's own BY values (R33). */
export interface Contributing {
  readonly base: Predicate
  readonly own: Predicate
  /** Both. */
  readonly predicate: Predicate
  /** Other events may meet it too, since a BY field was computed or rows were filtered in between. */
  readonly approximate: boolean
}

/** Which bin the events lie in is for the caller to add. For rows that are still events it says nothing about the row: such a row is its own evidence. */
export function contributingPredicate (plan: SearchPlan, origin: readonly Value[]): Contributing {
  const isPushed = plan.query.stats !== null
  const leading = isPushed ? [] : leadingPredicates(plan.stages)
  const lastGrouping = plan.stages.findLastIndex(isGrouping)
  const between = plan.stages.slice(leading.length, Math.max(leading.length, lastGrouping))
  const fields = plan.identity.kind === 'by' ? plan.identity.fields : []
  const { span } = plan.query.predicate
  const terms = fields.flatMap(({ name, computed, fillers = [] }, index) => computed || name === '_time'
    ? []
    : toScalars(origin[index]).map((value): Predicate => {
      const is: Predicate = { kind: 'is', field: name, value, span }
      if (!fillers.some(filler => filler === toText(value))) return is
      return { kind: 'or', terms: [is, lacks(name, span)], span }
    }))
  // What a search in brackets says isn't known here.
  const [unknown, known] = [true, false].map(is => [plan.query.predicate, ...leading].flatMap(andTerms).filter(term => hasSubsearch(term) === is)) as [Predicate[], Predicate[]]
  return {
    base: allOf(known, span),
    own: allOf(terms, span),
    predicate: allOf([...known, ...terms], span),
    approximate: unknown.length > 0 || plan.identity.kind === 'event' || between.some(dropsRows) || (isPushed && lastGrouping >= 0) || fields.some(field => field.computed),
  }
}

/**
 * What every event meets that could change the rows of a search: that it comes in at its beginning, or at that of a search in brackets. What a search in
 * brackets says isn't known here, so any event may meet it.
 */
export function relevantPredicate ({ query: { predicate, stats }, stages }: SearchPlan): Predicate {
  const base: SearchStage = { kind: 'search', predicate, span: predicate.span }
  return relevantTo([base, ...stats === null ? [] : [stats], ...stages], predicate.span)
}

function relevantTo (stages: readonly Stage[], span: Span): Predicate {
  const known = leadingPredicates(stages).flatMap(andTerms).filter(term => !hasSubsearch(term))
  const inner = stages.flatMap(subsearchesOf).map(search => relevantTo(search.stages, span))
  const any = [allOf(known, span), ...inner].filter(predicate => !isNothing(predicate))
  return any.find(({ kind }) => kind === 'all') ?? (any.length === 0 ? nothing(span) : joinTerms('or', any, span))
}

/** Whether fewer rows may come out of a stage than of its events went in. */
function dropsRows (stage: Stage): boolean {
  switch (stage.kind) {
    case 'where':
    case 'search':
    case 'stats':
    case 'top':
    case 'rare':
    case 'dedup':
    case 'head':
    case 'regex':
    case 'tail': return true
    case 'join': return stage.type === 'inner'
    case 'sort': return stage.count !== 0
    default: return false
  }
}

/** The lookups that a search names, in brackets too; each once. */
export function lookupNames (search: Subsearch): string[] {
  return [...new Set(allStages(search).flatMap(stage => stage.kind === 'lookup' || stage.kind === 'inputlookup' ? stage.name : []))]
}

/** The stages of a search and of those in brackets within it. */
function allStages ({ stages }: Subsearch): Stage[] {
  return stages.flatMap(stage => [stage, ...subsearchesOf(stage).flatMap(allStages)])
}

/** The plan of `… | stats count` over the events that meet a condition: one row with the column `count`. */
export function planCount (predicate: Predicate, columns: ReadonlySet<string>): SearchPlan {
  const { span } = predicate
  const stats: StatsStage = { kind: 'stats', aggregates: [{ function: 'count', field: null, as: 'count', span }], by: [], span }
  return planSearch({ stages: [{ kind: 'search', predicate, span }, stats], span }, { columns, pushDown: 'on' })
}
