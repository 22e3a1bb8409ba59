import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { EnvelopeRules, ParsedEvent } from '../../src/envelope/envelope.js'
import { parseBody, readStored } from '../../src/envelope/envelope.js'
import { textOf } from '../../src/envelope/split.js'

const RULES: EnvelopeRules = {
  defaults: { host: 'dh', source: 'ds', sourcetype: 'dst', index: 'main' },
  timeUs: null,
  allowedIndexes: null,
  existingIndexes: new Set(['main', 'other', 'third']),
  maxEventBytes: 1000,
  compatibility: 'keep',
  projector: null,
}

function parse (text: string | Uint8Array, rules: Partial<EnvelopeRules> = {}) {
  const body = typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text
  const events: (Omit<ParsedEvent, 'raw'> & { raw: string })[] = []
  const outcome = parseBody(body, { ...RULES, ...rules }, event => { events.push({ ...event, raw: event.raw() }) })
  return { ...outcome, events, body }
}

t.test('an event has what its envelope says, and the defaults for the rest', async t => {
  const { events, fault } = parse('{"event":"a"} {"time":1.5,"host":"h","source":"s","sourcetype":"st","index":"other","event":{"b": 1},"fields":{"c":2}}')

  t.equal(fault, null)
  t.strictSame(events, [
    { host: 'dh', source: 'ds', sourcetype: 'dst', index: 'main', timeUs: null, event: 'a', raw: 'a', fields: {}, item: { start: 0, end: 13 } },
    { host: 'h', source: 's', sourcetype: 'st', index: 'other', timeUs: 1_500_000, event: { b: 1 }, raw: '{"b": 1}', fields: { c: 2 }, item: { start: 14, end: 118 } },
  ])
})

t.test('metadata is text, a number as its digits, "" as not given; anything else is a format error', async t => {
  const cases: readonly (readonly [json: string, host: string | null])[] = [
    ['"x"', 'x'], ['""', 'dh'], ['7', '7'], ['1.50', '1.5'], ['" "', ' '], ['"\\ud800"', '\ufffd'], ['"\\u0000"', '\0'],
    ['null', null], ['true', null], ['{}', null], ['[]', null], ['["x"]', null],
  ]
  for (const [json, host] of cases) {
    const { events, fault } = parse(`{"event":1,"host":${json}}`)
    t.strictSame([events[0]?.host ?? null, fault], [host, host === null ? { code: 6, number: 0 } : null], json)
  }
})

t.test('raw is the text as it was sent', async t => {
  const cases: readonly (readonly [body: string, raw: string])[] = [
    ['{"event":"a \\u00e9 \\n"}', 'a é \n'],
    ['{"event":" padded "}', ' padded '],
    ['{"event": {"b" :1.0, "a":1e2} }', '{"b" :1.0, "a":1e2}'],
    ['{"event":[1 , 2]}', '[1 , 2]'],
    ['{"event":1.50}', '1.50'],
    ['{"event":false}', 'false'],
    ['{"event":1,"event":"last"}', 'last'],
    ['{"event":"metric","fields":{"metric_name:a":1}}', 'metric'],
    ['{"fields": {"metric_name:a" :1} }', '{"metric_name:a" :1}'],
    ['{"event":null,"fields":{"metric_name:a":1}}', '{"metric_name:a":1}'],
  ]
  for (const [body, raw] of cases) t.equal(parse(body).events[0]?.raw, raw, body)
})

t.test('the first fault decides; of several in one object, in a fixed order', async t => {
  const cases: readonly (readonly [body: string, code: number, number: number])[] = [
    ['{"event":1,"host":null,"time":"x","fields":{"a":{}}}', 6, 0],
    ['{"time":"x"}', 12, 0],
    ['{"event":"","time":"x"}', 13, 0],
    ['{"event":1,"time":null}', 6, 0],
    ['{"event":1,"time":"x","index":"nope"}', 15, 0],
    ['{"event":1,"fields":{"a":{}},"index":"nope"}', 15, 0],
    ['{"event":1}{"event":1,"index":"nope"}', 7, 2],
    ['{"fields":{"a":1},"time":"x"}', 15, 0],
    ['{"event":1}{"event":"\u00a0"}', 13, 1],
  ]
  for (const [body, code, number] of cases) t.strictSame(parse(body).fault, { code, number }, body)
})

t.test('an object without event is stored as a metric or skipped', async t => {
  const cases: readonly (readonly [fields: string, stored: boolean])[] = [
    ['{"metric_name:cpu":1}', true],
    ['{"a":"b","metric_name:cpu":"1.5","metric_name:mem":2}', true],
    ['{"metric_name":"cpu","_value":1}', true],
    ['{"metric_name":"cpu"}', false],
    ['{"_value":1}', false],
    ['{"a":1}', false],
    ['{}', false],
    ['{"__proto__":"metric_name:a"}', false],
  ]
  for (const [fields, stored] of cases) {
    const { events, skipped, fault } = parse(`{"fields":${fields}}`)
    t.strictSame([events.length, skipped, fault], [stored ? 1 : 0, stored ? 0 : 1, null], fields)
  }
})

