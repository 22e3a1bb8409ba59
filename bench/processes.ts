import type { ChildProcess } from 'node:child_process'
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { runChild } from './child.js'
import type { LoadOptions, LoadResult, LoadSample } from './load.js'

export const TOKEN = '00000000-0000-4000-8000-000000000001'
export const ACK_TOKEN = '00000000-0000-4000-8000-000000000002'
export const API_KEY = 'bench'

export interface ServerProcess {
  readonly port: number
  /** The most memory that was resident so far; null where the system does not say. */
  peakBytes (): number | null
  /** The memory that is resident now; null likewise. */
  residentBytes (): number | null
  /** Ends it as an operator does; resolves to its exit code when it is gone. */
  stop (): Promise<number | null>
}

export interface HecateOptions {
  readonly signal: AbortSignal
  /** The setting of that name in the group `hec`. */
  readonly resendWindow?: string
  /** Groups of settings beside those of `writeConfig`. */
  readonly settings?: object
}

/** `hecate serve` as everybody runs it, with its data in `dir`/data; ready when it resolves. */
export async function startHecate (dir: string, signal: AbortSignal, settings: object = {}): Promise<ServerProcess> {
  const server = await spawnHecate(dir, { signal, settings }).serving
  if (server === null) throw new Error('the server did not start')
  return server
}

/** Writes a configuration with tokens and a key into a folder, whose data is in `dir`/data; gives its path. */
export function writeConfig (dir: string, settings: object = {}, resendWindow = '0s'): string {
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'config.yaml')
  // JSON is YAML too.
  writeFileSync(config, JSON.stringify({
    listen: { port: 0 },
    data: { dir: 'data', durability: 'full' },
    hec: { resend_window: resendWindow, tokens: [{ name: 'bench', token: TOKEN }, { name: 'ack', token: ACK_TOKEN, ack: true }] },
    api: { keys: [{ name: 'bench', key: API_KEY, role: 'viewer' }] },
    ...settings,
  }))
  return config
}

/** `hecate serve`, as a process that need not get so far: `serving` is null where it ended before. */
export function spawnHecate (dir: string, { signal, settings, resendWindow }: HecateOptions) {
  const config = writeConfig(dir, settings, resendWindow)
  const main = fileURLToPath(new URL('../bundled/main.js', import.meta.url))
  const child = spawn(process.execPath, [main, 'serve', '--config', config], { stdio: ['ignore', 'pipe', 'inherit'], signal })
  const exited = exitOf(child)
  return {
    serving: readUrl(child.stdout).then(url => url === null ? null : toServer(child, exited, Number(new URL(url).port))),
    /** Gives it no time for anything; resolves when it is gone. */
    async kill (): Promise<void> {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** The URL that the server logs when it serves; null where its log ends before. */
async function readUrl (stdout: Readable): Promise<string | null> {
  for await (const line of createInterface({ input: stdout })) {
    const [, url] = /"url":"([^"]+)"/.exec(line) ?? [] // a line may be cut, where the process is killed
    if (url === undefined) continue
    stdout.resume() // what it logs later is of no interest, but must not fill the pipe
    return url
  }
  return null
}

export async function startBareServer (signal: AbortSignal): Promise<ServerProcess> {
  const child = fork(fileURLToPath(new URL('./bare-server.js', import.meta.url)), { signal })
  const exited = exitOf(child)
  const [port] = await once(child, 'message', { signal }) as [number]
  return toServer(child, exited, port)
}

/** Rejects where the load could not be sent to its end. `onSample` is told how it goes, where the options ask for it. */
export async function runLoad (options: LoadOptions, signal: AbortSignal, onSample: (sample: LoadSample) => void = () => {}): Promise<LoadResult> {
  return runChild<LoadResult, LoadSample>('load', options, signal, onSample)
}

/** Resolves to the exit code. Somebody always listens, so that a process that `signal` ends is no uncaught error. */
function exitOf (child: ChildProcess): Promise<number | null> {
  return new Promise(resolve => {
    child.on('error', () => {})
    child.on('exit', resolve)
  })
}

function toServer (child: ChildProcess, exited: Promise<number | null>, port: number): ServerProcess {
  return {
    port,
    peakBytes: () => readMemory(child.pid!, 'VmHWM'),
    residentBytes: () => readMemory(child.pid!, 'VmRSS'),
    stop () {
      child.kill('SIGTERM')
      return exited
    },
  }
}

/** Linux alone says. */
function readMemory (pid: number, name: 'VmHWM' | 'VmRSS'): number | null {
  if (process.platform !== 'linux') return null
  const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return kilobytes === undefined ? null : Number(kilobytes) * 1024
}
