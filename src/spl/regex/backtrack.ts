import type { CharSet, ParsedRegex, RegexNode } from './parse.js'
import { RegexError, toJsProperty } from './parse.js'
import type { Matcher, Spans } from './match.js'
import { TooCostly } from './match.js'

/**
 * How many steps the matches of one text may take, some 15 ms, and as many more for each of its characters. PCRE has such a bound as well. It
 * counts steps, not time, so that a search gives the same rows on every machine.
 */
const MAX_STEPS = 200_000
const STEPS_PER_CHARACTER = 20

/** How deep repetitions of groups may go; it keeps the stack from overflowing. */
const MAX_DEPTH = 2_500

/** Matches from an offset on; gives the offset of the end, -1 if there is no match. */
type Step = (at: number) => number

/**
 * A matcher that tries alternatives one after the other, as PCRE does. It takes what RE2 can't: looking around, references, atomic
 * groups. `find` and `test` throw TooCostly where a text takes too many steps.
 */
export function compileBacktracking ({ node, groupCount }: ParsedRegex): Matcher {
  let text = ''
  let steps = 0
  let maxSteps = 0
  let depth = 0
  const spans = Array.from({ length: 2 * groupCount + 2 }, () => -1)
  /** Where each group began, for each time it is open. */
  const starts = Array.from({ length: groupCount + 1 }, (): number[] => [])
  const start = compile(node, at => at)

  function find (subject: string, from: number): Spans | null {
    if (from === 0 || subject !== text) steps = 0 // all matches of a text share one bound
    text = subject
    maxSteps = MAX_STEPS + STEPS_PER_CHARACTER * text.length
    depth = 0
    for (const open of starts) open.length = 0 // where the last search was given up
    for (let at = from; at <= text.length; at += isPair(at) ? 2 : 1) {
      count()
      spans.fill(-1)
      const end = start(at)
      if (end >= 0) return [at, end, ...spans.slice(2)]
    }
    return null
  }

  /** `next` matches what comes behind the node. */
  function compile (node: RegexNode, next: Step): Step {
    switch (node.kind) {
      case 'set': {
        const has = compileSet(node)
        return at => {
          count()
          if (at >= text.length) return -1
          const code = text.codePointAt(at)!
          return has(code) ? next(at + (code > 0xffff ? 2 : 1)) : -1
        }
      }
      case 'concat': return node.nodes.reduceRight((rest, one) => compile(one, rest), next)
      case 'alternation': {
        const branches = node.nodes.map(one => compile(one, next))
        return at => {
          count()
          for (const branch of branches) {
            const end = branch(at)
            if (end >= 0) return end
          }
          return -1
        }
      }
      case 'assert': {
        const holds = compileAssertion(node.what)
        return at => holds(at) ? next(at) : -1
      }
      case 'capture': return compileCapture(node.group, node.node, next)
      case 'atomic': {
        const inner = compile(node.node, at => at)
        return at => {
          const before = [...spans]
          const end = inner(at)
          return end < 0 ? -1 : orRestore(before, next(end))
        }
      }
      case 'look': return compileLook(node, next)
      case 'repeat': return node.node.kind === 'set' ? compileRun(node, compileSet(node.node), next) : compileLoop(node, next)
      case 'reference': return compileReference(node.group, node.ignoreCase, next)
      default: return node satisfies never
    }
  }

  function compileAssertion (what: Extract<RegexNode, { kind: 'assert' }>['what']): (at: number) => boolean {
    switch (what) {
      case 'text-start': return at => at === 0
      case 'text-end': return at => at === text.length
      case 'end': return at => at === text.length || (at === text.length - 1 && text[at] === '\n')
      case 'line-start': return at => at === 0 || text[at - 1] === '\n'
      case 'line-end': return at => at === text.length || text[at] === '\n'
      case 'word-border': return at => isWord(at - 1) !== isWord(at)
      case 'no-word-border': return at => isWord(at - 1) === isWord(at)
      default: return what satisfies never
    }
  }

  function compileCapture (group: number, inner: RegexNode, next: Step): Step {
    const open = starts[group]!
    const body = compile(inner, at => {
      const [from, to] = [spans[2 * group]!, spans[2 * group + 1]!]
      const begin = open.pop()!
      spans[2 * group] = begin
      spans[2 * group + 1] = at
      const end = next(at)
      if (end < 0) [spans[2 * group], spans[2 * group + 1]] = [from, to]
      open.push(begin)
      return end
    })
    return at => {
      open.push(at)
      const end = body(at)
      open.pop()
      return end
    }
  }

  function compileLook ({ direction, negated, node, offset }: Extract<RegexNode, { kind: 'look' }>, next: Step): Step {
    const inner = direction === 'ahead' ? compile(node, at => at) : compileBehind(node, offset)
    return at => {
      count()
      const before = [...spans]
      const found = inner(at) >= 0
      if (found === negated) return orRestore(before, -1)
      if (negated) orRestore(before, -1)
      return orRestore(before, next(at))
    }
  }

  /** Each alternative has one length, in characters: a match is tried so many characters before. */
  function compileBehind (node: RegexNode, offset: number): Step {
    let border = 0
    const branches = (node.kind === 'alternation' ? node.nodes : [node]).map(branch => {
      const length = lengthOf(branch)
      if (length === null) throw new RegexError('What (?<= and (?<! look for must have a fixed length', offset)
      return { length, match: compile(branch, at => at === border ? at : -1) }
    })
    return at => {
      const outer = border
      border = at
      let found = -1
      for (const { length, match } of branches) {
        const from = before(at, length)
        if (from >= 0 && found < 0) found = match(from)
      }
      border = outer
      return found
    }
  }

  /** Repeats one character: no call for each, so long runs are fine. */
  function compileRun ({ min, max, lazy }: Extract<RegexNode, { kind: 'repeat' }>, has: (code: number) => boolean, next: Step): Step {
    /** The offset behind the character at `at`; -1 if it is none of the set. */
    const one = (at: number): number => {
      count()
      if (at >= text.length) return -1
      const code = text.codePointAt(at)!
      return has(code) ? at + (code > 0xffff ? 2 : 1) : -1
    }
    return at => {
      let taken = 0
      let here = at
      for (; taken < min; taken++) {
        here = one(here)
        if (here < 0) return -1
      }
      if (lazy) {
        for (;; taken++) {
          const end = next(here)
          if (end >= 0 || taken >= max) return end
          here = one(here)
          if (here < 0) return -1
        }
      }
      const least = here
      for (; taken < max; taken++) {
        const further = one(here)
        if (further < 0) break
        here = further
      }
      for (;;) {
        const end = next(here)
        if (end >= 0 || here <= least) return end
        count()
        here -= here >= 2 && isPair(here - 2) ? 2 : 1
      }
    }
  }

  /** Repeats a group. How often it was there, and where the last time began, hold for the innermost entry. */
  function compileLoop ({ min, max, lazy, node }: Extract<RegexNode, { kind: 'repeat' }>, next: Step): Step {
    let times = 0
    let began = -1
    const weight = sizeOf(node)
    const body = compile(node, at => at === began && times >= min ? leave(at) : again(at)) // another empty time leads nowhere

    function again (at: number): number {
      count()
      if (times < min) return once(at)
      if (times >= max) return leave(at)
      const end = lazy ? leave(at) : once(at)
      return end >= 0 ? end : lazy ? once(at) : leave(at)
    }

    function leave (at: number): number {
      const [timesHere, beganHere] = [times, began]
      const end = next(at)
      times = timesHere
      began = beganHere
      return end
    }

    function once (at: number): number {
      const [timesHere, beganHere] = [times, began]
      if ((depth += weight) > MAX_DEPTH) throw new TooCostly()
      times++
      began = at
      const end = body(at)
      depth -= weight
      times = timesHere
      began = beganHere
      return end
    }

    return at => {
      const [timesBefore, beganBefore] = [times, began]
      times = 0
      began = -1
      const end = again(at)
      times = timesBefore
      began = beganBefore
      return end
    }
  }

  /** The same text again; a group that took no part matches nothing. */
  function compileReference (group: number, ignoreCase: boolean, next: Step): Step {
    return at => {
      count()
      const [from, to] = [spans[2 * group]!, spans[2 * group + 1]!]
      if (to < 0) return -1
      const wanted = text.slice(from, to)
      const found = text.slice(at, at + wanted.length)
      steps += wanted.length
      return found === wanted || (ignoreCase && found.toLowerCase() === wanted.toLowerCase()) ? next(at + wanted.length) : -1
    }
  }

  function count (): void {
    if (++steps > maxSteps) throw new TooCostly()
  }

  /** Takes the groups back to what they were, if there was no match. */
  function orRestore (before: readonly number[], end: number): number {
    if (end < 0) before.forEach((offset, index) => { spans[index] = offset })
    return end
  }

  function isPair (at: number): boolean {
    return text.codePointAt(at)! > 0xffff
  }

  function isWord (at: number): boolean {
    return /\w/.test(text[at] ?? '')
  }

  /** The offset so many characters before; -1 where there are fewer. */
  function before (at: number, length: number): number {
    for (; length > 0 && at > 0; length--) at -= at >= 2 && isPair(at - 2) ? 2 : 1
    return length > 0 ? -1 : at
  }

  return { test: subject => find(subject, 0) !== null, find }
}

