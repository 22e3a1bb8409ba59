import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { compileWildcard, foldCase } from '../../src/spl/match.js'
import { anyText } from './arbitrary.js'

/** The definition of `*`, tried in every way. */
function matchesSlowly (pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (pattern.startsWith('*')) return matchesSlowly(pattern.slice(1), text) || (text !== '' && matchesSlowly(pattern, text.slice(1)))
  return text !== '' && pattern[0] === text[0] && matchesSlowly(pattern.slice(1), text.slice(1))
}

t.test('a wildcard matches what its definition says (R6)', async () => {
  const few = fc.array(fc.constantFrom('a', 'b', '*', '\n'), { maxLength: 9 }).map(parts => parts.join(''))
  fc.assert(fc.property(few, few, (pattern, text) => compileWildcard(pattern)(text) === matchesSlowly(pattern, text)), { numRuns: 5_000 })
  fc.assert(fc.property(anyText, anyText, (pattern, text) => compileWildcard(pattern)(text) === matchesSlowly(pattern, text)))
})

t.test('patterns made to be slow are not', async t => {
  const text = 'a'.repeat(100_000)
  const patterns = ['*a'.repeat(20_000) + '*b*', `*b${'a'.repeat(50_000)}*`, `*${'a'.repeat(50_000)}b*`, `*${'a*'.repeat(45_000)}${'a'.repeat(5_000)}b*`]
  for (const pattern of patterns) {
    const matches = compileWildcard(pattern)
    const started = process.hrtime.bigint()

    t.notOk(matches(text))

    t.ok(process.hrtime.bigint() - started < 1_000_000_000n)
  }
})

t.test('foldCase takes one code point for one, wherever it stands (R16)', async t => {
  const fold = (point: string): string => point === 'İ' ? 'i' : point.toLowerCase()

  t.equal(foldCase('ΣΑΣ İI ẞß K'), 'σασ ii ßß k')
  fc.assert(fc.property(anyText, text => foldCase(text) === [...text].map(fold).join('')), { numRuns: 2_000 })
  for (let code = 0; code <= 0x10ffff; code++) {
    const point = String.fromCodePoint(code)
    if ([...foldCase(point)].length !== 1) t.fail(`U+${code.toString(16)} isn't one code point when folded`)
  }
})
