import t from 'tap'
import type { Test } from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { ARRIVAL_MS, auth, bearer, post, storedEvents, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { append, openRandom } from '../fixtures/events.js'

const DAY_MS = 86_400_000

interface Page { items: { id: number, time: number, index: string, sourcetype: string, event: unknown }[], next_cursor: string | null, total?: number, earliest: string, latest: string }

async function getPage ({ app }: Pick<TestApp, 'app'>, query: string): Promise<Page> {
  const res = await app.inject({ url: `/api/v1/events?${query}`, headers: bearer })
  if (res.statusCode !== 200) throw new Error(res.body)
  return res.json()
}

/** All pages of a list, and how many there were. */
async function readAll (it: Pick<TestApp, 'app'>, query: string): Promise<{ items: Page['items'], pages: number }> {
  const items: Page['items'] = []
  for (let cursor = '', pages = 1; ; pages++) {
    const page = await getPage(it, `${query}${cursor}`)
    items.push(...page.items)
    if (page.next_cursor === null) return { items, pages }
    cursor = `&cursor=${page.next_cursor}`
  }
}

interface Model { readonly id: number, readonly timeUs: number, readonly index: string, readonly sourcetype: string }

/** Some hundred requests of a few events over three days: their times overlap, and many are equal. More blocks than are read in one page. */
async function fill ({ events }: TestApp): Promise<Model[]> {
  const random = openRandom(1)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const model: Model[] = []
  for (let request = 0; request < 700; request++) {
    const base = Math.floor(random() * 100) - 20
    const envelopes = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
      const timeUs = (base + Math.floor(random() * 3)) * 1_000_000 + pick([0, 0, 1, 999_999])
      const [index, sourcetype] = [pick(['main', 'metrics']), pick(['a', 'b', 'a b'])]
      model.push({ id: model.length + 1, timeUs, index, sourcetype })
      return { event: model.length, time: `${timeUs < 0 ? '-' : ''}${Math.floor(Math.abs(timeUs) / 1e6)}.${String(Math.abs(timeUs) % 1_000_000).padStart(6, '0')}`, index, sourcetype }
    })
    await append(events, envelopes, ARRIVAL_MS + Math.floor(request / 250) * DAY_MS)
  }
  return model
}

const ORDERS: Readonly<Record<string, (a: Model, b: Model) => number>> = {
  time: (a, b) => a.timeUs - b.timeUs || a.id - b.id,
  '-time': (a, b) => b.timeUs - a.timeUs || b.id - a.id,
  id: (a, b) => a.id - b.id,
  '-id': (a, b) => b.id - a.id,
}

t.test('pages in every order give every event once, over blocks and days whose times overlap', async t => {
  const it = await testApp(t)
  const model = await fill(it)
  const filters: readonly (readonly [query: string, holds: (one: Model) => boolean])[] = [
    ['', () => true],
    ['&earliest=3&latest=40.000001', ({ timeUs }) => timeUs >= 3_000_000 && timeUs < 40_000_001],
    ['&earliest=-5.000001&latest=1', ({ timeUs }) => timeUs >= -5_000_001 && timeUs < 1_000_000],
    ['&index=metrics&sourcetype=a%20b', ({ index, sourcetype }) => index === 'metrics' && sourcetype === 'a b'],
    ['&sourcetype=a&latest=20', ({ timeUs, sourcetype }) => sourcetype === 'a' && timeUs < 20_000_000],
  ]
  t.equal(it.events.stats().partitions, 3)

  for (const [order, compare] of Object.entries(ORDERS)) {
    for (const [filter, holds] of filters) {
      const wanted = model.filter(holds).sort(compare)
      for (const limit of [1000, 97]) {
        const { items, pages } = await readAll(it, `order_by=${order}&limit=${limit}${filter}`)
        t.strictSame(items.map(({ id }) => id), wanted.map(({ id }) => id), `order ${order}, limit ${limit}, filter "${filter}"`)
        t.equal(pages, Math.max(1, Math.ceil(wanted.length / limit)))
      }
      t.equal((await getPage(it, `order_by=${order}&limit=1&count=exact${filter}`)).total, wanted.length, `count of "${filter}"`)
    }
  }
  t.strictSame((await getPage(it, 'limit=20')).items.map(({ id }) => id), model.sort(ORDERS['-time']).slice(0, 20).map(({ id }) => id), 'newest first unless asked otherwise')
})

t.test('events have the time that they were sent with, to the microsecond, before 1970 too', async t => {
  const it = await testApp(t)
  const times = [-1.000001, -0.000001, 0, 0.000001, 1_773_140_710.123456]
  const far = [-62_167_219_200, 253_402_300_798.999] // as milliseconds, or they would be taken for some (hec.md 4.6)

  await post(it, times.map(time => JSON.stringify({ event: 'x', time: time.toFixed(6) })).join(''))
  await post(it, far.map(time => JSON.stringify({ event: 'far', time: String(time * 1000) })).join(''))

  t.strictSame((await storedEvents(it)).map(({ time }) => time), [...times, ...far])
})

