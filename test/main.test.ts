import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import Database from 'better-sqlite3'
import { tempDir } from './fixtures/app.js'
import { command } from './fixtures/command.js'
import { hecate, printedBy } from './fixtures/process.js'

const BAD_USAGE = [
  { what: 'no command', args: [], stderr: /^usage: hecate COMMAND/ },
  { what: 'an unknown command', args: ['serf\u001b[31m'], stderr: /there is no command "serf\?\[31m"/ },
  { what: 'an unknown flag', args: ['serve', '--prot', '1'], stderr: /hecate serve: .*--prot/ },
  { what: 'a missing configuration file', args: ['serve', '--config', 'none.yaml'], stderr: /none\.yaml/ },
  { what: 'an unknown key', args: ['serve', '--config', 'bad.yaml'], stderr: /bad\.yaml:2: listen\.prot: unknown key/ },
  { what: 'a path of detections that is none', args: ['serve', '--config', 'paths.yaml'], stderr: /detections\.paths: .*nowhere/ },
]
t.test('bad usage and configuration end with exit code 2', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'bad.yaml'), 'listen:\n  prot: 1\n')
  writeFileSync(join(cwd, 'paths.yaml'), 'detections: { paths: [nowhere] }\n')
  for (const { what, args, stderr } of BAD_USAGE) t.match(await command(args, { cwd }), { code: 2, stderr }, what)
  const { args, stderr } = BAD_USAGE[4]!
  const run = hecate(t, args, { cwd })
  t.equal(await run.exited, 2)
  t.match(run.printed.stderr, stderr, 'so it ends as a process')
})

t.test('help and version', async t => {
  const cwd = tempDir(t)
  const version = hecate(t, ['version'], { cwd })

  t.match(await command(['--help'], { cwd }), { code: 0, stdout: /hecate serve/ })
  t.match(await command(['serve', '--help'], { cwd }), { code: 0, stdout: /--listen-port +HECATE_LISTEN_PORT/ })
  t.equal(await version.exited, 0)
  t.match(version.printed.stdout, /^\d+\.\d+\.\d+\n$/)
})

t.test('the first start makes a token and a key, written where only the owner reads; the second start makes none', async t => {
  const cwd = tempDir(t)
  const first = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, url] = await printedBy(first, /"url":"([^"]+)"/)

  const path = join(cwd, 'data', 'first-start')
  const text = readFileSync(path, 'utf8')
  const token = /HEC token {2}(\S+)/.exec(text)![1]!
  const key = /API key {4}(\S+)/.exec(text)![1]!
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(join(cwd, 'data')).mode & 0o777, 0o700)
  t.notMatch(first.printed.stdout, token, 'the log has the path alone')
  t.notMatch(first.printed.stdout, key)
  t.equal((await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${token}` }, body: '{"event":"hello"}' })).status, 200)
  const events = await fetch(`${url}/api/v1/events`, { headers: { authorization: `Bearer ${key}` } })
  t.match(await events.json(), { items: [{ event: 'hello' }] })
  first.child.kill('SIGTERM')
  t.equal(await first.exited, 0)

  const second = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, again] = await printedBy(second, /"msg":"serving"/).then(() => /"url":"([^"]+)"/.exec(second.printed.stdout)!)
  t.notMatch(second.printed.stdout, /first token/)
  t.equal((await fetch(`${again}/api/v1/events`, { headers: { authorization: `Bearer ${key}` } })).status, 200, 'the key still holds')
})

t.test('a data folder in use, or of a newer Hecate, ends with exit code 2', async t => {
  const cwd = tempDir(t)
  const first = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  await printedBy(first, /"msg":"serving"/)
  const second = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  t.equal(await second.exited, 2)
  t.match(second.printed.stderr, /in use by another process/)

  const newer = tempDir(t)
  mkdirSync(join(newer, 'data'))
  const db = new Database(join(newer, 'data', 'control.db'))
  db.pragma('user_version = 999')
  db.close()
  const third = hecate(t, ['serve', '--listen-port', '0'], { cwd: newer })
  t.equal(await third.exited, 2)
  t.match(third.printed.stderr, /newer version of Hecate/)
})

t.test('on SIGTERM HEC answers code 23 and closes the connection, and the process ends with exit code 0', async t => {
  const server = hecate(t, ['serve', '--listen-port', '0'], { cwd: tempDir(t) })
  const [, url, dataDir] = await printedBy(server, /"url":"([^"]+)","data_dir":"([^"]+)"/) as unknown as [string, string, string]
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const post = () => new Promise<{ status: number, connection: string | undefined, body: string }>((resolve, reject) => {
    const token = /HEC token {2}(\S+)/.exec(readFileSync(join(dataDir, 'first-start'), 'utf8'))![1]!
    const req = request(`${url}/services/collector/event`, { method: 'POST', agent, headers: { authorization: `Splunk ${token}` } }, res => {
      let body = ''
      res.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => resolve({ status: res.statusCode!, connection: res.headers.connection, body }))
    })
    req.on('error', reject).end('{"event":"x"}')
  })
  t.equal((await post()).status, 200)

  server.child.kill('SIGTERM')
  await printedBy(server, /"msg":"shutting down"/)
  const refused = await post()

  t.strictSame(refused, { status: 503, connection: 'close', body: '{"text":"Server is shutting down","code":23}' })
  t.equal(await server.exited, 0)
})

t.test('the demo shows the escape and ends with --once', async t => {
  const run = hecate(t, ['demo', '--once'], { cwd: tempDir(t) })

  t.equal(await run.exited, 0, run.printed.stderr)
  t.match(run.printed.stdout, /^217 events sent to http:\/\/127\.0\.0\.1:\d+\/services\/collector\/event$/m)
  t.match(run.printed.stdout, /: 1 finding$/m)
  t.match(run.printed.stdout, /^2026-03-10T11:20:00Z +high +70 +web-7d4b9c6f5-x2x9q +T1611 /m)
  t.match(run.printed.stdout, /nsenter --target 1/)
})
