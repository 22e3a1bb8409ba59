import { loadConfig } from '../../../src/config.js'
import { auth, DISABLED_QUERY_TOKEN, DISABLED_TOKEN, QUERY_TOKEN, TOKEN } from '../../fixtures/app.js'
import type { Entry, Exchanges, Reply } from './entry.js'
import { ACK, EVENT, HEALTH, HEALTHY, NOT_ALLOWED, NOT_FOUND, onChannel, RAW, said, SUCCESS } from './entry.js'
import type { Row } from './rows.js'

const A = '{"event":"a"}'
const BASE = '/services/collector'
const DEAD_PATHS = ['GET', 'POST', 'OPTIONS', 'DELETE'] as const

/** Every method and kind of credentials that might get another answer out of a path that is none. */
function isNowhere (path: string): Exchanges['exchanges'] {
  return DEAD_PATHS.flatMap(method => [auth, {}].map(headers => [{ method, url: `${BASE}${path}`, headers, body: method === 'GET' ? '' : A }, NOT_FOUND] as const))
}

/** hec.md section 1. */
const ENDPOINTS: readonly Entry[] = [
  ...(['POST /services/collector', 'POST /services/collector/event', 'POST /services/collector/event/1.0'] as const).map((row): Entry => ({
    row: `1 ${row}`, is: 'envelopes', exchanges: [[{ url: row.slice(5), body: A }, SUCCESS]], stored: [{ event: 'a', raw: 'a' }],
  })),
  {
    row: '1 POST /services/collector/raw, /raw/1.0',
    is: 'bytes, metadata in the query',
    exchanges: [[{ url: `${RAW}?host=h`, body: A }, SUCCESS], [{ url: `${RAW}/1.0?host=i`, body: A }, SUCCESS]],
    stored: [{ raw: A, host: 'h' }, { raw: A, host: 'i' }],
  },
  ...([['1 POST /services/collector/ack', ACK, 101], ['1 POST /services/collector/ack/1.0', `${ACK}/1.0`, 102]] as const).map(([row, url, n]): Entry => ({
    row,
    is: 'query ack ids',
    exchanges: [
      [{ headers: onChannel(n), body: A }, said(0, ',"ackId":0')],
      [{ url, headers: onChannel(n), body: '{"acks":[0]}' }, { status: 200, body: '{"acks":{"0":true}}' }],
    ],
    stored: [{ event: 'a' }],
  })),
  {
    row: '1 GET, HEAD /services/collector/health, /health/1.0',
    is: 'health',
    exchanges: [HEALTH, `${HEALTH}/1.0`].flatMap(url => [[{ method: 'GET', url }, HEALTHY], [{ method: 'HEAD', url }, { status: 200, body: '' }]]),
  },
  { row: '1 /services/collector/mint, /mint/1.0', is: 'differs: 404', exchanges: [...isNowhere('/mint'), ...isNowhere('/mint/1.0')] },
  { row: '1 /services/collector/s2s', is: 'differs: 404', exchanges: isNowhere('/s2s') },
  { row: '1 /services/collector/validatebearertoken', is: '404', exchanges: isNowhere('/validatebearertoken') },
  {
    row: '1 /services/receivers/token[/event]',
    is: 'differs: 404',
    run: async (t, { app }) => {
      for (const url of ['/services/receivers/token', '/services/receivers/token/event']) t.match(await app.inject({ method: 'POST', url, headers: auth, payload: { event: 'a' } }), { statusCode: 404 }, url)
    },
  },
  {
    row: '1 anything else',
    is: '404',
    exchanges: ['/event/2.0', '/raw/2.0', '/ack/2.0', '/health/2.0', '/event/1.0/more', '/EVENT', '/%zz'].flatMap(isNowhere),
  },
  {
    row: '1 the port is 8088',
    is: 'so it is without a configuration',
    run: async t => { t.equal(loadConfig({ env: {}, flags: {}, cwd: '/' }).listen.port, 8088) },
  },
  {
    row: '1 HEC is HTTPS by default',
    is: 'differs: HTTP without a certificate',
    run: async t => { t.notOk('tls' in loadConfig({ env: {}, flags: {}, cwd: '/' }).listen) },
  },
  {
    row: '1 OPTIONS on /event/1.0, /raw, /ack',
    is: '200, empty, without a token, Allow: POST,OPTIONS',
    exchanges: ['', '/event', '/event/1.0', '/raw', '/raw/1.0', '/ack', '/ack/1.0'].flatMap(path => ['', A].map(body => [
      { method: 'OPTIONS', url: `${BASE}${path}`, headers: {}, body }, { status: 200, body: '', headers: { allow: 'POST,OPTIONS' } },
    ])),
  },
  {
    row: '1 OPTIONS on /health',
    is: '200, empty, Allow: GET,HEAD,OPTIONS',
    exchanges: [HEALTH, `${HEALTH}/1.0`].map(url => [{ method: 'OPTIONS', url, headers: {} }, { status: 200, body: '', headers: { allow: 'GET,HEAD,OPTIONS' } }]),
  },
  {
    row: '1 GET on /event',
    is: '405 with the body of 404, with or without a token',
    exchanges: ['', '/event', '/event/1.0'].flatMap(path => [{}, auth].map(headers => [{ method: 'GET', url: `${BASE}${path}`, headers }, NOT_ALLOWED])),
  },
  { row: '1 unknown path below /services/collector', is: '404, text and code', exchanges: isNowhere('/nope') },
  {
    row: '1 HEAD on /health',
    is: '200 without a body, and the connection stays in step',
    turns: [[`HEAD ${HEALTH} HTTP/1.1\r\nHost: localhost\r\n\r\nGET ${HEALTH} HTTP/1.1\r\nHost: localhost\r\n\r\n`, '"code":17}']],
    replies: [{ status: 200, body: '', headers: { 'content-type': 'application/json; charset=UTF-8', 'content-length': '35' } }, HEALTHY],
  },
  {
    row: '1 GET/PUT/DELETE on /raw, /ack; POST on /health',
    is: '405 with the body of 404',
    exchanges: [
      ...['', '/event', '/event/1.0', '/raw', '/raw/1.0', '/ack', '/ack/1.0'].flatMap(path => (['GET', 'PUT', 'PATCH', 'DELETE'] as const).flatMap(method => [{}, auth].map(headers =>
        [{ method, url: `${BASE}${path}`, headers, body: method === 'GET' ? '' : A }, NOT_ALLOWED] as const))),
      ...[HEALTH, `${HEALTH}/1.0`].flatMap(url => (['POST', 'PUT', 'PATCH', 'DELETE'] as const).map(method => [{ method, url, body: A }, NOT_ALLOWED] as const)),
    ],
  },
  {
    row: '1 GET/PUT/DELETE on /raw, /ack; POST on /health',
    is: '405 for HEAD on what takes POST, without a body',
    turns: [EVENT, RAW, ACK].map(url => [`HEAD ${url} HTTP/1.1\r\nHost: localhost\r\n\r\n`, '\r\n\r\n']),
    replies: [EVENT, RAW, ACK].map(() => ({ status: 405, body: '', headers: { 'content-length': '69' } })),
  },
  {
    row: '1 trailing slash',
    is: 'as without it',
    exchanges: [
      ...['', '/event', '/event/1.0', '/raw', '/raw/1.0'].map(path => [{ url: `${BASE}${path}/`, body: A }, SUCCESS] as const),
      [{ url: `${ACK}/`, headers: onChannel(103), body: '{"acks":[]}' }, { status: 200, body: '{"acks":{}}' }],
      [{ method: 'GET', url: `${HEALTH}/` }, HEALTHY],
    ],
    stored: [{ event: 'a' }, { event: 'a' }, { event: 'a' }, { event: A }, { event: A }],
  },
  {
    row: '1 Docker sends OPTIONS /event/1.0 before it starts a container',
    is: '200 without a token',
    turns: [['OPTIONS /services/collector/event/1.0 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\n\r\n', '\r\n\r\n']],
    replies: [{ status: 200, body: '', headers: { allow: 'POST,OPTIONS', 'content-length': '0' } }],
  },
  { row: '1 the Docker plugin sends GET /health', is: '200 without a token', exchanges: [[{ method: 'GET', url: HEALTH, headers: {} }, HEALTHY]] },
]

