import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { tempDir, TOKEN } from '../fixtures/app.js'
import { openBusyProxy } from '../fixtures/busy-proxy.js'
import { PATH, withoutSyslogNg } from '../fixtures/clients.js'
import { printedBy, start } from '../fixtures/process.js'
import { startServer } from '../fixtures/server.js'

t.setTimeout(300_000) // each test starts a server as a process, on a machine that may be busy

const skip = withoutSyslogNg()

const BATCH_LINES = 3

const METADATA = 'index=main&source=syslog-ng&sourcetype=nix:syslog'

/** Destinations in the shape of syslog-ng's own splunk.conf (hec.md section 9), which came after the version that Debian has. */
const DESTINATIONS = {
  event: {
    path: `/services/collector/event/1.0?${METADATA}`,
    type: 'application/json',
    body: '$(format-json --scope none host="$HOST" time="$S_UNIXTIME.$S_MSEC" event="$MSG")',
  },
  raw: {
    path: `/services/collector/raw/1.0?channel=5ac8eFF0-0c1d-4e57-9a7e-2f4d1c0b9a3e&${METADATA}`,
    type: 'text/plain',
    body: '$S_ISODATE $HOST $MSGHDR$MSG',
  },
}

/** syslog-ng in the foreground, once it follows its file of RFC 5424 lines; killed with `t`. */
async function startSyslogNg (t: Test, url: string, kind: keyof typeof DESTINATIONS) {
  const cwd = tempDir(t)
  const path = (name: string) => join(cwd, name)
  const destination = DESTINATIONS[kind]
  const text = (value: string) => `'${value}'` // nothing is escaped within single quotes
  writeFileSync(path('lines'), '')
  writeFileSync(path('syslog-ng.conf'), `@version: current
    options { keep-hostname(yes); stats-freq(0); time-reopen(1); };
    source lines { file(${text(path('lines'))} follow-freq(0.1) flags(syslog-protocol)); };
    destination hec {
      http(
        url(${text(url + destination.path)})
        method('POST')
        headers(${text(`Authorization: Splunk ${TOKEN}`)} ${text(`Content-Type: ${destination.type}`)} 'Connection: keep-alive')
        body(${text(destination.body)})
        body-prefix('')
        delimiter("\\n")
        batch-lines(${BATCH_LINES})
        batch-timeout(1000)
        timeout(10)
        retries(3)
      );
    };
    log { source(lines); destination(hec); };
  `)
  const args = ['--foreground', '--stderr', '--no-caps', '--cfgfile', path('syslog-ng.conf'), '--persist-file', path('persist'), '--pidfile', path('pid'), '--control', path('control')]
  const run = start(t, 'syslog-ng', args, { cwd, env: { PATH } })
  await printedBy(run, /syslog-ng starting up/, 'stderr')
  return {
    printed: run.printed,
    write: (lines: readonly string[]) => { appendFileSync(path('lines'), lines.map(line => `${line}\n`).join('')) },
    /** Ends it as an init system does; resolves to its exit code when it has sent what it can. */
    async stop (): Promise<number | null> {
      run.child.kill('SIGTERM')
      return run.exited
    },
  }
}

/** Messages of a machine `web-1`, a millisecond apart. */
const message = (n: number, text: string) => `<13>1 2026-03-10T11:20:00.${String(n).padStart(3, '0')}Z web-1 shop 42 - - ${text}`
const messages = (from: number, count: number) => Array.from({ length: count }, (_, n) => message(from + n, `order ${from + n}, "Käse" \\o/`))
const events = (from: number, count: number) => Array.from({ length: count }, (_, n) => ({
  time: (1773141600_000 + from + n) / 1000, host: 'web-1', source: 'syslog-ng', sourcetype: 'nix:syslog', index: 'main', event: `order ${from + n}, "Käse" \\o/`,
}))

type Stored = Awaited<ReturnType<Awaited<ReturnType<typeof startServer>>['stored']>>
const shown = (stored: Stored) => stored.map(({ time, host, source, sourcetype, index, event }) => ({ time, host, source, sourcetype, index, event }))

