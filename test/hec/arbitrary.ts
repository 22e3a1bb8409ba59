import { gzipSync } from 'node:zlib'
import fc from '../fixtures/fast-check.js'
import { ACK_TOKEN, FILLING_TOKEN, OTHER_TOKEN, QUERY_TOKEN, TOKEN } from '../fixtures/app.js'
import type { Bytes, Member, Part, Sending } from './model.js'
import { OWN_TIMES, utf8 } from './model.js'

/** Bodies whose makers know what is in them. */

export const CHANNEL = 'FE0ECFAD-13D5-401B-847D-77833BD77131'

const json = (value: unknown): Bytes => utf8(JSON.stringify(value))
const space = fc.stringMatching(/^[ \t\r\n]{0,2}$/)
/** Bytes of a string's text, UTF-8 or not. */
const wildBytes = fc.uint8Array({ maxLength: 12 }).map(bytes => Buffer.from(bytes).toString('latin1'))
const quotedBytes = wildBytes.map(bytes => `"${[...bytes].filter(byte => byte >= ' ' && byte !== '"' && byte !== '\\').join('')}"`)
const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{0,${max}}$`))
/** What could be a time by chance is one on purpose only. */
const timeless = (text: Bytes): boolean => !/^"?\s*\d{10}/.test(text)

const nested = fc.tuple(fc.constantFrom('[', '{"a":'), fc.integer({ min: 250, max: 260 }))
  .map(([open, levels]) => open === '[' ? '['.repeat(levels) + ']'.repeat(levels) : `${open.repeat(levels)}1${'}'.repeat(levels)}`)

const ownTime = fc.constantFrom(...OWN_TIMES).map(([text]) => text)
/** Events that are looked into: own times, routing, wrapping, fields that a token's defaults are about. */
const knownEvent = fc.record({
  time: fc.option(ownTime),
  key: fc.constantFrom('process_exec', 'process_connect', 'process_exit', 'other'),
  cluster: fc.option(fc.constantFrom<unknown>('own', '', 0, false, null, {}, [], ['x'])),
  form: fc.constantFrom('object', 'text', 'wrapped', 'wrapped object', 'line'),
}).map(({ time, key, cluster, form }): Bytes => {
  if (form === 'line') return json(`${time ?? 'no time'} text`)
  const event = { ...time === null ? {} : { time: /^\d{10,}$/.test(time) ? Number(time) : time }, [key]: {}, ...cluster === null ? {} : { cluster_name: cluster } }
  return json({ object: event, text: JSON.stringify(event), wrapped: { log: `${JSON.stringify(event)}\n` }, 'wrapped object': { log: event } }[form])
})

const value = fc.tuple(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(undefined, 1, '\t')).map(([one, indent]) => utf8(JSON.stringify(one, null, indent)))
const event = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('"a"', '0', '-0', '1.50', '1e400', 'true', 'false', '{}', '[]', '"\\ud800"', '"a\\u0000b"', '{"__proto__":{"a":1}}', '[{"__proto__":1}]', '{"a":1,"a":2}', utf8('"é😀\u2028"'), utf8('"\ufeffx"'), '{"a" : 1.0}') },
  { weight: 2, arbitrary: fc.oneof(value, fc.string({ unit: 'binary' }).map(json), quotedBytes).filter(timeless).filter(text => text.length < 900) },
  { weight: 3, arbitrary: knownEvent },
)
/** An `event` that may be a fault. */
const wildEvent = fc.oneof(event, fc.constantFrom('""', '" \\n"', '"\\u00a0"', 'null', 'NaN', '01', '1.', '"\n"', '"\\x"', '[}]', '[1,]', '{"a"}', 'undefined', '\'a\'', '[1'), nested, fc.integer({ min: 998, max: 1003 }).map(length => `"${'x'.repeat(length - 2)}"`))

const fieldName = fc.constantFrom('a', 'b', '', 'a.b:c', 'é', '__proto__', 'constructor', 'cluster_name', 'team', 'metric_name', '_value', 'metric_name:cpu')
const scalar = fc.constantFrom('"x"', '""', '1', '1.5', 'true', 'null', '"\\ud800"', utf8('"é"'))
const list = fc.array(scalar, { maxLength: 3 }).map(items => `[${items.join(',')}]`)
const objectOf = (member: fc.Arbitrary<Bytes>) => fc.array(fc.tuple(fieldName, member), { maxLength: 4 })
  .map(members => `{${members.map(([name, one]) => `${json(name)}:${one}`).join(',')}}`)
const fields = objectOf(fc.oneof({ weight: 3, arbitrary: scalar }, list))
const wildFields = fc.oneof(objectOf(fc.oneof(scalar, list, fc.constantFrom('{}', '[[]]', '[{"a":1}]', '{"a":1}'))), fc.constantFrom('null', '"a=1"', '1', '[1]', '[]'), nested)

interface Time { readonly text: string, readonly us: bigint | null }

/** Digits as they are written, and microseconds as they are meant: told by their size, further decimals cut (docs/hec.md). */
const goodTime: fc.Arbitrary<Time> = fc.record({
  whole: fc.oneof(
    fc.bigInt({ min: 0n, max: 9_000_000_000n }).map(seconds => ({ seconds, unit: 1_000_000n })),
    fc.bigInt({ min: 13_569_465_600n, max: 9_000_000_000_000n }).map(seconds => ({ seconds, unit: 1_000n })),
    fc.bigInt({ min: 253_402_300_800_000n, max: 9_000_000_000_000_000_000n }).map(seconds => ({ seconds, unit: 0n })),
  ),
  fraction: digits(12),
  sign: fc.constantFrom('', '', '-'),
}).map(({ whole: { seconds, unit }, fraction, sign }) => {
  const decimals = { 1000000: 6, 1000: 3, 0: 0 }[Number(unit)]!
  const us = unit === 0n ? seconds / 1_000n : seconds * unit + BigInt(fraction.padEnd(decimals, '0').slice(0, decimals))
  return { text: `${sign}${seconds}${fraction === '' ? '' : `.${fraction}`}`, us: sign === '-' ? -us : us }
}).filter(({ us }) => us > -62_167_219_200_000_000n)
const badTime: fc.Arbitrary<Time> = fc.constantFrom('1e9', '1.5E3', '-1e-2', '999999999999999999999', '253402300799000', '253402300799999.9', '-62167219200000.5')
  .map(text => ({ text, us: null }))
const badTimeText: fc.Arbitrary<Time> = fc.constantFrom('abc', '1,5', '+5', '.5', '--1', '- 1', '0x10', '1.2.3', '1_000', '２', '2026-03-10T11:05:10Z', 'NaN').map(text => ({ text, us: null }))
const looseTimeText: fc.Arbitrary<Time> = fc.tuple(goodTime, space, fc.constantFrom('0', '00', '')).map(([{ text, us }, around, zeros]) => (
  { text: `${around}${/^\d{1,18}(\.|$)/.test(text) ? zeros : ''}${text}${text.includes('.') ? '' : '.'}${around}`, us }))
const timeMember = fc.oneof(
  goodTime.map(({ text, us }) => ({ json: text, us })),
  fc.oneof(goodTime, looseTimeText).map(({ text, us }) => ({ json: json(text), us })),
)
const wildTimeMember = fc.oneof(
  timeMember,
  badTime.map(({ text, us }) => ({ json: text, us })),
  fc.oneof(badTime, badTimeText, fc.constantFrom({ text: '', us: null }, { text: ' ', us: null })).map(({ text, us }) => ({ json: json(text), us })),
  fc.constantFrom('null', 'true', '{}', '[1]').map(json => ({ json, us: null })),
)

const text = fc.constantFrom('""', '"h"', '"cisco:isovalent"', utf8('"é😀"'), '7', '1.50', '-0', '" "', '"\\ud800"', '"a\\u0000b"', '"x"')
const wildText = fc.oneof(text, fc.constantFrom('null', 'true', '{}', '[]', '["x"]'), quotedBytes)
const index = fc.constantFrom('""', '"main"', '"metrics"', '"metrics"', '"cisco_isovalent"')
const wildIndex = fc.oneof(index, fc.constantFrom('"nope"', '"__proto__"', '7', 'null', 'false', '"Main"', '" main"'))

const memberOf = (key: string, value: fc.Arbitrary<Bytes>): fc.Arbitrary<Member> => value.map(json => ({ key, json }))
const timeOf = (value: fc.Arbitrary<{ json: string, us: bigint | null }>): fc.Arbitrary<Member> => value.map(({ json, us }) => ({ key: 'time', json, us }))
const unknownMember = memberOf('wat', scalar)
const members = fc.tuple(
  memberOf('event', event),
  fc.array(fc.oneof(
    timeOf(timeMember), memberOf('host', text), memberOf('source', text), memberOf('sourcetype', text), memberOf('index', index),
    memberOf('fields', fields),
  ), { maxLength: 4 }),
).chain(([event, others]) => fc.shuffledSubarray([event, ...others], { minLength: others.length + 1 }))
/** Anything beside anything, twice and unknown too. */
const wildMembers = fc.array(fc.oneof(
  { weight: 3, arbitrary: memberOf('event', wildEvent) },
  { weight: 2, arbitrary: memberOf('fields', wildFields) },
  timeOf(wildTimeMember), timeOf(wildTimeMember).map(one => ({ ...one, key: 'tim\\u0065' })), memberOf('host', wildText), memberOf('source', wildText), memberOf('sourcetype', wildText), memberOf('index', wildIndex),
  unknownMember,
  fc.tuple(fc.constantFrom('\\u0065vent', 'tim\\u0065x', 'Event', '', '__proto__', 'channel', 'k'.repeat(70), 'event '), event).map(([key, json]) => ({ key, json })),
), { maxLength: 6 })

const goodPart: fc.Arbitrary<Part> = members.map(members => ({ kind: 'envelope', members }))
const anyPart = fc.oneof<fc.MaybeWeightedArbitrary<Part>[]>(
  { weight: 12, arbitrary: goodPart },
  { weight: 1, arbitrary: members.map(members => ({ kind: 'envelope', members: [...members, { key: 'wat', json: '{}' }] })) },
  { weight: 1, arbitrary: fc.constant({ kind: 'envelope', members: [{ key: 'fields', json: '{"a":1}' }] }) },
  { weight: 2, arbitrary: wildMembers.map(members => ({ kind: 'envelope', members })) },
)

/** No object begins with these, whatever comes behind them; but for a comma and a bracket that holds in an array too. */
const BROKEN = ['x', '1', '"event"', 'null', '}', '\0', '\ufeff', '\\', '{a', '{1', '{,', '{"a" 1}', '{"a"}', '{"event":1 2}', '{"event":1,}', '{"event":,', '(', '\'']

interface Body {
  readonly text: Bytes
  readonly parts: readonly Part[]
  /** Where the objects and arrays begin and end. */
  readonly spans: readonly { readonly start: number, readonly end: number, readonly kind: 'object' | 'array' }[]
}

interface Group { readonly parts: readonly Part[], readonly isArray: boolean }
type Spacing = readonly string[]

/** Objects back to back, with white space, in arrays. */
function toBody (groups: readonly Group[], spacing: Spacing): Body {
  let turn = 0
  const gap = () => spacing[turn++ % spacing.length] ?? ''
  let text = gap()
  const parts: Part[] = []
  const spans: { start: number, end: number, kind: 'object' | 'array' }[] = []
  for (const group of groups) {
    const open = text.length
    if (group.isArray) text += `[${gap()}`
    group.parts.forEach((part, i) => {
      if (i > 0) text += group.isArray ? `${gap()},${gap()}` : gap()
      const start = text.length
      if (part.kind === 'envelope') text += `{${gap()}${part.members.map(({ key, json }) => `"${key}"${gap()}:${gap()}${json}`).join(`${gap()},${gap()}`)}${gap()}}`
      parts.push(part)
      spans.push({ start, end: text.length, kind: 'object' })
    })
    if (group.isArray) {
      text += `${gap()}]`
      spans.push({ start: open, end: text.length, kind: 'array' })
    }
    text += gap()
  }
  return { text, parts, spans }
}

const groupsOf = (part: fc.Arbitrary<Part>) => fc.array(fc.record({ parts: fc.array(part, { maxLength: 4 }), isArray: fc.boolean() }), { maxLength: 3 })
const spacing = fc.oneof(fc.constant(['']), fc.array(space, { minLength: 1, maxLength: 7 }))
const goodBody: fc.Arbitrary<Body> = fc.tuple(groupsOf(goodPart), spacing).map(([groups, spacing]) => toBody(groups, spacing))

const WHOLE = '{"event":"never"}'
/** How a body goes on where it doesn't just end; `objects` of it are whole. */
const brokenEnd = fc.oneof(
  fc.tuple(fc.constantFrom(...BROKEN), fc.constantFrom('', '[', ' [ ')).map(([text, open]) => ({ text: utf8(`${open}${text}${WHOLE}`), objects: 0 })),
  fc.constantFrom('{', '{"event"', '{"event":', '{"event":1', '{"event":"x', '{"event":"\\', ',', `,${WHOLE}`, ']', `[,${WHOLE}]`, `[[${WHOLE}]]`, '[').map(text => ({ text, objects: 0 })),
  fc.constantFrom('', ',', ',]', `${WHOLE}]`, `,,${WHOLE}]`, `,[${WHOLE}]]`, ',1]', '}').map(rest => ({ text: `[${WHOLE}${rest}`, objects: 1 })),
)
const wholeObject: Part = { kind: 'envelope', members: [{ key: 'event', json: '"never"' }] }

const anyBody: fc.Arbitrary<Pick<Body, 'text' | 'parts'>> = fc.tuple(groupsOf(anyPart), spacing, fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, brokenEnd)).map(([groups, spacing, end]) => {
  const { text, parts } = toBody(groups, spacing)
  return end === null ? { text, parts } : { text: text + end.text, parts: [...parts, ...Array<Part>(end.objects).fill(wholeObject), { kind: 'broken' }] }
})

const line = fc.oneof(
  fc.constantFrom('a', ' ', '\t', utf8('\u00a0'), utf8('\ufeff'), utf8('\ufeffa'), '{"event":"a"}', '{"process_exec":{},"cluster_name":"own"}', 'a\0b', utf8('é😀\u2028'), ' padded '),
  wildBytes.map(bytes => bytes.replaceAll(/[\r\n]/g, '')).filter(timeless),
  ownTime.map(time => `${time} text`),
  ownTime.map(time => json({ process_exec: {}, time })),
  fc.integer({ min: 999, max: 1003 }).map(length => 'x'.repeat(length)),
  fc.integer({ min: 999, max: 1003 }).map(length => ' '.repeat(length)),
)
const lines: fc.Arbitrary<Pick<Body, 'text' | 'parts'>> = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r', '\n\n', '\r\r\n')), { maxLength: 8 })
  .chain(all => fc.boolean().map(isEnded => ({ text: all.map(([text, end], i) => i + 1 < all.length || isEnded ? text + end : text).join(''), parts: [] })))

const queryText = fc.constantFrom('', 'qh', 'é&=+%#😀', 'cisco:isovalent', ' ', '\0')
/** What a request says beside its body. */
const head = fc.record({
  query: fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, fc.record({
    host: queryText, source: queryText, sourcetype: queryText, index: fc.constantFrom('', 'main', 'metrics', 'metrics', 'nope'),
  }, { requiredKeys: [] })),
  time: fc.oneof({ weight: 8, arbitrary: fc.constant(null) }, goodTime, looseTimeText, badTime, badTimeText),
  extract: fc.boolean(),
  gzip: fc.boolean(),
})

const anyToken = fc.oneof(fc.constantFrom(TOKEN, ACK_TOKEN), fc.constantFrom(TOKEN, FILLING_TOKEN, OTHER_TOKEN, ACK_TOKEN, QUERY_TOKEN))

export const anySending: fc.Arbitrary<Sending> = fc.tuple(
  head, anyToken,
  fc.oneof(
    { weight: 3, arbitrary: anyBody.map(body => ({ ...body, format: 'envelopes' as const })) },
    { weight: 1, arbitrary: lines.map(body => ({ ...body, format: 'lines' as const })) },
  ),
).map(([head, token, { text, parts, format }]) => ({ ...head, token, format, body: text, parts }))

/** A request whose body may be cut behind any byte, and what is left of it then. */
export const anyCut: fc.Arbitrary<{ readonly whole: Sending, readonly length: number, readonly cutAt: (end: number) => Sending }> = fc.tuple(head, fc.oneof(
  { weight: 3, arbitrary: goodBody.map(body => ({ ...body, format: 'envelopes' as const })) },
  { weight: 1, arbitrary: lines.map(body => ({ ...body, spans: [], format: 'lines' as const })) },
)).map(([head, { text, parts, spans, format }]) => {
  // A time in a line would be another time when it is cut.
  const whole = { ...head, ...format === 'lines' ? { time: { text: '1', us: 1_000_000n } } : {}, token: TOKEN, format, body: text, parts }
  return {
    whole,
    length: text.length,
    cutAt (end) {
      const objects = spans.filter(({ kind }) => kind === 'object')
      const left = parts.filter((_, i) => objects[i]!.end <= end)
      return { ...whole, body: text.slice(0, end), parts: spans.some(span => span.start < end && end < span.end) ? [...left, { kind: 'broken' as const }] : left }
    },
  }
})

const wildQuery = fc.array(fc.tuple(
  fc.constantFrom('token', 'channel', 'host', 'source', 'sourcetype', 'index', 'time', 'auto_extract_timestamp', '__proto__', 'x', ''),
  fc.constantFrom(TOKEN, QUERY_TOKEN, ACK_TOKEN, CHANNEL, 'main', 'nope', '', 'true', '1', '%', '%zz', '%ff%fe', '%00', '%ed%a0%80', '+', 'a[b]=c', '1e9', 'é', `${'x'.repeat(2000)}`),
), { maxLength: 3 }).map(pairs => pairs.length === 0 ? '' : `?${pairs.map(([name, value]) => `${name}=${value}`).join('&')}`)
const wildPath = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('', '/event', '/event/1.0', '/raw', '/raw/1.0', '/ack', '/ack/1.0', '/health', '/health/1.0') },
  fc.constantFrom('/', '/event/', '//event', '/EVENT', '/%65vent', '/%zz', '/event%00', '/raw;x=1', '/nope', '/../collector/event', '/event#x', `/${'x'.repeat(3000)}`, '/%ff', '/*'),
)
/** A path of HEC, with what may follow it. */
export const wildTarget = fc.tuple(wildPath, wildQuery).map(([path, query]) => `/services/collector${path}${query}`)

const wildHeaderText = fc.oneof(
  fc.constantFrom('', ' ', ',', 'gzip', 'identity', 'deflate', 'GZIP', 'gzip, gzip', 'chunked', '100-continue', 'close', 'upgrade', 'Splunk', 'Basic', 'Basic :', 'Basic Og==', '-1', '0', '1e3', '0x10', '99999999999', '5', CHANNEL, `${CHANNEL}, ${CHANNEL}`, 'x'.repeat(5000)),
  fc.string({ unit: 'grapheme-ascii', maxLength: 20 }).map(text => text.trim()),
)
const GOOD_AUTHORIZATION = [TOKEN, ACK_TOKEN, OTHER_TOKEN, FILLING_TOKEN].flatMap(token => [`Splunk ${token}`, `Basic ${Buffer.from(`x:${token}`).toString('base64')}`])
/** Headers, some as they should be, some not, some twice. */
export const wildHeaders: fc.Arbitrary<readonly (readonly [name: string, value: string])[]> = fc.array(fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...GOOD_AUTHORIZATION).map(value => ['authorization', value] as const) },
  { weight: 2, arbitrary: fc.constant(['x-splunk-request-channel', CHANNEL] as const) },
  fc.constant(['content-encoding', 'gzip'] as const),
  fc.tuple(fc.constantFrom('authorization', 'x-splunk-request-channel', 'content-encoding', 'content-type', 'x-forwarded-for', 'accept', 'cookie', 'origin', 'range', 'if-match', 'x-http-method-override', '__proto__'), wildHeaderText),
), { maxLength: 6 })
/** Headers that say where a body ends. */
const wildFraming = fc.array(fc.tuple(fc.constantFrom('content-length', 'transfer-encoding', 'expect', 'connection', 'upgrade', 'trailer', 'host'), wildHeaderText), { maxLength: 2 })

export const wildMethod = fc.oneof({ weight: 20, arbitrary: fc.constant('POST') }, fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'))
/** Any bytes, such as look like a body too. */
export const wildBody: fc.Arbitrary<Buffer> = fc.tuple(fc.oneof(
  { weight: 3, arbitrary: fc.array(fc.oneof(wildBytes, fc.constantFrom(WHOLE, '{"acks":[0,1]}', '{"acks":', '[', ']', ',', '{', '}', '"', '\\', '\n', '\0', '{"event":1,"fields":{"a":{}}}')), { maxLength: 6 }).map(parts => parts.join('')) },
  { weight: 2, arbitrary: fc.constantFrom('', WHOLE, '{"acks":[0]}') },
  anySending.map(({ body }) => body),
), fc.integer({ min: 0, max: 5 }), fc.nat()).map(([text, form, place]) => {
  const bytes = Buffer.from(text, 'latin1')
  if (form > 1) return bytes
  const zipped = gzipSync(bytes)
  return form === 0 ? zipped : zipped.subarray(0, place % zipped.length)
})

const CRLF = '\r\n'
const wildChunks = fc.array(fc.oneof(
  { weight: 3, arbitrary: wildBytes.map(bytes => `${bytes.length.toString(16)}${CRLF}${bytes}${CRLF}`) },
  fc.constantFrom(`${WHOLE.length.toString(16)}${CRLF}${WHOLE}${CRLF}`, `0${CRLF}${CRLF}`, `0${CRLF}x: y${CRLF}${CRLF}`, `-1${CRLF}`, `zz${CRLF}`, `5${CRLF}a${CRLF}`, `ffffffffffffffff${CRLF}`, `1;x="${CRLF}a${CRLF}`, CRLF, '5', '1\na\n'),
), { maxLength: 5 }).map(chunks => chunks.join(''))
const rawMethod = fc.oneof({ weight: 20, arbitrary: wildMethod }, fc.constantFrom('CONNECT', 'PRI', 'QUERY', 'post', 'FOO', '', 'P\0ST', 'M-SEARCH'))
const version = fc.oneof({ weight: 20, arbitrary: fc.constant('HTTP/1.1') }, fc.constantFrom('HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.1 x', '', 'http/1.1'))
const rawTarget = fc.oneof({ weight: 12, arbitrary: wildTarget }, fc.constantFrom('*', '/', 'http://localhost/services/collector/event', 'localhost:80', '', '/services/collector/event x', '/services/collector/\xff'))
const rawHeader = fc.oneof({ weight: 20, arbitrary: fc.constant('') }, fc.constantFrom('no colon', ': no name', 'a b: c', ' folded', 'x:\0', `x: ${'y'.repeat(20_000)}`, 'x: y\nz: 1', '\xff: 1', 'Content-Length: 5\r\nContent-Length: 6'))

