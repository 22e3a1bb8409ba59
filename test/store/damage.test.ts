import { closeSync, cpSync, existsSync, openSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Test } from 'tap'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import type { EventStore } from '../../src/store/events.js'
import type { Damage } from '../../src/store/sqlite/damage.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, listIds, requestOf, search } from '../fixtures/events.js'

const DAY_MS = 86_400_000
const DAY = '2026-03-10'

/** A store, and what it tells of damage. Closed with `t`. */
async function open (t: Test, dataDir: string) {
  const damages: Damage[] = []
  const events = await openTestEvents(dataDir, { report: { damaged: damage => { damages.push(damage) }, notMerged: () => {}, notRemoved: () => {} } })
  t.teardown(() => events.close())
  return { events, damages }
}

/** A folder with events of two days, 300 each in two blocks: of the first day, at some time before noon, and of the next. */
async function makeFilled (t: Test): Promise<string> {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  for (const day of [0, 1]) {
    const arrivalMs = ARRIVAL_MS + day * DAY_MS
    const all = Array.from({ length: 300 }, (_, n) => ({ event: { n, padding: 'x'.repeat(100) }, host: `host-${day}-${n}`, time: arrivalMs / 1000 - n }))
    await append(events, all.slice(0, 256), arrivalMs)
    await append(events, all.slice(256), arrivalMs)
  }
  await events.close()
  return dataDir
}

const FILLED = await makeFilled(t)

/** A copy of it, to be damaged. */
function fill (t: Test): string {
  const dataDir = tempDir(t)
  cpSync(FILLED, dataDir, { recursive: true })
  return dataDir
}

const pathOf = (dataDir: string, file: string) => join(dataDir, 'events', file)
const filesOf = (dataDir: string) => readdirSync(join(dataDir, 'events')).filter(file => !/-(?:wal|shm)$/.test(file)).sort()

function change (path: string, sql: string, ...params: unknown[]): void {
  const db = new Database(path)
  db.prepare(sql).run(...params)
  db.close()
}

const PAGE_BYTES = 4096

/** Overwrites a page, counted from 1. */
function spoil (path: string, page: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(PAGE_BYTES, 0xff), 0, PAGE_BYTES, (page - 1) * PAGE_BYTES)
  closeSync(file)
}

