import type { Aggregate, StatsStage } from '../ast.js'
import { compileExpression } from '../expression.js'
import type { EvalContext } from '../functions/function.js'
import type { Row, Scalar, Value } from '../row.js'
import { combinations, compareScalars, compareUtf8, isMultivalue, toKey, toScalars, toText, toValue } from '../value.js'
import { List, Mode, Moment, Percentile, Place, Range, Sum } from './aggregates.js'

/**
 * An aggregate over a part of the events, made elsewhere: for count the number; for dc, values, min and max the values of the
 * field in that part (distinct or not).
 */
export type Partial = number | readonly Scalar[]

/** A group that was aggregated elsewhere, its partials in the order of the stage's aggregates. */
export interface PartialGroup { readonly by: readonly Scalar[], readonly partials: readonly Partial[] }

/**
 * A row whose BY fields are multivalues is in the group of each combination (R32). Two long lists would make millions of
 * one event, so a row is in this many groups at most.
 */
export const MAX_GROUPS_PER_ROW = 10_000

interface Group { readonly by: Scalar[], readonly aggregates: readonly Accumulator[] }

/**
 * Groups rows and aggregates them (R30–R44). Values are told apart by their text; of 42 and "42" the string is kept. Aggregates of
 * expressions need the context of the run. `onGroup` hears of each new group.
 */
export function openStats (stage: StatsStage, context: EvalContext | null = null, onGroup: (by: readonly Scalar[]) => void = () => {}) {
  const groups = new Map<string, Group>()
  const inputs = stage.aggregates.map(aggregate => compileInput(aggregate, context))
  if (stage.by.length === 0) groupOf([]) // without BY there is one row even of no input (R43)

  function groupOf (by: readonly Scalar[]): Group {
    const key = toKey(by)
    const known = groups.get(key)
    if (known === undefined) {
      const group = { by: [...by], aggregates: stage.aggregates.map(openAccumulator) }
      groups.set(key, group)
      onGroup(by)
      return group
    }
    for (let i = 0; i < by.length; i++) {
      if (typeof known.by[i] === 'number') known.by[i] = by[i]! // of 42 and "42" the string is kept
    }
    return known
  }

  function addTo (group: Group, row: Row): void {
    for (let i = 0; i < inputs.length; i++) group.aggregates[i]!.add(inputs[i]!(row), row)
  }

  return {
    add (row: Row): void {
      const by: Scalar[] = []
      for (const field of stage.by) {
        const value = row.values.get(field)
        if (value === undefined) return // R31
        if (isMultivalue(value)) return addToEach(row)
        by.push(value)
      }
      addTo(groupOf(by), row)
    },

    addPartial ({ by, partials }: PartialGroup): void {
      const group = groupOf(by)
      partials.forEach((partial, index) => {
        const aggregate = group.aggregates[index]
        if (aggregate?.addPartial === undefined) throw new Error('an aggregate that has no partials')
        aggregate.addPartial(partial)
      })
    },

    /** What `addPartial` of another takes; only where each aggregate has partials. */
    partials (): PartialGroup[] {
      return [...groups.values()].map(({ by, aggregates }) => ({ by, partials: aggregates.map(aggregate => aggregate.partial!()) }))
    },

    /** The result, ascending by the BY fields (R42): BY columns first, then the aggregates; a column without a value is missing. In whatever order they came, rows are in one. */
    rows (): Row[] {
      const sorted = [...groups.values()].sort((a, b) => compareLists(a.by, b.by) || compareUtf8(toKey(a.by), toKey(b.by)))
      return sorted.map(({ by, aggregates }) => {
        const values = new Map<string, Value>(stage.by.map((field, index) => [field, by[index]!]))
        aggregates.forEach((aggregate, index) => {
          const value = aggregate.value()
          if (value !== undefined) values.set(stage.aggregates[index]!.as, value)
        })
        return { values, origin: by }
      })
    },
  }

  function addToEach (row: Row): void {
    const choices = stage.by.map(field => [...distinctByText(toScalars(row.values.get(field))).values()])
    for (const by of combinations(choices, MAX_GROUPS_PER_ROW)) addTo(groupOf(by), row)
  }
}

