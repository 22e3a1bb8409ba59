import { readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { pino } from 'pino'
import type { Config } from '../src/config.js'
import { loadConfig, TokenSettings } from '../src/config.js'
import { hashSecret } from '../src/hec/token.js'
import { openCredentials } from '../src/credentials.js'
import { openKeys } from '../src/keys.js'
import { openServer } from '../src/server.js'
import type { Finding } from '../src/finding.js'
import { openCredentialStore } from '../src/store/control/credentials.js'
import { openKeyStore } from '../src/store/control/keys.js'
import { openControlDatabase } from '../src/store/control/open.js'
import { LockedError } from '../src/store/lock.js'
import { KEY, tempDir, TOKEN } from './fixtures/app.js'
import { handClock } from '../bench/hand-clock.js'
import { GOLDEN, toEnvelope } from './fixtures/golden.js'
import { folderOf, GENERATIONS } from './fixtures/rules.js'

const log = pino({ level: 'silent' })

function configOf (dataDir: string) {
  const config = loadConfig({ env: {}, flags: { 'data.dir': dataDir, 'listen.port': '0', 'data.durability': 'normal' }, cwd: '/' })
  const token = { name: 'test', token: TOKEN, index: 'main', indexes: [], ack: false as const, enabled: true, query_string_auth: false, defaults: {} as const }
  return { ...config, hec: { ...config.hec, tokens: [token] }, api: { keys: [{ name: 'test', key: KEY, role: 'admin' as const }] } }
}

async function getJson (url: string, path: string) {
  return (await fetch(url + path, { headers: { authorization: `Bearer ${KEY}` } })).json()
}

/** Asks again until the answer holds; the test's own time-out is the limit. */
async function until<T> (ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    await new Promise(resolve => setImmediate(resolve))
  }
}

t.test('G45 over a real server: down from 11:58 to 12:40, the slot of 12:00 is done late with its own window', async t => {
  const dataDir = tempDir(t)
  const example = GOLDEN.find(({ id }) => id === 'G45')!
  const first = await openServer(configOf(dataDir), { clock: handClock('2026-03-10T11:20:00Z'), log, version: '0' })
  const { url } = await first.start()
  const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body: example.events.map(event => toEnvelope(event)).join('') })
  t.equal(res.status, 200)
  await first.close()

  const clock = handClock('2026-03-10T12:40:00Z')
  const second = await openServer(configOf(dataDir), { clock, log, version: '0' })
  t.teardown(() => second.close())
  const { url: again } = await second.start()
  const { items } = await until(
    () => getJson(again, '/api/v1/findings') as Promise<{ items: Finding[] }>,
    answer => answer.items.length > 0
  )

  t.strictSame(items.map(({ result }) => result), example.runs[0]!.literal)
  t.match(items[0]!.window, { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' })
})

