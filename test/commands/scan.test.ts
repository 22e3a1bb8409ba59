import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import t from 'tap'
import { loadDetectionFiles } from '../../src/detect/load.js'
import type { Finding } from '../../src/finding.js'
import { post, tempDir, testApp } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { shippedFiles } from '../fixtures/detections.js'
import { openRandom } from '../fixtures/events.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { hecate, MAIN } from '../fixtures/process.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
const LINES = G01.events.map(event => JSON.stringify(event))

/** Detections of each kind of row, and one that speaks when there is nothing. */
const RULES = {
  each: { type: 'TTP', search: 'sourcetype=cisco:isovalent:processExec process_name=nsenter | table _time pod_name process' },
  silence: { type: 'Anomaly', search: 'sourcetype=cisco:isovalent:processExec | stats count | where count < 40' },
  newest: { type: 'Anomaly', search: 'sourcetype=cisco:isovalent:processExec | dedup pod_name | stats latest(process) AS process BY pod_name' },
  hunt: { type: 'Hunting', search: 'sourcetype=cisco:isovalent:processExec | stats count BY process_name' },
}

function writeRules (t: Test): string {
  const dir = tempDir(t)
  Object.entries(RULES).forEach(([name, { type, search }], i) => {
    writeFileSync(join(dir, `${name}.yml`), JSON.stringify({
      name, id: `4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f6${i}`, version: 1, type, search, enabled_by_default: true,
      ...(type === 'Hunting' ? {} : { rba: { message: '$pod_name$ did $process$', risk_objects: [{ field: 'pod_name', type: 'system', score: 40 }], threat_objects: [] } }),
    }))
  })
  return dir
}

/** Events of some pods in some hours of three days, and of one hour days later, in the order that they were written. */
function makeEvents (): object[] {
  const random = openRandom(7)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  return Array.from({ length: 400 }, (_, i) => {
    const hour = i < 350 ? pick([0, 1, 2, 11, 25, 26, 60]) : 24 * 6
    const ms = Date.parse('2026-03-10T00:00:00Z') + hour * 3_600_000 + Math.floor(random() * 3_600_000)
    const binary = pick(['/usr/bin/nsenter', '/bin/mount', '/bin/ps', '/bin/ls', '/usr/bin/curl'])
    return {
      process_exec: { process: { binary, arguments: pick(['aux', '-t 1', '/mnt \u00e9"']), pod: { namespace: 'shop', name: `pod-${Math.floor(random() * 4)}` } }, parent: { binary: '/bin/sh' } },
      node_name: 'n1', time: new Date(ms).toISOString(), ...(random() < 0.9 ? { cluster_name: 'prod' } : {}),
    }
  })
}

process.env.TMPDIR = tempDir(t) // which no other test looks into

const toFindings = (stdout: string) => stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as Finding)

async function scan (t: Test, cwd: string, args: readonly string[]) {
  const outcome = await command(['scan', ...args], { cwd })
  t.strictSame(readdirSync(tmpdir()).filter(name => name.startsWith('hecate-scan-')), [], 'nothing is left behind')
  return { ...outcome, findings: () => toFindings(outcome.stdout) }
}

/** The same in a process of its own, with this on its standard input. */
async function scanProcess (t: Test, cwd: string, args: readonly string[], input: string) {
  const tmp = join(cwd, 'tmp')
  mkdirSync(tmp)
  const child = spawn(process.execPath, [MAIN, 'scan', ...args], { cwd, env: { PATH: process.env.PATH, TMPDIR: tmp }, stdio: 'pipe' })
  t.teardown(() => { child.kill('SIGKILL') })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  child.stdin.on('error', () => {}).end(input)
  const [code] = await once(child, 'close') as [number | null]
  t.strictSame(readdirSync(tmp), [], 'the temporary folder is empty')
  return { code, stdout, stderr, findings: () => toFindings(stdout) }
}

/** A finding but for what is of its run alone. */
function withoutRun ({ run, created_at: created, updated_at: updated, ...finding }: Finding) {
  return finding
}

