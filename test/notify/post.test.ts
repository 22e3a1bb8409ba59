import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { loadConfig } from '../../src/config.js'
import { resourcePath } from '../../src/resource.js'
import { systemClock } from '../../src/schedule/loop.js'
import { openServer } from '../../src/server.js'
import { bearer, tempDir, VIEWER_KEY } from '../fixtures/app.js'
import type { TestApp } from '../fixtures/app.js'
import { openReceiver, tellingApp } from '../fixtures/receiver.js'
import { get } from '../fixtures/rules.js'

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`

async function tryOut ({ app }: Pick<TestApp, 'app'>, name = 'soc') {
  const res = await app.inject({ method: 'POST', url: `/api/v1/targets/${name}/test`, headers: bearer })
  return res.json() as { succeeded: boolean, status: number | null, elapsed_ms: number | null, answer: string | null, error: string | null }
}

t.test('a test sends a message that says so, and gives what the target answered; nothing is written down', async t => {
  const { received, url } = await openReceiver(t, (_request, response) => { response.writeHead(202).end('thanks') })
  const target = { url, max_per_minute: 1 }
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', ...target }, { name: 'chat', type: 'slack', ...target }, { name: 'es', type: 'splunk', token: 'abc', ...target }])

  for (const name of ['soc', 'chat', 'es', 'soc']) {
    const { elapsed_ms: elapsedMs, ...result } = await tryOut(server, name)
    t.strictSame(result, { succeeded: true, status: 202, answer: 'thanks', error: null })
    t.ok(elapsedMs! >= 0)
  }

  t.match(JSON.parse(received[0]!.body), { type: 'test', data: { detection: { name: 'Hecate - Test' }, risk: { message: 'A test message of Hecate. Nothing was found.' } } })
  t.match(JSON.parse(received[1]!.body), { blocks: [{ text: { text: 'Test: informational 0 · Hecate - Test' } }] })
  t.match(JSON.parse(received[2]!.body), { index: 'risk', event: /risk_object="hecate-test".*risk_score="0"/ })
  t.not(received[0]!.headers['webhook-id'], received[3]!.headers['webhook-id'])
  t.strictSame((await get(server, 'deliveries')).items, [])
})

t.test('a redirect is not followed, and is a failure', async t => {
  const other = await openReceiver(t)
  const { received, url } = await openReceiver(t, (_request, response) => { response.writeHead(307, { location: other.url }).end() })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url }])

  t.match(await tryOut(server), { succeeded: false, status: 307, error: 'answered 307' })
  t.strictSame([received.length, other.received.length], [1, 0])
})

t.test('of an answer the first 200 characters are shown, on one line and without the secrets that were sent', async t => {
  const { url } = await openReceiver(t, (request, response) => {
    response.writeHead(500, { 'content-type': 'text/html' }).end(`\u001b[31m${request.headers.authorization} \u202e${SECRET}\r\n/hook?key=secret ${'x'.repeat(300)}`)
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url: `${url}?key=secret`, secret: SECRET, headers: { Authorization: 'Bearer a-secret' } }])

  const { answer, error } = await tryOut(server)

  t.match(answer, /^\\u\{1b\}\[31m\*\*\* \\u\{202e\}\*\*\*\\u\{d\}\\u\{a\}\*\*\* x{100,}…$/)
  t.ok(answer!.replace(/\\u\{\w+\}/g, '.').length <= 201)
  t.equal(error, `answered 500: ${answer!}`)
  t.notMatch((await server.app.inject({ url: '/api/v1/targets', headers: { authorization: `Bearer ${VIEWER_KEY}` } })).body, /secret|\/hook/)
})

t.test('an answer without an end is read no further than 16 KB, and one that breaks off has its status', async t => {
  let written = 0
  const { url } = await openReceiver(t, (_request, response) => {
    const more = () => {
      written += 4096
      if (!response.destroyed && written < 64 << 20) response.write('y'.repeat(4096), () => setImmediate(more))
    }
    more()
  })
  const short = await openReceiver(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('begun', () => response.destroy())
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url }, { name: 'short', type: 'webhook', url: short.url }])

  t.match(await tryOut(server), { succeeded: true, status: 200, answer: `${'y'.repeat(200)}…` })
  t.match(await tryOut(server, 'short'), { succeeded: true, status: 200, answer: 'begun' })
  t.ok(written < 64 << 20)
})

t.test('a target that does not answer in time has failed; one that has begun to has its status', async t => {
  const silent = await openReceiver(t, () => {})
  const slow = await openReceiver(t, (_request, response) => {
    response.writeHead(200)
    response.write('slow')
  })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url: silent.url, timeout: '1s' }, { name: 'slow', type: 'webhook', url: slow.url, timeout: '1s' }])

  t.match(await tryOut(server), { succeeded: false, status: null, elapsed_ms: null, answer: null, error: 'no answer within 1 s' })
  t.match(await tryOut(server, 'slow'), { succeeded: true, status: 200, answer: 'slow' })
})

t.test('what is no HTTP, or closes, or refuses, has failed, and says how', async t => {
  const noise = createServer(socket => socket.resume().end('SSH-2.0-OpenSSH\r\n'))
  noise.listen(0, '127.0.0.1')
  await once(noise, 'listening')
  t.teardown(() => noise.close())
  const noisePort = (noise.address() as AddressInfo).port
  const closed = createServer()
  closed.listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const closedPort = (closed.address() as AddressInfo).port
  closed.close()
  await once(closed, 'close')
  const server = await tellingApp(t, [{ name: 'noise', type: 'slack', url: `http://127.0.0.1:${noisePort}/` }, { name: 'closed', type: 'slack', url: `http://127.0.0.1:${closedPort}/` }])

  t.match(await tryOut(server, 'noise'), { succeeded: false, status: null, error: /^Parse Error/ })
  t.match(await tryOut(server, 'closed'), { succeeded: false, status: null, error: `connect ECONNREFUSED 127.0.0.1:${closedPort}` })
})