const base64 = (text: string) => Buffer.from(text).toString('base64')
const basic = (text: string) => `Basic ${base64(text)}`

type Credentials = readonly [row: Row, is: string, authorization: string | undefined, reply: Reply, query?: string]

const splunk = (token: string) => `Splunk ${token}`

/** hec.md section 2: who is let in. */
const CREDENTIALS: readonly Credentials[] = [
  ['2 Authorization: Splunk <token>', 'accepted', splunk(TOKEN), SUCCESS],
  ['2 Authorization: Splunk <token>', 'accepted with spaces around the token', ` Splunk   ${TOKEN} `, SUCCESS],
  ['2 Authorization: Splunk <token>', 'code 3 with more than a token', `Splunk ${TOKEN} ${TOKEN}`, said(3)],
  ['2 Authorization: Basic base64(anything:<token>)', 'accepted', basic(`x:${TOKEN}`), SUCCESS],
  ['2 Authorization: Basic base64(anything:<token>)', 'accepted without a user', basic(`:${TOKEN}`), SUCCESS],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 3 without a password', basic(TOKEN), said(3)],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 3 with an empty password', basic('x:'), said(3)],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 3 without anything', 'Basic', said(3)],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 3 where it is no base64', 'Basic \u00a7\u00a7', said(3)],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 4 with the token as the user', basic(`${TOKEN}:x`), said(4)],
  ['2 Authorization: Basic base64(anything:<token>)', 'code 4 with a colon behind the token', basic(`x:${TOKEN}:`), said(4)],
  ['2 ?token=<token>', 'accepted where the token allows it', undefined, SUCCESS, `token=${QUERY_TOKEN}`],
  ['2 ?token=<token>', 'code 16 where it does not', undefined, said(16), `token=${TOKEN}`],
  ['2 ?token=<token>', 'such a token may be in the header too', splunk(QUERY_TOKEN), SUCCESS],
  ['2 ?token=<token>', 'code 1 for a disabled one that may be there', undefined, said(1), `token=${DISABLED_QUERY_TOKEN}`],
  ['2 ?token=<token>', 'code 16 for a disabled one that may not', undefined, said(16), `token=${DISABLED_TOKEN}`],
  ['2 Authorization: Bearer <token>', 'code 3', `Bearer ${TOKEN}`, said(3)],
  ['2 bare token without scheme', 'code 3', TOKEN, said(3)],
  ['2 header absent', 'code 2', undefined, said(2)],
  ['2 header absent', 'code 2 where it is empty', '', said(2)],
  ['2 Splunk with an empty token', 'code 2', 'Splunk', said(2)],
  ['2 Splunk with an empty token', 'code 2 with spaces', 'Splunk  ', said(2)],
  ['2 unknown token, GUID-shaped or not', 'code 4 for a GUID', splunk('00000000-0000-4000-8000-00000000000f'), said(4)],
  ['2 unknown token, GUID-shaped or not', 'code 4 for another text', splunk('invalid-token'), said(4)],
  ['2 unknown token, GUID-shaped or not', 'code 4 for one that is nearly right', splunk(TOKEN.replace(/.$/, 'f')), said(4)],
  ['2 disabled token', 'code 1', splunk(DISABLED_TOKEN), said(1)],
  ['2 disabled token', 'code 1 by Basic', basic(`x:${DISABLED_TOKEN}`), said(1)],
  ['2 a token in the query wins over the header', 'code 16 beside a good header', splunk(TOKEN), said(16), `token=${TOKEN}`],
  ['2 a token in the query wins over the header', 'accepted beside a bad header', splunk('nope'), SUCCESS, `token=${QUERY_TOKEN}`],
  ['2 a token in the query wins over the header', 'code 16 where it is empty', splunk(TOKEN), said(16), 'token='],
  ['2 a token in the query wins over the header', 'code 16 where there are two', splunk(TOKEN), said(16), 'token=a&token=b'],
  ['2 an unknown token in the query', 'code 16', undefined, said(16), 'token=nope'],
  ['2 an unknown token in the query', 'code 16 beside a good header', splunk(TOKEN), said(16), 'token=nope'],
  ['2 tokens need not be GUIDs', 'accepted', splunk(QUERY_TOKEN), SUCCESS],
  ['2 scheme case-insensitivity', 'accepted as sPLUNK', `sPLUNK ${TOKEN}`, SUCCESS],
  ['2 scheme case-insensitivity', 'accepted as BASIC', `BASIC ${base64(`x:${TOKEN}`)}`, SUCCESS],
]