t.test('findings are those of a server that got the events by HEC and ran every slot, oldest first', async t => {
  const rules = writeRules(t)
  const events = makeEvents()
  const nowMs = Date.parse('2026-03-18T00:00:00Z')
  const server = await testApp(t, { nowMs, files: [...shippedFiles(), ...loadDetectionFiles({ shipped: [], paths: [rules] })] })
  const envelopes = events.map(event => toEnvelope(event as (typeof G01.events)[number], 'cisco:isovalent'))
  t.equal((await post(server, envelopes.join(''))).statusCode, 200)
  const times = events.map(event => Date.parse((event as { time: string }).time) * 1000)
  const [first, last] = [Math.min(...times), Math.max(...times)]
  for (const { id, compiled, settings } of server.detections.list()) {
    if (!settings.enabled || compiled === null) continue
    for (let slotMs = compiled.nextSlot(Date.parse('2026-03-09T00:00:00Z')); slotMs < nowMs; slotMs = compiled.nextSlot(slotMs)) {
      const { earliestUs, latestUs } = compiled.windowOf(slotMs)
      if (latestUs > first && earliestUs <= last) await server.ledger.run(id, slotMs)
    }
  }
  const expected = [...server.findings.each()].map(withoutRun)
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({ detections: { paths: [rules] } }))
  writeFileSync(join(cwd, 'a.log'), `${events.map(event => JSON.stringify(event)).join('\n')}\n`)

  const plain = await scan(t, cwd, ['a.log', '--config', 'hecate.yaml'])

  t.equal(plain.code, 0, plain.stderr)
  for (const rule of [LITERAL, 'each', 'silence', 'newest']) t.ok(expected.some(({ detection }) => detection.id === rule), `${rule} finds something`)
  t.strictSame(plain.findings().map(withoutRun), expected)
  const order = plain.findings().map(({ time, detection }) => ({ time, id: detection.id }))
  t.strictSame(order, order.toSorted((a, b) => a.time - b.time || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)))
  t.match(plain.stderr, /^hunt: \d+ rows; a Hunting search gives no findings$/m)
  t.match(plain.stderr, new RegExp(`^400 events of [\\d,]+ bytes in [\\d.]+ s; [\\d,]+ slots of \\d+ detections; ${expected.length.toLocaleString('en')} findings$`, 'm'))

  writeFileSync(join(cwd, 'first.gz'), gzipSync(`${envelopes.slice(0, 200).join('\n')}\n`))
  const rest = events.slice(200).map(event => JSON.stringify(event)).join('\n')
  const mixed = await scanProcess(t, cwd, ['first.gz', '-', '--config', 'hecate.yaml'], rest)
  t.equal(mixed.code, 0, mixed.stderr)
  t.strictSame(mixed.findings().map(withoutRun), expected, 'from gzip and standard input')
})

t.test('slots without an event are passed over, in a log that spans years too', async t => {
  const cwd = tempDir(t)
  const later = LINES.map(line => line.replace('"2026-03-10T', '"2031-07-01T'))
  writeFileSync(join(cwd, 'a.log'), [...LINES, ...later].join('\n'))

  const { code, stderr, findings } = await scan(t, cwd, ['a.log', '--detection', LITERAL])

  t.equal(code, 0)
  t.strictSame(findings().map(({ time }) => new Date(time * 1000).toISOString()), ['2026-03-10T11:05:00.000Z', '2031-07-01T11:05:00.000Z'])
  t.match(stderr, /; 2 slots of 1 detection; 2 findings$/m)
})

t.test('throttled findings are left out and counted; slots are run oldest first', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), LINES.join('\n'))
  writeFileSync(join(cwd, 'savedsearches.conf'), `[daily]
search = sourcetype=cisco:isovalent:processExec process_name=nsenter | stats count BY pod_name
dispatch.earliest_time = -1d@h
dispatch.latest_time = @h
action.notable = 1
alert.suppress = 1
alert.suppress.fields = pod_name
alert.suppress.period = 12h
`)
  writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({ detections: { paths: ['savedsearches.conf'] } }))

  const { code, stderr, findings } = await scan(t, cwd, ['a.log', '--config', 'hecate.yaml', '--detection', 'daily'])

  t.equal(code, 0, stderr)
  t.strictSame(findings().map(({ time, throttled_by: by }) => [new Date(time * 1000).toISOString(), by]), [['2026-03-10T12:00:00.000Z', null], ['2026-03-11T00:00:00.000Z', null]])
  t.match(stderr, /; 24 slots of 1 detection; 2 findings, 22 throttled$/m)
})

t.test('a detection that is named is run, enabled or not, and no other', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), LINES.join('\n'))
  const id = 'hecate___potential_escape_to_host_within_two_minutes'

  const { findings } = await scan(t, cwd, ['a.log', '--detection', id])

  t.strictSame(findings().map(({ detection }) => detection.id), [id])
})

t.test('lines that are broken, too long or refused are named by file and line, and cost no others', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), [LINES[0]!, LINES[0]!.slice(0, 100), '', '{"time":"x","event":"y"}', 'x'.repeat(3_000), ...Array.from({ length: 12 }, () => '{"cut'), LINES[1]!].join('\n'))

  const { code, stderr, findings } = await scan(t, cwd, ['a.log', '--hec-max-event-bytes', '2000'])

  t.equal(code, 0)
  t.equal(findings().length, 1)
  t.match(stderr, /^a\.log:2: a broken JSON object; it is read as text$/m)
  t.match(stderr, /^a\.log:4: HEC would refuse it \(.+\); left out$/m)
  t.match(stderr, /^a\.log:5: longer than an event may be; left out$/m)
  t.match(stderr, /^a\.log: 3 more broken JSON objects$/m)
  t.match(stderr, /^15 events of/m)
})

