import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { openGenerator } from '../../bench/generator.js'
import type { Projector } from '../../src/envelope/projection.js'
import { openProjector } from '../../src/envelope/projection.js'
import type { ParsedObject } from '../../src/envelope/split.js'
import { parseLines } from '../../src/envelope/lines.js'
import { openEnvelopes } from '../../src/envelope/split.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { neededKeys } from '../../src/fields/needed-keys.js'
import type { KeyTree } from '../../src/json.js'
import { parseJsonObject } from '../../src/json.js'
import { resourcePath } from '../../src/resource.js'
import { COLUMN_FIELDS } from '../../src/store/sqlite/columns.js'
import { wanted } from '../fixtures/key-tree.js'
import { projectionWasm } from '../fixtures/wasm.js'

const KEYS: KeyTree = new Map<string, KeyTree | 'whole'>([
  ['a', 'whole'],
  ['sixteen_letters_', 'whole'],
  ['seventeen_letters', new Map([['a', 'whole']])],
  ['node', new Map<string, KeyTree | 'whole'>([['b', 'whole'], ['node', new Map([['c', 'whole']])]])],
  ['there', new Map()],
])
const NEEDED = neededKeys(BUILT_IN_TABLES, COLUMN_FIELDS)!

type Split = readonly (ParsedObject | 'faulty')[]

function split (body: Uint8Array, projector: Projector | null): Split {
  const envelopes = openEnvelopes(body, projector)
  const found: (ParsedObject | 'faulty')[] = []
  for (let next = envelopes.next(); next !== null; next = envelopes.next()) {
    found.push(next)
    if (next === 'faulty') break
  }
  return found
}

/** Of an envelope that the projector left to others the whole event is there. */
function leaveOut (found: Split, keys: KeyTree): Split {
  return found.map(one => one === 'faulty' ? one : { ...one, object: Object.fromEntries(Object.entries(one.object).map(([key, value]) => [key, key === 'event' ? wanted(value, keys) : value])) })
}

const PROJECTORS = new Map([KEYS, NEEDED].map(keys => [keys, openProjector(keys)!]))

function assertSame (body: Uint8Array, keys: KeyTree): void {
  assert.deepStrictEqual(leaveOut(split(body, PROJECTORS.get(keys)!), keys), leaveOut(split(body, null), keys))
}

t.test('src/envelope/projection-wasm.ts is what wasm/projection.ts compiles to; `npm run wasm` writes it', async t => {
  t.equal(await projectionWasm(), readFileSync(resourcePath('src/envelope/projection-wasm.ts'), 'utf8'))
})

const key = fc.constantFrom('a', 'b', 'c', 'node', 'there', 'event', 'sixteen_letters_', 'seventeen_letters', '', 'é', '__proto__', 'no"de', 'log')
const space = fc.oneof({ weight: 60, arbitrary: fc.constantFrom('', '', '', ' ', '\n', '\t\r\n ') }, fc.constantFrom('\u00a0', '\v'))
const scalar = fc.constantFrom(
  '1', '-0', '0', '1.50', '-1e400', '1E+5', '2e-3', '12345678901234567890', 'true', 'false', 'null', '"x"', '""', '"\\ud83d\\ude00"', '"\\ud800"', '"a\\u0000b\\/\\b\\f\\n\\r\\t\\\\\\""', '"é😀\u2028\ufeff"',
  `"${'x'.repeat(15)}"`, `"${'x'.repeat(14)}\\n"`, `"${'x'.repeat(200)}"`, '[]', '{}', '[1,[2,{"a":[]}]]',
)
const faulty = fc.constantFrom(
  '01', '1.', '.5', '-', '+1', '1e', '1e+', 'NaN', 'True', 'nul', 'tru', 'falsy', '"\t"', '"\0"', '"\\x"', '"\\u12g4"', '"\\u123"', '"', "'a'", '[1,]', '[,1]', '[1 2]', '{"a"}', '{"a":}', '{"a":1,}', '{,}', '{a:1}', '', '1}', ']', '/**/1',
)

