import type { Search, SearchStage, Stage } from './ast.js'
import { nearestHint, quote } from './errors.js'
import type { SplError } from './errors.js'
import { Tokens } from './lex.js'
import type { Lexicon, Token } from './lex.js'
import { expandMacros } from './macro.js'
import type { ExpandedText, Macros } from './macro.js'
import { parseAddtotals, parseFields, parseFillnull, parseForeach, parseMakemv, parseNomv, parseRename, parseReplace } from './parse-fields.js'
import { parseDedup, parseEventstats, parseHead, parseMvexpand, parseReverse, parseSort, parseTail, parseTop } from './parse-rows.js'
import { parseBin, parseConvert, parseEval, parseStats, parseTable, parseWhere } from './parse-stages.js'
import { parsePredicate } from './parse-predicate.js'
import { parseRegexStage, parseRex, parseSpath } from './parse-regex.js'
import { UNSUPPORTED_COMMANDS } from './unsupported.js'

/** How many commands a search may have. */
const MAX_STAGES = 200

interface Command {
  readonly lexicon: Lexicon
  /** Parses what follows the command's name. `start` is that name. */
  readonly parse: (tokens: Tokens, start: Token) => Stage
}

const BIN: Command = { lexicon: 'words', parse: parseBin }

/** The commands there are, by lower-case name, aliases included. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['addtotals', { lexicon: 'words', parse: parseAddtotals }],
  ['bin', BIN],
  ['bucket', BIN],
  ['convert', { lexicon: 'words', parse: parseConvert }],
  ['dedup', { lexicon: 'words', parse: parseDedup }],
  ['discretize', BIN],
  ['eval', { lexicon: 'expression', parse: parseEval }],
  ['eventstats', { lexicon: 'words', parse: parseEventstats }],
  ['fields', { lexicon: 'words', parse: parseFields }],
  ['fillnull', { lexicon: 'words', parse: parseFillnull }],
  ['foreach', { lexicon: 'words', parse: parseForeach }],
  ['head', { lexicon: 'words', parse: parseHead }],
  ['makemv', { lexicon: 'words', parse: parseMakemv }],
  ['mvexpand', { lexicon: 'words', parse: parseMvexpand }],
  ['nomv', { lexicon: 'words', parse: parseNomv }],
  ['rare', { lexicon: 'words', parse: (tokens, start) => parseTop(tokens, start, 'rare') }],
  ['regex', { lexicon: 'words', parse: parseRegexStage }],
  ['rename', { lexicon: 'words', parse: parseRename }],
  ['replace', { lexicon: 'words', parse: parseReplace }],
  ['reverse', { lexicon: 'words', parse: parseReverse }],
  ['rex', { lexicon: 'words', parse: parseRex }],
  ['search', { lexicon: 'words', parse: parseSearchCommand }],
  ['sort', { lexicon: 'words', parse: parseSort }],
  ['spath', { lexicon: 'words', parse: parseSpath }],
  ['stats', { lexicon: 'words', parse: parseStats }],
  ['table', { lexicon: 'words', parse: parseTable }],
  ['tail', { lexicon: 'words', parse: parseTail }],
  ['top', { lexicon: 'words', parse: (tokens, start) => parseTop(tokens, start, 'top') }],
  ['where', { lexicon: 'expression', parse: parseWhere }],
])

/** Parses a search. Throws an SplError at the first thing that is wrong or not supported. */
export function parseSearch (text: string, macros: Macros): Search {
  const source = expandMacros(text, macros)
  const stages: Stage[] = []
  const warnings: string[] = []
  let at = 0
  while (stages.length === 0 || at < source.text.length) {
    if (stages.length === MAX_STAGES) throw source.error(`A search can have ${MAX_STAGES} commands`, at, at + 1)
    const { stage, tokens } = stages.length === 0 ? parseFirst(source) : parseCommand(source, at + 1)
    stages.push(stage)
    warnings.push(...tokens.warnings)
    at = tokens.end
  }
  return { stages, span: { start: 0, end: text.length }, warnings }
}

interface Parsed { readonly stage: Stage, readonly tokens: Tokens }

/** first = [ [ "|" ] "search" ] condition: a search that begins without a pipe begins with an implied `search` (R1). */
function parseFirst (source: ExpandedText): Parsed {
  const start = new Tokens(source, 'words', 0).next
  if (start.kind === 'end' && start.start < source.text.length) {
    const name = new Tokens(source, 'words', start.start + 1).next
    const parsed = parseCommand(source, start.start + 1)
    if (parsed.stage.kind !== 'search') throw source.error(`Expected "search" as the first command, found ${quote(name.text)}`, name.start, name.end)
    return parsed
  }
  if (start.kind === 'end') throw source.error('The search is empty', 0, 0)
  if (start.kind === 'word' && start.text.toLowerCase() === 'search') return parseCommand(source, 0)
  const tokens = new Tokens(source, 'words', 0)
  const predicate = parsePredicate(tokens)
  return { stage: { kind: 'search', predicate, span: tokens.spanFrom(start) }, tokens }
}

/** command = name …, up to the next pipe */
function parseCommand (source: ExpandedText, from: number): Parsed {
  const start = nameAt(source, from)
  const command = COMMANDS.get(start.text.toLowerCase()) // any letter case (R78)
  if (command === undefined) throw unknownCommand(source, start)
  const tokens = new Tokens(source, command.lexicon, start.end)
  const stage = command.parse(tokens, start)
  if (tokens.next.kind !== 'end') throw tokens.unexpected('the end of the command')
  return { stage, tokens }
}

/** The word that a command begins with. Only what follows it is read by the command's own rules. */
function nameAt (source: ExpandedText, from: number): Token {
  const name = /\s*(\w*)/y
  name.lastIndex = from
  const text = name.exec(source.text)?.[1] ?? ''
  return { kind: 'word', text, start: name.lastIndex - text.length, end: name.lastIndex }
}

function unknownCommand (source: ExpandedText, { text, start, end }: Token): SplError {
  if (text !== '') return source.error(`The command ${quote(text)} isn't supported${instead(text)}`, start, end)
  const found = source.text[start]
  return source.error(`Expected a command, found ${found === undefined ? 'the end of the search' : quote(found)}`, start, start + 1)
}

/** What to write in place of a command, as the end of a message. */
function instead (name: string): string {
  const hint = UNSUPPORTED_COMMANDS.get(name.toLowerCase())
  if (hint === undefined) return nearestHint(name, COMMANDS.keys())
  return hint && `; ${hint}`
}

/** search = "search" condition (R15) */
function parseSearchCommand (tokens: Tokens, start: Token): SearchStage {
  return { kind: 'search', predicate: parsePredicate(tokens), span: tokens.spanFrom(start) }
}
