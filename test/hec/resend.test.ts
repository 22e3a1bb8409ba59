import t from 'tap'
import type { Test } from 'tap'
import { ACK_TOKEN, ARRIVAL_MS, auth, OTHER_TOKEN, post, storedEvents, tempDir, testApp, TOKEN } from '../fixtures/app.js'

const WINDOW_MS = 600_000
const BODY = '{"event":"a","index":"metrics"}{"event":"b","index":"metrics"}'
const CHANNEL = '00000000-0000-0000-0000-000000000001'
const SUCCESS = '{"text":"Success","code":0}'

/** An app that knows re-sends for ten minutes, and a clock that stands where it is put. */
async function protectedApp (t: Test, dataDir = tempDir(t)) {
  const clock = { ms: ARRIVAL_MS }
  const it = await testApp(t, { dataDir, resendWindowUs: WINDOW_MS * 1000, now: () => clock.ms })
  const count = async () => (await storedEvents(it)).length
  return { it, clock, count }
}

t.test('Splunk stores a body twice that comes twice, and so does Hecate unless it is told not to', async t => {
  const it = await testApp(t)
  await post(it, BODY)
  await post(it, BODY)
  t.equal((await storedEvents(it)).length, 4)
})

t.test('a body that the same sender sends again is stored once', async t => {
  const { it, count } = await protectedApp(t)

  for (let i = 0; i < 3; i++) t.match(await post(it, BODY), { statusCode: 200, body: SUCCESS })

  t.equal(await count(), 2)
  const metrics = (await it.app.inject('/metrics')).body
  t.match(metrics, 'hecate_hec_resends_total{token="test"} 2')
  t.match(metrics, 'hecate_hec_events_total{token="test"} 2')
})

t.test('another token, channel, path, metadata, address or body is another request', async t => {
  const { it, count } = await protectedApp(t)
  const channel = (n: number) => ({ 'x-splunk-request-channel': `00000000-0000-0000-0000-00000000000${n}` })
  await post(it, BODY)
  await post(it, BODY, { authorization: `Splunk ${OTHER_TOKEN}` })
  await post(it, BODY, channel(1))
  await post(it, BODY, channel(2))
  await post(it, BODY, {}, '/services/collector/event?host=x')
  await post(it, BODY, {}, '/services/collector/event?time=5')
  await post(it, BODY, {}, '/services/collector/event?auto_extract_timestamp=true')
  await post(it, `${BODY} `)
  await it.app.inject({ method: 'POST', url: '/services/collector', headers: auth, payload: BODY, remoteAddress: '192.0.2.1' })
  t.equal(await count(), 18)

  await post(it, BODY, {}, '/services/collector/raw')
  t.equal(await count(), 19)
  await post(it, BODY, {}, '/services/collector/event/1.0')
  await post(it, BODY, channel(2))
  await post(it, BODY, { authorization: `Basic ${Buffer.from(`x:${TOKEN}`).toString('base64')}` })
  t.equal(await count(), 19, 'the same by another way')
})

t.test('re-sends that wait for one commit are stored once', async t => {
  const { it, count } = await protectedApp(t)

  const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => post(it, i % 2 === 0 ? BODY : '{"event":"c"}')))

  t.ok(replies.every(({ body }) => body === SUCCESS))
  t.equal(await count(), 3)
})

t.test('on an ack token a re-send has a new id, which is true at once', async t => {
  const { it, count } = await protectedApp(t)
  const headers = { authorization: `Splunk ${ACK_TOKEN}`, 'x-splunk-request-channel': CHANNEL }

  t.equal((await post(it, BODY, headers)).json().ackId, 0)
  t.equal((await post(it, BODY, headers)).json().ackId, 1)
  t.equal((await post(it, '{"acks":[0,1]}', headers, '/services/collector/ack')).body, '{"acks":{"0":true,"1":true}}')
  t.equal(await count(), 2)
})

t.test('the re-send of a faulty body is answered as the body was, and its prefix is stored once', async t => {
  const { it, count } = await protectedApp(t)
  const body = '{"event":"a"}{"event":""}'
  const first = await post(it, body)
  const second = await post(it, body)

  t.match(first, { statusCode: 400, body: '{"text":"Event field cannot be blank","code":13,"invalid-event-number":1}' })
  t.match(second, { statusCode: 400, body: first.body })
  t.equal(await count(), 1)
})

t.test('a body of which nothing was stored is looked at again', async t => {
  const { it, count } = await protectedApp(t)
  for (let i = 0; i < 2; i++) t.equal((await post(it, '{"event":""}')).json().code, 13)
  for (let i = 0; i < 2; i++) t.equal((await post(it, ' ')).json().code, 5)
  t.equal(await count(), 0)
})

t.test('after the window it is another request; a re-send does not make it longer', async t => {
  const { it, clock, count } = await protectedApp(t)
  await post(it, BODY)
  clock.ms += WINDOW_MS
  await post(it, BODY)
  t.equal(await count(), 2, 'at its end')

  clock.ms += 1
  await post(it, BODY)
  t.equal(await count(), 4)
  await post(it, BODY)
  t.equal(await count(), 4, 'and a new one has begun')
})

t.test('what was sent before a restart, or before midnight, is known', async t => {
  const dataDir = tempDir(t)
  const evening = await protectedApp(t, dataDir)
  evening.clock.ms = Date.parse('2026-03-10T23:55:00Z')
  await post(evening.it, BODY)
  await evening.it.close()

  const night = await protectedApp(t, dataDir)
  night.clock.ms = Date.parse('2026-03-10T23:58:00Z')
  await post(night.it, BODY)
  t.equal(await night.count(), 2, 'after a restart')
  night.clock.ms = Date.parse('2026-03-11T00:01:00Z')
  await post(night.it, '{"event":"c"}')
  await post(night.it, BODY)
  t.equal(await night.count(), 3, 'after midnight')
  await night.it.close()

  const later = await protectedApp(t, dataDir)
  later.clock.ms = Date.parse('2026-03-11T00:04:00Z')
  await post(later.it, BODY)
  await post(later.it, '{"event":"c"}')
  t.equal(await later.count(), 3, 'after midnight and a restart')
})
