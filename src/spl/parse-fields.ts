import type { FieldsStage, FillnullStage, RenameStage } from './ast.js'
import { quote } from './errors.js'
import type { Token, Tokens } from './lex.js'
import { countWildcards } from './match.js'
import { Options, parseField, takeOption } from './parse-stages.js'

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

/** A list of at least one field up to the end of the command; one named twice is there once. */
export function parseFieldList (tokens: Tokens, wildcards?: 'with wildcards'): string[] {
  const fields: string[] = []
  do fields.push(parseField(tokens, wildcards))
  while (tokens.takeSymbol(',') || tokens.next.kind !== 'end')
  return [...new Set(fields)]
}

/** Fields with options before, between or after them, up to the end of the command or a keyword; there may be none. */
export function parseFieldsAndOptions (tokens: Tokens, options: Options, keyword: string | null = null, wildcards?: 'with wildcards'): string[] {
  const fields: string[] = []
  const isAtEnd = () => tokens.next.kind === 'end' || (keyword !== null && tokens.isKeyword(keyword))
  while (!isAtEnd()) {
    if (options.take()) continue
    fields.push(parseField(tokens, wildcards))
    if (tokens.takeSymbol(',') && isAtEnd()) throw tokens.unexpected('a field')
  }
  return [...new Set(fields)]
}
