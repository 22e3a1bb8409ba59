import fc from '../fixtures/fast-check.js'
import type { Test } from 'tap'
import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { HOUR_MS, MAX_SOURCE_CHARS, MAX_SOURCES } from '../../src/store/events.js'
import { addLags, LAST_LAG_BUCKET, lagBoundSeconds, lagBucketOf, lagPercentile } from '../../src/store/lag.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { bearer, post, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { LITERAL } from '../fixtures/golden.js'

const START = '2026-03-10T12:00:00.000Z'
const MINUTE_MS = 60_000
const DAY_MS = 24 * HOUR_MS
const SILENT = 'hecate___silent_source'

interface Item {
  readonly index: string | null
  readonly node_name: string | null
  readonly last_arrival: string
  readonly events: number
  readonly lag: { readonly p50: number, readonly p99: number, readonly max: number } | null
  readonly lacking: { readonly detection_id: string, readonly field: string, readonly events: number }[]
  readonly silent: boolean
  readonly silent_since: string | null
}
interface Page { readonly items: Item[], readonly next_cursor: string | null, readonly total?: number, readonly earliest: string, readonly latest: string }

/** An app whose clock is set by hand. Its loop's turns are taken by `at`: what came is written down, then silence is looked for. */
async function open (t: Test, options: TestAppOptions = {}) {
  let nowMs = Date.parse(START)
  const app = await testApp(t, { now: () => nowMs, ...options })
  const collect = async () => {
    await app.sources.take()
    await app.sources.write()
  }
  const sources = async (query = ''): Promise<Page> => {
    await collect()
    return await get(app, `/api/v1/sources?${query}`) as Page
  }
  return {
    ...app,
    listed: sources,
    /** Goes on to a time and takes the loop's turns. */
    async at (ms: number): Promise<void> {
      nowMs = Date.parse(START) + ms
      await collect()
      await app.sources.look(nowMs)
    },
    collect,
    setTime (ms: number): void { nowMs = Date.parse(START) + ms },
    findings: async () => (await get(app, `/api/v1/findings?detection=${SILENT}`) as { items: Finding[] }).items,
    store: app.findings,
    nowMs: () => nowMs,
  }
}

async function get ({ app }: Pick<TestApp, 'app'>, url: string): Promise<unknown> {
  const res = await app.inject({ url, headers: bearer })
  if (res.statusCode !== 200) throw new Error(res.body)
  return res.json()
}

const exec = (node: string, more: object = {}) => ({
  sourcetype: 'cisco:isovalent',
  event: { process_exec: { process: { binary: '/bin/sh' } }, node_name: node, cluster_name: 'prod' },
  ...more,
})

const send = async (app: Pick<TestApp, 'app'>, ...envelopes: readonly object[]) => {
  const res = await post(app, envelopes.map(envelope => JSON.stringify(envelope)).join(''))
  if (res.statusCode !== 200) throw new Error(res.body)
}

const seconds = (ms: number) => (Date.parse(START) + ms) / 1000

t.test('GET /api/v1/sources says of each index, sourcetype, cluster and node what came, when and how late', async t => {
  const app = await open(t)
  await send(app,
    exec('n1', { time: seconds(-1000) }), exec('n1', { time: seconds(-90_000) }), exec('n1', { time: seconds(5000) }),
    { event: 'plain', time: seconds(0), sourcetype: 'st', index: 'metrics' })

  const { items, next_cursor: next, earliest, latest } = await app.listed()

  const common = { first_arrival: START, last_arrival: START, lost_events: 0, throttled: 0, lacking: [], silent: false, silent_since: null }
  t.strictSame(items, [
    {
      index: 'main', sourcetype: 'cisco:isovalent:processExec', cluster_name: 'prod', node_name: 'n1', ...common, last_event: seconds(5000),
      events: 3, events_per_hour: 3 / 24, lag: { p50: lagBoundSeconds(lagBucketOf(1_000_000)), p99: 90, max: 90 }, from_the_future: 1,
    },
    {
      index: 'metrics', sourcetype: 'st', cluster_name: null, node_name: null, ...common, last_event: seconds(0),
      events: 1, events_per_hour: 1 / 24, lag: { p50: 0, p99: 0, max: 0 }, from_the_future: 0,
    },
  ])
  t.equal(next, null)
  t.strictSame([earliest, latest], ['2026-03-09T12:00:00.000Z', '2026-03-10T13:00:00.000Z'])
})