t.test('an index must exist and be allowed, wherever its name comes from', async t => {
  const cases: readonly (readonly [index: string | null, byDefault: string, allowed: readonly string[] | null, ok: boolean])[] = [
    [null, 'main', null, true],
    ['other', 'main', null, true],
    ['nope', 'main', null, false],
    [null, 'nope', null, false],
    ['other', 'main', ['main', 'third'], false],
    ['third', 'main', ['main', 'third'], true],
    [null, 'other', ['main', 'third'], false],
    ['nope', 'main', ['main', 'nope'], false],
    ['main', 'other', ['main'], true],
    ['__proto__', 'main', null, false],
  ]
  for (const [index, byDefault, allowed, ok] of cases) {
    const { fault } = parse(JSON.stringify({ event: 1, ...(index === null ? {} : { index }) }), {
      defaults: { ...RULES.defaults, index: byDefault },
      allowedIndexes: allowed === null ? null : new Set(allowed),
    })
    t.strictSame(fault, ok ? null : { code: 7, number: 1 }, `${index} with default ${byDefault} of ${allowed}`)
  }
})

t.test('an event may have a byte more than the limit', async t => {
  const ofBytes = (bytes: number) => `{"event":"${'x'.repeat(bytes - 2)}","host":"${'h'.repeat(2000)}"}`

  t.equal(parse(ofBytes(1001)).fault, null)
  t.strictSame(parse(ofBytes(1002)).fault, { code: 6, number: 0 })
  t.strictSame(parse(`{"event":"é${'x'.repeat(998)}"}`).fault, { code: 6, number: 0 }, 'it is bytes that count')
  t.strictSame(parse(`{"event":1,"fields":{"a":"${'x'.repeat(1001)}"}}`).fault, { code: 6, number: 0 }, 'so do fields')
  t.strictSame(parse(`{"fields":{"metric_name:a":"${'x'.repeat(1001)}"}}`).fault, { code: 6, number: 0 }, 'with event or without')
})

t.test('hostile keys are members like others and change nothing else', async t => {
  const { events, unknownKeys } = parse('{"event":{"__proto__":{"x":1}},"fields":{"__proto__":"y","constructor":"z"},"__proto__":{"host":"evil"},"toString":1}')

  t.equal(unknownKeys, 2)
  t.equal(events[0]?.host, 'dh')
  t.strictSame(Object.keys(events[0]!.fields), ['__proto__', 'constructor'])
  t.strictSame(Object.keys(events[0]!.event as object), ['__proto__'])
  t.equal(Object.getPrototypeOf(events[0]!.event), Object.prototype)
})

t.test('a body that gives no event and no fault is told apart from one that gives some', async t => {
  t.match(parse(''), { fault: null, events: [], skipped: 0 })
  t.match(parse('[]'), { fault: null, events: [], skipped: 0 })
  t.match(parse('{"event":1,"wat":1}', { compatibility: 'splunk' }), { fault: null, events: [], unknownKeys: 1 })
  t.match(parse('{"event":1}{"event":2,"wat":1,"b":1}{"event":3}', { compatibility: 'splunk' }), { fault: null, events: [{ event: 1 }], unknownKeys: 2 })
  t.match(parse('{"event":1}{"event":2,"wat":1,"b":1}{"event":3}'), { fault: null, events: [{ event: 1 }, { event: 2 }, { event: 3 }], unknownKeys: 2 })
})

t.test('an accepted envelope reads the same when it comes back from disk', async t => {
  const event = fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 }))
  const fields = fc.dictionary(fc.string(), fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 2 })), { maxKeys: 3 })
  const envelope = fc.record({ time: fc.integer({ min: 0, max: 2_000_000_000 }), event, fields, host: fc.string() }, { requiredKeys: [] })
  fc.assert(fc.property(fc.array(envelope, { maxLength: 5 }), envelopes => {
    const { events, body } = parse(envelopes.map(one => JSON.stringify(one)).join(''))
    for (const { event, raw, fields, item: { start, end } } of events) {
      const stored = readStored(body.slice(start, end))
      assert.deepStrictEqual({ ...stored, raw: stored.raw() }, { event, raw, fields })
    }
  }), { numRuns: 200 })
  t.throws(() => readStored(new Uint8Array(Buffer.from('{"event":'))), /damaged/)
})

t.test('any bytes give an outcome and no error, and events before the fault only', async () => {
  const piece = fc.constantFrom('{"event":1}', '{"event":', '{}', '[', ']', ',', ' ', '"', '\\', '{"event":"a","time":"x"}', '{"fields":{"a":{}}}', '{"event":1,"wat":2}', '\0', '\ud800', '{"index":"nope","event":1}')
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
    const { events, fault, skipped } = parse(pieces.join(''))
    if (fault !== null) assert.ok(fault.number - (fault.code === 7 ? 1 : 0) === events.length + skipped, pieces.join(''))
  }), { numRuns: 500 })
})

t.test('text of bytes that are no UTF-8 has U+FFFD in their place', async t => {
  t.equal(textOf(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9), { start: 0, end: 4 }), 'a\ufffdé')
})
