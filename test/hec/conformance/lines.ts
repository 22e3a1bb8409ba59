import { auth, OTHER_TOKEN, ACK_TOKEN } from '../../fixtures/app.js'
import type { Entry, Reply } from './entry.js'
import { ACK, channel, EVENT, faulty, NO_DATA, onChannel, RAW, said, SUCCESS, withToken } from './entry.js'
import type { Row } from './rows.js'

const other = { authorization: `Splunk ${OTHER_TOKEN}` }

/** Bodies to /raw, and the lines that are events. */
const LINES: readonly (readonly [row: Row, is: string, body: string | Buffer, ...lines: string[]])[] = [
  ['5 line breaking', 'a run of CR and LF; empty lines vanish', '\r\na\r\n\r\n\n\nb\rc\n\r', 'a', 'b', 'c'],
  ['5 line breaking', 'white space stays around text', '  a \n\tb', '  a ', '\tb'],
  ['5 line breaking', 'no other character ends a line', 'é😀\u2028x\n漢\u0085\u000b', 'é😀\u2028x', '漢\u0085\u000b'],
  ['5 line breaking', 'bytes are kept, whatever they are', Buffer.from([0x61, 0, 0x62, 0x0a, 0xed, 0xa0, 0x80, 0x0a, 0xff, 0x61]), 'a\u0000b', '\ufffd\ufffd\ufffd', '\ufffda'],
  ['5 line breaking', 'differs: by lines, whatever the sourcetype', 'a\n  at b\n  at c\n', 'a', '  at b', '  at c'],
  ['5 line merging', 'one event a line', 'a\nb\n2026-03-10T11:05:10Z c\nd', 'a', 'b', '2026-03-10T11:05:10Z c', 'd'],
  ['5 a line of white space', 'no event', 'a\n \t\nb\n\u00a0\n', 'a', 'b'],
  ['5 a long line', 'differs: kept whole', `a\n${'x'.repeat(20_000)}`, 'a', 'x'.repeat(20_000)],
  ['5 no trailing newline', 'the last line is an event', 'a\nb', 'a', 'b'],
  ['5 fields', 'an envelope is text', '{"event":"a","time":1,"fields":{"k":"v"}}\n{"event":', '{"event":"a","time":1,"fields":{"k":"v"}}', '{"event":'],
]

