import assert from 'node:assert/strict'
import fc from './fixtures/fast-check.js'
import t from 'tap'
import { isShallow, jsonFields, lookupJsonField, toFieldValue, toValue } from '../src/json.js'

t.test('a JSON scalar is text or a safe integer', async t => {
  const cases: readonly (readonly [json: unknown, value: string | number | undefined])[] = [
    ['a', 'a'], ['', ''], ['007', '007'], ['a\0b', 'a\0b'], ['\ud800', '\ufffd'], ['a\udc00b', 'a\ufffdb'], ['😀', '😀'],
    [42, 42], [0, 0], [-0, 0], [-7, -7], [1.5, '1.5'], [1e21, '1e+21'], [9007199254740991, 9007199254740991], [9007199254740992, '9007199254740992'],
    [Infinity, 'Infinity'], [true, 'true'], [false, 'false'],
    [null, undefined], [undefined, undefined], [{}, undefined], [[], undefined], [['a'], undefined],
  ]
  for (const [json, value] of cases) t.ok(Object.is(toFieldValue(json), value), JSON.stringify(json) ?? 'undefined')
})

t.test('collected values are none, one or a multivalue', async t => {
  t.equal(toValue([]), undefined)
  t.equal(toValue(['a']), 'a')
  t.strictSame(toValue(['a', 'a', 1]), ['a', 'a', 1])
})

type Case = readonly [json: unknown, fields: Readonly<Record<string, unknown>>]

/** isovalent-events.md 4.1. */
const CASES: readonly Case[] = [
  [{ process_exec: { process: { pod: { container: { image: { name: 'app:1' } } } } } }, { 'process_exec.process.pod.container.image.name': 'app:1' }],
  [{ process_exec: { ancestors: [{ binary: '/a' }, { pid: 1 }, { binary: '/b' }] } }, { 'process_exec.ancestors{}.binary': ['/a', '/b'], 'process_exec.ancestors{}.pid': 1 }],
  [{ process_kprobe: { args: [{ string_arg: '/bin/gzip' }, { int_arg: 2 }] } }, { 'process_kprobe.args{}.string_arg': '/bin/gzip', 'process_kprobe.args{}.int_arg': 2 }],
  [{ node_labels: { 'kubernetes.io/arch': 'amd64' } }, { 'node_labels.kubernetes.io/arch': 'amd64' }],
  [{ a: true, b: null, c: {}, d: [], e: '' }, { a: 'true', e: '' }],
  [{ a: [1, [2, [3]], null, 'x'] }, { 'a{}': [1, 'x'], 'a{}{}': 2, 'a{}{}{}': 3 }],
  [[{ a: 1 }, { a: 2 }, 3], { '{}.a': [1, 2], '{}': 3 }],
  [{ 'a.b': 1, a: { b: 2 } }, { 'a.b': [1, 2] }],
  [{ 'a{}': 1, a: [2] }, { 'a{}': [1, 2] }],
  [{ '': 1 }, { '': 1 }],
  [{ '': { '': 2 } }, { '.': 2 }],
  [{ '': { a: 1 }, '.a': 2 }, { '.a': [1, 2] }],
  [{ '{}': 1 }, { '{}': 1 }],
  [JSON.parse('{"__proto__":{"a":1},"constructor":2}'), { '__proto__.a': 1, constructor: 2 }],
  [{ a: '\ud800' }, { a: '\ufffd' }],
  ['text', { '': 'text' }],
  [null, {}],
]

t.test('automatic fields are dotted paths, with {} for the elements of an array', async t => {
  for (const [json, fields] of CASES) t.strictSame(Object.fromEntries(jsonFields(json)), fields, JSON.stringify(json))
})

t.test('a name that no path spells is no field', async t => {
  const json = JSON.parse('{"a":{"b":[1]},"":{"x":1},"__proto__":{"y":1}}') as unknown
  for (const name of ['a', 'b', 'a.b', 'a.b{}.', 'a.b{}{}', 'a{}', '.a', 'a.', '{}', '', 'x', 'y', 'toString', 'constructor', '__proto__', 'a.b.length', 'a.b.0']) {
    t.equal(lookupJsonField(json, name), undefined, JSON.stringify(name))
  }
})

const key = fc.oneof(
  fc.constantFrom('a', 'b', 'a.b', 'a{}', '{}', '.', '', '__proto__', 'constructor', 'toString', 'length', '0', '1', 'a.b{}', '{}.a', '..'),
  fc.string({ maxLength: 3 }),
)
const scalar = fc.oneof(fc.constantFrom('', 'x', '007', '\0', '\ud800', 42, 1.5, 1e21, -0, true, false, null), fc.string({ unit: 'binary', maxLength: 3 }))
const json = fc.letrec(tie => ({
  value: fc.oneof({ depthSize: 'medium', maxDepth: 5 }, scalar, fc.array(tie('value'), { maxLength: 3 }), fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map(toObject)),
})).value

/** As JSON.parse makes one: `__proto__` is a key like others. */
function toObject (members: readonly (readonly [string, unknown])[]): unknown {
  return JSON.parse(`{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join()}}`)
}

t.test('looking a field up gives the same value as all fields do, for every name there is', async () => {
  fc.assert(fc.property(json, key, (json, other) => {
    const fields = jsonFields(json)
    for (const [name, value] of fields) {
      // A scalar at the top has no path: its one field has the empty name, which names a member of an object only.
      if (typeof json === 'object') assert.deepStrictEqual(lookupJsonField(json, name), value, JSON.stringify(name))
    }
    if (typeof json === 'object' && !fields.has(other)) assert.equal(lookupJsonField(json, other), undefined, JSON.stringify(other))
  }), { numRuns: 2000 })
})

t.test('a name that can be cut in many ways is followed along each, and each member is looked at once', async t => {
  const keys = Array.from({ length: 12 }, (_, i) => Array.from({ length: i + 1 }, () => 'a').join('.'))
  let json: unknown = 'x'
  for (let level = 0; level < 5; level++) json = Object.fromEntries(keys.map(name => [name, json]))

  t.equal(lookupJsonField(json, Array.from({ length: 40 }, () => 'a').join('.')) !== undefined, true)
  t.equal(lookupJsonField(json, `${Array.from({ length: 40 }, () => 'a').join('.')}.b`), undefined)
})

t.test('a name that is longer than any real one is no field, neither of all nor looked up', async t => {
  const key = 'k'.repeat(500)
  const json = { a: { [key]: { b: 1, ['c'.repeat(100)]: 2 } }, ['x'.repeat(1 << 20)]: Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`n${n}`, n])) }

  t.strictSame(Object.fromEntries(jsonFields(json)), { [`a.${key}.b`]: 1 })
  t.equal(lookupJsonField(json, `a.${key}.b`), 1)
  t.equal(lookupJsonField(json, `a.${key}.${'c'.repeat(100)}`), undefined)
  t.equal(lookupJsonField(json, `${'x'.repeat(1 << 20)}.n1`), undefined)
})

t.test('text is shallow up to 256 levels, brackets in strings not counted', async t => {
  const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels)

  t.ok(isShallow(nested('[', ']', 256)))
  t.notOk(isShallow(nested('[', ']', 257)))
  t.notOk(isShallow(nested('{"a":', '}', 257)))
  t.ok(isShallow('[]'.repeat(1000)))
  t.ok(isShallow(`"${'['.repeat(1000)}"`))
  t.ok(isShallow(`["\\"${'['.repeat(1000)}"]`))
  t.notOk(isShallow(`["\\\\"${'['.repeat(1000)}]`))
  t.ok(isShallow(''))
})
