import { deflateSync, gzipSync } from 'node:zlib'
import { auth } from '../../fixtures/app.js'
import { postHead } from '../../fixtures/http.js'
import type { Entry, Exchanges, Reply, Sent } from './entry.js'
import { ACK, bodies, EVENT, faulty, NO_DATA, onChannel, RAW, said, SUCCESS, withToken } from './entry.js'
import type { Row } from './rows.js'

const A = '{"event":"a"}'

/** A body to /event, its reply, and what is stored. */
type Body = readonly [row: Row, is: string, body: string | Buffer, reply: Reply, ...stored: unknown[]]

const toEntry = ([row, is, body, reply, ...stored]: Body): Exchanges => bodies(row, is, [[body, reply]], stored)

/** hec.md 4.1. */
const FRAMING: readonly Body[] = [
  ['4.1 one object', 'one event', '{"event":1}', SUCCESS, 1],
  ['4.1 one object', 'a key given twice: the last counts', '{"event":1,"event":2}', SUCCESS, 2],
  ['4.1 one object', 'keys may be escaped', '{"\\u0065vent":1,"tim\\u0065":5}', SUCCESS, 1],
  ['4.1 objects back to back', 'one event each, in order', '{"event":1}{"event":2}{"event":3}', SUCCESS, 1, 2, 3],
  ['4.1 objects separated by newlines or other JSON whitespace', 'the same', ' \r\n{"event":1}\n\n{"event":2}\t', SUCCESS, 1, 2],
  ['4.1 a JSON array of envelopes', 'one event each', '[{"event":1},{"event":2}]', SUCCESS, 1, 2],
  ['4.1 a JSON array of envelopes', 'one event each, with white space', ' [ {"event":1} ,\n{"event":2} ] ', SUCCESS, 1, 2],
  ['4.1 a JSON array of envelopes', 'code 6 where a comma ends it', '[{"event":1},]', faulty(6, 1), 1],
  ['4.1 a JSON array of envelopes', 'code 6 without commas', '[{"event":1}{"event":2}]', faulty(6, 1), 1],
  ['4.1 a JSON array of envelopes', 'code 6 where it does not end', '[{"event":1},{"event":2}', faulty(6, 2), 1, 2],
  ['4.1 a JSON array of envelopes', 'code 6 for null in it', '[null]', faulty(6, 0)],
  ['4.1 elements after a closed array; arrays mixed with objects', 'taken', '[{"event":1}]{"event":2}[{"event":3}]', SUCCESS, 1, 2, 3],
  ['4.1 text that is not JSON, a form-encoded body', 'code 6 for a line', 'line', faulty(6, 0)],
  ['4.1 text that is not JSON, a form-encoded body', 'code 6 for a form', 'event=1&x=2', faulty(6, 0)],
  ['4.1 text that is not JSON, a form-encoded body', 'code 6 for a number', '1', faulty(6, 0)],
  ['4.1 text that is not JSON, a form-encoded body', 'code 6 for a string', '"event"', faulty(6, 0)],
  ['4.1 text that is not JSON, a form-encoded body', 'code 6 for a byte order mark', '\ufeff{"event":1}', faulty(6, 0)],
  ['4.1 truncated last object', 'code 6, those before it are taken', '{"event":1}{"event":2', faulty(6, 1), 1],
  ['4.1 truncated last object', 'code 6 for a string that does not end', '{"event":1}{"event":"2}', faulty(6, 1), 1],
  ['4.1 truncated last object', 'code 6 for an escape that does not end', '{"event":1}{"event":"2\\', faulty(6, 1), 1],
  ['4.1 bytes that are no UTF-8', 'kept', Buffer.concat([Buffer.from('{"event":"a'), Buffer.from([0xff]), Buffer.from('"}')]), SUCCESS, 'a\ufffd'],
]

/** Content types by who sends them; null is none at all. */
const TYPES: readonly (readonly [row: Row, types: readonly (string | null)[]])[] = [
  ['4.1 no Content-Type', [null]],
  ['4.1 Content-Type application/x-www-form-urlencoded', ['application/x-www-form-urlencoded']],
  ['4.1 Content-Type application/json', ['application/json', 'application/json; charset=latin1']],
  ['4.1 Content-Type application/json with a profile', ['application/json; profile="urn:splunk:event:1.0"; charset=utf-8', 'application/json; profile=urn:splunk:event:1.0']],
  ['4.1 Content-Type plain/text, text/plain', ['plain/text', 'text/plain']],
  ['4.1 any other Content-Type', ['multipart/form-data', 'foo', ';;;', '', ' ', 'a/b, c/d', '/', 'a/b; c', '"']],
]

