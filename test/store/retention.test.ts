import { existsSync, linkSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Test } from 'tap'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import type { EventStore } from '../../src/store/events.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, listIds, search } from '../fixtures/events.js'

const DAY_MS = 86_400_000
const NO_LIMIT = Number.MAX_SAFE_INTEGER

/** A day's events take more than that on the disk, and less than three times as much. */
const DAY_BYTES = 200_000

/** A store with an event, of some size, on each of some days from 2026-03-10 on: `day 0`, `day 1` and so on. */
async function openFilled (t: Test, days: number, retention: { ageMs?: number, bytes?: number }, dataDir = tempDir(t)) {
  const events = await openTestEvents(dataDir, { retention: { ageMs: NO_LIMIT, bytes: NO_LIMIT, ...retention } })
  t.teardown(() => events.close())
  for (let day = 0; day < days; day++) await appendDay(events, day)
  return { events, dataDir }
}

function appendDay (events: EventStore, day: number): Promise<void> {
  return append(events, [{ event: `day ${day}`, time: ARRIVAL_MS / 1000 + day, fields: { padding: paddingOf(day) } }], ARRIVAL_MS + day * DAY_MS)
}

/** Text that does not compress. */
function paddingOf (seed: number): string {
  const bytes = Buffer.alloc(DAY_BYTES)
  let state = seed + 1
  for (let i = 0; i < bytes.length; i++) {
    state = Math.imul(state, 0x5bd1e995) + 0x3c6ef372 | 0
    bytes[i] = state >>> 24
  }
  return bytes.toString('base64')
}

/** Waits for what happens by itself; the test's own time-out is the limit. */
async function until (holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(resolve => setImmediate(resolve))
}

const eventsOf = async (events: EventStore) => (await listIds(events)).map(([, event]) => event)
const filesOf = (dataDir: string) => readdirSync(join(dataDir, 'events')).sort()

t.test('a partition is dropped when its last event may have arrived too long ago', async t => {
  const { events, dataDir } = await openFilled(t, 3, { ageMs: 2 * DAY_MS })
  const dayEndMs = Date.parse('2026-03-11')

  t.strictSame(await events.retain(dayEndMs + 2 * DAY_MS, 'roomy'), [])
  const dropped = await events.retain(dayEndMs + 2 * DAY_MS + 1, 'roomy')

  const timeUs = ARRIVAL_MS * 1000
  t.match(dropped, [{ name: '2026-03-10', reason: 'age', events: 1, minTimeUs: timeUs, maxTimeUs: timeUs }])
  t.ok(dropped[0]!.bytes > DAY_BYTES)
  t.strictSame(await eventsOf(events), ['day 1', 'day 2'])
  t.match(events.stats(), { partitions: 2, events: 2 })
  t.strictSame(await events.retain(dayEndMs + 2 * DAY_MS + 1, 'roomy'), [])
  await until(() => filesOf(dataDir).every(file => !file.startsWith('2026-03-10'))) // nothing of it is on the disk
})

t.test('the partition that is open is dropped for its age as well, and a new one begins with the next events', async t => {
  const { events, dataDir } = await openFilled(t, 1, { ageMs: DAY_MS })

  t.match(await events.retain(ARRIVAL_MS + 3 * DAY_MS, 'roomy'), [{ name: '2026-03-10', reason: 'age' }])
  t.strictSame(await eventsOf(events), [])
  await appendDay(events, 3)

  t.strictSame(await eventsOf(events), ['day 3'])
  t.strictSame(filesOf(dataDir).filter(file => file.endsWith('.db')), ['2026-03-13.db'])
})

t.test('the oldest are dropped until all are small enough, but never the newest', async t => {
  const some = await openFilled(t, 5, { bytes: DAY_BYTES * 4 })
  const dropped = await some.events.retain(ARRIVAL_MS, 'roomy')
  const { bytesOnDisk } = some.events.stats()
  t.match(dropped, ['2026-03-10', '2026-03-11', '2026-03-12', '2026-03-13'].slice(0, dropped.length).map(name => ({ name, reason: 'size', events: 1 })))
  t.ok(bytesOnDisk <= DAY_BYTES * 4 && bytesOnDisk + dropped.at(-1)!.bytes > DAY_BYTES * 4, `${dropped.length} were dropped, as few as can be`)

  const none = await openFilled(t, 3, { bytes: 1 })
  t.strictSame((await none.events.retain(ARRIVAL_MS, 'roomy')).map(({ name, reason }) => [name, reason]), [['2026-03-10', 'size'], ['2026-03-11', 'size']])
  t.strictSame(await eventsOf(none.events), ['day 2'])
  await none.events.close()
  const again = await openFilled(t, 0, { bytes: 1 }, none.dataDir)
  t.strictSame(await again.events.retain(ARRIVAL_MS, 'roomy'), [], 'nor after a restart, where none is open yet')
})

t.test('no id is dealt twice, and no position falls, where all partitions were dropped', async t => {
  const { events, dataDir } = await openFilled(t, 3, { ageMs: DAY_MS })
  const position = events.position()
  t.equal(position, '3')
  t.equal((await events.retain(ARRIVAL_MS + 10 * DAY_MS, 'roomy')).length, 3)

  t.equal(events.position(), position)
  await events.close()
  const later = await openFilled(t, 0, {}, dataDir)
  t.equal(later.events.position(), position)
  await appendDay(later.events, 0)

  t.strictSame(await listIds(later.events), [[4, 'day 0']])
  t.ok(later.events.isAfter(later.events.position(), position))
})

