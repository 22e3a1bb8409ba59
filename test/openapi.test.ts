import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { resourcePath } from '../src/resource.js'
import type { Example } from '../src/api/openapi.js'
import { EXAMPLES_FILE } from '../src/api/openapi.js'
import { testApp } from './fixtures/app.js'
import { recordExamples } from './fixtures/examples.js'
import { lintOpenapi } from './fixtures/lint-openapi.js'
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

interface Operation {
  readonly parameters?: readonly { readonly name: string, readonly in: string, readonly example?: unknown }[]
  readonly requestBody?: { readonly content: Record<string, { readonly example?: unknown }> }
  readonly responses: Record<string, { readonly content?: Record<string, { readonly example?: unknown }> }>
}

t.test('a linter finds nothing: the document is OpenAPI 3.1, and each example is as its schema says', async t => {
  t.strictSame(await lintOpenapi(committed), [])
})

t.test('the linter finds an example that is wrong, and a document that is', async t => {
  type Post = { description?: string, requestBody: { content: Record<string, { example: Record<string, unknown> }> }, responses?: Record<string, { content: Record<string, { example: Record<string, unknown> }> }> }
  const broken = (change: (post: Post) => void) => {
    const document = parse(committed) as { paths: { '/api/v1/search': { post: Post } } }
    change(document.paths['/api/v1/search'].post)
    return lintOpenapi(stringify(document))
  }

  t.match(await broken(post => { post.requestBody.content['application/json']!.example.limit = 0 }), [/^no-invalid-media-type-examples .*must be >= 1/])
  t.match(await broken(post => { post.responses!['200']!.content['application/json']!.example.odd = 1 }), [/^no-invalid-media-type-examples /])
  t.match(await broken(post => { Object.assign(post, { summary: 1 }) }), [/^struct /])
  t.match(await broken(post => { delete post.description }), [/^operation-description /])
})

t.test('every operation has an example of what it takes and of what it answers', async t => {
  const { paths } = parse(committed) as { paths: Record<string, Record<string, Operation>> }
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { parameters = [], requestBody, responses }] of Object.entries(methods)) {
      const name = `${method} ${path}`
      for (const parameter of parameters) if (parameter.in === 'path') t.hasOwnProp(parameter, 'example', `${name}: ${parameter.name}`)
      if (requestBody !== undefined) t.ok(Object.values(requestBody.content).every(({ example }) => example !== undefined), `${name}: body`)
      const good = Object.entries(responses).filter(([status, { content }]) => status.startsWith('2') && content !== undefined && status !== '204')
      t.ok(good.every(([, { content }]) => Object.values(content!).some(({ example }) => example !== undefined)), `${name}: answer`)
    }
  }
})

/** The members that a value has, at any depth; of an array those of its first item. */
function shapeOf (value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shapeOf(member)]))
  return typeof value === 'string' ? 'text' : value === null ? null : typeof value
}

t.test('the examples are what the server answers; `npm run examples` records them', async t => {
  const examples = JSON.parse(readFileSync(resourcePath(EXAMPLES_FILE), 'utf8')) as Record<string, Example>
  const now = await recordExamples(t)

  t.strictSame(Object.keys(now), Object.keys(examples))
  for (const [name, example] of Object.entries(now)) t.strictSame(shapeOf(example), shapeOf(examples[name]), name)
})
