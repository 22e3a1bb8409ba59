import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { SplError } from '../../src/spl/errors.js'
import { NO_KNOWLEDGE } from '../../src/spl/knowledge.js'
import type { Macros } from '../../src/spl/macro.js'
import { COMMANDS, parseSearch } from '../../src/spl/parse.js'
import { printSearch } from '../../src/spl/print.js'
import { CASES, readCases } from './cases.js'
import { anyAggregateText, anyConditionText, anyExpressionText, anyFieldsStage, anyFieldText, anyPredicateText, anyRowsStage, anyText } from './arbitrary.js'

const none: Macros = new Map()

/** What parsing gives, or the error; anything else that is thrown fails the test. */
function parseOrError (text: string, macros = none, knowledge = NO_KNOWLEDGE): object {
  try {
    return parseSearch(text, macros, knowledge)
  } catch (err) {
    if (err instanceof SplError) return err
    throw err
  }
}

/** A search without the places it was parsed from, and what was said of them. */
function withoutSpans (search: object): unknown {
  return JSON.parse(JSON.stringify(search, (key, value) => ['span', 'warnings', 'dataModels'].includes(key) ? undefined : value))
}

const valid = readCases(CASES).filter(({ expected }) => 'rows' in expected)

t.test('arbitrary text is a search or an SplError', async () => {
  const words = fc.constantFrom(...COMMANDS.keys(), 'sortby', 'limit=', 'keepempty=true', 'WITH', 'count', 'BY', 'AS', 'IN', 'NOT', 'OR', 'AND', 'a', '=', '!=', '<', '(', ')', ',', '|', '"', "'", '`', '```', '\\', '*', '+', '-', '.', '1', 'if(', 'case(', 'span=5m', '[', ']', '\n', ' ')
  fc.assert(fc.property(fc.array(fc.oneof(words, anyText), { maxLength: 25 }), parts => { parseOrError(parts.join(' ')) }), { numRuns: 3_000 })
  fc.assert(fc.property(fc.array(fc.oneof(words, anyText), { maxLength: 25 }), parts => { parseOrError(parts.join('')) }), { numRuns: 1_000 })
})

t.test('valid searches with a piece cut out, doubled or put in are a search or an SplError', async () => {
  fc.assert(fc.property(fc.constantFrom(...valid), fc.nat(), fc.nat(12), anyText, fc.boolean(), ({ search, macros, knowledge }, seed, length, piece, isDoubled) => {
    const at = seed % (search.length + 1)
    parseOrError(search.slice(0, at) + piece + search.slice(isDoubled ? Math.max(0, at - length) : at + length), macros, knowledge)
  }), { numRuns: 5_000 })
})

t.test('an error lies inside the text, and its message shows the place', async t => {
  fc.assert(fc.property(fc.constantFrom(...valid), fc.nat(), anyText, ({ search, macros, knowledge }, seed, piece) => {
    const at = seed % (search.length + 1)
    const text = search.slice(0, at) + piece + search.slice(at)
    const error = parseOrError(text, macros, knowledge)
    if (!(error instanceof SplError)) return
    const lines = text.split('\n')
    t.ok(error.span.start >= 0 && error.span.start <= error.span.end && error.span.end <= text.length)
    t.ok(error.line <= lines.length && error.column <= lines[error.line - 1]!.length + 1)
    t.ok(error.message.startsWith(`${error.line}:${error.column}: ${error.detail}\n`))
    t.equal(error.message.split('\n').length, 3)
  }), { numRuns: 1_000 })
})

t.test('the canonical text of every case parses to the same search, and prints the same', async t => {
  for (const { search, macros, knowledge, title } of valid) {
    const parsed = parseSearch(search, macros, knowledge)
    const printed = printSearch(parsed)
    t.strictSame(withoutSpans(parseSearch(printed, none, knowledge)), withoutSpans(parsed), title)
    t.equal(printSearch(parseSearch(printed, none, knowledge)), printed)
  }
})

