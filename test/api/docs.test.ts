import { readFileSync } from 'node:fs'
import t from 'tap'
import { resourcePath } from '../../src/resource.js'
import { KEY } from '../fixtures/app.js'
import { listen } from '../fixtures/http.js'
import { listenTo } from '../fixtures/stream.js'
import { openTriage } from '../fixtures/workflow.js'

/** A curl line of the docs: what it asks for. */
function readCurl (line: string) {
  const words = [...line.replace(/\\\n\s*/g, ' ').trim().matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, double, single, plain]) => double ?? single ?? plain!)
  const asked = { method: 'GET', headers: {} as Record<string, string>, payload: undefined as string | undefined, url: '' }
  for (let i = 1; i < words.length; i++) {
    const word = words[i]!
    if (word === '-X') asked.method = words[++i]!
    else if (word === '-d') {
      asked.payload = words[++i]!
      if (asked.method === 'GET') asked.method = 'POST' // as curl does
    } else if (word === '-H') {
      const [name, value] = words[++i]!.split(': ') as [string, string]
      asked.headers[name.toLowerCase()] = value.replace('$KEY', KEY)
    } else if (word !== '-N') asked.url = word.replace('http://127.0.0.1:8088', '')
  }
  return asked
}

t.test('every call of docs/api.md is one, and is answered as it says', async t => {
  const lines = [...readFileSync(resourcePath('docs/api.md'), 'utf8').matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text!)
  const server = await openTriage(t)
  await server.happen({ pod: 'a', tool: 'ls' })
  await server.run()
  const port = await listen(server)
  const answers = new Map<string, { status: number, body: Record<string, unknown> }>()

  for (const line of lines) {
    t.match(line, /^curl [^;|&`]*"Authorization: Bearer \$KEY"/)
    const { method, url, headers, payload } = readCurl(line)
    if (/^curl -N/.test(line)) {
      const client = await listenTo(t, port, { query: url.slice(url.indexOf('?')), key: KEY })
      t.equal(client.response.statusCode, 200, line)
      continue
    }
    const res = await server.app.inject({ method: method as 'GET' | 'POST', url, headers, ...payload === undefined ? {} : { payload } })
    answers.set(`${method} ${url.split('?')[0]!.replace('/api/v1', '')}`, { status: res.statusCode, body: /json/.test(String(res.headers['content-type'])) ? res.json() as Record<string, unknown> : { text: res.body } })
  }

  t.match(Object.fromEntries(answers), {
    'GET /session': { status: 200, body: { name: 'admin', role: 'admin' } },
    'GET /events': { status: 200, body: { items: [{ sourcetype: 'st' }], next_cursor: null, earliest: String, latest: String } },
    'GET /findings': { status: 200, body: { items: [{ status: 'new' }], total: 1 } },
    'GET /findings/export': { status: 200, body: { text: /^id,/ } },
    'POST /findings/bulk': { status: 200, body: { dry_run: true, matched: 1, changed: 1 } },
    'POST /search': { status: 200, body: { rows: [{ sourcetype: 'st' }] } },
    'POST /search/explain': { status: 200, body: { errors: [{ line: 1, column: 14 }] } },
    'POST /search/jobs': { status: 202, body: { search: String, time_limit_seconds: 1800 } },
  })
  t.equal(answers.size, 8, 'each is looked at')
})