t.test('Tetragon\'s own word of what it did not send is counted with its source, whatever form its number has', async t => {
  const app = await open(t)
  const say = (event: object) => ({ sourcetype: 'cisco:isovalent', event: { ...event, node_name: 'n1', cluster_name: 'prod' } })
  const dropped = (count: unknown) => say({ rate_limit_info: { number_of_dropped_process_events: count } })
  await send(app, dropped('120'), dropped(3), dropped('1e3'), dropped(-5), dropped([7]), dropped(null), dropped('007'), say({ rate_limit_info: {} }), say({ rate_limit_info: null }),
    say({ process_throttle: { type: 'THROTTLE_START', cgroup: 'c' } }), say({ process_throttle: { type: 'THROTTLE_STOP', cgroup: 'c' } }), say({ process_throttle: 'THROTTLE_START' }),
    { sourcetype: 'cisco:isovalent', event: { log: JSON.stringify(say({ process_throttle: { type: 'THROTTLE_START' } }).event) } })

  t.match((await app.listed()).items, [{ sourcetype: 'cisco:isovalent', cluster_name: 'prod', node_name: 'n1', events: 13, lost_events: 130, throttled: 2 }])

  await send(app, dropped('18446744073709551615'), dropped('18446744073709551615'))
  await app.collect()
  await send(app, dropped('18446744073709551615'))

  t.match((await app.listed()).items, [{ events: 16, lost_events: Number.MAX_SAFE_INTEGER }], 'a number that is too large is the largest there is')
})

t.test('what events lack that a detection groups by is told of their source, by the hour', async t => {
  const app = await open(t)
  const tool = (node: string, more: object) => exec(node, {
    event: { process_exec: { process: { binary: '/usr/bin/nsenter', arguments: '-t 1', pod: { namespace: 'shop', name: 'p', container: { id: 'c' } } } }, node_name: node, ...more },
  })
  app.ledger.complete(app.nowMs())
  await app.sweep(app.nowMs())
  const lacking = async (query = '') => (await app.listed(query)).items.map(({ node_name: node, lacking }) => [node, lacking.filter(({ detection_id: id }) => id === LITERAL).map(({ field, events }) => `${field} ${events}`)])
  await send(app, tool('n1', {}), tool('n1', {}), tool('n2', { cluster_name: 'prod' }), exec('n3'))
  await app.collect()

  await app.sweep(app.nowMs())

  t.strictSame(await lacking(), [['n1', ['cluster_name 2']], ['n2', []], ['n3', []]])

  await app.at(HOUR_MS)
  await send(app, tool('n1', {}))
  await app.collect()
  await app.sweep(app.nowMs())
  await app.sweep(app.nowMs())

  t.strictSame((await lacking())[0], ['n1', ['cluster_name 3']])
  t.strictSame((await lacking('earliest=2026-03-10T13:00:00Z'))[0], ['n1', ['cluster_name 1']])
  await app.at(32 * DAY_MS)
  await app.at(32 * DAY_MS + 1)
  t.equal(app.control.prepare('SELECT count(*) FROM source_lack').pluck().get(), 0, 'after thirty days it is gone')
})

t.test('a time range takes whole hours of arrival', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  app.setTime(HOUR_MS - 1)
  await send(app, exec('n1'))
  app.setTime(HOUR_MS)
  await send(app, exec('n1'), exec('n1'))
  app.setTime(2 * HOUR_MS + 30 * MINUTE_MS)
  await send(app, exec('n1'))

  for (const [query, events, perHour, range] of [
    ['', 5, 5 / 24.5, ['2026-03-09T14:00:00.000Z', '2026-03-10T15:00:00.000Z']],
    ['earliest=2026-03-10T12:59:59Z&latest=2026-03-10T13:00:00Z', 2, 2, ['2026-03-10T12:00:00.000Z', '2026-03-10T13:00:00.000Z']],
    ['earliest=2026-03-10T13:00:00Z&latest=2026-03-10T13:00:01Z', 2, 2, ['2026-03-10T13:00:00.000Z', '2026-03-10T14:00:00.000Z']],
    ['earliest=2026-03-10T13:30:00Z', 3, 2, ['2026-03-10T13:00:00.000Z', '2026-03-10T15:00:00.000Z']],
    ['earliest=0', 5, 5 / (30 * 24 + 0.5), ['2026-02-08T14:00:00.000Z', '2026-03-10T15:00:00.000Z']],
    ['earliest=0&latest=1', 0, 0, ['2026-02-08T14:00:00.000Z', '2026-02-08T14:00:00.000Z']],
    ['earliest=%2B1d&latest=%2B2d', 0, 0, ['2026-03-10T15:00:00.000Z', '2026-03-10T15:00:00.000Z']],
  ] as const) {
    const { items, earliest, latest } = await app.listed(query)
    t.match(items, [{ events, events_per_hour: perHour, lag: events === 0 ? null : {} }], query)
    t.strictSame([earliest, latest], range, query)
  }
})

