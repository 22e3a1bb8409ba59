import { hostname } from 'node:os'
import { once } from 'node:events'
import type { EventEmitter } from 'node:events'
import t from 'tap'
import { TOKEN } from '../fixtures/app.js'
import { openBusyProxy } from '../fixtures/busy-proxy.js'
import { loadClient, withoutModules } from '../fixtures/clients.js'
import { startServer } from '../fixtures/server.js'

t.setTimeout(300_000) // each test starts a server as a process, on a machine that may be busy

/** What an application tells these clients; the rest is as they come. */
interface Settings { readonly url: string, readonly token: string, readonly maxRetries?: number }

interface HecFailure extends Error { readonly code?: number | string }

/** A client as an application has set it up. Failures go to `failed`. */
interface Client {
  readonly name: string
  readonly modules: readonly string[]
  /** Gives a function that sends a text and resolves when the client is through with it. */
  open (settings: Settings, failed: (error: HecFailure) => void): (text: string) => Promise<unknown>
  /** What it makes of a text. */
  readonly toEvent: (text: string) => unknown
  readonly metadata: { readonly host: string, readonly source: string, readonly sourcetype: string, readonly index: string }
}

interface Logger {
  error: (error: HecFailure) => void
  send (context: { message: unknown }, done: () => void): void
}

const WINSTON_INDEX = 'winston-index'

const CLIENTS: readonly Client[] = [
  {
    name: 'splunk-logging',
    modules: ['splunk-logging'],
    open (settings, failed) {
      const { Logger } = loadClient('splunk-logging') as { Logger: new (settings: Settings) => Logger }
      const logger = new Logger(settings)
      logger.error = failed
      return text => new Promise<void>(resolve => logger.send({ message: text }, resolve))
    },
    toEvent: text => ({ message: text, severity: 'info' }),
    metadata: { host: '127.0.0.1', source: 'http:e2e', sourcetype: 'httpevent', index: 'main' },
  },
  {
    name: 'winston-splunk-httplogger',
    modules: ['winston', 'winston-splunk-httplogger'],
    open (settings, failed) {
      const winston = loadClient('winston') as { createLogger (options: object): { info (text: string): void } }
      const Transport = loadClient('winston-splunk-httplogger') as new (options: { splunk: Settings }) => EventEmitter & { server: Logger }
      const transport = new Transport({ splunk: settings })
      transport.server.error = failed // its event `error` is for requests that got no answer
      const logger = winston.createLogger({ transports: [transport] })
      return text => {
        const logged = once(transport, 'logged')
        logger.info(text)
        return logged
      }
    },
    toEvent: text => ({ message: { msg: text, meta: { level: 'info', message: text } }, severity: 'info' }),
    metadata: { host: '127.0.0.1', source: 'winston', sourcetype: 'winston-splunk-logger', index: WINSTON_INDEX },
  },
  {
    name: 'splunk-bunyan-logger',
    modules: ['bunyan', 'splunk-bunyan-logger'],
    open (settings, failed) {
      const bunyan = loadClient('bunyan') as { createLogger (options: object): { info (text: string): void } }
      const { createStream } = loadClient('splunk-bunyan-logger') as {
        createStream (settings: Settings): { on (event: 'error', failed: (error: HecFailure) => void): void, stream: { send: () => void } }
      }
      const stream = createStream(settings)
      stream.on('error', failed)
      const logger = bunyan.createLogger({ name: 'shop', streams: [stream] })
      return text => new Promise<void>(resolve => {
        stream.stream.send = resolve // it is called with the answer
        logger.info(text)
      })
    },
    toEvent: text => ({ message: { name: 'shop', pid: process.pid, msg: text, v: 0 }, severity: 'info' }),
    metadata: { host: hostname(), source: 'http:e2e', sourcetype: 'httpevent', index: 'main' },
  },
]

const TEXTS = ['GET /cart 200', 'käse "quoted" \\ back\nsecond line 🧀', '0']

for (const { name, modules, open, toEvent, metadata } of CLIENTS) {
  const skip = withoutModules(modules)

  t.test(`${name} delivers each event once, with url and token alone`, { skip }, async t => {
    const { url, stored } = await startServer(t, { indexes: ['main', WINSTON_INDEX] })
    const failures: HecFailure[] = []
    const send = open({ url, token: TOKEN }, error => failures.push(error))

    const beforeMs = Date.now()
    for (const text of TEXTS) await send(text)
    const afterMs = Date.now()

    const events = await stored(TEXTS.length)
    t.strictSame(failures, [])
    t.strictSame(events.map(({ event }) => event), TEXTS.map(toEvent))
    for (const { time, host, source, sourcetype, index } of events) {
      t.strictSame({ host, source, sourcetype, index }, metadata)
      t.ok(time * 1000 >= beforeMs - 0.5 && time * 1000 <= afterMs + 0.5, 'the time is that of the call')
    }
  })

  t.test(`${name} tells the application of a 503 after one request, whatever its maxRetries, and sends the next event`, { skip }, async t => {
    const { url, stored } = await startServer(t, { indexes: ['main', WINSTON_INDEX] })
    const proxy = await openBusyProxy(t, url)
    const failures: HecFailure[] = []
    const send = open({ url: proxy.url, token: TOKEN, maxRetries: 2 }, error => failures.push(error))

    proxy.refuse(1)
    await send('refused')
    await send('taken')

    t.strictSame(proxy.requests.map(({ status }) => status), [503, 200])
    t.strictSame(failures.map(({ code, message }) => ({ code, message })), [{ code: 9, message: 'Server is busy' }])
    const { path, headers, body } = proxy.requests[1]!
    t.match({ path, headers }, {
      path: '/services/collector/event/1.0',
      headers: { authorization: `Splunk ${TOKEN}`, 'content-type': 'application/x-www-form-urlencoded', connection: 'close' },
    })
    const envelope = JSON.parse(body) as { time: string }
    t.match(envelope.time, /^\d{10}\.\d{3}$/)
    t.match(await stored(1), [{ event: toEvent('taken'), time: Number(envelope.time) }])
    t.equal((await stored(1)).length, 1, 'what was refused is lost')
  })
}

t.test('winston-splunk-httplogger tells the application of code 7 where its index does not exist', { skip: withoutModules(['winston', 'winston-splunk-httplogger']) }, async t => {
  const { url, stored } = await startServer(t)
  const failures: HecFailure[] = []
  const winston = CLIENTS.find(({ name }) => name === 'winston-splunk-httplogger')!
  const send = winston.open({ url, token: TOKEN }, error => failures.push(error))

  await send('nobody has its index')

  t.strictSame(failures.map(({ code, message }) => ({ code, message })), [{ code: 7, message: 'Incorrect index' }])
  t.strictSame(await stored(0), [])
})
