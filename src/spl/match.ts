/**
 * Text with every code point replaced by its one lower-case code point (R16). `toLowerCase()` differs for two:
 * it makes two code points of `İ`, and of `Σ` what its neighbours ask for.
 */
export function foldCase (text: string): string {
  if (SPECIAL.test(text)) text = text.replaceAll('İ', 'i').replaceAll('Σ', 'σ')
  return text.toLowerCase()
}

const SPECIAL = /[İΣ]/

/** How many wildcards a pattern has. */
export function countWildcards (pattern: string): number {
  return pattern.split('*').length - 1
}

/** What each `*` of a pattern stands for in a text that it matches: as little as possible, from the left; else null. */
export function compileCapture (pattern: string): (text: string) => readonly string[] | null {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return text => text === pattern ? [] : null
  return text => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return null
    const end = text.length - last.length
    const captures: string[] = []
    let at = first.length
    for (const part of rest) {
      const found = text.indexOf(part, at)
      if (found < 0 || found + part.length > end) return null
      captures.push(text.slice(at, found))
      at = found + part.length
    }
    return [...captures, text.slice(at, end)]
  }
}

/** A pattern with its wildcards filled, in order. */
export function fillWildcards (pattern: string, captures: readonly string[]): string {
  return pattern.split('*').reduce((text, part, index) => text + (captures[index - 1] ?? '') + part)
}

/**
 * A test for whole texts, in which `*` stands for any run of characters, also none, also newlines (R6). It compares exactly:
 * where case is to be ignored, both sides are folded first. Each literal part is taken where it first fits, never tried again.
 */
export function compileWildcard (pattern: string): (text: string) => boolean {
  return compileParts(pattern.split('*'))
}

/** A test for texts that begin with the first part, end with the last, and have the others in between, in order. */
function compileParts (parts: readonly string[]): (text: string) => boolean {
  if (parts.length === 1) return text => text === parts[0]
  const first = parts[0]!
  const last = parts.at(-1)!
  const middle = parts.slice(1, -1).filter(part => part !== '')
  return text => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    let at = first.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at + last.length <= text.length
  }
}

/** A test for whole texts as `like` makes it: `%` stands for any run of characters, `_` for one; with case (R52, R54). */
export function compileLike (pattern: string): (text: string) => boolean {
  if (!pattern.includes('_')) return compileParts(pattern.split('%'))
  const wanted = [...pattern]
  return text => {
    const found = [...text]
    let [at, place] = [0, 0]
    let [retryAt, retryPlace] = [0, -1] // behind the last %, and how much of the text it has taken
    while (at < found.length) {
      if (wanted[place] === '%') [retryAt, retryPlace] = [at, ++place]
      else if (wanted[place] === '_' || (place < wanted.length && wanted[place] === found[at])) [at, place] = [at + 1, place + 1]
      else if (retryPlace >= 0) [at, place] = [++retryAt, retryPlace]
      else return false
    }
    while (wanted[place] === '%') place++
    return place === wanted.length
  }
}
