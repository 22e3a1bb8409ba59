/** Where something is in a file; lines and columns count from 1, columns in UTF-16 units. */
export interface Place { readonly line: number, readonly column: number }

/**
 * Something about a file, and where in it, as far as known. `detail` is the message in one line, for who is shown the
 * place's line anyway; it is there only where the message has more.
 */
export interface Problem extends Place { readonly message: string, readonly detail?: string }

export const START: Place = { line: 1, column: 1 }

/** Gives the place of an offset into a text. */
export function placesOf (text: string): (offset: number) => Place {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return offset => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + 1, column: offset - starts[low]! + 1 }
  }
}

/** How a value is written in its file; each way has its own escapes. */
export type Writing = 'plain' | 'single quotes' | 'double quotes' | 'conf'

const ESCAPES: Readonly<Record<Writing, RegExp | null>> = {
  plain: null,
  'single quotes': /'(?=')/y,
  'double quotes': /\\(?:\s+|[ntrfv0abe_NLP]|x..|u.{4}|U.{8}|(?=["\\/]))/y,
  conf: /\\\r?\n/y,
}

/**
 * Where the characters of a value are in the text that it was read from, which begins at `from`. Line breaks and indentation
 * are written in many ways, all other characters one by one: so blanks are passed over on both sides. The place of a blank
 * is that of the character behind it.
 */
export function alignValue (source: string, from: number, value: string, writing: Writing): (offset: number) => number {
  const escape = ESCAPES[writing]
  return wanted => {
    let at = from
    for (let i = 0; i <= value.length; i++) {
      if (i < value.length && /\s/.test(value[i]!)) continue
      at = endOfBlanks(source, at, escape)
      if (i >= wanted || at >= source.length) break
      at++
    }
    return Math.min(at, source.length)
  }
}

function endOfBlanks (source: string, from: number, escape: RegExp | null): number {
  for (let at = from; ;) {
    if (at < source.length && /\s/.test(source[at]!)) at++
    else {
      if (escape === null) return at
      escape.lastIndex = at
      const [found] = escape.exec(source) ?? []
      if (found === undefined) return at
      if (found.length === 1) return at + 1 // the escaped character follows
      if (!/\s$|^\\[ntr]/.test(found)) return at + found.length - 1 // this is one character
      at += found.length
    }
  }
}
