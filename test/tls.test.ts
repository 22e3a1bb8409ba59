import { once } from 'node:events'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { get } from 'node:http'
import type { RequestOptions } from 'node:https'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import { pino } from 'pino'
import type { Test } from 'tap'
import t from 'tap'
import { loadConfig } from '../src/config.js'
import { resourcePath } from '../src/resource.js'
import type { Clock } from '../src/schedule/loop.js'
import { systemClock } from '../src/schedule/loop.js'
import { openServer } from '../src/server.js'
import { KEY, tempDir, TOKEN } from './fixtures/app.js'
import { openSocket } from './fixtures/http.js'
import { hecate, printedBy } from './fixtures/process.js'

type PairName = 'first' | 'second'

const pem = (name: PairName, part: 'cert' | 'key') => resourcePath(`test/fixtures/tls/${name}.${part}.pem`)
const FIRST = readFileSync(pem('first', 'cert'))
const SECOND = readFileSync(pem('second', 'cert'))

const EVENT = { method: 'POST', path: '/services/collector/event', headers: { authorization: `Splunk ${TOKEN}` } }
const STORED = { status: 200, body: '{"text":"Success","code":0}' }

function writePair (dir: string, name: PairName): void {
  copyFileSync(pem(name, 'cert'), join(dir, 'cert.pem'))
  copyFileSync(pem(name, 'key'), join(dir, 'key.pem'))
}

function writeConfig (dir: string, tls: string): string {
  const path = join(dir, 'hecate.yaml')
  writeFileSync(path, `
    listen: { port: 0${tls} }
    data: { durability: normal }
    hec: { tokens: [{ name: test, token: ${TOKEN} }] }
    api: { keys: [{ name: test, key: ${KEY}, role: admin }] }
  `)
  return path
}

/** A folder with a configuration and the first pair, which it names. */
function tlsDir (t: Test, { host = '127.0.0.1' } = {}) {
  const dir = tempDir(t)
  writePair(dir, 'first')
  return { dir, file: writeConfig(dir, `, host: ${host}, tls: { cert: cert.pem, key: key.pem }`) }
}

/** A server that shows the first pair; closed with `t`. */
async function tlsServer (t: Test, { host = '127.0.0.1', clock = systemClock } = {}) {
  const { dir, file } = tlsDir(t, { host })
  const lines: { level: number, msg: string, valid_to?: string, err?: { message: string } }[] = []
  const log = pino({ level: 'info' }, { write: line => { lines.push(JSON.parse(line)) } })
  const server = await openServer(loadConfig({ file, env: {}, flags: {}, cwd: dir }), { clock, log, version: '0' })
  let closed: Promise<void> | null = null
  const close = async () => { await (closed ??= server.close()) }
  t.teardown(close)
  const { url } = await server.start()
  return { server, close, url, port: Number(new URL(url).port), dir, lines }
}

interface Answer { status: number, headers: IncomingHttpHeaders, body: string, reused: boolean }

/** A request on a connection of its own, unless an agent is given. Rejects where the certificate is not `ca`. */
function call (url: string, { body, ...options }: RequestOptions & { body?: string }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(url, { agent: false, ...options }, res => {
      let text = ''
      res.setEncoding('utf8').on('data', (part: string) => { text += part })
      res.on('end', () => resolve({ status: res.statusCode!, headers: res.headers, body: text, reused: req.reusedSocket }))
    })
    req.on('error', reject).end(body)
  })
}

/** An agent with one connection, which it keeps. */
function keepAliveAgent (t: Test): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return agent
}

