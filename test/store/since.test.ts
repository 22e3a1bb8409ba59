import { closeSync, cpSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Test } from 'tap'
import type { Value } from '../../src/event.js'
import { ALL_TIME, toMicroseconds } from '../../src/event.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import type { Predicate } from '../../src/spl/ast.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch, relevantPredicate } from '../../src/spl/plan.js'
import { compilePredicate } from '../../src/spl/stages/search.js'
import type { ArrivalQuery, ArrivalResult, EventOrder, EventStore, Lack, Position } from '../../src/store/events.js'
import { MAX_SOURCE_CHARS } from '../../src/store/events.js'
import { openInlineEvents } from '../../src/store/sqlite/inline.js'
import { openWriter } from '../../src/store/sqlite/writer.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, search } from '../fixtures/events.js'
import { spoilColumns, toFirstSchema } from '../fixtures/partitions.js'
import { COLUMN_NAMES, edge, field, openFilled, predicateOf, search as anySearch, UNMAPPED } from '../fixtures/random-events.js'

const at = (id: number) => String(id) as Position
const planOf = (text: string, pushDown: 'on' | 'off' = 'on') => planSearch(parseSearch(text, new Map()), { columns: new Set(COLUMN_NAMES), pushDown })
const conditionOf = (text: string): Predicate => relevantPredicate(planOf(text))
const DAY = '2026-03-10'

/** A data folder that is filled once. */
const filledDir = tempDir(t)
t.before(async () => (await openFilled(filledDir)).close())

/** A folder of its own with the same events. */
function filledCopy (t: Test): string {
  const dataDir = tempDir(t)
  cpSync(filledDir, dataDir, { recursive: true })
  return dataDir
}

interface StoredEvent { readonly id: number, readonly timeUs: number, readonly get: (field: string) => Value | undefined }

/** All events with all their fields, found without the store's help. */
async function readAll (events: EventStore): Promise<StoredEvent[]> {
  const { rows } = await events.search(planOf('*', 'off'), { window: ALL_TIME, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: 1_000_000 })
  return rows.map(({ origin, values }) => ({ id: origin[0] as number, timeUs: toMicroseconds(values.get('_time') as number), get: field => values.get(field) }))
}

function expected (all: readonly StoredEvent[], { predicate, bordersUs, fields }: ArrivalQuery, after: number, upTo: number): ArrivalResult {
  const matches = compilePredicate(predicate)
  const events = all.filter(({ id, get }) => id > after && id <= upTo && matches(get))
  const stretches = bordersUs.slice(1).map((border, stretch) => ({ stretch, ids: events.filter(({ timeUs }) => timeUs >= bordersUs[stretch]! && timeUs < border).map(({ id }) => id) }))
  return {
    arrivals: stretches.filter(({ ids }) => ids.length > 0).map(({ stretch, ids }) => ({ stretch, events: ids.length, last: at(Math.max(...ids)) })),
    lacking: fields.flatMap(field => lacksOf(field, events)),
  }
}

/** By source: 42 and "42" are one, many values are none, and a name that is too long makes it none of those that are told apart. */
function lacksOf (field: string, events: readonly StoredEvent[]): Lack[] {
  const bySource = new Map<string, Lack>()
  for (const { get } of events) {
    if (get(field) !== undefined) continue
    const names = ['index', 'sourcetype', 'cluster_name', 'node_name'].map(name => {
      const value = get(name)
      return value === undefined || typeof value === 'object' ? null : String(value)
    })
    const source = names.some(name => (name?.length ?? 0) > MAX_SOURCE_CHARS) ? null : { index: names[0]!, sourcetype: names[1]!, cluster_name: names[2]!, node_name: names[3]! }
    const key = JSON.stringify(source)
    bySource.set(key, { field, source, events: (bySource.get(key)?.events ?? 0) + 1 })
  }
  return [...bySource].sort(([a], [b]) => a < b ? -1 : 1).map(([, lack]) => lack)
}

const anyQuery = fc.record({
  predicate: fc.oneof(fc.constant('*'), predicateOf(fc.constantFrom(...COLUMN_NAMES)), predicateOf(field)).map(conditionOf),
  bordersUs: fc.uniqueArray(edge, { maxLength: 6 }).map(borders => borders.sort((a, b) => a - b)),
  fields: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.uniqueArray(fc.constantFrom('_time', ...COLUMN_NAMES, ...UNMAPPED), { minLength: 1, maxLength: 3 })),
})

