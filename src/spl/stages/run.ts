import type { Stage } from '../ast.js'
import type { EvalContext } from '../functions/function.js'
import type { LookupTable } from '../lookup.js'
import type { Row } from '../row.js'
import type { RunSubsearch } from '../subsearch.js'
import { resolveSubsearches } from '../subsearch.js'
import { compileAddtotals } from './addtotals.js'
import { compileBin } from './bin.js'
import { compileConvert } from './convert.js'
import { dedup, openDedup } from './dedup.js'
import { compileEval } from './eval.js'
import { eventstats } from './eventstats.js'
import { compileFields } from './fields.js'
import { compileFill, fillNull } from './fillnull.js'
import { foreach } from './foreach.js'
import { head, openHead, reverse, tail } from './head.js'
import { openHolder, sizeOf } from './hold.js'
import { join } from './join.js'
import { compileLookupStage, inputlookup } from './lookup.js'
import { compileMakemv, compileNomv, mvexpand } from './multivalue.js'
import { compileRegexStage } from './regex.js'
import { compileRename } from './rename.js'
import { compileReplace } from './replace.js'
import { compileRex, compileSed } from './rex.js'
import { compilePredicate } from './search.js'
import { sort } from './sort.js'
import { compileSpath } from './spath.js'
import { openStats } from './stats.js'
import { compileTable } from './table.js'
import { top } from './top.js'
import { compileWhere } from './where.js'

/** How many rows pass between two calls of `alive`. */
const ROWS_PER_CHECK = 1_024

export interface RunContext extends EvalContext {
  /** Those that the stages name. */
  readonly lookups: ReadonlyMap<string, LookupTable>
  readonly subsearch: RunSubsearch
}

type Pipe = (rows: Iterable<Row>) => Iterable<Row>

/** What a stage that looks at one row after the other makes of it; null leaves it out. */
type Step = (row: Row) => Row | null

/**
 * Sends rows through the stages. The result is made while it is read; what needs all rows first (stats, sort and the like) reads them then.
 * Rows are handed over: stages change them in place.
 */
export function runStages (stages: readonly Stage[], rows: Iterable<Row>, context: RunContext): Iterable<Row> {
  const pipes: Pipe[] = []
  for (let rest = stages; rest.length > 0;) {
    const { steps, behind } = leadingSteps(rest, context)
    if (steps.length > 0) pipes.push(rows => takeSteps(rows, steps))
    if (behind.length > 0) pipes.push(openPipe(behind[0]!, context))
    rest = behind.slice(1)
  }
  return pipes.reduce((result, pipe) => pipe(result), watch(rows, context.alive))
}

/**
 * The same for rows that come one by one, of several searches in turn: `add` does what can be done at once, `rows` the rest. What is
 * neither dropped nor aggregated is held; AppError `invalid` where that is too much. Of the result no more than `wanted` rows are.
 */
export function openSink (stages: readonly Stage[], context: RunContext, wanted: number) {
  const { steps, behind: [next, ...rest] } = leadingSteps(stages, context, stage => stage.kind === 'head' ? keep(openHead(stage)) : compileStep(stage, context))
  const stats = next?.kind === 'stats' ? openStats(next, context) : null
  const holder = openHolder('a search that is run beside others')
  const held: Row[] = []
  return {
    add (row: Row): void {
      const result = takeStepsOf(row, steps)
      if (result === null) return
      if (stats !== null) stats.add(result)
      else if (next !== undefined || held.length < wanted) {
        holder.add(sizeOf(result))
        held.push(result)
      }
    },
    rows: (): Iterable<Row> => stats === null
      ? runStages(next === undefined ? [] : [next, ...rest], held, context)
      : runStages(rest, stats.rows(), context),
  }
}
export type Sink = ReturnType<typeof openSink>

function leadingSteps (stages: readonly Stage[], context: RunContext, toStep = (stage: Stage) => compileStep(stage, context)): { steps: Step[], behind: readonly Stage[] } {
  const steps: Step[] = []
  for (const stage of stages) {
    const step = toStep(stage)
    if (step === null) break
    steps.push(step)
  }
  return { steps, behind: stages.slice(steps.length) }
}

