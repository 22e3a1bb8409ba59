#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { backfill, usage as backfillUsage } from './commands/backfill.js'
import { backup, usage as backupUsage } from './commands/backup.js'
import { check, usage as checkUsage } from './commands/check.js'
import type { Command } from './commands/command.js'
import { UsageError } from './commands/command.js'
import { compare, usage as compareUsage } from './commands/compare.js'
import { coverage, usage as coverageUsage } from './commands/coverage.js'
import { demo, usage as demoUsage } from './commands/demo.js'
import { scan, usage as scanUsage } from './commands/scan.js'
import { serve, usage as serveUsage } from './commands/serve.js'
import { test, usage as testUsage } from './commands/test.js'
import { token, usage as tokenUsage } from './commands/token.js'
import { usage as waiveUsage, waive } from './commands/waive.js'
import { ConfigError } from './config.js'
import { resourcePath } from './resource.js'
import { SchemaError } from './store/control/open.js'
import { LockedError } from './store/lock.js'

const COMMANDS: Readonly<Record<string, { readonly run: Command, readonly usage: string }>> = {
  serve: { run: serve, usage: serveUsage },
  demo: { run: demo, usage: demoUsage },
  check: { run: check, usage: checkUsage },
  test: { run: test, usage: testUsage },
  compare: { run: compare, usage: compareUsage },
  coverage: { run: coverage, usage: coverageUsage },
  waive: { run: waive, usage: waiveUsage },
  scan: { run: scan, usage: scanUsage },
  backfill: { run: backfill, usage: backfillUsage },
  token: { run: token, usage: tokenUsage },
  backup: { run: backup, usage: backupUsage },
  version: {
    usage: 'hecate version\n\n  Prints the version.\n',
    run: async ({ stdout, version }) => {
      stdout.write(`${version}\n`)
      return 0
    },
  },
}

const USAGE = `usage: hecate COMMAND [OPTIONS]

${Object.values(COMMANDS).map(({ usage }) => `  ${usage.split('\n')[0]}`).join('\n')}

hecate COMMAND --help says more.
`

/** A process that has not stopped by then is stopped. */
const STOP_WITHIN_MS = 9_500

process.exitCode = await main(process.argv.slice(2))

async function main ([name = '', ...args]: readonly string[]): Promise<number> {
  const { stdout, stderr, env } = process
  if (name === '--help' || name === 'help') {
    stdout.write(USAGE)
    return 0
  }
  const command = Object.hasOwn(COMMANDS, name === '--version' ? 'version' : name) ? COMMANDS[name === '--version' ? 'version' : name]! : null
  if (command === null) {
    stderr.write(name === '' ? USAGE : `hecate: there is no command "${name.replace(/[^\x20-\x7e]/g, '?')}"\n\n${USAGE}`)
    return 2
  }
  if (args.includes('--help')) {
    stdout.write(`usage: ${command.usage}`)
    return 0
  }
  try {
    return await command.run({ args, env, cwd: process.cwd(), stdout, stderr, signal: stopSignal(), onReload, version: readVersion() })
  } catch (error) {
    if (error instanceof UsageError || error instanceof ConfigError || error instanceof LockedError || error instanceof SchemaError) {
      stderr.write(`hecate ${name}: ${error.message}\n`)
      return 2
    }
    if ((error as NodeJS.ErrnoException).syscall === 'listen') {
      stderr.write(`hecate ${name}: can not listen: ${(error as Error).message}\n`)
      return 1
    }
    stderr.write(`hecate ${name}: ${(error as Error).stack ?? String(error)}\n`)
    return 1
  }
}

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
