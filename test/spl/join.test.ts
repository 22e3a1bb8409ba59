import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { JoinStage } from '../../src/spl/ast.js'
import type { Row } from '../../src/spl/row.js'
import { join } from '../../src/spl/stages/join.js'
import { anyValue } from './arbitrary.js'

const span = { start: 0, end: 0 }
const stage: JoinStage = { kind: 'join', type: 'left', fields: [], max: 0, overwrite: true, search: { stages: [], span }, span }

t.test('a join that names no fields joins each result as it would that one alone, whatever fields the results have', async () => {
  const few = fc.oneof(fc.constantFrom('x', 'y', 7, '7'), anyValue)
  const rows = (maxLength: number) => fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', '_e'), few, { maxKeys: 5 }), { maxLength })
    .map(list => list.map((values, i): Row => ({ values: new Map(Object.entries(values)), origin: [i] })))
  fc.assert(fc.property(rows(30), rows(6), (results, others) => {
    const joinAll = (some: readonly Row[]) => JSON.stringify([...join(stage, () => others)(some)].map(({ values, origin }) => [[...values], origin]))
    return joinAll(results) === `[${results.map(row => joinAll([row]).slice(1, -1)).filter(text => text !== '').join()}]`
  }), { numRuns: 500 })
})
