import t from 'tap'
import { formatTable } from '../../src/commands/table.js'

t.test('cells stand under their headings, of several lines where they have some', async t => {
  t.equal(formatTable(['a', 'long heading'], [['1', 'x\nyy'], ['22', '']]), [
    'a   long heading',
    '──  ────────────',
    '1   x',
    '    yy',
    '22',
  ].join('\n'))
})

t.test('what would act on a terminal is escaped, and long lines are cut', async t => {
  t.equal(formatTable(['a'], [['\u001b[31mred\u0007\r\u202eevil\u2028x']]).split('\n')[2], '\\u{1b}[31mred\\u{7}\\u{d}\\u{202e}evil\\u{2028}x')
  t.equal(formatTable(['a'], [['x'.repeat(100)]], 10).split('\n')[2], `${'x'.repeat(9)}…`)
})
