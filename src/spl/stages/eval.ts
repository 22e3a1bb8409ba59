import type { EvalStage } from '../ast.js'
import { compileExpression } from '../expression.js'
import type { EvalContext } from '../functions/function.js'
import type { Row } from '../row.js'

/** R55: sets fields from left to right, each seeing the ones before. A field that becomes null is gone. */
export function compileEval (stage: EvalStage, context: EvalContext): (row: Row) => void {
  const assignments = stage.assignments.map(({ field, expr }) => ({ field, evaluate: compileExpression(expr, context) }))
  return ({ values }) => {
    for (const { field, evaluate } of assignments) {
      const result = evaluate(values)
      if (result === undefined || typeof result === 'boolean') values.delete(field)
      else values.set(field, result)
    }
  }
}
