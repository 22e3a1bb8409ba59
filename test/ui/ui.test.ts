import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import t from 'tap'
import { PATHS } from '../../src/ui/page/paths.js'
import { testApp } from '../fixtures/app.js'

/** All scripts of the page, compressed, may have so many bytes. */
const MAX_SCRIPT_BYTES = 200_000

t.test('Each path of the page is answered with the same HTML, whose only inline script is the import map that the policy allows', async t => {
  const { app } = await testApp(t)
  const { body } = await app.inject('/')
  for (const path of Object.values(PATHS)) {
    const res = await app.inject(path.replace(':id', 'a%2Fb'))
    t.strictSame([res.statusCode, res.headers['content-type'], res.body], [200, 'text/html; charset=utf-8', body], path)
    const [, importMap = ''] = /<script type="importmap">(.*?)<\/script>/.exec(body) ?? []
    const hash = createHash('sha256').update(importMap).digest('base64')
    t.equal(res.headers['content-security-policy'], `default-src 'none'; script-src 'self' 'sha256-${hash}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`)
    t.match(res.headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', 'cache-control': 'no-cache' })
  }
  t.notMatch(body.replace(/<script type="importmap">.*?<\/script>/, ''), /<script(?![^>]* src=)|<style|\son\w+=|style=/, 'nothing else is inline')
})

t.test('What the HTML names is served for ever, compressed as the client takes it, and nothing else of the folders is', async t => {
  const { app } = await testApp(t)
  const { body } = await app.inject('/')
  const paths = [...new Set([...body.matchAll(/(?:href|src)="(\/ui\/[^"]+)"|":"(\/ui\/[^"]+)"/g)].map(match => (match[1] ?? match[2])!))]
  t.ok(paths.length > 20)
  for (const path of paths) {
    const plain = await app.inject(path)
    t.strictSame([plain.statusCode, plain.headers['cache-control'], plain.headers['x-content-type-options'], plain.headers['content-encoding']], [200, 'public, max-age=31536000, immutable', 'nosniff', undefined], path)
    t.match(plain.headers['content-type'], path.endsWith('.js') ? /^text\/javascript/ : path.endsWith('.css') ? /^text\/css/ : 'image/svg+xml')
    const br = await app.inject({ url: path, headers: { 'accept-encoding': 'gzip, deflate, br' } })
    t.equal(br.headers['content-encoding'], 'br')
    t.ok(brotliDecompressSync(br.rawPayload).equals(plain.rawPayload))
    const gzip = await app.inject({ url: path, headers: { 'accept-encoding': 'br;q=0, gzip' } })
    t.equal(gzip.headers['content-encoding'], 'gzip')
    t.ok(gunzipSync(gzip.rawPayload).equals(plain.rawPayload))
    t.equal((await app.inject({ url: path, headers: { 'if-none-match': String(plain.headers.etag) } })).statusCode, 304)
  }
  const base = paths[0]!.split('/').slice(0, 3).join('/')
  for (const path of [`${base}/ui.js`, `${base}/page/../ui.js`, `${base}/page/%2e%2e/ui.js`, `${base}/page/main.js.map`, `${base}/page/main.tsx`, `${base}/lib/preact/package.json`, `${base}/`, '/ui/another/page/main.js', '/findings/a/b', '/nothing']) {
    const res = await app.inject(path)
    t.strictSame([path, res.statusCode, res.headers['content-type']], [path, 404, 'application/problem+json; charset=utf-8'])
  }
})

t.test('All scripts of the page together are below 200 KB compressed', async t => {
  const { app } = await testApp(t)
  const { body } = await app.inject('/')
  const scripts = new Set([...body.matchAll(/"(\/ui\/[^"]+\.js)"/g)].map(match => match[1]!))
  let sum = 0
  for (const url of scripts) sum += (await app.inject({ url, headers: { 'accept-encoding': 'br' } })).rawPayload.length
  t.comment(`${scripts.size} scripts, ${sum} bytes`)
  t.ok(sum < MAX_SCRIPT_BYTES, `${sum} bytes`)
})
