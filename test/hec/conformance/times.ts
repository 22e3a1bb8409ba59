import { ARRIVAL_MS, OTHER_TOKEN, post, storedEvents, testApp } from '../../fixtures/app.js'
import type { Entry, Exchanges, Reply } from './entry.js'
import { bodies, EVENT, faulty, RAW, SUCCESS } from './entry.js'
import type { Row } from './rows.js'

const NOW = ARRIVAL_MS / 1000

/** The `time` of an envelope as it is written there, and the seconds that are stored. */
const TIMES: readonly (readonly [row: Row, is: string, times: readonly (readonly [text: string, seconds: number])[]])[] = [
  ['4.6 integer seconds, or seconds with decimals', 'that instant, to the microsecond', [['1433188255', 1433188255], ['1433188255.5', 1433188255.5], ['1433188255.123456', 1433188255.123456]]],
  ['4.6 the same as a JSON string', 'the same', [['"1433188255.500"', 1433188255.5], ['"1433188255"', 1433188255], ['"1433188255.123456"', 1433188255.123456]]],
  ['4.6 milliseconds, nanoseconds', 'told by size', [
    ['1433188255123', 1433188255.123], ['"1433188255123.456"', 1433188255.123456], ['1433188255123456789', 1433188255.123456], ['13569465599', 13569465599], ['13569465600', 13569465.6],
    ['253402300798999', 253402300798.999], ['253402300800000', 253402.3008],
  ]],
  ['4.6 negative', 'before 1970', [['-1.5', -1.5], ['"-1"', -1], ['-62167219200000', -62167219200]]],
  ['4.6 0', 'the epoch', [['0', 0], ['"0"', 0], ['-0', 0]]],
  ['4.6 more than six decimals', 'cut', [['1433188255.123456789', 1433188255.123456], ['"1433188255.9999999"', 1433188255.999999]]],
]

const envelope = (time: string) => `{"event":"a","time":${time}}`

/** A `time` that is none is behind an event, which is stored, and before one, which is not. */
const WRONG: readonly (readonly [row: Row, is: string, times: readonly string[]])[] = [
  ['4.6 scientific notation', 'code 15', ['1.75248e9', '1E9', '"1.75248e9"']],
  ['4.6 string with a decimal comma', 'code 15', ['"1433188255,5"']],
  ['4.6 ISO 8601 or other text', 'code 15', ['"2026-03-10T11:05:10Z"', '"now"', '""', 'true', '[1]', '{}']],
  ['4.6 negative', 'code 15 before the year 0', ['-62167219200001']],
  ['4.6 milliseconds, nanoseconds', 'code 15 behind the year 9999', ['253402300799999']],
]

/** An event with a time of its own. */
const OWN = '{"event":{"time":"2026-03-10T11:05:10Z"}}'
const OWN_SECONDS = 1773140710

/** hec.md 4.6. */
const TIME_ENTRIES: readonly Entry[] = [
  ...TIMES.map(([row, is, times]): Entry => ({
    row, is, exchanges: [[{ body: times.map(([text]) => envelope(text)).join('') }, SUCCESS]], stored: times.map(([, time]) => ({ time })),
  })),
  ...WRONG.map(([row, is, times]): Exchanges => bodies(row, is, times.map(time => [`{"event":1}${envelope(time)}{"event":3}`, faulty(15, 1)]), times.map(() => 1))),
  {
    row: '4.6 absent',
    is: 'the time of arrival; the event is not searched for one',
    exchanges: [[{ body: OWN }, SUCCESS], [{ url: `${EVENT}?auto_extract_timestamp=false`, body: OWN }, SUCCESS], [{ body: '{"event":"2026-03-10T11:05:10Z"}' }, SUCCESS]],
    stored: [{ time: NOW }, { time: NOW }, { time: NOW }],
  },
  {
    row: '4.6 absent',
    is: 'the time of arrival to the millisecond',
    run: async t => {
      const it = await testApp(t, { nowMs: 1_773_144_060_250 })
      await post(it, { event: 'a' })
      t.strictSame((await storedEvents(it)).map(({ time }) => time), [1_773_144_060.25])
    },
  },
  {
    row: '4.6 a time parameter that is none',
    is: 'code 15',
    exchanges: [EVENT, RAW].flatMap(path => ['1e9', 'now', '1,5'].map(time => [{ url: `${path}?time=${time}`, body: '{"event":"a"}' }, faulty(15, 0)])),
  },
  {
    row: '4.6 ?auto_extract_timestamp on /event',
    is: 'differs: ISO 8601 and epoch time are found',
    exchanges: ['true', '1', 'TRUE'].map(value => [{ url: `${EVENT}?auto_extract_timestamp=${value}`, body: `${OWN}{"event":"${OWN_SECONDS}.5 x"}{"event":"Mar 10 11:05:10 x"}` }, SUCCESS]),
    stored: ['true', '1', 'TRUE'].flatMap(() => [{ time: OWN_SECONDS }, { time: OWN_SECONDS + 0.5 }, { time: NOW }]),
  },
  {
    row: '4.6 a time of the envelope or the query switches extraction off',
    is: 'it is the time',
    exchanges: [
      [{ url: `${EVENT}?auto_extract_timestamp=true`, body: OWN.replace('}}', '},"time":5}') }, SUCCESS],
      [{ url: `${EVENT}?auto_extract_timestamp=true&time=6`, body: OWN }, SUCCESS],
    ],
    stored: [{ time: 5 }, { time: 6 }],
  },
]

