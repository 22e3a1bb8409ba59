import { readFileSync } from 'node:fs'
import t from 'tap'
import { SplError } from '../../src/spl/errors.js'
import { CONVERT_FUNCTIONS, EVAL_FUNCTIONS, PERCENTILE_FUNCTIONS, STATS_FUNCTIONS } from '../../src/spl/functions.js'
import { COMMANDS, parseSearch } from '../../src/spl/parse.js'
import { OPTIONS } from '../../src/spl/parse-stages.js'
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

t.test('every command, function and option has a case that gives rows', async t => {
  const texts = cases.filter(({ expected }) => 'rows' in expected).map(({ search }) => search.toLowerCase())
  const without = (kind: string, names: Iterable<string>, patternOf: (name: string) => string) => {
    return [...names].filter(name => !texts.some(text => new RegExp(patternOf(name)).test(text))).map(name => `${kind} ${name}`)
  }
  t.strictSame([
    ...without('command', COMMANDS.keys(), name => `(?:^|[|\\[]\\s*)${name}\\b`),
    ...without('function of eval', EVAL_FUNCTIONS.keys(), name => `\\b${name}\\s*\\(`),
    ...without('function of stats', STATS_FUNCTIONS.keys(), name => `stats[^|]*\\b${name}\\b`),
    ...without('function of stats', PERCENTILE_FUNCTIONS, name => `stats[^|]*\\b${name}\\d`),
    ...without('function of convert', CONVERT_FUNCTIONS.keys(), name => `convert[^|]*\\b${name}\\s*\\(`),
    ...Object.entries(OPTIONS).flatMap(([command, options]) => without(`option of ${command}`, options, name => `\\b${command}\\b[^|]*\\b${name}=`)),
  ], [])
})

t.test('every file says whose rules it shows', async t => {
  for (const name of new Set(cases.map(({ file }) => file))) {
    const [first = ''] = readFileSync(new URL(name, CASES), 'utf8').split('\n', 1)
    t.match(first, /^# .*\(.*(?:R\d+|Search Reference)/, name)
  }
})

t.test('there is a case for every file, and every title is there once', async t => {
  const titles = cases.map(({ file, title }) => `${file} ${title}`)

  t.ok(cases.length >= 400)
  t.equal(new Set(titles).size, titles.length)
})
