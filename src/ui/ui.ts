import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Asset, Encoding } from './assets.js'
import { openAssets } from './assets.js'
import { PATHS } from './page/paths.js'

/** A file's path has the hash of all of them, so it never changes. */
const FOREVER = 'public, max-age=31536000, immutable'

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
}

/** The page: one HTML for each of its paths, and the files that it loads. Served to everybody: what it shows comes from the API, which asks who it is. */
export async function ui (app: FastifyInstance) {
  const assets = openAssets()
  const htmlHeaders = {
    ...HEADERS,
    'content-security-policy': `default-src 'none'; script-src 'self' '${assets.importMapHash}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-cache',
  }

  for (const path of Object.values(PATHS)) {
    app.get(path, { schema: { hide: true } }, async (request, reply) => send(request, reply.headers(htmlHeaders), assets.html))
  }

  app.get<{ Params: { version: string, '*': string } }>('/ui/:version/*', { schema: { hide: true } }, async (request, reply) => {
    const asset = request.params.version === assets.version ? assets.files.get(request.params['*']) : undefined
    if (asset === undefined) return reply.callNotFound()
    return send(request, reply.headers({ ...HEADERS, 'cache-control': FOREVER }), asset)
  })
}

async function send ({ headers }: FastifyRequest, reply: FastifyReply, asset: Asset) {
  reply.headers({ etag: asset.etag, vary: 'accept-encoding' })
  if (headers['if-none-match']?.split(',').some(tag => tag.trim() === asset.etag)) return reply.code(304).send()
  const encoding = encodingOf(headers['accept-encoding'] ?? '')
  if (encoding !== 'identity') reply.header('content-encoding', encoding)
  return reply.type(asset.type).send(await asset.as(encoding))
}

/** The smallest that the client takes (RFC 9110, 12.5.3). */
function encodingOf (accepted: string): Encoding {
  const takes = (name: string) => accepted.split(',').some(part => {
    const [coding = '', weight = ''] = part.split(';').map(text => text.trim().toLowerCase())
    return coding === name && !/^q=0(\.0*)?$/.test(weight)
  })
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : 'identity'
}
