import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Aggregate, StatsStage } from '../../src/spl/ast.js'
import type { Row, Value } from '../../src/spl/row.js'
import { MAX_GROUPS_PER_ROW, openStats } from '../../src/spl/stages/stats.js'
import type { Partial } from '../../src/spl/stages/stats.js'
import { toScalars, toText } from '../../src/spl/value.js'
import { anyScalar, anyValue } from './arbitrary.js'

const span = { start: 0, end: 0 }
const aggregates: Aggregate[] = [
  { function: 'count', field: null, as: 'count', span },
  { function: 'count', field: 'v', as: 'count(v)', span },
  { function: 'dc', field: 'v', as: 'dc(v)', span },
  { function: 'values', field: 'v', as: 'values(v)', span },
  { function: 'min', field: 'v', as: 'min(v)', span },
  { function: 'max', field: 'v', as: 'max(v)', span },
]

function statsOf (by: readonly string[], rows: readonly Row[]): Row[] {
  const stats = openStats({ kind: 'stats', aggregates, by, span })
  rows.forEach(stats.add)
  return stats.rows()
}

function toRow (fields: Record<string, Value | undefined>): Row {
  return { values: new Map(Object.entries(fields).filter((entry): entry is [string, Value] => entry[1] !== undefined)), origin: [] }
}

const anyRows = fc.array(fc.record({ a: fc.option(anyScalar, { nil: undefined }), b: anyScalar, v: fc.option(anyValue, { nil: undefined }) }).map(toRow), { maxLength: 12 })

t.test('adding rows and adding partials of parts give the same rows', async t => {
  fc.assert(fc.property(anyRows, fc.nat(12), (rows, border) => {
    const stage: StatsStage = { kind: 'stats', aggregates, by: ['a', 'b'], span }
    const stats = openStats(stage)
    for (const part of [rows.slice(0, border), rows.slice(border)]) {
      for (const row of part) {
        const by = stage.by.flatMap(field => toScalars(row.values.get(field)))
        const values = toScalars(row.values.get('v'))
        if (by.length === 2) stats.addPartial({ by, partials: aggregates.map((aggregate): Partial => aggregate.field === null ? 1 : aggregate.function === 'count' ? values.length : values) })
      }
    }
    t.strictSame(stats.rows(), statsOf(stage.by, rows))
  }), { numRuns: 500 })
})

t.test('the order of the rows changes nothing', async t => {
  fc.assert(fc.property(anyRows, rows => t.strictSame(statsOf(['a'], rows.toReversed()), statsOf(['a'], rows))), { numRuns: 300 })
})

t.test('the origin of a row is its BY values', async t => {
  const [row] = statsOf(['a', 'b'], [toRow({ a: 'x', b: 7 })])
  const [total] = statsOf([], [])

  t.strictSame(row?.origin, ['x', 7])
  t.strictSame(total?.origin, [])
})

t.test('as many rows as there are distinct keys of text (R33)', async () => {
  fc.assert(fc.property(anyRows, rows => {
    const keys = rows.filter(({ values }) => values.has('a')).map(({ values }) => JSON.stringify(toScalars(values.get('a')).map(toText)))
    return statsOf(['a'], rows).length === new Set(keys).size
  }))
})

t.test('one event with long lists makes a bounded number of groups (R32)', async t => {
  const list = Array.from({ length: 1_000 }, (_, index) => `v${index}`)
  const started = process.hrtime.bigint()

  const rows = statsOf(['a', 'b'], [toRow({ a: list, b: list })])

  t.equal(rows.length, MAX_GROUPS_PER_ROW)
  t.ok(process.hrtime.bigint() - started < 2_000_000_000n)
})
