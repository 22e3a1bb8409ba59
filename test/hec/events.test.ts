import { gzipSync } from 'node:zlib'
import t from 'tap'
import { auth, post, storedEvents, testApp } from '../fixtures/app.js'

const SUCCESS = '{"text":"Success","code":0}'

function refusal (text: string, code: number, number?: number): string {
  return JSON.stringify({ text, code, ...(number === undefined ? {} : { 'invalid-event-number': number }) })
}

const FORMAT = (number: number) => refusal('Invalid data format', 6, number)
const REQUIRED = (number: number) => refusal('Event field is required', 12, number)
const BLANK = (number: number) => refusal('Event field cannot be blank', 13, number)
const FIELDS = (number: number) => refusal('Error in handling indexed fields', 15, number)
const INDEX = (number: number) => refusal('Incorrect index', 7, number)
const NO_DATA = refusal('No data', 5)

type Case = readonly [name: string, body: string, reply: string, stored: readonly unknown[]]

/** hec.md 4.1, 4.2 and 4.4. */
const BODIES: readonly Case[] = [
  ['one object', '{"event":1}', SUCCESS, [1]],
  ['objects back to back', '{"event":1}{"event":2}{"event":3}', SUCCESS, [1, 2, 3]],
  ['objects with white space around', ' \r\n{"event":1}\n\n{"event":2}\t', SUCCESS, [1, 2]],
  ['an array of objects', '[{"event":1},{"event":2}]', SUCCESS, [1, 2]],
  ['an array with white space', ' [ {"event":1} ,\n{"event":2} ] ', SUCCESS, [1, 2]],
  ['an array behind an array, and objects between', '[{"event":1}]{"event":2}[{"event":3}]', SUCCESS, [1, 2, 3]],
  ['text, numbers, booleans, objects, arrays', '{"event":"x"}{"event":0}{"event":false}{"event":{}}{"event":[]}', SUCCESS, ['x', 0, false, {}, []]],
  ['a key given twice: the last counts', '{"event":1,"event":2}', SUCCESS, [2]],
  ['escaped keys', '{"\\u0065vent":1,"tim\\u0065":5}', SUCCESS, [1]],
  ['an object without event whose fields are no measurement', '{"event":1}{"fields":{"a":1}}{"event":2}', SUCCESS, [1, 2]],
  ['only such an object', '{"fields":{"a":1}}', SUCCESS, []],
  ['event null with fields', '{"event":null,"fields":{"metric_name:a":1}}', SUCCESS, [null]],
  ['no JSON', 'line', FORMAT(0), []],
  ['a form', 'event=1&x=2', FORMAT(0), []],
  ['a number', '1', FORMAT(0), []],
  ['a string', '"event"', FORMAT(0), []],
  ['null in an array', '[null]', FORMAT(0), []],
  ['text behind an object', '{"event":1} x', FORMAT(1), [1]],
  ['a comma between objects', '{"event":1},{"event":2}', FORMAT(1), [1]],
  ['a comma at the end of an array', '[{"event":1},]', FORMAT(1), [1]],
  ['an array without commas', '[{"event":1}{"event":2}]', FORMAT(1), [1]],
  ['an array that does not end', '[{"event":1},{"event":2}', FORMAT(2), [1, 2]],
  ['an object that does not end', '{"event":1}{"event":2', FORMAT(1), [1]],
  ['a string that does not end', '{"event":1}{"event":"2}', FORMAT(1), [1]],
  ['an escape that does not end', '{"event":1}{"event":"2\\', FORMAT(1), [1]],
  ['a bare control character', '{"event":1}{"event":"a\nb"}', FORMAT(1), [1]],
  ['a comma at the end of an object', '{"event":1}{"event":2,}', FORMAT(1), [1]],
  ['brackets that do not fit', '{"event":1}{"event":[}]}', FORMAT(1), [1]],
  ['a word that JSON does not know', '{"event":1}{"event":NaN}', FORMAT(1), [1]],
  ['a byte order mark', '\ufeff{"event":1}', FORMAT(0), []],
  ['neither event nor fields', '{"event":1}{"time":1}{"event":3}', REQUIRED(1), [1]],
  ['an empty object', '{}', REQUIRED(0), []],
  ['event null', '{"event":1}{"event":null}', REQUIRED(1), [1]],
  ['event and fields null', '{"event":null,"fields":null}', REQUIRED(0), []],
  ['event empty', '{"event":1}{"event":""}{"event":3}', BLANK(1), [1]],
  ['event of white space', '{"event":1}{"event":" \\r\\n\\t"}', BLANK(1), [1]],
  ['nested fields', '{"event":1}{"event":2,"fields":{"a":{"b":1}}}{"event":3}', FIELDS(1), [1]],
  ['an object in a list of fields', '{"event":1,"fields":{"a":[{"b":1}]}}', FIELDS(0), []],
  ['a list in a list of fields', '{"event":1,"fields":{"a":[[1]]}}', FIELDS(0), []],
  ['fields that are no object', '{"event":1,"fields":"a=1"}', FIELDS(0), []],
  ['fields that are a list', '{"event":1,"fields":[1]}', FIELDS(0), []],
  ['an index that is not allowed counts from one', '{"event":1}{"event":2,"index":"nope"}{"event":3}', INDEX(2), [1]],
  ['a host of null', '{"event":1}{"event":2,"host":null}', FORMAT(1), [1]],
  ['a source that is an object', '{"event":1,"source":{}}', FORMAT(0), []],
  ['a sourcetype that is true', '{"event":1,"sourcetype":true}', FORMAT(0), []],
  ['an index that is a list', '{"event":1,"index":[]}', FORMAT(0), []],
  ['time in scientific notation', '{"event":1}{"event":2,"time":1.75248e9}', FIELDS(1), [1]],
  ['time with a decimal comma', '{"event":1,"time":"1433188255,5"}', FIELDS(0), []],
  ['time as a date', '{"event":1,"time":"2026-03-10T11:05:10Z"}', FIELDS(0), []],
  ['time null', '{"event":1}{"event":2,"time":null}', FORMAT(1), [1]],
  ['time true', '{"event":1,"time":true}', FIELDS(0), []],
  ['time a list', '{"event":1,"time":[1]}', FIELDS(0), []],
]

