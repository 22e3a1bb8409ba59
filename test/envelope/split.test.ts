import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { openScanner } from '../../src/envelope/scan.js'
import type { ParsedObject } from '../../src/envelope/split.js'
import { openEnvelopes, textOf } from '../../src/envelope/split.js'

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text))

type Split = readonly (ParsedObject | 'faulty')[]

/** What stands in a body, found by guessing. */
function splitFast (body: Uint8Array): Split {
  const envelopes = openEnvelopes(body)
  const found: (ParsedObject | 'faulty')[] = []
  for (let next = envelopes.next(); next !== null; next = envelopes.next()) {
    found.push(next)
    if (next === 'faulty') break
  }
  return found
}

/** The same, every byte looked at. */
function splitSlowly (body: Uint8Array): Split {
  const scanner = openScanner(body)
  const found: (ParsedObject | 'faulty')[] = []
  for (let span = scanner.next(); span !== null; span = scanner.next()) {
    let envelope: ParsedObject | 'faulty' = 'faulty'
    if (span !== 'faulty') {
      const { start, end } = span
      try {
        envelope = { start, end, object: JSON.parse(textOf(body, span)) as Record<string, unknown> }
      } catch {}
    }
    found.push(envelope)
    if (envelope === 'faulty') break
  }
  return found
}

/** Text that looks like the border of two envelopes. */
const text = fc.oneof(fc.constantFrom('}{"time":', '}\n{"time":1', '},{', '"}{"', '\\"}{\\"event', '}{', 'a'), fc.string({ unit: 'binary', maxLength: 5 }))
const event = fc.oneof(text, fc.dictionary(text, fc.oneof(text, fc.array(fc.record({ time: text, x: text }), { maxLength: 3 })), { maxKeys: 3 }), fc.integer())
const alike = fc.record({ time: fc.integer({ min: 0, max: 2e9 }), event })
const other = fc.oneof(fc.record({ event }), fc.record({ event, time: fc.integer() }), fc.constant({}))
const envelopes = fc.oneof({ weight: 3, arbitrary: fc.array(alike, { maxLength: 12 }) }, fc.array(fc.oneof({ weight: 4, arbitrary: alike }, other), { maxLength: 12 }))
const separator = fc.constantFrom('', '\n', '\r\n', ' ', '\n\n')
const broken = fc.constantFrom('', '', '', '{', '{"time":1,"event":', '}', 'x', '{"time":1,"event":"a"', '{"time":1 "event":2}', '[', '[{"time":1,"event":1}', '{"event":01}', ']', `{"time":1,"event":${'['.repeat(256)}1${']'.repeat(256)}}`)

t.test('envelopes that are guessed are those that are found byte by byte', async t => {
  let many = 0
  fc.assert(fc.property(envelopes, separator, broken, fc.nat(12), fc.constantFrom(undefined, 2), fc.boolean(), (all, separator, broken, place, indent, isArray) => {
    const texts = all.map(one => JSON.stringify(one, null, indent))
    if (broken !== '') texts.splice(place, 0, broken)
    const body = bytesOf(isArray ? `${texts.slice(0, 2).join(separator)}[${texts.slice(2).join(',')}]` : texts.join(separator) + separator)

    const found = splitFast(body)

    assert.deepStrictEqual(found, splitSlowly(body))
    if (found.length > 5) many++
  }), { numRuns: 2_000 })
  t.ok(many > 200, `${many} bodies had more than five`)
})

t.test('where guesses go wrong again and again, envelopes are found all the same', async t => {
  const alike = '{"time":1,"event":"a"}\n{"time":2,"event":"b"}\n'
  for (const body of [
    alike + '{"event":1}'.repeat(2_000), // the border of the first two never comes again
    alike + `${'{"event":1}'.repeat(50)}\n{"time":3,"event":"c"}\n`.repeat(20), // it comes, but others stand before it
    alike + JSON.stringify({ time: 3, event: 'x'.repeat(3 << 20) }) + '\n' + alike, // an envelope that is larger than what is guessed
    alike + '{"time":3,"event":"}\\n{\\"time\\":"}\n'.repeat(20),
  ]) {
    const found = splitFast(bytesOf(body))
    t.ok(found.length >= 5 && !found.includes('faulty'))
    t.strictSame(found, splitSlowly(bytesOf(body)))
  }
})
