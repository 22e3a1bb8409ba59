import { RE2JS } from 're2js'
import type { CharSet, ParsedRegex, RegexNode } from './parse.js'
import { isDisjoint } from './parse.js'
import type { Matcher } from './match.js'

/** Longest that RE2 lets one repetition be. */
const MAX_REPEAT = 1_000

/** RE2's time is the length of the text times this, at worst. */
const MAX_PROGRAM_SIZE = 5_000

/** Something that RE2 can't say. */
class NotLinear extends Error {}

/**
 * The pattern for RE2, whose time is linear in the text. Null where RE2 can't express it: looking around, references, atomic
 * groups that matter, and `$` before other parts.
 */
export function compileLinear ({ node, groupCount }: ParsedRegex): Matcher | null {
  const emitter = new Emitter()
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(emitter.emit(node, []))
    if (compiled.programSize() > MAX_PROGRAM_SIZE) return null
  } catch (error) {
    if (error instanceof NotLinear || isRefusal(error)) return null
    throw error
  }
  const { groups, ends } = emitter
  return {
    test: text => compiled.test(text),
    find (text, from) {
      const matcher = compiled.matcher(text)
      if (!matcher.find(from)) return null
      const spans = [matcher.start(), matcher.end()]
      for (let group = 1; group <= groupCount; group++) spans.push(matcher.start(groups.get(group)), matcher.end(groups.get(group)))
      // What `$` took of a last line feed belongs to no group.
      const taken = ends.map(end => matcher.start(end)).find(start => start >= 0)
      return taken === undefined ? spans : spans.map((offset, index) => index % 2 === 1 ? Math.min(offset, taken) : offset)
    },
  }
}

/** RE2 has limits of its own, such as the size of nested repetitions. */
function isRefusal (error: unknown): boolean {
  return error instanceof Error && error.name.startsWith('RE2JS')
}

class Emitter {
  /** RE2's number of each group. */
  readonly groups = new Map<number, number>()
  /** RE2's numbers of the groups that `$` made. */
  readonly ends: number[] = []
  #count = 0

  /** `follow`: what comes next in the pattern, nearest first; of nothing it is the end of the pattern. */
  emit (node: RegexNode, follow: readonly RegexNode[]): string {
    switch (node.kind) {
      case 'set': return emitSet(node)
      case 'concat': return node.nodes.map((one, index) => this.emit(one, [...node.nodes.slice(index + 1), ...follow])).join('')
      case 'alternation': return `(?:${node.nodes.map(one => this.emit(one, follow)).join('|')})`
      case 'assert': return this.#emitAssertion(node.what, follow)
      case 'capture': {
        this.groups.set(node.group, ++this.#count)
        return `(${this.emit(node.node, follow)})`
      }
      case 'atomic': {
        if (follow.length > 0 && !givesNothingBack(node.node, follow[0]!)) throw new NotLinear()
        return this.emit(node.node, follow)
      }
      case 'repeat': {
        if (node.min > MAX_REPEAT || (node.max !== Infinity && node.max > MAX_REPEAT)) throw new NotLinear()
        const { min, max } = node
        const count = max === Infinity ? (min === 0 ? '*' : min === 1 ? '+' : `{${min},}`) : min === 0 && max === 1 ? '?' : `{${min},${max}}`
        return `(?:${this.emit(node.node, [node, ...follow])})${count}${node.lazy ? '?' : ''}`
      }
      case 'look':
      case 'reference': throw new NotLinear()
      default: return node satisfies never
    }
  }

  #emitAssertion (what: Extract<RegexNode, { kind: 'assert' }>['what'], follow: readonly RegexNode[]): string {
    switch (what) {
      case 'text-start': return '\\A'
      case 'text-end': return '\\z'
      case 'line-start': return '(?m:^)'
      case 'line-end': return '(?m:$)'
      case 'word-border': return '\\b'
      case 'no-word-border': return '\\B'
      case 'end': {
        if (follow.length > 0) throw new NotLinear()
        this.ends.push(++this.#count)
        return '(\\n??\\z)'
      }
      default: return what satisfies never
    }
  }
}

/** Whether a possessive repetition of one character can be a plain one: what follows can't be any of what it took. */
function givesNothingBack (node: RegexNode, next: RegexNode): boolean {
  return node.kind === 'repeat' && node.node.kind === 'set' && !node.lazy && next.kind === 'set' && isDisjoint(node.node, next)
}

function emitSet (set: CharSet): string {
  const { ranges: [range], properties, negated, ignoreCase } = set
  const text = set.ranges.length === 1 && properties.length === 0 && !negated && range![0] === range![1] ? toChar(range![0]) : emitClass(set)
  return ignoreCase ? `(?i:${text})` : text
}

function emitClass ({ ranges, properties, negated }: CharSet): string {
  const items = [
    ...ranges.map(([from, to]) => from === to ? toChar(from) : `${toChar(from)}-${toChar(to)}`),
    ...properties.map(property => `\\${property.negated ? 'P' : 'p'}{${property.name}}`),
  ]
  if (items.length === 0) return negated ? '(?s:.)' : '[^\\x{0}-\\x{10FFFF}]'
  return `[${negated ? '^' : ''}${items.join('')}]`
}

function toChar (code: number): string {
  const char = String.fromCodePoint(code)
  return /^\w$/.test(char) ? char : `\\x{${code.toString(16)}}`
}
