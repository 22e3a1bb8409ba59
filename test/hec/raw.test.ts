import { gzipSync } from 'node:zlib'
import t from 'tap'
import { ARRIVAL_MS, OTHER_TOKEN, post, storedEvents, testApp } from '../fixtures/app.js'

const RAW = '/services/collector/raw'
const SUCCESS = '{"text":"Success","code":0}'

/** Events of /raw by hec.md section 5. */
const BODIES: readonly (readonly [name: string, body: string | Buffer, lines: readonly string[]])[] = [
  ['one line without an end', 'a', ['a']],
  ['lines', 'a\nb\n', ['a', 'b']],
  ['CRLF, CR and empty lines', '\r\na\r\n\r\n\n\nb\rc\n\r', ['a', 'b', 'c']],
  ['lines of white space', 'a\n \t\nb\n\u00a0\n', ['a', 'b']],
  ['white space around text', '  a \n\tb', ['  a ', '\tb']],
  ['envelopes are text', '{"event":"a","time":1}\n{"event":', ['{"event":"a","time":1}', '{"event":']],
  ['NUL and surrogates of three bytes each', Buffer.from([0x61, 0, 0x62, 0x0a, 0xed, 0xa0, 0x80]), ['a\u0000b', '\ufffd\ufffd\ufffd']],
  ['bytes that are no UTF-8', Buffer.from([0xff, 0x61]), ['\ufffda']],
  ['many characters', 'é😀\u2028x\n漢', ['é😀\u2028x', '漢']],
]

for (const [name, body, lines] of BODIES) {
  t.test(`each line of /raw is an event: ${name}`, async t => {
    const it = await testApp(t)

    t.match(await post(it, Buffer.from(body), {}, RAW), { statusCode: 200, body: SUCCESS })
    t.match(await post(it, gzipSync(body), { 'content-encoding': 'gzip' }, `${RAW}/1.0`), { statusCode: 200, body: SUCCESS })

    t.strictSame((await storedEvents(it)).map(({ event, raw, fields }) => ({ event, raw, fields })), [...lines, ...lines].map(line => ({ event: line, raw: line, fields: {} })))
    t.equal(it.budget.bytes, 0)
  })
}

t.test('a line may be as long as an event, and one byte', async t => {
  const it = await testApp(t)
  const line = 'x'.repeat((5 << 20) + 1)

  t.equal((await post(it, line, {}, RAW)).statusCode, 200)
  t.match(await post(it, `${line}x`, {}, RAW), { statusCode: 400, body: '{"text":"Invalid data format","code":6,"invalid-event-number":0}' })

  const stored = await storedEvents(it)
  t.strictSame(stored.map(({ raw }) => raw === line), [true])
})

t.test('a body without a line is no data', async t => {
  const it = await testApp(t)
  for (const body of ['', '\n', '\r\n\r\n', ' \n\t']) {
    t.match(await post(it, body, {}, RAW), { statusCode: 400, body: '{"text":"No data","code":5}' }, JSON.stringify(body))
  }
  t.strictSame(await storedEvents(it), [])
})

t.test('the query says what holds for all lines of a request', async t => {
  const it = await testApp(t)

  t.equal((await post(it, 'a\nb', { 'content-type': 'plain/text' }, `${RAW}?host=h&source=s&sourcetype=st&index=metrics&time=1433188255.500`)).statusCode, 200)

  t.match(await storedEvents(it), ['a', 'b'].map(raw => ({ raw, time: 1433188255.5, host: 'h', source: 's', sourcetype: 'st', index: 'metrics' })))
})

t.test('without a query the token\'s settings hold, and the time of arrival', async t => {
  const it = await testApp(t)

  await post(it, 'a', {}, RAW)
  await post(it, 'b', { authorization: `Splunk ${OTHER_TOKEN}` }, RAW)

  t.match(await storedEvents(it), [
    { time: ARRIVAL_MS / 1000, host: '127.0.0.1', source: 'http:test', sourcetype: 'httpevent', index: 'main' },
    { time: ARRIVAL_MS / 1000, host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' },
  ])
})

t.test('a line\'s own time is its time, unless the query has one', async t => {
  const it = await testApp(t)

  await post(it, '2026-03-10T11:05:10.123456789Z nsenter\n{"process_exec":{},"time":"2026-03-10T11:05:11Z"}\nno time', {}, RAW)
  await post(it, '2026-03-10T11:05:10Z', {}, `${RAW}?time=7`)

  t.strictSame((await storedEvents(it)).map(({ time }) => time), [1773140710.123456, 1773140711, ARRIVAL_MS / 1000, 7])
})

t.test('a time in the query that is none is code 15', async t => {
  const it = await testApp(t)
  for (const path of [RAW, '/services/collector/event']) {
    t.match(await post(it, '{"event":"a"}', {}, `${path}?time=1e9`), { statusCode: 400, body: '{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}' })
  }
  t.strictSame(await storedEvents(it), [])
})

t.test('an index that is not the token\'s is code 7, and nothing is stored', async t => {
  const it = await testApp(t)
  for (const [headers, index] of [[{}, 'nope'], [{ authorization: `Splunk ${OTHER_TOKEN}` }, 'main']] as const) {
    t.match(await post(it, 'a\nb', headers, `${RAW}?index=${index}`), { statusCode: 400, body: '{"text":"Incorrect index","code":7,"invalid-event-number":1}' })
  }
  t.strictSame(await storedEvents(it), [])
})

t.test('the lines before one that is too long are stored', async t => {
  const it = await testApp(t, { maxEventBytes: 10 })

  t.match(await post(it, `a\n\nb\n${'x'.repeat(12)}\nc`, {}, RAW), { statusCode: 400, body: '{"text":"Invalid data format","code":6,"invalid-event-number":2}' })

  t.strictSame((await storedEvents(it)).map(({ raw }) => raw), ['a', 'b'])
})

t.test('a Tetragon line has the fields of its event', async t => {
  const it = await testApp(t)
  const line = JSON.stringify({ process_exec: { process: { binary: '/usr/bin/nsenter', arguments: '-t 1', pod: { name: 'web-1' } } }, cluster_name: 'prod' })

  await post(it, `${line}\n`, {}, `${RAW}?sourcetype=cisco:isovalent`)

  const reply = await it.app.inject({
    method: 'POST',
    url: '/api/v1/search',
    headers: { authorization: 'Bearer an-admin-key' },
    payload: { search: 'sourcetype=cisco:isovalent:processExec process_name=nsenter | table cluster_name pod_name process' },
  })
  t.strictSame(reply.json().rows, [{ cluster_name: 'prod', pod_name: 'web-1', process: '/usr/bin/nsenter -t 1' }])
})
