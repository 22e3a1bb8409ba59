import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Predicate } from '../../src/spl/ast.js'
import { foldCase } from '../../src/spl/match.js'
import { compilePredicate, compileTest, predicateFields } from '../../src/spl/stages/search.js'
import { toScalars, toText } from '../../src/spl/value.js'
import { anyScalar, anyText, anyValue } from './arbitrary.js'

const span = { start: 0, end: 0 }

t.test('= and IN of a text without a star compare folded text, of any value of a multivalue (R5, R7, R9)', async () => {
  fc.assert(fc.property(anyText.filter(text => !text.includes('*')), anyValue, (text, value) => {
    const want = toScalars(value).some(one => foldCase(toText(one)) === foldCase(text))
    return compileTest({ kind: 'compare', field: 'f', op: '=', text, span })(value) === want &&
      compileTest({ kind: 'in', field: 'f', texts: ['no such text', text], span })(value) === want
  }), { numRuns: 2_000 })
})

t.test('is asks for exactly one text, whatever its type (R33)', async t => {
  const is = (value: string | number) => compileTest({ kind: 'is', field: 'f', value, span })

  t.ok(is('42')(42))
  t.ok(is(42)('42'))
  t.ok(is('a')(['b', 'a']))
  t.notOk(is('a')('A'))
  t.notOk(is('7')('7.0'))
  t.notOk(is('*')('x'))
  t.notOk(is('')(undefined))
})

t.test('no test passes for a missing field (R8)', async () => {
  const ops = fc.constantFrom('=', '!=', '<', '<=', '>', '>=')
  fc.assert(fc.property(ops, anyText, (op, text) => !compileTest({ kind: 'compare', field: 'f', op, text, span } as const)(undefined)))
})

t.test('< and >= are each other\'s opposite, and so are > and <= (R12)', async () => {
  fc.assert(fc.property(anyText, anyScalar, (text, value) => {
    const test = (op: '<' | '<=' | '>' | '>=') => compileTest({ kind: 'compare', field: 'f', op, text, span })(value)
    return test('<') !== test('>=') && test('>') !== test('<=')
  }))
})

t.test('networks of any text never throw (R14)', async () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::', '::ffff:1.2.3.4', 'fe80::1%eth0', '1.2.3'), anyText)
  fc.assert(fc.property(address, fc.oneof(fc.nat(200).map(String), anyText), address, (network, bits, value) => {
    return typeof compileTest({ kind: 'in', field: 'f', texts: [`${network}/${bits}`], span })(value) === 'boolean'
  }), { numRuns: 2_000 })
})

t.test('predicateFields names every field once', async t => {
  const a: Predicate = { kind: 'compare', field: 'a', op: '=', text: 'x', span }
  const b: Predicate = { kind: 'in', field: 'b', texts: ['x'], span }
  const predicate: Predicate = { kind: 'and', terms: [a, { kind: 'or', terms: [b, { kind: 'not', term: a, span }], span }, { kind: 'all', span }], span }

  t.strictSame([...predicateFields(predicate)], ['a', 'b'])
  t.ok(compilePredicate(predicate)(() => 'X'))
})