function compareLists (a: readonly Scalar[], b: readonly Scalar[]): number {
  for (let i = 0; i < a.length; i++) {
    const order = compareScalars(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return 0
}

function distinctByText (values: readonly Scalar[], into = new Map<string, Scalar>()): Map<string, Scalar> {
  for (const value of values) {
    if (typeof value === 'string') into.set(value, value)
    else if (!into.has(String(value))) into.set(String(value), value)
  }
  return into
}

/** What an aggregate is given of a row: 1 for a bare count and for a condition that is true, else a value. */
function compileInput ({ field, expr }: Aggregate, context: EvalContext | null): (row: Row) => Value | undefined {
  if (expr === undefined) return field === null ? () => 1 : ({ values }) => values.get(field)
  if (context === null) throw new Error('an expression without the context of a run')
  const evaluate = compileExpression(expr, context)
  return ({ values }) => {
    const result = evaluate(values)
    return typeof result === 'boolean' ? (result ? 1 : undefined) : result
  }
}

/** One aggregate of one group. Only those that stores make themselves have partials. */
export interface Accumulator {
  add (value: Value | undefined, row: Row): void
  addPartial? (partial: Partial): void
  partial? (): Partial
  value (): Value | undefined
}

function openAccumulator (aggregate: Aggregate): Accumulator {
  switch (aggregate.function) {
    case 'count': return new Count()
    case 'dc': return new DistinctCount()
    case 'values': return new DistinctValues()
    case 'min': return new Extreme(-1)
    case 'max': return new Extreme(1)
    case 'list': return new List()
    case 'first':
    case 'last': return new Place(aggregate.function)
    case 'earliest':
    case 'latest': return new Moment(aggregate.function, 'value')
    case 'earliest_time': return new Moment('earliest', 'time')
    case 'latest_time': return new Moment('latest', 'time')
    case 'sum':
    case 'sumsq':
    case 'avg':
    case 'stdev':
    case 'stdevp':
    case 'var':
    case 'varp': return new Sum(aggregate.function)
    case 'range': return new Range()
    case 'perc': return new Percentile(aggregate.percent ?? 50)
    case 'mode': return new Mode()
    default: return aggregate.function satisfies never
  }
}

/** R34: counts results, or the values of a field. */
class Count implements Accumulator {
  #count = 0
  add (value: Value | undefined): void {
    if (value !== undefined) this.#count += isMultivalue(value) ? value.length : 1
  }

  addPartial (partial: Partial): void { this.#count += typeof partial === 'number' ? partial : partial.length }
  partial (): number { return this.#count }
  value (): number { return this.#count }
}

/** R36: the distinct values in UTF-8 order. */
class DistinctValues implements Accumulator {
  readonly #values = new Map<string, Scalar>()
  add (value: Value | undefined): void {
    if (typeof value === 'string') this.#values.set(value, value)
    else distinctByText(toScalars(value), this.#values)
  }

  addPartial (partial: Partial): void { distinctByText(toList(partial), this.#values) }
  partial (): Scalar[] { return [...this.#values.values()] }
  value (): Value | undefined {
    return toValue([...this.#values.keys()].sort(compareUtf8).map(text => this.#values.get(text)!))
  }
}

/** R35: how many distinct values there are, case-sensitively. */
class DistinctCount implements Accumulator {
  readonly #texts = new Set<string>()
  add (value: Value | undefined): void {
    if (typeof value === 'string') this.#texts.add(value)
    else this.addPartial(toScalars(value))
  }

  addPartial (partial: Partial): void {
    for (const value of toList(partial)) this.#texts.add(toText(value))
  }

  partial (): string[] { return [...this.#texts] }
  value (): number { return this.#texts.size }
}

/** R38: the least (sign -1) or greatest (sign 1) value. */
class Extreme implements Accumulator {
  #best: Scalar | undefined
  constructor (readonly sign: 1 | -1) {}

  add (value: Value | undefined): void {
    if (value === undefined) return
    if (isMultivalue(value)) value.forEach(scalar => this.#take(scalar))
    else this.#take(value)
  }

  addPartial (partial: Partial): void { toList(partial).forEach(scalar => this.#take(scalar)) }
  partial (): Scalar[] { return this.#best === undefined ? [] : [this.#best] }
  value (): Scalar | undefined { return this.#best }

  #take (value: Scalar): void {
    if (this.#best === undefined) this.#best = value
    else {
      const order = compareScalars(value, this.#best) * this.sign
      if (order > 0 || (order === 0 && isRather(value, this.#best))) this.#best = value
    }
  }
}

/** Of values that are equal, such as 1 and "1.0", one is kept in whatever order they come: a text, the first in UTF-8 order. */
function isRather (value: Scalar, best: Scalar): boolean {
  return typeof value === 'string' && (typeof best === 'number' || compareUtf8(value, best) < 0)
}

function toList (partial: Partial): readonly Scalar[] {
  return typeof partial === 'number' ? [partial] : partial
}
