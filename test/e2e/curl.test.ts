import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import t from 'tap'
import { TOKEN } from '../fixtures/app.js'
import { openBusyProxy } from '../fixtures/busy-proxy.js'
import { withoutCurl } from '../fixtures/clients.js'
import { start } from '../fixtures/process.js'
import { startServer } from '../fixtures/server.js'

t.setTimeout(300_000) // each test starts a server as a process, on a machine that may be busy

const skip = withoutCurl()

const SUCCESS = '{"text":"Success","code":0}'
const BY_TOKEN = ['-H', `Authorization: Splunk ${TOKEN}`]

/** Runs curl to its end, without anybody's .curlrc. */
async function curl (t: Test, cwd: string, args: readonly string[]) {
  const { printed, exited } = start(t, 'curl', ['-q', '-sS', ...args], { cwd })
  return { exitCode: await exited, ...printed }
}

t.test('curl -d delivers an event as a form', { skip }, async t => {
  const { cwd, url, stored } = await startServer(t)

  const beforeMs = Date.now()
  const run = await curl(t, cwd, [`${url}/services/collector/event`, '-v', ...BY_TOKEN, '-d', '{"event":"Grüße, \\"hello\\" & 100%"}'])
  const afterMs = Date.now()

  t.strictSame([run.exitCode, run.stdout], [0, SUCCESS])
  t.match(run.stderr, /^> Content-Type: application\/x-www-form-urlencoded/im)
  const events = await stored(1)
  t.match(events, [{ event: 'Grüße, "hello" & 100%', host: '127.0.0.1', source: 'http:e2e', sourcetype: 'httpevent', index: 'main' }])
  t.equal(events.length, 1)
  t.ok(events[0]!.time * 1000 >= beforeMs - 0.5 && events[0]!.time * 1000 <= afterMs + 0.5, 'the time is that of arrival')
})

/** Envelopes with all metadata, as many as make 2 MB. */
const ENVELOPES = Array.from({ length: 20 }, (_, n) => ({
  time: 1773141600 + n / 8, host: `web-${n}`, source: '/var/log/app', sourcetype: 'app', index: 'main', event: `${n} ${'x'.repeat(100_000)}`,
}))
const BODY = ENVELOPES.map(envelope => JSON.stringify(envelope)).join('\n')

const WAYS = [
  { what: 'a file of 2 MB, with Expect: 100-continue', args: ['--data-binary', '@events'], said: [/^> Content-Length: \d{7}/im, /^> Expect: 100-continue/im, /^< HTTP\/1\.1 100 Continue/im] },
  { what: 'gzip', args: ['-H', 'Content-Encoding: gzip', '--data-binary', '@events.gz'], said: [/^> Content-Encoding: gzip/im] },
  { what: 'chunked', args: ['-H', 'Transfer-Encoding: chunked', '--data-binary', '@events'], said: [/^> Transfer-Encoding: chunked/im] },
  { what: 'gzip, as an upload', args: ['-X', 'POST', '-H', 'Content-Encoding: gzip', '-T', 'events.gz'], said: [/^> Content-Encoding: gzip/im] },
]
for (const { what, args, said } of WAYS) {
  t.test(`curl delivers each event once: ${what}`, { skip }, async t => {
    const { cwd, url, stored } = await startServer(t)
    writeFileSync(join(cwd, 'events'), BODY)
    writeFileSync(join(cwd, 'events.gz'), gzipSync(BODY))

    const run = await curl(t, cwd, [`${url}/services/collector`, '-v', ...BY_TOKEN, ...args])

    t.strictSame([run.exitCode, run.stdout], [0, SUCCESS])
    for (const line of said) t.match(run.stderr, line)
    const events = await stored(ENVELOPES.length)
    t.strictSame(events.map(({ time, host, source, sourcetype, index, event }) => ({ time, host, source, sourcetype, index, event })), ENVELOPES)
  })
}

t.test('curl delivers the lines of a file to /raw', { skip }, async t => {
  const { cwd, url, stored } = await startServer(t)
  writeFileSync(join(cwd, 'lines'), 'first line\r\n\n{"second":"line"}\nlast line')

  const run = await curl(t, cwd, [`${url}/services/collector/raw?sourcetype=app&source=lines&host=web-1`, ...BY_TOKEN, '--data-binary', '@lines'])

  t.strictSame([run.exitCode, run.stdout], [0, SUCCESS])
  const events = await stored(3)
  t.strictSame(events.map(({ raw }) => raw), ['first line', '{"second":"line"}', 'last line'])
  for (const event of events) t.match(event, { host: 'web-1', source: 'lines', sourcetype: 'app', index: 'main' })
})

t.test('curl -u sends the token as a password, of any user', { skip }, async t => {
  const { cwd, url, stored } = await startServer(t)

  const run = await curl(t, cwd, [`${url}/services/collector/event/1.0`, '-u', `x:${TOKEN}`, '-d', '{"event":"basic"}'])

  t.strictSame([run.exitCode, run.stdout], [0, SUCCESS])
  t.strictSame((await stored(1)).map(({ event }) => event), ['basic'])
})

t.test('curl --retry sends again after a 503, and the event is there once', { skip }, async t => {
  const { cwd, url, stored } = await startServer(t)
  const proxy = await openBusyProxy(t, url)

  proxy.refuse(2)
  const run = await curl(t, cwd, [`${proxy.url}/services/collector/event`, '--retry', '3', ...BY_TOKEN, '-d', '{"event":"in the end"}'])

  t.strictSame(proxy.requests.map(({ status }) => status), [503, 503, 200])
  t.equal(run.exitCode, 0)
  t.match(run.stdout, SUCCESS)
  t.strictSame((await stored(1)).map(({ event }) => event), ['in the end'])
})

t.test('curl without --retry shows the 503, and --fail makes it an error', { skip }, async t => {
  const { cwd, url, stored } = await startServer(t)
  const proxy = await openBusyProxy(t, url)

  proxy.refuse(2)
  const shown = await curl(t, cwd, [`${proxy.url}/services/collector/event`, ...BY_TOKEN, '-d', '{"event":"lost"}'])
  const failed = await curl(t, cwd, [`${proxy.url}/services/collector/event`, '--fail', ...BY_TOKEN, '-d', '{"event":"lost"}'])

  t.strictSame([shown.exitCode, shown.stdout], [0, '{"text":"Server is busy","code":9}'])
  t.strictSame([failed.exitCode, failed.stdout], [22, ''])
  t.strictSame(await stored(0), [])
})

t.test('curl -X OPTIONS needs no token', { skip }, async t => {
  const { cwd, url } = await startServer(t)
  for (const path of ['/services/collector/event/1.0', '/services/collector/raw', '/services/collector/ack']) {
    const { stdout } = await curl(t, cwd, [`${url}${path}`, '-i', '-X', 'OPTIONS'])
    t.match(stdout, /^HTTP\/1\.1 200 OK\r\n/, path)
    t.match(stdout, /^allow: POST,OPTIONS\r$/im, path)
    t.match(stdout, /\r\n\r\n$/, path)
  }
})
