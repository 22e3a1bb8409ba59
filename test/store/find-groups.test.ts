import assert from 'node:assert/strict'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Arbitrary } from 'fast-check'
import t from 'tap'
import type { Event } from '../../src/event.js'
import { ALL_TIME } from '../../src/event.js'
import { countEvents } from '../../src/detect/search.js'
import type { Predicate } from '../../src/spl/ast.js'
import { parseSearch } from '../../src/spl/parse.js'
import { contributingPredicate, planSearch } from '../../src/spl/plan.js'
import { allOf } from '../../src/spl/predicate.js'
import { unpackEvents } from '../../src/store/control/findings.js'
import type { EventGroup, EventOrder, EventStore, FindGroupsOptions, FoundGroup, Position } from '../../src/store/events.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
import fc from '../fixtures/fast-check.js'
import { toFirstSchema } from '../fixtures/partitions.js'
import { COLUMN_NAMES, edge, openFilled, search, window } from '../fixtures/random-events.js'

const ORDERS: readonly EventOrder[] = ['time', '-time', 'id', '-id']
const EVERY: Predicate = { kind: 'all', span: { start: 0, end: 0 } }

interface Unpacked { readonly events: readonly Event[], readonly count: number }

function unpack ({ events, kept, count }: FoundGroup): Unpacked {
  const unpacked = unpackEvents(events)
  assert.equal(unpacked.length, kept)
  return { events: unpacked, count }
}

/** What is found when each group is looked for alone. */
async function oneByOne (events: EventStore, { predicate: base, groups, limit, ...options }: FindGroupsOptions): Promise<Unpacked[]> {
  const found: Unpacked[] = []
  for (const { predicate: own, window, id } of groups) {
    const predicate = allOf([base, own], base.span)
    const all = (await events.find({ ...options, predicate, window, limit: 100_000 })).filter(({ event }) => id === undefined || event.id === id)
    found.push({ events: all.slice(0, limit).map(({ event }) => event), count: all.length })
    if (id === undefined && options.since === undefined) assert.equal(await countEvents(events, predicate, { window, position: options.position }), all.length)
  }
  return found
}

/** Groups as a run asks for them: those of a search's rows, some of them in a window of their own, and some of one event. */
async function assertSame (events: EventStore, numRuns: number): Promise<{ events: number, cut: number }> {
  const last = Number(events.position())
  const position = fc.oneof(fc.constant(last), fc.integer({ min: 0, max: last })).map(id => String(id) as Position)
  const mostly = <T, U>(constant: T, other: Arbitrary<U>) => fc.oneof({ weight: 5, arbitrary: fc.constant(constant) }, other)
  const since = mostly(undefined, fc.integer({ min: 0, max: last }).map(id => String(id) as Position))
  const own = fc.array(fc.record({ edges: mostly(null, fc.tuple(edge, edge)), id: mostly(undefined, fc.integer({ min: 0, max: last + 1 })) }), { minLength: 1, maxLength: 5 })
  const seen = { events: 0, cut: 0 }
  await fc.assert(fc.asyncProperty(search, window, since, position, fc.constantFrom(...ORDERS), fc.constantFrom(1, 3, 1_000), own, async (text, window, since, position, order, limit, own) => {
    const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(COLUMN_NAMES), pushDown: 'on' })
    const { rows } = await events.search(plan, { window, position, timeZone: 'UTC', nowMs: 0, limit: 12 })
    const { base } = contributingPredicate(plan, [])
    const groups = [EVERY, ...rows.map(({ origin }) => contributingPredicate(plan, origin).own)].map((predicate, i): EventGroup => {
      const { edges, id } = own[i % own.length]!
      return { predicate, window: edges === null ? window : { earliestUs: Math.min(...edges), latestUs: Math.max(...edges) }, ...id === undefined ? {} : { id } }
    })
    const options = { predicate: base, groups, since, position, order, limit, maxBytes: Infinity }
    const [found, wanted] = [(await events.findGroups(options)).map(unpack), await oneByOne(events, options)]
    const difference = wanted.findIndex((group, i) => JSON.stringify(group) !== JSON.stringify(found[i]))
    if (difference !== -1) throw new Error(`${text}\ngroup ${difference} is ${JSON.stringify(found[difference])}, not ${JSON.stringify(wanted[difference])}`)
    for (const { events, count } of found.slice(1)) {
      seen.events += events.length
      if (count > events.length) seen.cut++
    }
  }), { numRuns })
  return seen
}

t.test('events of groups are those that each gives alone', async t => {
  const dataDir = tempDir(t)
  const filled = await openFilled(dataDir)
  const { events, cut } = await assertSame(filled, 150)
  t.ok(events > 500, `${events} events of rows were found`)
  t.ok(cut > 20, `${cut} groups had more than were wanted`)
  await filled.close()

  await t.test('also where columns do not say it', async t => {
    toFirstSchema(join(dataDir, 'events', '2026-03-10.db'))
    const db = new Database(join(dataDir, 'events', '2026-03-11.db'))
    db.exec("UPDATE partition SET fields_hash = 'other'")
    db.close()
    const events = await openTestEvents(dataDir)
    t.teardown(() => events.close())
    await assertSame(events, 50)
  })
})

t.test('the first events of a group are kept, whatever the order in which they came', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  // Each request is a block: the second ends before the first, the third lies over both.
  for (const times of [[60, 50, 70, 55], [10, 30, 20, 10], [65, 5, 40, 35]]) await append(events, times.map(time => ({ time, sourcetype: `s${time % 10}`, event: { time } })), ARRIVAL_MS)
  const is = (value: string): Predicate => ({ kind: 'is', field: 'sourcetype', value, span: EVERY.span })
  const find = async (order: EventOrder, limit: number) => {
    const found = await events.findGroups({ predicate: EVERY, groups: [is('s0'), is('s5'), EVERY].map(predicate => ({ predicate, window: ALL_TIME })), position: events.position(), order, limit, maxBytes: Infinity })
    return found.map(unpack).map(({ events, count }) => [count, ...events.map(({ time }) => time)])
  }

  t.strictSame(await find('time', 3), [[8, 10, 10, 20], [4, 5, 35, 55], [12, 5, 10, 10]])
  t.strictSame(await find('-time', 2), [[8, 70, 60], [4, 65, 55], [12, 70, 65]])
  t.strictSame(await find('id', 2), [[8, 60, 50], [4, 55, 65], [12, 60, 50]])
  t.strictSame(await events.findGroups({ predicate: EVERY, groups: [], position: events.position(), order: 'time', limit: 1, maxBytes: Infinity }), [])

  const every = async (limit: number, maxBytes: number) => (await events.findGroups({ predicate: EVERY, groups: [{ predicate: EVERY, window: ALL_TIME }], position: events.position(), order: 'time', limit, maxBytes }))[0]!
  const six = await every(6, Infinity)
  t.strictSame(await every(12, six.events.length), { ...six, count: 12 }, 'what does not fit is left out')
  t.match(await every(12, 30), { kept: 0, count: 12 })
})