/** Stages that `compileStep` always makes a step of. */
type StepStage = Extract<Stage, { kind: 'search' | 'where' | 'regex' | 'bin' | 'eval' | 'convert' | 'makemv' | 'nomv' | 'addtotals' | 'spath' | 'rex' | 'sed' | 'replace' | 'lookup' | 'table' | 'fields' | 'rename' }>

/** Of a stage that looks at one row after the other; null of any other. */
function compileStep (stage: Stage, context: RunContext): Step | null {
  const { warn } = context
  switch (stage.kind) {
    case 'search': {
      if (stage.predicate.kind === 'all') return row => row
      const test = compilePredicate(resolveSubsearches(stage.predicate, context.subsearch))
      return keep(({ values }) => test(field => values.get(field)))
    }
    case 'where': return keep(compileWhere(stage, context))
    case 'regex': return keep(compileRegexStage(stage, warn))
    case 'bin': return change(compileBin(stage, context.timeZone))
    case 'eval': return change(compileEval(stage, context))
    case 'convert': return change(compileConvert(stage, context))
    case 'makemv': return change(compileMakemv(stage, warn))
    case 'nomv': return change(compileNomv(stage))
    case 'addtotals': return change(compileAddtotals(stage))
    case 'spath': return change(compileSpath(stage))
    case 'rex': return change(compileRex(stage, warn))
    case 'sed': return change(compileSed(stage, warn))
    case 'replace': return change(compileReplace(stage))
    case 'lookup': return change(compileLookupStage(stage, lookupOf(stage.name, context)))
    case 'fillnull': return stage.fields === null ? null : change(compileFill(stage.value, stage.fields))
    case 'table': return compileTable(stage)
    case 'fields': return compileFields(stage)
    case 'rename': return compileRename(stage)
    case 'dedup': return stage.sortby.length === 0 ? keep(openDedup(stage)) : null
    default: return null
  }
}

/** Of a stage that looks at several rows. */
function openPipe (stage: Stage, context: RunContext): Pipe {
  const watched = (pipe: Pipe): Pipe => rows => watch(pipe(rows), context.alive)
  switch (stage.kind) {
    case 'stats': return watched(rows => aggregate(rows, openStats(stage, context)))
    case 'fillnull': return watched(rows => fillNull(rows, stage.value))
    case 'dedup': return watched(dedup(stage))
    case 'sort': return watched(sort(stage))
    case 'head': return head(stage)
    case 'tail': return watched(tail(stage))
    case 'reverse': return watched(reverse)
    case 'top':
    case 'rare': return watched(top(stage))
    case 'eventstats': return watched(eventstats(stage, context))
    case 'mvexpand': return watched(mvexpand(stage))
    case 'foreach': return watched(foreach(stage, context))
    case 'join': return watched(join(stage, context.subsearch))
    case 'inputlookup': return watched(inputlookup(stage, lookupOf(stage.name, context), context.subsearch))
    default: throw new Error(`${(stage satisfies StepStage).kind} looks at one row at a time`) // a stage added to the AST fails to compile here
  }
}

function lookupOf (name: string, { lookups }: RunContext): LookupTable {
  const table = lookups.get(name)
  if (table === undefined) throw new Error('a lookup that the plan has not brought')
  return table
}

function keep (test: (row: Row) => boolean): Step {
  return row => test(row) ? row : null
}

function change (set: (row: Row) => void): Step {
  return row => {
    set(row)
    return row
  }
}

function takeStepsOf (row: Row, steps: readonly Step[]): Row | null {
  let result: Row | null = row
  for (let i = 0; i < steps.length && result !== null; i++) result = steps[i]!(result)
  return result
}

function * takeSteps (rows: Iterable<Row>, steps: readonly Step[]): Iterable<Row> {
  for (const row of rows) {
    const result = takeStepsOf(row, steps)
    if (result !== null) yield result
  }
}

function * aggregate (rows: Iterable<Row>, stats: ReturnType<typeof openStats>): Iterable<Row> {
  for (const row of rows) stats.add(row)
  yield * stats.rows()
}

function * watch (rows: Iterable<Row>, alive: () => void): Iterable<Row> {
  let seen = 0
  for (const row of rows) {
    if (seen++ % ROWS_PER_CHECK === 0) alive()
    yield row
  }
}