t.test('with a certificate HEC, API and probes speak HTTPS on the one port', async t => {
  const { url } = await tlsServer(t)

  t.match(url, /^https:\/\/127\.0\.0\.1:\d+$/)
  t.match(await call(url, { ...EVENT, ca: FIRST, body: '{"event":"over TLS"}' }), STORED)
  const events = await call(url, { path: '/api/v1/events', headers: { authorization: `Bearer ${KEY}` }, ca: FIRST })
  t.match(JSON.parse(events.body), { items: [{ event: 'over TLS' }] })
  t.equal((await call(url, { path: '/readyz', ca: FIRST })).status, 200)
  const metrics = await call(url, { path: '/metrics', ca: FIRST })
  t.match(metrics.body, `\nhecate_tls_certificate_expiry_seconds ${Date.parse('2126-01-01T00:00:00Z') / 1000}\n`)
  await t.rejects(call(url, { path: '/healthz', ca: SECOND }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'another certificate is not what is shown')
})

t.test('TLS 1.2 is taken, 1.1 is refused', async t => {
  const { port } = await tlsServer(t)
  const shake = async (version: 'TLSv1.1' | 'TLSv1.2') => {
    const socket: TLSSocket = connect({ port, host: '127.0.0.1', ca: FIRST, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
    t.teardown(() => socket.destroy())
    await once(socket, 'secureConnect')
    return socket.getProtocol()
  }

  t.equal(await shake('TLSv1.2'), 'TLSv1.2')
  await t.rejects(shake('TLSv1.1'), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
})

t.test('a reload changes the certificate of new connections, an open one goes on', async t => {
  const { server, url, dir, lines } = await tlsServer(t)
  const agent = keepAliveAgent(t)
  const open = { ...EVENT, agent, ca: FIRST, body: '{"event":"x"}' }
  t.match(await call(url, open), { ...STORED, reused: false, headers: { 'keep-alive': 'timeout=120' } })

  writePair(dir, 'second')
  server.reload()

  t.match(await call(url, { ...EVENT, ca: SECOND, body: '{"event":"x"}' }), STORED)
  await t.rejects(call(url, { ...EVENT, ca: FIRST, body: '{"event":"x"}' }), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
  t.match(await call(url, open), { ...STORED, reused: true })
  t.match(lines.at(-1), { level: 30, msg: 'certificate was read again', valid_to: '2126-01-01T00:00:00.000Z' })
  t.equal((await call(url, { path: '/healthz', ca: SECOND, maxVersion: 'TLSv1.2' })).status, 200)
})

const BROKEN: readonly { what: string, damage: (dir: string) => void, message: RegExp }[] = [
  { what: 'a missing certificate', damage: dir => rmSync(join(dir, 'cert.pem')), message: /^listen\.tls\.cert: ENOENT/ },
  { what: 'a missing key', damage: dir => rmSync(join(dir, 'key.pem')), message: /^listen\.tls\.key: ENOENT/ },
  { what: 'an empty certificate', damage: dir => writeFileSync(join(dir, 'cert.pem'), ''), message: /^listen\.tls\.cert: is no usable certificate in PEM: / },
  { what: 'a certificate cut short', damage: dir => writeFileSync(join(dir, 'cert.pem'), FIRST.subarray(0, 300)), message: /^listen\.tls\.cert: is no usable certificate in PEM: / },
  { what: 'a broken certificate behind the first', damage: dir => writeFileSync(join(dir, 'cert.pem'), `${FIRST}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`), message: /^listen\.tls\.cert: is no usable certificate in PEM: / },
  { what: 'a certificate for a key', damage: dir => writeFileSync(join(dir, 'key.pem'), FIRST), message: /^listen\.tls\.key: is no private key in PEM without a passphrase: / },
  { what: 'the key of another certificate', damage: dir => copyFileSync(pem('second', 'key'), join(dir, 'key.pem')), message: /^listen\.tls\.key: is not the key of the first certificate in listen\.tls\.cert$/ },
]
t.test('files that can not be used stop the start, with the key that names them', async t => {
  for (const { what, damage, message } of BROKEN) {
    const { dir, file } = tlsDir(t)
    damage(dir)
    const config = loadConfig({ file, env: {}, flags: {}, cwd: dir })

    await t.rejects(openServer(config, { clock: systemClock, log: pino({ level: 'silent' }), version: '0' }), { name: 'ConfigError', message }, what)
  }
})

t.test('files that can not be used at a reload leave the old certificate in use, and are logged', async t => {
  const { server, url, dir, lines } = await tlsServer(t)
  for (const { what, damage, message } of BROKEN) {
    writePair(dir, 'first')
    damage(dir)
    server.reload()

    t.match(lines.at(-1), { level: 50, msg: 'certificate could not be read again, the old one stays in use', err: { message } }, what)
    t.equal((await call(url, { path: '/healthz', ca: FIRST })).status, 200, what)
  }

  writePair(dir, 'second')
  server.reload()
  t.equal((await call(url, { path: '/healthz', ca: SECOND })).status, 200, 'a good pair is taken again')
})

t.test('by the name localhost too, every connection gets the new certificate', async t => {
  const { server, url, port, dir } = await tlsServer(t, { host: 'localhost' })
  writePair(dir, 'second')
  server.reload()

  t.match(url, /^https:/)
  t.equal((await call(`https://localhost:${port}`, { path: '/healthz', ca: SECOND })).status, 200)
  const other = url.includes('[::1]') ? '127.0.0.1' : '[::1]'
  await t.rejects(call(`https://${other}:${port}`, { path: '/healthz', ca: SECOND }), { code: /^E(CONNREFUSED|ADDRNOTAVAIL|NETUNREACH|AFNOSUPPORT)$/ }, 'one address is listened on')
})

t.test('plain HTTP, garbage and handshakes that stop halfway hurt nobody else', async t => {
  const { url, port } = await tlsServer(t)
  const agent = keepAliveAgent(t)
  const post = () => call(url, { ...EVENT, agent, ca: FIRST, body: '{"event":"x"}' })
  t.match(await post(), STORED)

  const silent = await openSocket(t, port)
  const halfway = await openSocket(t, port)
  halfway.write(Buffer.from([0x16, 0x03, 0x01])) // the head of a TLS record, without its length
  const garbage = await openSocket(t, port)
  garbage.write(Buffer.from([0x16, 0x03, 0x01, 0x00, 0x04, 1, 2, 3, 4]))
  const gone = await openSocket(t, port)
  gone.write(Buffer.from([0x16, 0x03]))
  gone.abort()

  await t.rejects(new Promise((resolve, reject) => { get(`http://127.0.0.1:${port}/healthz`, resolve).on('error', reject) }))
  t.notMatch(await garbage.read('HTTP/1.1'), 'HTTP/1.1', 'closed without an answer')
  t.match(await post(), { ...STORED, reused: true })
  t.match(await call(url, { ...EVENT, ca: FIRST, body: '{"event":"x"}' }), STORED)
  t.equal(await silent.read('HTTP/1.1'), '', 'closed when it has not shaken hands in time')
  t.equal(await halfway.read('HTTP/1.1'), '')
  t.match(await post(), { ...STORED, reused: true })
})

t.test('at shutdown open connections get code 23 and are closed, and one that shakes no hands does not hold it up', async t => {
  let drain = () => {}
  const drained = new Promise<void>(resolve => { drain = resolve })
  const clock: Clock = { now: systemClock.now, sleep: (ms, signal) => ms < 1000 ? drained : systemClock.sleep(ms, signal) }
  const { close, url, port } = await tlsServer(t, { clock })
  t.teardown(() => drain()) // before the server is closed, whatever fails below
  const agent = keepAliveAgent(t)
  const post = () => call(url, { ...EVENT, agent, ca: FIRST, body: '{"event":"x"}' })
  t.match(await post(), STORED)
  await openSocket(t, port)
  const unfinished = connect({ port, host: '127.0.0.1', ca: FIRST })
  unfinished.on('error', () => {})
  await once(unfinished, 'secureConnect')
  unfinished.resume().write('POST /services/collector HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n')

  const closing = close()
  t.match(await post(), { status: 503, reused: true, headers: { connection: 'close' }, body: '{"text":"Server is shutting down","code":23}' })
  drain()

  await Promise.all([closing, once(unfinished, 'close')])
})

t.test('SIGHUP makes the process read its certificate again', async t => {
  const { dir, file } = tlsDir(t)
  const run = hecate(t, ['serve', '--config', file, '--data-dir', join(dir, 'data')], { cwd: tempDir(t) })
  const [, url] = await printedBy(run, /"url":"(https:[^"]+)".*"msg":"serving"/) as unknown as [string, string]
  t.match(await call(url, { ...EVENT, ca: FIRST, body: '{"event":"x"}' }), STORED)

  rmSync(join(dir, 'key.pem'))
  run.child.kill('SIGHUP')
  await printedBy(run, /"level":50.*listen\.tls\.key.*"msg":"certificate could not be read again, the old one stays in use"/)
  t.match(await call(url, { ...EVENT, ca: FIRST, body: '{"event":"x"}' }), STORED)

  writePair(dir, 'second')
  run.child.kill('SIGHUP')
  await printedBy(run, /"level":30.*"valid_to":"2126-01-01T00:00:00\.000Z","msg":"certificate was read again"/)
  t.match(await call(url, { ...EVENT, ca: SECOND, body: '{"event":"x"}' }), STORED)

  run.child.kill('SIGTERM')
  t.equal(await run.exited, 0)
})

t.test('SIGHUP without a certificate is survived', async t => {
  const dir = tempDir(t)
  const run = hecate(t, ['serve', '--config', writeConfig(dir, '')], { cwd: dir })
  const [, url] = await printedBy(run, /"url":"(http:[^"]+)".*"msg":"serving"/) as unknown as [string, string]

  run.child.kill('SIGHUP')
  await printedBy(run, /"msg":"there is no certificate to read again"/)

  t.equal((await fetch(`${url}/healthz`)).status, 200)
  run.child.kill('SIGTERM')
  t.equal(await run.exited, 0)
})

t.test('a certificate that can not be used ends the process with exit code 2, and half a pair too', async t => {
  const { dir, file } = tlsDir(t)
  rmSync(join(dir, 'cert.pem'))
  const missing = hecate(t, ['serve', '--config', file], { cwd: dir })
  t.equal(await missing.exited, 2)
  t.match(missing.printed.stderr, /^hecate serve: listen\.tls\.cert: ENOENT/)

  writeConfig(dir, ', tls: { cert: cert.pem }')
  const half = hecate(t, ['serve', '--config', file], { cwd: dir })
  t.equal(await half.exited, 2)
  t.match(half.printed.stderr, /hecate\.yaml:2: listen\.tls\.key: /)
})
