import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { resourcePath } from '../src/resource.js'
import { testApp } from './fixtures/app.js'
import { openapiYaml } from './fixtures/openapi.js'

const committed = readFileSync(resourcePath('openapi.yaml'), 'utf8')
const { version } = JSON.parse(readFileSync(resourcePath('package.json'), 'utf8')) as { version: string }

t.test('openapi.yaml is what the routes make; `npm run openapi` writes it', async t => {
  t.equal(await openapiYaml(version), committed)
})

t.test('every reference of the document leads somewhere', async t => {
  const document = parse(committed) as { components: { schemas: object } }
  const names = [...committed.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name!)
  t.ok(names.length > 0)
  for (const name of new Set(names)) t.ok(Object.hasOwn(document.components.schemas, name), name)
})

t.test('/openapi.json serves the document, and every path of it is a route', async t => {
  const { app } = await testApp(t)
  const served = (await app.inject('/openapi.json')).json()
  const { paths } = parse(committed) as { paths: Record<string, Record<string, unknown>> }

  t.strictSame(Object.keys(served.paths), Object.keys(paths))
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) t.ok(app.hasRoute({ method: method.toUpperCase() as 'GET', url: path.replace(/\{(\w+)\}/g, ':$1') }), `${method} ${path}`)
  }
})
