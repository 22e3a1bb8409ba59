import type { Test } from 'tap'
import { gzipSync } from 'node:zlib'
import { loadConfig } from '../../../src/config.js'
import { ACK_LIMITS, openAcks } from '../../../src/hec/ack.js'
import { ACK_TOKEN, ARRIVAL_MS, auth, post, storedEvents, tempDir, testApp } from '../../fixtures/app.js'
import type { TestAppOptions } from '../../fixtures/app.js'
import { listen, openSocket, postHead } from '../../fixtures/http.js'
import type { Entry, Reply } from './entry.js'
import { ACK, bodies, EVENT, faulty, HEALTH, HEALTHY, NO_DATA, NOT_ALLOWED, NOT_FOUND, onChannel, RAW, said, SUCCESS, TOO_LARGE, withToken } from './entry.js'

const A = '{"event":"a"}'
const HOST = 'Host: localhost\r\n'
const BUSY: Reply = { ...said(9), headers: { 'retry-after': null } }

/** An app, and what is said on a channel of an ack token. */
async function openAckApp (t: Test, options: TestAppOptions) {
  const it = await testApp(t, options)
  const ask = async (n: number, body: string, url = EVENT) => (await post(it, body, onChannel(n), url)).body
  return { it, give: (n: number) => ask(n, A), poll: (n: number, ...ids: number[]) => ask(n, JSON.stringify({ acks: ids }), ACK) }
}

const ID = (id: number) => said(0, `,"ackId":${id}`).body

/** The rows of hec.md section 6 that take a clock, a restart or limits of their own. */
const ACK_LIFE: readonly Entry[] = [
  {
    row: '6 limits',
    is: 'those of Splunk',
    run: async t => { t.strictSame(ACK_LIMITS, { channels: 1_000_000, pending: 10_000_000, pendingPerChannel: 1_000_000, idleMs: 600_000 }) },
  },
  {
    row: '6 over a limit',
    is: 'differs: code 9 with nothing stored, until there is room again',
    run: async t => {
      const { it, give, poll } = await openAckApp(t, { acks: openAcks({ ...ACK_LIMITS, channels: 2, pending: 3, pendingPerChannel: 2 }) })

      t.equal(await give(1), ID(0))
      t.equal(await give(1), ID(1))
      t.equal(await give(1), BUSY.body, 'the channel is full')
      t.equal(await give(2), ID(0))
      t.equal(await give(2), BUSY.body, 'all are full')
      t.equal((await it.app.inject(HEALTH)).json().code, 19)
      await poll(1, 0)
      t.equal(await give(3), BUSY.body, 'one channel too many')
      t.equal((await it.app.inject(HEALTH)).json().code, 17)
      t.equal(await give(1), ID(2))

      t.equal((await storedEvents(it)).length, 4)
      t.equal(it.budget.bytes, 0)
    },
  },
  {
    row: '6 idle clean-up',
    is: 'a channel that is not used for 600 s begins at 0 again, and its ids are forgotten',
    run: async t => {
      let nowMs = ARRIVAL_MS
      const { it, give, poll } = await openAckApp(t, { now: () => nowMs })
      await give(1)
      await give(2)
      nowMs += 599_999
      t.equal(await poll(1, 5), '{"acks":{"5":false}}', 'a poll is use')
      nowMs += 1

      t.equal(await poll(2, 0), '{"acks":{"0":false}}')
      t.equal(await give(2), ID(0))
      t.equal(await give(1), ID(1))
      t.equal(await poll(1, 0), '{"acks":{"0":true}}')
      t.strictSame(it.acks.count(nowMs), { channels: 2, pending: 2 })
      t.strictSame(it.acks.count(nowMs + 600_000), { channels: 0, pending: 0 })
    },
  },
  {
    row: '6 channel_cookie',
    is: 'differs: never set',
    exchanges: [[{ headers: onChannel(651), body: A }, { ...said(0, ',"ackId":0'), headers: { 'set-cookie': null } }]],
    stored: [{}],
  },
  {
    row: '6 after a restart ids begin at 0',
    is: 'and those of before are false',
    run: async t => {
      const dataDir = tempDir(t)
      const before = await openAckApp(t, { dataDir })
      for (const id of [0, 1, 2]) t.equal(await before.give(1), ID(id))
      await before.it.close()

      const after = await openAckApp(t, { dataDir })
      t.equal(await after.give(1), ID(0))
      t.equal(await after.poll(1, 0, 1, 2), '{"acks":{"0":true,"1":false,"2":false}}')
    },
  },
]

