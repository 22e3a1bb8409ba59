import { ConfigError } from '../config.js'
import { SchemaError } from '../store/control/open.js'
import { LockedError } from '../store/lock.js'
import type { Command, CommandContext } from './command.js'
import { UsageError } from './command.js'

interface CommandModule { readonly run: Command, readonly usage: string }

/** Each loads what its command needs when it is asked for: a server is ready sooner without the others. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandModule>>> = {
  serve: async () => toModule(await import('./serve.js'), 'serve'),
  demo: async () => toModule(await import('./demo.js'), 'demo'),
  check: async () => toModule(await import('./check.js'), 'check'),
  test: async () => toModule(await import('./test.js'), 'test'),
  compare: async () => toModule(await import('./compare.js'), 'compare'),
  coverage: async () => toModule(await import('./coverage.js'), 'coverage'),
  waive: async () => toModule(await import('./waive.js'), 'waive'),
  scan: async () => toModule(await import('./scan.js'), 'scan'),
  backfill: async () => toModule(await import('./backfill.js'), 'backfill'),
  token: async () => toModule(await import('./token.js'), 'token'),
  key: async () => toModule(await import('./key.js'), 'key'),
  backup: async () => toModule(await import('./backup.js'), 'backup'),
  version: async () => ({
    usage: 'hecate version\n\n  Prints the version.\n',
    run: async ({ stdout, version }) => {
      stdout.write(`${version}\n`)
      return 0
    },
  }),
}

/** The module of a command has a function of its name. */
function toModule<Name extends string> (module: Readonly<Record<Name, Command> & { usage: string }>, name: Name): CommandModule {
  return { run: module[name], usage: module.usage }
}

async function usageOfAll (): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map(load => load()))
  return `usage: hecate COMMAND [OPTIONS]

${commands.map(({ usage }) => `  ${usage.split('\n')[0]}`).join('\n')}

hecate COMMAND --help says more.
`
}

/** Runs the command that the arguments name and gives the exit code. What goes wrong is told on stderr. */
export async function runCommand ([name = '', ...args]: readonly string[], context: Omit<CommandContext, 'args'>): Promise<number> {
  const { stdout, stderr } = context
  if (name === '--help' || name === 'help') {
    stdout.write(await usageOfAll())
    return 0
  }
  const wanted = name === '--version' ? 'version' : name
  if (!Object.hasOwn(COMMANDS, wanted)) {
    const all = await usageOfAll()
    stderr.write(name === '' ? all : `hecate: there is no command "${name.replace(/[^\x20-\x7e]/g, '?')}"\n\n${all}`)
    return 2
  }
  const command = await COMMANDS[wanted]!()
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