t.test('a file that can not be read costs no others, and the exit code is 1', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), LINES.join('\n'))
  writeFileSync(join(cwd, 'cut.gz'), gzipSync(LINES.join('\n')).subarray(0, 100))
  writeFileSync(join(cwd, 'refused.log'), '{"time":"x","event":"y"}')

  const { code, stderr, findings } = await scan(t, cwd, ['nothing.log', 'cut.gz', 'refused.log', 'a.log'])

  t.equal(code, 1)
  t.equal(findings().length, 1)
  t.match(stderr, /^nothing\.log can't be read: ENOENT/m)
  t.match(stderr, /^cut\.gz can't be read: unexpected end of file/m)
  t.match(stderr, /^refused\.log: nothing of it could be read$/m)
  writeFileSync(join(cwd, 'empty.log'), '')
  t.match(await scan(t, cwd, ['empty.log']), { code: 0, stdout: '', stderr: /^0 events of 0 bytes/ })
})

t.test('a detection that can not run is told, and so is a run that fails; the exit code is 1', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'bad.yml'), 'name: bad\nid: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f60\nversion: 1\ntype: TTP\nsearch: sourcetype=st | nonsense\n')
  writeFileSync(join(cwd, 'many.yml'), 'name: many\nid: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f61\nversion: 1\ntype: TTP\nsearch: sourcetype=st\n')
  writeFileSync(join(cwd, 'hecate.yaml'), 'detections: { paths: [bad.yml, many.yml] }')
  writeFileSync(join(cwd, 'a.log'), '2026-03-10T11:05:10Z x\n'.repeat(10_001))

  const { code, stderr, stdout } = await scan(t, cwd, ['a.log', '--config', 'hecate.yaml', '--sourcetype', 'st'])

  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^bad can't run: search: .*nonsense/m)
  t.match(stderr, /^many failed at 2026-03-10T12:00:00\.000Z: the search gives more than 10000 rows$/m)
})

t.test('a table shows findings to people, and nothing of events acts on their terminal', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), LINES.map(line => line.replaceAll('web-7d4b9-x2x', 'web\\u001b[31m\\u202e\\u009b')).join('\n'))

  const table = await scan(t, cwd, ['a.log', '--format', 'table'])
  const json = await scan(t, cwd, ['a.log'])

  t.match(table.stdout, /^time +detection +severity +score +risk objects +message\n/)
  t.match(table.stdout, /^2026-03-10T11:05:00Z +cisco_isovalent___potential_escape_to_host +high +70 +web\\u\{1b\}\[31m/m)
  for (const { stdout } of [table, json]) t.notMatch(stdout, /(?!\n)[\p{Cc}\p{Cf}]/u)
  t.equal(json.findings()[0]!.risk.objects[0]!.value, 'web\u001b[31m\u202e\u009b', 'JSON says the same')
})

const REFUSED = [
  { args: [], stderr: /say which files to scan/ },
  { args: ['a.log', '--format', 'xml'], stderr: /--format is ndjson or table/ },
  { args: ['a.log', '--detection', 'cisco_isovalent___potential_escape_to_hos'], stderr: /there is no "cisco_.*the nearest name that is: "cisco_isovalent___potential_escape_to_host"/ },
  { args: ['a.log', '--index', 'nowhere'], stderr: /--index: "nowhere" is not in the indexes/ },
  { args: ['a.log', '--config', 'nothing.yaml'], stderr: /nothing\.yaml/ },
  { args: ['a.log', '--bogus'], stderr: /--bogus/ },
]
t.test('what makes no sense ends with exit code 2', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), LINES.join('\n'))
  for (const { args, stderr } of REFUSED) t.match(await scan(t, cwd, args), { code: 2, stdout: '', stderr }, args.join(' '))
})

t.test('whoever stops it finds nothing left behind', async t => {
  const cwd = tempDir(t)
  const tmp = join(cwd, 'tmp')
  mkdirSync(tmp)
  const child = spawn(process.execPath, [MAIN, 'scan', '-'], { cwd, env: { PATH: process.env.PATH, TMPDIR: tmp }, stdio: ['pipe', 'pipe', 'pipe'] })
  t.teardown(() => { child.kill('SIGKILL') })
  child.stdin.on('error', () => {}).write(`${LINES.join('\n')}\n`) // and never ends
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
  const store = () => readdirSync(tmp).flatMap(name => readdirSync(join(tmp, name)))
  while (!store().includes('control.db')) await setTimeout(20)
  child.kill('SIGINT')
  const [code] = await once(child, 'close') as [number | null]

  t.equal(code, 1)
  t.equal(stderr, 'stopped\n')
  t.strictSame(readdirSync(tmp), [])
})

t.test('whoever reads the findings may go away', async t => {
  const cwd = tempDir(t)
  const lines = Array.from({ length: 300 }, (_, i) => LINES.map(line => line.replaceAll('web-7d4b9-x2x', `pod-${i}`))).flat()
  writeFileSync(join(cwd, 'a.log'), lines.join('\n'))
  const run = hecate(t, ['scan', 'a.log', '--detection', LITERAL], { cwd })
  run.child.stdout.destroy()

  t.equal(await run.exited, 0)
  t.match(run.printed.stderr, /^600 events/)
})

t.test('the README scans the sample log', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'a.log'), readFileSync(fileURLToPath(new URL('../../../detections/samples/container-escape.log', import.meta.url))))
  t.equal((await scan(t, cwd, ['a.log', '--detection', LITERAL])).findings().length, 1)
})
