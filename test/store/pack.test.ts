import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, linkSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { openGenerator } from '../../bench/generator.js'
import { ALL_TIME } from '../../src/event.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { runBackup } from '../../src/store/backup.js'
import type { EventStore } from '../../src/store/events.js'
import { MAX_BLOCK_EVENTS } from '../../src/store/sqlite/block.js'
import type { Damage } from '../../src/store/sqlite/damage.js'
import { MAX_PACKED_BYTES, MAX_PACKED_EVENTS } from '../../src/store/sqlite/pack.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, bodyOf, listIds, openRandom, requestOf, search } from '../fixtures/events.js'
import { blockIdsOf, toFirstSchema } from '../fixtures/partitions.js'

const DAY_MS = 86_400_000
const DAY = '2026-03-10'
const NEXT_DAY_MS = ARRIVAL_MS + DAY_MS
const ROOMY = 1e12

const pack = (events: EventStore, options: Partial<Parameters<EventStore['pack']>[0]> = {}) => events.pack({ nowMs: NEXT_DAY_MS, spareBytes: ROOMY, ...options })

const filesOf = (dataDir: string) => readdirSync(join(dataDir, 'events')).filter(name => !/-(?:wal|shm)$/.test(name)).sort()

const blocksOf = (dataDir: string) => blockIdsOf(join(dataDir, 'events', `${DAY}.db`))

/** What users see of the events, in many ways. */
async function look (events: EventStore) {
  const texts = ['* | stats count dc(process) AS d values(process_name) AS p BY cluster_name pod_name', 'process="*-n 1*" | table _time process', 'process_name=b2 | bin _time span=100s | stats count BY _time', '* | stats count BY filled']
  const position = events.position()
  const predicate = { kind: 'all', span: { start: 0, end: 0 } } as const
  return {
    position,
    stats: { ...events.stats(), packedPartitions: 0, bytesOnDisk: 0 },
    byId: await events.find({ predicate, window: ALL_TIME, position, order: 'id', limit: 100_000 }),
    byTime: await events.find({ predicate, window: ALL_TIME, position, order: '-time', limit: 100_000 }),
    rows: await Promise.all(texts.map(async text => (await search(events, text)).rows.map(({ values }) => [...values]))),
    since: await events.since({ after: '3' as never, position, queries: [{ predicate, bordersUs: [0, 100e6, 200e6, 400e6], fields: ['process'] }] }),
  }
}

const exec = (n: number, extra: object = {}) => ({
  time: n % 7 === 0 ? n + 500 : n,
  sourcetype: 'cisco:isovalent',
  event: { process_exec: { process: { binary: `/bin/b${n % 5}`, arguments: `-n ${n}`, pod: { name: `p${n % 3}` } } }, cluster_name: n % 11 === 0 ? ['x', 'y'] : 'c', ...extra },
})

t.test('a packed partition gives the same events and the same rows, however they came', async t => {
  const sizes = fc.array(fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.integer({ min: 100, max: 700 })), { minLength: 1, maxLength: 12 })
  await fc.assert(fc.asyncProperty(sizes, fc.boolean(), fc.boolean(), async (sizes, isOld, isReopened) => {
    const dataDir = tempDir(t)
    let events = await openTestEvents(dataDir)
    let n = 0
    for (const size of sizes) {
      const envelopes = Array.from({ length: size }, () => exec(n++))
      if (size % 5 === 0) await events.append({ ...requestOf([], ARRIVAL_MS), format: 'lines', body: bodyOf(envelopes.map(one => JSON.stringify(one.event)).join('\n')) })
      else if (size % 7 === 0) await events.append({ ...requestOf(envelopes, ARRIVAL_MS), fill: { filled: 'by the configuration' } })
      else await append(events, envelopes, ARRIVAL_MS)
    }
    if (isOld || isReopened) {
      await events.close()
      if (isOld) toFirstSchema(join(dataDir, 'events', `${DAY}.db`))
      events = await openTestEvents(dataDir)
    }
    await append(events, [exec(n++)], NEXT_DAY_MS)
    const before = await look(events)

    t.match(await pack(events), { name: DAY, events: n - 1 })

    t.strictSame(await look(events), before)
    t.equal(events.stats().packedPartitions, 1)
    t.match(events.partitions(), [{ name: DAY, packed: true, schema: 3, state: 'ok' }, { packed: false, state: 'open' }])
    const counts = blocksOf(dataDir).map(([first, last]) => last - first + 1)
    t.ok(counts.every(count => count <= MAX_PACKED_EVENTS))
    t.equal(counts.length, 1 + counts.slice(0, -1).filter((count, i) => count + counts[i + 1]! > MAX_PACKED_EVENTS - MAX_BLOCK_EVENTS).length, 'none could be larger')
    t.equal(await pack(events), null, 'there is nothing more')
    await events.close()
    const again = await openTestEvents(dataDir)
    t.strictSame(await look(again), before)
    t.equal(again.stats().packedPartitions, 1)
    await again.close()
  }), { numRuns: 12 })
})

