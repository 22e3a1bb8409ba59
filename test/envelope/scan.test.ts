import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { ByteSpan } from '../../src/envelope/scan.js'
import { isJsonSpace, openScanner, scanEnvelope } from '../../src/envelope/scan.js'

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text))

/** The texts of a body's envelopes, and how it ended. */
function scanAll (body: Uint8Array): { texts: string[], faulty: boolean } {
  const scanner = openScanner(body)
  const texts: string[] = []
  for (let span = scanner.next(); span !== null; span = scanner.next()) {
    if (span === 'faulty') return { texts, faulty: true }
    texts.push(textOf(body, span)!)
  }
  return { texts, faulty: false }
}

function textOf (body: Uint8Array, span: ByteSpan | null): string | null {
  return span === null ? null : Buffer.from(body.subarray(span.start, span.end)).toString()
}

const space = fc.stringMatching(/^[ \t\r\n]{0,3}$/)
/** Strings that look like structure. */
const trickyText = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^["\\{}[\],:]{0,12}$/))
const key = fc.oneof(fc.constantFrom('time', 'event', 'fields', 'host', '__proto__', ''), trickyText)
const json = fc.letrec(tie => ({
  value: fc.oneof({ maxDepth: 4 }, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean(), fc.constant(null), trickyText, fc.array(tie('value'), { maxLength: 3 }), fc.dictionary(key, tie('value'), { maxKeys: 3 })),
})).value
const envelope = fc.dictionary(key, json, { maxKeys: 5, noNullPrototype: false })
const indent = fc.constantFrom(undefined, 2, '\t')

t.test('JSON\'s white space is four bytes', async t => {
  t.strictSame(Array.from({ length: 256 }, (_, byte) => byte).filter(isJsonSpace), [0x09, 0x0a, 0x0d, 0x20])
})

t.test('objects are found back to back, with white space and in arrays, whatever is in them', async () => {
  const group = fc.record({ envelopes: fc.array(envelope, { maxLength: 4 }), isArray: fc.boolean() })
  fc.assert(fc.property(fc.array(group, { maxLength: 4 }), space, indent, (groups, space, indent) => {
    const wanted: string[] = []
    const body = groups.map(({ envelopes, isArray }) => {
      const texts = envelopes.map(one => JSON.stringify(one, null, indent))
      wanted.push(...texts)
      return isArray ? `[${space}${texts.join(`${space},${space}`)}${space}]` : texts.join(space)
    }).join(space)

    assert.deepStrictEqual(scanAll(bytesOf(space + body + space)), { texts: wanted, faulty: false })
  }), { numRuns: 200 })
})

t.test('the places of time, event and fields are those of the values that JSON.parse gives', async () => {
  fc.assert(fc.property(envelope, space, indent, (one, space, indent) => {
    const body = bytesOf(`${space}${JSON.stringify(one, null, indent)}${space}{}`)
    const span = scanEnvelope(body, space.length)

    for (const name of ['time', 'event', 'fields'] as const) {
      const text = textOf(body, span?.[name] ?? null)
      assert.deepStrictEqual(text === null ? undefined : JSON.parse(text), Object.hasOwn(one, name) ? JSON.parse(JSON.stringify(one[name])) : undefined)
    }
  }), { numRuns: 200 })
})

t.test('of a key that is there twice, also escaped, the last value counts', async t => {
  const cases: readonly (readonly [text: string, time: string | null, event: string | null])[] = [
    ['{"time":1,"time":2}', '2', null],
    ['{"time":1,"tim\\u0065":2}', '2', null],
    ['{"tim\\u0065":2,"time":1}', '1', null],
    ['{"\\u0065\\u0076\\u0065\\u006e\\u0074":"x"}', null, '"x"'],
    ['{"\\"event":1}', null, null],
    ['{"event\\u0000":1}', null, null],
    ['{"Event":1}', null, null],
    ['{"a":{"event":1,"time":2}}', null, null],
    ['{ "time" : 1.5 , "event" : [ 1 , 2 ] }', '1.5', '[ 1 , 2 ]'],
    ['{"event":"\\\\"}', null, '"\\\\"'],
    ['{"event":"\\\\\\""}', null, '"\\\\\\""'],
    [`{"${'k'.repeat(100_000)}":1,"event":2}`, null, '2'],
  ]
  for (const [text, time, event] of cases) {
    const body = bytesOf(text)
    const span = scanEnvelope(body, 0)
    t.strictSame([textOf(body, span?.time ?? null), textOf(body, span?.event ?? null)], [time, event], text.slice(0, 60))
  }
})

t.test('where no whole object begins, the body is faulty from there on', async t => {
  const cases: readonly (readonly [body: string, texts: readonly string[]])[] = [
    ['x', []], ['1', []], ['"a"', []], ['null', []], ['}', []], [']', []], [',', []], ['{', []], ['[', []], ['[{}', ['{}']],
    ['{}x', ['{}']], ['{},{}', ['{}']], ['[{},]', ['{}']], ['[,{}]', []], ['[{}{}]', ['{}']], ['[[{}]]', []], ['[{}]]', ['{}']],
    ['{"a"}', []], ['{"a":}', []], ['{"a":1', []], ['{"a":1,}', []], ['{a:1}', []], ['{"a" 1}', []], ['{"a":1 "b":2}', []],
    ['{"a":"}', []], ['{"a":"\\"}', []], ['{"a":[}', []], ['{"a":[1}', []], ['{1:2}', []], ['{"a":1]', []],
    ['{\u00a0}', []], ['\0{}', []],
  ]
  for (const [body, texts] of cases) t.strictSame(scanAll(bytesOf(body)), { texts, faulty: true }, body)
})

t.test('an envelope may have 256 levels and not one more, wherever they are', async t => {
  const nested = (open: string, close: string, levels: number) => open.repeat(levels) + close.repeat(levels)
  for (const name of ['event', 'fields', 'other']) {
    t.strictSame(scanAll(bytesOf(`{"${name}":${nested('[', ']', 255)}}{}`)).texts.length, 2, `${name} with 256 levels`)
    t.strictSame(scanAll(bytesOf(`{"${name}":${nested('[', ']', 256)}}{}`)), { texts: [], faulty: true }, `${name} with 257 levels`)
    t.strictSame(scanAll(bytesOf(`{"${name}":${'{"a":'.repeat(256)}1${'}'.repeat(256)}}`)), { texts: [], faulty: true }, `${name} with 257 levels of objects`)
  }
  t.equal(scanAll(bytesOf(`{"event":"${'['.repeat(10_000)}"}`)).faulty, false, 'brackets in text are no levels')
})

t.test('a body that is cut gives the envelopes before the cut and then a fault', async t => {
  const envelopes = ['{"event":"a\\"}{"}', '{"event":{"b":[1,{"c":"]"}]},"time":1.5}', '{"fields":{}}']
  const body = bytesOf(envelopes.join('\n'))
  const ends = [envelopes[0]!.length, envelopes[0]!.length + envelopes[1]!.length + 1, body.length]
  for (let cut = 1; cut <= body.length; cut++) {
    const whole = ends.filter(end => end <= cut).length
    const between = ends.includes(cut) || ends.includes(cut - 1)
    t.strictSame(scanAll(body.subarray(0, cut)), { texts: envelopes.slice(0, whole), faulty: !between }, `cut at ${cut}`)
  }
})

t.test('any bytes are scanned to an end without an error, and every envelope is balanced', async () => {
  const bytes = fc.array(fc.oneof(fc.constantFrom(...bytesOf('{}[]",:\\ etn0')), fc.integer({ min: 0, max: 255 })), { maxLength: 60 })
  fc.assert(fc.property(bytes, bytes => {
    for (const text of scanAll(Uint8Array.from(bytes)).texts) assert.ok(text.startsWith('{') && text.endsWith('}'), text)
  }), { numRuns: 1000 })
})