/** A value in JSON or nearly, with keys twice and escaped ones. */
const { value } = fc.letrec<{ value: string, object: string }>(tie => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, { weight: 40, arbitrary: scalar }, { weight: 1, arbitrary: faulty }, { weight: 12, arbitrary: tie('object') }),
  object: fc.tuple(fc.array(fc.tuple(fc.tuple(key, fc.boolean()), tie('value'), space, space), { maxLength: 5 }), space)
    .map(([members, end]) => `{${members.map(([[name, isEscaped], value, before, after]) => `${before}${isEscaped && name.length > 0 && name !== 'é' ? escaped(name) : JSON.stringify(name)}${after}:${before}${value}${after}`).join(',')}${end}}`),
}))

/** The key with its first letter escaped, now and then: two spellings of one key. */
function escaped (name: string): string {
  return name.length % 2 === 0 ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${JSON.stringify(name.slice(1)).slice(1)}` : JSON.stringify(name)
}

const envelope = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(value, space, fc.constantFrom('', '"time":1.5,', '"host":"h" , ', '"event":{"a":1},', '"x":{"node":1},')).map(([event, gap, before]) => `{${before}"event":${gap}${event}${gap}}`) },
  { weight: 1, arbitrary: value },
)

t.test('what is projected is what JSON.parse reads, but for members that nobody asked for', async t => {
  let projected = 0
  fc.assert(fc.property(fc.array(fc.tuple(envelope, space), { maxLength: 6 }), fc.boolean(), (envelopes, isArray) => {
    const text = envelopes.map(([envelope, gap]) => envelope + gap).join(isArray ? ',' : '')
    const body = new Uint8Array(Buffer.from(isArray ? `[${text}]` : text))

    assertSame(body, KEYS)
    projected += PROJECTORS.get(KEYS)!(body, 'envelopes').read(0).length
  }), { numRuns: 4_000 })
  t.ok(projected > 2_000, `${projected} envelopes were projected`)
})

/** The events of a body of lines: where each is, its text, and what is wanted of the object that it is the JSON of. */
function readLines (body: Uint8Array, projector: Projector | null) {
  const found: unknown[] = []
  let projected = 0
  const defaults = { host: 'h', source: 's', sourcetype: 'st', index: 'main' }
  parseLines(body, { defaults, timeUs: null, allowedIndexes: null, existingIndexes: new Set(['main']), maxEventBytes: 1 << 20, projector }, ({ item, event, raw }) => {
    if (typeof event === 'object') projected++
    const payload = typeof event === 'string' ? parseJsonObject(event) : event
    found.push({ item, raw: raw(), payload: Array.isArray(payload) ? payload : wanted(payload, KEYS) })
  })
  return { found, projected }
}

t.test('of lines that are JSON objects the same is projected, and no more than one of a line', async t => {
  const line = fc.oneof({ weight: 4, arbitrary: value }, { weight: 12, arbitrary: value.map(member => `{"a":${member}}`) }, fc.constantFrom('text', '{"a":1}{"a":2}', '{"a":1', '"b":2}', '{"a":1} x', '  {"a":1}\t', '\u00a0{"a":1}', '\ufeff{"a":1}', '{"a":1}\u00a0', ' ', ''))
  const end = fc.constantFrom('\n', '\n', '\r\n', '\r', '\n\n', '\n \n')
  let projected = 0
  fc.assert(fc.property(fc.array(fc.tuple(line, end), { maxLength: 30 }), lines => {
    const body = new Uint8Array(Buffer.from(lines.flat().join('')))
    const read = readLines(body, PROJECTORS.get(KEYS)!)

    assert.deepStrictEqual(read.found, readLines(body, null).found)
    projected += read.projected
  }), { numRuns: 4_000 })
  t.ok(projected > 5_000, `${projected} lines were projected`)

  let reads = 0
  const counting: Projector = (body, holds) => {
    const projection = PROJECTORS.get(KEYS)!(body, holds)
    return {
      read (at) {
        reads++
        return projection.read(at)
      },
    }
  }
  readLines(new Uint8Array(Buffer.from('{x\n'.repeat(1_000))), counting)
  t.ok(reads < 20, `of lines that are none a few are looked at: ${reads}`)

  const refused = `${'{"a":1}{"a":2}\n'.repeat(20)}{"a":3}\n`
  t.strictSame(readLines(new Uint8Array(Buffer.from(refused)), PROJECTORS.get(KEYS)!).found, readLines(new Uint8Array(Buffer.from(refused)), null).found)
})

t.test('bytes that an event should not have change nothing but what they change for JSON.parse', async () => {
  const generator = openGenerator({ seed: 5, startUs: Date.UTC(2026, 0, 1) * 1_000, stepUs: 100 })
  const bodies = Array.from({ length: 20 }, () => Buffer.from(generator.body(3)))
  const bytes = fc.oneof(fc.constantFrom(...[...'"\\{}[]:,0-+.eEun \n\t'].map(char => char.charCodeAt(0)), 0, 0x1f, 0x7f, 0x80, 0xbf, 0xc3, 0xe2, 0xed, 0xf0, 0xff), fc.integer({ min: 0, max: 255 }))
  fc.assert(fc.property(fc.constantFrom(...bodies), fc.array(fc.tuple(fc.nat(), bytes, fc.constantFrom('replace', 'insert', 'remove', 'cut')), { minLength: 1, maxLength: 3 }), (original, changes) => {
    let body = original
    for (const [where, byte, change] of changes) {
      const at = where % body.length
      if (change === 'cut') body = body.subarray(0, at)
      else body = Buffer.concat([body.subarray(0, at), change === 'remove' ? Buffer.alloc(0) : Buffer.of(byte), body.subarray(change === 'insert' ? at : at + 1)])
      if (body.length === 0) break
    }

    assertSame(new Uint8Array(body), NEEDED)
  }), { numRuns: 4_000 })
})

t.test('events as they are sent are all projected, and little is left of them', async t => {
  const body = new Uint8Array(openGenerator({ seed: 6, startUs: Date.UTC(2026, 0, 1) * 1_000, stepUs: 100 }).body(500))
  const projection = openProjector(NEEDED)!(body, 'envelopes')
  let count = 0
  for (let at = 0, batch = projection.read(0); batch.length > 0; batch = projection.read(at)) {
    count += batch.length
    at = batch.at(-1)!.end
    t.ok(JSON.stringify(batch).length < batch.length * 800)
  }
  t.equal(count, 500)
  assertSame(body, NEEDED)
})

t.test('depth, length and number of what is projected have bounds, and what is beyond them is read as before', async t => {
  const nested = (levels: number) => `{"event":{"a":${'['.repeat(levels)}${']'.repeat(levels)},"node":${'{"node":'.repeat(levels)}1${'}'.repeat(levels)}}}`
  const long = (length: number) => JSON.stringify({ event: { a: 'é'.repeat(length / 2), b: 'x'.repeat(length) } })
  for (const text of [
    ...[126, 253, 254, 255, 256, 5_000].map(nested),
    ...[253, 254, 255].map(levels => nested(levels) + nested(1)),
    ...[1 << 17, 1 << 18, 1 << 20].map(length => `{"event":1}${long(length)}{"event":{"a":2,"b":3}}\n${long(10)}`),
    long(3_000).repeat(200), // of more text than is written at once, in several windows
    long(1 << 19).repeat(10),
    '{"event":{"a":1}}'.repeat(5_000),
    `${'{"event":{"\\u0061":1}}'.repeat(50)}{"event":{"b":1}}`,
    `{"event":"${'x'.repeat((1 << 18) - 12)}"}{"event":1}`,
    `{"event":"${'x'.repeat((1 << 18) - 13)}"}`,
  ]) assertSame(new Uint8Array(Buffer.from(text)), KEYS)
  t.equal(split(new Uint8Array(Buffer.from('{"event":{"a":1}}'.repeat(5_000))), openProjector(KEYS)).length, 5_000)
})

t.test('one projector reads one body after the other, also where the one before was left in the middle', async t => {
  const projector = openProjector(KEYS)!
  const first = projector(new Uint8Array(Buffer.from('{"event":{"a":1,"b":2}}{"event":{"a":3}} 7')), 'envelopes')
  t.equal(first.read(0).length, 2)
  const second = projector(new Uint8Array(Buffer.from('{"event":{"b":4}}')), 'envelopes')
  t.strictSame(second.read(0), [{ start: 0, end: 17, object: { event: {} } }])
  t.strictSame(first.read(23), [{ start: 23, end: 40, object: { event: { a: 3 } } }])
  t.strictSame(first.read(41), [])
})

t.test('a tree whose keys can be spelled in several ways, or that is too large, has no projector', async t => {
  for (const key of ['', 'é', 'a"b', 'a\\b', 'a\nb']) t.equal(openProjector(new Map([[key, 'whole']])), null, JSON.stringify(key))
  t.equal(openProjector(new Map(Array.from({ length: 5_000 }, (_, i) => [`key_${i}`, 'whole']))), null)
})
