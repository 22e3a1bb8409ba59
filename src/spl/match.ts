/**
 * Text with every code point replaced by its one lower-case code point (R16). `toLowerCase()` differs for two:
 * it makes two code points of `İ`, and of `Σ` what its neighbours ask for.
 */
export function foldCase (text: string): string {
  if (SPECIAL.test(text)) text = text.replaceAll('İ', 'i').replaceAll('Σ', 'σ')
  return text.toLowerCase()
}

const SPECIAL = /[İΣ]/

/**
 * A test for whole texts, in which `*` stands for any run of characters, also none, also newlines (R6). It compares exactly:
 * where case is to be ignored, both sides are folded first. Each literal part is taken where it first fits, never tried again.
 */
export function compileWildcard (pattern: string): (text: string) => boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return text => text === pattern
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
