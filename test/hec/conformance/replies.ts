import { openByteBudget } from '../../../src/hec/body.js'
import { HEC_REPLY } from '../../../src/hec/reply.js'
import type { AppendOutcome, EventStore } from '../../../src/store/events.js'
import { ACK_TOKEN, auth, DISABLED_TOKEN, post, testApp, TOKEN } from '../../fixtures/app.js'
import { postHead, until } from '../../fixtures/http.js'
import type { AppName, Entry, Reply, Sent } from './entry.js'
import { ACK, bodies, channel, EVENT, HEALTH, HEALTHY, NO_DATA, NOT_ALLOWED, NOT_FOUND, onChannel, said, SUCCESS, TOO_LARGE, withToken } from './entry.js'
import type { Row } from './rows.js'

const A = '{"event":"a"}'
const BASE = '/services/collector'
const splunk = (token: string) => `Splunk ${token}`

const health: Sent = { method: 'GET', url: HEALTH, headers: {} }

type Coded = readonly [row: Row, is: string, sent: Sent, status: number, body: string, app?: AppName]

/** hec.md section 3: each code with its status and its text, by what brings it about. Of 0, 7, 24 and 25 more is below. */
const STATUSES: readonly Coded[] = [
  ['3 code 1', 'Token disabled', { headers: { authorization: splunk(DISABLED_TOKEN) }, body: A }, 403, '{"text":"Token disabled","code":1}'],
  ['3 code 2', 'Token is required', { headers: {}, body: A }, 401, '{"text":"Token is required","code":2}'],
  ['3 code 3', 'Invalid authorization', { headers: { authorization: 'Digest x' }, body: A }, 401, '{"text":"Invalid authorization","code":3}'],
  ['3 code 4', 'Invalid token', { headers: { authorization: 'Splunk x' }, body: A }, 403, '{"text":"Invalid token","code":4}'],
  ['3 code 5', 'No data', {}, 400, '{"text":"No data","code":5}'],
  ['3 code 6', 'Invalid data format', { body: 'x' }, 400, '{"text":"Invalid data format","code":6,"invalid-event-number":0}'],
  ['3 code 7', 'Incorrect index, counted from one', { body: '{"event":"a","index":"nope"}' }, 400, '{"text":"Incorrect index","code":7,"invalid-event-number":1}'],
  ['3 code 8', 'Internal server error', { body: A }, 500, '{"text":"Internal server error","code":8}', 'defect'],
  ['3 code 9', 'Server is busy', { body: '{"event":"b"}' }, 503, '{"text":"Server is busy","code":9}', 'full queue'],
  ['3 code 9', 'Server is busy where the disk is full', { body: A }, 503, '{"text":"Server is busy","code":9}', 'full disk'],
  ['3 code 10', 'Data channel is missing', { headers: { authorization: splunk(ACK_TOKEN) }, body: A }, 400, '{"text":"Data channel is missing","code":10}'],
  ['3 code 11', 'Invalid data channel', { headers: { authorization: splunk(ACK_TOKEN), 'x-splunk-request-channel': 'x' }, body: A }, 400, '{"text":"Invalid data channel","code":11}'],
  ['3 code 12', 'Event field is required', { body: '{"time":1}' }, 400, '{"text":"Event field is required","code":12,"invalid-event-number":0}'],
  ['3 code 13', 'Event field cannot be blank', { body: '{"event":""}' }, 400, '{"text":"Event field cannot be blank","code":13,"invalid-event-number":0}'],
  ['3 code 14', 'ACK is disabled', { url: ACK, headers: withToken({ 'x-splunk-request-channel': channel(1) }), body: '{"acks":[0]}' }, 400, '{"text":"ACK is disabled","code":14}'],
  ['3 code 15', 'Error in handling indexed fields', { body: '{"event":"a","fields":{"a":{}}}' }, 400, '{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}'],
  ['3 code 16', 'Query string authorization is not enabled', { url: `${EVENT}?token=${TOKEN}`, body: A }, 400, '{"text":"Query string authorization is not enabled","code":16}'],
  ['3 code 17', 'HEC is healthy', health, 200, '{"text":"HEC is healthy","code":17}'],
  ['3 code 18', 'HEC is unhealthy, queues are full', health, 503, '{"text":"HEC is unhealthy, queues are full","code":18}', 'full queue'],
  ['3 code 18', 'HEC is unhealthy where the store has failed', health, 503, '{"text":"HEC is unhealthy, queues are full","code":18}', 'failed store'],
  ['3 code 19', 'HEC is unhealthy, ack service unavailable', health, 503, '{"text":"HEC is unhealthy, ack service unavailable","code":19}', 'full acks'],
  ['3 code 20', 'HEC is unhealthy, both', health, 503, '{"text":"HEC is unhealthy, queues are full, ack service unavailable","code":20}', 'full queue and acks'],
  ['3 code 21', 'never seen: 17 where the token is unknown', { ...health, headers: { authorization: 'Splunk x' } }, 200, '{"text":"HEC is healthy","code":17}'],
  ['3 code 22', 'never seen: 17 where the token is disabled', { ...health, headers: { authorization: splunk(DISABLED_TOKEN) } }, 200, '{"text":"HEC is healthy","code":17}'],
  ['3 code 23', 'Server is shutting down', { body: A }, 503, '{"text":"Server is shutting down","code":23}', 'stopping'],
  ['3 code 23', 'Server is shutting down, /health too', health, 503, '{"text":"Server is shutting down","code":23}', 'stopping'],
  ['3 code 26', 'differs: code 9', { body: '{"event":"b"}' }, 503, '{"text":"Server is busy","code":9}', 'full queue'],
  ['3 code 27', 'differs: code 9', { headers: onChannel(1), body: A }, 503, '{"text":"Server is busy","code":9}', 'full acks'],
  ['3 code 28', 'code 10, as Splunk Enterprise', { url: ACK, headers: { authorization: splunk(ACK_TOKEN) }, body: '{"acks":[0]}' }, 400, '{"text":"Data channel is missing","code":10}'],
  ['3 code 404', 'an unknown path', { url: `${BASE}/x` }, 404, '{"text":"The requested URL was not found on this server.","code":404}'],
  ['3 code 404', 'a wrong method, as 405', { method: 'PUT', body: A }, 405, '{"text":"The requested URL was not found on this server.","code":404}'],
  ['3 Content-Encoding: deflate', 'differs: 415 with a body of JSON', { headers: withToken({ 'content-encoding': 'deflate' }), body: A }, 415, '{"text":"Unsupported content encoding","code":6}'],
]

