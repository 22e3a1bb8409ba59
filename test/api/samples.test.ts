import t from 'tap'
import { SAMPLE_CLUSTER, SAMPLE_DETECTION } from '../../src/detect/sample.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, storedEvents, testApp } from '../fixtures/app.js'

interface Sent { readonly finding_id: string, readonly detection_id: string, readonly events: number, readonly scheduled_time: string | null }

const send = ({ app }: Pick<TestApp, 'app'>) => app.inject({ method: 'POST', url: '/api/v1/samples', headers: bearer })
const get = async ({ app }: Pick<TestApp, 'app'>, path: string) => (await app.inject({ url: `/api/v1/${path}`, headers: bearer })).json()
const DAY_MS = 86_400_000

for (const now of ['2026-03-10T12:01:00Z', '2027-01-01T00:04:59.999Z', '2026-07-03T03:33:17.250Z']) {
  t.test(`at ${now} the sample is sent, its window is evaluated, and the reply has its finding`, async t => {
    const app = await testApp(t, { nowMs: Date.parse(now) })
    const res = await send(app)

    t.equal(res.statusCode, 201)
    const { finding_id: id, detection_id: detection, events, scheduled_time: slot } = res.json() as Sent
    t.strictSame([detection, events, res.headers.location], [SAMPLE_DETECTION, 217, `/api/v1/findings/${id}`])
    t.match(await get(app, `findings/${id}`), {
      risk: { message: new RegExp(`on cluster ${SAMPLE_CLUSTER} `) }, detection: { id: SAMPLE_DETECTION },
      result: { cluster_name: SAMPLE_CLUSTER, total_events: 7, distinct_cmds: 4 },
    }, 'as the log’s own hour gives it')
    t.match(await get(app, `ledger?detection=${SAMPLE_DETECTION}`), { items: [{ scheduled_time: slot, origin: 'manual', state: 'done', row_count: 1 }] })
  })
}

t.test('events of the sample say what they are, and none is of before the window or of the future', async t => {
  const app = await testApp(t)
  const { scheduled_time: slot } = (await send(app)).json() as Sent
  const { items: [{ window }] } = await get(app, `ledger?detection=${SAMPLE_DETECTION}`) as { items: [{ scheduled_time: string, window: { earliest: string, latest: string } }] }
  const events = await storedEvents(app) as { time: number, source: string, index: string, sourcetype: string, event: { time: string, cluster_name: string } }[]

  t.ok(Date.parse(slot!) <= Date.parse('2026-03-10T12:01:00Z'))
  t.equal(events.length, 217)
  for (const event of events) {
    t.match(event, { source: 'hecate:sample', index: 'main', sourcetype: /^cisco:isovalent/ })
    t.ok(event.time >= Date.parse(window.earliest) / 1000 && event.time < Date.parse(window.latest) / 1000, event.event.time)
    t.equal(Math.floor(Date.parse(event.event.time) / 1000), Math.floor(event.time))
  }
  t.notMatch(JSON.stringify(events), /"cluster_name":"prod/)
})

t.test('sent twice, also at the same time, it is stored once and leads to the same finding; a day later it is another', async t => {
  const clock = { nowMs: Date.parse('2026-03-10T12:01:00Z') }
  const app = await testApp(t, { now: () => clock.nowMs })
  const [one, two] = (await Promise.all([send(app), send(app)])).map(res => res.json() as Sent)
  clock.nowMs += DAY_MS / 2
  const three = (await send(app)).json() as Sent

  t.equal(two!.finding_id, one!.finding_id)
  t.strictSame(three, { ...one, events: 0, scheduled_time: null })
  t.equal((await get(app, 'events?count=exact&limit=1') as { total: number }).total, 217)
  clock.nowMs += DAY_MS
  const later = (await send(app)).json() as Sent
  t.not(later.finding_id, one!.finding_id)
  t.equal(later.events, 217)
})

t.test('the sample is no source, which would fall silent', async t => {
  const app = await testApp(t)
  await send(app)
  await app.sources.take()
  await app.sources.write()

  t.strictSame((await get(app, 'sources') as { items: unknown[] }).items, [])
})

t.test('without its detection, its index or room on the disk it is not sent, and the reply says why', async t => {
  for (const [options, status, why] of [
    [{ files: [] }, 409, /detections\.shipped/],
    [{ existingIndexes: new Set(['metrics']) }, 409, /an index main/],
    [{ disk: { tryTake: () => false, give: () => {}, state: () => ({ freeBytes: 0, reserveBytes: 0, isFull: true }) } as unknown as NonNullable<Parameters<typeof testApp>[1]>['disk'] }, 503, /disk is full/],
  ] as const) {
    const app = await testApp(t, options as Parameters<typeof testApp>[1])
    const res = await send(app)
    t.equal(res.statusCode, status)
    t.match((res.json() as { detail: string }).detail, why)
    t.strictSame(await storedEvents(app), [])
  }
})

t.test('where the detection finds nothing of it, the reply says so', async t => {
  const app = await testApp(t, { overrides: { [SAMPLE_DETECTION]: { earliest: '-11m@m', latest: '-10m@m' } } })
  const res = await send(app)

  t.equal(res.statusCode, 409)
  t.match((res.json() as { detail: string }).detail, /^the sample is stored, but the detection found nothing of it/)
})
