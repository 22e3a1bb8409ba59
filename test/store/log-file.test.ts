import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from '../fixtures/fast-check.js'
import type { Test } from 'tap'
import t from 'tap'
import { openLogCutter } from '../../src/envelope/log.js'
import { ALL_TIME, toSeconds } from '../../src/event.js'
import { appendLogFile } from '../../src/store/log-file.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'

const DEFAULTS = { host: 'laptop', source: 'a.log', sourcetype: 'cisco:isovalent', index: 'main' }
const EXEC = '{"process_exec":{"process":{"binary":"/bin/sh"}},"time":"2026-03-10T11:05:10.123456789Z","cluster_name":"prod"}'

interface Loaded { readonly time: number, readonly sourcetype: string, readonly host: string, readonly event: unknown, readonly raw: string }

/** Stores a file of this content in an empty store, and gives what became of it, with the events in the order of storing. */
async function load (t: Test, content: string | Buffer, maxEventBytes = 5 << 20) {
  const dir = tempDir(t)
  const path = join(dir, 'a.log')
  writeFileSync(path, content)
  const events = await openTestEvents(dir, { maxEventBytes })
  t.teardown(() => events.close())
  const outcome = await appendLogFile(events, path, { defaults: DEFAULTS, arrivalUs: ARRIVAL_MS * 1000, maxEventBytes })
  const found = await events.find({ predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: ALL_TIME, position: events.position(), order: 'id', limit: 100_000 })
  return { outcome, events: found.map(({ event }): Loaded => event) }
}

const WELL = { refused: 0, skipped: 0, tooLong: 0, firstTooLong: [], broken: 0, firstBroken: [], firstRefused: [] }

t.test('a log of bare events has each as its line says it, dated by itself and with the sourcetype of its kind', async t => {
  const connect = '{"process_connect":{"destination_port":80},"time":"2026-03-10T11:05:11Z"}'
  const { outcome, events } = await load(t, `${EXEC}\n${connect}\r\n\n   \n${EXEC}`)

  t.strictSame(outcome, { ...WELL, stored: 3 })
  t.match(events, [
    { time: 1773140710.123456, sourcetype: 'cisco:isovalent:processExec', host: 'laptop', source: 'a.log', index: 'main', raw: EXEC },
    { time: 1773140711, sourcetype: 'cisco:isovalent:processConnect', raw: connect },
    { raw: EXEC },
  ])
})

t.test('envelopes say their own time and metadata; without a time the event says it', async t => {
  const body = `{"time":1773140000.5,"host":"n1","sourcetype":"st","event":"text"}{"event":${EXEC}}\n{ "event":\n ${EXEC},\n "index": "metrics" }`
  for (const [name, content] of [['plain', body], ['with a byte order mark', `\u{feff}${body}`], ['gzip', gzipSync(body)], ['gzip in parts', Buffer.concat([gzipSync(body.slice(0, 80)), gzipSync(body.slice(80))])]] as const) {
    const { outcome, events } = await load(t, content)

    t.strictSame(outcome, { ...WELL, stored: 3 }, name)
    t.match(events, [
      { time: 1773140000.5, host: 'n1', sourcetype: 'st', raw: 'text' },
      { time: 1773140710.123456, host: 'laptop', sourcetype: 'cisco:isovalent:processExec', raw: EXEC, event: JSON.parse(EXEC) as object },
      { index: 'metrics' },
    ], name)
  }
})

t.test('lines of text have the time that they say, else that of the arrival', async t => {
  const { outcome, events } = await load(t, '2026-03-10T10:00:00+01:00 a line\nno time at all\n{not json\n{"event":"x","level":"info"}\n')

  t.strictSame(outcome, { ...WELL, stored: 4, broken: 1, firstBroken: [3] })
  t.match(events, [
    { time: Date.parse('2026-03-10T09:00:00Z') / 1000, raw: '2026-03-10T10:00:00+01:00 a line' },
    { time: ARRIVAL_MS / 1000, raw: 'no time at all' },
    { raw: '{not json' },
    { raw: '{"event":"x","level":"info"}' }, // with a key that no envelope has it is an event of its own
  ])
})

t.test('what is broken is stored as the line it is, and what follows is read as before', async t => {
  const envelope = '{"time":1773140000,"event":"good"}'
  const { outcome, events } = await load(t, `${envelope}{"time":1,"event":{"cut\n${envelope}${envelope}\n${envelope} rest\n`)

  t.strictSame(outcome, { ...WELL, stored: 5, broken: 2, firstBroken: [1, 3] })
  t.strictSame(events.map(({ raw }) => raw), ['good', '{"time":1,"event":{"cut', 'good', 'good', `${envelope} rest`])
})

