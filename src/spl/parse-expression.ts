import type { BinaryOp, Expr } from './ast.js'
import { nearestHint, quote } from './errors.js'
import type { SplError } from './errors.js'
import { EVAL_FUNCTIONS } from './functions.js'
import type { Fault, ResultKind } from './functions/function.js'
import type { Token, Tokens } from './lex.js'

/** How tightly operators bind: a higher level binds tighter. NOT stands between AND and the comparisons (R3). */
export const LEVEL: Readonly<Record<BinaryOp | 'NOT', number>> = {
  XOR: 1, OR: 2, AND: 3, NOT: 4, '=': 5, '!=': 5, '<': 5, '<=': 5, '>': 5, '>=': 5, '.': 6, '+': 7, '-': 7, '*': 8, '/': 8, '%': 8,
}

/** The level of signs, above every binary operator. */
export const SIGN_LEVEL = 9

/** Words that are operators, whatever their letter case. */
export const OPERATOR_WORDS: ReadonlySet<string> = new Set(['AND', 'OR', 'XOR', 'NOT', 'IN', 'LIKE'])

/** What the arguments of some functions are, which come in twos. */
const PAIRS: ReadonlyMap<string, string> = new Map([['case', 'a condition and a value'], ['json_object', 'a key and a value'], ['validate', 'a condition and a value']])

/** How many operators and calls one command may have; this bounds the depth of a chain such as a OR b OR c …. */
const MAX_OPERATORS = 1_000

/** Parses an expression that gives a value. */
export function parseValue (tokens: Tokens): Expr {
  return new ExpressionParser(tokens).parse('value')
}

/** Parses an expression that is true or not. */
export function parseCondition (tokens: Tokens): Expr {
  return new ExpressionParser(tokens).parse('condition')
}

/** Parses an expression of either kind. */
export function parseAny (tokens: Tokens): Expr {
  return new ExpressionParser(tokens).parse('any')
}

class ExpressionParser {
  #operators = 0
  constructor (readonly tokens: Tokens) {}

  parse (kind: ResultKind | 'any'): Expr {
    const start = this.tokens.next
    const expr = this.#parseFrom(LEVEL.XOR)
    return kind === 'any' ? expr : this.#check(expr, kind, start)
  }