t.test('syslog-ng delivers each message once to /event, in batches', { skip }, async t => {
  const { url, stored } = await startServer(t)
  const syslogNg = await startSyslogNg(t, url, 'event')

  syslogNg.write(messages(0, 10))
  t.strictSame(shown(await stored(10)), events(0, 10), syslogNg.printed.stderr)
  syslogNg.write(messages(10, 4))
  await stored(14)

  t.equal(await syslogNg.stop(), 0)
  t.strictSame(shown(await stored(14)), events(0, 14), syslogNg.printed.stderr)
})

t.test('syslog-ng delivers each message once to /raw, in batches', { skip }, async t => {
  const { url, stored } = await startServer(t)
  const syslogNg = await startSyslogNg(t, url, 'raw')

  syslogNg.write([message(0, 'started'), message(7, '{"order":1}'), message(8, 'a "quoted" text'), message(9, 'Käse')])
  await stored(4)

  t.equal(await syslogNg.stop(), 0)
  const lines = await stored(4)
  t.strictSame(lines.map(({ raw }) => raw), [
    '2026-03-10T11:20:00+00:00 web-1 shop[42]: started',
    '2026-03-10T11:20:00+00:00 web-1 shop[42]: {"order":1}',
    '2026-03-10T11:20:00+00:00 web-1 shop[42]: a "quoted" text',
    '2026-03-10T11:20:00+00:00 web-1 shop[42]: Käse',
  ], syslogNg.printed.stderr)
  for (const line of lines) t.match(line, { host: '127.0.0.1', source: 'syslog-ng', sourcetype: 'nix:syslog', index: 'main' })
})

t.test('syslog-ng sends a batch again until it is taken, however many 503 and whatever its retries()', { skip }, async t => {
  const { url, stored } = await startServer(t)
  const proxy = await openBusyProxy(t, url)
  proxy.refuse(4)
  const syslogNg = await startSyslogNg(t, proxy.url, 'event')

  syslogNg.write(messages(0, 6))
  await stored(6)

  t.equal(await syslogNg.stop(), 0)
  t.strictSame(shown(await stored(6)), events(0, 6), syslogNg.printed.stderr)
  const statuses = proxy.requests.map(({ status }) => status)
  t.strictSame(statuses.slice(0, 5), [503, 503, 503, 503, 200])
  const [first, ...again] = proxy.requests.slice(0, 5).map(({ body }) => body)
  for (const body of again) t.equal(body, first, 'the same batch, to the byte')
  for (const { body } of proxy.requests) t.ok(body.trimEnd().split('\n').length <= BATCH_LINES)
})

t.test('syslog-ng loses nothing and sends nothing twice while the server is started again', { skip }, async t => {
  const first = await startServer(t)
  const proxy = await openBusyProxy(t, first.url) // it keeps its port while the server's changes
  const syslogNg = await startSyslogNg(t, proxy.url, 'event')
  syslogNg.write(messages(0, 5))
  await first.stored(5)

  t.equal(await first.stop(), 0)
  syslogNg.write(messages(5, 5))
  const second = await startServer(t, { cwd: first.cwd })
  proxy.turnTo(second.url)
  await second.stored(10)

  t.equal(await syslogNg.stop(), 0)
  t.strictSame(shown(await second.stored(10)), events(0, 10), syslogNg.printed.stderr)
})

/** A message without text is code 13: what stood before it in the batch is stored, nothing of it and after it. */
const POISONED = [message(0, 'before'), message(1, ''), message(2, 'after')]

t.test('syslog-ng sends a batch again after a 400 too, so what stood before the fault is stored again and again', { skip }, async t => {
  const { url, stored } = await startServer(t)
  const syslogNg = await startSyslogNg(t, url, 'event')

  syslogNg.write(POISONED)
  await stored(2)

  await syslogNg.stop()
  const found = await stored(2)
  t.ok(found.length >= 2, syslogNg.printed.stderr)
  for (const { event } of found) t.equal(event, 'before')
})

t.test('with hec.resend_window it is stored once', { skip }, async t => {
  const { url, stored } = await startServer(t, { hec: { resend_window: '10m' } })
  const proxy = await openBusyProxy(t, url)
  const syslogNg = await startSyslogNg(t, proxy.url, 'event')

  syslogNg.write(POISONED)
  await proxy.answered(3)

  await syslogNg.stop()
  t.ok(proxy.requests.every(({ status }) => status === 400))
  t.strictSame((await stored(1)).map(({ event }) => event), ['before'], syslogNg.printed.stderr)
})