const REPLY_HEADERS = {
  date: /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/,
  'content-type': 'application/json; charset=UTF-8',
  'x-content-type-options': 'nosniff',
  vary: 'Authorization',
  'x-frame-options': 'SAMEORIGIN',
  server: 'Splunkd',
  'set-cookie': null,
}

const HEADERS_OF: readonly (readonly [Sent, Reply])[] = [
  [{ body: A }, SUCCESS], [{}, NO_DATA], [{ headers: {} }, said(2)], [{ headers: { authorization: 'Splunk x' } }, said(4)], [{ url: `${BASE}/nope` }, NOT_FOUND], [{ method: 'PUT' }, NOT_ALLOWED], [health, HEALTHY],
  [{ headers: withToken({ 'content-encoding': 'br' }), body: A }, { status: 415, body: '{"text":"Unsupported content encoding","code":6}' }],
  [{ url: ACK, headers: onChannel(104), body: '{"acks":[1]}' }, { status: 200, body: '{"acks":{"1":false}}' }],
]

export const REPLY_ENTRIES: readonly Entry[] = [
  { row: '3 code 0', is: 'Success', exchanges: [[{ body: A }, { status: 200, body: '{"text":"Success","code":0}' }]], stored: [{ event: 'a' }] },
  { row: '3 code 0', is: 'Success with ackId', exchanges: [[{ headers: onChannel(105), body: A }, { status: 200, body: '{"text":"Success","code":0,"ackId":0}' }]], stored: [{ event: 'a' }] },
  ...STATUSES.map(([row, is, sent, status, body, app = 'keep']): Entry => ({ row, is, app, exchanges: [[sent, { status, body }]] })),
  { ...bodies('3 code 24', 'differs: code 0', [['{"event":"x"}', SUCCESS]], ['x'], 'nearly full queue') },
  {
    row: '3 code 25',
    is: 'differs: code 0 up to the last id, then code 9',
    app: 'nearly full acks',
    exchanges: [[{ headers: onChannel(1), body: A }, said(0, ',"ackId":0')], [{ headers: onChannel(1), body: A }, said(9)]],
    stored: [{ event: 'a' }],
  },
  {
    row: '3 code 17',
    is: 'HEC is healthy again when there is room again',
    run: async t => {
      const budget = openByteBudget(10)
      const { app } = await testApp(t, { budget })
      const share = budget.open(0)

      share.tryTake(10)
      t.equal((await app.inject(HEALTH)).json().code, 18)
      share.release()
      t.equal((await app.inject(HEALTH)).json().code, 17)
    },
  },
  {
    row: '3 code 404',
    is: 'no reply has a status or code that makes clients drop or repeat what was taken',
    run: async t => {
      for (const code of [21, 22, 24, 25, 26, 27, 28]) t.notOk(Object.hasOwn(HEC_REPLY, code), `code ${code}`)
      const statuses = new Set(Object.values(HEC_REPLY).map(({ status }) => status as number))
      for (const status of [201, 202, 204, 429]) t.notOk(statuses.has(status), `status ${status}`)
    },
  },
  {
    row: '3 members text, code, then the extra ones',
    is: 'compact, in this order, no newline',
    exchanges: [
      [{ headers: onChannel(106), body: `${A}{"event":""}` }, { status: 400, body: '{"text":"Event field cannot be blank","code":13,"invalid-event-number":1,"ackId":0}', headers: { 'content-length': '83' } }],
      [{ body: '{"event":"a","time":"1,5"}' }, { status: 400, body: '{"text":"Error in handling indexed fields","code":15,"invalid-event-number":0}', headers: { 'content-length': '78' } }],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '3 body over max_content_length',
    is: '413 with a body of JSON, and the connection is closed',
    app: 'small bodies',
    turns: [[postHead(EVENT, { ...auth, 'Content-Length': 1001 }) + 'x'.repeat(1001), null]],
    replies: [{ ...TOO_LARGE, headers: { connection: 'close', 'content-type': 'application/json; charset=UTF-8' } }],
  },
  {
    row: '3 headers of a reply',
    is: 'those of Splunk, on success and on refusal',
    exchanges: HEADERS_OF.map(([sent, reply]) => [sent, { ...reply, headers: { ...REPLY_HEADERS, 'content-length': String(reply.body.length) } }]),
    stored: [{ event: 'a' }],
  },
  {
    row: '3 no Set-Cookie',
    is: 'not even to a client that sends one',
    exchanges: [
      [{ headers: withToken({ cookie: 'splunkd_8088=1' }), body: A }, { ...SUCCESS, headers: { 'set-cookie': null } }],
      [{ headers: { cookie: 'splunkd_8088=1' }, body: A }, { ...said(2), headers: { 'set-cookie': null } }],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '3 a 200 is for accepted events',
    is: 'differs: it comes when the store has said that they are on disk',
    run: async t => {
      let commit = () => {}
      const events = {
        append: () => new Promise<AppendOutcome>(resolve => { commit = () => resolve({ stored: 1, fault: null, unknownKeys: 0, skipped: 0, ownTimes: 0, filled: 0, resent: false }) }),
        close: async () => {},
      } as unknown as EventStore
      const it = await testApp(t, { events })
      let answered = false
      const reply = post(it, A).then(answer => {
        answered = true
        return answer
      })

      await until(() => it.budget.bytes > 0)
      for (let turn = 0; turn < 100; turn++) await new Promise(resolve => setImmediate(resolve))
      t.notOk(answered)
      commit()

      t.equal((await reply).statusCode, 200)
      t.equal(it.budget.bytes, 0)
    },
  },
]
