import { ARRIVAL_MS, bearer, OTHER_TOKEN, post, storedEvents, testApp } from '../../fixtures/app.js'
import type { Entry } from './entry.js'
import { EVENT, faulty, SUCCESS, withToken } from './entry.js'

const A = '{"event":"a"}'
const other = { authorization: `Splunk ${OTHER_TOKEN}` }
const BUILT_IN = { host: '127.0.0.1', source: 'http:test', sourcetype: 'httpevent', index: 'main' }
const OF_TOKEN = { host: 'h', source: 'src', sourcetype: 'st', index: 'metrics' }
const OF_QUERY = { host: 'qh', source: 'qs', sourcetype: 'qst', index: 'metrics' }
const OF_ENVELOPE = { host: 'eh', source: 'es', sourcetype: 'est', index: 'metrics' }
const QUERY = `${EVENT}?host=qh&source=qs&sourcetype=qst&index=metrics`

/** hec.md 4.5. */
export const METADATA_ENTRIES: readonly Entry[] = [
  {
    row: '4.5 envelope, query, token, built-in default',
    is: 'the first that says something',
    exchanges: [
      [{ url: QUERY, headers: other, body: JSON.stringify({ event: 1, ...OF_ENVELOPE }) }, SUCCESS],
      [{ url: QUERY, headers: other, body: '{"event":2}' }, SUCCESS],
      [{ headers: other, body: '{"event":3}' }, SUCCESS],
      [{ url: `${EVENT}?host=&source=&sourcetype=&index=`, headers: other, body: '{"event":4,"host":"","source":"","sourcetype":"","index":""}' }, SUCCESS],
      [{ body: '{"event":5}' }, SUCCESS],
    ],
    stored: [{ event: 1, ...OF_ENVELOPE }, { event: 2, ...OF_QUERY }, { event: 3, ...OF_TOKEN }, { event: 4, ...OF_TOKEN }, { event: 5, ...BUILT_IN }],
  },
  { row: '4.5 index', is: 'the token\'s, else main', exchanges: [[{ body: A }, SUCCESS], [{ headers: other, body: A }, SUCCESS]], stored: [{ index: 'main' }, { index: 'metrics' }] },
  { row: '4.5 sourcetype', is: 'the token\'s, else httpevent', exchanges: [[{ body: A }, SUCCESS], [{ headers: other, body: A }, SUCCESS]], stored: [{ sourcetype: 'httpevent' }, { sourcetype: 'st' }] },
  { row: '4.5 source', is: 'the token\'s, else http:<token name>', exchanges: [[{ body: A }, SUCCESS], [{ headers: other, body: A }, SUCCESS]], stored: [{ source: 'http:test' }, { source: 'src' }] },
  {
    row: '4.5 host',
    is: 'the token\'s, else the peer\'s address, whatever X-Forwarded-For says',
    exchanges: [[{ headers: withToken({ 'x-forwarded-for': '192.0.2.1' }), body: A }, SUCCESS], [{ headers: other, body: A }, SUCCESS]],
    stored: [{ host: '127.0.0.1' }, { host: 'h' }],
  },
  {
    row: '4.5 query parameters on /event are below the envelope',
    is: 'for each object by itself',
    exchanges: [[{ url: `${QUERY}&time=7`, body: '{"event":1}{"event":2,"host":"eh","time":8}' }, SUCCESS]],
    stored: [{ event: 1, ...OF_QUERY, time: 7 }, { event: 2, ...OF_QUERY, host: 'eh', time: 8 }],
  },
  {
    row: '4.5 carry-over between objects of a batch',
    is: 'each object stands alone',
    exchanges: [[{ body: '{"event":1,"time":5,"host":"eh","source":"es","sourcetype":"est","index":"metrics","fields":{"k":"v"}}{"event":2}' }, SUCCESS]],
    stored: [{ event: 1, time: 5, ...OF_ENVELOPE }, { event: 2, time: ARRIVAL_MS / 1000, ...BUILT_IN, fields: {} }],
  },
  {
    row: '4.5 an empty list of indexes allows any',
    is: 'by envelope and by query',
    exchanges: [[{ body: '{"event":"a","index":"metrics"}' }, SUCCESS], [{ url: `${EVENT}?index=cisco_isovalent`, body: A }, SUCCESS]],
    stored: [{ index: 'metrics' }, { index: 'cisco_isovalent' }],
  },
  {
    row: '4.5 a list of indexes allows those',
    is: 'else code 7, by envelope and by query',
    exchanges: [
      [{ headers: other, body: '{"event":"a","index":"metrics"}' }, SUCCESS],
      [{ headers: other, body: '{"event":"b","index":"main"}' }, faulty(7, 1)],
      [{ headers: other, body: '{"event":"c","index":"nope"}' }, faulty(7, 1)],
      [{ url: `${EVENT}?index=main`, headers: other, body: '{"event":"d"}' }, faulty(7, 1)],
      [{ url: `${EVENT}?index=main`, headers: other, body: '{"event":"e","index":"metrics"}' }, SUCCESS],
    ],
    stored: [{ event: 'a' }, { event: 'e' }],
  },
  {
    row: '4.5 the default index is always usable',
    is: 'whatever the list says, named or not',
    run: async t => {
      const it = await testApp(t)
      const token = 'a-token-whose-list-lacks-its-index'
      await it.app.inject({ method: 'POST', url: '/api/v1/tokens', headers: bearer, payload: { name: 'narrow', token, index: 'main', indexes: ['metrics'] } })
      const send = async (index: object) => (await post(it, { event: 'a', ...index }, { authorization: `Splunk ${token}` })).body

      for (const index of [{}, { index: 'main' }, { index: 'metrics' }]) t.equal(await send(index), SUCCESS.body)
      t.equal(await send({ index: 'cisco_isovalent' }), faulty(7, 1).body)

      t.strictSame((await storedEvents(it)).map(({ index }) => index), ['main', 'main', 'metrics'])
    },
  },
  {
    row: '4.5 an index that does not exist',
    is: 'code 7 on a token without a list',
    exchanges: [[{ body: '{"event":"a","index":"nope"}' }, faulty(7, 1)], [{ url: `${EVENT}?index=nope`, body: A }, faulty(7, 1)]],
  },
]
