import diagnostics from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Role } from '../../src/config.js'
import { ANALYST_KEY, KEY, testApp, VIEWER_KEY } from '../fixtures/app.js'

/** The least role that each call of the API asks for; none: no key is needed. */
const ROLE_OF: Readonly<Record<string, Role | 'none'>> = {
  'GET /events': 'viewer',
  'GET /sources': 'viewer',
  'GET /routes': 'viewer',
  'GET /store': 'viewer',
  'POST /samples': 'admin',
  'POST /search': 'viewer',
  'POST /search/explain': 'viewer',
  'GET /search/jobs': 'viewer',
  'POST /search/jobs': 'viewer',
  'GET /search/jobs/:id': 'viewer',
  'GET /search/jobs/:id/results': 'viewer',
  'POST /search/jobs/:id/cancel': 'viewer',
  'DELETE /search/jobs/:id': 'viewer',
  'GET /detections': 'viewer',
  'GET /detections/:id': 'viewer',
  'PATCH /detections/:id': 'admin',
  'POST /detections/:id/preview': 'viewer',
  'GET /detections/:id/slots': 'viewer',
  'POST /detections/:id/row-events': 'viewer',
  'GET /detections/:id/runs': 'viewer',
  'POST /detections/:id/runs': 'analyst',
  'POST /detections/:id/waivers': 'analyst',
  'GET /detections/:id/coverage': 'viewer',
  'GET /coverage': 'viewer',
  'GET /ledger': 'viewer',
  'GET /backfills': 'viewer',
  'POST /backfills': 'analyst',
  'GET /backfills/:id': 'viewer',
  'GET /backfills/:id/rows': 'viewer',
  'POST /backfills/:id/cancel': 'analyst',
  'GET /findings': 'viewer',
  'GET /findings/export': 'viewer',
  'GET /findings/stream': 'viewer',
  'POST /findings/bulk': 'analyst',
  'GET /findings/:id': 'viewer',
  'PATCH /findings/:id': 'analyst',
  'GET /findings/:id/comments': 'viewer',
  'POST /findings/:id/comments': 'analyst',
  'GET /findings/:id/history': 'viewer',
  'GET /findings/:id/revisions': 'viewer',
  'GET /findings/:id/findings': 'viewer',
  'GET /findings/:id/export': 'viewer',
  'GET /findings/:id/process-tree': 'viewer',
  'GET /findings/:id/seen-before': 'viewer',
  'GET /risk-objects': 'viewer',
  'GET /risk-objects/explain': 'viewer',
  'GET /suppressions': 'viewer',
  'POST /suppressions': 'analyst',
  'POST /suppressions/preview': 'viewer',
  'GET /suppressions/:id': 'viewer',
  'PATCH /suppressions/:id': 'analyst',
  'DELETE /suppressions/:id': 'analyst',
  'GET /suppressions/:id/history': 'viewer',
  'GET /deliveries': 'viewer',
  'GET /deliveries/:id': 'viewer',
  'DELETE /deliveries/:id': 'admin',
  'POST /deliveries/:id/resend': 'analyst',
  'POST /deliveries/resend': 'analyst',
  'POST /deliveries/drop': 'admin',
  'GET /targets': 'viewer',
  'POST /targets/:name/test': 'admin',
  'POST /session': 'none',
  'GET /session': 'viewer',
  'DELETE /session': 'viewer',
  'GET /keys': 'admin',
  'POST /keys': 'admin',
  'GET /keys/:name': 'admin',
  'PATCH /keys/:name': 'admin',
  'DELETE /keys/:name': 'admin',
  'GET /audit': 'admin',
  'GET /tokens': 'admin',
  'POST /tokens': 'admin',
  'GET /tokens/:name': 'admin',
  'PATCH /tokens/:name': 'admin',
  'DELETE /tokens/:name': 'admin',
  'GET /backups': 'viewer',
  'POST /backups': 'admin',
  'GET /backups/:id': 'viewer',
}

const PREFIX = '/api/v1'
const KEYS: Readonly<Record<Role, string>> = { viewer: VIEWER_KEY, analyst: ANALYST_KEY, admin: KEY }
const ROLES = Object.keys(KEYS) as Role[]

/** Every route of the app that is made meanwhile, with its schema: as Fastify was told of it. */
async function routesOf<T> (make: () => Promise<T>): Promise<{ made: T, routes: Map<string, { readonly schema: object | undefined }> }> {
  const routes = new Map<string, { readonly schema: object | undefined }>()
  const listen = (message: unknown) => {
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url, schema }) => {
      for (const one of [method].flat()) routes.set(`${one} ${url}`, { schema })
    })
  }
  diagnostics.subscribe('fastify.initialization', listen)
  try {
    return { made: await make(), routes }
  } finally {
    diagnostics.unsubscribe('fastify.initialization', listen)
  }
}

t.test('every call of the API lets in who has the role, and tells all others so before it looks at anything else', async t => {
  const { made: { app, control }, routes } = await routesOf(() => testApp(t))
  const ofApi = [...routes.keys()].filter(name => name.includes(` ${PREFIX}/`))
  const changes = () => control.prepare('SELECT total_changes()').pluck().get()

  t.strictSame(ofApi.filter(name => !name.startsWith('HEAD ')).map(name => name.replace(PREFIX, '')).sort(), Object.keys(ROLE_OF).sort(), 'the table has all of them')
  for (const [i, name] of ofApi.entries()) {
    const [method, path] = name.split(' ') as ['GET', string]
    const role = ROLE_OF[name.replace(PREFIX, '').replace('HEAD', 'GET')]!
    const ask = async (headers: Record<string, string>) => {
      const res = await app.inject({
        method, remoteAddress: `10.0.0.${i}`, // too many failures of one address are 429
        url: `${path.replace(/:\w+/g, '-')}?no_such_parameter=1`, headers: { ...headers, 'content-type': 'application/json' },
        ...['POST', 'PATCH', 'PUT'].includes(method) ? { payload: '{"no such member' } : {},
      })
      return res.statusCode
    }
    const before = changes()
    t.equal(await ask({}), role === 'none' ? 400 : 401, `${name} without a key`)
    for (const one of ROLES) {
      const status = await ask({ authorization: `Bearer ${KEYS[one]}` })
      if (role !== 'none' && ROLES.indexOf(one) < ROLES.indexOf(role)) t.equal(status, 403, `${name} as ${one}`)
      else t.ok(status !== 401 && status !== 403 && status < 500, `${name} as ${one}: ${status}`)
    }
    t.equal(changes(), before, `${name} wrote nothing`)
  }
})

t.test('every call of the API has a schema with a summary, a tag and an answer, and of what it takes', async t => {
  const { routes } = await routesOf(() => testApp(t))
  for (const [name, { schema = {} }] of routes) {
    if (!name.includes(` ${PREFIX}/`)) continue
    t.match(schema, { summary: String, tags: [String], response: { '4xx': Object, '5xx': Object }, ...name.includes(':') ? { params: Object } : {} }, name)
  }
})