t.test('sources are listed in pages, by any of their names, and for a viewer', async t => {
  const app = await open(t)
  await send(app, exec('n1'), exec('n2'), exec('n3'), { event: 'a', sourcetype: 'st', fields: { node_name: 'n2' } }, { event: 'a', sourcetype: 'st', index: 'metrics' })

  const first = await app.listed('limit=2&count=exact')
  const second = await app.listed(`limit=2&cursor=${first.next_cursor}`)
  const third = await app.listed(`limit=2&cursor=${second.next_cursor}`)

  t.equal(first.total, 5)
  t.strictSame([first, second, third].map(({ items }) => items.map(({ node_name: node }) => node)), [['n1', 'n2'], ['n3', 'n2'], [null]])
  t.equal(third.next_cursor, null)
  for (const [query, total] of [['node_name=n2', 2], ['node_name=n2&sourcetype=st', 1], ['index=metrics', 1], ['cluster_name=prod', 3], ['index=none', 0], ['silent=true', 0]] as const) {
    const page = await app.listed(`${query}&count=exact`)
    t.strictSame([page.total, page.items.length], [total, total], query)
  }
  t.equal((await app.app.inject({ url: '/api/v1/sources', headers: { authorization: `Bearer ${VIEWER_KEY}` } })).statusCode, 200)
  for (const query of ['silent=false', 'cursor=bm9uZQ', 'earliest=yesterday', 'earliest=now&latest=-1h', 'node=n1']) {
    t.equal((await app.app.inject({ url: `/api/v1/sources?${query}`, headers: bearer })).statusCode, 400, query)
  }
})

t.test('only what is stored counts: nothing of a request that is refused, and nothing of one that was stored before', async t => {
  const app = await open(t, { resendWindowUs: 60e6 })
  await send(app, exec('n1'))
  await send(app, exec('n1'))
  const res = await post(app, JSON.stringify(exec('n1')) + JSON.stringify(exec('n2', { index: 'none' })))

  t.equal(res.statusCode, 400)
  t.match((await app.listed()).items, [{ node_name: 'n1', events: 2 }], 'events before the fault are stored')
})

t.test('a number and its text are one name, and a long name is not told apart', async t => {
  const app = await open(t)
  const named = (node: unknown) => ({ event: 'a', sourcetype: 'st', fields: { node_name: node } })
  await send(app, named(42), named('42'), named('x'.repeat(MAX_SOURCE_CHARS)), named('x'.repeat(MAX_SOURCE_CHARS + 1)), named(['several', 'values']))

  const { items } = await app.listed()

  t.strictSame(items.map(({ index, node_name: node, events }) => [index, node?.slice(0, 3) ?? null, events]), [
    [null, null, 1], ['main', '42', 2], ['main', 'xxx', 1], ['main', null, 1],
  ])
})

t.test(`of more than ${MAX_SOURCES} sources the rest is counted together, which is never silent; forgotten ones make room`, async t => {
  const app = await open(t)
  const named = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => ({ event: 'a', sourcetype: 'st', fields: { node_name: `${prefix}${i}` } }))
  const most = async () => await app.listed('count=exact&limit=1')
  await send(app, ...named(MAX_SOURCES - 1, 'a'))
  await app.collect()
  await send(app, ...named(3, 'b'))

  const { total, items } = await most()
  t.equal(total, MAX_SOURCES + 1)
  t.match(items, [{ index: null, sourcetype: null, cluster_name: null, node_name: null, events: 2 }])

  await send(app, ...named(MAX_SOURCES + 5, 'c'), ...named(1, 'a'))
  t.match(await most(), { total: MAX_SOURCES + 1, items: [{ index: null, events: 2 + MAX_SOURCES + 5 + 1 }] }, 'the writer holds no more either, not even of those that are known')

  await app.at(2 * HOUR_MS)
  t.equal((await app.listed('silent=true&count=exact&limit=1')).total, MAX_SOURCES)
  await app.at(8 * DAY_MS)
  await send(app, exec('n1'))
  t.match((await app.listed('count=exact')).items.map(({ node_name: node }) => node), ['n1'])
})