  /** An expression whose operators all bind at least as tightly as `level`; operators of one level go left to right. */
  #parseFrom (level: number): Expr {
    const { tokens } = this
    const start = tokens.next
    let left = level <= LEVEL.NOT && tokens.isKeyword('NOT') ? this.#parseNot() : this.#parseSigned()
    for (;;) {
      if (level <= LEVEL['='] && (tokens.isKeyword('IN') || tokens.isKeyword('LIKE'))) {
        left = this.#parseWordComparison(left, start)
        continue
      }
      const op = this.#peekOperator()
      if (op === null || LEVEL[op] < level) return left
      const kind = LEVEL[op] < LEVEL.NOT ? 'condition' : 'value'
      this.#check(left, kind, start)
      this.#count(tokens.take())
      const rightStart = tokens.next
      const right = this.#check(this.#parseFrom(LEVEL[op] + 1), kind, rightStart)
      left = { kind: 'binary', op, left, right, span: tokens.spanFrom(start) }
    }
  }

  #peekOperator (): BinaryOp | null {
    const { kind, text } = this.tokens.next
    if (kind === 'symbol') return text === '==' ? '=' : isBinaryOp(text) ? text : null
    if (kind !== 'name') return null
    const word = text.toUpperCase()
    return word !== 'NOT' && isBinaryOp(word) ? word : null
  }

  /** comparison = left "IN" "(" expression { "," expression } ")" | left "LIKE" expression: other spellings of in() and like() */
  #parseWordComparison (left: Expr, start: Token): Expr {
    const { tokens } = this
    this.#check(left, 'value', start)
    const operator = tokens.take()
    this.#count(operator)
    const args = [left]
    const starts = [start]
    if (operator.text.toUpperCase() === 'LIKE') {
      const patternStart = tokens.next
      starts.push(patternStart)
      args.push(this.#check(this.#parseFrom(LEVEL['='] + 1), 'value', patternStart))
    } else {
      tokens.expectSymbol('(', 'after "IN"')
      do {
        starts.push(tokens.next)
        args.push(tokens.nested(() => this.parse('value')))
      } while (tokens.takeSymbol(','))
      tokens.expectSymbol(')', 'at the end of IN (…)')
    }
    return this.#toCall(operator.text.toLowerCase(), args, starts, start)
  }

  #parseNot (): Expr {
    const { tokens } = this
    const start = tokens.take()
    this.#count(start)
    const operandStart = tokens.next
    const operand = this.#check(tokens.nested(() => this.#parseFrom(LEVEL.NOT)), 'condition', operandStart)
    return { kind: 'unary', op: 'NOT', operand, span: tokens.spanFrom(start) }
  }

  /** signed = ( "-" | "+" ) signed | primary */
  #parseSigned (): Expr {
    const { tokens } = this
    const start = tokens.next
    if (!tokens.isSymbol('-') && !tokens.isSymbol('+')) return this.#parsePrimary()
    const op = tokens.take().text === '-' ? '-' : '+'
    this.#count(start)
    const operandStart = tokens.next
    const operand = this.#check(tokens.nested(() => this.#parseSigned()), 'value', operandStart)
    return { kind: 'unary', op, operand, span: tokens.spanFrom(start) }
  }

  /** primary = number | text | field | call | "(" expression ")" */
  #parsePrimary (): Expr {
    const { tokens } = this
    const token = tokens.next
    if (tokens.isSymbol('(')) {
      tokens.take()
      const group = tokens.nested(() => this.parse('any'))
      tokens.expectSymbol(')', 'at the end of the group')
      return group
    }
    if (tokens.isSymbol('[')) throw tokens.error("Subsearches aren't supported", token)
    const isCall = token.kind === 'name' && tokens.peek(1).kind === 'symbol' && tokens.peek(1).text === '('
    const isOperator = token.kind === 'name' && OPERATOR_WORDS.has(token.text.toUpperCase()) && !(isCall && EVAL_FUNCTIONS.has(token.text.toLowerCase()))
    if (token.kind === 'end' || token.kind === 'symbol' || isOperator) {
      throw tokens.unexpected('a value')
    }
    tokens.take()
    switch (token.kind) {
      case 'quoted': return { kind: 'string', value: token.text, span: tokens.spanFrom(token) }
      case 'number': return { kind: 'number', value: this.#toNumber(token), span: tokens.spanFrom(token) }
      case 'name': if (tokens.isSymbol('(')) return this.#parseCall(token)
    }
    if (token.text === '') throw tokens.error('Expected a field, found an empty name', token)
    return { kind: 'field', name: token.text, span: tokens.spanFrom(token) }
  }

  #toNumber (token: Token): number {
    const { tokens } = this
    const value = Number(token.text)
    if (!Number.isFinite(value)) throw tokens.error(`The number ${quote(token.text)} is too large`, token)
    if (tokens.next.kind === 'name' && tokens.next.start === token.end) throw tokens.unexpected(`an operator after ${quote(token.text)}`)
    return value
  }

  /** call = name "(" [ expression { "," expression } ] ")" */
  #parseCall (nameToken: Token): Expr {
    const { tokens } = this
    const name = nameToken.text.toLowerCase() // any letter case (R78)
    const known = EVAL_FUNCTIONS.get(name)
    if (known === undefined) throw tokens.error(`The function ${quote(nameToken.text)} isn't supported${nearestHint(name, EVAL_FUNCTIONS.keys())}`, nameToken)
    this.#count(nameToken)
    tokens.take()
    const args: Expr[] = []
    const starts: Token[] = []
    if (!tokens.isSymbol(')')) {
      do {
        starts.push(tokens.next)
        args.push(tokens.nested(() => this.parse(known.takes?.(args.length) ?? 'value')))
      } while (tokens.takeSymbol(','))
    }
    tokens.expectSymbol(')', `at the end of ${name}(…)`)
    const [min, max] = known.arity
    if (args.length < min || args.length > max) throw tokens.errorFrom(`${name}(…) takes ${describeArity(min, max)}, found ${args.length}`, nameToken)
    const pairs = PAIRS.get(name)
    if (pairs !== undefined && args.length % 2 !== 0) throw tokens.errorFrom(`${name}(…) takes pairs of ${pairs}, found ${args.length} ${args.length === 1 ? 'argument' : 'arguments'}`, nameToken)
    return this.#toCall(name, args, starts, nameToken)
  }

  /** A call whose literal arguments are looked at as well. `starts` are the arguments' first tokens. */
  #toCall (name: string, args: readonly Expr[], starts: readonly Token[], start: Token): Expr {
    const fault = EVAL_FUNCTIONS.get(name)!.check?.(args) ?? null
    if (fault !== null) throw this.#toError(fault, starts[fault.argument]!)
    return { kind: 'call', name, args, span: this.tokens.spanFrom(start) }
  }

  #toError ({ detail, offset }: Fault, token: Token): SplError {
    return offset === undefined || token.kind !== 'quoted' ? this.tokens.error(detail, token) : this.tokens.errorInQuoted(detail, token, offset)
  }

  #check (expr: Expr, kind: ResultKind, start: Token): Expr {
    const found = resultKind(expr)
    if (found === kind) return expr
    throw this.tokens.errorFrom(kind === 'value'
      ? 'Expected a value, found a condition; if(condition, a, b) makes a value of it'
      : 'Expected a condition such as a comparison, found a value', start)
  }

  #count (token: Token): void {
    if (++this.#operators > MAX_OPERATORS) throw this.tokens.error(`An expression can have ${MAX_OPERATORS} operators and functions`, token)
  }
}

function isBinaryOp (text: string): text is BinaryOp {
  return Object.hasOwn(LEVEL, text)
}

/** Whether an expression gives a value or is a condition. */
function resultKind (expr: Expr): ResultKind {
  switch (expr.kind) {
    case 'string':
    case 'number':
    case 'field': return 'value'
    case 'unary': return expr.op === 'NOT' ? 'condition' : 'value'
    case 'binary': return LEVEL[expr.op] <= LEVEL['='] ? 'condition' : 'value'
    case 'call': return EVAL_FUNCTIONS.get(expr.name)?.gives ?? 'value'
    default: return expr satisfies never
  }
}

function describeArity (min: number, max: number): string {
  if (min === max) return min === 1 ? '1 argument' : `${min} arguments`
  return max === Infinity ? `at least ${min} argument${min === 1 ? '' : 's'}` : `${min} to ${max} arguments`
}
