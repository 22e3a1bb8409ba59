import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parse as parseCsv } from 'csv-parse/sync'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { toCsvLine } from '../../src/api/csv.js'
import { toCodeSpan } from '../../src/api/markdown.js'
import type { Finding } from '../../src/finding.js'
import { KEY, VIEWER_KEY } from '../fixtures/app.js'
import { openTriage, stanzaOf } from '../fixtures/workflow.js'

t.setTimeout(300_000) // servers with thousands of findings, on a machine that may be busy

const viewer = { authorization: `Bearer ${VIEWER_KEY}` }
const HOSTILE = '=cmd|\' /C calc\'!A0 [x](http://evil) ![i](http://evil/i.png) <img src=x onerror=alert(1)> @channel `tick` ``` | a | b |\n# head'

t.test('a finding is exported as JSON and as Markdown, with what belongs to it', async t => {
  const server = await openTriage(t)
  await server.happen({ pod: HOSTILE, tool: 'mount' })
  await server.run()
  const [{ id }] = await server.list() as [Finding]
  await server.call('PATCH', `findings/${id}`, { status: 'closed', comment: 'our own <b>job</b>' })

  const json = await server.call('GET', `findings/${id}/export`, undefined, viewer)
  const markdown = await server.call('GET', `findings/${id}/export?format=markdown`, undefined, viewer)

  t.equal(json.headers['content-disposition'], `attachment; filename="finding-${id}.json"`)
  t.match(json.json(), {
    finding: { id, status: 'closed', result: { pod: HOSTILE }, evidence: { event_count: 1, events: [{ event: { tool: 'mount' } }] }, drill_down: { search: String } },
    process_tree: { nodes: [] }, revisions: [{ revision: 1 }], history: [{ kind: 'change', comment: 'our own <b>job</b>' }], revisions_truncated: false, history_truncated: false,
  })
  t.match(markdown.headers, { 'content-type': 'text/markdown; charset=utf-8', 'content-disposition': `attachment; filename="finding-${id}.md"` })
  t.ok(markdown.body.includes(toCodeSpan(HOSTILE)))
  t.notMatch(outsideCode(markdown.body), /evil|<|@|our own|=cmd/, 'what events and people say is in code spans alone')
  t.equal(await server.status('findings/nothing/export', viewer), 404)
  t.equal(await server.status(`findings/${id}/export?format=pdf`, viewer), 400)
  t.equal(await server.status(`findings/${id}/export`, {}), 401)
})

t.test('findings are exported as CSV and NDJSON, by the filters of the list', async t => {
  const server = await openTriage(t)
  await server.happen(...Array.from({ length: 120 }, (_, i) => ({ pod: i === 0 ? HOSTILE : `pod-${i}`, tool: i % 2 === 0 ? 'mount' : 'ls' })))
  await server.run()
  const all = await server.list('limit=1000')

  const csv = await server.call('GET', 'findings/export?format=csv', undefined, viewer)
  const ndjson = await server.call('GET', 'findings/export?format=ndjson&order_by=time', undefined, viewer)
  const few = await server.call('GET', 'findings/export?format=ndjson&limit=70', undefined, viewer)
  const one = await server.call('GET', 'findings/export?format=ndjson&risk_object=pod-3', undefined, viewer)

  const rows = parseCsv(csv.body, { columns: true }) as Record<string, string>[]
  t.strictSame(rows.map(({ id }) => id), all.map(({ id }) => id))
  t.strictSame(rows.map(({ result }) => JSON.parse(result!)), all.map(({ result }) => result))
  t.match(csv.headers, { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': 'attachment; filename="findings.csv"', 'hecate-total': '120', 'hecate-limit': '100000', 'hecate-truncated': 'false' })
  t.strictSame(linesOf(ndjson.body), all.toReversed())
  t.equal(ndjson.headers['content-type'], 'application/x-ndjson')
  t.match(few.headers, { 'hecate-total': '120', 'hecate-limit': '70', 'hecate-truncated': 'true' })
  t.strictSame(linesOf(few.body), all.slice(0, 70))
  t.match(linesOf(one.body), [{ result: { pod: 'pod-3' } }])
  t.equal(await server.status('findings/export?format=csv', {}), 401)
  for (const query of ['', 'format=xml', 'format=csv&limit=0', 'format=csv&limit=1000001', 'format=csv&status=lost']) t.equal(await server.status(`findings/export?${query}`, viewer), 400, query)
})

t.test('an export goes as fast as it is read, and ends when its client leaves', async t => {
  const server = await openTriage(t, { stanzas: stanzaOf('a_rule', 'sourcetype=st | stats count values(text) AS text BY pod') })
  const text = 'x'.repeat(100_000)
  await server.happen(...Array.from({ length: 400 }, (_, i) => ({ pod: `pod-${i}`, text: `${i}${text}` })))
  await server.run()
  let read = 0
  const { many } = server.findings
  server.findings.many = ids => {
    read += ids.length
    return many(ids)
  }
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.app.server.address() as AddressInfo

  await new Promise<void>((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', path: '/api/v1/findings/export?format=ndjson', headers: { authorization: `Bearer ${KEY}` } }, res => {
      res.once('readable', () => {
        res.read(1)
        const wait = (last: number) => setTimeout(() => {
          if (read !== last) {
            wait(read)
            return
          }
          t.ok(read > 0 && read < 400, `${read} of 400 findings are read while nobody takes them`)
          asked.destroy()
          resolve()
        }, 1_000)
        wait(-1)
      })
    })
    asked.once('error', reject)
    asked.end()
  })
  const atLeave = read

  await new Promise(resolve => setTimeout(resolve, 1_000))
  t.ok(read <= atLeave + 50, 'at most the page under way is read')
})