/** Bodies of every content type, of none, and without a single byte. */
const CONTENT_TYPES: readonly Entry[] = TYPES.map(([row, types]): Entry => {
  const paths = row.includes('plain') ? [RAW, EVENT] : [EVENT]
  const sent = paths.flatMap(path => types.map((type): { path: string, headers: Record<string, string> } => ({ path, headers: type === null ? auth : { ...auth, 'Content-Type': type } })))
  return {
    row,
    is: 'ignored',
    turns: sent.flatMap(({ path, headers }): [string, string][] => [
      [`${postHead(path, { ...headers, 'Content-Length': A.length })}${A}`, '"code":0}'],
      [postHead(path, { ...headers, 'Content-Length': 0 }), '"code":5}'],
      [`${postHead(path, { ...headers, 'Content-Length': 1 })} `, '"code":5}'],
    ]),
    replies: sent.flatMap(() => [SUCCESS, NO_DATA, NO_DATA]),
    stored: sent.map(({ path }) => ({ event: path === RAW ? A : 'a' })),
  }
})

const zipped = gzipSync(A)
const gzip = withToken({ 'content-encoding': 'gzip' })
const UNSUPPORTED: Reply = { status: 415, body: '{"text":"Unsupported content encoding","code":6}' }
const ENCODING = (encoding: string): Sent => ({ headers: withToken({ 'content-encoding': encoding }), body: A })