/** Holds what the store says of new events against all events that meet the condition. */
async function assertCounted (events: EventStore, numRuns: number, seed: number): Promise<number> {
  const all = await readAll(events)
  const last = Number(events.position())
  const id = fc.integer({ min: 0, max: last })
  let found = 0
  await fc.assert(fc.asyncProperty(fc.array(anyQuery, { maxLength: 3 }), id, fc.oneof(fc.constant(last), id), async (queries, after, position) => {
    const results = await events.since({ after: at(after), position: at(position), queries })

    const wanted = queries.map(query => expected(all, query, after, position))
    if (JSON.stringify(results) !== JSON.stringify(wanted)) throw new Error(`${JSON.stringify(results)} is not ${JSON.stringify(wanted)}`)
    found += wanted.reduce((sum, { arrivals }) => sum + arrivals.length, 0)
  }), { numRuns, seed })
  return found
}

/** What is done to the files between two starts. */
const STORES: readonly { readonly what: string, readonly change: (dir: string) => void, readonly partitions?: number }[] = [
  { what: 'over several days', change: () => {} },
  {
    what: 'in merged blocks',
    change (dir) {
      const writer = openWriter({ dir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 5 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
      while (writer.merge());
      writer.close()
    },
  },
  {
    what: 'in a partition of other field tables',
    change (dir) {
      const path = join(dir, '2026-03-11.db')
      spoilColumns(path)
      changeDatabase(path, "UPDATE partition SET fields_hash = 'other'")
    },
  },
  { what: 'in partitions of the first schema', change: dir => { for (const day of [DAY, '2026-03-11']) toFirstSchema(join(dir, `${day}.db`)) } },
  { what: 'beside a damaged partition, whose events are not there', change: dir => writeFileSync(join(dir, '2026-03-11.db'), 'x'.repeat(5000)), partitions: 2 },
]

for (const [seed, { what, change, partitions = 3 }] of STORES.entries()) {
  t.test(`new events ${what} are counted in the stretch that they lie in`, async t => {
    const dataDir = filledCopy(t)
    change(join(dataDir, 'events'))
    const events = await openTestEvents(dataDir)
    t.teardown(() => events.close())
    t.equal(events.stats().partitions, partitions)

    const found = await assertCounted(events, 30, seed)

    t.ok(found > 15, `${found} stretches held events`)
  })
}

function changeDatabase (path: string, sql: string): void {
  const db = new Database(path)
  db.exec(sql)
  db.close()
}

/** Searches whose rows hang on other events than those at their beginning. */
const condition = predicateOf(fc.constantFrom(...COLUMN_NAMES))
const nested = fc.tuple(condition, condition, fc.constantFrom<(outer: string, inner: string) => string>(
  (outer, inner) => `${outer} [search ${inner} | stats count BY host index | fields host index] | stats count`,
(outer, inner) => `${outer} NOT [search ${inner} | top 3 host showcount=f showperc=f] | stats count`,
(outer, inner) => `${outer} | join type=left host [search ${inner} | stats count AS n BY host] | stats sum(n)`,
(outer, inner) => `${outer} | stats count BY host | search [search ${inner} | stats count BY host | fields host] | stats sum(count)`,
)).map(([outer, inner, write]) => write(outer, inner))

t.test('an event that changes the rows of a search meets what is relevant to it', async t => {
  const events = await openTestEvents(filledCopy(t))
  t.teardown(() => events.close())
  const id = fc.integer({ min: 1, max: Number(events.position()) })
  const seen = { relevant: 0, changed: 0, irrelevant: 0 }
  await fc.assert(fc.asyncProperty(fc.oneof(anySearch, nested), id, async (text, id) => {
    const plan = planOf(text)
    const query = { predicate: relevantPredicate(plan), bordersUs: [ALL_TIME.earliestUs, ALL_TIME.latestUs], fields: [] }
    const rowsAt = async (position: Position) => {
      const { rows } = await events.search(plan, { window: ALL_TIME, position, timeZone: 'UTC', nowMs: 0, limit: 1_000_000 })
      return JSON.stringify(rows.map(({ values }) => [...values]))
    }

    const [[result], before, after] = await Promise.all([events.since({ after: at(id - 1), position: at(id), queries: [query] }), rowsAt(at(id - 1)), rowsAt(at(id))])

    const isRelevant = result!.arrivals.length > 0
    if (!isRelevant && before !== after) throw new Error(`event ${id} changes the rows of ${text}`)
    if (!isRelevant) seen.irrelevant++
    else if (before === after) seen.relevant++
    else seen.changed++
  }), { numRuns: 100, seed: 17 })
  t.ok(seen.irrelevant > 30 && seen.changed > 30, JSON.stringify(seen))
})

const RELEVANT: readonly (readonly [search: string, relevant: string])[] = [
  ['process_name=ls | where x=1 | search a=b | stats count', 'process_name=ls'],
  ['a=1 b=2 | search c=3', 'a=1 b=2 c=3'],
  ['a=1 [search b=2 | fields c]', 'a=1 OR b=2'],
  ['a=1 NOT [search b=2 c=3 | fields c]', 'a=1 OR (b=2 c=3)'],
  ['a=1 (d=4 OR [search b=2 | fields c])', 'a=1 OR b=2'],
  ['[search b=2 | fields c]', '*'],
  ['a=1 | join c [search b=2 [search d=4 | fields e]]', 'a=1 OR b=2 OR d=4'],
  ['a=1 | search NOT [search b=2 | fields c] | stats count', 'a=1 OR b=2'],
  ['a=1 | stats count BY c | search [search b=2 | fields c]', 'a=1 OR b=2'],
]

t.test('what is relevant to a search are the events at its beginning and at those of searches in brackets', async t => {
  const span = { start: 0, end: 0 }
  const bare = (predicate: Predicate): unknown => JSON.parse(JSON.stringify(predicate, (key, value: unknown) => key === 'span' ? span : value))
  for (const [text, relevant] of RELEVANT) {
    for (const pushDown of ['on', 'off'] as const) t.strictSame(bare(relevantPredicate(planOf(text, pushDown))), bare(conditionOf(relevant)), `${text}, push-down ${pushDown}`)
  }
})

/** Stores with 20 events of the seconds 0 to 19, which came in this order, each alone. */
async function openSeconds (t: Test, open: (dataDir: string) => Promise<EventStore>): Promise<EventStore> {
  const events = await open(tempDir(t))
  t.teardown(() => events.close())
  for (let n = 0; n < 20; n++) await append(events, [{ time: n, event: { n, odd: n % 2 } }], ARRIVAL_MS)
  return events
}

const SOURCE = { index: 'main', sourcetype: 'st', cluster_name: null, node_name: null }

const openInline = async (dataDir: string): Promise<EventStore> => {
  mkdirSync(dataDir, { recursive: true })
  return openInlineEvents({ dataDir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 5 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
}

for (const [name, open] of [['with threads', openTestEvents], ['without threads', openInline]] as const) {
  t.test(`a store ${name} counts, searches and finds only what came after a position`, async t => {
    const events = await openSeconds(t, open)
    const predicate = conditionOf('odd=1')

    t.strictSame(await events.since({ after: at(5), position: at(18), queries: [{ predicate, bordersUs: [0, 6_000_000, 7_000_000, 12_000_000, 13_000_000], fields: ['n', 'odd', 'pod_name', '__proto__'] }] }), [{
      arrivals: [{ stretch: 0, events: 1, last: '6' }, { stretch: 2, events: 3, last: '12' }], // seconds 5; 7, 9, 11; and not yet 19
      lacking: ['pod_name', '__proto__'].map(field => ({ field, source: SOURCE, events: 7 })),
    }])
    t.strictSame((await search(events, 'odd=1 | stats count min(n) AS least max(n) AS most', { since: at(5), position: at(18) })).rows.map(({ values }) => [...values.values()]), [[7, 5, 17]])
    t.strictSame(await events.since({ after: events.position(), position: events.position(), queries: [{ predicate, bordersUs: [0, 20_000_000], fields: ['n'] }] }), [{ arrivals: [], lacking: [] }])
    t.strictSame(await events.since({ after: at(0), position: events.position(), queries: [] }), [])
  })
}

t.test('whatever their order, events are found from a position on', async t => {
  const events = await openTestEvents(filledCopy(t))
  t.teardown(() => events.close())
  const last = Number(events.position())
  const idsOf = async (order: EventOrder, since: Position | undefined, position: Position) => {
    const found = await events.find({ predicate: conditionOf('*'), window: ALL_TIME, since, position, order, limit: 1_000_000 })
    return found.map(({ event }) => event.id)
  }
  const id = fc.integer({ min: 0, max: last })
  await fc.assert(fc.asyncProperty(fc.constantFrom<EventOrder>('id', '-id', 'time', '-time'), id, fc.oneof(fc.constant(last), id), async (order, since, position) => {
    const [found, all] = await Promise.all([idsOf(order, at(since), at(position)), idsOf(order, undefined, at(position))])
    t.strictSame(found, all.filter(id => id > since))
  }), { numRuns: 20, seed: 19 })
})

const PAGE_BYTES = 4096

interface Page { readonly pageno: number, readonly pagetype: string, readonly ncell: number, readonly path: string }

/** Overwrites the indexes of a partition's blocks, and all pages of blocks but those of the last `kept` ones. */
function spoilOldBlocks (path: string, kept: number): void {
  const db = new Database(path)
  const pagesOf = db.prepare<[string], Page>('SELECT pageno, pagetype, ncell, path FROM dbstat WHERE name = ? ORDER BY path')
  const blockPages = pagesOf.all('block')
  const indexPages = ['block_max_time_us_idx', 'block_min_time_us_idx'].flatMap(name => pagesOf.all(name))
  db.close()
  const leaves = blockPages.filter(({ pagetype }) => pagetype === 'leaf')
  const keptPaths: string[] = []
  for (let cells = 0; cells < kept;) {
    const leaf = leaves.pop()!
    cells += leaf.ncell
    keptPaths.push(leaf.path)
  }
  const spoiled = blockPages.filter(({ pagetype, path }) => pagetype !== 'internal' && !keptPaths.some(kept => path.startsWith(kept)))
  const file = openSync(path, 'r+')
  for (const { pageno } of [...spoiled, ...indexPages]) writeSync(file, Buffer.alloc(PAGE_BYTES, 0xff), 0, PAGE_BYTES, (pageno - 1) * PAGE_BYTES)
  closeSync(file)
}

/** A request whose events are more than a merge would touch. */
const many = (time: number) => Array.from({ length: 200 }, (_, n) => ({ time: time + n / 1000, event: { n, text: `${time} ${n * 7919}` } }))

t.test('however many old events there are, nothing but the new ones is read', async t => {
  const dataDir = tempDir(t)
  const before = await openTestEvents(dataDir)
  for (let request = 0; request < 60; request++) await append(before, many(request), ARRIVAL_MS)
  const after = before.position()
  for (let request = 0; request < 3; request++) await append(before, many(request), ARRIVAL_MS)
  await before.close()
  spoilOldBlocks(join(dataDir, 'events', `${DAY}.db`), 5) // the last old one could hold new ones too, and where blocks come backwards one says that it is the end
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  const queries = [{ predicate: conditionOf('*'), bordersUs: [0, 1_000_000, 3_000_000], fields: ['pod_name'] }]

  t.strictSame(await events.since({ after, position: events.position(), queries }), [{ arrivals: [{ stretch: 0, events: 200, last: '12200' }, { stretch: 1, events: 400, last: '12600' }], lacking: [{ field: 'pod_name', source: SOURCE, events: 600 }] }])
  t.equal((await events.find({ predicate: conditionOf('*'), window: ALL_TIME, since: after, position: events.position(), order: '-id', limit: 1_000 })).length, 600)
  await t.rejects(events.since({ after: at(0), position: events.position(), queries }), { code: 'unavailable' }, 'the others are read where they are asked for')
})

t.test('new events outside of all stretches are not read, unless it is asked what they lack', async t => {
  const dataDir = tempDir(t)
  const before = await openTestEvents(dataDir)
  for (const time of [10, 20, 30]) await append(before, many(time), ARRIVAL_MS)
  await before.close()
  changeDatabase(join(dataDir, 'events', `${DAY}.db`), "UPDATE block SET columns = x'00' WHERE first_id <> 201")
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  const predicate = conditionOf('*')
  const since = (...queries: ArrivalQuery[]) => events.since({ after: at(0), position: events.position(), queries })

  t.strictSame(await since({ predicate, bordersUs: [15_000_000, 25_000_000], fields: [] }, { predicate, bordersUs: [], fields: [] }), [{ arrivals: [{ stretch: 0, events: 200, last: '400' }], lacking: [] }, { arrivals: [], lacking: [] }])
  await t.rejects(since({ predicate, bordersUs: [15_000_000, 25_000_000], fields: ['host'] }), { code: 'unavailable', message: /is set aside/ })
  t.strictSame(await since({ predicate, bordersUs: [15_000_000, 25_000_000], fields: ['host'] }), [{ arrivals: [], lacking: [] }], 'once it is set aside the others are counted, of which there are none')
})

t.test('borders that do not ascend are refused, and a call that nobody waits for ends', async t => {
  const events = await openSeconds(t, openTestEvents)
  const since = (bordersUs: readonly number[], signal?: AbortSignal) => {
    return events.since({ after: at(0), position: events.position(), queries: [{ predicate: conditionOf('*'), bordersUs, fields: [] }], ...signal === undefined ? {} : { signal } })
  }

  for (const borders of [[2, 1], [1, 1], [0, NaN]]) await t.rejects(since(borders), /do not ascend/)
  await t.rejects(since([0, 1], AbortSignal.abort()), { code: 'unavailable' })
  const stopping = new AbortController()
  const stopped = t.rejects(since([0, 1], stopping.signal), { code: 'unavailable' })
  stopping.abort()
  await stopped
  t.strictSame(await since([0, 1]), [{ arrivals: [{ stretch: 0, events: 1, last: '1' }], lacking: [] }])
})