t.test('no cell of the CSV is a formula, whatever parts the cells', t => {
  const part = fc.constantFrom('=', '+', '-', '@', '\t', '\r', '\n', ';', ',', '"', ' ', 'a', '1', '＝', '＠', "'", '\r\n')
  const text = fc.oneof(fc.array(part, { maxLength: 8 }).map(parts => parts.join('')), fc.string())

  fc.assert(fc.property(fc.array(text, { minLength: 1, maxLength: 4 }), cells => {
    const line = toCsvLine(cells)
    const [parsed = ['']] = parseCsv(line, { record_delimiter: '\r\n' }) as string[][]
    t.strictSame(parsed.map(withoutMarks), cells.map(withoutMarks))
    t.notOk(parsed.some(cell => /^ *[=+@＝＋－＠\t\r\n-]/.test(cell)), line)
    t.notOk(line.split(/[;\t\r\n]/).slice(1).some(cell => /^[ "]*[=+@＝＋－＠-]/.test(cell)), line)
  }), { numRuns: 500 })
  t.end()
})

t.test('text in Markdown is one code span of one line, whatever it holds', t => {
  const part = fc.constantFrom('`', '``', '```', ' ', '\n', '\r', '\u2028', '\u202e', '|', '<b>', '[a](b)', '![i](x)', '@here', '\\', '*', 'a', '\u0000', '\ud800', '# ', '- ')
  const text = fc.oneof(fc.array(part, { maxLength: 12 }).map(parts => parts.join('')), fc.string())

  fc.assert(fc.property(text, given => {
    const span = toCodeSpan(given)
    t.notMatch(span, /[\p{Cc}\u2028\u2029\u202a-\u202e]/u)
    if (given === '') {
      t.equal(span, '(empty)')
      return
    }
    t.equal(outsideCode(span), '')
    const [, , inner] = /^(`+)(?!`)(.*?)(?<!`)\1$/s.exec(span)!
    const shown = /^ .* $/s.test(inner!) && /[^ ]/.test(inner!) ? inner!.slice(1, -1) : inner!
    if (!/[\p{Cc}\u2028\u2029\u202e]/u.test(given)) t.equal(shown, given.toWellFormed())
  }), { numRuns: 500 })
  t.match(toCodeSpan('y'.repeat(3_000)), / \(cut: 3000 characters\)$/)
  t.end()
})

/** What CommonMark doesn't take for code: a span goes from a run of backticks to the next of the same length. */
function outsideCode (markdown: string): string {
  return markdown.split('\n').map(line => {
    let rest = ''
    for (let at = 0; at < line.length;) {
      const [run = ''] = /^`+/.exec(line.slice(at)) ?? []
      const end = run === '' ? null : new RegExp(`(?<!\`)${run}(?!\`)`).exec(line.slice(at + run.length))
      if (end === null) rest += line[at++]
      else at += run.length + end.index + run.length
    }
    return rest
  }).join('\n')
}

const withoutMarks = (text: string) => text.replaceAll("'", '')

function linesOf (body: string): unknown[] {
  return body.trimEnd().split('\n').map(line => JSON.parse(line) as unknown)
}
