import t from 'tap'
import { SplError } from '../../src/spl/errors.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import { printSearch } from '../../src/spl/print.js'
import { CASES, readCases } from './cases.js'
import type { Case } from './cases.js'
import { runPlan } from './memory-store.js'

/** Rows as lists of columns, so that their order counts too. */
function toLists (rows: Iterable<{ values: Iterable<readonly [string, unknown]> }>) {
  return [...rows].map(row => [...row.values])
}

function errorOf ({ search, macros, knowledge }: Case): string {
  try {
    parseSearch(search, macros, knowledge)
  } catch (err) {
    if (err instanceof SplError) return err.message
    throw err
  }
  return 'no error'
}

const cases = readCases(CASES)

for (const one of cases) {
  const { expected } = one
  t.test(`${one.file}: ${one.title}`, async t => {
    if ('error' in expected) {
      t.equal(errorOf(one), expected.error)
      return
    }
    const search = parseSearch(one.search, one.macros, one.knowledge)
    const { lookups } = one.knowledge
    const want = toLists(expected.rows.map(values => ({ values })))
    const variants = {
      'every stage over rows': planSearch(search, { columns: one.columns, pushDown: 'off', lookups }),
      'pushed down': planSearch(search, { columns: one.columns, pushDown: 'on', lookups }),
      'pushed down to a store without columns': planSearch(search, { columns: new Set(), pushDown: 'on', lookups }),
      'parsed from its canonical text': planSearch(parseSearch(printSearch(search), new Map(), one.knowledge), { columns: one.columns, pushDown: 'on', lookups }),
    }
    for (const [name, plan] of Object.entries(variants)) {
      t.strictSame(toLists(runPlan(plan, one.events, one.timeZone, one.nowMs)), want, name)
    }
  })
}

t.test('there is a case for every file, and every title is there once', async t => {
  const titles = cases.map(({ file, title }) => `${file} ${title}`)

  t.ok(cases.length >= 80)
  t.equal(new Set(titles).size, titles.length)
})
