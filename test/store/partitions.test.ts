import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { ALL_TIME } from '../../src/event.js'
import { AppError } from '../../src/errors.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import { COLUMNS } from '../../src/fields/tables.js'
import type { EventStore, Position, SearchOptions } from '../../src/store/events.js'
import { openIdMark } from '../../src/store/sqlite/id-mark.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'

const DAY_MS = 86_400_000

/** Ids and events, in the order of storing. */
async function listIds (events: EventStore, position: Position = events.position()) {
  const predicate = { kind: 'all', span: { start: 0, end: 0 } } as const
  const found = await events.find({ predicate, window: ALL_TIME, position, order: 'id', limit: 10_000 })
  return found.map(({ event: { id, event } }) => [id, event] as const)
}

function search (events: EventStore, text: string, options: Partial<SearchOptions> = {}) {
  const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown: 'on' })
  return events.search(plan, { window: ALL_TIME, position: events.position(), timeZone: 'UTC', nowMs: 0, limit: 10_000, ...options })
}

const daysOf = (dataDir: string) => readdirSync(join(dataDir, 'events')).filter(name => name.endsWith('.db')).sort()

t.test('each day of arrival has its file; ids grow through all of them', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  await append(events, [{ event: 'a', time: 5 }], ARRIVAL_MS)
  await append(events, [{ event: 'b', time: 3 }, { event: 'c', time: 9 }], ARRIVAL_MS + DAY_MS)
  await append(events, [{ event: 'd', time: 4 }], ARRIVAL_MS + 3 * DAY_MS)

  t.strictSame(daysOf(dataDir), ['2026-03-10.db', '2026-03-11.db', '2026-03-13.db'])
  t.strictSame(await listIds(events), [[1, 'a'], [2, 'b'], [3, 'c'], [4, 'd']])
  t.match(events.stats(), { partitions: 3, events: 4 })
  t.ok(events.stats().bytesOnDisk > 0)
})

t.test('a clock that goes back does not open an older day again', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  await append(events, [{ event: 'a' }], ARRIVAL_MS)
  await append(events, [{ event: 'b' }], ARRIVAL_MS - DAY_MS)

  t.strictSame(daysOf(dataDir), ['2026-03-10.db'])
  t.strictSame(await listIds(events), [[1, 'a'], [2, 'b']])
})

t.test('a folder that is opened again has its events and goes on with their ids', async t => {
  const dataDir = tempDir(t)
  for (const [run, arrivalMs] of [ARRIVAL_MS, ARRIVAL_MS, ARRIVAL_MS + DAY_MS, ARRIVAL_MS + DAY_MS].entries()) {
    const events = await openTestEvents(dataDir)
    await append(events, [{ event: `run ${run}` }], arrivalMs)
    t.strictSame(await listIds(events), Array.from({ length: run + 1 }, (_, n) => [n + 1, `run ${n}`]))
    await events.close()
    for (const name of readdirSync(join(dataDir, 'events'))) if (name.endsWith('-wal')) t.equal(statSync(join(dataDir, 'events', name)).size, 0, 'nothing is left in a WAL')
  }
})

t.test('no id is dealt twice where the newest partition, or all of them, are gone', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  await append(events, [{ event: 'a' }, { event: 'b' }], ARRIVAL_MS)
  await append(events, [{ event: 'c' }, { event: 'd' }], ARRIVAL_MS + DAY_MS)
  await events.close()

  rmSync(join(dataDir, 'events', '2026-03-11.db'))
  const later = await openTestEvents(dataDir)
  await append(later, [{ event: 'e' }], ARRIVAL_MS + DAY_MS)
  t.strictSame(await listIds(later), [[1, 'a'], [2, 'b'], [5, 'e']])
  t.equal(later.position(), '5')
  await later.close()

  for (const day of daysOf(dataDir)) rmSync(join(dataDir, 'events', day))
  const last = await openTestEvents(dataDir)
  t.teardown(() => last.close())
  await append(last, [{ event: 'f' }], ARRIVAL_MS)
  t.strictSame(await listIds(last), [[6, 'f']])
})

t.test('ids go on from the partitions where the mark is gone', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  await append(events, [{ event: 'a' }, { event: 'b' }], ARRIVAL_MS)
  await events.close()

  rmSync(join(dataDir, 'event-id-mark'))
  const later = await openTestEvents(dataDir)
  t.teardown(() => later.close())
  await append(later, [{ event: 'c' }], ARRIVAL_MS)

  t.strictSame(await listIds(later), [[1, 'a'], [2, 'b'], [3, 'c']])
})