t.test('the schedule runs by itself when a slot comes due', async t => {
  const clock = handClock('2026-03-10T11:59:50Z')
  const server = await openServer(configOf(tempDir(t)), { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const runs = async () => (await getJson(url, '/api/v1/detections/cisco_isovalent___potential_escape_to_host/runs') as { items: { scheduled_time: string, status: string }[] }).items
  t.strictSame(await runs(), [])

  clock.set('2026-03-10T12:00:00Z')
  const items = await until(runs, answer => answer.length > 0)

  t.match(items, [{ scheduled_time: '2026-03-10T12:00:00.000Z', status: 'succeeded' }])
})

t.test('/readyz is 200 while the scheduler runs, and the metrics say so too', async t => {
  const server = await openServer(configOf(tempDir(t)), { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' })
  t.teardown(() => server.close())
  const before = await server.app.inject('/readyz')
  const metricsBefore = await server.app.inject('/metrics')
  await server.start()
  const after = await server.app.inject('/readyz')
  const metricsAfter = await server.app.inject('/metrics')

  t.equal(before.statusCode, 503)
  t.strictSame(before.json().reasons, ['the scheduler is not running'])
  t.match(metricsBefore.body, /^hecate_ready 0$/m)
  t.equal(after.statusCode, 200)
  t.match(metricsAfter.body, /^hecate_ready 1$/m)
})

t.test('after a downtime the metrics say how long the oldest slot is owed', async t => {
  const config = configOf(tempDir(t))
  const first = await openServer(config, { clock: handClock('2026-03-10T11:20:00Z'), log, version: '0' })
  await first.close()

  const second = await openServer(config, { clock: handClock('2026-03-10T13:40:00Z'), log, version: '0' })
  t.teardown(() => second.close())
  const { body } = await second.app.inject('/metrics')

  t.match(body, /^hecate_ledger_oldest_owed_seconds 6000$/m, 'since 12:00')
})

t.test('the metrics have the names of detections and tokens, and nothing of events', async t => {
  const server = await openServer(configOf(tempDir(t)), { clock: handClock('2026-03-10T12:30:00Z'), log, version: '0' })
  t.teardown(() => server.close())
  await server.start()
  const inject = (url: string, payload: string, authorization: string) => server.app.inject({ method: 'POST', url, payload, headers: { authorization, 'content-type': 'application/json' } })
  await inject('/services/collector', '{"event":"a\\"b","host":"evil\\nhost","wat":1}', `Splunk ${TOKEN}`)
  await inject('/services/collector', '{', `Splunk ${TOKEN}`)
  await inject('/api/v1/detections/cisco_isovalent___potential_escape_to_host/runs', '{"scheduled_time":"2026-03-10T12:00:00Z"}', `Bearer ${KEY}`)

  const { body } = await server.app.inject('/metrics')

  for (const line of [
    'hecate_hec_events_total{token="test"} 1',
    'hecate_hec_unknown_keys_total{token="test"} 1',
    'hecate_hec_replies_total{code="0",status="200"} 1',
    'hecate_hec_replies_total{code="6",status="400"} 1',
    'hecate_store_events 1',
    'hecate_store_partitions 1',
    'hecate_ledger_owed_slots 0',
    'hecate_ledger_failed_slots 0',
    'hecate_detection_runs_total{detection="cisco_isovalent___potential_escape_to_host",status="succeeded"} 1',
    'hecate_detection_last_success_seconds{detection="cisco_isovalent___potential_escape_to_host"} 1773145800',
  ]) t.ok(body.split('\n').includes(line), line)
  t.notMatch(body, /evil/)
})

t.test('backups go where the configuration says, and are counted', async t => {
  const backupDir = tempDir(t)
  const config = configOf(tempDir(t))
  const server = await openServer({ ...config, data: { ...config.data, backup_dir: backupDir } }, { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const metrics = async () => (await (await fetch(`${url}/metrics`)).text()).split('\n')
  t.ok((await metrics()).includes('hecate_backups_total{state="succeeded"} 0'))

  const res = await fetch(`${url}/api/v1/backups`, { method: 'POST', headers: { authorization: `Bearer ${KEY}` } })
  await until(metrics, lines => lines.includes('hecate_backups_total{state="succeeded"} 1'))

  t.equal(res.status, 202)
  t.strictSame(readdirSync(backupDir), ['20260310T120000.000Z'])
})

t.test('a second server on the data folder is refused', async t => {
  const dataDir = tempDir(t)
  const server = await openServer(configOf(dataDir), { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' })
  t.teardown(() => server.close())

  await t.rejects(openServer(configOf(dataDir), { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' }), LockedError)
})

t.test('what could not be opened leaves nothing behind: the folder is free, and the thread is gone', async t => {
  const dataDir = tempDir(t)
  const open = () => openServer(configOf(dataDir), { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' })
  await (await open()).close()
  const rename = (from: string, to: string) => {
    const control = openControlDatabase(dataDir)
    control.exec(`ALTER TABLE ${from} RENAME TO ${to}`)
    control.close()
  }

  rename('definition', 'lost')
  await t.rejects(open(), /no such table: (?:main\.)?definition/)
  rename('lost', 'definition')
  renameSync(join(dataDir, 'events'), join(dataDir, 'lost'))
  writeFileSync(join(dataDir, 'events'), 'a file in place of the folder')
  await t.rejects(open(), { code: 'EEXIST' })
  rmSync(join(dataDir, 'events'))
  renameSync(join(dataDir, 'lost'), join(dataDir, 'events'))

  await (await open()).close()
})

t.test('an override of a detection that is none stops the start', async t => {
  const config = configOf(tempDir(t))
  const wrong = { ...config, detections: { ...config.detections, overrides: { nothing: { enabled: true } } } }

  await t.rejects(openServer(wrong, { clock: handClock('2026-03-10T12:00:00Z'), log, version: '0' }), { name: 'ConfigError', message: 'detections.overrides.nothing: there is no such detection' })
})

/** What a command does beside the server: another connection to control.db. */
function besideTheServer (t: Test, config: Config) {
  const control = openControlDatabase(config.data.dir)
  t.teardown(() => control.close())
  const store = openCredentialStore(control)
  return { store, credentials: openCredentials(config, store), keys: openKeys(config, openKeyStore(control)) }
}

async function sendWith (url: string, token: string): Promise<{ status: number, code: number }> {
  const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${token}` }, body: '{"event":"x"}' })
  return { status: res.status, code: (await res.json() as { code: number }).code }
}

t.test('half a second after another process has added, disabled or revoked a token, the server knows', async t => {
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T12:00:00.000Z')
  const server = await openServer(config, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const { credentials } = besideTheServer(t, config)
  const secret = credentials.addToken(TokenSettings.parse({ name: 'beside' }), undefined, clock.now())
  t.match(await sendWith(url, secret), { status: 403, code: 4 }, 'not before it looks')

  clock.set('2026-03-10T12:00:00.500Z')
  t.match(await until(() => sendWith(url, secret), ({ status }) => status === 200), { code: 0 })
  credentials.patchToken('beside', { enabled: false })
  clock.set('2026-03-10T12:00:01.000Z')
  t.match(await until(() => sendWith(url, secret), ({ code }) => code !== 0), { status: 403, code: 1 })
  credentials.revokeToken('beside')
  clock.set('2026-03-10T12:00:01.500Z')
  t.match(await until(() => sendWith(url, secret), ({ code }) => code !== 1), { status: 403, code: 4 })
  t.match(await sendWith(url, TOKEN), { status: 200 }, 'the token of the configuration stays')
})

t.test('an API key that another process adds and revokes is known at once, and its use is written down every five seconds', async t => {
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T12:00:00.000Z')
  const server = await openServer(config, { clock, log, version: '0' })
  t.teardown(() => server.close())
  await server.start()
  const { keys } = besideTheServer(t, config)
  const secret = keys.add({ name: 'beside', role: 'viewer', expires_ms: null }, clock.now())
  const ask = async () => (await server.app.inject({ url: '/api/v1/findings', headers: { authorization: `Bearer ${secret}` } })).statusCode
  const lastUse = () => keys.readUses()(keys.get('beside').hash)

  t.equal(await ask(), 200)
  t.equal(lastUse(), null)
  clock.set('2026-03-10T12:00:05Z')
  t.equal(await until(async () => lastUse(), use => use !== null), Date.parse('2026-03-10T12:00:00Z'))

  keys.revoke('beside', clock.now())
  t.equal(await ask(), 401)
  await server.close()
  t.equal(keys.readUses()(hashSecret(secret)), null)
})

t.test('the use of tokens is written down every five seconds, and at the end', async t => {
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(config, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const { store } = besideTheServer(t, config)
  await sendWith(url, TOKEN)
  t.strictSame(store.uses(), [])

  clock.set('2026-03-10T12:00:05Z')
  const [use] = await until(async () => store.uses(), uses => uses.length > 0)
  t.strictSame(use, { hash: hashSecret(TOKEN), last_used_ms: Date.parse('2026-03-10T12:00:00Z'), requests: 1, events: 1 })
  await sendWith(url, TOKEN)
  await server.close()

  t.strictSame(store.uses(), [{ ...use, last_used_ms: Date.parse('2026-03-10T12:00:05Z'), requests: 2, events: 2 }])
})

t.test('a token that another process revokes leaves no use behind, although the server still counts', async t => {
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(config, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const { store, credentials } = besideTheServer(t, config)
  const secret = credentials.addToken(TokenSettings.parse({ name: 'beside' }), undefined, clock.now())
  clock.set('2026-03-10T12:00:00.500Z')
  await until(() => sendWith(url, secret), ({ status }) => status === 200)

  credentials.revokeToken('beside')
  await server.close()

  t.strictSame(store.uses(), [])
})

t.test('a token of the configuration hides an added one of its name or secret', async t => {
  const config = configOf(tempDir(t))
  const { credentials } = besideTheServer(t, { ...config, hec: { ...config.hec, tokens: [] } })
  const secret = credentials.addToken(TokenSettings.parse({ name: 'test' }), undefined, 0)
  credentials.addToken(TokenSettings.parse({ name: 'same', index: 'metrics' }), TOKEN, 0)
  const warnings: unknown[] = []
  const warning = pino({ level: 'warn' }, { write: (line: string) => { warnings.push(JSON.parse(line)) } })

  const server = await openServer(config, { clock: handClock('2026-03-10T12:00:00Z'), log: warning, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()

  t.match(await sendWith(url, TOKEN), { status: 200 })
  t.match(await sendWith(url, secret), { status: 403, code: 4 })
  t.match(await getJson(url, '/api/v1/tokens'), { items: [{ name: 'test', origin: 'configuration', index: 'main', events: 1 }] })
  t.match(warnings, [{ names: ['same', 'test'] }])
})

t.test('files of detections are looked at every five seconds', async t => {
  const rules = folderOf(t, { 'a_rule.yml': GENERATIONS[2025] })
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T11:20:00Z')
  const server = await openServer({ ...config, detections: { ...config.detections, shipped: false, paths: [rules] } }, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const versions = async () => ((await getJson(url, '/api/v1/detections')) as { items: { id: string, version: number }[] }).items.map(({ id, version }) => `${id} ${version}`)
  t.strictSame(await versions(), ['a_rule 3'])

  writeFileSync(join(rules, 'a_rule.yml'), GENERATIONS[2025].replace('version: 3', 'version: 44'))
  writeFileSync(join(rules, 'b_rule.yml'), GENERATIONS[2026])
  clock.set('2026-03-10T11:20:04Z')
  t.strictSame(await versions(), ['a_rule 3'])
  clock.set('2026-03-10T11:20:05Z')

  t.strictSame(await until(versions, all => all.length > 1), ['a_rule 44', 'b_rule 3'])
})

t.test('a backfill is worked on by itself and counted; when its search is changed, the log says what that has not seen', async t => {
  const rules = folderOf(t, { 'a_rule.yml': GENERATIONS[2025] })
  const config = configOf(tempDir(t))
  const clock = handClock('2026-03-10T12:20:00Z')
  const lines: Record<string, unknown>[] = []
  const server = await openServer({ ...config, detections: { ...config.detections, shipped: false, paths: [rules] } }, { clock, log: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }), version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const metric = async (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(await (await fetch(`${url}/metrics`)).text())?.[1]
  t.equal(await metric('hecate_backfill_slots_total\\{status="succeeded"\\}'), '0')

  let nowMs = clock.now()
  const res = await fetch(`${url}/api/v1/backfills`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: JSON.stringify({ detection: 'a_rule', earliest: '-6h', latest: 'now' }) })
  t.equal(res.status, 202)
  await until(async () => {
    clock.set(new Date(nowMs += 1_000).toISOString())
    return await getJson(url, '/api/v1/backfills') as { items: { state: string }[] }
  }, ({ items }) => items[0]!.state === 'succeeded')

  t.equal(await metric('hecate_backfill_slots_total\\{status="succeeded"\\}'), '5')
  t.equal(await metric('hecate_backfills_running'), '0')
  t.match(lines.filter(({ msg }) => /backfill/.test(String(msg))), [{ msg: 'backfill asked for', slots: 5, key_name: 'test' }, { msg: 'a backfill has ended', state: 'succeeded', slots: 5 }])

  writeFileSync(join(rules, 'a_rule.yml'), GENERATIONS[2025].replace('sourcetype=st', 'sourcetype=st tool=*'))
  await until(async () => {
    clock.set(new Date(nowMs += 1_000).toISOString())
    return await metric('hecate_backfills_running')
  }, () => lines.some(({ changed }) => changed !== undefined))
  t.match(lines.find(({ changed }) => changed !== undefined), { level: 30, detection_id: 'a_rule', changed: ['search'], earliest: '2026-03-10T06:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' })
})

t.test('a full disk is answered with 503 until there is room, and everything else goes on', async t => {
  const dataDir = tempDir(t)
  const reserve = 256e6
  let bavail = reserve + 1_000
  const lines: string[] = []
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(configOf(dataDir), { clock, log: pino({ level: 'info' }, { write: line => { lines.push(line) } }), version: '0', statfs: () => ({ bsize: 1, bavail }) })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const post = async (body: string) => {
    const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body })
    return [res.status, await res.json()]
  }
  const metric = async (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(await (await fetch(`${url}/metrics`)).text())?.[1]
  const health = async () => (await fetch(`${url}/services/collector/health`)).status
  const OK = [200, { text: 'Success', code: 0 }]
  const BUSY = [503, { text: 'Server is busy', code: 9 }]

  t.strictSame(await post('{"event":"a"}'), OK)
  t.strictSame(await post(`{"event":"${'x'.repeat(990)}"}`), BUSY, 'what came since the last look is counted')
  t.strictSame(await post('{"event":"b"}'), OK, 'a smaller one still fits')

  bavail = reserve - 1
  clock.set('2026-03-10T12:00:01Z')
  await until(() => metric('hecate_disk_full'), full => full === '1')
  t.strictSame(await post('{"event":"c"}'), BUSY)
  t.equal(await health(), 503)
  t.match(await getJson(url, '/readyz'), { status: 'ready', degraded: [/disk is full/] })
  t.equal(((await getJson(url, '/api/v1/events')) as { items: unknown[] }).items.length, 2)
  t.equal(await metric('hecate_disk_free_bytes'), String(reserve - 1))
  t.equal(await metric('hecate_disk_reserve_bytes'), String(reserve))

  bavail = reserve + 1e9
  clock.set('2026-03-10T12:00:02Z')
  await until(() => metric('hecate_disk_full'), full => full === '0')
  t.strictSame(await post('{"event":"d"}'), OK)
  t.equal(await health(), 200)
  t.match(await getJson(url, '/readyz'), { status: 'ready', degraded: [] })
  t.strictSame(((await getJson(url, '/api/v1/events?order_by=id')) as { items: { event: string }[] }).items.map(({ event }) => event), ['a', 'b', 'd'])
  t.equal(lines.filter(line => /"level":50,.*the disk is full/.test(line)).length, 1)
  t.equal(lines.filter(line => line.includes('there is room on the disk again')).length, 1)
})

t.test('old partitions are looked for every minute; what was dropped is logged and counted', async t => {
  const lines: Record<string, unknown>[] = []
  const clock = handClock('2026-03-10T12:00:00Z')
  const config = configOf(tempDir(t))
  const server = await openServer({ ...config, data: { ...config.data, retention: 3_600_000 } }, { clock, log: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }), version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  await sendWith(url, TOKEN)
  const metrics = async () => (await server.app.inject('/metrics')).body

  clock.set('2026-03-11T01:00:00.001Z')
  const text = await until(metrics, text => text.includes('hecate_store_dropped_partitions_total{reason="age"} 1\n'))

  t.match(text, 'hecate_store_dropped_events_total{reason="age"} 1\n')
  const time = '2026-03-10T12:00:00.000Z'
  t.match(lines.filter(({ msg }) => msg === 'a partition was dropped'), [{ level: 30, partition: '2026-03-10', reason: 'age', events: 1, earliest: time, latest: time }])
  t.strictSame((await getJson(url, '/api/v1/events?earliest=0') as { items: unknown[] }).items, [])
})

t.test('a damaged partition is logged once, counted, shown and makes the server degraded, which goes on', async t => {
  const config = configOf(tempDir(t))
  const first = await openServer(config, { clock: handClock('2026-03-09T12:00:00Z'), log, version: '0' })
  await sendWith((await first.start()).url, TOKEN)
  await first.close()
  writeFileSync(join(config.data.dir, 'events', '2026-03-09.db'), 'x'.repeat(5000))
  const lines: Record<string, unknown>[] = []
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(config, { clock, log: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }), version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()

  t.match(await sendWith(url, TOKEN), { status: 200 })
  t.match(lines.filter(({ msg }) => msg === 'a partition is damaged and was set aside'), [{ level: 50, partition: '2026-03-09', reason: 'file is not a database' }])
  const ready = await server.app.inject('/readyz')
  t.equal(ready.statusCode, 200)
  t.strictSame(ready.json(), { status: 'ready', reasons: [], degraded: ['the partition 2026-03-09 is damaged'] })
  t.match((await server.app.inject('/metrics')).body, 'hecate_store_damaged_partitions 1\n')
  const { partitions, disk } = await getJson(url, '/api/v1/store') as { partitions: { bytes: number }[], disk: { free_bytes: number } }
  t.strictSame(disk, { free_bytes: disk.free_bytes, reserve_bytes: 256e6, full: false })
  const unknown = { schema: null, packed: null, events: null, earliest: null, latest: null }
  const time = Date.parse('2026-03-10T12:00:00Z') / 1000
  t.strictSame(partitions, [
    { name: '2026-03-09', state: 'damaged', ...unknown, bytes: 5000 },
    { name: '2026-03-10', state: 'open', schema: 3, packed: false, events: 1, bytes: partitions[1]!.bytes, earliest: time, latest: time },
  ])
  const search = await fetch(`${url}/api/v1/search`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: '{"search":"* | stats count","earliest":"0"}' })
  t.match(await search.json(), { rows: [{ count: 1 }], warnings: ['the partition 2026-03-09 is damaged: its events are not searched'] })
})

t.test('a partition whose day is over is packed; that is logged, and shown', async t => {
  const lines: Record<string, unknown>[] = []
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(configOf(tempDir(t)), { clock, log: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }), version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  await sendWith(url, TOKEN)
  const metrics = async () => (await server.app.inject('/metrics')).body
  t.match(await metrics(), 'hecate_store_packed_partitions 0\n')

  clock.set('2026-03-11T00:00:00Z')
  await until(metrics, text => text.includes('hecate_store_packed_partitions 1\n'))

  const { partitions } = await getJson(url, '/api/v1/store') as { partitions: { bytes: number }[] }
  t.match(partitions, [{ name: '2026-03-10', state: 'open', packed: true, schema: 3, events: 1 }])
  await until(async () => lines.filter(({ msg }) => msg === 'a partition was packed'), found => found.length > 0)
  t.match(lines.filter(({ msg }) => msg === 'a partition was packed'), [{ level: 30, partition: '2026-03-10', events: 1, bytes: partitions[0]!.bytes }])
  t.equal(((await getJson(url, '/api/v1/events?earliest=0')) as { items: unknown[] }).items.length, 1)
})

t.test('GET /store says what is kept for how long, as it is in force, and what of it is taken', async t => {
  const dataDir = tempDir(t)
  const first = await openServer(configOf(dataDir), { clock: handClock('2026-03-09T12:00:00Z'), log, version: '0' })
  const { url } = await first.start()
  await sendWith(url, TOKEN)
  const { partitions, retention } = await getJson(url, '/api/v1/store') as { partitions: { bytes: number }[], retention: object }
  const days = 86_400
  t.ok(partitions[0]!.bytes > 0)
  t.strictSame(retention, { events_seconds: 30 * days, max_bytes: 50e9, bytes: partitions[0]!.bytes, findings_seconds: 730 * days, ledger_seconds: 730 * days, audit_seconds: 730 * days }, 'the defaults')
  await first.close()

  const { data } = loadConfig({ env: {}, cwd: '/', flags: { 'data.dir': dataDir, 'data.retention': '12h', 'data.max_bytes': '2GiB', 'data.findings_retention': '100d', 'data.ledger_retention': '90d', 'data.audit_retention': '1d', 'data.reserve_bytes': '0' } })
  writeFileSync(join(dataDir, 'events', '2026-03-09.db'), 'x'.repeat(5000)) // what is damaged does not go, and counts in no limit
  const second = await openServer({ ...configOf(dataDir), data }, { clock: handClock('2026-03-09T13:00:00Z'), log, version: '0' })
  t.teardown(() => second.close())
  const { url: again } = await second.start()
  t.match(await getJson(again, '/api/v1/store'), {
    disk: { reserve_bytes: 0, full: false },
    retention: { events_seconds: days / 2, max_bytes: 2 ** 31, bytes: 0, findings_seconds: 100 * days, ledger_seconds: 90 * days, audit_seconds: days },
  })
})

t.test('what came is counted every five seconds, silence is looked for every ten; a full disk makes nobody silent, and a stop loses no count', async t => {
  const config = configOf(tempDir(t))
  let bavail = 1e12
  const lines: Record<string, unknown>[] = []
  const clock = handClock('2026-03-10T12:00:00Z')
  const deps = { clock, log: pino({ level: 'info' }, { write: (line: string) => { lines.push(JSON.parse(line) as Record<string, unknown>) } }), version: '0', statfs: () => ({ bsize: 1, bavail }) }
  const server = await openServer(config, deps)
  const { url } = await server.start()
  const send = async (event: object) => {
    const body = JSON.stringify({ time: clock.now() / 1000 - 8, sourcetype: 'cisco:isovalent', event: { node_name: 'n1', ...event } })
    t.equal((await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body })).status, 200)
  }
  const metrics = async () => (await server.app.inject('/metrics')).body
  const has = (line: string) => (text: string) => text.includes(`\n${line}\n`)
  const list = async (url: string) => ((await getJson(url, '/api/v1/sources?earliest=0')) as { items: { node_name: string, events: number, silent: boolean }[] }).items

  await send({ rate_limit_info: { number_of_dropped_process_events: '5' } })
  await send({ process_throttle: { type: 'THROTTLE_START' } })
  t.match(await metrics(), 'hecate_event_lag_seconds_count 0\n')
  clock.set('2026-03-10T12:00:05Z')
  const text = await until(metrics, has('hecate_event_lag_seconds_count 2'))
  for (const line of [
    'hecate_source_count 1', 'hecate_source_silent 0', 'hecate_tetragon_lost_events_total 5', 'hecate_tetragon_throttled_total 1', 'hecate_event_lag_seconds_sum 16',
    'hecate_event_lag_seconds_bucket{le="5"} 0', 'hecate_event_lag_seconds_bucket{le="10"} 2',
  ]) t.ok(has(line)(text), line)

  bavail = 0
  clock.set('2026-03-10T13:00:00Z')
  await until(metrics, has('hecate_disk_full 1'))
  bavail = 1e12
  clock.set('2026-03-10T13:00:01Z')
  await until(metrics, has('hecate_disk_full 0'))
  clock.set('2026-03-10T14:00:00Z')
  t.ok(has('hecate_source_silent 0')(await metrics()), 'from when there was room again on, not from the last arrival')
  clock.set('2026-03-10T14:00:11Z')
  await until(metrics, has('hecate_source_silent 1'))
  t.match(lines.filter(({ msg }) => msg === 'sources have fallen silent'), [{ level: 40, sources: 1 }])

  await send({ process_exec: {} })
  await send({ process_exit: {} })
  await server.close()
  const again = await openServer(config, { ...deps, clock: handClock('2026-03-10T14:00:15Z') })
  t.teardown(() => again.close())
  t.strictSame((await list((await again.start()).url)).map(({ node_name: node, events, silent }) => [node, events, silent]), [['n1', 3, false], ['n1', 1, false]])
  await until(async () => lines.filter(({ msg }) => msg === 'silent sources send again'), found => found.length === 1)
})

t.test('the risk rules look each second at what runs have posted, and are counted', async t => {
  const clock = handClock('2026-03-10T12:40:00Z')
  const config = configOf(tempDir(t))
  const server = await openServer({ ...config, risk: { ...config.risk, rules: { ...config.risk.rules, score: { over: 10, in: 3_600_000 } } } }, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  const example = GOLDEN.find(({ id }) => id === 'G45')!
  await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body: example.events.map(event => toEnvelope(event)).join('') })
  await server.ledger.run('cisco_isovalent___potential_escape_to_host', Date.parse('2026-03-10T12:00:00Z'))

  clock.set('2026-03-10T12:40:01Z')
  const { items } = await until(() => getJson(url, '/api/v1/findings?detection=hecate___risk_score') as Promise<{ items: Finding[] }>, answer => answer.items.length > 0)

  t.match(items, [{ result: { risk_object_type: 'system', findings: 1 } }])
  const { items: objects } = await getJson(url, '/api/v1/risk-objects') as { items: { score: number }[] }
  t.match(objects, [{ findings: 1 }])
  const metrics = await (await fetch(`${url}/metrics`)).text()
  for (const line of ['hecate_risk_postings_total 1', 'hecate_risk_findings_total{rule="score",change="created"} 1', 'hecate_risk_incomplete 0', 'hecate_risk_unknown_techniques 0', 'hecate_risk_postings_ended_total{why="gone"} 0']) t.match(metrics, `${line}\n`)
})

t.test('findings, entries of the audit log and slots go when they are old enough, which is looked every minute, logged and counted', async t => {
  const { data, ...rest } = configOf(tempDir(t))
  const config = { ...rest, data: { ...data, findings_retention: 90_000, audit_retention: 90_000, ledger_retention: 90_000 } }
  const clock = handClock('2026-03-10T12:00:00Z')
  const server = await openServer(config, { clock, log, version: '0' })
  t.teardown(() => server.close())
  const { url } = await server.start()
  await fetch(`${url}/api/v1/tokens`, { method: 'POST', headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' }, body: '{"name":"old"}' })
  const control = openControlDatabase(config.data.dir)
  t.teardown(() => control.close())
  control.exec(`
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 250)
    INSERT INTO finding (id, detection_id, time_us, status, score, revision, position, run_id, created_ms, updated_ms, body)
    SELECT 'f' || n, 'd', 0, 'new', 1, 1, '0', '', 0, ${clock.now()} + (n > 240) * 86400000, '{}' FROM n
  `)
  control.exec(`
    INSERT INTO definition (hash, detection_id, body, created_ms) VALUES ('h', 'd', '{}', 0);
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)
    INSERT INTO slot (detection_id, slot_ms, definition_hash, origin, earliest_us, latest_us, state, tries, next_try_ms, first_done_ms, done_ms)
    SELECT 'd', n, 'h', 'schedule', n * 1000, n * 1000 + 1000, 'done', 0, n, n, n FROM n
  `)
  const count = (table: string) => control.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number

  t.strictSame([count('finding'), count('audit')], [250, 1])
  clock.set('2026-03-10T12:02:00Z')
  await until(async () => count('finding') + count('audit'), left => left === 10)
  await until(async () => control.prepare("SELECT count(*) FROM slot WHERE detection_id = 'd'").pluck().get() as number, left => left === 1)

  const metrics = await (await fetch(`${url}/metrics`)).text()
  t.match(metrics, 'hecate_retention_removed_total{what="findings"} 240')
  t.match(metrics, 'hecate_retention_removed_total{what="audit"} 1')
  t.match(metrics, 'hecate_retention_removed_total{what="slots"} 59')
})
