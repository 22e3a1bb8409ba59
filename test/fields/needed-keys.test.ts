import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { buildFieldTables, BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { lossOf } from '../../src/fields/loss.js'
import { neededKeys } from '../../src/fields/needed-keys.js'
import { COLUMNS } from '../../src/fields/tables.js'
import { ownTime } from '../../src/fields/time.js'
import { COLUMN_FIELDS, openColumnReader } from '../../src/store/sqlite/columns.js'
import { wanted } from '../fixtures/key-tree.js'

const OTHERS = ['a', 'a.b', 'a.b.c', 'a{}', 'a{}.b', '{}', 'process_id', 'process_exec', 'process_exec.process.pid', 'process_current_directory', 'time', 'tag', 'host', '_raw', 'log', 'node_labels', '.x', 'x.']
const aliases = fc.dictionary(fc.constantFrom(...Object.keys(COLUMNS), 'a'), fc.constantFrom(...OTHERS, ...Object.keys(COLUMNS)), { maxKeys: 4 })
const sourcetypes = ['cisco:isovalent', 'cisco:isovalent:processExec', 'cisco:isovalent:processConnect', 'other']
const tables = fc.record({
  fields: fc.uniqueArray(fc.record({ sourcetype: fc.constantFrom(...sourcetypes), aliases, evals: fc.constantFrom<Record<string, string>>({}, { unheard: 'a.b' }), data_models: fc.constant([]) }), { selector: one => one.sourcetype, maxLength: 2 }),
  routes: fc.array(fc.record({ from: fc.constantFrom(...sourcetypes), key: fc.constantFrom('a', 'process_exit', 'time', '__proto__'), to: fc.constantFrom(...sourcetypes) }), { maxLength: 2 }),
  timezone: fc.constant('UTC'),
})

const scalar = fc.oneof(fc.constantFrom<unknown>('x', '/bin/sh', '', 7, 1.5, true, null, '2026-01-02T03:04:05Z', 1_700_000_000, 'THROTTLE_START', '12', '\ud800'))
const value = fc.oneof({ weight: 6, arbitrary: scalar }, fc.array(scalar, { maxLength: 2 }), fc.constantFrom<unknown>({}, { b: 1, c: { d: 2 } }, [{ b: 3 }, { b: 4 }]))
const optional = (model: Record<string, fc.Arbitrary<unknown>>) => fc.oneof({ weight: 8, arbitrary: fc.record(model, { requiredKeys: [] }) }, value)
const process = optional({ binary: value, arguments: value, uid: value, pid: value, cwd: value, pod: optional({ name: value, namespace: value, container: optional({ image: optional({ name: value }) }) }) })
const kind = optional({ process, parent: process, protocol: value })
const members: Record<string, fc.Arbitrary<unknown>> = {
  process_exec: kind, process_connect: kind, process_exit: kind, a: fc.oneof(value, optional({ b: optional({ c: value }) })), 'a.b': optional({ c: value }), 'a.b.c': value, 'a{}': value, '': value, 'x.': value,
  time: value, '@timestamp': value, timestamp: value, rate_limit_info: optional({ number_of_dropped_process_events: value }), process_throttle: optional({ type: scalar }),
  ...Object.fromEntries(Object.keys(COLUMNS).map(name => [name, value])),
}
const plain = fc.oneof({ weight: 9, arbitrary: fc.record(members, { requiredKeys: [] }) }, value)
const event = fc.oneof({ weight: 5, arbitrary: plain }, fc.oneof(plain, plain.map(one => JSON.stringify(one))).map(log => ({ log, node_name: 'outside' })), plain.map(one => JSON.stringify(one)), fc.array(plain, { maxLength: 2 }))

t.test('what is not needed of an event changes nothing of its sourcetype, columns, losses and own time', async t => {
  let smaller = 0
  fc.assert(fc.property(tables, event, fc.constantFrom(...sourcetypes), (configured, event, sourcetype) => {
    const tables = buildFieldTables(configured)
    const keys = neededKeys(tables, COLUMN_FIELDS)!
    const { route, columnsOf } = openColumnReader(tables)
    const read = (event: unknown) => {
      const { payload, ...routed } = route(event, sourcetype)
      const indexed = { host: 'h', source: 's', index: 'main', sourcetype: routed.sourcetype, timeUs: 0, raw: () => 'raw', fields: { cluster_name: 'envelope' }, payload }
      return { ...routed, ...columnsOf(indexed), loss: lossOf(payload), time: ownTime(payload, () => '') }
    }

    const left = wanted(event, keys)

    assert.deepStrictEqual(read(left), read(event))
    if (JSON.stringify(left) !== JSON.stringify(event)) smaller++
  }), { numRuns: 6_000 })
  t.ok(smaller > 2_000, `${smaller} events had something that nobody needs`)
})

t.test('where a column is calculated all of an event is needed, where another field is it is not', async t => {
  const withEval = (name: string) => buildFieldTables({ fields: [{ sourcetype: 'other', aliases: {}, evals: { [name]: 'upper(a)' }, data_models: [] }], routes: [], timezone: 'UTC' })
  t.equal(neededKeys(withEval('user_id'), COLUMN_FIELDS), null)
  t.strictSame(neededKeys(withEval('a'), COLUMN_FIELDS), neededKeys(BUILT_IN_TABLES, COLUMN_FIELDS))
})
