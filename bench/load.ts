import { connect } from 'node:net'
import { readOptions, sendResult, sendSample } from './child.js'
import { openGenerator } from './generator.js'

/** A process that sends HEC requests over some connections, one request at a time on each, and sends how it went to the parent. */

export interface LoadOptions {
  readonly port: number
  readonly token: string
  readonly connections: number
  readonly eventsPerRequest: number
  /** Replies of this time are not counted. */
  readonly warmUpMs: number
  readonly measureMs: number
  /** All connections together; null is as fast as they are answered. */
  readonly requestsPerSecond: number | null
  /** How often the parent is told how it goes; null is at the end alone. */
  readonly sampleMs: number | null
}

/** The time since the last sample, or since the start. */
export interface LoadSample {
  /** From the start of the measurement to the end of what this is of. */
  readonly atMs: number
  readonly eventsPerSecond: number
  /** Null where nothing was answered. */
  readonly p99: number | null
  readonly failures: number
}

export interface LoadResult {
  readonly eventsPerSecond: number
  /** Milliseconds from the first byte sent to the last byte of the reply; null where nothing was answered in time. */
  readonly p50: number | null
  readonly p99: number | null
  /** Replies that were no 200. */
  readonly failures: number
  /** Of an event's JSON, without its envelope. */
  readonly rawBytesPerEvent: number
}

/** Events in the requests that are sent over and over: 27 MB, and more than a block holds. */
const POOL_EVENTS = 6_400

const options = readOptions<LoadOptions>()
const { requests, rawBytesPerEvent } = buildRequests(options)
const startMs = performance.now() + options.warmUpMs
const endMs = startMs + options.measureMs
const latencies: number[] = []
let failures = 0

const sampler = options.sampleMs === null ? undefined : setInterval(openSampler(), options.sampleMs)
await Promise.all(Array.from({ length: options.connections }, (_, i) => runClient(i)))
clearInterval(sampler)
latencies.sort((a, b) => a - b)
sendResult({
  eventsPerSecond: latencies.length * options.eventsPerRequest / options.measureMs * 1_000,
  p50: percentile(latencies, 0.5),
  p99: percentile(latencies, 0.99),
  failures,
  rawBytesPerEvent,
} satisfies LoadResult)

/** Whole requests, head and body in one buffer, so that sending one costs as little as can be. */
function buildRequests ({ token, eventsPerRequest }: LoadOptions): { requests: Buffer[], rawBytesPerEvent: number } {
  const generator = openGenerator({ seed: eventsPerRequest, startUs: Date.now() * 1_000, stepUs: 100 })
  const requests = Array.from({ length: Math.ceil(POOL_EVENTS / eventsPerRequest) }, () => {
    const body = Buffer.from(generator.body(eventsPerRequest))
    const head = ['POST /services/collector/event HTTP/1.1', 'Host: localhost', `Authorization: Splunk ${token}`, 'Content-Type: application/json', `Content-Length: ${body.length}`]
    return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
  })
  return { requests, rawBytesPerEvent: generator.eventBytes / generator.events }
}

/** A function that sends what came since it was called last. */
function openSampler (): () => void {
  let lastMs = startMs
  let answered = 0
  let failed = 0
  return () => {
    const nowMs = performance.now()
    const since = latencies.slice(answered).sort((a, b) => a - b)
    sendSample({
      atMs: nowMs - startMs,
      eventsPerSecond: since.length * options.eventsPerRequest / (nowMs - lastMs) * 1_000,
      p99: percentile(since, 0.99),
      failures: failures - failed,
    } satisfies LoadSample)
    lastMs = nowMs
    answered += since.length
    failed = failures
  }
}

/** Resolves when the time is over. Sends every n-th request, beginning with its own. */
function runClient (number: number): Promise<void> {
  const { port, connections, requestsPerSecond } = options
  const intervalMs = requestsPerSecond === null ? 0 : connections / requestsPerSecond * 1_000
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let next = number
    let sentMs = 0
    let dueMs = performance.now() + intervalMs * number / connections
    let received = ''

    function send (): void {
      sentMs = performance.now()
      socket.write(requests[next % requests.length]!)
      next += connections
    }

    function sendWhenDue (): void {
      const nowMs = performance.now()
      if (nowMs >= endMs) socket.end()
      else if (nowMs >= dueMs) send()
      else setTimeout(sendWhenDue, dueMs - nowMs)
    }

    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('connect', sendWhenDue)
    socket.on('error', reject)
    socket.on('close', () => resolve())
    socket.on('data', (text: string) => {
      received += text
      if (!isWhole(received)) return
      const nowMs = performance.now()
      if (!received.startsWith('HTTP/1.1 200 ')) failures++
      else if (nowMs >= startMs && nowMs < endMs) latencies.push(nowMs - sentMs)
      received = ''
      dueMs += intervalMs
      sendWhenDue()
    })
  })
}

function isWhole (reply: string): boolean {
  const headEnd = reply.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(reply) ?? []
  return reply.length >= headEnd + 4 + Number(length ?? 0)
}

function percentile (sorted: readonly number[], share: number): number | null {
  return sorted[Math.floor(sorted.length * share)] ?? null
}
