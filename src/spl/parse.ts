import type { Search, SearchStage, Stage, Subsearch } from './ast.js'
import { nearestHint, quote } from './errors.js'
import type { SplError } from './errors.js'
import { Tokens, toPlainText } from './lex.js'
import type { Lexicon, SearchText, Token } from './lex.js'
import type { Knowledge } from './knowledge.js'
import { NO_KNOWLEDGE } from './knowledge.js'
import { expandMacros } from './macro.js'
import type { Macros } from './macro.js'
import { parseAddtotals, parseFields, parseFillnull, parseForeach, parseMakemv, parseNomv, parseRename, parseReplace } from './parse-fields.js'
import { parseDedup, parseEventstats, parseHead, parseMvexpand, parseReverse, parseSort, parseTail, parseTop } from './parse-rows.js'
import { parseBin, parseConvert, parseEval, parseStats, parseTable, parseWhere } from './parse-stages.js'
import { parsePredicate } from './parse-predicate.js'
import { parseRegexStage, parseRex, parseSpath } from './parse-regex.js'
import { parseInputlookup, parseJoin, parseLookup } from './parse-sources.js'
import { parseTstats } from './parse-tstats.js'
import { nothing } from './predicate.js'
import { UNSUPPORTED_COMMANDS } from './unsupported.js'

/** How many commands a search may have. */
const MAX_STAGES = 200

interface Command {
  readonly lexicon: Lexicon
  /** Parses what follows the command's name, `start`: the command, or the simpler ones that it is made of. */
  readonly parse: (tokens: Tokens, start: Token) => Stage | readonly Stage[]
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
  ['inputlookup', { lexicon: 'words', parse: parseInputlookup }],
  ['join', { lexicon: 'words', parse: parseJoin }],
  ['lookup', { lexicon: 'words', parse: parseLookup }],
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
  ['tstats', { lexicon: 'words', parse: parseTstats }],
  ['where', { lexicon: 'expression', parse: parseWhere }],
])

/** How many searches in brackets a search may have, and how deep they may nest. */
const MAX_SUBSEARCHES = 100
const MAX_SUBSEARCH_DEPTH = 10

/** Parses a search. Throws an SplError at the first thing that is wrong or not supported. */
export function parseSearch (text: string, macros: Macros, { dataModels, lookups }: Knowledge = NO_KNOWLEDGE): Search {
  const expanded = expandMacros(text, macros)
  const source: SearchText = { ...toPlainText(expanded), lookups, useDataModel, dataModelNames: [...dataModels.keys()], parseSubsearch }
  const used = new Set<string>()
  const warnings: string[] = []
  let subsearches = 0
  let depth = 0
  const stages = parsePipeline(source, 0, expanded.text.length, warnings)
  return { stages, span: { start: 0, end: text.length }, warnings, dataModels: [...used] }

  function useDataModel (name: string): ReturnType<SearchText['useDataModel']> {
    const found = dataModels.has(name) ? name : [...dataModels.keys()].find(key => key.startsWith(`${name}.`))
    if (found === undefined) return null
    used.add(found)
    return { name: found, model: dataModels.get(found)! }
  }

  function parseSubsearch (from: number, to: number): Subsearch {
    if (++subsearches > MAX_SUBSEARCHES) throw source.error(`A search can have ${MAX_SUBSEARCHES} searches in brackets`, from - 1, from)
    if (++depth > MAX_SUBSEARCH_DEPTH) throw source.error(`Searches in brackets are nested more than ${MAX_SUBSEARCH_DEPTH} levels deep`, from - 1, from)
    const stages = parsePipeline(source, from, to, warnings)
    depth--
    return { stages, span: source.spanOf(from, to) }
  }
}

/** pipeline = first { "|" command } */
function parsePipeline (source: SearchText, from: number, to: number, warnings: string[]): Stage[] {
  const stages: Stage[] = []
  let at = from
  while (stages.length === 0 || at < to) {
    if (stages.length >= MAX_STAGES) throw source.error(`A search can have ${MAX_STAGES} commands`, at, at + 1)
    const parsed = stages.length === 0 ? parseFirst(source, from, to) : parseNext(source, at + 1, to)
    stages.push(...parsed.stages)
    warnings.push(...parsed.tokens.warnings)
    at = parsed.tokens.end
  }
  return stages
}

interface Parsed { readonly stages: readonly Stage[], readonly tokens: Tokens }

/** first = [ [ "|" ] "search" ] condition | "|" generating command: what begins without a pipe begins with an implied `search` (R1). */
function parseFirst (source: SearchText, from: number, to: number): Parsed {
  const start = new Tokens(source, 'words', from, to).next
  if (start.kind === 'end' && start.start < to) {
    const name = nameAt(source, start.start + 1)
    const parsed = parseCommand(source, start.start + 1, to)
    const first = parsed.stages[0]!
    if (first.kind === 'search') return parsed
    if (first.kind === 'inputlookup') return { ...parsed, stages: [{ kind: 'search', predicate: nothing(first.span), span: first.span }, ...parsed.stages] }
    throw source.error(`Expected search, tstats or inputlookup as the first command, found ${quote(name.text)}`, name.start, name.end)
  }
  if (start.kind === 'end') throw source.error('The search is empty', from, from)
  if (start.kind === 'word' && start.text.toLowerCase() === 'search') return parseCommand(source, from, to)
  const tokens = new Tokens(source, 'words', from, to)
  const predicate = parsePredicate(tokens)
  return { stages: [{ kind: 'search', predicate, span: tokens.spanFrom(start) }], tokens }
}

/** A command that gives rows of its own begins with a search of them. */
function parseNext (source: SearchText, from: number, to: number): Parsed {
  const parsed = parseCommand(source, from, to)
  if (parsed.stages.length === 1) return parsed
  const { text, start, end } = nameAt(source, from)
  throw source.error(`${quote(text)} can only begin a search${text.toLowerCase() === 'inputlookup' ? '; with append=true it adds to the rows there are' : ''}`, start, end)
}

/** command = name …, up to the next pipe */
function parseCommand (source: SearchText, from: number, to: number): Parsed {
  const start = nameAt(source, from)
  const command = COMMANDS.get(start.text.toLowerCase()) // any letter case (R78)
  if (command === undefined) throw unknownCommand(source, start)
  const tokens = new Tokens(source, command.lexicon, start.end, to)
  const parsed = command.parse(tokens, start)
  if (tokens.next.kind !== 'end') throw tokens.unexpected('the end of the command')
  return { stages: Array.isArray(parsed) ? parsed as readonly Stage[] : [parsed as Stage], tokens }
}

/** The word that a command begins with. Only what follows it is read by the command's own rules. */
function nameAt (source: SearchText, from: number): Token {
  const name = /\s*(\w*)/y
  name.lastIndex = from
  const text = name.exec(source.text)?.[1] ?? ''
  return { kind: 'word', text, start: name.lastIndex - text.length, end: name.lastIndex }
}

function unknownCommand (source: SearchText, { text, start, end }: Token): SplError {
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
