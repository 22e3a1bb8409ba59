import type { Token, Tokens } from './lex.js'
import { compileRegex, RegexError } from './regex.js'
import type { Regex } from './regex.js'

/** The regular expression that a token's text is; an error where it is none. */
export function checkRegex (tokens: Tokens, token: Token): Regex {
  try {
    return compileRegex(token.text)
  } catch (error) {
    if (error instanceof RegexError) throw tokens.error(`In the regular expression: ${error.detail}, at character ${error.offset + 1}`, token)
    throw error
  }
}
