/** A half-open range of offsets into the source text that a node was parsed from. */
export interface Span { readonly start: number, readonly end: number }

/**
 * A condition of the `search` command (R2–R16). `text` is the literal as written, quotes removed and escapes
 * resolved; `*` in it is a wildcard, values are compared without regard to case.
 * `raw` is a word or phrase that `_raw` has between borders of words (R13). `subsearch` is what the rows of a search in brackets say.
 * `is` has no syntax: it asks for exactly this value, as stats tells values apart (R33). Nor has `rows`: the fields have the texts of one of the
 * rows, compared as `=` compares texts without wildcards.
 */
export type Predicate =
  | { readonly kind: 'all', readonly span: Span }
  | { readonly kind: 'and' | 'or', readonly terms: readonly Predicate[], readonly span: Span }
  | { readonly kind: 'not', readonly term: Predicate, readonly span: Span }
  | { readonly kind: 'compare', readonly field: string, readonly op: CompareOp, readonly text: string, readonly span: Span }
  | { readonly kind: 'in', readonly field: string, readonly texts: readonly string[], readonly span: Span }
  | { readonly kind: 'is', readonly field: string, readonly value: string | number, readonly span: Span }
  | { readonly kind: 'raw', readonly text: string, readonly span: Span }
  | { readonly kind: 'rows', readonly fields: readonly string[], readonly rows: readonly (readonly string[])[], readonly span: Span }
  | { readonly kind: 'subsearch', readonly search: Subsearch, readonly span: Span }

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

export type AggregateFunction =
  | 'avg' | 'count' | 'dc' | 'earliest' | 'earliest_time' | 'first' | 'last' | 'latest' | 'latest_time' | 'list' | 'max' | 'min' | 'mode' | 'perc'
  | 'range' | 'stdev' | 'stdevp' | 'sum' | 'sumsq' | 'values' | 'var' | 'varp'

/**
 * `field` is null for a bare `count`, and where an expression stands in its place. `as` is the output column's name, also where the search
 * has no AS (R41).
 */
export interface Aggregate {
  readonly function: AggregateFunction
  /** Of `perc`, from 0 to 100. */
  readonly percent?: number
  readonly field: string | null
  /** What `eval(…)` in place of a field says; a condition counts where it is true. */
  readonly expr?: Expr
  readonly as: string
  readonly span: Span
}

