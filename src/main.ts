#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { runCommand } from './commands/run.js'
import { resourcePath } from './resource.js'

/** A process that has not stopped by then is stopped. */
const STOP_WITHIN_MS = 9_500

const { stdout, stderr, env } = process
process.exitCode = await runCommand(process.argv.slice(2), { env, cwd: process.cwd(), stdout, stderr, signal: stopSignal(), onReload, version: readVersion() })

/** Aborts on SIGTERM and SIGINT; a second signal, or too long a stop, ends the process at once. */
function stopSignal (): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1)
      controller.abort()
      setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref()
    })
  }
  return controller.signal
}

/** Node ends a process on SIGHUP only while nobody listens. */
function onReload (listener: () => void): void {
  process.on('SIGHUP', () => listener())
}

function readVersion (): string {
  const manifest = JSON.parse(readFileSync(resourcePath('package.json'), 'utf8')) as { version: string }
  return manifest.version
}