t.test('a source that stops is silent after an hour: one finding, which says who, what and since when', async t => {
  const app = await open(t)
  await send(app, exec('n1', { time: seconds(-500) }), exec('n2'))
  await app.at(30 * MINUTE_MS)
  await send(app, exec('n2'))

  await app.at(HOUR_MS)
  t.strictSame(await app.findings(), [], 'not before')
  await app.at(HOUR_MS + 1)
  await app.at(HOUR_MS + 10_001)

  const findings = await app.findings()
  t.strictSame(findings, [{
    id: findings[0]!.id,
    detection: { id: SILENT, name: 'Hecate - Silent source', version: 1 },
    time: seconds(0),
    result: { index: 'main', sourcetype: 'cisco:isovalent:processExec', cluster_name: 'prod', node_name: 'n1', last_arrival: START, silent_after: 3600 },
    risk: { score: 0, message: `node n1 of cluster prod has sent no cisco:isovalent:processExec to main since ${START}`, objects: [], threat_objects: [] },
    severity: 'informational',
    mitre_attack: [],
    window: { earliest: START, latest: '2026-03-10T13:00:00.001Z' },
    status: 'new',
    disposition: null,
    owner: null,
    revision: 1,
    created_at: '2026-03-10T13:00:00.001Z',
    updated_at: '2026-03-10T13:00:00.001Z',
    run: '',
    gone_at: null,
    backfill: null,
    throttled_by: null,
    suppressed_by: null,
    etag: '"1.0"',
    change: null,
  }])
  t.match((await app.listed('silent=true')).items, [{ node_name: 'n1', silent: true, silent_since: START }])
  t.match((await app.listed()).items, [{ node_name: 'n1', silent: true }, { node_name: 'n2', silent: false, silent_since: null }])
  t.match(await get(app, `/api/v1/findings/${findings[0]!.id}`), { id: findings[0]!.id, evidence: null })
})

t.test('the message names what there is of a source', async t => {
  const app = await open(t)
  for (const fields of [{}, { cluster_name: 'c' }, { node_name: 'n' }]) await send(app, { event: 'a', sourcetype: 'st', fields })
  await app.at(2 * HOUR_MS)

  t.strictSame((await app.findings()).map(({ risk }) => risk.message).sort(), [
    `cluster c has sent no st to main since ${START}`, `nobody has sent st to main since ${START}`, `node n has sent no st to main since ${START}`,
  ])
})

t.test('a source that sends again is not silent at once, and its finding is resolved with when it came back; the next silence is another', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  await app.at(2 * HOUR_MS)
  app.setTime(3 * HOUR_MS)
  await send(app, exec('n1'))
  t.match((await app.listed()).items, [{ silent: false, silent_since: null }])
  app.setTime(3 * HOUR_MS + 5_000)
  await send(app, exec('n1'))

  await app.at(3 * HOUR_MS + 8_000)
  await app.at(3 * HOUR_MS + 18_000)

  const [finding] = await app.findings()
  t.match(finding, {
    status: 'resolved', revision: 2, gone_at: '2026-03-10T15:00:00.000Z', updated_at: '2026-03-10T15:00:08.000Z', run: '',
    change: { reason: 'arrival', row: 'gone', text: 'sends again since 2026-03-10T15:00:00.000Z, after 3.0 h' },
  })
  t.match(await get(app, `/api/v1/findings/${finding!.id}/revisions`), { items: [{ revision: 2, change: { reason: 'arrival' } }, { revision: 1, change: null }] })

  await app.at(5 * HOUR_MS)
  t.match((await app.findings()).map(({ status, time }) => [status, time]), [['new', seconds(3 * HOUR_MS + 5_000)], ['resolved', seconds(0)]])
  t.match((await app.listed()).items, [{ silent: true, silent_since: '2026-03-10T15:00:05.000Z' }])
})

