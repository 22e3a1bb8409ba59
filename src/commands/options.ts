import type { ParseArgsConfig } from 'node:util'
import { parseArgs } from 'node:util'
import type { ConfigSource } from '../config.js'
import { flagOf, SCALAR_KEYS } from '../config.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'

type Options = NonNullable<ParseArgsConfig['options']>

/** Of every command that reads the configuration: `--config`, and a flag for every scalar setting. */
export const CONFIG_OPTIONS: Options = Object.fromEntries(['config', ...SCALAR_KEYS.map(flagOf)].map(name => [name, { type: 'string' as const }]))

/** The flags of a command line, and what else is on it. Throws UsageError for a flag that is not one of `options`. */
export function parseOptions<T extends Options> (args: readonly string[], options: T) {
  try {
    return parseArgs({ args: joinValues(args, options), options, strict: true, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** `--earliest -70m@m` as one argument: there are no short flags, so what begins with one dash is a value. */
function joinValues (args: readonly string[], options: Options): string[] {
  const joined: string[] = []
  for (const arg of args) {
    const before = joined.at(-1)
    const isFlag = before?.startsWith('--') === true && Object.hasOwn(options, before.slice(2)) && options[before.slice(2)]!.type === 'string'
    if (isFlag && /^-[^-]/.test(arg)) joined[joined.length - 1] = `${before}=${arg}`
    else joined.push(arg)
  }
  return joined
}

/** The one name of a `noun` that is on a command line. Throws UsageError. */
export function nameOf ([name, ...rest]: readonly string[], noun: string): string {
  if (name === undefined) throw new UsageError(`the name of the ${noun} is missing`)
  if (rest.length > 0) throw new UsageError('more than one name; one with spaces is given in quotes')
  return name
}

/** Where the configuration comes from, by flags that `parseOptions` read with CONFIG_OPTIONS. */
export function toSource (values: Readonly<Record<string, unknown>>, { env, cwd }: CommandContext): ConfigSource {
  const flags: Record<string, string> = {}
  for (const key of SCALAR_KEYS) {
    const value = values[flagOf(key)]
    if (typeof value === 'string') flags[key] = value
  }
  return { file: typeof values.config === 'string' ? values.config : env.HECATE_CONFIG, env, flags, cwd }
}
