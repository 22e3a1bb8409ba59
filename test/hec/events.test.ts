import t from 'tap'
import { auth, post, storedEvents, testApp } from '../fixtures/app.js'

const SUCCESS = '{"text":"Success","code":0}'

function refusal (text: string, code: number, number?: number): string {
  return JSON.stringify({ text, code, ...(number === undefined ? {} : { 'invalid-event-number': number }) })
}

const FORMAT = (number: number) => refusal('Invalid data format', 6, number)
const REQUIRED = (number: number) => refusal('Event field is required', 12, number)
const FIELDS = (number: number) => refusal('Error in handling indexed fields', 15, number)

t.test('an unknown key is kept and counted by compatibility keep', async t => {
  const it = await testApp(t, { compatibility: 'keep' })

  t.equal((await post(it, '{"event":1}{"event":2,"wat":1,"channel":{}}{"event":3}')).body, SUCCESS)

  t.match(await storedEvents(it), [{ event: 1 }, { event: 2 }, { event: 3 }])
  t.match((await it.app.inject('/metrics')).body, 'hecate_hec_unknown_keys_total{token="test"} 2\n')
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

t.test('hostile bodies get their HEC error, the server goes on, and what was acknowledged stays', async t => {
  const deep = (levels: number) => `{"event":${'['.repeat(levels)}${']'.repeat(levels)}}`
  const deepText = `{"event":${JSON.stringify(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)}}`
  const text = (bytes: number) => `{"event":"${'x'.repeat(bytes - 2)}"}`
  const bodies: readonly (readonly [name: string, body: string | Buffer, reply: string])[] = [
    ['broken JSON', '{"event":', FORMAT(0)],
    ['a 6 MB event', text(6_000_000), FORMAT(0)],
    ['a small event and a 6 MB one', `{"event":"small"}${text(6_000_000)}`, FORMAT(1)],
    ['NUL bytes instead of JSON', '\0\0\0', FORMAT(0)],
    ['a NUL byte in a string', '{"event":"a\0b"}', FORMAT(0)],
    ['NUL as an escape', '{"event":"a\\u0000b","host":"h\\u0000","fields":{"\\u0000":"\\u0000"}}', SUCCESS],
    ['lone surrogates', '{"event":"a\\ud800b\\udc00","source":"\\ud800","fields":{"\\udfff":"\\ud8ff"}}', SUCCESS],
    ['bytes that are no UTF-8', Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]), Buffer.from('"}')]), SUCCESS],
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
