import { quote } from '../errors.js'

/** A pattern that can't be used: what is wrong, and where in the pattern. */
export class RegexError extends Error {
  override name = 'RegexError'
  constructor (readonly detail: string, readonly offset: number) { super(detail) }
}

type Range = readonly [from: number, to: number]

/** A set of code points. `properties` are Unicode's (`L`, `Greek`). */
export interface CharSet {
  readonly kind: 'set'
  readonly ranges: readonly Range[]
  readonly properties: readonly { readonly name: string, readonly negated: boolean }[]
  readonly negated: boolean
  readonly ignoreCase: boolean
}

/** What a pattern is made of. Flags are worked into the nodes. `end` is `$` and `\Z`: the end, or before a last line feed. */
export type RegexNode =
  | CharSet
  | { readonly kind: 'concat' | 'alternation', readonly nodes: readonly RegexNode[] }
  | { readonly kind: 'assert', readonly what: 'text-start' | 'text-end' | 'end' | 'line-start' | 'line-end' | 'word-border' | 'no-word-border' }
  | { readonly kind: 'capture', readonly group: number, readonly node: RegexNode }
  | { readonly kind: 'atomic', readonly node: RegexNode }
  | { readonly kind: 'look', readonly direction: 'ahead' | 'behind', readonly negated: boolean, readonly node: RegexNode, readonly offset: number }
  | { readonly kind: 'repeat', readonly min: number, readonly max: number, readonly lazy: boolean, readonly node: RegexNode }
  | { readonly kind: 'reference', readonly group: number, readonly ignoreCase: boolean }

export interface ParsedRegex {
  readonly node: RegexNode
  readonly groupCount: number
  readonly names: ReadonlyMap<string, number>
}

interface Flags { readonly i: boolean, readonly m: boolean, readonly s: boolean, readonly x: boolean, readonly U: boolean }

const MAX_CODE_POINT = 0x10ffff
const MAX_NESTING = 100
/** PCRE's own limit. */
const MAX_REPEAT = 65_535

const LINE_BREAKS: readonly Range[] = [[10, 13], [0x85, 0x85], [0x2028, 0x2029]]
const BLANKS: readonly Range[] = [[9, 9], [32, 32], [0xa0, 0xa0], [0x1680, 0x1680], [0x180e, 0x180e], [0x2000, 0x200a], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000]]
const DIGITS: readonly Range[] = [[48, 57]]
const WORD: readonly Range[] = [[48, 57], [65, 90], [95, 95], [97, 122]]
const SPACE: readonly Range[] = [[9, 13], [32, 32]]

/** Character types, of ASCII as in PCRE without UCP; an upper-case letter is the rest of the lower-case one. */
const TYPES: Readonly<Record<string, readonly Range[]>> = { d: DIGITS, w: WORD, s: SPACE, h: BLANKS, v: LINE_BREAKS }

const POSIX: Readonly<Record<string, readonly Range[]>> = {
  alnum: [[48, 57], [65, 90], [97, 122]], alpha: [[65, 90], [97, 122]], ascii: [[0, 127]], blank: [[9, 9], [32, 32]], cntrl: [[0, 31], [127, 127]],
  digit: DIGITS, graph: [[33, 126]], lower: [[97, 122]], print: [[32, 126]], punct: [[33, 47], [58, 64], [91, 96], [123, 126]], space: SPACE,
  upper: [[65, 90]], word: WORD, xdigit: [[48, 57], [65, 70], [97, 102]],
}

const CONTROLS: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 }

/** Parses a PCRE pattern. Throws RegexError. */
export function parseRegex (pattern: string): ParsedRegex {
  return new RegexParser(pattern).parse()
}

class RegexParser {
  #at = 0
  #groupCount = 0
  #nesting = 0
  readonly #names = new Map<string, number>()
  /** What must be there once the pattern is read. */
  readonly #references: { readonly target: string | number, readonly offset: number, readonly set: (group: number) => void }[] = []
  #flags: Flags = { i: false, m: false, s: false, x: false, U: false }
  constructor (readonly pattern: string) {}

