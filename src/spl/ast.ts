/** A half-open range of offsets into the source text that a node was parsed from. */
export interface Span { readonly start: number, readonly end: number }

/**
 * A condition of the `search` command (R2–R16). `text` is the literal as written, quotes removed and escapes
 * resolved; `*` in it is a wildcard, values are compared without regard to case.
 * `is` has no syntax: it asks for exactly this value, as stats tells values apart (R33).
 */
export type Predicate =
  | { readonly kind: 'all', readonly span: Span }
  | { readonly kind: 'and' | 'or', readonly terms: readonly Predicate[], readonly span: Span }
  | { readonly kind: 'not', readonly term: Predicate, readonly span: Span }
  | { readonly kind: 'compare', readonly field: string, readonly op: CompareOp, readonly text: string, readonly span: Span }
  | { readonly kind: 'in', readonly field: string, readonly texts: readonly string[], readonly span: Span }
  | { readonly kind: 'is', readonly field: string, readonly value: string | number, readonly span: Span }

export type CompareOp = '=' | '!=' | '<' | '<=' | '>' | '>='

/** An expression of eval and where (R50–R55). */
export type Expr =
  | { readonly kind: 'string', readonly value: string, readonly span: Span }
  | { readonly kind: 'number', readonly value: number, readonly span: Span }
  | { readonly kind: 'field', readonly name: string, readonly span: Span }
  | { readonly kind: 'unary', readonly op: '-' | '+' | 'NOT', readonly operand: Expr, readonly span: Span }
  | { readonly kind: 'binary', readonly op: BinaryOp, readonly left: Expr, readonly right: Expr, readonly span: Span }
  | { readonly kind: 'call', readonly name: string, readonly args: readonly Expr[], readonly span: Span }

export type BinaryOp = '+' | '-' | '*' | '/' | '%' | '.' | '=' | '!=' | '<' | '<=' | '>' | '>=' | 'AND' | 'OR' | 'XOR'

export type AggregateFunction = 'count' | 'dc' | 'min' | 'max' | 'values'

/** `field` is null for a bare `count`. `as` is the output column's name, also where the search has no AS (R41). */
export interface Aggregate {
  readonly function: AggregateFunction
  readonly field: string | null
  readonly as: string
  readonly span: Span
}

export interface SearchStage { readonly kind: 'search', readonly predicate: Predicate, readonly span: Span }
export interface BinStage { readonly kind: 'bin', readonly field: string, readonly spanSeconds: number, readonly as: string, readonly span: Span }
export interface StatsStage { readonly kind: 'stats', readonly aggregates: readonly Aggregate[], readonly by: readonly string[], readonly span: Span }
export interface EvalStage { readonly kind: 'eval', readonly assignments: readonly { readonly field: string, readonly expr: Expr }[], readonly span: Span }
export interface WhereStage { readonly kind: 'where', readonly expr: Expr, readonly span: Span }
export interface TableStage { readonly kind: 'table', readonly fields: readonly string[], readonly span: Span }
export interface ConvertStage { readonly kind: 'convert', readonly timeformat: string, readonly conversions: readonly { readonly function: 'ctime', readonly field: string, readonly as: string }[], readonly span: Span }

/** One command between pipes. */
export type Stage = SearchStage | BinStage | StatsStage | EvalStage | WhereStage | TableStage | ConvertStage

/** A whole search; its first stage is the base search. `warnings` says, place and all, what was taken to mean something else than it says. */
export interface Search { readonly stages: readonly Stage[], readonly span: Span, readonly warnings: readonly string[] }
