import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/commands/table.js'
import type { AckMemoryFigures } from './ack-memory.js'
import { ACK_TOKEN, API_KEY, startHecate } from './processes.js'

const USAGE = `usage: npm run soak -- [--seconds N]

  Senders with a channel each post batches and poll their acknowledgements, against a server of its own. Fails where an id
  isn't true exactly once or an event isn't stored exactly once, and where memory has grown by half since a quarter of the
  run; prints what memory did.

  --seconds N   how long (60)
`

const SENDERS = 8
const EVENTS_PER_REQUEST = 20
/** Requests between two polls of a sender. */
const REQUESTS_PER_POLL = 10
/** Memory at the end over that at a quarter of the run: more is no noise. */
const MAX_GROWTH = 1.5

const { values } = parseArgs({ options: { seconds: { type: 'string' }, help: { type: 'boolean' } } })
const seconds = Number(values.seconds ?? 60)
if (values.help === true || !(seconds > 0)) {
  process.stdout.write(USAGE)
  process.exitCode = values.help === true ? 0 : 2
} else process.exitCode = await soak(seconds)

async function soak (seconds: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'hecate-soak-'))
  const stop = new AbortController()
  const server = await startHecate(dir, stop.signal)
  const residentBytes: number[] = []
  const sampler = setInterval(() => { residentBytes.push(server.residentBytes() ?? 0) }, 1_000)
  const faults: string[] = []
  try {
    const untilMs = performance.now() + seconds * 1_000
    const senders = await Promise.all(Array.from({ length: SENDERS }, (_, sender) => runSender(sender, server.port, untilMs, faults)))
    clearInterval(sampler)
    const requests = senders.reduce((sum, count) => sum + count, 0)
    const stored = await countStored(server.port)
    if (stored.count !== requests * EVENTS_PER_REQUEST || stored.distinct !== stored.count) {
      faults.push(`${requests * EVENTS_PER_REQUEST} events were acknowledged, ${stored.count} are stored, ${stored.distinct} different ones`)
    }
    const [quarter, half, last] = [0.25, 0.5, 1].map(share => residentBytes[Math.max(0, Math.ceil(residentBytes.length * share) - 1)] ?? 0) as [number, number, number]
    if (last > quarter * MAX_GROWTH) faults.push('memory has grown')
    const acks = await measureAckMemory()
    process.stdout.write(`${formatTable(['what', 'figure', 'beside', 'goal'], [
      [`${SENDERS} senders, ${seconds} s`, `${requests} requests`, `${(requests * EVENTS_PER_REQUEST / seconds).toFixed(0)} events/s`, ''],
      ['memory at a quarter, a half, the end', [quarter, half, last].map(megabytes).join(', '), `ratio ${(last / quarter).toFixed(2)}`, 'flat'],
      ...acks.map(({ channels, pending, bytes, pollMs }) => [
        `${channels} channels, ${pending} ids`, megabytes(bytes), pollMs === null ? '' : `a poll for all: ${pollMs.toFixed(0)} ms`, channels === 10_000 ? '< 200 MB' : '',
      ]),
      ['faults', String(faults.length), '', '0'],
    ])}\n`)
    for (const fault of faults.slice(0, 20)) process.stderr.write(`${fault}\n`)
    return faults.length === 0 ? 0 : 1
  } finally {
    clearInterval(sampler)
    await server.stop()
    rmSync(dir, { recursive: true })
  }
}

/** Posts and polls until the time has come; gives the number of requests. Each id must be the next, true in the first poll and false in the second. */
async function runSender (sender: number, port: number, untilMs: number, faults: string[]): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const headers = { authorization: `Splunk ${ACK_TOKEN}`, 'x-splunk-request-channel': randomUUID() }
  const send = (path: string, body: string) => post({ agent, port, path, headers }, body)
  let requests = 0
  let asked: number[] = []

  const poll = async (want: boolean): Promise<void> => {
    const { acks } = JSON.parse(await send('/services/collector/ack', JSON.stringify({ acks: asked }))) as { acks: Record<string, boolean> }
    for (const id of asked) if (acks[id] !== want) faults.push(`id ${id} of sender ${sender} is ${String(acks[id])} and should be ${String(want)}`)
  }

  while (performance.now() < untilMs) {
    const events = Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => JSON.stringify({ event: { n: `${sender}-${requests}-${i}` } }))
    const { code, ackId } = JSON.parse(await send('/services/collector/event', events.join('\n'))) as { code: number, ackId?: number }
    if (code !== 0 || ackId !== requests) faults.push(`request ${requests} of sender ${sender} was answered code ${code}, ackId ${ackId}`)
    asked.push(requests++)
    if (asked.length < REQUESTS_PER_POLL) continue
    await poll(true)
    await poll(false)
    asked = []
  }
  await poll(true)
  agent.destroy()
  return requests
}

async function countStored (port: number): Promise<{ count: number, distinct: number }> {
  const body = JSON.stringify({ search: '* | stats count dc(n) AS distinct' })
  const reply = await post({ agent: new Agent(), port, path: '/api/v1/search', headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' } }, body)
  return (JSON.parse(reply) as { rows: [{ count: number, distinct: number }] }).rows[0]
}

function post ({ agent, port, path, headers }: { agent: Agent, port: number, path: string, headers: Record<string, string> }, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, port, path, headers, host: '127.0.0.1', method: 'POST' }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => { text += part }).on('end', () => resolve(text)).on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

async function measureAckMemory (): Promise<readonly AckMemoryFigures[]> {
  const child = fork(fileURLToPath(new URL('./ack-memory.js', import.meta.url)), { execArgv: ['--expose-gc'] })
  const [figures] = await once(child, 'message') as [readonly AckMemoryFigures[]]
  return figures
}

function megabytes (bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}