/** A request of a body, as it is on the wire. */
const wire = (body: string, headers: Readonly<Record<string, string | number>> = {}, path = EVENT) => postHead(path, { ...auth, ...headers, 'Content-Length': body.length }) + body

/** An envelope whose `event` has that many bytes. */
const sized = (bytes: number) => `{"event":"${'x'.repeat(bytes - 2)}"}`

/** `event` is `levels` lists in each other. */
const nested = (levels: number) => `{"event":${'['.repeat(levels)}${']'.repeat(levels)}}`

/** hec.md section 7. */
const LIMITS: readonly Entry[] = [
  {
    row: '7 max_content_length',
    is: '413 above it, plain or gunzipped, whoever sends it, and nothing is stored',
    app: 'small bodies',
    exchanges: [
      [{ body: `${A}${' '.repeat(988)}` }, TOO_LARGE],
      [{ url: RAW, body: 'x'.repeat(1001) }, TOO_LARGE],
      [{ headers: withToken({ 'content-encoding': 'gzip' }), body: gzipSync(`${A}${' '.repeat(988)}`) }, TOO_LARGE],
      [{ headers: { authorization: 'Splunk nope' }, body: 'x'.repeat(1001) }, TOO_LARGE],
      [{ body: `${A}${' '.repeat(987)}` }, SUCCESS],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '7 max_content_length',
    is: '413 for a chunked body before it has ended, and the connection is closed',
    app: 'small bodies',
    turns: [[`${postHead(EVENT, { ...auth, 'Transfer-Encoding': 'chunked' })}3E9\r\n${'x'.repeat(1001)}\r\n`, null]],
    replies: [{ ...TOO_LARGE, headers: { connection: 'close' } }],
  },
  {
    row: '7 max_content_length',
    is: 'differs: 64 MiB by default',
    run: async t => { t.equal(loadConfig({ env: {}, flags: {}, cwd: '/' }).hec.max_body_bytes, 64 << 20) },
  },
  bodies('7 maxEventSize', '5,242,881 bytes pass, one more is code 6', [
    [sized(5_242_882), faulty(6, 0)], [sized(6_000_000), faulty(6, 0)], [`{"event":"small"}${sized(6_000_000)}`, faulty(6, 1)], [sized(5_242_881), SUCCESS],
  ], ['small', 'x'.repeat(5_242_879)]),
  {
    row: '7 maxEventSize',
    is: 'the same for a line of /raw; those before it are stored',
    exchanges: [[{ url: RAW, body: 'x'.repeat(5_242_881) }, SUCCESS], [{ url: RAW, body: `a\n\nb\n${'x'.repeat(5_242_882)}\nc` }, faulty(6, 2)]],
    stored: [{ raw: 'x'.repeat(5_242_881) }, { raw: 'a' }, { raw: 'b' }],
  },
  {
    row: '7 gzip',
    is: 'the cap counts the uncompressed event',
    exchanges: [[{ headers: withToken({ 'content-encoding': 'gzip' }), body: gzipSync(`${A}${sized(6_000_000)}`) }, faulty(6, 1)]],
    stored: [{ event: 'a' }],
  },
  {
    row: '7 queue full',
    is: 'differs: 503 code 9, in newer versions 429 code 26',
    app: 'full queue',
    exchanges: [
      [{ body: A }, BUSY], [{ url: RAW, body: A }, BUSY], [{ headers: withToken({ 'content-encoding': 'gzip' }), body: gzipSync(A) }, BUSY], [{ headers: onChannel(1), body: A }, BUSY],
      [{ url: ACK, headers: onChannel(1), body: '{"acks":[]}' }, BUSY],
    ],
  },
  {
    row: '7 shutting down',
    is: '503 code 23, and the connection is closed',
    app: 'stopping',
    exchanges: ([{ body: A }, { url: RAW, body: A }, { method: 'GET', url: HEALTH }] as const).map(sent => [sent, { ...said(23), headers: { connection: 'close', 'retry-after': null } }]),
  },
  { row: '7 no Retry-After', is: 'as Splunk', app: 'full acks', exchanges: [[{ headers: onChannel(1), body: A }, BUSY], [{ method: 'GET', url: HEALTH }, { status: 503, body: '{"text":"HEC is unhealthy, ack service unavailable","code":19}', headers: { 'retry-after': null } }]] },
  {
    row: '7 a 503 code 9 takes nothing',
    is: 'not what came before there was no more room either; the connection goes on',
    app: 'nearly full queue',
    turns: [
      [`${postHead(EVENT, { ...auth, 'Content-Length': 68 })}{"event":"first"}`, ''],
      [`{"event":"second"}${' '.repeat(33)}`, '"code":9}'],
      [wire(A), '"code":0}'],
    ],
    replies: [BUSY, SUCCESS],
    stored: [{ event: 'a' }],
  },
  bodies('7 nesting deeper than 256 levels', 'code 6 with its number; text is not looked into', [
    [nested(255), SUCCESS], [nested(256), faulty(6, 0)], [nested(10_000), faulty(6, 0)], [`${A}${nested(256)}`, faulty(6, 1)], [`{"event":${JSON.stringify(nested(256))}}`, SUCCESS],
  ], [JSON.parse(nested(255)).event, 'a', nested(256)]),
  bodies('7 no body cap below 16 MB', 'taken', [[`${A}${' '.repeat(16_000_000)}`, SUCCESS]], ['a']),
]

const KEPT: Reply = { ...SUCCESS, headers: { connection: /^keep-alive$/i, 'keep-alive': /^timeout=(?:7[5-9]|[89]\d|\d{3,})$/, 'transfer-encoding': null } }
const CLOSED: Reply = { ...SUCCESS, headers: { connection: /^close$/i, 'transfer-encoding': null } }

/** The head of a request whose body is `A`, and waits to be asked for. */
const headOf = (headers: Readonly<Record<string, string>>, path = EVENT) => postHead(path, { ...auth, Expect: '100-continue', 'Content-Length': A.length, ...headers })

/** Requests that are answered without a look at their body. */
const REFUSED: readonly (readonly [what: string, status: number, head: string])[] = [
  ['an unknown token', 403, headOf({ authorization: 'Splunk nope' })],
  ['no channel', 400, headOf({ authorization: `Splunk ${ACK_TOKEN}` })],
  ['an unknown encoding', 415, headOf({ 'Content-Encoding': 'br' })],
  ['an unknown path', 404, headOf({}, '/services/collector/nope')],
  ['a wrong method', 405, headOf({}).replace('POST', 'PUT')],
  ['OPTIONS', 200, headOf({}).replace('POST', 'OPTIONS')],
]

/** hec.md section 8. */
const CONNECTIONS: readonly Entry[] = [
  { row: '8 forceHttp10=auto', is: 'differs: kept alive without a User-Agent', turns: [[wire(A), '"code":0}'], [wire(A), '"code":0}']], replies: [KEPT, KEPT], stored: [{}, {}] },
  {
    row: '8 HTTP/1.0',
    is: 'answered with Connection: close, and not chunked',
    turns: [[wire(A).replace('HTTP/1.1', 'HTTP/1.0'), null]],
    replies: [CLOSED],
    stored: [{}],
  },
  {
    row: '8 HTTP/1.0',
    is: 'kept alive where the client asks for it',
    turns: [[wire(A, { Connection: 'Keep-Alive' }).replace('HTTP/1.1', 'HTTP/1.0'), '"code":0}'], [wire(A, { Connection: 'close' }).replace('HTTP/1.1', 'HTTP/1.0'), null]],
    replies: [KEPT, CLOSED],
    stored: [{}, {}],
  },
  { row: '8 Connection: keep-alive is sent explicitly', is: 'kept alive', turns: [[wire(A, { Connection: 'keep-alive' }), '"code":0}'], [wire(A, { Connection: 'Keep-Alive' }), '"code":0}']], replies: [KEPT, KEPT], stored: [{}, {}] },
  { row: '8 idle connections are kept for 75 s at least', is: 'and the reply says so', turns: [[wire(A), '"code":0}']], replies: [KEPT], stored: [{}] },
  { row: '8 idle connections are kept for 75 s at least', is: 'by the server', run: async (t, { app }) => { t.ok(app.server.keepAliveTimeout >= 75_000) } },
  { row: '8 HTTP/1.1', is: 'kept alive until a request closes', turns: [[wire(A), '"code":0}'], [wire(A, { Connection: 'close' }), null]], replies: [KEPT, CLOSED], stored: [{}, {}] },
  {
    row: '8 CORS headers',
    is: 'none, as no origin is configured',
    exchanges: [
      [{ headers: withToken({ origin: 'https://example.com' }), body: A }, { ...SUCCESS, headers: { 'access-control-allow-origin': null } }],
      [{ method: 'OPTIONS', headers: { origin: 'https://example.com', 'access-control-request-method': 'POST' } }, {
        status: 200, body: '', headers: { allow: 'POST,OPTIONS', 'access-control-allow-origin': null, 'access-control-allow-methods': null },
      }],
    ],
    stored: [{}],
  },
  {
    row: '8 reply before the whole body is read',
    is: 'none: a refused body is read to its end, and the connection goes on',
    run: async t => {
      const it = await testApp(t)
      const port = await listen(it)
      for (const [what, status, head] of REFUSED) {
        const socket = await openSocket(t, port)
        socket.write(head)
        t.match(await socket.readMore('\r\n\r\n'), 'HTTP/1.1 100 ', what)
        socket.write(A.slice(0, 5))
        const other = await openSocket(t, port)
        other.write(wire(A))
        await other.readMore('"code":0}') // so the server has done what it could with the five bytes
        t.equal(await socket.readMore(''), '', `${what}: no reply yet`)

        socket.write(A.slice(5) + wire(A))
        const replies = await socket.readMore('"code":0}')
        t.strictSame([...replies.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code)), [status, 200], what)
        t.notMatch(replies, /connection: close/i, what)
      }
    },
  },
  {
    row: '8 reply before the whole body is read',
    is: 'with Connection: close where it is too large to be read',
    app: 'small bodies',
    turns: [[`${postHead('/services/collector/nope', { 'Transfer-Encoding': 'chunked' })}3E9\r\n${'x'.repeat(1001)}\r\n`, null]],
    replies: [{ ...NOT_FOUND, headers: { connection: 'close' } }],
  },
  {
    row: '8 pipelined requests stay in step',
    is: 'accepted or refused, with a body or without',
    turns: [[
      [
        wire(A), wire('nonsense'), wire(''), wire(A, { authorization: 'Splunk nope' }), wire(A, {}, '/services/collector/nope'), wire(A).replace('POST', 'PUT'), wire(A).replace('POST', 'OPTIONS'),
        wire(A, { 'Content-Encoding': 'br' }), wire('{"event":"b"}'), `GET ${HEALTH} HTTP/1.1\r\n${HOST}\r\n`,
      ].join(''),
      '"code":17}',
    ]],
    replies: [
      SUCCESS, faulty(6, 0), NO_DATA, said(4), NOT_FOUND, NOT_ALLOWED, { status: 200, body: '' }, { status: 415, body: '{"text":"Unsupported content encoding","code":6}' }, SUCCESS, HEALTHY,
    ],
    stored: [{ event: 'a' }, { event: 'b' }],
  },
]

export const LIMIT_ENTRIES: readonly Entry[] = [...ACK_LIFE, ...LIMITS, ...CONNECTIONS]
