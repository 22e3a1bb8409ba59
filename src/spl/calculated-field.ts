import type { Expr } from './ast.js'
import { SplError } from './errors.js'
import { OF_THE_MOMENT } from './expression-fields.js'
import { compileExpression } from './expression.js'
import type { EvalContext, Evaluate } from './functions/function.js'
import { Tokens, toPlainText } from './lex.js'
import { expandMacros } from './macro.js'
import { parseValue } from './parse-expression.js'

/** Parses the expression of a calculated field. There are no macros in it. Throws SplError. */
export function parseCalculatedField (text: string): Expr {
  const source = toPlainText(expandMacros(text, new Map()))
  const tokens = new Tokens(source, 'expression', 0)
  const expr = parseValue(tokens)
  if (tokens.next.kind !== 'end') throw tokens.unexpected('the end of the expression')
  if (tokens.end < source.text.length) throw source.error('Expected the end of the expression, found "|"', tokens.end, tokens.end + 1)
  refuseOfTheMoment(expr, text)
  return expr
}

/** A calculated field as a function of an event's fields. */
export function compileCalculatedField (text: string, context: Omit<EvalContext, 'nowMs'>): Evaluate {
  return compileExpression(parseCalculatedField(text), { ...context, nowMs: 0 })
}

function refuseOfTheMoment (expr: Expr, text: string): void {
  switch (expr.kind) {
    case 'string': case 'number': case 'field': return
    case 'unary': return refuseOfTheMoment(expr.operand, text)
    case 'binary':
      refuseOfTheMoment(expr.left, text)
      return refuseOfTheMoment(expr.right, text)
    case 'call':
      if (OF_THE_MOMENT.has(expr.name)) throw new SplError(`A calculated field can't use ${expr.name}(): its value is the same whenever it is looked at`, text, expr.span)
      return expr.args.forEach(arg => refuseOfTheMoment(arg, text))
    default: expr satisfies never
  }
}
