import type { BinaryOp, Expr } from './ast.js'
import { compare } from './compare.js'
import { EVAL_FUNCTIONS } from './functions.js'
import { asNumber, asText, MAX_TEXT, toFinite } from './functions/function.js'
import type { EvalContext, Evaluate, Result } from './functions/function.js'
import { isMultivalue } from './value.js'

/** Turns an expression into one function over a row's fields, so that nothing is looked up again for each row (R50–R55). */
export function compileExpression (expr: Expr, context: EvalContext): Evaluate {
  const compile = (operand: Expr) => compileExpression(operand, context)
  switch (expr.kind) {
    case 'string':
    case 'number': return () => expr.value
    case 'field': return fields => fields.get(expr.name)
    case 'unary': return compileUnary(expr.op, compile(expr.operand))
    case 'binary': return compileBinary(expr.op, compile(expr.left), compile(expr.right))
    case 'call': return EVAL_FUNCTIONS.get(expr.name)!.compile(expr.args.map(compile), context, expr.args) // the parser has looked it up
    default: return expr satisfies never
  }
}

function compileUnary (op: '-' | '+' | 'NOT', operand: Evaluate): Evaluate {
  switch (op) {
    case 'NOT': return fields => {
      const truth = operand(fields)
      return typeof truth === 'boolean' ? !truth : undefined // NOT null is null, which where drops too (R51)
    }
    case '-': return fields => toFinite(0 - (asNumber(operand(fields)) ?? NaN))
    case '+': return fields => toFinite(asNumber(operand(fields)) ?? NaN)
    default: return op satisfies never
  }
}

function compileBinary (op: BinaryOp, left: Evaluate, right: Evaluate): Evaluate {
  switch (op) {
    case 'AND': return fields => {
      const a = left(fields)
      if (a === false) return false
      const b = right(fields)
      return b === false ? false : a === true && b === true ? true : undefined
    }
    case 'OR': return fields => {
      const a = left(fields)
      if (a === true) return true
      const b = right(fields)
      return b === true ? true : a === false && b === false ? false : undefined
    }
    case 'XOR': return fields => {
      const a = left(fields)
      const b = right(fields)
      return typeof a === 'boolean' && typeof b === 'boolean' ? a !== b : undefined
    }
    case '=': return compileComparison(left, right, order => order === 0)
    case '!=': return compileComparison(left, right, order => order !== 0)
    case '<': return compileComparison(left, right, order => order < 0)
    case '<=': return compileComparison(left, right, order => order <= 0)
    case '>': return compileComparison(left, right, order => order > 0)
    case '>=': return compileComparison(left, right, order => order >= 0)
    case '+': return fields => add(left(fields), right(fields))
    case '-': return compileArithmetic(left, right, (a, b) => a - b)
    case '*': return compileArithmetic(left, right, (a, b) => a * b)
    case '/': return compileArithmetic(left, right, (a, b) => a / b)
    case '%': return compileArithmetic(left, right, (a, b) => a % b)
    case '.': return fields => {
      const a = asText(left(fields))
      const b = asText(right(fields))
      return a === null || b === null ? undefined : join(a, b)
    }
    default: return op satisfies never
  }
}

/** A comparison with null is null (R51). Of a multivalue one value is enough; two multivalues can't be compared. */
function compileComparison (left: Evaluate, right: Evaluate, holds: (order: number) => boolean): Evaluate {
  return fields => {
    const a = left(fields)
    const b = right(fields)
    if (a === undefined || b === undefined || typeof a === 'boolean' || typeof b === 'boolean') return undefined
    if (!isMultivalue(a)) return isMultivalue(b) ? b.some(one => holds(compare(a, one))) : holds(compare(a, b))
    return isMultivalue(b) ? undefined : a.some(one => holds(compare(one, b)))
  }
}

/** What isn't a number makes the result null, and so does a result that isn't one (division by zero). */
function compileArithmetic (left: Evaluate, right: Evaluate, operate: (a: number, b: number) => number): Evaluate {
  return fields => {
    const a = asNumber(left(fields))
    const b = a === null ? null : asNumber(right(fields))
    return a === null || b === null ? undefined : toFinite(operate(a, b))
  }
}

/** `+` adds two numbers and joins two texts; of one of each it makes null. */
function add (left: Result, right: Result): Result {
  const a = asNumber(left)
  const b = asNumber(right)
  if (a !== null && b !== null) return toFinite(a + b)
  return a === null && b === null && typeof left === 'string' && typeof right === 'string' ? join(left, right) : undefined
}

function join (a: string, b: string): string {
  return a.length + b.length <= MAX_TEXT ? a + b : (a + b).slice(0, MAX_TEXT).toWellFormed()
}
