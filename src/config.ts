import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { LineCounter, parse as parseYaml, parseDocument } from 'yaml'
import { z } from 'zod'
import { DATA_MODELS, isMetadata } from './fields/tables.js'
import { parseCalculatedField } from './spl/calculated-field.js'
import { FindingStatus, Severity } from './finding.js'
import { SplError } from './spl/errors.js'

/** A configuration that can't be used: exit code 2. The message names file, line and key. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** `90s`, `10m`, `12h`, `30d` → milliseconds. */
const Duration = z.string().regex(/^\d{1,6}[smhd]$/, 'is no duration such as 90s, 10m, 12h or 30d').transform(text => {
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: DAY_MS }[text.at(-1) as 's' | 'm' | 'h' | 'd']
  return Number(text.slice(0, -1)) * unit
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const SIZE_UNITS = { '': 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const

/** `50GB`, `512MiB`, or a number of bytes → bytes. */
const Size = z.union([z.number(), z.string()], 'is no size').transform((given, context) => {
  const [, digits, unit] = /^(\d{1,16}) ?([kMGTK]?i?B?)$/.exec(String(given)) ?? []
  const bytes = unit !== undefined && Object.hasOwn(SIZE_UNITS, unit) ? Number(digits) * SIZE_UNITS[unit as keyof typeof SIZE_UNITS] : NaN
  if (Number.isSafeInteger(bytes)) return bytes
  context.addIssue({ code: 'custom', message: 'is no size such as 50GB, 512MiB or a number of bytes' })
  return z.NEVER
})

const Name = z.string().min(1).max(200)

/** Names of tokens and keys are shown in URLs, metrics and terminals. No client can send a path that ends in `.` or `..`. */
export const TokenName = z.string().min(1).max(200)
  .regex(/^(?!\.{1,2}$)[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]*$/u, 'is "." or "..", or has control characters')

/** What a HEC token decides, wherever it comes from. */
export const TokenSettings = z.strictObject({
  name: TokenName,
  index: Name.describe('index of events that name none').default('main'),
  indexes: z.array(Name).describe('indexes that events may name besides; empty is any that exists').default([]),
  sourcetype: Name.describe('of events without one').optional(),
  source: Name.describe('of events without one').optional(),
  host: Name.describe('of events without one').optional(),
  ack: z.boolean().describe('whether senders get ids to ask for at /services/collector/ack').default(false),
  enabled: z.boolean().describe('a disabled token is answered 403 code 1').default(true),
  query_string_auth: z.boolean().describe('whether the token may be given as ?token=').default(false),
  defaults: z.record(Name, z.string().min(1).max(1000)).describe('fields, name: text, for events that have none of that name').default({}),
})
export type TokenSettings = z.infer<typeof TokenSettings>

export const Secret = z.string().min(1).max(1000)

const Token = TokenSettings.extend({ token: Secret })

export const Role = z.enum(['viewer', 'analyst', 'admin'])
export type Role = z.infer<typeof Role>

const Override = z.strictObject({
  enabled: z.boolean().optional(),
  cron: z.string().optional(),
  earliest: z.string().optional(),
  latest: z.string().optional(),
})
export type Override = z.infer<typeof Override>

/** Bounds what is compiled at the start, once for each thread. */
const MAX_FIELDS = 200
const MAX_SOURCETYPES = 100
const MAX_ENTITY_RULES = 100

/** Longer names are no fields. */
const FieldName = z.string().min(1).max(512)

const Expression = z.string().superRefine((text, context) => {
  try {
    parseCalculatedField(text)
  } catch (error) {
    if (!(error instanceof SplError)) throw error
    context.addIssue({ code: 'custom', message: error.message })
  }
})

function fieldsTo<T extends z.ZodString> (value: T) {
  return z.record(z.string(), value).superRefine((fields, context) => {
    const names = Object.keys(fields)
    if (names.length > MAX_FIELDS) context.addIssue({ code: 'custom', message: `has ${names.length} fields, at most ${MAX_FIELDS} are allowed` })
    for (const name of names) {
      if (isMetadata(name)) context.addIssue({ code: 'custom', path: [name], message: 'is a field that every event has, and can not be changed' })
      else if (!FieldName.safeParse(name).success) context.addIssue({ code: 'custom', path: [name], message: 'a name has 1 to 512 characters' })
    }
  }).default({})
}

/** What the events of a sourcetype mean. */
const SourcetypeFields = z.strictObject({
  sourcetype: Name,
  aliases: fieldsTo(FieldName),
  evals: fieldsTo(Expression),
  data_models: z.array(z.enum(Object.keys(DATA_MODELS))).default([]),
})

/** Which findings a target is told of, and what of them. */
const TargetFilter = z.strictObject({
  detections: z.array(Name).default([]),
  min_score: z.number().int().min(0).max(100).default(0),
  severity: z.array(Severity).default([]),
  statuses: z.array(FindingStatus).default([]),
  what: z.array(z.enum(['created', 'revised', 'gone'])).min(1).default(['created', 'revised', 'gone']),
  backfills: z.boolean().default(false),
})

/** What every kind of target has. */
const Target = z.strictObject({
  name: TokenName,
  url: Secret,
  ca: z.string().min(1).optional(),
  timeout: Duration.refine(ms => ms >= 1_000 && ms <= 5 * MINUTE_MS, 'is at least 1s and at most 5m').prefault('10s'),
  max_per_minute: z.number().int().min(1).max(60_000).default(60),
  give_up_after: Duration.refine(ms => ms >= MINUTE_MS, 'is at least a minute').prefault('3d'),
  max_tries: z.number().int().min(1).optional(),
  filter: TargetFilter.prefault({}),
})

/** A header that a target is sent; those that the request itself needs are not for the configuration. */
const HeaderName = z.string().regex(/^(?!(?:host|content-length|content-type|transfer-encoding|connection|idempotency-key|webhook-.*)$)[\w!#$%&'*+.^`|~-]{1,100}$/i, 'is no name of a header, or one that is set already')

const WebhookTarget = Target.extend({
  type: z.literal('webhook'),
  secret: Secret.optional(),
  headers: z.record(HeaderName, Secret).default({}),
  template: z.record(z.string(), z.unknown()).optional(),
})
export type WebhookTarget = z.infer<typeof WebhookTarget>

/** Splunk's HTTP Event Collector. An event can't be taken back, so nothing is said of findings that are gone. */
const SplunkTarget = Target.extend({
  type: z.literal('splunk'),
  token: Secret,
  index: Name.default('risk'),
  search_name: z.string().min(1).max(1000).default('$name$'),
  filter: TargetFilter.extend({ what: z.array(z.enum(['created', 'revised'])).min(1).default(['created', 'revised']) }).prefault({}),
})
export type SplunkTarget = z.infer<typeof SplunkTarget>

/** An incoming webhook of Slack, or of what takes the same. */
const SlackTarget = Target.extend({ type: z.literal('slack') })

const NotifyTarget = z.discriminatedUnion('type', [WebhookTarget, SlackTarget, SplunkTarget])
export type NotifyTarget = z.infer<typeof NotifyTarget>

/** Bounds what is written for each finding. */
const MAX_TARGETS = 100
/** Risk objects of a field, or of a type, count apart by other fields of the row. */
const RiskEntityRule = z.strictObject({ field: FieldName.optional(), type: Name.optional(), by: z.array(FieldName).min(1).max(5) })
  .refine(({ field, type }) => field !== undefined || type !== undefined, 'names neither a field nor a type')

/** The stretch of event time that a risk rule looks at. */
const RiskSpan = Duration.refine(ms => ms >= MINUTE_MS && ms <= 90 * DAY_MS, 'is a minute to 90 days')

/** Every key with its default; docs/config.md says what each is for. */
const Config = z.strictObject({
  listen: z.strictObject({
    host: z.string().min(1).default('127.0.0.1'),
    port: z.number().int().min(0).max(65535).default(8088),
    tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1) }).optional(),
  }).prefault({}),
  data: z.strictObject({
    dir: z.string().min(1).default('./data'),
    durability: z.enum(['full', 'normal']).default('full'),
    backup_dir: z.string().min(1).optional(),
    retention: Duration.refine(ms => ms >= HOUR_MS, 'is at least an hour').prefault('30d'),
    findings_retention: Duration.refine(ms => ms >= 90 * DAY_MS, 'is at least 90d: risk rules look back so far').prefault('730d'),
    ledger_retention: Duration.refine(ms => ms >= 90 * DAY_MS, 'is at least 90d').prefault('730d'),
    audit_retention: Duration.refine(ms => ms >= DAY_MS, 'is at least a day').prefault('730d'),
    max_bytes: Size.refine(bytes => bytes > 0, 'is at least a byte').prefault('50GB'),
    reserve_bytes: Size.prefault('256MB'),
  }).prefault({}),
  indexes: z.array(Name).min(1).default(['main', 'cisco_isovalent', 'metrics']),
  hec: z.strictObject({
    compatibility: z.enum(['keep', 'splunk']).default('keep'),
    max_body_bytes: z.number().int().min(1).default(64 << 20),
    max_event_bytes: z.number().int().min(1).default(5 << 20),
    time_from: z.enum(['arrival', 'event']).default('arrival'),
    resend_window: Duration.refine(ms => ms <= DAY_MS, 'is at most a day').prefault('0s'),
    tokens: z.array(Token).default([]),
  }).prefault({}),
  detections: z.strictObject({
    shipped: z.boolean().default(true),
    paths: z.array(z.string().min(1)).default([]),
    macros: z.array(z.string().min(1)).default([]),
    lookups: z.array(z.string().min(1)).default([]),
    define: z.record(z.string(), z.string()).default({}),
    overrides: z.record(z.string(), Override).default({}),
  }).prefault({}),
  sources: z.strictObject({
    silent_after: Duration.refine(ms => ms === 0 || ms >= MINUTE_MS, 'is 0s or at least a minute').prefault('1h'),
    forget_after: Duration.prefault('7d'),
  }).prefault({}),
  risk: z.strictObject({
    cap: z.number().min(1).max(1_000_000).default(3),
    half_life: Duration.prefault('0s'),
    entity: z.array(RiskEntityRule).max(MAX_ENTITY_RULES).default([]),
    rules: z.strictObject({
      score: z.strictObject({ over: z.number().int().min(0).max(1_000_000).default(100), in: RiskSpan.prefault('24h') }).prefault({}),
      tactics: z.strictObject({ at_least: z.number().int().min(0).max(14).default(3), in: RiskSpan.prefault('7d') }).prefault({}),
      detections: z.strictObject({ at_least: z.number().int().min(0).max(1_000).default(0), in: RiskSpan.prefault('7d') }).prefault({}),
    }).prefault({}),
  }).prefault({}),
  fields: z.array(SourcetypeFields).max(MAX_SOURCETYPES).default([]),
  routes: z.array(z.strictObject({ from: Name, key: FieldName, to: Name })).max(MAX_SOURCETYPES).default([]),
  timezone: z.string().refine(isTimeZone, 'is no IANA time zone').default('UTC'),
  api: z.strictObject({
    keys: z.array(z.strictObject({ name: TokenName, key: Secret, role: Role })).default([]),
  }).prefault({}),
  notify: z.array(NotifyTarget).max(MAX_TARGETS).default([]),
})
export type Config = z.infer<typeof Config>

/** Every key by its path, for the docs' test: sections hold keys, a list or a record is one. */
export const CONFIG_KEYS: readonly string[] = keysOf(Config)
export const TOKEN_KEYS: readonly string[] = Object.keys(Token.shape)
export const SOURCETYPE_FIELDS_KEYS: readonly string[] = Object.keys(SourcetypeFields.shape)
/** Of a target of any type. */
export const TARGET_KEYS: readonly string[] = [...new Set([Target, ...NotifyTarget.options].flatMap(keysOf))]

function keysOf (section: z.ZodObject): string[] {
  return Object.entries(section.shape).flatMap(([key, schema]) => {
    const inner = schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional ? schema.unwrap() : schema
    return inner instanceof z.ZodObject ? keysOf(inner).map(below => `${key}.${below}`) : [key]
  })
}

export interface ConfigSource {
  /** Path of the YAML file, if one was given. */
  readonly file?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** `listen.port` → value, from the command line. */
  readonly flags: Readonly<Record<string, string>>
  /** Relative paths that are not from the file are relative to it. */
  readonly cwd: string
}

/** Scalar settings, which can also be given as a flag (`--listen-port`) or in the environment (`HECATE_LISTEN_PORT`). */
export const SCALAR_KEYS = [
  'listen.host', 'listen.port', 'data.dir', 'data.durability', 'data.retention', 'data.findings_retention', 'data.ledger_retention', 'data.audit_retention', 'data.max_bytes', 'data.reserve_bytes', 'data.backup_dir', 'hec.compatibility', 'hec.max_body_bytes', 'hec.max_event_bytes',
  'hec.time_from', 'hec.resend_window',
  'detections.shipped', 'sources.silent_after', 'sources.forget_after', 'risk.cap', 'risk.half_life', 'timezone',
] as const

/** Those that are paths. */
const PATH_KEYS: readonly string[] = ['data.dir', 'data.backup_dir']

export function flagOf (key: string): string {
  return key.replaceAll('.', '-').replaceAll('_', '-')
}

/** Flag over environment over file over default. Throws ConfigError. */
export function loadConfig ({ file, env, flags, cwd }: ConfigSource): Config {
  const { tree, lineOf } = file === undefined ? { tree: {}, lineOf: () => '' } : readFile(resolve(cwd, file))
  const paths = resolvePaths(tree, file === undefined ? cwd : dirname(resolve(cwd, file)))
  const origin = new Map<string, string>()
  for (const key of SCALAR_KEYS) {
    const variable = `HECATE_${key.replaceAll('.', '_').toUpperCase()}`
    const [text, from] = flags[key] !== undefined ? [flags[key], `--${flagOf(key)}`] : [env[variable], variable]
    if (text === undefined) continue
    origin.set(key, from)
    setKey(paths, key, PATH_KEYS.includes(key) ? resolve(cwd, text) : scalarOf(key, text))
  }
  const parsed = Config.safeParse(paths)
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map(issue => describe(issue, file, lineOf, origin)).join('\n'))
  const config = resolveSecrets(parsed.data, dirname(resolve(cwd, file ?? '.')), env)
  checkConsistency(config)
  return { ...config, data: { ...config.data, dir: resolve(cwd, config.data.dir) } }
}

