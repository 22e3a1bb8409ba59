import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { PROBLEMS } from '../../src/api/problem.js'
import { resourcePath } from '../../src/resource.js'
import type { EventStore } from '../../src/store/events.js'
import { bearer, openTestEvents, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'

interface Asked { readonly method?: 'POST' | 'DELETE', readonly url: string, readonly headers?: Record<string, string>, readonly payload?: string | object }

const viewer = { authorization: `Bearer ${VIEWER_KEY}` }

/** An app whose event store is as a test wants it. */
async function appWith (t: Test, change: Partial<EventStore>) {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  return testApp(t, { events: Object.assign(Object.create(events), change) as typeof events })
}

/** A request for each kind of problem. */
const ASKED: readonly { readonly type: string, readonly what: string, readonly asked: Asked, readonly errors?: object[], readonly times?: number, readonly events?: Partial<EventStore> }[] = [
  { type: 'invalid', what: 'a parameter that there is not', asked: { url: '/api/v1/findings?odd=1', headers: bearer }, errors: [{ pointer: '/', detail: String }] },
  { type: 'invalid', what: 'a body that is no JSON', asked: { method: 'POST', url: '/api/v1/search', headers: { ...bearer, 'content-type': 'application/json' }, payload: '{' } },
  { type: 'invalid', what: 'a search that is none', asked: { method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: 'a | odd' } }, errors: [{ pointer: '/search', detail: String }] },
  { type: 'unauthorized', what: 'no key', asked: { url: '/api/v1/findings' } },
  { type: 'forbidden', what: 'another role', asked: { url: '/api/v1/tokens', headers: viewer } },
  { type: 'not-found', what: 'a path that there is not', asked: { url: '/api/v1/nothing', headers: bearer } },
  { type: 'not-found', what: 'a path that there is not, without a key', asked: { url: '/nothing' } },
  { type: 'not-found', what: 'a method that the path has not', asked: { method: 'DELETE', url: '/api/v1/findings', headers: bearer } },
  { type: 'not-found', what: 'an id that there is not', asked: { url: '/api/v1/findings/x', headers: bearer } },
  { type: 'conflict', what: 'what the configuration sets', asked: { method: 'DELETE', url: '/api/v1/tokens/test', headers: bearer } },
  { type: 'too-large', what: 'a large body', asked: { method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: 'x'.repeat(2 << 20) } } },
  { type: 'unsupported-media-type', what: 'a body of another type', asked: { method: 'POST', url: '/api/v1/search', headers: { ...bearer, 'content-type': 'application/xml' }, payload: '<x/>' } },
  { type: 'too-many-failures', what: 'keys that are none, one after the other', asked: { url: '/api/v1/findings', headers: { authorization: 'Bearer x' } }, times: 21 },
  { type: 'defect', what: 'a defect', asked: { url: '/api/v1/store', headers: bearer }, events: { partitions () { throw new Error('a secret') } } },
]

for (const { type, what, asked, errors, times = 1, events } of ASKED) {
  t.test(`${what} is answered by the problem ${type}`, async t => {
    const { app } = events === undefined ? await testApp(t) : await appWith(t, events)
    let res = await app.inject(asked)
    for (let i = 1; i < times; i++) res = await app.inject(asked)
    const [status, { title }] = Object.entries(PROBLEMS).find(([, one]) => one.type === `/problems/${type}`)!

    t.equal(res.statusCode, Number(status))
    t.match(res.headers['content-type'], /^application\/problem\+json/)
    t.match(res.json(), { type: `/problems/${type}`, title, status: Number(status), detail: /^[^\n]/, request_id: /^[0-9a-f-]{36}$/, ...errors === undefined ? {} : { errors } })
    t.strictSame(Object.keys(res.json()), ['type', 'title', 'status', 'detail', ...errors === undefined ? [] : ['errors'], 'request_id'])
    t.notMatch(res.body, /secret/)
  })
}

t.test('docs/api.md has every kind of problem with its status, and no other; each is asked for above or in a test of its own', t => {
  const text = readFileSync(resourcePath('docs/api.md'), 'utf8')
  const rows = text.split('\n').filter(line => line.startsWith('| `/problems/')).map(line => line.split('|').slice(1, 3).map(cell => cell.trim().replaceAll('`', '')))

  t.strictSame(rows, Object.entries(PROBLEMS).map(([status, { type }]) => [type, status]))
  const elsewhere = ['precondition-failed', 'unavailable'] // workflow.test.ts, finding-stream.test.ts
  t.strictSame(new Set([...ASKED.map(({ type }) => type), ...elsewhere].map(type => `/problems/${type}`)), new Set(Object.values(PROBLEMS).map(({ type }) => type)))
  t.end()
})