t.test('it takes three quarters of the space, in blocks that are bounded in bytes too, and leaves no other file', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  const generator = openGenerator({ seed: 1, startUs: 0, stepUs: 1_000 })
  while (generator.events < 4_000) await events.append({ ...requestOf([], ARRIVAL_MS), body: generator.body(200) })
  for (let n = 0; n < 12; n++) await append(events, [{ event: 'x'.repeat(MAX_PACKED_BYTES * 0.3) }], ARRIVAL_MS)
  await append(events, [exec(1)], NEXT_DAY_MS)
  const before = events.partitions()[0]!.bytes

  const packed = await pack(events)

  t.ok(packed!.bytes < packed!.bytesBefore * 0.8, JSON.stringify(packed))
  t.equal(packed!.bytesBefore, before)
  t.equal(events.partitions()[0]!.bytes, packed!.bytes)
  t.strictSame(blocksOf(dataDir).slice(-4).map(([first, last]) => last - first + 1), [3, 3, 3, 3])
  await events.close() // which waits for the removal
  t.strictSame(filesOf(dataDir).filter(name => !name.endsWith('.unpacked')), [`${DAY}.db`, '2026-03-11.db'])
  t.equal(statSync(join(dataDir, 'events', `${DAY}.db`)).mode & 0o077, 0, 'nobody else can read it')
})

t.test('what is left alone: a day that is not over, what there is no room for, what other field tables wrote', async t => {
  const dataDir = tempDir(t)
  const first = await openTestEvents(dataDir)
  await append(first, [exec(1)], ARRIVAL_MS)
  const { bytes } = first.partitions()[0]!
  t.equal(await pack(first, { nowMs: ARRIVAL_MS }), null)
  t.equal(await pack(first, { spareBytes: bytes - 1 }), null)
  await first.close()

  const other = await openTestEvents(dataDir, { fieldTables: { ...BUILT_IN_TABLES, timeZone: 'Europe/Berlin' } })
  t.equal(await pack(other), null)
  await other.close()

  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  t.match(await pack(events), { name: DAY, events: 1 }, 'the last one that was written too, when its day is over')
  t.strictSame(filesOf(dataDir).filter(name => !name.endsWith('.unpacked')), [`${DAY}.db`])
})

t.test('the newest is packed first', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  for (let day = 0; day < 4; day++) await append(events, [exec(day)], ARRIVAL_MS + day * DAY_MS)

  const names: (string | undefined)[] = []
  for (let i = 0; i < 4; i++) names.push((await pack(events, { nowMs: ARRIVAL_MS + 3 * DAY_MS }))?.name)

  t.strictSame(names, ['2026-03-12', '2026-03-11', '2026-03-10', undefined])
})

t.test('a request that is sent again is known, as long as it was to be', async t => {
  const midnightMs = Date.parse('2026-03-11T00:00:00Z')
  const options = { resendWindowUs: 3_600e6 }
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir, options)
  t.teardown(() => events.close())
  await append(events, [{ event: 'old' }], midnightMs - 2 * 3_600_000)
  await append(events, [{ event: 'before midnight' }], midnightMs - 60_000)
  await append(events, [{ event: 'after midnight' }], midnightMs + 60_000)

  t.ok(await pack(events, { nowMs: midnightMs + 120_000 }))

  t.match(await events.append(requestOf([{ event: 'before midnight' }], midnightMs + 180_000)), { resent: true })
  t.match(await events.append(requestOf([{ event: 'old' }], midnightMs + 180_000)), { resent: false })
  t.strictSame((await listIds(events)).map(([, event]) => event), ['old', 'before midnight', 'after midnight', 'old'])
})