t.test('searches during a drop give all rows or none, and those after it the rest', async t => {
  const { events } = await openFilled(t, 4, { ageMs: DAY_MS })
  const find = () => search(events, '* | table _time').then(({ rows }) => rows.length, (error: AppError) => error.code)

  const before = Array.from({ length: 8 }, find)
  const dropped = events.retain(ARRIVAL_MS + 3 * DAY_MS, 'roomy')
  const during = Array.from({ length: 8 }, find)
  t.equal((await dropped).length, 2)
  const after = await Promise.all(Array.from({ length: 8 }, find))

  for (const answer of await Promise.all(before)) t.ok(answer === 4 || answer === 'unavailable', String(answer))
  for (const answer of await Promise.all(during)) t.ok(answer === 4 || answer === 2 || answer === 'unavailable', String(answer))
  t.strictSame(after, Array.from(after, () => 2))
})

t.test('what was dropped and not yet removed is removed by the next look, and is no partition meanwhile', async t => {
  const dataDir = tempDir(t)
  await (await openFilled(t, 1, {}, dataDir)).events.close()
  for (const file of ['2026-03-01.dropped', '2026-03-01.dropped-wal', '2026-03-02.3.dropped', 'notes.dropped']) writeFileSync(join(dataDir, 'events', file), 'x')

  const { events } = await openFilled(t, 0, {}, dataDir)
  t.strictSame(await eventsOf(events), ['day 0'])
  t.strictSame(await events.retain(ARRIVAL_MS, 'roomy'), [])

  await until(() => filesOf(dataDir).filter(file => file.includes('dropped')).join() === 'notes.dropped')
})

t.test('a large file that was dropped is removed in pieces, a copy of it by hard link is left whole', async t => {
  const dataDir = tempDir(t)
  await (await openFilled(t, 1, {}, dataDir)).events.close()
  const path = (file: string) => join(dataDir, 'events', file)
  const bytes = 200 << 20
  for (const file of ['2026-03-01.dropped', '2026-03-02.dropped']) {
    writeFileSync(path(file), '')
    truncateSync(path(file), bytes)
  }
  linkSync(path('2026-03-02.dropped'), path('backup'))

  const { events } = await openFilled(t, 0, {}, dataDir)
  await events.retain(ARRIVAL_MS, 'roomy')
  await until(() => !existsSync(path('2026-03-01.dropped')) || statSync(path('2026-03-01.dropped')).size < bytes)
  await events.close() // in the middle of it
  const again = await openFilled(t, 0, {}, dataDir)
  await again.events.retain(ARRIVAL_MS, 'roomy')
  await until(() => !existsSync(path('2026-03-01.dropped')) && !existsSync(path('2026-03-02.dropped')))

  t.equal(statSync(path('backup')).size, bytes)
})

t.test('a search that is under way keeps the file of a dropped partition whole', async t => {
  const { events, dataDir } = await openFilled(t, 2, { ageMs: DAY_MS })
  const reader = new Database(join(dataDir, 'events', '2026-03-10.db'), { readonly: true })
  t.teardown(() => reader.close())
  const count = reader.prepare('SELECT count(*) FROM block').pluck()
  t.equal(count.get(), 1)

  t.match(await events.retain(ARRIVAL_MS + 2 * DAY_MS, 'roomy'), [{ name: '2026-03-10' }])
  await until(() => filesOf(dataDir).every(file => !file.startsWith('2026-03-10')))

  t.equal(count.get(), 1)
})

t.test('requests go on being known by their hash where the partition of the day before is dropped', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir, { retention: { ageMs: 1, bytes: NO_LIMIT }, resendWindowUs: DAY_MS * 1000 })
  t.teardown(() => events.close())
  const nightMs = Date.parse('2026-03-10T23:59:00Z')
  await append(events, [{ event: 'evening' }], nightMs)
  await append(events, [{ event: 'morning' }], nightMs + 2 * 60_000)
  await append(events, [{ event: 'evening' }], nightMs + 2 * 60_000)
  t.strictSame(await eventsOf(events), ['evening', 'morning'])

  t.match(await events.retain(nightMs + 2 * 60_000, 'roomy'), [{ name: '2026-03-10' }])
  await append(events, [{ event: 'morning' }], nightMs + 3 * 60_000)
  await append(events, [{ event: 'evening' }], nightMs + 3 * 60_000)

  t.strictSame(await eventsOf(events), ['morning', 'evening'], 'what is not there any more is stored again')
})

t.test('a store that keeps everything drops nothing', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  await appendDay(events, 0)

  t.strictSame(await events.retain(ARRIVAL_MS + 10_000 * DAY_MS, 'roomy'), [])
})

t.test('the newest partition goes where it alone is too large and the disk is full besides; its day goes on in a new one', async t => {
  const { events, dataDir } = await openFilled(t, 1, { bytes: 1 })
  const [first] = await listIds(events)

  t.strictSame(await events.retain(ARRIVAL_MS, 'roomy'), [])
  t.match(await events.retain(ARRIVAL_MS, 'full'), [{ name: '2026-03-10', reason: 'size', events: 1 }])
  await appendDay(events, 0)

  t.strictSame(await listIds(events), [[first![0] + 1, 'day 0']])
  t.strictSame(filesOf(dataDir).filter(file => file.endsWith('.db')), ['2026-03-10.2.db'])
})
