import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { compileBacktracking } from '../../src/spl/regex/backtrack.js'
import { compileLinear } from '../../src/spl/regex/linear.js'
import type { RegexNode } from '../../src/spl/regex/parse.js'
import { parseRegex } from '../../src/spl/regex/parse.js'
import { compileRegex, RegexError } from '../../src/spl/regex.js'

/** The first match and its groups. */
function find (pattern: string, text: string): (string | undefined)[] | null {
  const match = compileRegex(pattern).exec(text)
  return match === null ? null : [...match.groups]
}

type Case = readonly [pattern: string, text: string, groups: readonly (string | undefined)[] | null]

const CASES: readonly Case[] = [
  // characters and classes
  ['a.c', 'xa\rcx', ['a\rc']],
  ['a.c', 'a\nc', null],
  ['(?s)a.c', 'a\nc', ['a\nc']],
  ['a\\Nc', 'a\nc', null],
  ['[]a]+', 'x]a]', [']a]']],
  ['[^]a]', ']ab', ['b']],
  ['[a-]+', 'b-a', ['-a']],
  ['[\\w-]+', '..a-b', ['a-b']],
  ['[\\d-x]+', '1-x2', ['1-x2']],
  ['[\\]\\\\]+', '\\]', ['\\]']],
  ['[[:alpha:]_]+[[:^digit:]]', '1ab_-', ['ab_-']],
  ['[\\b]', 'a\b', ['\b']],
  ['\\d+\\D\\w+\\W\\S+', '１12-ab cd', ['12-ab cd']],
  ['\\s', 'a\u000bb', ['\u000b']],
  ['\\s', 'a\u00a0b', null],
  ['\\h+', 'a\t \u00a0\nb', ['\t \u00a0']],
  ['\\H+', '\ta\n', ['a\n']],
  ['\\v+', 'a\r\n\u2028b', ['\r\n\u2028']],
  ['a\\Rb', 'a\r\nb', ['a\r\nb']],
  ['\\x41\\x{1F600}\\101\\t\\e', 'A😀A\t\u001b', ['A😀A\t\u001b']],
  ['\\cA\\0', '\u0001\0', ['\u0001\0']],
  ['\\p{Lu}\\P{Lu}\\pN\\p{^L}\\p{Greek}', 'ÉéA1-α', null],
  ['\\p{Lu}\\P{Lu}\\pN\\p{^L}\\p{Greek}', 'Éé1-α', ['Éé1-α']],
  ['[^\\p{L}\\d]+', 'a1-_b', ['-_']],
  ['\\Qa.b*\\E+', 'xa.b**', ['a.b**']],
  ['a\\Q.', 'ab a.', ['a.']],
  ['C:\\\\Win\\/x\\-\\"', 'C:\\Win/x-"', ['C:\\Win/x-"']],
  ['.', '😀', ['😀']],
  // flags
  ['(?i)STRASSE|É', 'xé', ['é']],
  ['a(?i)b', 'aB', ['aB']],
  ['a(?i)b', 'AB', null],
  ['(a(?i)b|c)d', 'Cd', ['Cd', 'C']],
  ['(a(?i)b|c)d', 'CD', null],
  ['a(?i:b)c', 'aBC', null],
  ['(?i)a(?-i)b', 'AB', null],
  ['(?im-s)^b.', 'a\nB\n', null],
  ['(?i)k[^s]', 'Kt', ['Kt']],
  ['(?i)k[^s]', 'Kſ', null],
  ['(?i)\\w', 'ſ', null],
  ['(?x) a b # a comment\n \\  [ c]', 'ab  ', ['ab  ']],
  ['a(?#a comment)b', 'ab', ['ab']],
  ['(?U)a+', 'aaa', ['a']],
  ['(?U)a+?', 'aaa', ['aaa']],
  // anchors
  ['^b', 'a\nb', null],
  ['(?m)^b$', 'a\nb\nc', ['b']],
  ['b$', 'a\nb\n', ['b']],
  ['b$', 'b\n\n', null],
  ['(b$)', 'b\n', ['b', 'b']],
  ['b\\s*$', 'b\n', ['b\n']],
  ['(?:b|c(d$))', 'cd\n', ['cd', 'd']],
  ['b\\Z', 'b\n', ['b']],
  ['b\\z', 'b\n', null],
  ['\\Ab', 'ab', null],
  ['b(?:$|,)\\n?', 'b\n', ['b\n']],
  ['\\bb\\B', 'a-bc', ['b']],
  ['\\bé', 'aé', ['é']],
  // groups
  ['(a)|(b)', 'b', ['b', undefined, 'b']],
  ['(?<x>a)(?P<y>b)(?\'z\'c)', 'abc', ['abc', 'a', 'b', 'c']],
  ['(?:a)(b)', 'ab', ['ab', 'b']],
  ['(a|b)*', 'abx', ['ab', 'b']],
  ['(a*)*', 'b', ['', '']],
  ['(a*)+', 'b', ['', '']],
  ['a|ab', 'ab', ['a']],
  ['', 'a', ['']],
  // repetitions
  ['a{2}', 'aaa', ['aa']],
  ['a{2,}?', 'aaa', ['aa']],
  ['a{,2}', 'a{,2}', ['a{,2}']],
  ['a{1,2}b{x}', 'aab{x}', ['aab{x}']],
  ['a??b', 'ab', ['ab']],
  ['a{1500}', 'a'.repeat(1500), ['a'.repeat(1500)]],
  ['(?:ab){0}c', 'abc', ['c']],
  // possessive and atomic
  ['[^"]++"', 'ab"', ['ab"']],
  ['a++', 'aaa', ['aaa']],
  ['a++a', 'aaa', null],
  ['(?>a|ab)c', 'abc', null],
  ['(?>a+)b', 'aab', ['aab']],
  ['x?+x', 'x', null],
  ['(?i)[a-z]++\\x{17f}', 'aſ', null],
  // looking around
  ['foo(?=bar)', 'foobaz foobar', ['foo']],
  ['foo(?!bar)(.)', 'foobar foobaz', ['foob', 'b']],
  ['(?<=a)b', 'bab', ['b']],
  ['(?<!a)b', 'abb', ['b']],
  ['(?<=ab|c)d', 'abd', ['d']],
  ['(?<=😀)b', 'b😀b', ['b']],
  ['(?<=^|,)x', 'a,x', ['x']],
  ['(?<=(a))b', 'ab', ['b', 'a']],
  ['(?=(a+))\\1b', 'aab', ['aab', 'aa']],
  ['(?!(a)b)a', 'abac', ['a', undefined]],
  ['^(?!.*(?i)cmd\\.exe)(?=.*powershell)', 'x powershell', ['']],
  ['^(?!.*(?i)cmd\\.exe)(?=.*powershell)', 'CMD.EXE powershell', null],
  ['(?<!\\\\)"', '\\" "', ['"']],
  // references
  ['(\\w)\\1', 'abccd', ['cc', 'c']],
  ['(?<q>[\'"]).*?\\k<q>', 'x "a\'" y', ['"a\'"', '"']],
  ['(?P<q>a)(?P=q)\\k{q}\\g{q}\\g1\\g{-1}\\k\'q\'', 'aaaaaaa', ['aaaaaaa', 'a']],
  ['(?i)(a)\\1', 'aA', ['aA', 'a']],
  ['(a)?\\1b', 'b', null],
  ['\\1(a)', 'aa', null],
  ['(a\\1?){3}', 'aaaaaa', ['aaaaaa', 'aaa']],
  ['(?:(a)|b)*\\1', 'aba', ['aba', 'a']],
  ['(?:(?:ab)*?c)+(?!d)', 'abcabcd', ['abc']],
]

