import type { BinaryOp, Expr } from './ast.js'
import { asNumber, asText, EVAL_FUNCTIONS } from './functions.js'
import type { Evaluate, Result } from './functions.js'
import type { Scalar } from './row.js'
import { compareUtf8, isMultivalue, toNumber, toText } from './value.js'

/** Text that eval makes is cut at this length: x=x.x, said often enough, would be longer than any string can be. */
const MAX_TEXT = 1_000_000

/** Turns an expression into one function over a row's fields, so that nothing is looked up again for each row (R50–R55). */
export function compileExpression (expr: Expr): Evaluate {
  switch (expr.kind) {
    case 'string':
    case 'number': return () => expr.value
    case 'field': return fields => fields.get(expr.name)
    case 'unary': return compileUnary(expr.op, compileExpression(expr.operand))
    case 'binary': return compileBinary(expr.op, compileExpression(expr.left), compileExpression(expr.right))
    case 'call': return EVAL_FUNCTIONS.get(expr.name)!.compile(expr.args.map(compileExpression)) // the parser has looked it up
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

/** Numerically if both look like numbers (R50), else as text, case-sensitively (R52), in UTF-8 order. */
function compare (a: Scalar, b: Scalar): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const x = toNumber(a)
  const y = x === null ? null : toNumber(b)
  return x === null || y === null ? compareUtf8(toText(a), toText(b)) : x - y
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

function toFinite (number: number): number | undefined {
  return Number.isFinite(number) ? number + 0 : undefined // + 0 makes 0 of -0
}