function readFile (path: string): { tree: Record<string, unknown>, lineOf: (path: readonly PropertyKey[]) => string } {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`)
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  if (document.errors.length > 0) throw new ConfigError(document.errors.map(({ message }) => `${path}: ${message}`).join('\n'))
  const tree: unknown = document.toJS() ?? {}
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) throw new ConfigError(`${path}: expected keys and values`)
  return {
    tree: tree as Record<string, unknown>,
    lineOf (keys) {
      // The deepest part of the path that is in the file; an unknown key is there, a missing one only by its parent.
      for (let depth = keys.length; depth > 0; depth--) {
        const node = document.getIn(keys.slice(0, depth), true) as { range?: [number, number, number] } | undefined
        if (node?.range !== undefined) return `:${lines.linePos(node.range[0]).line}`
      }
      return ''
    },
  }
}

/** Paths in the file are relative to it (contract). */
function resolvePaths (tree: Record<string, unknown>, base: string): Record<string, unknown> {
  const copy = structuredClone(tree) as { data?: { dir?: unknown, backup_dir?: unknown }, listen?: { tls?: { cert?: unknown, key?: unknown } }, detections?: Record<string, unknown>, notify?: unknown }
  if (typeof copy.data?.dir === 'string') copy.data.dir = resolve(base, copy.data.dir)
  if (typeof copy.data?.backup_dir === 'string') copy.data.backup_dir = resolve(base, copy.data.backup_dir)
  const tls = copy.listen?.tls
  if (typeof tls?.cert === 'string') tls.cert = resolve(base, tls.cert)
  if (typeof tls?.key === 'string') tls.key = resolve(base, tls.key)
  for (const key of ['paths', 'macros', 'lookups']) {
    const paths = copy.detections?.[key]
    if (Array.isArray(paths)) copy.detections![key] = paths.map((path: unknown) => typeof path === 'string' ? resolve(base, path) : path)
  }
  for (const target of Array.isArray(copy.notify) ? copy.notify as { ca?: unknown }[] : []) {
    if (typeof target?.ca === 'string') target.ca = resolve(base, target.ca)
  }
  return copy as Record<string, unknown>
}

function setKey (tree: Record<string, unknown>, key: string, value: unknown): void {
  const [section, name] = key.split('.') as [string, string?]
  if (name === undefined) tree[section] = value
  else {
    const inner = tree[section] ?? {}
    if (typeof inner === 'object') tree[section] = { ...inner, [name]: value }
  }
}

function scalarOf (key: string, text: string): unknown {
  return /port|bytes|shipped|cap/.test(key) ? parseYaml(text) : text
}

function describe (issue: z.core.$ZodIssue, file: string | undefined, lineOf: (path: readonly PropertyKey[]) => string, origin: Map<string, string>): string {
  const paths = issue.code === 'unrecognized_keys' ? issue.keys.map(key => [...issue.path, key]) : [issue.path]
  return paths.map(path => {
    const key = path.map(String).join('.')
    const where = origin.get(key) ?? (file === undefined ? '' : `${file}${lineOf(path)}`)
    const what = issue.code === 'unrecognized_keys' ? 'unknown key' : issue.message
    return `${where === '' ? '' : `${where}: `}${key}: ${what}`
  }).join('\n')
}

/** `file:/path` is the file's first line, relative to `base`; `env:NAME` the variable. Throws ConfigError, which names `key`. */
export function resolveSecret (text: string, key: string, { base, env }: { readonly base: string, readonly env: ConfigSource['env'] }): string {
  if (text.startsWith('env:')) {
    const value = env[text.slice(4)]
    if (value === undefined || value === '') throw new ConfigError(`${key}: environment variable ${text.slice(4)} is not set`)
    return value
  }
  if (!text.startsWith('file:')) return text
  try {
    const value = readFileSync(resolve(base, text.slice(5)), 'utf8').split('\n')[0]!.trim()
    if (value === '') throw new Error('the first line is empty')
    return value
  } catch (error) {
    throw new ConfigError(`${key}: ${(error as Error).message}`)
  }
}

function resolveSecrets (config: Config, base: string, env: ConfigSource['env']): Config {
  const secret = (text: string, key: string) => resolveSecret(text, key, { base, env })
  return {
    ...config,
    hec: { ...config.hec, tokens: config.hec.tokens.map((token, i) => ({ ...token, token: secret(token.token, `hec.tokens.${i}.token`) })) },
    api: { keys: config.api.keys.map((key, i) => ({ ...key, key: secret(key.key, `api.keys.${i}.key`) })) },
    notify: config.notify.map((target, i) => resolveTarget(target, (text, key) => secret(text, `notify.${i}.${key}`))),
  }
}

function resolveTarget (target: NotifyTarget, secret: (text: string, key: string) => string): NotifyTarget {
  const url = secret(target.url, 'url')
  switch (target.type) {
    case 'webhook': return {
      ...target,
      url,
      ...target.secret === undefined ? {} : { secret: secret(target.secret, 'secret') },
      headers: Object.fromEntries(Object.entries(target.headers).map(([name, text]) => [name, secret(text, `headers.${name}`)])),
    }
    case 'slack': return { ...target, url }
    case 'splunk': return { ...target, url, token: secret(target.token, 'token') }
  }
}

/** A URL may hold a secret, so no message shows it. */
function checkTarget (target: NotifyTarget, key: string): void {
  const { protocol, username, password, hash } = URL.canParse(target.url) ? new URL(target.url) : { protocol: '', username: '', password: '', hash: '' }
  if (protocol !== 'https:' && protocol !== 'http:') throw new ConfigError(`${key}.url: is no URL of http or https`)
  if (username !== '' || password !== '' || hash !== '') throw new ConfigError(`${key}.url: has a user, a password or a part behind #, which are not sent`)
  if (target.type === 'splunk') checkHeader(target.token, `${key}.token`)
  if (target.type !== 'webhook') return
  for (const [name, text] of Object.entries(target.headers)) checkHeader(text, `${key}.headers.${name}`)
  if (target.secret !== undefined && !isWebhookSecret(target.secret)) throw new ConfigError(`${key}.secret: is not whsec_ and the base64 of 24 to 64 bytes`)
}

