import t from 'tap'
import { SplError } from '../../src/spl/errors.js'
import { expandMacros } from '../../src/spl/macro.js'
import type { Macro, Macros } from '../../src/spl/macro.js'

function macrosOf (definitions: Record<string, string>): Macros {
  return new Map(Object.entries(definitions).map(([name, definition]): [string, Macro] => [name, { args: ['x', 'y'].slice(0, Number(/\d/.exec(name)?.[0] ?? 0)), definition }]))
}

t.test('the expanded text is what is parsed: macros replaced, comments gone', async t => {
  const { text } = expandMacros('`a` ```note``` x="`a`" `b(1, "2, 3")`', macrosOf({ a: 'y=`c`', c: '4', 'b(2)': '$y$$x$$z$' }))

  t.equal(text, 'y=4   x="`a`" 2, 31$z$')
})

t.test('arguments are not expanded twice', async t => {
  t.equal(expandMacros('`b("$y$", v)`', macrosOf({ 'b(2)': '$x$-$y$' })).text, '$y$-v')
})

t.test('a range of the expanded text leads back to the written one', async t => {
  const written = 'p `a` q ```c``` r'
  const { text, spanOf } = expandMacros(written, macrosOf({ a: 'xx yy' }))
  const back = (piece: string): string => {
    const start = text.indexOf(piece)
    const { start: from, end: to } = spanOf(start, start + piece.length)
    return written.slice(from, to)
  }

  t.strictSame(['p', 'xx', 'yy', 'q', 'r', 'yy q', 'p xx'].map(back), ['p', '`a`', '`a`', 'q', 'r', '`a` q', 'p `a`'])
  t.strictSame(spanOf(text.length, text.length), { start: written.length, end: written.length })
})

t.test('macros that explode, or take long to expand to nothing, are refused soon', async t => {
  const doubling = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`m${index}`, `\`m${index + 1}\` \`m${index + 1}\``]))
  const long = 'x'.repeat(50_000)
  const hostile: [string, Macros][] = [
    ['`m0`', macrosOf({ ...doubling, m30: 'a=1' })],
    ['`m0`', macrosOf({ ...doubling, m30: '```nothing```' })],
    ['`m0`', macrosOf({ ...doubling, m30: '' })],
    ['`a(1)`', macrosOf({ 'a(1)': '`a($x$$x$)`' })],
    [`\`b("${long}", 1)\``, macrosOf({ 'b(2)': '$x$'.repeat(1_000) })],
    ['`c` '.repeat(20_000), macrosOf({ c: '' })],
    ['`c("' + '\\"'.repeat(45_000), macrosOf({ c: '' })],
    ['`c' + ' '.repeat(90_000) + 'x`', macrosOf({ c: '' })],
    ['`c(' + ') '.repeat(45_000) + 'x`', macrosOf({ c: '' })],
    ['`c` '.repeat(10_000), macrosOf({ c: `\`\`\`${long}\`\`\`` })],
    ['`d0`', macrosOf(Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`d${index}`, `\`d${index + 1}\``])))],
  ]
  const started = process.hrtime.bigint()

  for (const [text, macros] of hostile) t.throws(() => expandMacros(text, macros), SplError, text.slice(0, 10))

  t.ok(process.hrtime.bigint() - started < 2_000_000_000n)
})

t.test('names of JavaScript objects are no macros', async t => {
  t.throws(() => expandMacros('`constructor`', new Map()), /The macro "constructor" isn't defined/)
})