t.test('PCRE patterns match as they do there', async t => {
  const got = CASES.map(([pattern, text]) => [pattern, text, find(pattern, text)])

  got.forEach((one, index) => t.strictSame(one, CASES[index], `case ${index}`))
})

t.test('both engines find the same', async t => {
  let both = 0
  for (const [pattern, text, groups] of CASES) {
    const parsed = parseRegex(pattern)
    const spans = compileBacktracking(parsed).find(text, 0)
    t.strictSame(spans?.[0] === undefined ? null : text.slice(spans[0], spans[1]), groups === null ? null : groups[0], pattern)
    if (compileLinear(parsed) !== null) both++
  }
  t.ok(both > 60, `${both} patterns are for RE2`)
})

t.test('names of groups', async t => {
  t.strictSame([...compileRegex('(?<b>x)(y)(?P<a>z)').names], [['b', 1], ['a', 3]])
})

t.test('all matches, also empty ones', async t => {
  const all = (pattern: string, text: string) => [...compileRegex(pattern).matches(text)].map(({ start, groups }) => [start, groups[0]])

  t.strictSame(all('b*', 'abc'), [[0, ''], [1, 'b'], [2, ''], [3, '']])
  t.strictSame(all('', '😀a'), [[0, ''], [2, ''], [3, '']])
  t.strictSame(all('^a|\\ba', 'aa a'), [[0, 'a'], [3, 'a']])
  t.strictSame(all('(?<=a)a', 'aaa'), [[1, 'a'], [2, 'a']])
})

