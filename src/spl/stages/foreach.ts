import { AppError } from '../../errors.js'
import type { EvalStage, Expr, ForeachStage } from '../ast.js'
import type { EvalContext } from '../functions/function.js'
import { compileCapture } from '../match.js'
import type { Row } from '../row.js'
import { compileEval } from './eval.js'
import { namesOf } from './fillnull.js'
import { holdRows } from './hold.js'
import { compileColumnTest } from './table.js'

/** For how many fields the template may be done: each may make a new one. */
const MAX_FIELDS = 1_000

/** What a field makes of the template: its name, and what the wildcards of its pattern stand for. */
interface Match { readonly name: string, readonly captures: readonly string[] }

/** Placeholders of a template, with what takes their place. */
export const PLACEHOLDERS: Readonly<Record<string, (match: Match) => string>> = {
  FIELD: ({ name }) => name,
  MATCHSTR: ({ captures }) => captures.join(''),
  MATCHSEG1: ({ captures }) => captures[0] ?? '',
  MATCHSEG2: ({ captures }) => captures[1] ?? '',
  MATCHSEG3: ({ captures }) => captures[2] ?? '',
}

/**
 * Does the template in each row, once for each field that any of the rows has and that matches, in the order of the patterns and then
 * of the columns. A name is put into the finished expression, so one with odd characters can't become anything but a name.
 */
export function foreach (stage: ForeachStage, context: EvalContext): (rows: Iterable<Row>) => Iterable<Row> {
  return function * (rows) {
    const held = holdRows(rows, 'foreach')
    const changes = matchFields(stage.fields, namesOf(held)).map(match => compileEval(fillStage(stage, match), context))
    for (const row of held) {
      for (const change of changes) change(row)
      yield row
    }
  }
}

function matchFields (patterns: readonly string[], names: ReadonlySet<string>): Match[] {
  const matches = new Map<string, Match>()
  for (const pattern of patterns) {
    const capture = compileCapture(pattern)
    const isColumn = pattern.includes('*') ? compileColumnTest(pattern) : () => true
    for (const name of names) {
      const captures = isColumn(name) ? capture(name) : null
      if (captures !== null && !matches.has(name)) matches.set(name, { name, captures })
    }
  }
  if (matches.size > MAX_FIELDS) throw new AppError('invalid', `foreach would have to go through more than ${MAX_FIELDS} fields`)
  return [...matches.values()]
}

function fillStage ({ assignments, span }: ForeachStage, match: Match): EvalStage {
  const fill = (text: string) => text.replace(/<<([A-Z]+\d?)>>/g, (whole, name: string) => Object.hasOwn(PLACEHOLDERS, name) ? PLACEHOLDERS[name]!(match) : whole)
  return { kind: 'eval', assignments: assignments.map(({ field, expr }) => ({ field: fill(field), expr: fillExpression(expr, fill) })), span }
}

function fillExpression (expr: Expr, fill: (text: string) => string): Expr {
  switch (expr.kind) {
    case 'number': return expr
    case 'string': return { ...expr, value: fill(expr.value) }
    case 'field': return { ...expr, name: fill(expr.name) }
    case 'unary': return { ...expr, operand: fillExpression(expr.operand, fill) }
    case 'binary': return { ...expr, left: fillExpression(expr.left, fill), right: fillExpression(expr.right, fill) }
    case 'call': return { ...expr, args: expr.args.map(arg => fillExpression(arg, fill)) }
    default: return expr satisfies never
  }
}
