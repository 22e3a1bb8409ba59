import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { pino } from 'pino'
import { loadConfig, TokenSettings } from '../../src/config.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import type { Finding } from '../../src/finding.js'
import { openServer } from '../../src/server.js'
import type { BackupOptions } from '../../src/store/backup.js'
import { runBackup, verifyBackup } from '../../src/store/backup.js'
import { openInlineEvents } from '../../src/store/sqlite/inline.js'
import { ARRIVAL_MS, bearer, KEY, openTestEvents, storedEvents, tempDir, testApp, TOKEN } from '../fixtures/app.js'
import { handClock } from '../../bench/hand-clock.js'
import { append, bodyOf, requestOf } from '../fixtures/events.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'

const DAY_MS = 86_400_000

/** A backup of `dataDir` into a folder of its own; gives that. */
async function backUp (t: Test, dataDir: string, options: Partial<BackupOptions> = {}) {
  const targetDir = join(tempDir(t), 'backup')
  const manifest = await runBackup({ dataDir, targetDir, version: '0.0.0', now: () => ARRIVAL_MS, signal: new AbortController().signal, onProgress: () => {}, ...options })
  return { manifest, targetDir: options.targetDir ?? targetDir }
}

/** A data folder with two days of an event each, whose server has ended. */
async function twoDays (t: Test): Promise<string> {
  const { dataDir, events, close } = await testApp(t)
  await append(events, [{ event: 'a' }], ARRIVAL_MS)
  await append(events, [{ event: 'b' }], ARRIVAL_MS + DAY_MS)
  await close()
  return dataDir
}

function serverOf (dataDir: string, start: string) {
  const config = loadConfig({ env: {}, flags: { 'data.dir': dataDir, 'listen.port': '0', 'data.durability': 'normal' }, cwd: '/' })
  const token = { ...TokenSettings.parse({ name: 'test' }), token: TOKEN }
  const own = { ...config, hec: { ...config.hec, tokens: [token] }, api: { keys: [{ name: 'test', key: KEY, role: 'admin' as const }] } }
  return openServer(own, { clock: handClock(start), log: pino({ level: 'silent' }), version: '0' })
}

t.test('a backup is a data folder: a store that opens on it has the events, and goes on with ids far above them', async t => {
  const dataDir = await twoDays(t)

  const { manifest, targetDir } = await backUp(t, dataDir)

  t.strictSame(readdirSync(targetDir).sort(), ['backup.json', 'control.db', 'event-id-mark', 'events'])
  t.match(manifest, { format: 1, hecate_version: '0.0.0', event_count: 2, position: '2', started_at: '2026-03-10T12:01:00.000Z' })
  t.strictSame(manifest.files.map(({ path }) => path), ['control.db', 'events/2026-03-10.db', 'events/2026-03-11.db', 'event-id-mark'])
  t.strictSame(JSON.parse(readFileSync(join(targetDir, 'backup.json'), 'utf8')), manifest)
  const restored = await testApp(t, { dataDir: targetDir })
  await append(restored.events, [{ event: 'c' }], ARRIVAL_MS + DAY_MS)
  const ids = (await storedEvents(restored)).map(({ id, event }) => [event, id])
  t.match(ids, [['a', 1], ['b', 2], ['c', Number]])
  t.ok(Number(ids[2]![1]) > 2 ** 40, 'the source may have dealt the ids behind the last one since')
})

t.test('only the owner can read a backup, also in a folder that others can enter', async t => {
  const dataDir = await twoDays(t)
  const open = join(tempDir(t), 'open')
  mkdirSync(open, { mode: 0o755 })

  const { targetDir } = await backUp(t, dataDir)
  await backUp(t, dataDir, { targetDir: open })

  t.equal(statSync(targetDir).mode & 0o777, 0o700)
  for (const dir of [targetDir, open]) {
    t.equal(statSync(join(dir, 'events')).mode & 0o777, 0o700)
    for (const name of ['control.db', 'event-id-mark', 'backup.json', 'events/2026-03-10.db']) t.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name)
  }
})