t.test('a body is stored up to its first fault, and the reply names the fault', async t => {
  const it = await testApp(t)
  let seen = 0
  for (const [name, body, reply, stored] of BODIES) {
    for (const kind of ['identity', 'gzip']) {
      const answer = await post(it, kind === 'gzip' ? gzipSync(body) : body, { 'content-encoding': kind })
      t.match(answer, { statusCode: reply === SUCCESS ? 200 : 400, body: reply }, `${name} (${kind})`)
      const events = (await storedEvents(it)).slice(seen)
      seen += events.length
      t.strictSame(events.map(({ event }) => event), stored, `${name} (${kind}): what is stored`)
    }
  }
  t.equal(it.budget.bytes, 0)
})

t.test('an unknown key is kept and counted by compatibility keep', async t => {
  const it = await testApp(t, { compatibility: 'keep' })

  t.equal((await post(it, '{"event":1}{"event":2,"wat":1,"channel":{}}{"event":3}')).body, SUCCESS)

  t.match(await storedEvents(it), [{ event: 1 }, { event: 2 }, { event: 3 }])
  t.match((await it.app.inject('/metrics')).body, 'hecate_hec_unknown_keys_total{token="test"} 2\n')
})

t.test('an unknown key ends the body without an error by compatibility splunk', async t => {
  const cases: readonly Case[] = [
    ['in the only object', '{"event":1,"wat":1}', NO_DATA, []],
    ['in the first of several', '{"event":1,"wat":{}}{"event":2}', NO_DATA, []],
    ['in the second of three', '{"event":1}{"event":2,"wat":1}{"event":3}', SUCCESS, [1]],
    ['before an object that is broken', '{"event":1}{"event":2,"wat":1}{', SUCCESS, [1]],
    ['behind one without event', '{"fields":{"a":1}}{"wat":1}', SUCCESS, []],
    ['__proto__', '{"event":1,"__proto__":{"event":2}}', NO_DATA, []],
  ]
  const it = await testApp(t, { compatibility: 'splunk' })
  let seen = 0
  for (const [name, body, reply, stored] of cases) {
    t.equal((await post(it, body)).body, reply, name)
    const events = (await storedEvents(it)).slice(seen)
    seen += events.length
    t.strictSame(events.map(({ event }) => event), stored, name)
  }
})

t.test('each envelope stands alone: what one says does not hold for the next', async t => {
  const it = await testApp(t, { nowMs: 1_773_144_060_250 })

  await post(it, '{"event":1,"time":5,"host":"h","source":"s","sourcetype":"st","index":"metrics"}{"event":2}')

  t.match(await storedEvents(it), [
    { event: 1, time: 5, host: 'h', source: 's', sourcetype: 'st', index: 'metrics' },
    { event: 2, time: 1_773_144_060.25, host: '127.0.0.1', source: 'http:test', sourcetype: 'httpevent', index: 'main' },
  ])
})

