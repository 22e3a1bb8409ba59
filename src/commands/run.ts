import { ConfigError } from '../config.js'
import { SchemaError } from '../store/control/open.js'
import { LockedError } from '../store/lock.js'
import { backfill, usage as backfillUsage } from './backfill.js'
import { backup, usage as backupUsage } from './backup.js'
import { check, usage as checkUsage } from './check.js'
import type { Command, CommandContext } from './command.js'
import { UsageError } from './command.js'
import { compare, usage as compareUsage } from './compare.js'
import { coverage, usage as coverageUsage } from './coverage.js'
import { demo, usage as demoUsage } from './demo.js'
import { key, usage as keyUsage } from './key.js'
import { scan, usage as scanUsage } from './scan.js'
import { serve, usage as serveUsage } from './serve.js'
import { test, usage as testUsage } from './test.js'
import { token, usage as tokenUsage } from './token.js'
import { usage as waiveUsage, waive } from './waive.js'

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
  key: { run: key, usage: keyUsage },
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

/** Runs the command that the arguments name and gives the exit code. What goes wrong is told on stderr. */
export async function runCommand ([name = '', ...args]: readonly string[], context: Omit<CommandContext, 'args'>): Promise<number> {
  const { stdout, stderr } = context
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
    return await command.run({ ...context, args })
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