/** Overwrites the first page of a table or an index. */
function spoilTable (path: string, name: string): void {
  const db = new Database(path, { readonly: true })
  const page = db.prepare<[string], number>('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(name)!
  db.close()
  spoil(path, page)
}

async function countOf (events: EventStore) {
  const { rows, warnings } = await search(events, '* | stats count')
  return { count: rows[0]?.values.get('count'), warnings }
}

const WARNING = `the partition ${DAY} is damaged: its events are not searched`

const AT_START: readonly { readonly what: string, readonly damage: (path: string) => void, readonly reason: RegExp }[] = [
  { what: 'a file that is no database', damage: path => writeFileSync(path, 'x'.repeat(100_000)), reason: /not a database/ },
  { what: 'a file that was cut', damage: path => truncateSync(path, 5000), reason: /malformed/ },
  { what: 'a first page that was overwritten', damage: path => spoil(path, 1), reason: /not a database/ },
  { what: 'a summary that can\'t be read', damage: path => spoilTable(path, 'partition'), reason: /malformed/ },
  { what: 'a summary that is missing', damage: path => change(path, 'DELETE FROM partition'), reason: /no summary/ },
  { what: 'a table that is missing', damage: path => change(path, 'DROP TABLE block'), reason: /no table block/ },
  { what: 'no tables, but a schema', damage: path => change(path, 'PRAGMA user_version = 0'), reason: /no version/ },
]

for (const { what, damage, reason } of AT_START) {
  t.test(`${what} is set aside at the start, and the others go on`, async t => {
    const dataDir = fill(t)
    damage(pathOf(dataDir, `${DAY}.db`))

    const { events, damages } = await open(t, dataDir)

    t.match(damages, [{ partition: DAY, reason }])
    t.strictSame(filesOf(dataDir), [`${DAY}.damaged`, '2026-03-11.db'])
    t.strictSame(await countOf(events), { count: 300, warnings: [WARNING] })
    t.match(events.stats(), { partitions: 1, damagedPartitions: 1, events: 300 })
    t.match(events.partitions(), [{ name: DAY, state: 'damaged', events: null }, { name: '2026-03-11', state: 'ok', events: 300 }])
    t.ok(events.partitions()[0]!.bytes > 0)
    t.equal(events.position(), '600')
  })
}

t.test('a partition that was set aside stays so: it is told once, and its day goes on in further files', async t => {
  const dataDir = fill(t)
  for (const name of [DAY, '2026-03-11']) writeFileSync(pathOf(dataDir, `${name}.db`), 'x'.repeat(5000))
  const first = await open(t, dataDir)
  t.equal(first.damages.length, 2)
  await append(first.events, [{ event: 'more' }], ARRIVAL_MS + DAY_MS)
  await first.events.close()

  const again = await open(t, dataDir)
  await append(again.events, [{ event: 'and more' }], ARRIVAL_MS + DAY_MS)

  t.strictSame(again.damages, [])
  t.strictSame(filesOf(dataDir), [`${DAY}.damaged`, '2026-03-11.2.db', '2026-03-11.damaged'])
  t.strictSame(await listIds(again.events), [[601, 'more'], [602, 'and more']])
  t.match(await countOf(again.events), { count: 2, warnings: { length: 2 } })
  t.strictSame((await search(again.events, '*', { window: { earliestUs: Date.parse('2026-03-11') * 1000, latestUs: Date.parse('2026-03-20') * 1000 } })).warnings, ['the partition 2026-03-11 is damaged: its events are not searched'], 'no event is later than its arrival')
})

t.test('the WAL of a damaged partition goes with it, where a stop came between at the next start', async t => {
  const dataDir = fill(t)
  renameSync(pathOf(dataDir, `${DAY}.db`), pathOf(dataDir, `${DAY}.damaged`))
  writeFileSync(pathOf(dataDir, `${DAY}.db-wal`), 'the last events')

  await open(t, dataDir)

  t.equal(readFileSync(pathOf(dataDir, `${DAY}.damaged-wal`), 'utf8'), 'the last events')
})

t.test('a start that would put a damaged partition over another says so and changes nothing', async t => {
  const dataDir = fill(t)
  writeFileSync(pathOf(dataDir, `${DAY}.db`), 'x'.repeat(5000))
  writeFileSync(pathOf(dataDir, `${DAY}.damaged`), 'the first')

  await t.rejects(openTestEvents(dataDir), /is there already/)

  t.strictSame(filesOf(dataDir), [`${DAY}.damaged`, `${DAY}.db`, '2026-03-11.db'])
})

const IN_SEARCHES: readonly { readonly what: string, readonly damage: (path: string) => void }[] = [
  { what: 'a page of blocks', damage: path => spoilTable(path, 'block') },
  { what: 'an index of blocks', damage: path => spoilTable(path, 'block_max_time_us_idx') },
  { what: 'the dictionary', damage: path => spoilTable(path, 'dictionary') },
  { what: 'an entry of the dictionary', damage: path => change(path, 'DELETE FROM dictionary WHERE value = ?', 'host-0-7') },
  { what: 'a block\'s data', damage: path => change(path, 'UPDATE block SET data = ? WHERE first_id = 1', Buffer.alloc(1000, 7)) },
  { what: 'a block\'s columns', damage: path => change(path, 'UPDATE block SET columns = ? WHERE first_id = 1', Buffer.alloc(1000, 7)) },
  { what: 'the data of a block that is another\'s', damage: path => change(path, 'UPDATE block SET data = (SELECT data FROM block WHERE first_id = 1) WHERE first_id > 1') },
  { what: 'the columns of a block that are another\'s', damage: path => change(path, 'UPDATE block SET columns = (SELECT columns FROM block WHERE first_id = 1) WHERE first_id > 1') },
]

for (const { what, damage } of IN_SEARCHES) {
  t.test(`a search that meets damage of ${what} is unavailable; the next goes on without the partition and says so`, async t => {
    const dataDir = fill(t)
    damage(pathOf(dataDir, `${DAY}.db`))
    const { events, damages } = await open(t, dataDir)
    const text = '* | table host n'
    t.strictSame(damages, [], 'the start has not seen it')

    const [error] = await Promise.all([search(events, text).then(() => null, (error: unknown) => error as AppError), search(events, text).catch(() => {})])
    const { rows, warnings } = await search(events, text)
    await append(events, [{ event: 'more' }], ARRIVAL_MS + DAY_MS) // the writer has done by then what it was told

    t.match(error, { code: 'unavailable', message: /^the partition 2026-03-10 is damaged \(.+\) and is set aside; searches go on without it$/ })
    t.equal(rows.length, 300)
    t.strictSame(warnings, [WARNING])
    t.match(damages, [{ partition: DAY }])
    t.strictSame(filesOf(dataDir), [`${DAY}.damaged`, '2026-03-11.db'])
    t.match(events.partitions(), [{ name: DAY, state: 'damaged', events: 300, minTimeUs: (ARRIVAL_MS / 1000 - 299) * 1e6 }, { state: 'open' }])
    t.strictSame([0, 1000].map(ms => events.isDamaged({ earliestUs: (ARRIVAL_MS + ms) * 1000, latestUs: Number.MAX_SAFE_INTEGER })), [true, false])
    t.strictSame((await search(events, text, { window: { earliestUs: (ARRIVAL_MS + 1000) * 1000, latestUs: Number.MAX_SAFE_INTEGER } })).warnings, [], 'a window without its events')
  })
}

t.test('where a search finds the open partition damaged, events go on in a further file', async t => {
  const dataDir = fill(t)
  change(pathOf(dataDir, '2026-03-11.db'), 'UPDATE block SET data = ? WHERE first_id = 301', Buffer.alloc(1000, 7))
  const { events } = await open(t, dataDir)
  await append(events, [{ event: 'before' }], ARRIVAL_MS + DAY_MS)
  await t.rejects(search(events, '* | table n'), { code: 'unavailable' })

  await append(events, [{ event: 'after' }], ARRIVAL_MS + DAY_MS)

  t.strictSame(filesOf(dataDir), [`${DAY}.db`, '2026-03-11.2.db', '2026-03-11.damaged'])
  t.ok(existsSync(pathOf(dataDir, '2026-03-11.damaged-wal')), 'with the events before it')
  t.match(await countOf(events), { count: 301, warnings: { length: 1 } })
  t.strictSame((await listIds(events)).at(-1), [602, 'after'])
})

t.test('a commit that finds its partition damaged stores nothing; the next is in a further file', async t => {
  for (const table of ['dictionary_field_value_idx', 'block_min_time_us_idx', 'partition']) {
    const dataDir = fill(t)
    const { events, damages } = await open(t, dataDir)
    spoilTable(pathOf(dataDir, '2026-03-11.db'), table) // behind the start's back
    const request = () => requestOf([{ event: 'more', host: 'a new one' }], ARRIVAL_MS + DAY_MS)

    await t.rejects(events.append(request()), { code: 'unavailable', message: /^the partition 2026-03-11 is damaged/ }, table)
    t.match(damages, [{ partition: '2026-03-11' }])
    t.match(await events.append(request()), { stored: 1 })

    t.strictSame(filesOf(dataDir), [`${DAY}.db`, '2026-03-11.2.db', '2026-03-11.damaged'])
    t.match(await countOf(events), { count: 301, warnings: { length: 1 } })
  }
})

t.test('a merge of blocks that meets damage sets the partition aside', async t => {
  const dataDir = fill(t)
  change(pathOf(dataDir, '2026-03-11.db'), 'UPDATE block SET data = (SELECT data FROM block WHERE first_id = 301) WHERE first_id > 301')
  const { events, damages } = await open(t, dataDir)

  await append(events, [{ event: 'more' }], ARRIVAL_MS + DAY_MS)
  while (damages.length === 0) await new Promise(resolve => setImmediate(resolve))

  t.match(damages, [{ partition: '2026-03-11', reason: 'block 557 has 256 events, not 44' }])
  t.match(await countOf(events), { count: 300, warnings: { length: 1 } })
})

t.test('a partition of the day before that is damaged costs one commit, where re-sends are looked for in it', async t => {
  const dataDir = fill(t)
  spoilTable(pathOf(dataDir, `${DAY}.db`), 'resend_hash_idx')
  const events = await openTestEvents(dataDir, { resendWindowUs: DAY_MS * 1000 })
  t.teardown(() => events.close())

  await t.rejects(events.append(requestOf([{ event: 'more' }], ARRIVAL_MS + DAY_MS)), { code: 'unavailable', message: /2026-03-10/ })
  t.match(await events.append(requestOf([{ event: 'more' }], ARRIVAL_MS + DAY_MS)), { stored: 1 })

  t.strictSame(filesOf(dataDir), [`${DAY}.damaged`, '2026-03-11.db'])
})

t.test('finding events fails once as a search does', async t => {
  const dataDir = fill(t)
  spoilTable(pathOf(dataDir, `${DAY}.db`), 'block')
  const { events } = await open(t, dataDir)

  await t.rejects(listIds(events), { code: 'unavailable' })

  t.equal((await listIds(events)).length, 300)
})