t.test('an event comes back as it was sent, with when it arrived', async t => {
  const it = await testApp(t)
  const body = '{"time":"1433188255.123456","event":{"b" : 1.0,\n"a":[true,null],"é":"😀"},"fields":{"n":1,"t":"x","b":false,"l":["a",1],"a.b:c":""},"source":7}'

  await post(it, body)

  t.strictSame(await storedEvents(it), [{
    id: 1,
    time: 1433188255.123456,
    index_time: '2026-03-10T12:01:00.000Z',
    host: '127.0.0.1',
    source: '7',
    sourcetype: 'httpevent',
    index: 'main',
    event: { b: 1, a: [true, null], é: '😀' },
    raw: '{"b" : 1.0,\n"a":[true,null],"é":"😀"}',
    fields: { n: 1, t: 'x', b: false, l: ['a', 1], 'a.b:c': '' },
  }])
})

t.test('metrics are stored as events, with or without the word, in both forms', async t => {
  const it = await testApp(t)
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`dimension_${i}`, `v${i}`]))
  const fields = [
    { 'metric_name:cpu': 1, 'metric_name:memory': '2.5', host: 'a', metric_type: 'g' },
    { metric_name: 'cpu', _value: '3', region: 'eu' },
    { 'metric_name:cpu': 1, ...many },
  ]
  const body = fields.flatMap(one => [{ event: 'metric', fields: one }, { fields: one }]).map(one => JSON.stringify({ ...one, index: 'metrics' })).join('')

  t.equal((await post(it, body)).body, SUCCESS)

  const stored = await storedEvents(it, '&index=metrics')
  t.strictSame(stored.map(one => one.fields), fields.flatMap(one => [one, one]))
  t.strictSame(stored.map(one => one.event), fields.flatMap(() => ['metric', null]))
  t.equal(stored[1]?.raw, JSON.stringify(fields[0]), 'without event, the text of fields is the raw text')
})

t.test('auto_extract_timestamp is taken and changes nothing where the envelope has a time', async t => {
  const it = await testApp(t)
  for (const value of ['true', 'false']) {
    t.equal((await post(it, { event: 'a', time: 5 }, {}, `/services/collector/event?auto_extract_timestamp=${value}&channel=x`)).body, SUCCESS)
  }
  t.match(await storedEvents(it), [{ time: 5 }, { time: 5 }])
})