  parse (): ParsedRegex {
    const node = this.#parseAlternation()
    if (this.#at < this.pattern.length) throw new RegexError('This ) closes no group', this.#at)
    for (const { target, offset, set } of this.#references) {
      const group = typeof target === 'number' ? target : this.#names.get(target)
      if (group === undefined || group > this.#groupCount) throw new RegexError(`There is no group ${typeof target === 'number' ? target : quote(target)}`, offset)
      set(group)
    }
    return { node, groupCount: this.#groupCount, names: this.#names }
  }

  /** alternation = { item } { "|" { item } }, up to ")" or the end */
  #parseAlternation (): RegexNode {
    const branches: RegexNode[][] = [[]]
    for (;;) {
      this.#skipFreeSpace()
      const char = this.pattern[this.#at]
      if (char === undefined || char === ')') break
      if (this.#take('|')) branches.push([])
      else {
        const offset = this.#at
        const item = this.#parseItem()
        if (item !== null) branches.at(-1)!.push(...this.#parseRepeats(item, offset))
      }
    }
    const nodes = branches.map(toConcat)
    return nodes.length === 1 ? nodes[0]! : { kind: 'alternation', nodes }
  }

  /** With the flag x, blanks and comments up to the end of the line mean nothing. */
  #skipFreeSpace (): void {
    while (this.#flags.x && this.#match(/(?:\s|#[^\n]*)+/y) !== null);
  }

  /** One thing that can be repeated; null for what stands for nothing, such as a comment. Text of \Q…\E comes as a list. */
  #parseItem (): RegexNode[] | null {
    const offset = this.#at
    const char = this.#takeChar()
    switch (char) {
      case '.': return [this.#flags.s ? setOf([], true) : setOf([[10, 10]], true)]
      case '^': return [{ kind: 'assert', what: this.#flags.m ? 'line-start' : 'text-start' }]
      case '$': return [{ kind: 'assert', what: this.#flags.m ? 'line-end' : 'end' }]
      case '[': return [this.#parseClass(offset)]
      case '(': return this.#parseGroup(offset)
      case '\\': return this.#parseEscape(offset)
      case '*': case '+': case '?': throw new RegexError(`There is nothing that this ${char} repeats`, offset)
      default: return [this.#literal(char.codePointAt(0)!)]
    }
  }

  #parseRepeats (items: readonly RegexNode[], offset: number): readonly RegexNode[] {
    this.#skipFreeSpace()
    const [text, sign, min, comma, max, mode] = this.#match(/(?:([*+?])|\{(\d+)(,?)(\d*)\})([?+]?)/y) ?? []
    if (text === undefined) return items
    const node = items.at(-1)
    if (node === undefined) throw new RegexError('There is nothing to repeat', offset)
    if (this.#match(/[*+?]/y) !== null) throw new RegexError('There is nothing that this repeats', this.#at - 1)
    const least = sign === undefined ? Number(min) : sign === '+' ? 1 : 0
    const most = sign === undefined ? (comma === '' ? least : max === '' ? Infinity : Number(max)) : sign === '?' ? 1 : Infinity
    if (least > MAX_REPEAT || (most !== Infinity && most > MAX_REPEAT)) throw new RegexError(`The number in ${text} is too large`, this.#at - text.length)
    if (least > most) throw new RegexError(`The numbers of ${text} are in the wrong order`, this.#at - text.length)
    const repeat: RegexNode = { kind: 'repeat', min: least, max: most, lazy: (mode === '?') !== (this.#flags.U && mode !== '+'), node }
    return [...items.slice(0, -1), mode === '+' ? { kind: 'atomic', node: repeat } : repeat]
  }

  #parseGroup (offset: number): RegexNode[] | null {
    if (this.#take('*')) throw new RegexError("Verbs such as (*SKIP) aren't supported", offset)
    if (!this.#take('?')) return [this.#capture(offset, null)]
    if (this.#take('#')) {
      if (this.#match(/[^)]*\)/y) === null) throw new RegexError('This comment has no closing )', offset)
      return null
    }
    const name = this.#match(/P?<(?![=!])([^>]*)>|'([^']*)'/y)
    if (name !== null) return [this.#capture(offset, name[1] ?? name[2] ?? '')]
    const reference = this.#match(/P=(\w+)\)/y)
    if (reference !== null) return [this.#reference(reference[1]!, offset)]
    if (this.#take(':')) return [this.#inGroup(offset)]
    if (this.#take('>')) return [{ kind: 'atomic', node: this.#inGroup(offset) }]
    const look = this.#match(/(<?)([=!])/y)
    if (look !== null) {
      return [{ kind: 'look', direction: look[1] === '' ? 'ahead' : 'behind', negated: look[2] === '!', node: this.#inGroup(offset), offset }]
    }
    const flags = this.#match(/([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/y)
    const refused = flags === null ? REFUSED_GROUPS.find(([start]) => start.test(this.pattern.slice(this.#at)))?.[1] : undefined
    if (flags === null) throw new RegexError(`${refused ?? `Groups that begin with ${quote(this.pattern.slice(offset, offset + 3))}`} aren't supported`, offset)
    const [, on = '', off = '', close] = flags
    const unknown = [...on + off].find(flag => !Object.hasOwn(this.#flags, flag))
    if (unknown !== undefined) {
      throw new RegexError(/^[RP]/.test(on) ? 'Recursion isn\'t supported' : `The flag ${quote(unknown)} isn't supported`, offset)
    }
    const before = this.#flags
    const set = (value: boolean) => (flag: string) => [flag, value] as const
    this.#flags = { ...before, ...Object.fromEntries([...[...on].map(set(true)), ...[...off].map(set(false))]) }
    if (close === ')') return null // they hold up to the end of the group, which restores its own
    const node = this.#inGroup(offset)
    this.#flags = before
    return [node]
  }

  #capture (offset: number, name: string | null): RegexNode {
    const group = ++this.#groupCount
    if (name !== null) {
      if (!/^[A-Za-z_]\w*$/.test(name)) throw new RegexError(`${quote(name)} is no name of a group; names are of letters, digits and _`, offset)
      if (this.#names.has(name)) throw new RegexError(`Two groups are called ${quote(name)}`, offset)
      this.#names.set(name, group)
    }
    return { kind: 'capture', group, node: this.#inGroup(offset) }
  }

  /** The rest of a group. */
  #inGroup (offset: number): RegexNode {
    if (++this.#nesting > MAX_NESTING) throw new RegexError(`Groups are nested more than ${MAX_NESTING} levels deep`, offset)
    const flags = this.#flags
    const node = this.#parseAlternation()
    this.#flags = flags
    this.#nesting--
    if (!this.#take(')')) throw new RegexError('This group has no closing )', offset)
    return node
  }

  #parseEscape (offset: number): RegexNode[] | null {
    const quoted = this.#match(/Q([^]*?)(?:\\E|$)/y)
    if (quoted !== null) return quoted[1] === '' ? null : [...quoted[1]!].map(char => this.#literal(char.codePointAt(0)!))
    if (this.#take('E')) return null
    const reference = this.#match(/([1-9]\d?)(?!\d)|g(-?\d+)|[gk]\{([-\w]+)\}|k<(\w+)>|k'(\w+)'/y)
    if (reference !== null) {
      const [, digits, number, braced, ...names] = reference
      const text = digits ?? number ?? braced ?? names.find(name => name !== undefined)!
      return [this.#reference(/^-?\d+$/.test(text) ? Number(text) : text, offset)]
    }
    const set = this.#parseType(offset)
    if (set !== null) return [set]
    const char = this.pattern[this.#at]
    const assertion = ({ A: 'text-start', z: 'text-end', Z: 'end', b: 'word-border', B: 'no-word-border' } as const)[char ?? '']
    if (assertion !== undefined) {
      this.#at++
      return [{ kind: 'assert', what: assertion }]
    }
    if (this.#take('R')) return [{ kind: 'atomic', node: { kind: 'alternation', nodes: [toConcat([setOf([[13, 13]]), setOf([[10, 10]])]), setOf(LINE_BREAKS)] } }]
    return [this.#literal(this.#parseEscapedChar(offset))]
  }

  #reference (target: string | number, offset: number): RegexNode {
    const node = { kind: 'reference' as const, group: 0, ignoreCase: this.#flags.i }
    const number = typeof target === 'number' && target < 0 ? this.#groupCount + 1 + target : target
    if (number === 0 || (typeof number === 'number' && number < 0)) throw new RegexError(`There is no group ${target}`, offset)
    this.#references.push({ target: number, offset, set: group => { node.group = group } })
    return node
  }

  /** \d, \W, \p{…} and so on, behind the backslash; null where it is something else. */
  #parseType (offset: number): CharSet | null {
    const char = this.pattern[this.#at] ?? ''
    const ranges = Object.hasOwn(TYPES, char.toLowerCase()) ? TYPES[char.toLowerCase()]! : null
    if (ranges !== null || char === 'N') {
      this.#at++
      return char === 'N' ? setOf([[10, 10]], true) : setOf(ranges!, char !== char.toLowerCase())
    }
    const property = this.#match(/([pP])(?:\{(\^?)(\w+)\}|([A-Z]))/y)
    if (property === null) return null
    const [, letter, caret, name = property[4]!] = property
    if (toJsProperty(name) === null) throw new RegexError(`The property ${quote(name)} isn't supported`, offset)
    return { ...setOf([]), properties: [{ name, negated: (letter === 'P') !== (caret === '^') }] }
  }

  #parseEscapedChar (offset: number): number {
    const hex = this.#match(/x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{0,2})/y)
    if (hex !== null) return this.#codePoint(parseInt(hex[1] ?? `0${hex[2]!}`, 16), offset)
    const octal = this.#match(/o\{([0-7]+)\}|(0[0-7]{0,2}|[1-3][0-7]{2})/y)
    if (octal !== null) return this.#codePoint(parseInt((octal[1] ?? octal[2])!, 8), offset)
    const control = this.#match(/c([\x20-\x7e])/y)
    if (control !== null) return control[1]!.toUpperCase().charCodeAt(0) ^ 64
    if (this.#at === this.pattern.length) throw new RegexError('There is nothing behind this \\', offset)
    const char = this.#takeChar()
    if (Object.hasOwn(CONTROLS, char)) return CONTROLS[char]!
    if (/^[A-Za-z0-9]$/.test(char)) throw new RegexError(`\\${char} isn't supported`, offset)
    return char.codePointAt(0)!
  }

  #codePoint (number: number, offset: number): number {
    if (number > MAX_CODE_POINT) throw new RegexError('There is no character of this number', offset)
    return number
  }

  /** class = "[" [ "^" ] [ "]" ] { char | char "-" char | escape | "[:" name ":]" } "]" */
  #parseClass (offset: number): CharSet {
    const negated = this.#take('^')
    const ranges: Range[] = []
    const properties: CharSet['properties'][number][] = []
    let typesOnly = true
    const add = (set: CharSet) => {
      properties.push(...set.properties)
      ranges.push(...set.negated ? complement(set.ranges) : set.ranges)
    }
    for (let isFirst = true; isFirst || !this.#take(']'); isFirst = false) {
      if (this.#at >= this.pattern.length) throw new RegexError('This [ has no closing ]', offset)
      const start = this.#at
      const from = this.#parseClassPart()
      if (from === null) continue
      if (typeof from !== 'number') {
        add(from)
        continue
      }
      typesOnly = false
      if (!/^-[^\]]/.test(this.pattern.slice(this.#at, this.#at + 2))) {
        ranges.push([from, from])
        continue
      }
      this.#at++
      const to = this.#parseClassPart()
      if (typeof to === 'number') {
        if (to < from) throw new RegexError('The ends of this range are in the wrong order', start)
        ranges.push([from, to])
      } else {
        ranges.push([from, from], [45, 45])
        if (to !== null) add(to)
      }
    }
    return { kind: 'set', ranges: joinRanges(ranges), properties, negated, ignoreCase: this.#flags.i && !typesOnly }
  }

  /** A character, or a set of them; null for \Q and \E. */
  #parseClassPart (): number | CharSet | null {
    const offset = this.#at
    const posix = this.#match(/\[:(\^?)(\w+):\]/y)
    if (posix !== null) {
      if (!Object.hasOwn(POSIX, posix[2]!)) throw new RegexError(`The class ${quote(posix[0])} isn't supported`, offset)
      return setOf(POSIX[posix[2]!]!, posix[1] === '^')
    }
    const char = this.#takeChar()
    if (char !== '\\') return char.codePointAt(0)!
    if (this.#match(/[QE]/y) !== null) throw new RegexError("\\Q and \\E inside [ ] aren't supported", offset)
    if (this.#take('b')) return 8
    const type = this.#parseType(offset)
    if (type !== null) return type
    const octal = this.#match(/[0-7]{1,3}/y) // in a class no number is a reference
    return octal === null ? this.#parseEscapedChar(offset) : this.#codePoint(parseInt(octal[0], 8), offset)
  }

  #literal (code: number): CharSet {
    return { ...setOf([[code, code]]), ignoreCase: this.#flags.i && isCased(code) }
  }

  #take (text: string): boolean {
    if (!this.pattern.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }

  /** A sticky expression at this place. */
  #match (expected: RegExp): RegExpExecArray | null {
    expected.lastIndex = this.#at
    const found = expected.exec(this.pattern)
    if (found !== null) this.#at = expected.lastIndex
    return found
  }

  #takeChar (): string {
    const char = String.fromCodePoint(this.pattern.codePointAt(this.#at)!)
    this.#at += char.length
    return char
  }
}

const REFUSED_GROUPS: readonly (readonly [start: RegExp, name: string])[] = [
  [/^\(/, 'Conditions (?(…)…)'],
  [/^\|/, 'Branch resets (?|…)'],
  [/^(?:[R&+]|P>|-?\d)/, 'Recursion and calls of groups'],
  [/^C/, 'Callouts (?C)'],
]

function toConcat (nodes: readonly RegexNode[]): RegexNode {
  return nodes.length === 1 ? nodes[0]! : { kind: 'concat', nodes }
}

function setOf (ranges: readonly Range[], negated = false): CharSet {
  return { kind: 'set', ranges, properties: [], negated, ignoreCase: false }
}

function isCased (code: number): boolean {
  const char = String.fromCodePoint(code)
  return char.toLowerCase() !== char || char.toUpperCase() !== char
}

/** Sorted, without overlaps. */
function joinRanges (ranges: readonly Range[]): Range[] {
  const joined: [number, number][] = []
  for (const [from, to] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else joined.push([from, to])
  }
  return joined
}

function complement (ranges: readonly Range[]): Range[] {
  const gaps: Range[] = []
  let next = 0
  for (const [from, to] of joinRanges(ranges)) {
    if (from > next) gaps.push([next, from - 1])
    next = to + 1
  }
  return next <= MAX_CODE_POINT ? [...gaps, [next, MAX_CODE_POINT]] : gaps
}

/** A Unicode property as JavaScript names it; null where there is none: general categories, else scripts. */
export function toJsProperty (name: string): string | null {
  for (const candidate of [/^[A-Z][a-z]?$/.test(name) || name === 'Any' ? name : null, `Script=${name}`]) {
    if (candidate === null) continue
    try {
      RegExp(`\\p{${candidate}}`, 'u')
      return candidate
    } catch { /* no property of that name */ }
  }
  return null
}

/** Whether two sets have no character in common; false where that isn't easily said. */
export function isDisjoint (a: CharSet, b: CharSet): boolean {
  if (a.properties.length > 0 || b.properties.length > 0) return false
  const [x, y] = [a, b].map(set => {
    const ranges = set.ignoreCase ? [...set.ranges, ...otherCase(set.ranges)] : set.ranges
    return set.negated ? complement(ranges) : joinRanges(ranges)
  }) as [Range[], Range[]]
  if ([a, b].some(set => set.ignoreCase && set.ranges.some(([, to]) => to > 127))) return false
  return !x.some(([from, to]) => y.some(([low, high]) => low <= to && from <= high))
}

/** Of ASCII letters those of the other case, and the two characters beyond ASCII that fold to a letter of it. */
function otherCase (ranges: readonly Range[]): Range[] {
  const others: Range[] = []
  for (const [from, to] of ranges) {
    for (let code = from; code <= Math.min(to, 122); code++) {
      if ((code >= 65 && code <= 90) || (code >= 97 && code <= 122)) others.push([code ^ 32, code ^ 32])
      if ((code | 32) === 0x73) others.push([0x17f, 0x17f])
      if ((code | 32) === 0x6b) others.push([0x212a, 0x212a])
    }
  }
  return others
}