t.test('what is refused is named, with its place', async t => {
  const refusals: [pattern: string, offset: number, detail: string][] = [
    ['a(b', 1, 'This group has no closing )'],
    ['ab)c', 2, 'This ) closes no group'],
    ['a[bc', 1, 'This [ has no closing ]'],
    ['a|*', 2, 'There is nothing that this * repeats'],
    ['a**', 2, 'There is nothing that this repeats'],
    ['(?i)+', 4, 'There is nothing that this + repeats'],
    ['a{3,2}', 1, 'The numbers of {3,2} are in the wrong order'],
    ['a{70000}', 1, 'The number in {70000} is too large'],
    ['[z-a]', 1, 'The ends of this range are in the wrong order'],
    ['[[:foo:]]', 1, 'The class "[:foo:]" isn\'t supported'],
    ['[\\Qa\\E]', 1, "\\Q and \\E inside [ ] aren't supported"],
    ['\\p{Foo}', 0, 'The property "Foo" isn\'t supported'],
    ['ab\\', 2, 'There is nothing behind this \\'],
    ['a\\y', 1, "\\y isn't supported"],
    ['a\\Kb', 1, "\\K isn't supported"],
    ['\\x{110000}', 0, 'There is no character of this number'],
    ['(a)\\2', 3, 'There is no group 2'],
    ['\\g{-1}', 0, 'There is no group -1'],
    ['\\k<n>', 0, 'There is no group "n"'],
    ['(?<n>a)(?<n>b)', 7, 'Two groups are called "n"'],
    ['(?<1>a)', 0, '"1" is no name of a group; names are of letters, digits and _'],
    ['(?#a', 0, 'This comment has no closing )'],
    ['a(?(1)b)', 1, "Conditions (?(…)…) aren't supported"],
    ['(?|a|b)', 0, "Branch resets (?|…) aren't supported"],
    ['(?R)', 0, "Recursion isn't supported"],
    ['(?&n)', 0, "Recursion and calls of groups aren't supported"],
    ['(?1)', 0, "Recursion and calls of groups aren't supported"],
    ['(?J)a', 0, 'The flag "J" isn\'t supported'],
    ['(?^i)', 0, 'Groups that begin with "(?^" aren\'t supported'],
    ['(*SKIP)a', 0, "Verbs such as (*SKIP) aren't supported"],
    ['x(?<=a+)b', 1, 'What (?<= and (?<! look for must have a fixed length'],
    ['('.repeat(101), 100, 'Groups are nested more than 100 levels deep'],
    ['a'.repeat(10_001), 10_000, 'A pattern can have 10000 characters'],
  ]
  for (const [pattern, offset, detail] of refusals) {
    t.throws(() => compileRegex(pattern), { name: 'RegexError', offset, detail }, pattern.slice(0, 20))
  }
})

/** Whether something that may match nothing is repeated. */
function repeatsNothing (node: RegexNode): boolean {
  switch (node.kind) {
    case 'concat':
    case 'alternation': return node.nodes.some(repeatsNothing)
    case 'repeat': return repeatsNothing(node.node) || (node.max > 1 && mayBeEmpty(node.node))
    case 'capture':
    case 'atomic':
    case 'look': return repeatsNothing(node.node)
    default: return false
  }
}

function mayBeEmpty (node: RegexNode): boolean {
  switch (node.kind) {
    case 'set': return false
    case 'concat': return node.nodes.every(mayBeEmpty)
    case 'alternation': return node.nodes.some(mayBeEmpty)
    case 'capture':
    case 'atomic': return mayBeEmpty(node.node)
    case 'repeat': return node.min === 0 || mayBeEmpty(node.node)
    default: return true
  }
}

