import { compileBacktracking } from './regex/backtrack.js'
import { compileLinear } from './regex/linear.js'
import { TooCostly } from './regex/match.js'
import type { Spans } from './regex/match.js'
import { parseRegex, RegexError } from './regex/parse.js'

export { RegexError }

/** The longest pattern. */
const MAX_PATTERN = 10_000

/** How many characters may be looked at, at worst, for all matches of one text: each match may look as far as its end. Some 4 s. */
const MAX_LOOKED_AT = 10_000_000

/** A match. `groups[0]` is the whole of it, as `text.slice(start, end)`; a group that took no part is undefined. */
export interface RegexMatch {
  readonly start: number
  readonly end: number
  readonly groups: readonly (string | undefined)[]
}

/** A compiled pattern, unanchored and case-sensitive unless it says otherwise (R54, R76). Texts are well-formed. */
export interface Regex {
  readonly groupCount: number
  /** Group numbers by name, in the order of the pattern. */
  readonly names: ReadonlyMap<string, number>
  /** Whether there is a match anywhere in the text. */
  test (text: string): boolean
  /** The first match. */
  exec (text: string): RegexMatch | null
  /** The matches from left to right, none overlapping; behind an empty one the next starts a character further. */
  matches (text: string): Iterable<RegexMatch>
}

/**
 * Compiles a PCRE pattern. Throws RegexError for what is no pattern and for what isn't supported. Patterns that RE2 can express take time
 * linear in the text. Others (looking around, references, atomic groups) are tried step by step, as PCRE does; a text that takes too many
 * steps has no match (no further match), and `tooCostly` is called.
 */
export function compileRegex (pattern: string, tooCostly: () => void = () => {}): Regex {
  if (pattern.length > MAX_PATTERN) throw new RegexError(`A pattern can have ${MAX_PATTERN} characters`, MAX_PATTERN)
  const parsed = parseRegex(pattern)
  const matcher = compileLinear(parsed) ?? compileBacktracking(parsed)

  function guarded<T> (none: T, run: () => T): T {
    try {
      return run()
    } catch (error) {
      if (!(error instanceof TooCostly)) throw error
      tooCostly()
      return none
    }
  }

  function find (text: string, from: number): RegexMatch | null {
    const spans = guarded(null, () => matcher.find(text, from))
    return spans === null ? null : toMatch(text, spans)
  }

  return {
    groupCount: parsed.groupCount,
    names: parsed.names,
    test: text => guarded(false, () => matcher.test(text)),
    exec: text => find(text, 0),
    * matches (text) {
      let from = 0
      let lookedAt = 0
      while (from <= text.length) {
        lookedAt += text.length - from
        if (lookedAt > MAX_LOOKED_AT && from > 0) return tooCostly()
        const match = find(text, from)
        if (match === null) return
        yield match
        const { start, end } = match
        from = end > start ? end : end + (text.codePointAt(end)! > 0xffff ? 2 : 1)
      }
    },
  }
}

function toMatch (text: string, spans: Spans): RegexMatch {
  const groups: (string | undefined)[] = []
  for (let i = 0; i < spans.length; i += 2) groups.push(spans[i]! < 0 || spans[i + 1]! < 0 ? undefined : text.slice(spans[i], spans[i + 1]))
  return { start: spans[0]!, end: spans[1]!, groups }
}
