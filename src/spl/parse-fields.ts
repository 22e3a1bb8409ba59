import type { AddtotalsStage, FieldsStage, FillnullStage, ForeachStage, MakemvStage, NomvStage, RenameStage, ReplaceStage } from './ast.js'
import { quote } from './errors.js'
import { Tokens } from './lex.js'
import type { Token } from './lex.js'
import { countWildcards } from './match.js'
import { Options, parseEval, parseField, takeOption, takeSeparator } from './parse-stages.js'
import { checkRegex } from './parse-regex.js'
import { PLACEHOLDERS } from './stages/foreach.js'

/** fields = "fields" [ "+" | "-" ] field { [ "," ] field }; a field may have wildcards (R74) */
export function parseFields (tokens: Tokens, start: Token): FieldsStage {
  takeOption(tokens, 'fields')
  const mode = tokens.takeSign() === '-' ? 'remove' : 'keep'
  const fields = parseFieldList(tokens, 'with wildcards')
  return { kind: 'fields', mode, fields, span: tokens.spanFrom(start) }
}

/** rename = "rename" field "AS" field { [ "," ] field "AS" field }; both may have the same number of wildcards (R73) */
export function parseRename (tokens: Tokens, start: Token): RenameStage {
  takeOption(tokens, 'rename')
  const renames: RenameStage['renames'][number][] = []
  do {
    const from = tokens.next
    const field = parseField(tokens, 'with wildcards')
    if (!tokens.takeKeyword('AS')) throw tokens.unexpected(`AS after ${quote(field)}`)
    const as = parseField(tokens, 'with wildcards')
    if (countWildcards(field) !== countWildcards(as)) throw tokens.errorFrom('Both names of a rename have the same number of wildcards', from)
    renames.push({ field, as })
  } while (tokens.takeSymbol(',') || tokens.next.kind !== 'end')
  return { kind: 'rename', renames, span: tokens.spanFrom(start) }
}

/** fillnull = "fillnull" [ "value" "=" text ] [ field { [ "," ] field } ] (R75) */
export function parseFillnull (tokens: Tokens, start: Token): FillnullStage {
  const options = new Options(tokens, 'fillnull')
  const fields = parseFieldsAndOptions(tokens, options)
  return { kind: 'fillnull', value: options.text('value', '0'), fields: fields.length === 0 ? null : fields, span: tokens.spanFrom(start) }
}

/** makemv = "makemv" { option } field */
export function parseMakemv (tokens: Tokens, start: Token): MakemvStage {
  const options = new Options(tokens, 'makemv')
  const field = parseOneField(tokens, options)
  const tokenizer = options.token('tokenizer')
  if (tokenizer !== null) checkRegex(tokens, tokenizer)
  const delim = options.text('delim', ' ')
  return { kind: 'makemv', field, delim, tokenizer: tokenizer?.text ?? null, allowempty: options.flag('allowempty', false), span: tokens.spanFrom(start) }
}

/** nomv = "nomv" field */
export function parseNomv (tokens: Tokens, start: Token): NomvStage {
  return { kind: 'nomv', field: parseOneField(tokens, new Options(tokens, 'nomv')), span: tokens.spanFrom(start) }
}

/** addtotals = "addtotals" { option | field }; a field may have wildcards */
export function parseAddtotals (tokens: Tokens, start: Token): AddtotalsStage {
  const options = new Options(tokens, 'addtotals')
  const fields = parseFieldsAndOptions(tokens, options, undefined, 'with wildcards')
  if (options.flag('col', false) || !options.flag('row', true)) throw tokens.errorFrom('A row of totals isn\'t supported, only a column', start)
  return { kind: 'addtotals', fields, as: options.field('fieldname', 'Total'), span: tokens.spanFrom(start) }
}

