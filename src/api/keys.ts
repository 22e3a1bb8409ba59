import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { Role, TokenName } from '../config.js'
import type { Key, Keys } from '../keys.js'
import { problemReplies } from './problem.js'
import type { TimeContext } from './query.js'
import { limitOf, Page, pageOf, readCursor, resolveExpiry, TimeInput, toCursor } from './query.js'

export interface KeyRouteDeps {
  readonly keys: Keys
  readonly time: TimeContext
}

/** A key that ends, ends within that time. */
export const MAX_KEY_DAYS = 3_650

const KeyView = z.object({
  name: z.string(),
  origin: z.enum(['configuration', 'added']).describe('where it comes from; the API can\'t change what the configuration sets'),
  role: Role,
  enabled: z.boolean().describe('a disabled key is answered 401'),
  created_at: z.string().nullable().describe('null where it comes from the configuration'),
  expires_at: z.string().nullable().describe('from then on it is answered 401; null: never'),
  last_used_at: z.string().nullable().describe('by itself or by a session'),
}).meta({ id: 'Key' })
export type KeyView = z.infer<typeof KeyView>

export const MadeKey = KeyView.extend({ key: z.string().describe('the secret; this is the one time that it is shown') }).meta({ id: 'MadeKey' })

const Expiry = TimeInput.describe(`when it ends, such as +90d; ${MAX_KEY_DAYS} days from now at most`)

const Params = z.strictObject({ name: TokenName })

/** /keys: API keys of the configuration, and those that come and go while the server runs. */
export async function keyRoutes (app: FastifyInstance, { keys, time }: KeyRouteDeps) {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const config = { role: 'admin' } as const
  const view = (name: string) => toKeyView(keys.get(name), keys.readUses())

  routes.get('/keys', {
    config,
    schema: { summary: 'API keys, by name', tags: ['keys'], querystring: Page, response: { 200: pageOf(KeyView), ...problemReplies } },
  }, async ({ query }) => {
    const [after] = query.cursor === undefined ? [''] : readCursor(query.cursor, z.tuple([z.string()]))
    const all = keys.list()
    const rest = all.filter(key => key.name > after)
    const page = rest.slice(0, limitOf(query))
    const useOf = keys.readUses()
    return {
      items: page.map(key => toKeyView(key, useOf)),
      next_cursor: rest.length > page.length ? toCursor([page.at(-1)!.name]) : null,
      ...(query.count === 'exact' ? { total: all.length } : {}),
    }
  })

  routes.post('/keys', {
    config: { ...config, audit: 'key.add' },
    schema: {
      summary: 'Add a key',
      tags: ['keys'],
      body: z.strictObject({ name: TokenName, role: Role, expires_at: Expiry.optional().describe('it never ends where this is missing') }),
      response: { 201: MadeKey, ...problemReplies },
    },
  }, async ({ body: { name, role, expires_at: expiresAt }, log, apiKey, audited }, reply) => {
    const key = keys.add({ name, role, expires_ms: expiresAt === undefined ? null : resolveExpiry(expiresAt, time, MAX_KEY_DAYS) }, time.now())
    audited({ id: name, after: settingsOf(keys.get(name)) })
    log.info({ added_key_name: name, role, key_name: apiKey!.name }, 'key added')
    return reply.code(201).headers({ location: `/api/v1/keys/${encodeURIComponent(name)}`, 'cache-control': 'no-store' }).send({ ...view(name), key })
  })

  routes.get('/keys/:name', {
    config,
    schema: { summary: 'One key', tags: ['keys'], params: Params, response: { 200: KeyView, ...problemReplies } },
  }, async ({ params }) => view(params.name))

  routes.patch('/keys/:name', {
    config: { ...config, audit: 'key.change' },
    schema: {
      summary: 'Enable, disable, change',
      description: 'Sessions of a key that is disabled end; those of another go on with what it may do now. The last key with the role admin can\'t be made less.',
      tags: ['keys'],
      params: Params,
      body: z.strictObject({ role: Role.optional(), enabled: z.boolean().optional(), expires_at: Expiry.nullable().optional() }),
      response: { 200: KeyView, ...problemReplies },
    },
  }, async ({ params: { name }, body: { role, enabled, expires_at: expiresAt }, log, apiKey, audited }) => {
    const { before, after } = keys.patch(name, { role, enabled, expires_ms: expiresAt === undefined || expiresAt === null ? expiresAt : resolveExpiry(expiresAt, time, MAX_KEY_DAYS) }, time.now())
    audited({ before: settingsOf(before), after: settingsOf(after) })
    log.info({ changed_key_name: name, key_name: apiKey!.name }, 'key changed')
    return view(name)
  })

  routes.delete('/keys/:name', {
    config: { ...config, audit: 'key.revoke' },
    schema: { summary: 'Revoke a key', description: 'Its sessions end. The last key with the role admin can\'t be revoked.', tags: ['keys'], params: Params, response: { 204: z.null().describe('it is gone'), ...problemReplies } },
  }, async ({ params: { name }, log, apiKey, audited }, reply) => {
    audited({ before: settingsOf(keys.revoke(name, time.now())) })
    log.info({ revoked_key_name: name, key_name: apiKey!.name }, 'key revoked')
    return reply.code(204).send(null)
  })
}

/** What people set; the secret is not among it. */
export function settingsOf ({ role, enabled, expires_ms: expiresMs }: Pick<Key, 'role' | 'enabled' | 'expires_ms'>) {
  return { role, enabled, expires_at: expiresMs === null ? null : new Date(expiresMs).toISOString() }
}

/** A key as the API shows it: neither secret nor hash. */
export function toKeyView (key: Key, useOf: ReturnType<Keys['readUses']>): KeyView {
  const toTime = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()
  return {
    name: key.name,
    origin: key.origin,
    role: key.role,
    enabled: key.enabled,
    created_at: toTime(key.created_ms),
    expires_at: toTime(key.expires_ms),
    last_used_at: toTime(useOf(key.hash)),
  }
}
