import type { RegexStage, RexStage, SedScript, SedStage, SpathStage } from './ast.js'
import { quote } from './errors.js'
import type { Token, Tokens } from './lex.js'
import { checkField } from './parse-predicate.js'
import { Options, parseField } from './parse-stages.js'
import { compileRegex, RegexError } from './regex.js'
import type { Regex } from './regex.js'

/** What a command reads where it doesn't say a field. */
const RAW = '_raw'

/** regex = "regex" [ field ( "=" | "!=" ) ] text (R76) */
export function parseRegexStage (tokens: Tokens, start: Token): RegexStage {
  const hasField = tokens.peek(1).kind === 'symbol' && ['=', '!='].includes(tokens.peek(1).text)
  const field = hasField ? parseField(tokens) : RAW
  const op = hasField && tokens.take().text === '!=' ? '!=' : '='
  const pattern = takeText(tokens, 'a regular expression in double quotes')
  checkRegex(tokens, pattern)
  return { kind: 'regex', field, op, pattern: pattern.text, span: tokens.spanFrom(start) }
}

/** rex = "rex" { option } text { option }; with mode=sed the text is a sed script */
export function parseRex (tokens: Tokens, start: Token): RexStage | SedStage {
  const options = new Options(tokens, 'rex')
  while (options.take());
  const text = takeText(tokens, 'a regular expression in double quotes')
  while (options.take());
  const field = options.field('field', RAW)
  const mode = options.token('mode')
  if (mode !== null) {
    if (mode.text.toLowerCase() !== 'sed') throw tokens.error(`The only mode of rex is sed, found ${quote(mode.text)}`, mode)
    if (options.token('max_match') !== null) throw tokens.error('max_match doesn\'t go with mode=sed', options.token('max_match')!)
    return { kind: 'sed', field, script: parseSed(tokens, text), text: text.text, span: tokens.spanFrom(start) }
  }
  const names = [...checkRegex(tokens, text).names.keys()]
  if (names.length === 0) throw tokens.error('Expected a regular expression with a named group such as (?<name>…)', text)
  const special = names.find(name => /^_(?:KEY|VAL)_/.test(name))
  if (special !== undefined) throw tokens.error(`The group ${quote(special)}, which names a field after what it takes, isn't supported`, text)
  return { kind: 'rex', field, pattern: text.text, names, limit: options.count('max_match', 1), span: tokens.spanFrom(start) }
}

/** script = "s" d regex d text d [ "g" | number ] | "y" d letters d letters d; d is any one character, `\d` that character itself */
function parseSed (tokens: Tokens, token: Token): SedScript {
  const fail = (detail: string) => tokens.error(`Expected a sed script such as s/regex/text/g, ${detail}`, token)
  const [command = '', mark = '', ...rest] = token.text.trim()
  if ((command !== 's' && command !== 'y') || mark === '' || /[\s\\]/.test(mark)) throw fail(`found ${quote(token.text)}`)
  const pieces = splitAt(rest, mark)
  if (pieces.length !== 3) throw fail(`found ${pieces.length - 1} of the 2 ${quote(mark)} behind the first`)
  const [from = '', to = '', flags = ''] = pieces
  if (command === 'y') {
    if (flags !== '' || [...from].length !== [...to].length) throw fail('or y/abc/xyz/ with as many letters on both sides')
    return { kind: 'transliterate', from, to }
  }
  const which = flags === 'g' ? 'all' : flags === '' ? 1 : /^[1-9]\d{0,8}$/.test(flags) ? Number(flags) : null
  if (which === null) throw fail(`with the flag g or a number, found ${quote(flags)}`)
  const { groupCount } = checkRegex(tokens, { ...token, text: from })
  const parts = parseReplacement(to)
  const missing = parts.find(part => typeof part === 'number' && part > groupCount)
  if (missing !== undefined) throw tokens.error(`The pattern has ${groupCount} groups, found \\${missing}`, token)
  return { kind: 'substitute', pattern: from, parts, which }
}

/** Pieces between marks. `\` before a mark is dropped; before anything else it stays for whoever reads the piece. */
function splitAt (characters: readonly string[], mark: string): string[] {
  const pieces = ['']
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i]!
    const next = characters[i + 1]
    if (character === mark) pieces.push('')
    else if (character === '\\' && next !== undefined) {
      pieces[pieces.length - 1] += next === mark ? next : character + next
      i++
    } else pieces[pieces.length - 1] += character
  }
  return pieces
}

/** `\1` is a group, `\n` a line feed, `\t` a tab; before another character `\` is dropped. */
function parseReplacement (text: string): (string | number)[] {
  return [...text.matchAll(/\\(\d)|\\([^])|[^\\]+|\\$/g)].map(([all, digit, escaped]) => {
    if (digit !== undefined) return Number(digit)
    return escaped === 'n' ? '\n' : escaped === 't' ? '\t' : escaped ?? all
  })
}

/** spath = "spath" { "input" "=" field | "output" "=" field | [ "path" "=" ] path } */
export function parseSpath (tokens: Tokens, start: Token): SpathStage {
  const options = new Options(tokens, 'spath')
  let path: Token | null = null
  while (tokens.next.kind !== 'end') {
    if (options.take()) continue
    if (path !== null) throw tokens.unexpected('the end of the command')
    path = takeText(tokens, 'a path such as a.b{}.c')
  }
  path ??= options.token('path')
  const outputToken = options.token('output')
  if (path === null && outputToken !== null) throw tokens.error('Expected a path for output', outputToken)
  if (path !== null) checkPath(tokens, path)
  const input = options.field('input', RAW)
  return { kind: 'spath', input, path: path?.text ?? null, output: options.field('output', path?.text ?? ''), span: tokens.spanFrom(start) }
}

function checkPath (tokens: Tokens, path: Token): void {
  const inner = /\{(?!\d{0,9}\})([^}]*)\}/.exec(path.text)?.[1]
  if (inner !== undefined) throw tokens.error(`A path has {} for all elements of an array and {0} for its first, found ${quote(`{${inner}}`)}, which isn't supported`, path)
  checkField(tokens, path)
}

function takeText (tokens: Tokens, expected: string): Token {
  if (tokens.next.kind !== 'quoted' && tokens.next.kind !== 'word') throw tokens.unexpected(expected)
  return tokens.take()
}

/** The regular expression that a token's text is; an error where it is none. */
export function checkRegex (tokens: Tokens, token: Token): Regex {
  try {
    return compileRegex(token.text)
  } catch (error) {
    if (error instanceof RegexError) throw tokens.error(`In the regular expression: ${error.detail}, at character ${error.offset + 1}`, token)
    throw error
  }
}