t.test('earliest is inclusive and latest exclusive, whichever way they are written', async t => {
  const it = await testApp(t)
  await post(it, ['1773140700', '1773140700.000001', '1773141000'].map((time, event) => JSON.stringify({ event, time })).join(''))
  const cases: readonly (readonly [query: string, events: readonly number[]])[] = [
    ['earliest=1773140700&latest=1773141000', [0, 1]],
    ['earliest=1773140700.000001&latest=1773141000.000001', [1, 2]],
    ['earliest=1773140700&latest=1773140700', []],
    ['earliest=2026-03-10T11:05:00Z&latest=2026-03-10T11:10:00Z', [0, 1]],
    ['earliest=2026-03-10T12:05:00%2B01:00', [0, 1, 2]],
    ['earliest=-56m@m&latest=-51m@m', [0, 1]], // now is 12:01
    ['latest=1773141000', [0, 1]],
    ['latest=now', [0, 1, 2]],
    ['earliest=now', []],
  ]
  for (const [query, events] of cases) t.strictSame((await storedEvents(it, `&${query}`)).map(({ event }) => event), events, query)

  t.match(await getPage(it, 'earliest=-56m@m&latest=-51m@m'), { earliest: '2026-03-10T11:05:00.000Z', latest: '2026-03-10T11:10:00.000Z' }, 'the reply says what it meant')
})

t.test('a filter matches the whole name, in its case, and nothing by pattern', async t => {
  const it = await testApp(t)
  await post(it, ['a', 'A', 'ab', '*', 'a%'].map(sourcetype => JSON.stringify({ event: sourcetype, sourcetype })).join(''))

  for (const [name, found] of [['a', ['a']], ['A', ['A']], ['*', ['*']], ['a%25', ['a%']], ['a*', []], ['nope', []]] as const) {
    t.strictSame((await storedEvents(it, `&sourcetype=${name}`)).map(({ event }) => event), found, name)
  }
})

t.test('events that come in while pages are read are never given twice, and none of the others is left out', async t => {
  const it = await testApp(t)
  for (const order of ['id', '-id', 'time', '-time']) {
    const before = (await storedEvents(it)).length
    await append(it.events, Array.from({ length: 30 }, (_, n) => ({ event: `${order} ${n}`, time: n % 7 })), ARRIVAL_MS)
    const seen: number[] = []
    let cursor = ''
    do {
      const page = await getPage(it, `order_by=${order}&limit=4${cursor}`)
      seen.push(...page.items.map(({ id }) => id))
      await append(it.events, [{ event: 'new', time: 3 }], ARRIVAL_MS)
      cursor = page.next_cursor === null ? '' : `&cursor=${page.next_cursor}`
    } while (cursor !== '' && seen.length < 1000)

    t.equal(new Set(seen).size, seen.length, `${order}: none twice`)
    for (let id = 1; id <= before + 30; id++) if (!seen.includes(id)) t.fail(`${order}: event ${id} was left out`)
  }
})

t.test('what can\'t be asked is refused, and the reply says which part', async t => {
  const { app } = await testApp(t)
  const cases: readonly (readonly [query: string, pointer: string])[] = [
    ['order_by=name', '/order_by'], ['limit=0', '/limit'], ['limit=1001', '/limit'], ['limit=ten', '/limit'], ['limit=', '/limit'], ['limit=1.5', '/limit'],
    ['count=yes', '/count'], ['earliest=yesterday-ish', '/earliest'], ['latest=', '/latest'], ['earliest=20&latest=10', '/earliest'], ['cursor=nope', '/cursor'],
    [`cursor=${Buffer.from('[1]').toString('base64url')}`, '/cursor'], [`cursor=${Buffer.from('{"__proto__":1}').toString('base64url')}`, '/cursor'], ['index=', '/index'],
  ]
  for (const [query, pointer] of cases) {
    const res = await app.inject({ url: `/api/v1/events?${query}`, headers: bearer })
    t.equal(res.statusCode, 400, query)
    t.match(res.headers['content-type'], /^application\/problem\+json/)
    t.match(res.json(), { status: 400, errors: [{ pointer }] }, query)
  }
  t.equal((await app.inject({ url: '/api/v1/events?wat=1', headers: bearer })).statusCode, 400, 'an unknown parameter')
})

t.test('events are for those who have a key', async t => {
  const it = await testApp(t)
  for (const headers of [{}, { authorization: 'Bearer nope' }, auth, { authorization: 'Bearer' }]) {
    const res = await it.app.inject({ url: '/api/v1/events', headers })
    t.equal(res.statusCode, 401, JSON.stringify(headers))
    t.match(res.headers['content-type'], /^application\/problem\+json/)
    t.match(res.headers['www-authenticate'], /^Bearer/)
  }
  t.equal((await it.app.inject({ url: '/api/v1/events', headers: { authorization: `Bearer ${VIEWER_KEY}` } })).statusCode, 200)
})

t.test('an empty store has an empty page', async (t: Test) => {
  const it = await testApp(t)

  t.match(await getPage(it, 'count=exact'), { items: [], next_cursor: null, total: 0, earliest: '0000-01-01T00:00:00.000Z' })
})