/** hec.md section 5. */
const RAW_ENTRIES: readonly Entry[] = [
  ...LINES.map(([row, is, body, ...lines]): Entry => ({
    row, is, exchanges: [[{ url: RAW, body }, SUCCESS]], stored: lines.map(line => ({ event: line, raw: line, fields: {} })),
  })),
  {
    row: '5 channel',
    is: 'not required, unless the token uses ack',
    exchanges: [
      [{ url: RAW, body: 'a' }, SUCCESS],
      [{ url: `${RAW}?channel=x`, body: 'b' }, SUCCESS],
      [{ url: RAW, headers: { authorization: `Splunk ${ACK_TOKEN}` }, body: 'c' }, said(10)],
    ],
    stored: [{ raw: 'a' }, { raw: 'b' }],
  },
  {
    row: '5 metadata',
    is: 'query, token, built-in default, for all lines',
    exchanges: [
      [{ url: `${RAW}?host=h&source=s&sourcetype=st&index=metrics&time=1433188255.500`, body: 'a\nb' }, SUCCESS],
      [{ url: `${RAW}/1.0?host=h`, headers: other, body: 'c' }, SUCCESS],
      [{ url: RAW, body: 'd' }, SUCCESS],
    ],
    stored: [
      ...['a', 'b'].map(raw => ({ raw, time: 1433188255.5, host: 'h', source: 's', sourcetype: 'st', index: 'metrics' })),
      { raw: 'c', host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' },
      { raw: 'd', host: '127.0.0.1', source: 'http:test', sourcetype: 'httpevent', index: 'main' },
    ],
  },
  { row: '5 empty body', is: 'code 5, as for lines without text', exchanges: ['', '\n', '\r\n\r\n', ' \n\t'].map(body => [{ url: RAW, body }, NO_DATA]) },
  { row: '5 line breaking', is: 'an event never spans two requests', exchanges: ['a', 'b\n'].map(body => [{ url: RAW, body }, SUCCESS]), stored: [{ raw: 'a' }, { raw: 'b' }] },
  {
    row: '5 disallowed index',
    is: 'code 7, number 1, nothing is stored',
    exchanges: [[{ url: `${RAW}?index=nope`, body: 'a\nb' }, faulty(7, 1)], [{ url: `${RAW}?index=main`, headers: other, body: '\na\nb' }, faulty(7, 1)]],
  },
  {
    row: '5 ack',
    is: 'the same counter as for /event',
    exchanges: [
      [{ url: EVENT, headers: onChannel(501), body: '{"event":"a"}' }, said(0, ',"ackId":0')],
      [{ url: RAW, headers: onChannel(501), body: 'b\nc' }, said(0, ',"ackId":1')],
      [{ url: ACK, headers: onChannel(501), body: '{"acks":[0,1]}' }, { status: 200, body: '{"acks":{"0":true,"1":true}}' }],
    ],
    stored: [{ raw: 'a' }, { raw: 'b' }, { raw: 'c' }],
  },
  {
    row: '5 fields',
    is: 'a parameter of that name says nothing',
    exchanges: [[{ url: `${RAW}?fields=%7B%22k%22:1%7D`, body: 'a' }, SUCCESS]],
    stored: [{ raw: 'a', fields: {} }],
  },
  {
    row: '5 content type',
    is: 'anything',
    exchanges: [undefined, 'plain/text', 'text/plain', 'application/json', 'application/x-www-form-urlencoded'].map(type =>
      [{ url: RAW, headers: type === undefined ? auth : withToken({ 'content-type': type }), body: 'a=b' }, SUCCESS]),
    stored: Array.from({ length: 5 }, () => ({ raw: 'a=b' })),
  },
]

/** What a poll answers. */
const acks = (text: string): Reply => ({ status: 200, body: `{"acks":{${text}}}` })

const ack = { authorization: `Splunk ${ACK_TOKEN}` }
const A = '{"event":"a"}'
const ID = (id: number) => said(0, `,"ackId":${id}`)
const poll = (n: number, ids: string) => ({ url: ACK, headers: onChannel(n), body: `{"acks":[${ids}]}` })

const MALFORMED = ['', '{', 'null', '[]', '{}', '{"acks":0}', '{"acks":{"0":1}}', '{"acks":["0"]}', '{"acks":[0.5]}', '{"acks":[1e300]}', '{"acks":[null]}']

/** hec.md section 6. */
const ACK_ENTRIES: readonly Entry[] = [
  { row: '6 on/off', is: 'per token', exchanges: [[{ headers: withToken({ 'x-splunk-request-channel': channel(601) }), body: A }, SUCCESS], [{ headers: onChannel(601), body: A }, ID(0)]], stored: [{}, {}] },
  {
    row: '6 channel',
    is: 'in the header or the query',
    exchanges: [
      [{ url: `${EVENT}?channel=${channel(602)}`, headers: ack, body: A }, ID(0)],
      [{ url: `${RAW}?channel=${channel(602)}`, headers: ack, body: A }, ID(1)],
      [{ headers: onChannel(602), body: A }, ID(2)],
      [{ url: `${ACK}?channel=${channel(602)}`, headers: ack, body: '{"acks":[0,1,2]}' }, acks('"0":true,"1":true,"2":true')],
    ],
    stored: [{}, {}, {}],
  },
  {
    row: '6 channel in header and query',
    is: 'the header',
    exchanges: [
      [{ headers: onChannel(603), body: A }, ID(0)],
      [{ url: `${EVENT}?channel=${channel(604)}`, headers: onChannel(603), body: A }, ID(1)],
      [{ url: `${EVENT}?channel=x`, headers: onChannel(603), body: A }, ID(2)],
    ],
    stored: [{}, {}, {}],
  },
  {
    row: '6 form',
    is: 'code 11 where it is no GUID',
    exchanges: ['x', `${channel(605)}0`, channel(605).replaceAll('-', ''), `{${channel(605)}}`].flatMap(text => [EVENT, RAW, ACK].map(url =>
      [{ url, headers: { ...ack, 'x-splunk-request-channel': text }, body: A }, said(11)])),
  },
  {
    row: '6 upper or lower case',
    is: 'one channel',
    exchanges: [
      [{ headers: onChannel(606), body: A }, ID(0)],
      [{ headers: { ...ack, 'x-splunk-request-channel': channel(606).toLowerCase() }, body: A }, ID(1)],
      [{ url: `${ACK}?channel=${channel(606).toLowerCase()}`, headers: ack, body: '{"acks":[0,1]}' }, acks('"0":true,"1":true')],
    ],
    stored: [{}, {}],
  },
  {
    row: '6 missing',
    is: 'code 10, before the body is looked at',
    exchanges: [
      [{ headers: ack, body: A }, said(10)],
      [{ url: RAW, headers: ack, body: '' }, said(10)],
      [{ url: `${EVENT}?channel=`, headers: { ...ack, 'x-splunk-request-channel': ' ' }, body: A }, said(10)],
    ],
  },
  {
    row: '6 token without ack + channel header',
    is: 'ignored, no ackId, whatever it is',
    exchanges: [channel(607), 'no GUID', ''].map(text => [{ headers: withToken({ 'x-splunk-request-channel': text }), body: A }, SUCCESS]),
    stored: [{}, {}, {}],
  },
  {
    row: '6 ackId',
    is: 'an integer from 0 in each channel, one per accepted request',
    exchanges: [
      [{ headers: onChannel(608), body: '{"event":"a"}{"event":"b"}' }, { status: 200, body: '{"text":"Success","code":0,"ackId":0}' }],
      [{ headers: onChannel(608), body: '{"event":""}' }, faulty(13, 0)],
      [{ headers: onChannel(608), body: A }, ID(1)],
      [{ headers: onChannel(609), body: A }, ID(0)],
    ],
    stored: [{}, {}, {}, {}],
  },
  {
    row: '6 query',
    is: 'with the same token and channel',
    exchanges: [
      [{ headers: onChannel(610), body: A }, ID(0)],
      [{ ...poll(610, '0'), headers: {} }, said(2)],
      [{ ...poll(610, '0'), headers: { ...onChannel(610), authorization: 'Splunk nope' } }, said(4)],
      [poll(610, '0'), { ...acks('"0":true'), headers: { 'content-type': 'application/json; charset=UTF-8' } }],
    ],
    stored: [{}],
  },
  {
    row: '6 answer',
    is: 'every asked id, as text',
    exchanges: [
      [{ headers: onChannel(611), body: A }, ID(0)],
      [poll(611, '1,0'), { status: 200, body: '{"acks":{"1":false,"0":true}}' }],
      [poll(611, ''), acks('')],
      [{ headers: onChannel(611), body: A }, ID(1)],
      [poll(611, '1,1,5,-1'), acks('"1":true,"5":false,"-1":false')],
    ],
    stored: [{}, {}],
  },
  {
    row: '6 true once',
    is: 'and false in the next poll',
    exchanges: [
      [{ headers: onChannel(612), body: A }, ID(0)],
      [{ headers: onChannel(612), body: A }, ID(1)],
      [poll(612, '0'), acks('"0":true')],
      [poll(612, '0,1'), acks('"0":false,"1":true')],
    ],
    stored: [{}, {}],
  },
  {
    row: '6 unknown id, other channel\'s id, pending id, lost id',
    is: 'false, and 200',
    exchanges: [
      [{ headers: onChannel(613), body: A }, ID(0)],
      [poll(614, '0'), acks('"0":false')],
      [poll(613, '1,9007199254740991'), acks('"1":false,"9007199254740991":false')],
      [poll(613, '0'), acks('"0":true')],
    ],
    stored: [{}],
  },
  {
    row: '6 latency',
    is: 'differs: true in the first poll',
    exchanges: [0, 1, 2].flatMap(id => [[{ headers: onChannel(615), body: A }, ID(id)] as const, [poll(615, String(id)), acks(`"${id}":true`)] as const]),
    stored: [{}, {}, {}],
  },
  { row: '6 /ack on a non-ack token', is: 'code 14', exchanges: [[{ ...poll(616, '0'), headers: { ...onChannel(616), ...auth } }, said(14)]] },
  { row: '6 /ack without channel', is: 'code 10, on a token without ack too', exchanges: [ack, auth].map(headers => [{ url: ACK, headers, body: '{"acks":[0]}' }, said(10)]) },
  {
    row: '6 /ack content type',
    is: 'ignored',
    exchanges: ['application/x-www-form-urlencoded', 'application/json', 'text/plain', 'x/y'].map(type => [{ ...poll(617, '0'), headers: { ...onChannel(617), 'content-type': type } }, acks('"0":false')]),
  },
  { row: '6 malformed /ack body', is: 'code 6', exchanges: MALFORMED.map(body => [{ ...poll(618, ''), body }, said(6)]) },
  {
    row: '6 a request that stores nothing',
    is: 'an ackId where it is answered 200',
    exchanges: [[{ headers: onChannel(619), body: '{"fields":{"a":1}}' }, ID(0)], [poll(619, '0'), acks('"0":true')]],
  },
]

export const RAW_AND_ACK_ENTRIES: readonly Entry[] = [...RAW_ENTRIES, ...ACK_ENTRIES]