/** The bytes of something like a request: what it says of its length may be right, wrong or nonsense. */
const rawRequest = fc.tuple(rawMethod, rawTarget, version, wildHeaders, rawHeader, fc.oneof(
  { weight: 5, arbitrary: wildBody.map(body => [`Content-Length: ${body.length}`, body.toString('latin1')] as const) },
  { weight: 2, arbitrary: fc.tuple(wildBody, fc.integer({ min: -5, max: 5 })).map(([body, off]) => [`Content-Length: ${Math.max(0, body.length + off)}`, body.toString('latin1')] as const) },
  { weight: 2, arbitrary: wildChunks.map(chunks => ['Transfer-Encoding: chunked', `${chunks}0${CRLF}${CRLF}`] as const) },
  { weight: 1, arbitrary: wildChunks.map(chunks => ['Transfer-Encoding: chunked', chunks] as const) },
  { weight: 1, arbitrary: fc.tuple(wildFraming, wildBody).map(([headers, body]) => [headers.map(([name, value]) => `${name}: ${value}`).join(CRLF), body.toString('latin1')] as const) },
)).map(([method, target, version, headers, odd, [framing, body]]) => (
  [`${method} ${target} ${version}`, 'Host: localhost', ...headers.map(([name, value]) => `${name}: ${value}`), ...[odd, framing].filter(one => one !== ''), '', body].join(CRLF)))

/** What comes in over one connection, in pieces. */
export const rawConnection: fc.Arbitrary<readonly Buffer[]> = fc.tuple(
  fc.oneof({ weight: 8, arbitrary: fc.array(rawRequest, { minLength: 1, maxLength: 3 }).map(all => all.join('')) }, wildBytes),
  fc.array(fc.nat(), { maxLength: 3 }),
).map(([text, places]) => {
  const ends = [...places.map(place => place % (text.length + 1)), text.length].sort((a, b) => a - b)
  return ends.map((end, i) => Buffer.from(text.slice(ends[i - 1] ?? 0, end), 'latin1'))
})
