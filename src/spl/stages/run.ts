import type { Stage } from '../ast.js'
import type { EvalContext } from '../functions/function.js'
import type { LookupTable } from '../lookup.js'
import type { Row } from '../row.js'
import type { RunSubsearch } from '../subsearch.js'
import { resolveSubsearches } from '../subsearch.js'
import { compileAddtotals } from './addtotals.js'
import { compileBin } from './bin.js'
import { compileConvert } from './convert.js'
import { dedup } from './dedup.js'
import { compileEval } from './eval.js'
import { eventstats } from './eventstats.js'
import { compileFields } from './fields.js'
import { fillNull } from './fillnull.js'
import { foreach } from './foreach.js'
import { head, reverse, tail } from './head.js'
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

/**
 * Sends rows through the stages. The result is made while it is read; what needs all rows first (stats, sort and the like) reads them then.
 * Rows are handed over: stages change them in place.
 */
export function runStages (stages: readonly Stage[], rows: Iterable<Row>, context: RunContext): Iterable<Row> {
  return stages
    .map(stage => openStage(stage, context))
    .reduce((result, pipe) => pipe(result), watch(rows, context.alive))
}

function openStage (stage: Stage, context: RunContext): Pipe {
  const { warn } = context
  const watched = (pipe: Pipe): Pipe => rows => watch(pipe(rows), context.alive)
  switch (stage.kind) {
    case 'search': {
      if (stage.predicate.kind === 'all') return rows => rows
      const test = compilePredicate(resolveSubsearches(stage.predicate, context.subsearch))
      return rows => filter(rows, ({ values }) => test(field => values.get(field)))
    }
    case 'bin': return through(compileBin(stage))
    case 'stats': return watched(rows => aggregate(rows, openStats(stage, context)))
    case 'eval': return through(compileEval(stage, context))
    case 'where': {
      const test = compileWhere(stage, context)
      return rows => filter(rows, test)
    }
    case 'table': {
      const change = compileTable(stage)
      return rows => map(rows, change)
    }
    case 'convert': return through(compileConvert(stage, context))
    case 'fields': {
      const change = compileFields(stage)
      return rows => map(rows, change)
    }
    case 'rename': {
      const change = compileRename(stage)
      return rows => map(rows, change)
    }
    case 'fillnull': return watched(fillNull(stage))
    case 'dedup': return watched(dedup(stage))
    case 'sort': return watched(sort(stage))
    case 'head': return head(stage)
    case 'tail': return watched(tail(stage))
    case 'reverse': return watched(reverse)
    case 'top':
    case 'rare': return watched(top(stage))
    case 'eventstats': return watched(eventstats(stage, context))
    case 'mvexpand': return watched(mvexpand(stage))
    case 'makemv': return through(compileMakemv(stage, warn))
    case 'nomv': return through(compileNomv(stage))
    case 'addtotals': return through(compileAddtotals(stage))
    case 'foreach': return watched(foreach(stage, context))
    case 'spath': return through(compileSpath(stage))
    case 'regex': {
      const test = compileRegexStage(stage, warn)
      return rows => filter(rows, test)
    }
    case 'rex': return through(compileRex(stage, warn))
    case 'sed': return through(compileSed(stage, warn))
    case 'replace': return through(compileReplace(stage))
    case 'join': return watched(join(stage, context.subsearch))
    case 'lookup': return through(compileLookupStage(stage, lookupOf(stage.name, context)))
    case 'inputlookup': return watched(inputlookup(stage, lookupOf(stage.name, context), context.subsearch))
    default: return stage satisfies never
  }
}

function lookupOf (name: string, { lookups }: RunContext): LookupTable {
  const table = lookups.get(name)
  if (table === undefined) throw new Error('a lookup that the plan has not brought')
  return table
}

function through (change: (row: Row) => void): Pipe {
  return rows => map(rows, row => {
    change(row)
    return row
  })
}

function * map (rows: Iterable<Row>, change: (row: Row) => Row): Iterable<Row> {
  for (const row of rows) yield change(row)
}

function * filter (rows: Iterable<Row>, test: (row: Row) => boolean): Iterable<Row> {
  for (const row of rows) if (test(row)) yield row
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