const anyPattern = fc.letrec<{ pattern: string, atom: string }>(tie => ({
  atom: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'é', '😀', '\\n', '.', '[ab]', '[^a]', '\\w', '\\W', '\\x61', '[\\d\\n]') },
    { weight: 1, arbitrary: fc.constantFrom('\\b', '\\B', '^', '(?:)') },
    { weight: 3, arbitrary: tie('pattern').map(text => `(${text})`) },
    { weight: 1, arbitrary: tie('pattern').map(text => `(?:${text})`) },
  ),
  pattern: fc.oneof({ maxDepth: 3 },
    tie('atom'),
    fc.tuple(tie('atom'), fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{0,2}?')).map(([atom, repeat]) => /^(?:\\b|\\B|\^|\(\?:\))$/i.test(atom) ? atom : atom + repeat),
    fc.tuple(tie('pattern'), tie('pattern')).map(parts => parts.join('')),
    fc.tuple(tie('pattern'), tie('pattern')).map(parts => parts.join('|')),
  ),
}))
const anyText = fc.array(fc.constantFrom('a', 'b', 'A', 'é', '😀', '\n', '-', '1'), { maxLength: 8 }).map(parts => parts.join(''))

t.test('random patterns find the same whole match with both engines, and with JavaScript\'s', async t => {
  let matches = 0
  fc.assert(fc.property(anyPattern.pattern, fc.constantFrom('', '(?i)'), fc.constantFrom('', '$'), anyText, (body, flag, end, text) => {
    const parsed = parseRegex(`${flag}(?:${body})${end}`)
    const linear = compileLinear(parsed)
    const found = [compileBacktracking(parsed), ...linear === null ? [] : [linear]].map(matcher => String(matcher.find(text, 0)?.slice(0, 2)))
    if (linear !== null && linear.test(text) !== (found[0] !== 'undefined')) return false
    // Where a repeated group has matched nothing, PCRE leaves the loop, and RE2 tries its other branches.
    if (repeatsNothing(parsed.node)) return true
    // JavaScript has ideas of its own about repeated groups that match nothing, and V8 looks inside of 😀.
    if (!/\)[*+?{]/.test(body) && !text.includes('😀')) {
      const match = new RegExp(`(?:${body.replaceAll('.', '[^\\n]')})${end === '' ? '' : '(?=\\n?(?![^]))'}`, flag === '' ? 'u' : 'iu').exec(text)
      found.push(String(match === null ? undefined : [match.index, match.index + match[0].length]))
      if (match !== null) matches++
    }
    return new Set(found).size === 1
  }), { numRuns: 5_000 })
  t.ok(matches > 1_000, `${matches} matches`)
})

t.test('no pattern and no text throws anything but a RegexError', async () => {
  const piece = fc.constantFrom('a', '(', ')', '[', ']', '(?', ':', '<', '=', '!', 'P<n>', '\\', 'Q', 'E', 'x', '{', '}', '1', ',', '2', '*', '+', '?', '|', '^', '$', '.', '-', '[:alpha:]', 'i', '#', '\\k<n>', '\\p{L}', '\n', '😀')
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }).map(parts => parts.join('')), anyText, (pattern, text) => {
    try {
      return [...compileRegex(pattern).matches(text)].every(({ start, end, groups }) => groups[0] === text.slice(start, end))
    } catch (error) {
      if (error instanceof RegexError && error.offset <= pattern.length) return true
      throw error
    }
  }), { numRuns: 10_000 })
})

t.test('a hostile text costs a bounded time, and is reported', async t => {
  const hostile = 'a'.repeat(100_000) + '!'
  const patterns = ['(a+)+$', '(a|aa)*b', '(?:a*)*c', '(?=(a+)+$)', '(?<=a)(a+)+$', '(a+)+\\1c', '(?:a|(?=a)a)*b']
  for (const pattern of patterns) {
    const isLinear = compileLinear(parseRegex(pattern)) !== null
    let calls = 0
    const regex = compileRegex(pattern, () => { calls++ })
    t.notOk(regex.test(hostile), pattern)
    t.strictSame([...regex.matches(hostile)], [])
    t.equal(calls, isLinear ? 0 : 2, pattern) // the steps have their bound; without it this would take years
    t.ok(compileRegex('(?<=b)a(a+)+').test('baaa'), 'the next text is judged afresh')
  }
})

t.test('many matches, each of which looks far, cost a bounded time as well', async t => {
  for (const pattern of ['a(.*b)?', '(?=a)a(.*b)?']) {
    let calls = 0
    const count = [...compileRegex(pattern, () => { calls++ }).matches('a'.repeat(20_000))].length
    t.ok(count < 20_000, `${pattern}: ${count} matches`)
    t.equal(calls, 1, pattern)
  }
})