function checkHeader (text: string, key: string): void {
  if (/[^\t\x20-\x7e]/.test(text)) throw new ConfigError(`${key}: has characters that a header can't have`)
}

/** As Standard Webhooks has them (standard-webhooks.md, "Symmetric"). */
function isWebhookSecret (text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1] ?? ''
  const { length } = Buffer.from(base64, 'base64')
  return length >= 24 && length <= 64
}

function checkConsistency ({ indexes, hec, sources, fields, api, notify }: Config): void {
  if (sources.forget_after > 0 && sources.forget_after <= sources.silent_after) {
    throw new ConfigError('sources.forget_after: is not longer than sources.silent_after, so that no source would ever be silent')
  }
  hec.tokens.forEach(({ index, indexes: allowed }, i) => {
    const missing = [index, ...allowed].find(name => !indexes.includes(name))
    if (missing !== undefined) throw new ConfigError(`hec.tokens.${i}: index "${missing}" is not in indexes`)
  })
  fields.forEach(({ sourcetype }, i) => {
    if (fields.findIndex(one => one.sourcetype === sourcetype) < i) throw new ConfigError(`fields.${i}: the sourcetype "${sourcetype}" is given twice`)
  })
  notify.forEach((target, i) => checkTarget(target, `notify.${i}`))
  for (const [list, names] of [
    ['notify', notify.map(({ name }) => name)],
    ['hec.tokens', hec.tokens.map(({ name }) => name)],
    ['hec.tokens', hec.tokens.map(({ token }) => token)],
    ['api.keys', api.keys.map(({ name }) => name)],
    ['api.keys', api.keys.map(({ key }) => key)],
  ] as const) {
    if (new Set(names).size < names.length) throw new ConfigError(`${list}: a name or secret is given twice`)
  }
}

function isTimeZone (name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }) !== null
  } catch {
    return false
  }
}