const ENCODINGS: readonly Entry[] = [
  bodies('4.1 empty body', 'code 5', [['', NO_DATA], ['[]', NO_DATA], ['[ ]\n', NO_DATA], ['[][]', NO_DATA]]),
  {
    row: '4.1 empty body',
    is: 'code 5 as gzip of no bytes, and as no bytes at all',
    exchanges: [gzipSync(''), gzipSync(' '), gzipSync('[]'), ''].map(body => [{ headers: gzip, body }, NO_DATA]),
  },
  bodies('4.1 whitespace only', 'code 5', [[' ', NO_DATA], [' \r\n\t ', NO_DATA]]),
  {
    row: '4.1 Content-Encoding: gzip on /event and /raw',
    is: 'gunzipped, in one member or several, zeros behind it or not',
    exchanges: [
      [{ headers: gzip, body: zipped }, SUCCESS],
      [{ headers: withToken({ 'content-encoding': ' GZIP ' }), body: zipped }, SUCCESS],
      [{ headers: gzip, body: Buffer.concat([zipped, zipped]) }, SUCCESS],
      [{ headers: gzip, body: Buffer.concat([zipped, Buffer.alloc(4)]) }, SUCCESS],
      [{ url: RAW, headers: gzip, body: zipped }, SUCCESS],
      [{ headers: gzip, body: gzipSync('{"event":"a"}{"event":""}') }, faulty(13, 1)],
    ],
    stored: ['a', 'a', 'a', 'a', 'a', A, 'a'].map(event => ({ event })),
  },
  {
    row: '4.1 Content-Encoding: gzip on /ack',
    is: 'gunzipped',
    exchanges: [
      [{ headers: { ...onChannel(401), 'content-encoding': 'gzip' }, body: zipped }, said(0, ',"ackId":0')],
      [{ url: ACK, headers: { ...onChannel(401), 'content-encoding': 'gzip' }, body: gzipSync('{"acks":[0]}') }, { status: 200, body: '{"acks":{"0":true}}' }],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '4.1 Content-Encoding absent or identity',
    is: 'plain',
    exchanges: [[{ body: A }, SUCCESS], ...['identity', '', 'IDENTITY'].map(encoding => [ENCODING(encoding), SUCCESS] as const)],
    stored: ['a', 'a', 'a', 'a'].map(event => ({ event })),
  },
  {
    row: '4.1 another Content-Encoding',
    is: 'differs: 415 with a body of JSON',
    exchanges: [
      ...['deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'x'].map(encoding => [ENCODING(encoding), UNSUPPORTED] as const),
      [{ ...ENCODING('br'), url: RAW }, UNSUPPORTED],
      [{ url: ACK, headers: { ...onChannel(402), 'content-encoding': 'deflate' } }, UNSUPPORTED],
    ],
  },
  {
    row: '4.1 a gzip stream that does not decode',
    is: 'code 6, on /ack without a number',
    exchanges: [
      ...[
        zipped.subarray(0, -3), // cut in its check sum
        zipped.subarray(0, 15), // in its data
        zipped.subarray(0, 5), // in its header
        Buffer.from(zipped).fill(0, zipped.length - 8), // a wrong check sum
        Buffer.from(A),
        Buffer.concat([zipped, Buffer.from('more')]),
        deflateSync(A),
      ].flatMap(body => [EVENT, RAW].map(url => [{ url, headers: gzip, body }, faulty(6, 0)] as const)),
      [{ url: ACK, headers: { ...onChannel(403), 'content-encoding': 'gzip' }, body: 'no gzip' }, said(6)],
    ],
  },
  {
    row: '4.1 chunked uploads',
    is: 'taken, gzip as well',
    turns: [
      [`${postHead(EVENT, { ...auth, 'Transfer-Encoding': 'chunked' })}5\r\n{"eve\r\n8\r\nnt":"a"}\r\n0\r\n\r\n`, '"code":0}'],
      [Buffer.concat([
        Buffer.from(`${postHead(EVENT, { ...auth, 'Content-Encoding': 'gzip', 'Transfer-Encoding': 'chunked' })}${zipped.length.toString(16)}\r\n`), zipped, Buffer.from('\r\n0\r\n\r\n'),
      ]), '"code":0}'],
      [`${postHead(EVENT, { ...auth, 'Transfer-Encoding': 'chunked' })}0\r\n\r\n`, '"code":5}'],
    ],
    replies: [SUCCESS, SUCCESS, NO_DATA],
    stored: [{ event: 'a' }, { event: 'a' }],
  },
  {
    row: '4.1 Expect: 100-continue',
    is: 'continued, and taken',
    turns: [
      [postHead(EVENT, { ...auth, Expect: '100-continue', 'Content-Length': A.length }), '100 Continue\r\n\r\n'],
      [A, '"code":0}'],
      [postHead(EVENT, { ...auth, Expect: '100-continue', 'Transfer-Encoding': 'chunked' }), '100 Continue\r\n\r\n'],
      ['5\r\n{"eve\r\n8\r\nnt":"a"}\r\n0\r\n\r\n', '"code":0}'],
    ],
    replies: [{ status: 100, body: '' }, SUCCESS, { status: 100, body: '' }, SUCCESS],
    stored: [{ event: 'a' }, { event: 'a' }],
  },
]

/** hec.md 4.2. */
const KEYS: readonly Body[] = [
  ['4.2 channel inside the envelope', 'kept like any other unknown key', '{"event":1,"channel":"x"}', SUCCESS, 1],
  ['4.2 event string, number, object', 'stored as given', '{"event":"x"}{"event":1.50}{"event":{"a":1}}', SUCCESS, 'x', 1.5, { a: 1 }],
  ['4.2 event array', 'stored', '{"event":[1,{"a":2}]}', SUCCESS, [1, { a: 2 }]],
  ['4.2 event boolean, 0, {}, []', 'stored', '{"event":true}{"event":false}{"event":0}{"event":{}}{"event":[]}', SUCCESS, true, false, 0, {}, []],
  ['4.2 event: ""', 'code 13', '{"event":""}', faulty(13, 0)],
  ['4.2 event: ""', 'code 13 with fields too', '{"event":"","fields":{"metric_name:a":1}}', faulty(13, 0)],
  ['4.2 event whitespace only', 'code 13', '{"event":" \\r\\n\\t"}', faulty(13, 0)],
  ['4.2 event: null', 'code 12 without fields', '{"event":null}', faulty(12, 0)],
  ['4.2 event: null', 'code 12 with fields of null', '{"event":null,"fields":null}', faulty(12, 0)],
  ['4.2 event: null', 'as absent with fields', '{"event":null,"fields":{"metric_name:a":1}}', SUCCESS, null],
  ['4.2 no event, no fields', 'code 12', '{"time":1}', faulty(12, 0)],
  ['4.2 no event, no fields', 'code 12 for an empty object', '{}', faulty(12, 0)],
  ['4.2 no event, fields holds a measurement', 'stored', '{"fields":{"metric_name:a":"1"}}', SUCCESS, null],
  ['4.2 no event, other fields', '200, the object is skipped', '{"event":1}{"fields":{"a":1}}{"event":2}', SUCCESS, 1, 2],
  ['4.2 no event, other fields', '200 for the only object', '{"fields":{"a":1}}', SUCCESS],
  ['4.2 metadata value null', 'code 6 for a host', '{"event":1}{"event":2,"host":null}', faulty(6, 1), 1],
  ['4.2 metadata value null', 'code 6 for a source', '{"event":1,"source":null}', faulty(6, 0)],
  ['4.2 metadata value null', 'code 6 for a sourcetype', '{"event":1,"sourcetype":null}', faulty(6, 0)],
  ['4.2 metadata value null', 'code 6 for an index', '{"event":1,"index":null}', faulty(6, 0)],
  ['4.2 metadata value null', 'code 6 for a time', '{"event":1}{"event":2,"time":null}', faulty(6, 1), 1],
  ['4.2 host, source, sourcetype of another kind', 'code 6 for an object', '{"event":1,"source":{}}', faulty(6, 0)],
  ['4.2 host, source, sourcetype of another kind', 'code 6 for true', '{"event":1,"sourcetype":true}', faulty(6, 0)],
  ['4.2 host, source, sourcetype of another kind', 'code 6 for a list', '{"event":1,"index":[]}', faulty(6, 0)],

  ['4.3 unknown key in the only object', 'differs: stored', '{"event":1,"wat":1}', SUCCESS, 1],
  ['4.3 unknown key in object 1 of 3', 'differs: all are stored', '{"event":1}{"event":2,"wat":1}{"event":3}', SUCCESS, 1, 2, 3],
  ['4.3 unknown key in object 0 of several', 'differs: all are stored', '{"event":1,"wat":1}{"event":2}', SUCCESS, 1, 2],
  ['4.3 unknown key whose value is an object', 'stored', '{"event":1,"wat":{"event":2}}{"event":3}', SUCCESS, 1, 3],

  ['4.4 JSON syntax', 'code 6, number N', '{"event":1}{"event":2}{"event":3,}{"event":4}', faulty(6, 2), 1, 2],
  ['4.4 JSON syntax', 'code 6 for text behind an object', '{"event":1} x', faulty(6, 1), 1],
  ['4.4 JSON syntax', 'code 6 for a comma between objects', '{"event":1},{"event":2}', faulty(6, 1), 1],
  ['4.4 JSON syntax', 'code 6 for a bare control character', '{"event":1}{"event":"a\nb"}', faulty(6, 1), 1],
  ['4.4 JSON syntax', 'code 6 for brackets that do not fit', '{"event":1}{"event":[}]}', faulty(6, 1), 1],
  ['4.4 JSON syntax', 'code 6 for a word that JSON does not know', '{"event":1}{"event":NaN}', faulty(6, 1), 1],
  ['4.4 JSON syntax', 'code 6, number 0 with nothing before it', '{"event":}{"event":2}', faulty(6, 0)],
  ['4.4 event blank', 'code 13, number N', '{"event":1}{"event":""}{"event":3}', faulty(13, 1), 1],
  ['4.4 neither event nor fields', 'code 12, number N', '{"event":1}{"time":1}{"event":3}', faulty(12, 1), 1],
  ['4.4 nested fields', 'code 15, number N', '{"event":1}{"event":2,"fields":{"a":{"b":1}}}{"event":3}', faulty(15, 1), 1],
  ['4.4 disallowed index', 'code 7, number N+1', '{"event":1}{"event":2,"index":"nope"}{"event":3}', faulty(7, 2), 1],
  ['4.4 disallowed index', 'code 7, number 1 with nothing before it', '{"event":1,"index":"nope"}{"event":2}', faulty(7, 1)],
  ['4.4 unknown key', 'differs: kept, what follows too', '{"event":1}{"event":2,"wat":1}{"event":""}', faulty(13, 2), 1, 2],
]

/** hec.md 4.3, with hec.compatibility: splunk. */
const AS_SPLUNK: readonly Body[] = [
  ['4.3 unknown key in the only object', 'code 5 as in Splunk', '{"event":1,"wat":1}', NO_DATA],
  ['4.3 unknown key in object 1 of 3', '200 as in Splunk, only object 0 is stored', '{"event":1}{"event":2,"wat":1}{"event":3}', SUCCESS, 1],
  ['4.3 unknown key in object 1 of 3', '200 as in Splunk, whatever follows', '{"event":1}{"event":2,"wat":1}{', SUCCESS, 1],
  ['4.3 unknown key in object 1 of 3', '200 as in Splunk behind an object that stores nothing', '{"fields":{"a":1}}{"wat":1}', SUCCESS],
  ['4.3 unknown key in object 0 of several', 'code 5 as in Splunk', '{"event":1,"wat":1}{"event":2}', NO_DATA],
  ['4.3 unknown key whose value is an object', 'code 5', '{"event":1,"wat":{}}{"event":2}', NO_DATA],
  ['4.3 unknown key whose value is an object', 'code 5 for __proto__', '{"event":1,"__proto__":{"event":2}}', NO_DATA],
  ['4.2 channel inside the envelope', 'code 5 as for any other unknown key', '{"event":1,"channel":"x"}', NO_DATA],
  ['4.4 unknown key', '200 or code 5 as in Splunk', '{"event":1}{"event":2,"wat":1}{"event":""}', SUCCESS, 1],
]

const PREFIXES: readonly Entry[] = [
  {
    row: '4.2 the seven keys, all optional but event or fields',
    is: 'each is stored',
    exchanges: [[{ body: '{"time":5,"host":"h","source":"s","sourcetype":"st","index":"metrics","event":"a","fields":{"k":"v"}}{"event":"b"}' }, SUCCESS]],
    stored: [{ time: 5, host: 'h', source: 's', sourcetype: 'st', index: 'metrics', event: 'a', fields: { k: 'v' } }, { event: 'b', fields: {} }],
  },
  {
    row: '4.2 event string, number, object',
    is: 'the JSON text of an object is the raw text',
    exchanges: [[{ body: '{"event":{"b" : 1.0,\n"a":[true,null],"é":"😀"}}{"event":"x\\ny"}{"event":1.50}' }, SUCCESS]],
    stored: [{ raw: '{"b" : 1.0,\n"a":[true,null],"é":"😀"}', event: { b: 1, a: [true, null], é: '😀' } }, { raw: 'x\ny' }, { raw: '1.50' }],
  },
  {
    row: '4.2 index: ""',
    is: 'behaves as unset',
    exchanges: [
      [{ body: '{"event":"a","index":"","host":"","source":"","sourcetype":""}' }, SUCCESS],
      [{ url: `${EVENT}?index=metrics`, body: '{"event":"a","index":""}' }, SUCCESS],
    ],
    stored: [{ index: 'main', host: '127.0.0.1', source: 'http:test', sourcetype: 'httpevent' }, { index: 'metrics' }],
  },
  {
    row: '4.2 host, source, sourcetype a number',
    is: 'its text',
    exchanges: [[{ body: '{"event":"a","host":1,"source":2.5,"sourcetype":-3}' }, SUCCESS], [{ body: '{"event":"a","index":1}' }, faulty(7, 1)]],
    stored: [{ host: '1', source: '2.5', sourcetype: '-3' }],
  },
  {
    row: '4.4 a stored prefix on an ack token',
    is: 'the error has its ackId',
    exchanges: [
      [{ headers: onChannel(404), body: '{"event":"a"}{"event":}' }, { status: 400, body: '{"text":"Invalid data format","code":6,"invalid-event-number":1,"ackId":0}' }],
      [{ url: ACK, headers: onChannel(404), body: '{"acks":[0]}' }, { status: 200, body: '{"acks":{"0":true}}' }],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '4.4 no prefix on an ack token',
    is: 'no ackId, and none is used up',
    exchanges: [
      ...([['{"event":}', faulty(6, 0)], ['{"event":""}', faulty(13, 0)], ['{"time":1}', faulty(12, 0)], ['{"event":"a","fields":{"a":{}}}', faulty(15, 0)], ['{"event":"a","index":"nope"}', faulty(7, 1)], [' ', NO_DATA]] as const)
        .map(([body, reply]) => [{ headers: onChannel(405), body: `${body}` }, reply] as const),
      [{ headers: onChannel(405), body: A }, said(0, ',"ackId":0')],
    ],
    stored: [{ event: 'a' }],
  },
  {
    row: '4.4 codes 7, 12, 13, 15 behind a stored prefix on an ack token',
    is: 'with an ackId',
    exchanges: [
      [{ headers: onChannel(406), body: `${A}{"event":"b","index":"nope"}` }, faulty(7, 2, 0)],
      [{ headers: onChannel(406), body: `${A}{"time":1}` }, faulty(12, 1, 1)],
      [{ headers: onChannel(406), body: `${A}{"event":""}` }, faulty(13, 1, 2)],
      [{ headers: onChannel(406), body: `${A}{"event":"b","fields":{"a":{}}}` }, faulty(15, 1, 3)],
      [{ headers: onChannel(406), body: `${A}{"event":"b","time":"now"}` }, faulty(15, 1, 4)],
      [{ url: ACK, headers: onChannel(406), body: '{"acks":[0,1,2,3,4]}' }, { status: 200, body: '{"acks":{"0":true,"1":true,"2":true,"3":true,"4":true}}' }],
    ],
    stored: ['a', 'a', 'a', 'a', 'a'].map(event => ({ event })),
  },
]

export const EVENT_ENTRIES: readonly Entry[] = [
  ...[...FRAMING, ...KEYS].map(toEntry), ...CONTENT_TYPES, ...ENCODINGS, ...PREFIXES,
  ...AS_SPLUNK.map((body): Entry => ({ ...toEntry(body), app: 'splunk' })),
]