t.test('the canonical text of any search parses to the same search', async t => {
  const search = fc.tuple(anyPredicateText, anyConditionText, anyFieldText, anyAggregateText(anyExpressionText, anyConditionText), fc.array(fc.oneof(anyRowsStage, anyFieldsStage), { minLength: 1, maxLength: 3 })).map(([terms, test, field, aggregate, stages]) => `${terms} | where ${test} | eval x = if(${test}, 1, 2) | stats count values(${field}) AS "v v" ${aggregate} AS n | table ${field} | ${stages.join(' | ')}`)
  let parsedCount = 0
  fc.assert(fc.property(search, text => {
    const parsed = parseOrError(text)
    if (parsed instanceof SplError) {
      t.match(parsed.detail, /earliest|Single quotes|empty name/, text)
      return
    }
    parsedCount++
    const printed = printSearch(parseSearch(text, none))
    t.strictSame(withoutSpans(parseSearch(printed, none)), withoutSpans(parsed))
  }), { numRuns: 1_000 })
  t.ok(parsedCount > 900, `${parsedCount} searches`)
})

t.test('what is too long or too deep is an error, not an overflow', async t => {
  const deep = 100_000
  const texts: [string, RegExp][] = [
    ['a=1 '.repeat(30_000), /100000 characters/],
    ['('.repeat(deep - 1), /200 levels/],
    ['NOT '.repeat(20_000) + 'a=1', /200 levels/],
    ['* | where ' + '('.repeat(50_000), /200 levels/],
    ['* | where ' + 'NOT '.repeat(20_000) + 'a=1', /200 levels/],
    ['* | eval x=' + '-'.repeat(50_000) + '1', /200 levels/],
    ['* | eval x=' + 'len('.repeat(20_000), /200 levels/],
    ['* | eval x=1' + '+1'.repeat(40_000), /1000 operators/],
    ['* | where a=1' + ' OR a=1'.repeat(10_000), /1000 operators/],
    ['a=1 '.repeat(20_000), /10000 comparisons/],
    [`a IN (${'1 '.repeat(20_000)})`, /10000 comparisons/],
    ['*' + '|search *'.repeat(5_000), /200 commands/],
    ['* ' + '[search *]'.repeat(9_000), /100 searches in brackets/],
    ['* ' + '[search * '.repeat(9_000) + ']'.repeat(9_000), /10 levels/],
    [`${'* ('.repeat(90)} [search ${'* ('.repeat(90)} [search ${'* ('.repeat(90)} a=1 ${')'.repeat(90)}]${')'.repeat(90)}]${')'.repeat(90)}`, /200 levels/],
    ['*' + '['.repeat(90_000), /no closing/],
  ]
  for (const [text, detail] of texts) {
    const error = parseOrError(text)
    t.match(error instanceof SplError && error.detail, detail, text.slice(0, 20))
  }
})

t.test('as deep and as long as allowed works, printed again too', async t => {
  const texts = [
    '('.repeat(199) + 'a=1' + ')'.repeat(199),
    'NOT '.repeat(199) + 'a=1',
    'a=1 OR '.repeat(9_999) + 'a=1',
    '* | eval x=1' + '+1'.repeat(998),
    '* | where ' + 'NOT '.repeat(199) + '(a=1)',
    '*' + '|search *'.repeat(199),
  ]
  for (const text of texts) t.strictSame(withoutSpans(parseSearch(printSearch(parseSearch(text, none)), none)), withoutSpans(parseSearch(text, none)), text.slice(0, 20))
})

t.test('spans are places in the text as written', async t => {
  const text = 'a=1 ```x``` `m`\n| where  b > 2'
  const { stages } = parseSearch(text, new Map([['m', { args: [], definition: 'c=3' }]]))
  const [search, where] = stages
  const slice = ({ span }: { span: { start: number, end: number } }) => text.slice(span.start, span.end)

  t.equal(search?.kind === 'search' && search.predicate.kind === 'and' && search.predicate.terms.map(slice).join(), 'a=1,`m`')
  t.equal(where && slice(where), 'where  b > 2')
  t.equal(where?.kind === 'where' && slice(where.expr), 'b > 2')
})

t.test('what is read leniently is warned of, with its place (R7)', async t => {
  const { warnings } = parseSearch('a=1\n  b IN ("x" . "y" /* z */)', none)

  t.strictSame(warnings, [
    '2:13: A full stop between the values of a list is taken for a comma\n    b IN ("x" . "y" /* z */)\n              ^',
    '2:19: A C comment in a list is left out; SPL has ```comments```\n    b IN ("x" . "y" /* z */)\n                    ^',
  ])
  t.strictSame(parseSearch('a IN ("x", "y")', none).warnings, [])
})