/** How many characters a node matches; null where that varies. */
function lengthOf (node: RegexNode): number | null {
  switch (node.kind) {
    case 'set': return 1
    case 'concat': return node.nodes.reduce<number | null>((sum, one) => add(sum, lengthOf(one)), 0)
    case 'alternation': {
      const lengths = new Set(node.nodes.map(lengthOf))
      return lengths.size === 1 ? [...lengths][0]! : null
    }
    case 'assert':
    case 'look': return 0
    case 'capture':
    case 'atomic': return lengthOf(node.node)
    case 'repeat': {
      const length = lengthOf(node.node)
      return node.min === node.max && length !== null ? length * node.min : null
    }
    case 'reference': return null
    default: return node satisfies never
  }
}

function add (a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b
}

/** About how many calls deep a node goes. */
function sizeOf (node: RegexNode): number {
  switch (node.kind) {
    case 'concat': return node.nodes.reduce((sum, one) => sum + sizeOf(one), 1)
    case 'alternation': return 1 + Math.max(...node.nodes.map(sizeOf))
    case 'capture': return 2 + sizeOf(node.node)
    case 'repeat': return 4 + sizeOf(node.node)
    case 'atomic':
    case 'look': return 2 + sizeOf(node.node)
    default: return 1
  }
}

/** A test of code points: of ASCII looked up, of others by JavaScript's own class. */
function compileSet (set: CharSet): (code: number) => boolean {
  const toEscape = (code: number) => `\\u{${code.toString(16)}}`
  const items = [
    ...set.ranges.map(([from, to]) => `${toEscape(from)}-${toEscape(to)}`),
    ...set.properties.map(({ name, negated }) => `\\${negated ? 'P' : 'p'}{${toJsProperty(name)}}`),
  ]
  const expression = new RegExp(`^[${set.negated ? '^' : ''}${items.join('')}]`, set.ignoreCase ? 'iu' : 'u')
  const ascii = Uint8Array.from({ length: 128 }, (_, code) => expression.test(String.fromCharCode(code)) ? 1 : 0)
  return code => code < 128 ? ascii[code] === 1 : expression.test(String.fromCodePoint(code))
}
