import type { Expr } from './ast.js'

/** The fields that an expression reads. */
export function expressionFields (expr: Expr): Set<string> {
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

/** What gives something else each time it is asked. */
export const OF_THE_MOMENT: ReadonlySet<string> = new Set(['now', 'time'])

/** Whether an expression says the same of the same fields at any time. */
export function isTimeless (expr: Expr): boolean {
  switch (expr.kind) {
    case 'string': case 'number': case 'field': return true
    case 'unary': return isTimeless(expr.operand)
    case 'binary': return isTimeless(expr.left) && isTimeless(expr.right)
    case 'call': return !OF_THE_MOMENT.has(expr.name) && expr.args.every(isTimeless)
  }
}