const AUTHORIZATION: readonly Entry[] = [
  ...CREDENTIALS.map(([row, is, authorization, reply, query = '']): Entry => ({
    row,
    is,
    exchanges: [[{ url: `${EVENT}?${query}`, headers: authorization === undefined ? {} : { authorization }, body: A }, reply]],
    stored: reply === SUCCESS ? [{ event: 'a' }] : [],
  })),
  {
    row: '2 authentication precedes the body',
    is: 'code 4, 1 or 2 whatever the body is',
    exchanges: ['', '{"broken', '{"time":1}', ' '].flatMap(body => [
      [{ headers: { authorization: 'Splunk nope' }, body }, said(4)] as const,
      [{ url: RAW, headers: { authorization: splunk(DISABLED_TOKEN) }, body }, said(1)] as const,
      [{ url: ACK, headers: {}, body }, said(2)] as const,
    ]),
  },
  {
    row: '2 /health ignores the token',
    is: '200 with every one of them, and with none',
    exchanges: [{}, auth, ...['Splunk nope', splunk(DISABLED_TOKEN), 'Bearer nope', ''].map(authorization => ({ authorization }))].flatMap(headers =>
      ['', '/1.0', '?token=nope'].map(rest => [{ method: 'GET', url: `${HEALTH}${rest}`, headers }, HEALTHY])),
  },
]

export const ENDPOINT_ENTRIES: readonly Entry[] = [...ENDPOINTS, ...AUTHORIZATION]