export interface SearchStage { readonly kind: 'search', readonly predicate: Predicate, readonly span: Span }
/** `days`: the span is so many days of the run's time zone, which need not have 24 hours (R21). */
export interface BinStage { readonly kind: 'bin', readonly field: string, readonly spanSeconds: number, readonly days?: number, readonly as: string, readonly span: Span }
export interface StatsStage { readonly kind: 'stats', readonly aggregates: readonly Aggregate[], readonly by: readonly string[], readonly span: Span }
export interface EvalStage { readonly kind: 'eval', readonly assignments: readonly { readonly field: string, readonly expr: Expr }[], readonly span: Span }
export interface WhereStage { readonly kind: 'where', readonly expr: Expr, readonly span: Span }
export interface TableStage { readonly kind: 'table', readonly fields: readonly string[], readonly span: Span }
export interface ConvertStage { readonly kind: 'convert', readonly timeformat: string, readonly conversions: readonly { readonly function: ConvertFunction, readonly field: string, readonly as: string }[], readonly span: Span }
export type ConvertFunction = 'auto' | 'ctime' | 'dur2sec' | 'memk' | 'mktime' | 'mstime' | 'none' | 'num' | 'rmcomma' | 'rmunit'
/** Fields may have wildcards. `keep` leaves internal fields (`_…`) as well (R74). */
export interface FieldsStage { readonly kind: 'fields', readonly mode: 'keep' | 'remove', readonly fields: readonly string[], readonly span: Span }
/** Done in order. Both names have the same number of wildcards (R73). */
export interface RenameStage { readonly kind: 'rename', readonly renames: readonly { readonly field: string, readonly as: string }[], readonly span: Span }
/** `fields` is null for every column of the result (R75). */
export interface FillnullStage { readonly kind: 'fillnull', readonly value: string, readonly fields: readonly string[] | null, readonly span: Span }
/** Keeps the first `count` of each combination, of the rows ordered by `sortby` first (R77). */
export interface DedupStage {
  readonly kind: 'dedup'
  readonly count: number
  readonly fields: readonly string[]
  readonly keepempty: boolean
  readonly consecutive: boolean
  readonly sortby: readonly SortKey[]
  readonly span: Span
}
/** One field that rows are ordered by. `auto` is told from the values that there are. */
export interface SortKey { readonly field: string, readonly type: SortType, readonly order: 'asc' | 'desc' }
export type SortType = 'auto' | 'num' | 'str' | 'ip'
/** Gives the first `count` rows of the order; 0 is all (R77). */
export interface SortStage { readonly kind: 'sort', readonly count: number, readonly keys: readonly SortKey[], readonly span: Span }
export interface HeadStage { readonly kind: 'head', readonly count: number, readonly span: Span }
/** The last rows, the last one first. */
export interface TailStage { readonly kind: 'tail', readonly count: number, readonly span: Span }
export interface ReverseStage { readonly kind: 'reverse', readonly span: Span }
/** `by` and `fields` are the columns, then those of the names given; null leaves one out. `count` 0 is all. */
export interface TopStage {
  readonly kind: 'top' | 'rare'
  readonly count: number
  readonly fields: readonly string[]
  readonly by: readonly string[]
  readonly countfield: string | null
  readonly percentfield: string | null
  readonly span: Span
}
export interface EventstatsStage { readonly kind: 'eventstats', readonly aggregates: readonly Aggregate[], readonly by: readonly string[], readonly span: Span }
/** `limit` 0 is all values. */
export interface MvexpandStage { readonly kind: 'mvexpand', readonly field: string, readonly limit: number, readonly span: Span }
/** `tokenizer` is a regular expression that goes before `delim`. */
export interface MakemvStage { readonly kind: 'makemv', readonly field: string, readonly delim: string, readonly tokenizer: string | null, readonly allowempty: boolean, readonly span: Span }
export interface NomvStage { readonly kind: 'nomv', readonly field: string, readonly span: Span }
/** Fields may have wildcards; no fields are all. */
export interface AddtotalsStage { readonly kind: 'addtotals', readonly fields: readonly string[], readonly as: string, readonly span: Span }
/** `to` has as many wildcards as `from`, or none. `fields` is null for all. */
export interface ReplaceStage { readonly kind: 'replace', readonly pairs: readonly { readonly from: string, readonly to: string }[], readonly fields: readonly string[] | null, readonly span: Span }
/** The assignments are a template with placeholders such as `<<FIELD>>` in names and texts. Fields may have wildcards. */
export interface ForeachStage { readonly kind: 'foreach', readonly fields: readonly string[], readonly assignments: EvalStage['assignments'], readonly span: Span }
/** `path` is null for every field; otherwise `output` is the field that it sets. */
export interface SpathStage { readonly kind: 'spath', readonly input: string, readonly path: string | null, readonly output: string, readonly span: Span }
export interface RegexStage { readonly kind: 'regex', readonly field: string, readonly op: '=' | '!=', readonly pattern: string, readonly span: Span }
/** `names` are the fields that the pattern sets. `limit` 0 is all matches. */
export interface RexStage { readonly kind: 'rex', readonly field: string, readonly pattern: string, readonly names: readonly string[], readonly limit: number, readonly span: Span }
/** `rex mode=sed`; `text` is the script as written. */
export interface SedStage { readonly kind: 'sed', readonly field: string, readonly script: SedScript, readonly text: string, readonly span: Span }
/** `parts` is the new text, a number standing for what that group took; `which` is the one match to replace. */
export type SedScript =
  | { readonly kind: 'substitute', readonly pattern: string, readonly parts: readonly (string | number)[], readonly which: number | 'all' }
  | { readonly kind: 'transliterate', readonly from: string, readonly to: string }

/**
 * Adds the fields of the subsearch's rows whose `fields` are equal; an empty list is all that both have. `max` rows for each result, 0 is
 * all. `left` keeps results without any.
 */
export interface JoinStage {
  readonly kind: 'join'
  readonly type: 'inner' | 'left'
  readonly fields: readonly string[]
  readonly max: number
  readonly overwrite: boolean
  readonly search: Subsearch
  readonly span: Span
}
/** A column of a lookup and the field of the results that it is compared with, or goes into. */
export interface LookupColumn { readonly column: string, readonly field: string }
/** `new`: results that have one of the outputs stay as they are. */
export interface LookupStage { readonly kind: 'lookup', readonly name: string, readonly inputs: readonly LookupColumn[], readonly outputs: readonly LookupColumn[], readonly mode: 'all' | 'new', readonly span: Span }
/** The table's rows, behind those there are. `max` null is all. */
export interface InputlookupStage {
  readonly kind: 'inputlookup'
  readonly name: string
  readonly columns: readonly string[]
  readonly where: Predicate | null
  readonly start: number
  readonly max: number | null
  readonly span: Span
}

/** One command between pipes. */
export type Stage =
  | SearchStage | BinStage | StatsStage | EvalStage | WhereStage | TableStage | ConvertStage
  | FieldsStage | RenameStage | FillnullStage | DedupStage | SortStage | HeadStage | TailStage | ReverseStage
  | TopStage | EventstatsStage | MvexpandStage | MakemvStage | NomvStage | AddtotalsStage | ReplaceStage
  | ForeachStage | SpathStage | RegexStage | RexStage | SedStage | JoinStage | LookupStage | InputlookupStage

/** A search in brackets. It is over the same events and time as the one around it, and done before it. */
export interface Subsearch { readonly stages: readonly Stage[], readonly span: Span }

/** A whole search; its first stage is the base search. `warnings` says, place and all, what was taken to mean something else than it says. */
export interface Search extends Subsearch {
  readonly warnings: readonly string[]
  /** Names of the data models that it reads. */
  readonly dataModels: readonly string[]
}
