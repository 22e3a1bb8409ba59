import { readdirSync } from 'node:fs'
import { getPriority } from 'node:os'
import t from 'tap'
import { COLUMNS } from '../../src/fields/tables.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import type { EventStore } from '../../src/store/events.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'

const ALL_TIME = { earliestUs: -1e15, latestUs: 1e15 }

const SEARCHES = [
  'a=1 | stats count BY b',
  'a=* | table _time a b',
  'plain OR b=x | stats list(b) AS b',
  'a=* [search a=3 | fields b] | stats count',
  'nothing=1 | table a',
  '* | stats count BY sourcetype',
  '* | dedup b | table a',
  '* | dedup 2 a b keepempty=true | stats list(_time) AS times BY a',
  '* | eval c=a%2 | dedup c consecutive=true | stats count',
  '* | dedup a sortby -b | table a b',
  '* | where a>2 | head 7 | stats list(_time) AS times',
  '* | head 0 | stats count',
  '* | dedup a | head 3 | dedup b | table _time',
]

function search (events: EventStore, text: string, { signal, limit = 1_000 }: { signal?: AbortSignal, limit?: number } = {}) {
  const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown: 'on' })
  return events.search(plan, { window: ALL_TIME, position: events.position(), timeZone: 'UTC', nowMs: 0, limit, ...(signal === undefined ? {} : { signal }) })
}

/** The names of 30 events together are too many for foreach. */
function renamed (fields: object, event: number): object {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`${name}_${event}`, value]))
}

async function openFilled (t: Parameters<typeof tempDir>[0]): Promise<EventStore> {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  for (let request = 0; request < 10; request++) {
    const more = request === 0 ? Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, n])) : {}
    await append(events, Array.from({ length: 30 }, (_, n) => ({ time: request * 30 + n, sourcetype: `s${n % 3}`, event: { a: n % 5, b: n % 2 === 0 ? 'x' : 'plain', ...renamed(more, n) } })), ARRIVAL_MS)
  }
  return events
}

t.test('searches that are run together give what each gives alone', async t => {
  const events = await openFilled(t)
  const alone = []
  for (const text of SEARCHES) alone.push(await search(events, text))

  t.strictSame(await Promise.all(SEARCHES.map(text => search(events, text))), alone)
})

t.test('and no more rows of it than are wanted', async t => {
  const events = await openFilled(t)
  for (const limit of [299, 300]) {
    const [first, second] = await Promise.all(['* | table _time', '* | where a<9'].map(text => search(events, text, { limit })))
    t.match([first, second].map(result => [result!.rows.length, result!.truncated]), [[limit, limit < 300], [limit, limit < 300]])
  }
})

t.test('what is wrong with one of them is its own', async t => {
  const events = await openFilled(t)
  const outcomes = await Promise.allSettled(['a=1 | stats count', '* | foreach f* [eval x_<<FIELD>> = 1]', 'a=2 | stats count'].map(text => search(events, text)))

  t.match(outcomes, [
    { status: 'fulfilled', value: { rows: [{ values: new Map([['count', 60]]) }] } },
    { status: 'rejected', reason: { code: 'invalid', message: /^foreach would have to go through more than 1000 fields/ } },
    { status: 'fulfilled', value: { rows: [{ values: new Map([['count', 60]]) }] } },
  ])
})

t.test('one that nobody waits for any more stops alone', async t => {
  const events = await openFilled(t)
  const abort = new AbortController()
  const [first, second] = [search(events, 'a=1 | stats count', { signal: abort.signal }), search(events, 'a=2 | stats count')]
  abort.abort()

  await t.rejects(first, { code: 'unavailable' })
  t.match((await second).rows, [{ values: new Map([['count', 60]]) }])
})

t.test('a condition of many comparisons, or of many rows of a search in brackets, is no more than that', async t => {
  const events = await openFilled(t)
  const many = Array.from({ length: 2_000 }, (_, n) => `sourcetype=s${n}`).join(' OR ')

  t.match((await search(events, `${many} | stats count`)).rows, [{ values: new Map([['count', 300]]) }])
  t.match((await search(events, 'a=* [search a=* | table a b] | stats count')).rows, [{ values: new Map([['count', 300]]) }])
})

t.test('threads that search go behind those that take events', { skip: process.platform !== 'linux' }, async t => {
  const nices = () => readdirSync('/proc/self/task').map(thread => getPriority(Number(thread)))
  const before = nices().filter(nice => nice > getPriority()).length
  const events = await openFilled(t)
  t.equal(nices().filter(nice => nice > getPriority()).length, before)
  await search(events, 'a=1 | stats count')
  t.equal(nices().filter(nice => nice === Math.min(19, getPriority() + 10)).length, before + 1)
})
