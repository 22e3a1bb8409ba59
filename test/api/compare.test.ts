import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadDetectionFiles } from '../../src/detect/load.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, FILLING_TOKEN, post, tempDir, testApp } from '../fixtures/app.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
const KEY = { cluster_name: 'prod-eu', node_name: 'n1', pod_name: 'web-7d4b9-x2x', _time: 1773140700 }
const SLOT = { earliest: '2026-03-10T10:50:00Z', latest: '2026-03-10T11:50:00Z' }

function slots ({ app }: TestApp, query: string) {
  return app.inject({ url: `/api/v1/detections/${LITERAL}/slots?${query}`, headers: bearer })
}

async function rowEvents ({ app }: TestApp, body: object) {
  return (await app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/row-events`, headers: bearer, payload: { ...SLOT, ...body } })).json()
}

t.test('slots are those whose whole window lies in the range, oldest first, in pages', async t => {
  const server = await testApp(t)
  const query = 'earliest=2026-03-10T10:50:00Z&latest=2026-03-10T13:49:59Z'

  const first = (await slots(server, `${query}&limit=1`)).json()
  const second = (await slots(server, `${query}&limit=1&cursor=${first.next_cursor}`)).json()

  t.strictSame(first.items, [{ scheduled_time: '2026-03-10T12:00:00.000Z', window: { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' } }])
  t.match(first, { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T13:49:59.000Z' })
  t.match(second, { items: [{ scheduled_time: '2026-03-10T13:00:00.000Z' }], next_cursor: null }, 'the window of 14:00 ends one second too late')
  t.equal((await slots(server, 'earliest=-1d')).statusCode, 400, 'both ends are needed')
  t.equal((await slots(server, `${query}&cursor=x`)).statusCode, 400)
})

t.test('a detection says what tells its rows apart, and its bin', async t => {
  const dir = tempDir(t)
  const searches = { by: 'sourcetype=st | stats count BY host', one: 'sourcetype=st | stats count', events: 'sourcetype=st' }
  for (const [name, search] of Object.entries(searches)) {
    writeFileSync(join(dir, `${name}.yml`), `name: ${name}\nid: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f6${name.length}\nversion: 1\ntype: Hunting\nsearch: ${search}\n`)
  }
  const { app } = await testApp(t, { files: loadDetectionFiles({ shipped: [], paths: [dir] }) })
  const shipped = (await (await testApp(t)).app.inject({ url: `/api/v1/detections/${LITERAL}`, headers: bearer })).json()

  const { items } = (await app.inject({ url: '/api/v1/detections', headers: bearer })).json()

  t.match(shipped, { key_fields: ['cluster_name', 'node_name', 'pod_name', '_time'], bin_seconds: 300 })
  t.strictSame(items.map((one: { id: string, key_fields: string[] | null, bin_seconds: number | null }) => [one.id, one.key_fields, one.bin_seconds]), [
    ['by', ['host'], null], ['events', null, null], ['one', [], null],
  ])
})

t.test('the events behind a row are counted, in its bin, with the last arrival', async t => {
  let nowMs = Date.parse('2026-03-10T11:51:00Z')
  const server = await testApp(t, { now: () => nowMs })
  await post(server, [...G01.events, { ...G01.events[0]!, time: '2026-03-10T11:10:00.000Z' }].map(event => toEnvelope(event)).join(''))
  nowMs += 60_000
  await post(server, toEnvelope({ ...G01.events[0]!, process_exec: { process: { binary: '/bin/true', pod: { name: 'web-7d4b9-x2x' } } } }))

  t.strictSame(await rowEvents(server, { key: KEY }), {
    window: { earliest: '2026-03-10T11:05:00.000Z', latest: '2026-03-10T11:10:00.000Z' },
    event_count: 2,
    approximate: false,
    last_index_time: '2026-03-10T11:51:00.000Z',
    key_event_count: 3,
    lacking: [],
    added: [],
  })
  t.match(await rowEvents(server, { key: { ...KEY, pod_name: 'other' } }), { event_count: 0, last_index_time: null, key_event_count: 0 })
  t.match(await rowEvents(server, { key: { cluster_name: 'prod-eu' } }), { window: { earliest: '2026-03-10T10:50:00.000Z' }, event_count: 3 }, 'a field that is not given may have any value')
})

t.test('events without a BY field are told, and fields that events have not of themselves', async t => {
  const server = await testApp(t)
  const without = G01.events.map(event => ({ ...event, cluster_name: undefined }))
  await post(server, toEnvelope(without[0]!))

  t.match(await rowEvents(server, { key: KEY }), { event_count: 0, lacking: [{ field: 'cluster_name', event_count: 1 }], added: [] })

  await post(server, without.map(event => toEnvelope(event)).join(''), { authorization: `Splunk ${FILLING_TOKEN}` })
  t.match(await rowEvents(server, { key: { ...KEY, cluster_name: 'prod' } }), { event_count: 2, lacking: [{ field: 'cluster_name', event_count: 1 }], added: ['cluster_name'] })
})

t.test('a preview names its columns, also where it has no rows', async t => {
  const server = await testApp(t)
  const res = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/preview`, headers: bearer, payload: { scheduled_time: '2026-03-10T12:00:00Z' } })

  t.match(res.json(), { fields: ['_time', 'cluster_name', 'node_name'], rows: [] })
})
