import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Secret, TokenSettings } from '../config.js'
import type { Credentials, Token } from '../credentials.js'
import type { TokenUsage } from '../hec/usage.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, toCursor } from './query.js'

export interface TokenDeps {
  readonly credentials: Credentials
  readonly usage: TokenUsage
  readonly time: TimeContext
}

const { shape: { name, index, indexes, sourcetype, source, host, ack, enabled, query_string_auth: queryStringAuth, defaults } } = TokenSettings

const TokenView = z.object({
  name: z.string(),
  origin: z.enum(['configuration', 'added']).describe('where it comes from; the API can\'t change what the configuration sets'),
  enabled: enabled.unwrap(),
  index: index.unwrap(),
  indexes: indexes.unwrap(),
  sourcetype: sourcetype.unwrap().nullable(),
  source: source.unwrap().nullable(),
  host: host.unwrap().nullable(),
  ack: ack.unwrap(),
  query_string_auth: queryStringAuth.unwrap(),
  defaults: defaults.unwrap(),
  created_at: z.string().nullable().describe('null where it comes from the configuration'),
  last_used_at: z.string().nullable(),
  requests: z.number().int().describe('that the token let in'),
  events: z.number().int().describe('that came with it and are stored'),
}).meta({ id: 'Token' })
export type TokenView = z.infer<typeof TokenView>

const NewToken = TokenSettings.extend({
  token: Secret.refine(text => !/^(env|file):/.test(text), 'env: and file: are for the configuration and the command line').optional()
    .describe('the secret, such as that of a Splunk token; a random UUID where it is missing'),
})

export const MadeToken = TokenView.extend({ token: z.string().describe('the secret; this is the one time that it is shown') }).meta({ id: 'MadeToken' })

const TokenPatch = z.strictObject({
  enabled: enabled.unwrap().optional(),
  index: index.unwrap().optional(),
  indexes: indexes.unwrap().optional(),
  sourcetype: sourcetype.unwrap().nullable().optional(),
  source: source.unwrap().nullable().optional(),
  host: host.unwrap().nullable().optional(),
  ack: ack.unwrap().optional(),
  query_string_auth: queryStringAuth.unwrap().optional(),
  defaults: defaults.unwrap().optional(),
})

const Params = z.strictObject({ name })

/** /tokens: HEC tokens of the configuration, and those that come and go while the server runs. */
export async function tokenRoutes (app: FastifyInstance, { credentials, usage, time }: TokenDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const config = { role: 'admin' } as const
  const view = (token: Token) => toTokenView(token, usage.read())

  routes.get('/tokens', {
    config,
    schema: { summary: 'HEC tokens, by name', tags: ['tokens'], querystring: Page, response: { 200: pageOf(TokenView), ...problemReplies } },
  }, async ({ query }) => {
    const [after] = query.cursor === undefined ? [''] : readCursor(query.cursor, z.tuple([z.string()]))
    const all = credentials.listTokens()
    const rest = all.filter(token => token.name > after)
    const page = rest.slice(0, limitOf(query))
    const useOf = usage.read()
    return {
      items: page.map(token => toTokenView(token, useOf)),
      next_cursor: rest.length > page.length ? toCursor([page.at(-1)!.name]) : null,
      ...(query.count === 'exact' ? { total: all.length } : {}),
    }
  })

  routes.post('/tokens', {
    config: { ...config, audit: 'token.add' },
    schema: { summary: 'Add a token', tags: ['tokens'], body: NewToken, response: { 201: MadeToken, ...problemReplies } },
  }, async ({ body: { token: given, ...settings }, log, apiKey, audited }, reply) => {
    const token = credentials.addToken(settings, given, time.now())
    audited({ id: settings.name, after: settings })
    log.info({ token_name: settings.name, key_name: apiKey?.name }, 'token added')
    return reply.code(201).headers({ location: `/api/v1/tokens/${encodeURIComponent(settings.name)}`, 'cache-control': 'no-store' })
      .send({ ...view(credentials.getToken(settings.name)), token })
  })

  routes.get('/tokens/:name', {
    config,
    schema: { summary: 'One token', tags: ['tokens'], params: Params, response: { 200: TokenView, ...problemReplies } },
  }, async ({ params }) => view(credentials.getToken(params.name)))

  routes.patch('/tokens/:name', {
    config: { ...config, audit: 'token.change' },
    schema: { summary: 'Enable, disable, change', tags: ['tokens'], params: Params, body: TokenPatch, response: { 200: TokenView, ...problemReplies } },
  }, async ({ params, body, log, apiKey, audited }) => {
    const before = settingsOf(credentials.getToken(params.name))
    const token = credentials.patchToken(params.name, body)
    audited({ before, after: settingsOf(token) })
    log.info({ token_name: params.name, settings: Object.keys(body), key_name: apiKey?.name }, 'token changed')
    return view(token)
  })

  routes.delete('/tokens/:name', {
    config: { ...config, audit: 'token.revoke' },
    schema: { summary: 'Revoke a token', tags: ['tokens'], params: Params, response: { 204: z.null().describe('it is gone'), ...problemReplies } },
  }, async ({ params, log, apiKey, audited }, reply) => {
    audited({ before: settingsOf(credentials.getToken(params.name)) })
    credentials.revokeToken(params.name)
    log.info({ token_name: params.name, key_name: apiKey?.name }, 'token revoked')
    return reply.code(204).send(null)
  })
}

/** What people set; the secret is not among it. */
export function settingsOf ({ hash: _, created_ms: _created, origin: _origin, ...settings }: Token): TokenSettings {
  return settings
}

/** A token as the API shows it: neither secret nor hash. */
export function toTokenView (token: Token, useOf: ReturnType<TokenUsage['read']>): TokenView {
  const { requests, events, last_used_ms: lastUsedMs } = useOf(token.hash)
  const toTime = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()
  return {
    name: token.name,
    origin: token.origin,
    enabled: token.enabled,
    index: token.index,
    indexes: token.indexes,
    sourcetype: token.sourcetype ?? null,
    source: token.source ?? null,
    host: token.host ?? null,
    ack: token.ack,
    query_string_auth: token.query_string_auth,
    defaults: token.defaults,
    created_at: toTime(token.created_ms),
    last_used_at: toTime(lastUsedMs),
    requests,
    events,
  }
}
