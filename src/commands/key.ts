import type Database from 'better-sqlite3'
import { MAX_KEY_DAYS, settingsOf, toKeyView } from '../api/keys.js'
import { resolveExpiry } from '../api/query.js'
import type { Config } from '../config.js'
import { loadConfig, Role, TokenName } from '../config.js'
import { AppError } from '../errors.js'
import type { Keys } from '../keys.js'
import { openKeys } from '../keys.js'
import { openKeyStore } from '../store/control/keys.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { recordChange, withControl } from './control.js'
import { CONFIG_OPTIONS, nameOf, parseOptions, toSource } from './options.js'
import { formatTable, toLines } from './table.js'

export const usage = `hecate key add|list|revoke [NAME] [--config FILE] [OPTIONS]

  hecate key add NAME --role ROLE   adds an API key and prints its secret, the one time
    --role viewer|analyst|admin     what it may do
    --expires TIME                  when it ends: +90d, epoch seconds or RFC 3339 (never)
  hecate key list                   what there is, where it comes from and when it was last used
    --format text|json
  hecate key revoke NAME            removes a key: requests with it are answered 401 from then on

  Changes the data folder. A server that runs on it sees that within a second. The configuration
  is found as by hecate serve, and must be the server's.
`

/** Adds, lists, revokes API keys in control.db, whether or not a server runs. */
export async function key (context: CommandContext): Promise<number> {
  const [action = '', ...args] = context.args
  try {
    switch (action) {
      case 'add': return add(args, context)
      case 'list': return list(args, context)
      case 'revoke': return revoke(args, context)
      default: throw new UsageError('say what to do: hecate key add NAME --role ROLE, hecate key list, hecate key revoke NAME')
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'invalid') throw new UsageError(error.message, { cause: error })
    context.stderr.write(`hecate key: ${error.message}\n`)
    return 1
  }
}

function add (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, { ...CONFIG_OPTIONS, role: { type: 'string' }, expires: { type: 'string' } } as const)
  const name = TokenName.safeParse(nameOf(positionals, 'key'))
  if (!name.success) throw new UsageError(name.error.issues.map(({ message }) => `NAME: ${message}`).join('\n'))
  const role = Role.safeParse(values.role)
  if (!role.success) throw new UsageError(`--role: must be one of ${Role.options.join(', ')}`)
  const config = loadConfig(toSource(values, context))
  const nowMs = Date.now()
  const expiresMs = values.expires === undefined ? null : resolveExpiry(values.expires, { now: () => nowMs, timeZone: config.timezone }, MAX_KEY_DAYS, '--expires')
  return withKeys(config, (keys, control) => {
    const secret = recordChange(control, 'key.add', () => keys.add({ name: name.data, role: role.data, expires_ms: expiresMs }, nowMs), () => ({ id: name.data, after: settingsOf(keys.get(name.data)) }))
    context.stderr.write(`key ${JSON.stringify(name.data)} is added; its secret is shown this once\n`)
    context.stdout.write(`${secret}\n`)
    return 0
  })
}

function list (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, { ...CONFIG_OPTIONS, format: { type: 'string' } } as const)
  const format = values.format ?? 'text'
  if (positionals.length > 0) throw new UsageError('hecate key list takes no name')
  if (format !== 'text' && format !== 'json') throw new UsageError('--format: must be text or json')
  const config = loadConfig(toSource(values, context))
  return withKeys(config, keys => {
    const useOf = keys.readUses()
    const views = keys.list().map(one => toKeyView(one, useOf))
    if (format === 'json') {
      context.stdout.write(`${JSON.stringify({ keys: views }, null, 2)}\n`)
      return 0
    }
    const nowText = new Date().toISOString()
    context.stdout.write(views.length === 0 ? `there are no keys in ${config.data.dir}\n` : `${formatKeys(views, nowText)}\n`)
    const hidden = keys.hidden()
    if (hidden.length > 0) context.stderr.write(`not in force, since the configuration has the name or the secret: ${hidden.flatMap(toLines).join(', ')}\n`)
    return 0
  })
}

function revoke (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, CONFIG_OPTIONS)
  const name = nameOf(positionals, 'key')
  return withKeys(loadConfig(toSource(values, context)), (keys, control) => {
    recordChange(control, 'key.revoke', () => keys.revoke(name, Date.now()), before => ({ id: name, before: settingsOf(before) }))
    context.stderr.write(`key ${toLines(JSON.stringify(name)).join('')} is revoked\n`)
    return 0
  })
}

/** Calls `work` with the keys of the configuration and of its data folder. */
function withKeys (config: Config, work: (keys: Keys, control: Database.Database) => number): number {
  return withControl(config, control => work(openKeys(config, openKeyStore(control)), control))
}

function formatKeys (keys: readonly ReturnType<typeof toKeyView>[], nowText: string): string {
  return formatTable(['name', 'from', 'role', 'state', 'created', 'expires', 'last used'], keys.map(one => [
    one.name,
    one.origin,
    one.role,
    !one.enabled ? 'disabled' : one.expires_at !== null && one.expires_at <= nowText ? 'expired' : 'enabled',
    one.created_at ?? '',
    one.expires_at ?? 'never',
    one.last_used_at ?? 'never',
  ]))
}
