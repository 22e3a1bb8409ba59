import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import { openIdMark } from '../../src/store/sqlite/id-mark.js'
import { nameForAppend, WRITE_SCHEMA } from '../../src/store/sqlite/partition.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, listIds, search } from '../fixtures/events.js'
import { toFirstSchema } from '../fixtures/partitions.js'

const DAY_MS = 86_400_000

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

t.test('a day goes on in a further file where its newest has another schema, or may not be written again', async t => {
  const of = (name: string, schema = WRITE_SCHEMA) => ({ name, schema })
  for (const [partitions, taken, name] of [
    [[], [], '2026-03-10'],
    [[of('2026-03-09'), of('2026-03-09.3'), of('2026-03-11.5')], ['2026-03-09.4'], '2026-03-10'],
    [[of('2026-03-10')], [], '2026-03-10'],
    [[of('2026-03-10', WRITE_SCHEMA - 1)], [], '2026-03-10.2'],
    [[of('2026-03-10', WRITE_SCHEMA - 1), of('2026-03-10.2')], [], '2026-03-10.2'],
    [[of('2026-03-10'), of('2026-03-10.2', WRITE_SCHEMA - 1)], [], '2026-03-10.3'],
    [[of('2026-03-10.10'), of('2026-03-10.9', WRITE_SCHEMA - 1)], [], '2026-03-10.10'],
    [[], ['2026-03-10'], '2026-03-10.2'],
    [[of('2026-03-10.2', WRITE_SCHEMA - 1)], ['2026-03-10.11'], '2026-03-10.12'],
  ] as const) t.equal(nameForAppend('2026-03-10', partitions, taken), name, JSON.stringify([partitions, taken]))
})

/** Leaves a folder with partitions of these names, each of one event that is its name. */
async function fill (dataDir: string, names: readonly string[]): Promise<void> {
  const path = (file: string) => join(dataDir, 'events', file)
  for (const name of names) {
    const events = await openTestEvents(dataDir)
    await append(events, [{ event: name }], ARRIVAL_MS)
    await events.close()
    renameSync(path('2026-03-10.db'), path(`${name}.kept`))
  }
  for (const name of names) renameSync(path(`${name}.kept`), path(`${name}.db`))
}

t.test('several files of a day are searched, and the newest of them is gone on with', async t => {
  const dataDir = tempDir(t)
  await fill(dataDir, ['2026-03-10.10', '2026-03-10', '2026-03-10.9'])
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  await append(events, [{ event: 'new' }], ARRIVAL_MS)

  t.strictSame(await listIds(events), [[1, '2026-03-10.10'], [2, '2026-03-10'], [3, '2026-03-10.9'], [4, 'new']])
  t.match(events.stats(), { partitions: 3, events: 4 })
  const db = new Database(join(dataDir, 'events', '2026-03-10.10.db'), { readonly: true })
  t.teardown(() => db.close())
  t.equal(db.prepare('SELECT event_count FROM partition').pluck().get(), 2)
})

t.test('a file that an older version wrote is searched and never written: the day goes on in a further one', async t => {
  const dataDir = tempDir(t)
  await fill(dataDir, ['2026-03-10'])
  const path = join(dataDir, 'events', '2026-03-10.db')
  toFirstSchema(path)
  const before = readFileSync(path)

  for (const event of ['after the upgrade', 'after a restart']) {
    const events = await openTestEvents(dataDir, { resendWindowUs: DAY_MS * 1000 })
    await append(events, [{ event }], ARRIVAL_MS)
    await append(events, [{ event }], ARRIVAL_MS)
    await events.close()
  }
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  t.strictSame(daysOf(dataDir), ['2026-03-10.2.db', '2026-03-10.db'])
  t.strictSame(await listIds(events), [[1, '2026-03-10'], [2, 'after the upgrade'], [3, 'after a restart']])
  t.ok(readFileSync(path).equals(before))
})

t.test('what is no partition is left alone; what a stop in the middle of a rename or a beginning left is not', async t => {
  const dataDir = tempDir(t)
  await fill(dataDir, ['2026-03-10'])
  const dir = join(dataDir, 'events')
  for (const file of ['2026-03-11.db-wal', '2026-03-11.db-shm', '2026-03-12.2.db-wal', 'notes.db-wal', '2026-03-10.1.db', '2026-3-10.db', '2026-03-13.db']) writeFileSync(join(dir, file), '')

  const events = await openTestEvents(dataDir)
  t.strictSame(await listIds(events), [[1, '2026-03-10']])
  await events.close()

  t.strictSame(readdirSync(dir).filter(file => !/^2026-03-10\.db-/.test(file)).sort(), ['2026-03-10.1.db', '2026-03-10.db', '2026-3-10.db', 'notes.db-wal'])
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
  db.pragma(`user_version = ${WRITE_SCHEMA + 1}`)
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