t.test('hostile bodies get their HEC error, the server goes on, and what was acknowledged stays', async t => {
  const deep = (levels: number) => `{"event":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const deepText = `{"event":${JSON.stringify(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)}}`
  const text = (bytes: number) => `{"event":"${'x'.repeat(bytes - 2)}"}`
  const bodies: readonly (readonly [name: string, body: string | Buffer, reply: string])[] = [
    ['broken JSON', '{"event":', FORMAT(0)],
    ['a 6 MB event', text(6_000_000), FORMAT(0)],
    ['a byte more than passes', text(5_242_882), FORMAT(0)],
    ['as much as passes', text(5_242_881), SUCCESS],
    ['a small event and a 6 MB one', `{"event":"small"}${text(6_000_000)}`, FORMAT(1)],
    ['NUL bytes instead of JSON', '\0\0\0', FORMAT(0)],
    ['a NUL byte in a string', '{"event":"a\0b"}', FORMAT(0)],
    ['NUL as an escape', '{"event":"a\\u0000b","host":"h\\u0000","fields":{"\\u0000":"\\u0000"}}', SUCCESS],
    ['lone surrogates', '{"event":"a\\ud800b\\udc00","source":"\\ud800","fields":{"\\udfff":"\\ud8ff"}}', SUCCESS],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]), Buffer.from('"}')]), SUCCESS],
    ['nested as deep as can be', deep(255), SUCCESS],
    ['a level deeper', deep(256), FORMAT(0)],
    ['nested 10,000 deep', deep(10_000), FORMAT(0)],
    ['10,000 open brackets', '['.repeat(10_000), FORMAT(0)],
    ['nested 10,000 deep as text', deepText, SUCCESS],
    ['nested 10,000 deep in fields', `{"event":1,"fields":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}`, FORMAT(0)],
    ['a __proto__ key in the envelope', '{"event":"p","__proto__":{"host":"x","fields":{"a":1}}}', SUCCESS],
    ['an event behind __proto__', '{"__proto__":{"event":"x"}}', REQUIRED(0)],
    ['__proto__ keys in the event', '{"event":{"__proto__":{"a":1},"constructor":{"prototype":{"b":2}}}}', SUCCESS],
    ['a __proto__ key in the fields', '{"event":"p","fields":{"__proto__":"a","toString":"b","hasOwnProperty":1}}', SUCCESS],
    ['a nested __proto__ key in the fields', '{"event":"p","fields":{"__proto__":{"a":1}}}', FIELDS(0)],
    ['a key of a megabyte', `{"event":{"${'k'.repeat(1 << 20)}":1}}`, SUCCESS],
    ['numbers that no double holds', '{"event":{"a":1e400,"b":-1e400,"c":123456789012345678901234567890}}', SUCCESS],
  ]
  const it = await testApp(t)
  const kept: unknown[] = []
  for (const [name, body, reply] of bodies) {
    t.equal((await post(it, body)).body, reply, name)
    t.equal((await post(it, { event: `after ${name}` })).body, SUCCESS)
    kept.push(`after ${name}`)
  }

  const stored = await storedEvents(it)
  const texts = new Set(stored.map(({ event }) => event))
  for (const event of kept) t.ok(texts.has(event), `the event ${event as string}`)
  t.ok(texts.has('small'), 'the event before the one of 6 MB')
  t.match(stored.find(({ event }) => (event as { a?: string } | null)?.a === undefined && Object.hasOwn(Object(event) as object, '__proto__')), { raw: '{"__proto__":{"a":1},"constructor":{"prototype":{"b":2}}}' })
  t.equal(it.budget.bytes, 0)
  t.equal(({} as { a?: unknown }).a, undefined)
})

t.test('hostile fields come back as they were sent', async t => {
  const it = await testApp(t)
  const fields = '{"__proto__":"a","toString":"b","hasOwnProperty":1,"":"empty","\\u0000":"\\u0000"}'

  await post(it, `{"event":"p","fields":${fields}}`)

  const { body } = await it.app.inject({ url: '/api/v1/events', headers: { authorization: 'Bearer an-admin-key' } })
  t.match(body, `"fields":${fields}`)
})

t.test('hostile metadata in the query is text like any other', async t => {
  const it = await testApp(t)

  t.equal((await post(it, { event: 1 }, {}, '/services/collector?host=%00&source=%22%27;DROP&sourcetype=a&sourcetype=b&__proto__=x&time=1')).body, SUCCESS)
  t.equal((await post(it, { event: 2 }, {}, '/services/collector?host=%ff&source=%ed%a0%80')).body, SUCCESS)

  t.match(await storedEvents(it), [{ host: '\0', source: '"\';DROP', sourcetype: 'a' }, { event: 2 }])
})

t.test('the time of an event is kept to the microsecond', async t => {
  const cases: readonly (readonly [time: string, seconds: number])[] = [
    ['1433188255', 1433188255],
    ['1433188255.5', 1433188255.5],
    ['"1433188255.500"', 1433188255.5],
    ['1433188255.123456', 1433188255.123456],
    ['1433188255.123456789', 1433188255.123456],
    ['1433188255123', 1433188255.123],
    ['"1433188255123.456"', 1433188255.123456],
    ['1433188255123456789', 1433188255.123456],
    ['0', 0],
    ['-1.5', -1.5],
    ['-0', 0],
  ]
  const it = await testApp(t)
  for (const [time, seconds] of cases) {
    await post(it, `{"event":${JSON.stringify(time)},"time":${time}}`)
    t.equal((await storedEvents(it)).at(-1)?.time, seconds, `time ${time}`)
  }
})

t.test('concurrent requests are all stored, each in the order of its body', async t => {
  const it = await testApp(t)
  const bodies = Array.from({ length: 40 }, (_, request) => Array.from({ length: 25 }, (_, n) => JSON.stringify({ event: [request, n] })).join(''))

  const replies = await Promise.all(bodies.map(payload => it.app.inject({ method: 'POST', url: '/services/collector', headers: auth, payload })))

  t.ok(replies.every(({ statusCode }) => statusCode === 200))
  const stored = (await storedEvents(it)).map(({ event }) => event as [number, number])
  t.equal(stored.length, 1000)
  for (let request = 0; request < 40; request++) {
    t.strictSame(stored.filter(([of]) => of === request).map(([, n]) => n), Array.from({ length: 25 }, (_, n) => n))
  }
})