t.test('a status that a person has set is not undone when the source sends again', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  await app.at(2 * HOUR_MS)
  const [{ id }] = await app.findings() as [Finding]
  app.control.prepare("UPDATE finding SET status = 'in_progress' WHERE id = ?").run(id)

  await send(app, exec('n1'))
  await app.at(2 * HOUR_MS + 10_000)

  t.match(await app.findings(), [{ id, status: 'in_progress', revision: 2, gone_at: '2026-03-10T14:00:00.000Z', change: { row: 'gone' } }])
})

t.test('after sources.forget_after a source is silent no more; its finding stays, and is resolved should it come again', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  await app.at(2 * HOUR_MS)

  await app.at(7 * DAY_MS)
  t.match((await app.listed('silent=true')).items, [{ silent: true }])
  await app.at(7 * DAY_MS + 1)
  t.strictSame((await app.listed('silent=true')).items, [])
  t.match((await app.listed()).items, [{ silent: false, silent_since: null, events: 0, lag: null }])
  t.match(await app.findings(), [{ status: 'new', revision: 1 }])

  await send(app, exec('n1'))
  await app.at(7 * DAY_MS + 10_000)
  t.match(await app.findings(), [{ status: 'resolved', revision: 2 }])
})

t.test('with sources.forget_after of nothing a source stays silent, with sources.silent_after of nothing none is', async t => {
  const patient = await open(t, { forgetAfterMs: 0 })
  const deaf = await open(t, { silentAfterMs: 0 })
  for (const app of [patient, deaf]) {
    await send(app, exec('n1'))
    await app.at(2 * HOUR_MS)
    await app.at(40 * DAY_MS)
  }

  t.match((await patient.listed('silent=true')).items, [{ silent: true, silent_since: START }])
  t.equal((await patient.findings()).length, 1)
  t.strictSame((await deaf.listed()).items, [], 'nothing came for 30 days')
  t.strictSame(await deaf.findings(), [])
})

t.test('what was not taken says nothing of who sends: silence counts from the start, and from when the disk had room again', async t => {
  let openSinceMs = Date.parse(START)
  const app = await open(t, { openSinceMs: () => openSinceMs })
  await send(app, exec('n1'))
  await app.collect()

  openSinceMs += HOUR_MS
  await app.at(2 * HOUR_MS)
  t.strictSame(await app.findings(), [])
  await app.at(2 * HOUR_MS + 1)
  t.match(await app.findings(), [{ time: seconds(0) }])
})

t.test('a restart keeps sources, what came of them and that they are silent, and makes no second finding', async t => {
  const dataDir = tempDir(t)
  const first = await open(t, { dataDir })
  await send(first, exec('n1'), exec('n2'))
  await first.at(2 * HOUR_MS)
  await send(first, exec('n2'))
  await first.at(2 * HOUR_MS)
  await first.close()

  const second = await open(t, { dataDir })
  await second.at(2 * HOUR_MS + 20_000)

  t.match((await second.listed()).items, [{ node_name: 'n1', events: 1, silent: true, silent_since: START }, { node_name: 'n2', events: 2, silent: false }])
  t.match((await second.findings()).map(({ status }) => status).sort(), ['new', 'resolved'])
  await send(second, exec('n1'))
  await second.at(2 * HOUR_MS + 30_000)
  t.match((await second.findings()).map(({ status }) => status), ['resolved', 'resolved'])
})

t.test('a finding that was written when the process died before its mark is no second one', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  await app.at(2 * HOUR_MS)
  app.control.exec('UPDATE source SET silent_since_ms = NULL')
  await app.at(3 * HOUR_MS)

  t.match(await app.findings(), [{ revision: 1, created_at: '2026-03-10T14:00:00.000Z' }])
  t.match((await app.listed('silent=true')).items, [{ silent_since: START }])
})

t.test('a clock that was ahead for a while hides no silence', async t => {
  const app = await open(t)
  app.setTime(365 * DAY_MS)
  await send(app, exec('n1'))
  await app.collect()
  app.setTime(0)
  await send(app, exec('n1'))
  await app.at(HOUR_MS + 1)

  t.match(await app.findings(), [{ time: seconds(0) }])
})

