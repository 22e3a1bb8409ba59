import type Database from 'better-sqlite3'
import type { z } from 'zod'
import { settingsOf, toTokenView } from '../api/tokens.js'
import type { Config } from '../config.js'
import { loadConfig, resolveSecret, TokenSettings } from '../config.js'
import type { Credentials } from '../credentials.js'
import { openCredentials } from '../credentials.js'
import { AppError } from '../errors.js'
import type { TokenUsage } from '../hec/usage.js'
import { openTokenUsage } from '../hec/usage.js'
import { openCredentialStore } from '../store/control/credentials.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'
import { recordChange, withControl } from './control.js'
import { CONFIG_OPTIONS, nameOf, parseOptions, toSource } from './options.js'
import { formatTable, toLines } from './table.js'

export const usage = `hecate token add|list|revoke [NAME] [--config FILE] [OPTIONS]

  hecate token add NAME          adds a HEC token and prints its secret, the one time
    --index INDEX                index of events that name none (main)
    --indexes A,B                indexes that events may name besides (any that exists)
    --sourcetype S --source S --host S      of events without one
    --ack                        senders get ids to ask for
    --query-string-auth          the token may be given as ?token=
    --default NAME=VALUE         a field for events without it; may be given more than once
    --token SECRET               a secret that senders have already: env:NAME, file:PATH or the text
  hecate token list              what there is, where it comes from and what it was used for
    --format text|json
  hecate token revoke NAME       removes a token: senders are answered 403 from then on

  Changes the data folder. A server that runs on it sees that within a second. The configuration
  is found as by hecate serve, and must be the server's.
`

const ADD_OPTIONS = {
  index: { type: 'string' },
  indexes: { type: 'string' },
  sourcetype: { type: 'string' },
  source: { type: 'string' },
  host: { type: 'string' },
  ack: { type: 'boolean' },
  'query-string-auth': { type: 'boolean' },
  default: { type: 'string', multiple: true },
  token: { type: 'string' },
} as const

/** Adds, lists, revokes HEC tokens in control.db, whether or not a server runs. */
export async function token (context: CommandContext): Promise<number> {
  const [action = '', ...args] = context.args
  try {
    switch (action) {
      case 'add': return add(args, context)
      case 'list': return list(args, context)
      case 'revoke': return revoke(args, context)
      default: throw new UsageError('say what to do: hecate token add NAME, hecate token list, hecate token revoke NAME')
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'invalid') throw new UsageError(error.message, { cause: error })
    context.stderr.write(`hecate token: ${error.message}\n`)
    return 1
  }
}

function add (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, { ...CONFIG_OPTIONS, ...ADD_OPTIONS })
  const settings = toSettings(nameOf(positionals, 'token'), values)
  const given = values.token === undefined ? undefined : resolveSecret(values.token, '--token', { base: context.cwd, env: context.env })
  if (given === '') throw new UsageError('--token: the secret is empty')
  return withCredentials(loadConfig(toSource(values, context)), ({ credentials, control }) => {
    const secret = recordChange(control, 'token.add', () => credentials.addToken(settings, given, Date.now()), () => ({ id: settings.name, after: settings }))
    context.stderr.write(`token ${JSON.stringify(settings.name)} is added${given === undefined ? '; its secret is shown this once' : ''}\n`)
    if (given === undefined) context.stdout.write(`${secret}\n`)
    return 0
  })
}

function list (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, { ...CONFIG_OPTIONS, format: { type: 'string' } } as const)
  const format = values.format ?? 'text'
  if (positionals.length > 0) throw new UsageError('hecate token list takes no name')
  if (format !== 'text' && format !== 'json') throw new UsageError('--format: must be text or json')
  const config = loadConfig(toSource(values, context))
  return withCredentials(config, ({ credentials, usage }) => {
    const useOf = usage.read()
    const tokens = credentials.listTokens().map(one => toTokenView(one, useOf))
    if (format === 'json') {
      context.stdout.write(`${JSON.stringify({ tokens }, null, 2)}\n`)
      return 0
    }
    context.stdout.write(tokens.length === 0 ? `there are no tokens in ${config.data.dir}\n` : `${formatTokens(tokens)}\n`)
    const hidden = credentials.hiddenTokens()
    if (hidden.length > 0) context.stderr.write(`not in force, since the configuration has the name or the secret: ${hidden.flatMap(toLines).join(', ')}\n`)
    return 0
  })
}

function revoke (args: readonly string[], context: CommandContext): number {
  const { values, positionals } = parseOptions(args, CONFIG_OPTIONS)
  const name = nameOf(positionals, 'token')
  return withCredentials(loadConfig(toSource(values, context)), ({ credentials, control }) => {
    const before = settingsOf(credentials.getToken(name))
    recordChange(control, 'token.revoke', () => credentials.revokeToken(name), () => ({ id: name, before }))
    context.stderr.write(`token ${toLines(JSON.stringify(name)).join('')} is revoked\n`)
    return 0
  })
}

type AddValues = { readonly [K in Exclude<keyof typeof ADD_OPTIONS, 'ack' | 'query-string-auth' | 'default'>]?: string | undefined }
  & { readonly ack?: boolean | undefined, readonly 'query-string-auth'?: boolean | undefined, readonly default?: readonly string[] | undefined }

/** What was not given has the default of the configuration's tokens. */
function toSettings (name: string, { ack, index, indexes, sourcetype, source, host, 'query-string-auth': queryStringAuth, default: defaults }: AddValues): TokenSettings {
  const parsed = TokenSettings.safeParse({
    name, ack, index, sourcetype, source, host,
    indexes: indexes?.split(','),
    query_string_auth: queryStringAuth,
    defaults: defaults === undefined ? undefined : Object.fromEntries(defaults.map(toField)),
  })
  if (!parsed.success) throw new UsageError(parsed.error.issues.map(toUsage).join('\n'))
  return parsed.data
}

function toField (text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  if (at < 1) throw new UsageError('--default: must be NAME=VALUE')
  return [text.slice(0, at), text.slice(at + 1)]
}

function toUsage ({ path: [key], message }: z.core.$ZodIssue): string {
  const flag = key === 'name' ? 'NAME' : key === 'defaults' ? '--default' : `--${String(key)}`
  return `${flag}: ${message}`
}

/** Calls `work` with the tokens of the configuration and of its data folder. */
function withCredentials (config: Config, work: (open: { credentials: Credentials, usage: TokenUsage, control: Database.Database }) => number): number {
  return withControl(config, control => {
    const store = openCredentialStore(control)
    return work({ credentials: openCredentials(config, store), usage: openTokenUsage(store), control })
  })
}

function formatTokens (tokens: readonly ReturnType<typeof toTokenView>[]): string {
  return formatTable(['name', 'from', 'state', 'index', 'indexes', 'ack', 'created', 'last used', 'requests', 'events'], tokens.map(one => [
    one.name,
    one.origin,
    one.enabled ? 'enabled' : 'disabled',
    one.index,
    one.indexes.join(', ') || 'any',
    one.ack ? 'yes' : 'no',
    one.created_at ?? '',
    one.last_used_at ?? 'never',
    String(one.requests),
    String(one.events),
  ]))
}
