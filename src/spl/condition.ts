import type { Predicate } from './ast.js'
import { Tokens, toPlainText } from './lex.js'
import { expandMacros } from './macro.js'
import { parsePredicate } from './parse-predicate.js'

/** Parses a condition of the `search` command that is asked of rows: it compares fields, and has no macros, words of a raw text or searches in brackets. Throws SplError. */
export function parseCondition (text: string): Predicate {
  const source = toPlainText(expandMacros(text, new Map()))
  const tokens = new Tokens(source, 'words', 0)
  const predicate = parsePredicate(tokens, { isAtEnd: () => false, toField: ({ text: field }) => field })
  if (tokens.end < source.text.length) throw source.error('Expected the end of the condition, found "|"', tokens.end, tokens.end + 1)
  return predicate
}