t.test('envelopes that HEC refuses are counted and named, and take no others with them', async t => {
  const good = '{"event":"good"}'
  const { outcome, events } = await load(t, [
    good, '{"time":"yesterday","event":1}', good, '{"event":""}', '{"index":"nowhere","event":1}', '{"event":null}', '{"event":null,"fields":{"a":1}}', good,
  ].join('\n'))

  t.strictSame(outcome, {
    ...WELL, stored: 3, refused: 4, skipped: 1,
    firstRefused: [{ number: 2, line: 2, code: 15 }, { number: 4, line: 4, code: 13 }, { number: 5, line: 5, code: 7 }, { number: 6, line: 6, code: 12 }],
  })
  t.equal(events.length, 3)
})

t.test('where every envelope is refused each is counted, and ten are named', async t => {
  const { outcome } = await load(t, '{"time":"x","event":1}'.repeat(1_300))

  t.match(outcome, { stored: 0, refused: 1_300 })
  t.strictSame(outcome.firstRefused.map(({ number }) => number), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

t.test('a line longer than an event may be is counted, wherever it is', async t => {
  const long = 'x'.repeat(3 << 20)
  for (const content of [`a\n${long}\nb`, `{"event":"a"}\n${long}\n{"event":"b"}`, `a\n${long.slice(0, 2_000)}\nb`]) {
    const { outcome, events } = await load(t, content, 1_000)

    t.match(outcome, { stored: 2, tooLong: 1, firstTooLong: [2], refused: 0 })
    t.strictSame(events.map(({ raw }) => raw), ['a', 'b'])
  }
})

t.test('a log of more than a piece is read whole', async t => {
  const lines = Array.from({ length: 20_000 }, (_, i) => `2026-03-10T11:00:00Z line ${i} ${'x'.repeat(i % 300)}`)
  const { outcome, events } = await load(t, gzipSync(lines.join('\n')))

  t.strictSame(outcome, { ...WELL, stored: lines.length })
  t.strictSame(events.map(({ raw }) => raw), lines)
})

t.test('a file that ends too early or is not there is an error, and what came before is stored', async t => {
  const dir = tempDir(t)
  const events = await openTestEvents(dir)
  t.teardown(() => events.close())
  const options = { defaults: DEFAULTS, arrivalUs: ARRIVAL_MS * 1000, maxEventBytes: 5 << 20 }
  const noise = Array.from({ length: 200_000 }, (_, i) => `2026-03-10T11:00:00Z ${Math.imul(i, 2654435761)}`).join('\n')
  writeFileSync(join(dir, 'cut.gz'), gzipSync(noise).subarray(0, -1000))

  await t.rejects(appendLogFile(events, join(dir, 'nothing.log'), options), { code: 'invalid', message: /nothing\.log can't be read: ENOENT/ })
  await t.rejects(appendLogFile(events, dir, options), { code: 'invalid', message: /EISDIR/ })
  await t.rejects(appendLogFile(events, join(dir, 'cut.gz'), options), { code: 'invalid', message: /cut\.gz can't be read: unexpected end of file/ })
  t.ok(events.stats().events > 1_000)
})

t.test('however a log is cut into pieces, its items are the same', async t => {
  const item = fc.oneof(
    fc.constantFrom('{"event":1}', '{"time":1,\n"event":{"a":"}\\""}}', '{"a":1}', '{"event":1,"b":2}', '{', '}', '"', 'text', '{"event":"x', '', ' ', '\u{feff}'),
    fc.string({ maxLength: 20 }),
  )
  const log = fc.array(fc.tuple(item, fc.constantFrom('\n', '\r\n', '\r', '', ' ')), { maxLength: 12 }).map(parts => parts.flat().join(''))
  const itemsOf = (pieces: readonly Buffer[], maxEventBytes: number) => {
    const cutter = openLogCutter(maxEventBytes)
    const found = [...pieces, null].flatMap(piece => {
      const { bytes, items, tooLong } = cutter.cut(piece ?? Buffer.alloc(0), piece === null)
      return [...items.map(({ kind, start, end, line, isBroken }) => `${kind} ${line} ${isBroken} ${Buffer.from(bytes.subarray(start, end)).toString()}`), ...tooLong.map(line => `too long ${line}`)]
    })
    return { found, tooLong: cutter.tooLong }
  }

  fc.assert(fc.property(log, fc.array(fc.nat({ max: 200 }), { maxLength: 5 }), (text, cuts) => {
    const bytes = Buffer.from(text)
    const places = [3, ...cuts.map(cut => Math.max(3, cut)), bytes.length].sort((a, b) => a - b) // a byte order mark comes in one piece
    const pieces = [bytes.subarray(0, 3), ...places.slice(1).map((end, i) => bytes.subarray(places[i], end))]
    t.strictSame(itemsOf(pieces, 1_000), itemsOf([bytes], 1_000))
  }), { numRuns: 300 })
})

t.test('times of a log are those of its events, to the microsecond', async t => {
  const { events } = await load(t, `{"time":"1773140710.000001","event":"a"}\n${EXEC}`)

  t.strictSame(events.map(({ time }) => time), [toSeconds(1773140710000001), toSeconds(1773140710123456)])
})