t.test('what a server commits while the backup runs does not stop it, and is not in the files that are copied already', async t => {
  const { dataDir, events, close } = await testApp(t)
  await append(events, [{ event: 'before' }], ARRIVAL_MS)
  await close()
  const writer = openInlineEvents({ dataDir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 1 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
  t.teardown(() => writer.close())
  const appends: Promise<unknown>[] = []

  // The first look at a partition is before it is opened, the others come with pages of it.
  const looks = new Map<string, number>()
  const { manifest, targetDir } = await backUp(t, dataDir, {
    onProgress ({ file }) {
      looks.set(file, (looks.get(file) ?? 0) + 1)
      if (file.startsWith('events/')) appends.push(writer.append(requestOf([{ event: looks.get(file) === 1 ? 'between' : 'during' }], ARRIVAL_MS)))
    },
  })
  await Promise.all(appends)

  t.ok(appends.length > 1)
  t.equal(manifest.event_count, 2)
  t.strictSame((await storedEvents(await testApp(t, { dataDir: targetDir }))).map(({ event }) => event), ['before', 'between'])
})

t.test('an event that comes between the copies of control.db and of its partition is not lost to the detection whose slot is owed', async t => {
  const dataDir = tempDir(t)
  const [first, second] = GOLDEN.find(({ id }) => id === 'G45')!.events
  const server = await serverOf(dataDir, '2026-03-10T11:20:00Z')
  const { url } = await server.start()
  const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body: toEnvelope(first!) })
  t.equal(res.status, 200)
  await server.close()
  const writer = openInlineEvents({ dataDir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 1 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
  let appended: Promise<unknown> | null = null
  const { targetDir } = await backUp(t, dataDir, {
    onProgress ({ file }) {
      if (file.startsWith('events/')) appended ??= writer.append({ ...requestOf([], Date.parse('2026-03-10T11:21:00Z')), body: bodyOf(toEnvelope(second!)) })
    },
  })
  await appended
  await writer.close()

  const restored = await serverOf(targetDir, '2026-03-10T12:40:00Z')
  t.teardown(() => restored.close())
  await restored.start()
  const ask = async () => (await restored.app.inject({ url: '/api/v1/findings', headers: bearer })).json() as { items: Finding[] }
  let found = await ask()
  while (found.items.length === 0) { // the test's own time-out is the limit
    await new Promise(resolve => setImmediate(resolve))
    found = await ask()
  }

  t.match(found.items, [{ detection: { id: LITERAL }, result: { total_events: 2 } }])
})

t.test('findings, runs and settings are in a backup as they were when it began', async t => {
  const source = await testApp(t)
  const example = GOLDEN.find(({ id }) => id === 'G45')!
  const ask = async ({ app }: typeof source, method: 'GET' | 'POST' | 'PATCH', path: string, payload?: object) => {
    return (await app.inject({ method, url: `/api/v1/${path}`, headers: bearer, ...payload === undefined ? {} : { payload } })).json() as { items: unknown[] }
  }
  await source.app.inject({ method: 'POST', url: '/services/collector/event', headers: { authorization: `Splunk ${TOKEN}` }, payload: example.events.map(event => toEnvelope(event)).join('') })
  await ask(source, 'POST', `detections/${LITERAL}/runs`, { scheduled_time: example.runs[0]!.scheduled_time })
  await ask(source, 'PATCH', 'detections/hecate___nsenter_in_a_pod', { enabled: false })
  await ask(source, 'POST', 'tokens', { name: 'added' })
  const { targetDir } = await backUp(t, source.dataDir)
  await ask(source, 'POST', 'tokens', { name: 'later' })

  const restored = await testApp(t, { dataDir: targetDir })

  for (const path of ['findings', `detections/${LITERAL}/runs`, 'detections', 'tokens/added']) {
    const before = await ask(source, 'GET', path)
    t.strictSame(await ask(restored, 'GET', path), before, path)
  }
  t.equal((await ask(source, 'GET', 'findings')).items.length, 1)
  t.match(await ask(restored, 'GET', 'tokens/later'), { status: 404 })
})

t.test('a partition that retention removes while the backup runs is left out', async t => {
  const dataDir = await twoDays(t)

  const { manifest, targetDir } = await backUp(t, dataDir, {
    onProgress ({ file }) { if (file === 'events/2026-03-10.db') rmSync(join(dataDir, file), { force: true }) },
  })

  t.strictSame(manifest.files.map(({ path }) => path), ['control.db', 'events/2026-03-11.db', 'event-id-mark'])
  t.strictSame((await storedEvents(await testApp(t, { dataDir: targetDir }))).map(({ event }) => event), ['b'])
  t.strictSame((await verifyBackup(targetDir, { signal: new AbortController().signal, onProgress: () => {} })).faults, [])
})

t.test('a partition that is only just made, and one that is new since the backup began, are in it', async t => {
  const dataDir = await twoDays(t)
  writeFileSync(join(dataDir, 'events', '2026-03-12.db'), '')

  const { manifest, targetDir } = await backUp(t, dataDir, {
    onProgress ({ file }) { if (file === 'control.db') writeFileSync(join(dataDir, 'events', '2026-03-13.db'), '') },
  })

  t.strictSame(manifest.files.map(({ path }) => path).slice(1, -1), ['10', '11', '12', '13'].map(day => `events/2026-03-${day}.db`))
  t.match(manifest, { event_count: 2, position: '2' })
  const restored = await testApp(t, { dataDir: targetDir })
  t.strictSame((await storedEvents(restored)).map(({ event }) => event), ['a', 'b'])
})

t.test('a WAL that a crash left is copied, and still there', async t => {
  const dataDir = tempDir(t)
  const events = await openTestEvents(dataDir)
  const { control } = await testApp(t, { dataDir, events })
  control.pragma('wal_checkpoint(TRUNCATE)')
  await append(events, [{ event: 'a' }], ARRIVAL_MS)
  const crashed = tempDir(t)
  mkdirSync(join(crashed, 'events'))
  for (const name of ['control.db', 'event-id-mark', 'events/2026-03-10.db', 'events/2026-03-10.db-wal']) writeFileSync(join(crashed, name), readFileSync(join(dataDir, name)))
  const before = readFileSync(join(crashed, 'events/2026-03-10.db'))

  const { manifest, targetDir } = await backUp(t, crashed)

  t.equal(manifest.event_count, 1)
  t.strictSame(readFileSync(join(crashed, 'events/2026-03-10.db')), before)
  t.ok(statSync(join(crashed, 'events/2026-03-10.db-wal')).size > 0)
  t.strictSame((await storedEvents(await testApp(t, { dataDir: targetDir }))).map(({ event }) => event), ['a'])
})

t.test('a backup that fails says of which file, and leaves nothing behind', async t => {
  const dataDir = await twoDays(t)
  writeFileSync(join(dataDir, 'events', '2026-03-11.db'), 'x'.repeat(10_000))
  const parent = tempDir(t)
  const empty = join(parent, 'empty')
  mkdirSync(empty)

  await t.rejects(backUp(t, dataDir, { targetDir: join(parent, 'missing') }), { code: 'unavailable', message: 'events/2026-03-11.db can not be copied: file is not a database' })
  await t.rejects(backUp(t, dataDir, { targetDir: empty }), { code: 'unavailable' })

  t.strictSame(readdirSync(parent), ['empty'])
  t.strictSame(readdirSync(empty), [])
})

t.test('where there is not enough space, nothing is begun', async t => {
  const dataDir = await twoDays(t)
  const parent = tempDir(t)
  const { bavail, bsize } = statfsSync(parent)
  truncateSync(join(dataDir, 'events', '2026-03-10.db'), bavail * bsize + (1 << 30)) // a hole, which takes no space

  await t.rejects(backUp(t, dataDir, { targetDir: join(parent, 'backup') }), { code: 'unavailable', message: /^there is not enough space for the backup: [\d,]+ MB are needed, [\d,]+ MB are free$/ })

  t.strictSame(readdirSync(parent), [])
})

t.test('a stopped backup leaves nothing behind, wherever it was', async t => {
  const dataDir = await twoDays(t)
  const parent = tempDir(t)
  for (const where of ['control.db', 'events/2026-03-10.db', 'events/2026-03-11.db']) {
    for (const look of [1, 2]) {
      const stop = new AbortController()
      let looks = 0
      await t.rejects(backUp(t, dataDir, {
        targetDir: join(parent, 'backup'),
        signal: stop.signal,
        onProgress ({ file }) { if (file === where && ++looks === look) stop.abort() },
      }), { name: 'AbortError' }, `${where}, look ${look}`)
      t.strictSame(readdirSync(parent), [])
    }
  }
})

t.test('a target that holds something, or can not be made, is left as it is', async t => {
  const dataDir = await twoDays(t)
  const parent = tempDir(t)
  const shut = process.getuid?.() === 0 ? '/proc' : join(parent, 'shut')
  writeFileSync(join(parent, 'file'), 'x')
  mkdirSync(join(parent, 'full', 'unfinished'), { recursive: true })
  mkdirSync(join(parent, 'shut'))
  chmodSync(join(parent, 'shut'), 0o500)

  await t.rejects(backUp(t, dataDir, { targetDir: parent }), { code: 'invalid', message: /is not empty$/ })
  await t.rejects(backUp(t, dataDir, { targetDir: join(parent, 'full') }), { code: 'invalid', message: /holds a backup that is not finished/ })
  await t.rejects(backUp(t, dataDir, { targetDir: join(parent, 'file') }), { code: 'invalid', message: /is no folder$/ })
  await t.rejects(backUp(t, dataDir, { targetDir: join(shut, 'backup') }), { code: 'unavailable' })

  t.strictSame(readdirSync(parent).sort(), ['file', 'full', 'shut'])
  t.ok(existsSync(join(parent, 'full', 'unfinished')))
})

t.test('a backup is seen to be whole, or what of it is not as it was written', async t => {
  const { targetDir } = await backUp(t, await twoDays(t))
  const verify = async () => (await verifyBackup(targetDir, { signal: new AbortController().signal, onProgress: () => {} })).faults
  t.strictSame(await verify(), [])

  const path = join(targetDir, 'events', '2026-03-10.db')
  const bytes = readFileSync(path)
  bytes[bytes.length - 1]! ^= 1
  writeFileSync(path, bytes)
  rmSync(join(targetDir, 'event-id-mark'))
  t.strictSame(await verify(), ['events/2026-03-10.db is not as it was written', 'event-id-mark is missing'])

  for (const text of ['{', '{"format":2}', '{"format":1,"files":[{"path":"../../etc/passwd"}]}']) {
    writeFileSync(join(targetDir, 'backup.json'), text)
    await t.rejects(verify(), { code: 'invalid', message: /backup\.json is not one that/ })
  }
  rmSync(join(targetDir, 'backup.json'))
  await t.rejects(verify(), { code: 'invalid', message: /holds no whole backup/ })
})