/** replace = "replace" text "WITH" text { [ "," ] text "WITH" text } [ "IN" field { [ "," ] field } ]; texts may have wildcards */
export function parseReplace (tokens: Tokens, start: Token): ReplaceStage {
  takeOption(tokens, 'replace')
  const pairs: ReplaceStage['pairs'][number][] = []
  do {
    const from = tokens.next
    if (from.kind !== 'word' && from.kind !== 'quoted') throw tokens.unexpected('a text to replace')
    tokens.take()
    if (!tokens.takeKeyword('WITH')) throw tokens.unexpected(`WITH after ${quote(from.text)}`)
    const to = tokens.next
    if (to.kind !== 'word' && to.kind !== 'quoted') throw tokens.unexpected('a text after WITH')
    tokens.take()
    if (to.text.includes('*') && countWildcards(to.text) !== countWildcards(from.text)) throw tokens.error('The new text has as many wildcards as the old one, or none', to)
    pairs.push({ from: from.text, to: to.text })
  } while (tokens.takeSymbol(',') || (tokens.next.kind !== 'end' && !tokens.isKeyword('IN')))
  const fields = tokens.takeKeyword('IN') ? parseFieldList(tokens) : null
  return { kind: 'replace', pairs, fields, span: tokens.spanFrom(start) }
}

/** foreach = "foreach" field { [ "," ] field } "[" eval "]"; a field may have wildcards, names and texts of the eval placeholders */
export function parseForeach (tokens: Tokens, start: Token): ForeachStage {
  takeOption(tokens, 'foreach')
  const fields: string[] = []
  do fields.push(parseField(tokens, 'with wildcards'))
  while (tokens.takeSymbol(',') || (tokens.next.kind !== 'end' && !tokens.isSymbol('[')))
  const open = tokens.next
  tokens.expectSymbol('[', 'and an eval behind the fields')
  const template = new Tokens(tokens.source, 'template', open.end, tokens.to)
  const evalToken = template.next
  if (!template.takeKeyword('EVAL')) throw template.unexpected('eval')
  const { assignments } = parseEval(template, evalToken)
  const close = template.next
  template.expectSymbol(']', 'at the end of the eval')
  if (template.next.kind !== 'end' || template.end !== tokens.end) throw template.unexpected('the end of the command')
  checkPlaceholders(tokens, open.end, close.start)
  tokens.warnings.push(...template.warnings)
  while (tokens.next.kind !== 'end') tokens.take()
  return { kind: 'foreach', fields: [...new Set(fields)], assignments, span: tokens.spanFrom(start) }
}

function checkPlaceholders ({ source }: Tokens, from: number, to: number): void {
  for (const { 0: text, 1: name = '', index } of source.text.slice(from, to).matchAll(/<<(\w+)>>/g)) {
    if (!Object.hasOwn(PLACEHOLDERS, name)) {
      throw source.error(`The placeholder ${quote(text)} isn't supported; there are ${Object.keys(PLACEHOLDERS).map(known => `<<${known}>>`).join(', ')}`, from + index, from + index + text.length)
    }
  }
}

/** The one field of a command, with options before or behind it. */
export function parseOneField (tokens: Tokens, options: Options): string {
  while (options.take());
  const field = parseField(tokens)
  while (options.take());
  return field
}

/** A list of at least one field up to the end of the command; one named twice is there once. */
export function parseFieldList (tokens: Tokens, wildcards?: 'with wildcards'): string[] {
  const fields: string[] = []
  do fields.push(parseField(tokens, wildcards))
  while (takeSeparator(tokens))
  return [...new Set(fields)]
}

/** Fields with options before, between or after them, up to the end of the command or to what `isBorder` knows; there may be none. */
export function parseFieldsAndOptions (tokens: Tokens, options: Options, isBorder: () => boolean = () => false, wildcards?: 'with wildcards'): string[] {
  const fields: string[] = []
  const isAtEnd = () => tokens.next.kind === 'end' || isBorder()
  while (!isAtEnd()) {
    if (options.take()) continue
    fields.push(parseField(tokens, wildcards))
    while (tokens.takeSymbol(','));
  }
  return [...new Set(fields)]
}