t.test('HTTPS is verified, against the certificates of `ca` too', async t => {
  const pem = (name: string) => readFileSync(resourcePath(`test/fixtures/tls/${name}.pem`), 'utf8')
  const { received, url } = await openReceiver(t, undefined, { cert: pem('first.cert'), key: pem('first.key') })
  const named = url.replace('127.0.0.1', 'localhost')
  const ca = (name: string) => resourcePath(`test/fixtures/tls/${name}.cert.pem`)
  const server = await tellingApp(t, [
    { name: 'unknown', type: 'slack', url: named },
    { name: 'other', type: 'slack', url: named, ca: ca('second') },
    { name: 'known', type: 'slack', url: named, ca: ca('first') },
  ])

  t.match(await tryOut(server, 'unknown'), { succeeded: false, status: null, error: /self-signed|self signed|unable to verify/ })
  t.match(await tryOut(server, 'other'), { succeeded: false, status: null, error: /self-signed|self signed|unable to verify/ })
  t.equal(received.length, 0)
  t.match(await tryOut(server, 'known'), { succeeded: true, status: 200 })
})

t.test('a proxy of the environment is not used', async t => {
  const proxy = await openReceiver(t)
  const { received, url } = await openReceiver(t)
  for (const name of ['http_proxy', 'HTTP_PROXY', 'NODE_USE_ENV_PROXY']) {
    const before = process.env[name]
    process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : new URL(proxy.url).origin
    t.teardown(() => { if (before === undefined) delete process.env[name]; else process.env[name] = before })
  }
  const server = await tellingApp(t, [{ name: 'soc', type: 'slack', url }])

  t.match(await tryOut(server), { succeeded: true })
  t.strictSame([received.length, proxy.received.length], [1, 0])
})

t.test('a file of certificates that is none stops the start', async t => {
  for (const ca of ['/nowhere.pem', resourcePath('package.json'), resourcePath('test/fixtures/tls/first.key.pem')]) {
    const cwd = tempDir(t)
    writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({ notify: [{ name: 'soc', type: 'slack', url: 'https://a', ca }] }))
    const config = loadConfig({ file: 'hecate.yaml', env: {}, flags: {}, cwd })
    await t.rejects(openServer(config, { clock: systemClock, log: pino({ level: 'silent' }), version: '0.0.0' }), { name: 'ConfigError', message: /^notify\.0\.ca: / })
  }
})