t.test('what could not be written is written with the next', async t => {
  const app = await open(t)
  await send(app, exec('n1'))
  app.control.exec('ALTER TABLE source_hour RENAME TO elsewhere')
  await t.rejects(app.collect(), /no such table/)
  t.strictSame(app.sources.list({ isSilent: false }, app.nowMs(), 10, -1), [], 'nor half of it')
  await send(app, exec('n1'))
  app.control.exec('ALTER TABLE elsewhere RENAME TO source_hour')

  await app.collect()
  t.match((await app.listed()).items, [{ node_name: 'n1', events: 2 }])
})

t.test('a lag is known to 19 %, whatever it is and however it was added up', t => {
  const lag = fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 30 * DAY_MS * 1_000 }), fc.integer({ min: 0, max: 2 ** 53 - 1 }))
  const countsOf = (lags: readonly number[]) => {
    const counts: Record<number, number> = {}
    for (const one of lags) counts[lagBucketOf(one)] = (counts[lagBucketOf(one)] ?? 0) + 1
    return counts
  }
  fc.assert(fc.property(fc.array(fc.array(lag, { maxLength: 20 }), { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 100 }), (parts, percent) => {
    const sorted = parts.flat().sort((a, b) => a - b)
    if (sorted.length === 0) return
    const maxSeconds = sorted.at(-1)! / 1e6
    const wanted = sorted[Math.ceil(sorted.length * percent / 100) - 1]! / 1e6

    const got = lagPercentile(addLags(parts.map(countsOf)), percent, maxSeconds)

    if (got > maxSeconds) throw new Error('above the largest')
    if (got < wanted * (1 - 1e-12)) throw new Error(`${got} is less than ${wanted}`)
    // The last bucket, from 29.6 days on, has no bound but the largest.
    if (lagBucketOf(wanted * 1e6) < LAST_LAG_BUCKET && got > Math.max(wanted * 2 ** 0.25, 0.001) * (1 + 1e-12)) throw new Error(`${got} is more than 19 % above ${wanted}`)
  }), { numRuns: 2_000 })
  t.end()
})

t.test('what the API says of lags is what a list of all of them says', async t => {
  const app = await open(t)
  let node = 0
  await fc.assert(fc.asyncProperty(fc.array(fc.array(fc.integer({ min: -100_000, max: 3_000_000 }), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 }), async batches => {
    const name = `n${node++}`
    for (const batch of batches) {
      await send(app, ...batch.map(lagMs => exec(name, { time: seconds(-lagMs) })))
      await app.collect()
    }
    const lags = batches.flat()
    const sorted = lags.map(lagMs => Math.max(0, lagMs) / 1000).sort((a, b) => a - b)

    const [item] = (await app.listed(`node_name=${name}`)).items as [Item & { from_the_future: number, last_event: number }]

    t.match(item, { events: lags.length, from_the_future: lags.filter(lagMs => lagMs < 0).length, last_event: seconds(-Math.min(...lags)), lag: { max: sorted.at(-1) } })
    for (const [got, percent] of [[item.lag!.p50, 50], [item.lag!.p99, 99]] as const) {
      const wanted = sorted[Math.ceil(lags.length * percent / 100) - 1]!
      t.ok(got >= wanted * (1 - 1e-12) && got <= Math.max(wanted * 2 ** 0.25 * (1 + 1e-12), 0.001), `p${percent} of ${sorted.join()}: ${got}`)
    }
  }), { numRuns: 50 })
})

t.test('GET /routes lists by what events get another sourcetype, in the order in which it is looked at', async t => {
  const { app } = await testApp(t, { routes: [{ from: 'falco', key: 'proc', to: 'linux_audit' }] })

  const res = await app.inject({ url: '/api/v1/routes', headers: { authorization: `Bearer ${VIEWER_KEY}` } })

  t.equal(res.statusCode, 200)
  t.strictSame(res.json(), {
    items: [
      { from: 'falco', key: 'proc', to: 'linux_audit', origin: 'configuration' },
      { from: 'cisco:isovalent', key: 'process_exec', to: 'cisco:isovalent:processExec', origin: 'built_in' },
      { from: 'cisco:isovalent', key: 'process_connect', to: 'cisco:isovalent:processConnect', origin: 'built_in' },
    ],
  })
})
