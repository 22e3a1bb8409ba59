import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { z } from 'zod'
import { pageOf, WindowText } from '../api/query.js'
import { loadConfig } from '../config.js'
import type { Config } from '../config.js'
import { Finding } from '../finding.js'
import { resourcePath } from '../resource.js'
import { systemClock } from '../schedule/loop.js'
import type { Server } from '../server.js'
import { openServer } from '../server.js'
import { openApiClient } from './api-client.js'
import type { CommandContext } from './command.js'
import { aborted, UsageError } from './command.js'
import { formatTable } from './table.js'

export const usage = `hecate demo [--once]

  Starts a server on an empty temporary folder, sends it a log of a container escape by HEC, runs the
  detection over it and prints what it finds. Stays up until Ctrl-C; with --once it ends.
`

const DETECTION = 'cisco_isovalent___potential_escape_to_host'

/** The run whose window, 10:50 to 11:50, holds the log. */
const SCHEDULED_TIME = '2026-03-10T12:00:00Z'

/** As a forwarder would send: so many events a request. */
const EVENTS_A_REQUEST = 50

export async function demo ({ args, cwd, stdout, signal, version }: CommandContext): Promise<number> {
  const { once } = readOptions(args)
  const dir = await mkdtemp(join(tmpdir(), 'hecate-demo-'))
  const token = randomUUID()
  const key = randomUUID()
  try {
    const config = loadConfig({ env: {}, flags: { 'data.dir': join(dir, 'data') }, cwd })
    const { server, url } = await startOnFreePort({
      ...config,
      hec: { ...config.hec, tokens: [{ name: 'demo', token, index: 'main', indexes: [], sourcetype: 'cisco:isovalent', ack: false, enabled: true, query_string_auth: false, defaults: {} }] },
      api: { keys: [{ name: 'demo', key, role: 'admin' }] },
    }, version)
    try {
      const sent = await sendLog(url, token)
      stdout.write(`${sent} events sent to ${url}/services/collector/event\n`)
      const api = openApiClient({ url, key, signal })
      const run = await api.call(z.object({ window: WindowText }), `detections/${DETECTION}/runs`, { scheduled_time: SCHEDULED_TIME })
      const { items } = await api.call(pageOf(Finding), 'findings')
      stdout.write(`${DETECTION} evaluated from ${run.window.earliest} to ${run.window.latest}: ${items.length} finding${items.length === 1 ? '' : 's'}\n\n`)
      stdout.write(`${formatFindings(items)}\n\n`)
      stdout.write(`${url}\ncurl ${url}/api/v1/findings -H 'Authorization: Bearer ${key}'\n`)
      if (!once) {
        stdout.write('\nCtrl-C ends the demo and removes its data.\n')
        await aborted(signal)
      }
    } finally {
      await server.close()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  return 0
}

function readOptions (args: readonly string[]): { once: boolean } {
  try {
    return { once: parseArgs({ args: [...args], options: { once: { type: 'boolean' } }, strict: true }).values.once ?? false }
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** On the configured port, or where that is taken on one that is free. */
async function startOnFreePort (config: Config, version: string): Promise<{ server: Server, url: string }> {
  for (const port of [config.listen.port, 0]) {
    const server = await openServer({ ...config, listen: { ...config.listen, port } }, { clock: systemClock, log: pino({ level: 'error' }), version })
    try {
      return { server, url: (await server.start()).url }
    } catch (error) {
      await server.close()
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error('no port is free')
}

/** Sends the bundled log as a forwarder does: envelopes back to back, each with its event's own time. */
async function sendLog (url: string, token: string): Promise<number> {
  const path = resourcePath('detections/samples/container-escape.log')
  let sent = 0
  let batch: string[] = []
  const flush = async () => {
    const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${token}` }, body: batch.join('\n') })
    if (res.status !== 200) throw new Error(`HEC answered ${res.status}: ${await res.text()}`)
    sent += batch.length
    batch = []
  }
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const { time } = JSON.parse(line) as { time: string }
    batch.push(`{"time":${Date.parse(time) / 1000},"event":${line}}`)
    if (batch.length === EVENTS_A_REQUEST) await flush()
  }
  if (batch.length > 0) await flush()
  return sent
}

function formatFindings (findings: readonly Finding[]): string {
  return formatTable(['time', 'severity', 'score', 'risk object', 'technique', 'commands'], findings.map(({ time, severity, risk, mitre_attack: techniques, result }) => [
    new Date(time * 1000).toISOString().replace('.000Z', 'Z'),
    severity,
    String(risk.score),
    risk.objects.map(({ value }) => value).join('\n'),
    techniques.join('\n'),
    [(result as { process?: string | string[] }).process ?? ''].flat().join('\n'),
  ]))
}
