import type { ChildProcess } from 'node:child_process'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LoadOptions, LoadResult } from './load.js'

export const TOKEN = '00000000-0000-4000-8000-000000000001'
export const ACK_TOKEN = '00000000-0000-4000-8000-000000000002'
export const API_KEY = 'bench'

export interface ServerProcess {
  readonly port: number
  /** The most memory that was resident so far; null where the system does not say. */
  peakBytes (): number | null
  /** The memory that is resident now; null likewise. */
  residentBytes (): number | null
  /** Resolves when the process is gone. */
  stop (): Promise<void>
}

/** `hecate serve` as everybody runs it, over an empty folder `dir`; ready when it resolves. */
export async function startHecate (dir: string, signal: AbortSignal): Promise<ServerProcess> {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'config.yaml')
  // JSON is YAML too.
  writeFileSync(config, JSON.stringify({
    listen: { port: 0 },
    data: { dir: 'data', durability: 'full' },
    hec: { tokens: [{ name: 'bench', token: TOKEN }, { name: 'ack', token: ACK_TOKEN, ack: true }] },
    api: { keys: [{ name: 'bench', key: API_KEY, role: 'viewer' }] },
  }))
  const main = fileURLToPath(new URL('../src/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'serve', '--config', config], { stdio: ['ignore', 'pipe', 'inherit'], signal })
  for await (const line of createInterface({ input: child.stdout })) {
    const { url } = JSON.parse(line) as { url?: string }
    if (url === undefined) continue
    child.stdout.resume() // what it logs later is of no interest, but must not fill the pipe
    return toServer(child, Number(new URL(url).port))
  }
  throw new Error('the server did not start')
}

export async function startBareServer (signal: AbortSignal): Promise<ServerProcess> {
  const child = fork(fileURLToPath(new URL('./bare-server.js', import.meta.url)), { signal })
  const [port] = await once(child, 'message', { signal }) as [number]
  return toServer(child, port)
}

/** Rejects where the load could not be sent to its end. */
export async function runLoad (options: LoadOptions, signal: AbortSignal): Promise<LoadResult> {
  const child = fork(fileURLToPath(new URL('./load.js', import.meta.url)), [JSON.stringify(options)], { signal })
  const exited = once(child, 'exit', { signal })
  const [result] = await Promise.race([
    once(child, 'message', { signal }) as Promise<[LoadResult]>,
    exited.then(([code]) => { throw new Error(`the load process ended with code ${code}`) }),
  ])
  await exited
  return result
}

function toServer (child: ChildProcess, port: number): ServerProcess {
  return {
    port,
    peakBytes: () => readMemory(child.pid!, 'VmHWM'),
    residentBytes: () => readMemory(child.pid!, 'VmRSS'),
    async stop () {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** Linux alone says. */
function readMemory (pid: number, name: 'VmHWM' | 'VmRSS'): number | null {
  if (process.platform !== 'linux') return null
  const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return kilobytes === undefined ? null : Number(kilobytes) * 1024
}
