import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import { HEC_REPLY } from '../../src/hec/reply.js'
import { resourcePath } from '../../src/resource.js'
import type { TestApp } from '../fixtures/app.js'
import { auth, bearer, testApp } from '../fixtures/app.js'
import { listen, openSocket } from '../fixtures/http.js'
import type { AppName, Entry, Exchanges, Reply, Talk } from './conformance/entry.js'
import { APPS, EVENT } from './conformance/entry.js'
import { ENDPOINT_ENTRIES } from './conformance/endpoints.js'
import { EVENT_ENTRIES } from './conformance/events.js'
import { LIMIT_ENTRIES } from './conformance/limits.js'
import { RAW_AND_ACK_ENTRIES } from './conformance/lines.js'
import { METADATA_ENTRIES } from './conformance/metadata.js'
import { REPLY_ENTRIES } from './conformance/replies.js'
import type { Row } from './conformance/rows.js'
import { ROWS } from './conformance/rows.js'
import { TIME_AND_FIELD_ENTRIES } from './conformance/times.js'

t.setTimeout(400_000) // some 280 entries in a dozen apps take 8 s, but on a machine that is busy with others much more

const ENTRIES: readonly Entry[] = [
  ...ENDPOINT_ENTRIES, ...REPLY_ENTRIES, ...EVENT_ENTRIES, ...METADATA_ENTRIES, ...TIME_AND_FIELD_ENTRIES, ...RAW_AND_ACK_ENTRIES, ...LIMIT_ENTRIES,
]

const nameOf = ({ row, is }: Entry) => `${row} → ${is}`

for (const name of Object.keys(APPS) as AppName[]) {
  const entries = ENTRIES.filter(({ app = 'keep' }) => app === name)
  t.test(`Splunk's HEC, row by row: ${name}`, async t => {
    const it = await testApp(t, await APPS[name](t))
    const port = await listen(it)
    const bytes = it.budget.bytes
    const newEvents = openEventReader(it)
    for (const entry of entries) {
      await t.test(nameOf(entry), async t => {
        if ('run' in entry) return entry.run(t, it)
        if ('exchanges' in entry) await exchange(t, it, entry)
        else await talk(t, port, entry)
        const expected = entry.stored ?? []
        const stored = await newEvents(expected.length)
        t.strictSame(stored.map((event, i) => pick(event, expected[i] ?? event)), expected, 'what is stored')
        t.equal(it.budget.bytes, bytes, 'bytes in flight')
      })
    }
  })
}

/** Gives the events that were stored since it was last called; where they are more than expected, one more. */
function openEventReader ({ app }: TestApp): (expected: number) => Promise<Record<string, unknown>[]> {
  let seen = 0
  return async expected => {
    const res = await app.inject({ url: `/api/v1/events?order_by=-id&limit=${expected + 1}`, headers: bearer })
    const items = (res.json() as { items: (Record<string, unknown> & { id: number })[] }).items.filter(({ id }) => id > seen).reverse()
    seen = items.at(-1)?.id ?? seen
    return items
  }
}

function pick (event: Readonly<Record<string, unknown>>, like: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(like).map(key => [key, event[key]]))
}

async function exchange (t: Test, { app }: TestApp, { exchanges }: Exchanges): Promise<void> {
  for (const [{ method = 'POST', url = EVENT, headers = auth, body = '' }, reply] of exchanges) {
    const res = await app.inject({ method: method as 'POST', url, headers, payload: body })
    const given = new Map(Object.entries(res.headers).map(([name, value]) => [name, String(value)]))
    t.strictSame([res.statusCode, res.body, ...faultsOf(given, reply)], [reply.status, reply.body], `${method} ${url} ${body.toString().slice(0, 60)}`)
  }
}

async function talk (t: Test, port: number, { turns, replies }: Talk): Promise<void> {
  const socket = await openSocket(t, port)
  let received = ''
  for (const [write, until] of turns) {
    socket.write(write)
    received += await socket.readMore(until)
  }
  socket.abort()
  for (const reply of replies) {
    const end = received.indexOf('\r\n\r\n') + 4
    const [statusLine = '', ...lines] = received.slice(0, end - 4).split('\r\n')
    const body = received.slice(end, end + reply.body.length)
    received = received.slice(end + reply.body.length)
    const given = new Map(lines.map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }))
    t.strictSame([statusLine.split(' ', 2), body, ...faultsOf(given, reply)], [['HTTP/1.1', String(reply.status)], reply.body], statusLine)
  }
  t.equal(received, '', 'nothing follows the replies')
}

/** What is wrong with the headers of a reply: those that an entry names, and what holds of every reply (hec.md section 3). */
function faultsOf (given: ReadonlyMap<string, string>, { status, body, headers }: Reply): string[] {
  const expected = new Map(Object.entries({
    'set-cookie': null,
    ...(body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)), 'content-type': 'application/json; charset=UTF-8' }),
    ...headers,
  }))
  if (status < 200) expected.clear()
  const isRight = (value: string | undefined, wanted: string | RegExp | null) => wanted instanceof RegExp ? wanted.test(value ?? '') : (value ?? null) === wanted
  return [...expected].filter(([name, wanted]) => !isRight(given.get(name), wanted)).map(([name, wanted]) => `${name} is ${given.get(name)}, not ${wanted}`)
}

const docs = readFileSync(resourcePath('docs/hec.md'), 'utf8')

/** The rows of the table below a heading of docs/hec.md. */
function tableBelow (heading: string): string[][] {
  const [, below] = docs.split(`## ${heading}\n`)
  return below!.split('\n## ')[0]!.split('\n').filter(line => line.startsWith('|')).slice(2).map(line => line.split(' | ').map(cell => cell.replace(/^\| | \|$/g, '').trim()))
}

t.test('every row of hec.md sections 1 to 8 has an entry, and every entry has a name of its own', async t => {
  const covered = new Set<Row>(ENTRIES.map(({ row }) => row))

  for (const row of Object.keys(ROWS) as Row[]) t.ok(covered.has(row), row)
  t.equal(new Set(ENTRIES.map(nameOf)).size, ENTRIES.length)
})

t.test('every code is covered by a row of section 3', async t => {
  for (const code of Object.keys(HEC_REPLY)) t.ok(Object.hasOwn(ROWS, `3 code ${code}`), code)
})

t.test('docs/hec.md has what Hecate does in every row that hec.md leaves open, and no more', async t => {
  const open = new Map(Object.values(ROWS).flatMap(state => state !== null && 'unknown' in state ? [[state.unknown, state.hecate]] : []))

  t.strictSame(new Map(tableBelow('What is not known of Splunk, and what Hecate does').map(([unknown, hecate]) => [unknown, hecate])), open)
})

t.test('where docs/hec.md says that Hecate differs, an entry shows it, and no other entry does', async t => {
  const rows = Object.entries(ROWS).flatMap(([row, state]) => state !== null && 'differs' in state ? [[row, state.differs] as const] : [])
  const differing = ENTRIES.filter(({ is }) => is.startsWith('differs: ')).map(({ row }) => row)

  t.strictSame(new Set(differing), new Set(rows.map(([row]) => row)))
  t.strictSame(new Set(tableBelow('Where Hecate differs from Splunk on purpose').map(([what]) => what)), new Set(rows.map(([, what]) => what)))
})