t.test('events that come for a day that was packed, by a clock that went back, are kept, and packed later', async t => {
  const dataDir = tempDir(t)
  const first = await openTestEvents(dataDir)
  await append(first, [exec(1), exec(2)], ARRIVAL_MS)
  t.ok(await pack(first))
  await append(first, [exec(3)], ARRIVAL_MS)
  t.match(first.partitions(), [{ name: DAY, packed: false, events: 3 }])
  await first.close()

  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  for (let n = 4; n < 4 + MAX_BLOCK_EVENTS; n++) await append(events, [exec(n)], ARRIVAL_MS)
  const before = await look(events)
  t.match(await pack(events), { name: DAY, events: 3 + MAX_BLOCK_EVENTS })
  t.strictSame(await look(events), before)
  t.equal(blocksOf(dataDir).length, 1)
})

t.test('nothing is lost of what comes for the partition while it is packed', async t => {
  for (let round = 0; round < 5; round++) {
    const dataDir = tempDir(t)
    const events = await openTestEvents(dataDir)
    await Promise.all(Array.from({ length: 501 }, (_, n) => append(events, [exec(n)], ARRIVAL_MS)))
    const progress = { isDone: false }
    const packing = pack(events).finally(() => { progress.isDone = true })
    let sent = 501
    while (!progress.isDone && sent < 5_000) {
      await append(events, [exec(sent++)], ARRIVAL_MS)
      await setTimeout(round)
    }
    await packing
    t.equal((await search(events, '* | stats dc(process) AS d count')).rows[0]!.values.get('count'), sent)
    t.equal((await listIds(events)).length, sent)
    t.strictSame(filesOf(dataDir).filter(name => !name.endsWith('.unpacked')), [`${DAY}.db`])
    await events.close()
  }
})

t.test('searches go on beside it', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  for (let day = 0; day < 3; day++) await append(events, Array.from({ length: 2_000 }, (_, n) => exec(n)), ARRIVAL_MS + day * DAY_MS)
  const progress = { isDone: false }
  const packing = (async () => {
    while (await pack(events, { nowMs: ARRIVAL_MS + 3 * DAY_MS }) !== null);
    progress.isDone = true
  })()

  let searches = 0
  while (!progress.isDone) {
    const [counted, found] = await Promise.all([search(events, '* | stats count'), search(events, 'process="*-n 19*" | eval x=process | stats count')])
    t.equal(counted.rows[0]!.values.get('count'), 6_000)
    t.equal(found.rows[0]!.values.get('count'), 3 * 111)
    searches++
    await setTimeout(1)
  }
  await packing
  t.equal(events.stats().packedPartitions, 3)
  t.ok(searches > 0)
})

for (const mode of ['WAL', 'DELETE']) {
  t.test(`a partition that somebody else has open keeps its place until they let go: ${mode}`, async t => {
    const dataDir = tempDir(t)
    const events = await openTestEvents(dataDir)
    t.teardown(() => events.close())
    await append(events, [exec(1)], ARRIVAL_MS)
    await append(events, [exec(2)], NEXT_DAY_MS)
    const own = new Database(join(dataDir, 'events', `${DAY}.db`))
    own.pragma(`journal_mode = ${mode}`) // DELETE is what a try leaves that ended between its steps
    own.close()
    const other = new Database(join(dataDir, 'events', `${DAY}.db`), { readonly: true })
    other.exec('BEGIN')
    t.equal(other.prepare('SELECT count(*) FROM block').pluck().get(), 1)

    const packing = pack(events)
    while (!filesOf(dataDir).includes(`${DAY}.packing`)) await setTimeout(1)
    await setTimeout(300)
    t.equal(events.stats().packedPartitions, 0)
    t.equal((await listIds(events)).length, 2)
    t.equal(other.prepare('SELECT count(*) FROM block').pluck().get(), 1)
    other.close()

    t.match(await packing, { name: DAY })
    t.equal(events.stats().packedPartitions, 1)
    t.equal((await listIds(events)).length, 2)
  })
}

