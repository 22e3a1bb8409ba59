import { foldCase } from './match.js'

/** What isn't a letter or a digit parts words. Source: segmenters.conf, major and minor breakers of the default. */
const WORD = /[\p{L}\p{N}]/u

/**
 * A test for texts that hold a word or phrase between borders of words (R13), without regard to case; `*` stands for any run of
 * characters, and at an end of the phrase for the rest of a word.
 */
export function compilePhrase (phrase: string): (text: string) => boolean {
  const parts = foldCase(phrase).split('*')
  const first = parts[0]!
  const last = parts.at(-1)!
  const pieces = parts.filter(part => part !== '')
  return text => {
    const folded = foldCase(text)
    let at = 0
    for (const [i, piece] of pieces.entries()) {
      const found = findPiece(folded, piece, at, { begins: i === 0 && first !== '', ends: i === pieces.length - 1 && last !== '' })
      if (found < 0) return false
      at = found + piece.length
    }
    return true
  }
}

/** Where a piece stands first from `from` on, with a border before it if it begins a phrase, and behind it if it ends one; else -1. */
function findPiece (text: string, piece: string, from: number, { begins, ends }: { readonly begins: boolean, readonly ends: boolean }): number {
  for (let at = text.indexOf(piece, from); at >= 0; at = text.indexOf(piece, at + 1)) {
    if ((!begins || isBorder(text, at)) && (!ends || isBorder(text, at + piece.length))) return at
  }
  return -1
}

/** Whether no word goes on over a place in a text. */
function isBorder (text: string, at: number): boolean {
  return at <= 0 || at >= text.length || !WORD.test(characterBefore(text, at)) || !WORD.test(String.fromCodePoint(text.codePointAt(at)!))
}

function characterBefore (text: string, at: number): string {
  const unit = text.charCodeAt(at - 1)
  return unit >= 0xdc00 && unit <= 0xdfff && at > 1 ? text.slice(at - 2, at) : text[at - 1]!
}