t.test('the mark is on disk before the ids below it are dealt, and is given back at the end', async t => {
  const dataDir = tempDir(t)
  const path = join(dataDir, 'event-id-mark')
  const read = () => Number(readFileSync(path, 'utf8'))
  const mark = openIdMark(join(dataDir, 'events'))
  t.equal(mark.value, 0)

  mark.reach(10)
  t.ok(read() >= 10)
  const reserved = read()
  mark.reach(reserved)
  t.equal(read(), reserved, 'nothing is written while ids are left')
  mark.reach(reserved + 1)
  t.ok(read() > reserved)
  t.equal(openIdMark(join(dataDir, 'events')).value, read(), 'after a crash the rest of a run is passed over')
  mark.close(12)
  t.equal(read(), 12)

  for (const text of ['', '\n', 'x', '1.5', '1e99']) {
    writeFileSync(path, text)
    t.throws(() => openIdMark(join(dataDir, 'events')), /does not hold a number/, JSON.stringify(text))
  }
})

t.test('a store that can\'t open says so, and does not leave a thread behind', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  await append(events, [{ event: 'a' }], ARRIVAL_MS)
  await events.close()
  const db = new Database(join(dataDir, 'events', '2026-03-10.db'))
  db.pragma('user_version = 3')
  db.close()

  await t.rejects(openTestEvents(dataDir), /newer version/)
})

t.test('what is searched up to a position stays the same, whatever comes in', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  await append(events, [{ event: 'a', host: 'x' }, { event: 'b', host: 'y' }], ARRIVAL_MS)
  const position = events.position()
  await append(events, [{ event: 'c', host: 'x' }], ARRIVAL_MS)
  await append(events, [{ event: 'd', host: 'z' }], ARRIVAL_MS + DAY_MS)

  t.strictSame(await listIds(events, position), [[1, 'a'], [2, 'b']])
  t.strictSame((await search(events, '* | stats count by host', { position })).rows.map(({ values }) => [...values.values()]), [['x', 1], ['y', 1]])
  t.equal((await search(events, '*', { position })).rows.length, 2)
  t.equal((await search(events, '*')).rows.length, 4)
  t.ok(events.isAfter(events.position(), position))
  t.notOk(events.isAfter(position, position))
})

t.test('rows beyond the limit are left out, and the result says so', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  await append(events, Array.from({ length: 10 }, (_, n) => ({ event: n, time: n, host: `h${n}` })), ARRIVAL_MS)

  t.match(await search(events, '* | table _time', { limit: 3 }), { truncated: true, scannedEvents: 10, rows: { length: 3 } })
  t.match(await search(events, '* | table _time', { limit: 10 }), { truncated: false, rows: { length: 10 } })
  t.match(await search(events, '* | stats count by host', { limit: 9 }), { truncated: true, rows: { length: 9 } })
  t.match(await search(events, 'host=nope', { limit: 1 }), { truncated: false, rows: { length: 0 } })
})

t.test('a search that is told to stop is unavailable, whether it waits or runs; others go on', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  await append(events, Array.from({ length: 100 }, (_, n) => ({ event: { n }, time: n })), ARRIVAL_MS)
  const stops = Array.from({ length: 6 }, () => new AbortController())

  const searches = stops.map(({ signal }) => search(events, '* | eval x=n | stats count', { signal }).then(({ rows }) => rows[0]?.values.get('count'), (error: AppError) => error.code))
  for (const n of [0, 1, 4]) stops[n]!.abort()
  const gone = new AbortController()
  gone.abort()

  t.strictSame(await Promise.all(searches), ['unavailable', 'unavailable', 100, 100, 'unavailable', 100])
  t.equal(await search(events, '*', { signal: gone.signal }).catch((error: AppError) => error.code), 'unavailable', 'one that was stopped before it began')
  t.equal((await search(events, '* | stats count')).rows[0]?.values.get('count'), 100)
})

t.test('a closed store takes and searches nothing more, and closing twice is no harm', async t => {
  const events = await openTestEvents(tempDir(t))
  const before = append(events, [{ event: 'a' }], ARRIVAL_MS)
  await events.close()
  await events.close()

  await before // what was accepted is committed
  t.ok(await append(events, [{ event: 'b' }], ARRIVAL_MS).catch(error => error instanceof AppError && error.code === 'unavailable'))
  t.ok(await search(events, '*').catch(error => error instanceof AppError && error.code === 'unavailable'))
})