type Fields = readonly [row: Row, is: string, fields: string, reply: Reply]

/** hec.md 4.7. */
const FIELDS: readonly Fields[] = [
  ['4.7 strings, numbers, booleans', 'stored', '{"s":"x","n":1,"f":2.5,"b":false,"e":""}', SUCCESS],
  ['4.7 arrays of scalars', 'stored', '{"l":["a",1,true],"e":[]}', SUCCESS],
  ['4.7 a nested object anywhere', 'code 15', '{"a":{"b":1}}', faulty(15, 0)],
  ['4.7 a nested object anywhere', 'code 15 for an empty one', '{"a":1,"b":{}}', faulty(15, 0)],
  ['4.7 a nested object anywhere', 'code 15 in an array', '{"a":["x",{"b":1}]}', faulty(15, 0)],
  ['4.7 a nested object anywhere', 'code 15 for an array in an array', '{"a":[[1]]}', faulty(15, 0)],
  ['4.7 an empty object', 'fine', '{}', SUCCESS],
  ['4.7 keys with dots and colons', 'stored', '{"a.b:c":"x","":"y"}', SUCCESS],
  ['4.7 fields not an object', 'code 15 for text', '"a=1"', faulty(15, 0)],
  ['4.7 fields not an object', 'code 15 for a list', '[1]', faulty(15, 0)],
  ['4.7 fields not an object', 'code 15 for a number', '0', faulty(15, 0)],
  ['4.7 fields not an object', 'as not given for null', 'null', SUCCESS],
]

const MANY = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`dimension_${i}`, `v${i}`]))

/** hec.md 4.8: fields of one measurement or several; each is sent with `event` and without. */
const METRICS: readonly (readonly [row: Row, is: string, fields: Readonly<Record<string, string | number>>])[] = [
  ['4.8 event metric, fields metric_name:<name> → number', 'stored', { 'metric_name:cpu': 1, 'metric_name:memory': 2.5, host: 'a', region: 'eu' }],
  ['4.8 single form', 'stored', { metric_name: 'cpu', _value: 3, region: 'eu' }],
  ['4.8 no event, values as numeric strings', 'stored, the text of fields is the raw text', { 'metric_name:cpu': '1', 'metric_name:memory': '2.5' }],
  ['4.8 metric_type', 'an ordinary dimension', { 'metric_name:cpu': 1, metric_type: 'g' }],
  ['4.8 1,000 dimensions', 'all kept', { 'metric_name:cpu': 1, ...MANY }],
]

export const TIME_AND_FIELD_ENTRIES: readonly Entry[] = [
  ...TIME_ENTRIES,
  ...FIELDS.map(([row, is, fields, reply]): Entry => ({
    row, is, exchanges: [[{ body: `{"event":"a","fields":${fields}}` }, reply]], stored: reply === SUCCESS ? [{ event: 'a', fields: JSON.parse(fields) ?? {} }] : [],
  })),
  ...METRICS.map(([row, is, fields]): Entry => ({
    row,
    is,
    exchanges: [[{ body: [{ event: 'metric', fields }, { fields }].map(envelope => JSON.stringify({ ...envelope, index: 'metrics' })).join('') }, SUCCESS]],
    stored: [{ event: 'metric', raw: 'metric', index: 'metrics', fields }, { event: null, raw: JSON.stringify(fields), index: 'metrics', fields }],
  })),
  {
    row: '4.8 the index is named in the envelope or the token',
    is: 'and holds for metrics too',
    exchanges: [
      [{ body: '{"index":"metrics","fields":{"metric_name:a":1}}' }, SUCCESS],
      [{ headers: { authorization: `Splunk ${OTHER_TOKEN}` }, body: '{"fields":{"metric_name:a":1}}' }, SUCCESS],
      [{ body: '{"index":"nope","fields":{"metric_name:a":1}}' }, faulty(7, 1)],
    ],
    stored: [{ index: 'metrics' }, { index: 'metrics' }],
  },
]