t.test('there is one at a time', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  for (let day = 0; day < 2; day++) await append(events, [exec(day)], ARRIVAL_MS + day * DAY_MS)
  const options = { nowMs: ARRIVAL_MS + 2 * DAY_MS }

  const [first, second] = await Promise.all([pack(events, options), pack(events, options)])

  t.match(first, { name: '2026-03-11' })
  t.equal(second, null)
  t.match(await pack(events, options), { name: DAY })
})

t.test('a packed partition that is dropped stays whole for who reads it', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir, { retention: { ageMs: 0, bytes: 1e12 } })
  t.teardown(() => events.close())
  for (let n = 0; n < 24; n++) await append(events, [{ event: randomBytes(3_700_000).toString('base64') }], ARRIVAL_MS) // so large that its file is removed a piece at a time
  await append(events, [exec(1)], NEXT_DAY_MS)
  t.match(await pack(events), { name: DAY })
  const other = new Database(join(dataDir, 'events', `${DAY}.db`), { readonly: true })
  const hash = () => createHash('sha256').update(Buffer.concat(other.prepare<[], Buffer>('SELECT data FROM block ORDER BY first_id').pluck().all())).digest('hex')
  const before = hash()

  t.match(await events.retain(NEXT_DAY_MS, 'roomy'), [{ name: DAY }])
  while (filesOf(dataDir).some(name => /\.(?:dropped|unpacked)$/.test(name))) {
    await events.retain(NEXT_DAY_MS, 'roomy') // what comes while files are removed is removed the next time
    await setTimeout(5)
  }

  t.equal(hash(), before)
  t.equal(other.pragma('integrity_check', { simple: true }), 'ok')
  other.close()
})

t.test('it ends at once when it is told to, or the store is closed, and leaves nothing', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  await append(events, Array.from({ length: 20_000 }, (_, n) => exec(n)), ARRIVAL_MS)
  const gone = new AbortController()
  gone.abort()
  t.equal(await pack(events, { signal: gone.signal }), null)

  const stop = new AbortController()
  const stopped = pack(events, { signal: stop.signal })
  while (!filesOf(dataDir).includes(`${DAY}.packing`)) await setTimeout(1)
  stop.abort()
  t.equal(await stopped, null)
  t.strictSame(filesOf(dataDir), [`${DAY}.db`])

  const closed = pack(events)
  while (!filesOf(dataDir).includes(`${DAY}.packing`)) await setTimeout(1)
  await events.close()
  t.equal(await closed, null)
  t.strictSame(filesOf(dataDir), [`${DAY}.db`])
  const again = await openTestEvents(dataDir)
  t.teardown(() => again.close())
  t.equal(again.stats().events, 20_000)
})

t.test('what a crash has left is removed: a copy that was not finished, a second name of a partition', async t => {
  const dataDir = tempDir(t)
  const first = await openTestEvents(dataDir, { retention: { ageMs: 1e12, bytes: 1e12 } })
  await append(first, [exec(1)], ARRIVAL_MS)
  await first.close()
  const path = (name: string) => join(dataDir, 'events', name)
  writeFileSync(path(`${DAY}.packing`), 'half')
  linkSync(path(`${DAY}.db`), path(`${DAY}.unpacked`))

  const events = await openTestEvents(dataDir, { retention: { ageMs: 1e12, bytes: 1e12 } })
  t.teardown(() => events.close())
  t.strictSame(filesOf(dataDir), [`${DAY}.db`, `${DAY}.unpacked`])
  await events.retain(ARRIVAL_MS, 'roomy')
  while (filesOf(dataDir).length > 1) await setTimeout(5)

  t.equal((await listIds(events)).length, 1)
  t.ok(await pack(events))
  t.equal((await listIds(events)).length, 1)
})

