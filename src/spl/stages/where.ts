import type { WhereStage } from '../ast.js'
import { compileExpression } from '../expression.js'
import type { EvalContext } from '../functions/function.js'
import type { Row } from '../row.js'

/** R53: whether a row is kept, which it is only if the condition is true; false and null drop it. */
export function compileWhere (stage: WhereStage, context: EvalContext): (row: Row) => boolean {
  const evaluate = compileExpression(stage.expr, context)
  return row => evaluate(row.values) === true
}
