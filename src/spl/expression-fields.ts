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