t.test('a process that is killed while it packs has lost nothing, at whatever moment', async t => {
  const random = openRandom(1)
  const original = tempDir(t)
  const first = await openTestEvents(original)
  for (let day = 0; day < 2; day++) await append(first, Array.from({ length: 3_000 }, (_, n) => exec(n)), ARRIVAL_MS + day * DAY_MS)
  const before = await look(first)
  await first.close()

  let finished = 0
  for (let round = 0; round < 15; round++) {
    const dataDir = join(tempDir(t), 'data')
    cpSync(original, dataDir, { recursive: true })
    const child = spawn(process.execPath, [fileURLToPath(new URL('../fixtures/pack-process.js', import.meta.url)), dataDir, String(ARRIVAL_MS + 2 * DAY_MS)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    await once(child.stdout, 'data')
    await Promise.race([exited, setTimeout(random() * 1_000)])
    child.kill('SIGKILL')
    await exited

    const events = await openTestEvents(dataDir)
    const { stats, ...rest } = await look(events)
    t.strictSame({ ...rest, stats: { ...stats, packedPartitions: 0, bytesOnDisk: 0 } }, before)
    if (events.stats().packedPartitions > 0) finished++
    t.notOk(filesOf(dataDir).some(name => name.endsWith('.packing')))
    await events.close()
  }
  t.comment(`${finished} of 15 had packed something`)
})

t.test('a partition that is found damaged is set aside, and the others are packed', async t => {
  const dataDir = tempDir(t)
  const damages: Damage[] = []
  const report = { damaged: (damage: Damage) => { damages.push(damage) }, notMerged: () => {}, notRemoved: () => {} }
  const events = await openTestEvents(dataDir, { report })
  t.teardown(() => events.close())
  for (let day = 0; day < 2; day++) await append(events, [exec(day)], ARRIVAL_MS + day * DAY_MS)
  const db = new Database(join(dataDir, 'events', '2026-03-11.db'))
  db.prepare('UPDATE block SET data = zeroblob(100)').run()
  db.close()

  await t.rejects(pack(events, { nowMs: ARRIVAL_MS + 2 * DAY_MS }), /2026-03-11 is damaged/)
  t.match(await pack(events, { nowMs: ARRIVAL_MS + 2 * DAY_MS }), { name: DAY })

  t.match(damages, [{ partition: '2026-03-11' }])
  t.match(events.partitions(), [{ name: DAY, packed: true }, { name: '2026-03-11', state: 'damaged' }])
  t.equal((await listIds(events)).length, 1)
})

t.test('a partition that does not hold as many events as it says is left as it is, and can be searched', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  await append(events, [exec(1)], ARRIVAL_MS)
  const db = new Database(join(dataDir, 'events', `${DAY}.db`))
  db.prepare('UPDATE partition SET event_count = 2').run()
  db.close()

  await t.rejects(pack(events), /2026-03-10 holds 1 events, not 2/)

  t.strictSame(filesOf(dataDir), [`${DAY}.db`])
  t.equal((await listIds(events)).length, 1)
})

t.test('what could not be packed is left as it is, and not tried again for an hour', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  await append(events, [exec(1)], ARRIVAL_MS)
  const db = new Database(join(dataDir, 'events', `${DAY}.db`))
  db.exec('ALTER TABLE dictionary ADD COLUMN unknown INTEGER') // as no version of Hecate has it
  db.close()

  await t.rejects(pack(events), /unknown/)

  t.equal(await pack(events, { nowMs: NEXT_DAY_MS + 3_599_000 }), null)
  await t.rejects(pack(events, { nowMs: NEXT_DAY_MS + 3_700_000 }), /unknown/)
  t.strictSame(filesOf(dataDir), [`${DAY}.db`])
  t.equal((await listIds(events)).length, 1)
})

t.test('a backup has packed partitions as they are', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  await append(events, [exec(1), exec(2)], ARRIVAL_MS)
  t.ok(await pack(events))
  new Database(join(dataDir, 'control.db')).close()
  const targetDir = join(tempDir(t), 'copy')

  const { event_count: count } = await runBackup({ dataDir, targetDir, version: '0', now: () => 0, signal: new AbortController().signal, onProgress: () => {} })

  t.equal(count, 2)
  await events.close()
  const copy = await openTestEvents(targetDir)
  t.teardown(() => copy.close())
  t.strictSame((await listIds(copy)).map(([id]) => id), [1, 2])
  t.equal(copy.stats().packedPartitions, 1)
})
