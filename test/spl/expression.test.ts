import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { parseSearch } from '../../src/spl/parse.js'
import type { Value } from '../../src/spl/row.js'
import { runStages } from '../../src/spl/stages/run.js'
import { anyConditionText, anyExpressionText, anyValue } from './arbitrary.js'
import { CONTEXT } from './memory-store.js'

const anyFields = fc.dictionary(fc.constantFrom('a', 'b_c', '_time', 'x y', "it's", 'NOT'), anyValue)

function run (text: string, fields: Record<string, Value>) {
  const row = { values: new Map(Object.entries(fields)), origin: [1] }
  return [...runStages(parseSearch(text, new Map()).stages, [row], CONTEXT)]
}

function isValue (value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 1 && value.every(one => typeof one === 'string' || typeof one === 'number')
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0))
}

t.test('any expression over any fields gives a value that a field can hold, or none (R50, R51)', async t => {
  let valueCount = 0
  fc.assert(fc.property(anyExpressionText, anyFields, (text, fields) => {
    const result = run(`* | eval result = ${text}`, fields)[0]?.values.get('result')
    if (result !== undefined) valueCount++
    return result === undefined || isValue(result)
  }), { numRuns: 3_000 })
  t.ok(valueCount > 500, `${valueCount} values`)
})

t.test('a condition is true, false or null: where keeps a row for it or for its NOT, or for neither (R51)', async t => {
  const counts = [0, 0]
  fc.assert(fc.property(anyConditionText, anyFields, (text, fields) => {
    const kept = run(`* | where ${text}`, fields).length + run(`* | where NOT (${text})`, fields).length
    const isNull = run(`* | eval x=tostring(${text}) | where isnull(x)`, fields).length === 1
    counts[kept]! += 1
    return kept === (isNull ? 0 : 1)
  }), { numRuns: 2_000 })
  t.ok(Math.min(...counts) > 100, `null ${counts[0]}, true or false ${counts[1]}`)
})

t.test('text that doubles again and again is cut, not an overflow', async t => {
  const [row] = run('* | eval x="😀a"' + ', x=x.x, x=x+x'.repeat(100), {})
  const text = row?.values.get('x')

  t.equal(typeof text === 'string' && text.length, 1_000_000)
})
