import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { ACK_LIMITS, openAcks } from '../../src/hec/ack.js'
import { openByteBudget } from '../../src/hec/body.js'
import { ACK_TOKEN, ARRIVAL_MS, DISABLED_TOKEN, post, storedEvents, testApp } from '../fixtures/app.js'

const ack = { authorization: `Splunk ${ACK_TOKEN}` }
const CHANNEL = 'FE0ECFAD-13D5-401B-847D-77833BD77131'
const OTHER_CHANNEL = '934793c3-aaaa-4f00-8000-000000000000'
const ACK = '/services/collector/ack'

function send (it: TestApp, payload: string, channel: string = CHANNEL, url = '/services/collector/event') {
  return post(it, payload, { ...ack, 'x-splunk-request-channel': channel }, url)
}

function poll (it: TestApp, acks: unknown, channel: string = CHANNEL, url = ACK) {
  return post(it, JSON.stringify({ acks }), { ...ack, 'x-splunk-request-channel': channel }, url)
}

t.test('ids count the requests of each channel, and are true for one poll', async t => {
  const it = await testApp(t)

  t.equal((await send(it, '{"event":"a"}{"event":"b"}')).body, '{"text":"Success","code":0,"ackId":0}')
  t.equal((await send(it, 'line', CHANNEL, '/services/collector/raw')).body, '{"text":"Success","code":0,"ackId":1}')
  t.equal((await send(it, '{"event":"c"}', OTHER_CHANNEL)).body, '{"text":"Success","code":0,"ackId":0}')

  t.match(await poll(it, [1, 0, 2]), { statusCode: 200, body: '{"acks":{"1":true,"0":true,"2":false}}', headers: { 'content-type': 'application/json; charset=UTF-8' } })
  t.equal((await poll(it, [0, 1])).body, '{"acks":{"0":false,"1":false}}')
  t.equal((await poll(it, [0, 0, -1, 7], OTHER_CHANNEL)).body, '{"acks":{"0":true,"-1":false,"7":false}}', 'an id that is asked for twice has one answer')
  t.equal((await poll(it, [])).body, '{"acks":{}}')
})

t.test('what is acknowledged can be searched', async t => {
  const it = await testApp(t)
  for (let i = 0; i < 5; i++) {
    t.equal((await send(it, `{"event":"${i}"}`)).json().ackId, i)
    t.strictSame((await poll(it, [i])).json(), { acks: { [i]: true } })
    t.equal((await storedEvents(it)).length, i + 1)
  }
})

t.test('the channel may be in the query, the header wins, letters have no case', async t => {
  const it = await testApp(t)

  t.equal((await post(it, '{"event":"a"}', ack, `/services/collector/event?channel=${CHANNEL}`)).body, '{"text":"Success","code":0,"ackId":0}')
  t.equal((await send(it, '{"event":"a"}', CHANNEL.toLowerCase(), `/services/collector/event?channel=${OTHER_CHANNEL}`)).json().ackId, 1)
  t.equal((await post(it, '{"acks":[0,1]}', ack, `${ACK}?channel=${CHANNEL}`)).body, '{"acks":{"0":true,"1":true}}')
})

type Refusal = readonly [what: string, path: string, headers: Record<string, string>, payload: string | Buffer, status: number, body: string]

const MISSING = '{"text":"Data channel is missing","code":10}'
const INVALID = '{"text":"Invalid data channel","code":11}'
const FORMAT = '{"text":"Invalid data format","code":6}'

/** hec.md sections 6 and 10. */
const REFUSALS: readonly Refusal[] = [
  ['no channel on an ack token', '/services/collector/event', ack, '{"event":"a"}', 400, MISSING],
  ['an empty channel', '/services/collector/event?channel=', { ...ack, 'x-splunk-request-channel': ' ' }, '{"event":"a"}', 400, MISSING],
  ['no channel, no data', '/services/collector/raw', ack, '', 400, MISSING],
  ['a channel that is no GUID', '/services/collector/raw', { ...ack, 'x-splunk-request-channel': 'abc' }, 'a', 400, INVALID],
  ['a GUID and more', '/services/collector/event', { ...ack, 'x-splunk-request-channel': `${CHANNEL}0` }, '{"event":"a"}', 400, INVALID],
  ['a poll without a channel', ACK, ack, '{"acks":[0]}', 400, MISSING],
  ['a poll without a channel on a token without ack', ACK, {}, '{"acks":[0]}', 400, MISSING],
  ['a poll with a channel that is no GUID', ACK, { ...ack, 'x-splunk-request-channel': 'x' }, '{"acks":[0]}', 400, INVALID],
  ['a poll on a token without ack', ACK, { 'x-splunk-request-channel': CHANNEL }, '{"acks":[0]}', 400, '{"text":"ACK is disabled","code":14}'],
  ['a poll with an unknown token', ACK, { authorization: 'Splunk nope' }, '', 403, '{"text":"Invalid token","code":4}'],
  ['a poll with a disabled token', ACK, { authorization: `Splunk ${DISABLED_TOKEN}` }, '', 403, '{"text":"Token disabled","code":1}'],
  ...['', '{', 'null', '[]', '{}', '{"acks":0}', '{"acks":{"0":1}}', '{"acks":["0"]}', '{"acks":[0.5]}', '{"acks":[1e300]}', '{"acks":[null]}'].map((payload): Refusal =>
    [`a poll with the body ${JSON.stringify(payload)}`, ACK, { ...ack, 'x-splunk-request-channel': CHANNEL }, payload, 400, FORMAT]),
  ['a poll of broken gzip', ACK, { ...ack, 'x-splunk-request-channel': CHANNEL, 'content-encoding': 'gzip' }, 'no gzip', 400, FORMAT],
  ['a poll of deflate', ACK, { ...ack, 'x-splunk-request-channel': CHANNEL, 'content-encoding': 'deflate' }, '', 415, '{"text":"Unsupported content encoding","code":6}'],
]

for (const [what, url, headers, payload, statusCode, body] of REFUSALS) {
  t.test(`refused: ${what}`, async t => {
    const it = await testApp(t)
    t.match(await post(it, payload, headers, url), { statusCode, body })
    t.strictSame(await storedEvents(it), [])
    t.equal(it.budget.bytes, 0)
    t.strictSame(it.acks.count(ARRIVAL_MS), { channels: 0, pending: 0 })
  })
}

t.test('a poll may be gzip, and of any content type', async t => {
  const it = await testApp(t)
  await send(it, '{"event":"a"}')

  const reply = await post(it, gzipSync('{"acks":[0]}'), { ...ack, 'x-splunk-request-channel': CHANNEL, 'content-encoding': 'gzip', 'content-type': 'x/y' }, `${ACK}/1.0`)

  t.equal(reply.body, '{"acks":{"0":true}}')
})

t.test('the events before a fault are receipted, a request of which nothing is kept is not', async t => {
  const it = await testApp(t)
  const faults = [['{', 6, 1], ['{"event":""}', 13, 1], ['{"time":1}', 12, 1], ['{"event":"a","fields":{"a":{}}}', 15, 1], ['{"event":"a","index":"nope"}', 7, 2]] as const
  let ackId = 0
  for (const [fault, code, number] of faults) {
    t.match((await send(it, `{"event":"a"}${fault}{"event":"b"}`)).json(), { code, 'invalid-event-number': number, ackId: ackId++ })
    const alone = (await send(it, fault)).json() as object
    t.match(alone, { code, 'invalid-event-number': number - 1 })
    t.notOk('ackId' in alone)
  }
  t.notOk('ackId' in (await send(it, ' ')).json())
  t.equal((await send(it, '{"event":"a"}{"event":""}')).body, `{"text":"Event field cannot be blank","code":13,"invalid-event-number":1,"ackId":${ackId}}`, 'in this order')
})

t.test('a channel on a token without ack is not looked at', async t => {
  const it = await testApp(t)
  for (const channel of [CHANNEL, 'no GUID', '']) {
    t.equal((await post(it, '{"event":"a"}', { 'x-splunk-request-channel': channel })).body, '{"text":"Success","code":0}')
  }
})

t.test('at a limit nothing is taken, until there is room again', async t => {
  const acks = openAcks({ ...ACK_LIMITS, channels: 2, pending: 3, pendingPerChannel: 2 })
  const it = await testApp(t, { acks })
  const busy = { statusCode: 503, body: '{"text":"Server is busy","code":9}' }
  const third = '00000000-0000-0000-0000-000000000003'

  await send(it, '{"event":"a"}')
  await send(it, '{"event":"b"}')
  t.match(await send(it, '{"event":"x"}'), busy, 'the channel is full')
  await send(it, '{"event":"c"}', OTHER_CHANNEL)
  t.match(await send(it, '{"event":"x"}', OTHER_CHANNEL), busy, 'all are full')
  t.match(await it.app.inject('/services/collector/health'), { statusCode: 503, body: '{"text":"HEC is unhealthy, ack service unavailable","code":19}' })
  await poll(it, [0])
  t.match(await send(it, '{"event":"x"}', third), busy, 'one channel too many')
  t.equal((await it.app.inject('/services/collector/health')).json().code, 17)
  t.equal((await send(it, '{"event":"d"}')).body, '{"text":"Success","code":0,"ackId":2}')

  t.strictSame((await storedEvents(it)).map(({ event }) => event), ['a', 'b', 'c', 'd'])
  t.equal(it.budget.bytes, 0)
})

t.test('with both full, health says both', async t => {
  const acks = openAcks({ ...ACK_LIMITS, pending: 0 })
  const budget = openByteBudget(1)
  budget.tryTake(1)
  const { app } = await testApp(t, { acks, budget })

  t.match(await app.inject('/services/collector/health'), { statusCode: 503, body: '{"text":"HEC is unhealthy, queues are full, ack service unavailable","code":20}' })
})

t.test('a channel that is not used for ten minutes is forgotten', async t => {
  let nowMs = ARRIVAL_MS
  const it = await testApp(t, { now: () => nowMs })
  await send(it, '{"event":"a"}')
  await send(it, '{"event":"a"}', OTHER_CHANNEL)
  nowMs += 599_999
  t.equal((await poll(it, [5])).body, '{"acks":{"5":false}}', 'a poll is use')
  nowMs += 1

  t.equal((await send(it, '{"event":"b"}', OTHER_CHANNEL)).json().ackId, 0, 'it begins at 0 again')
  t.equal((await send(it, '{"event":"b"}')).json().ackId, 1)
  t.equal((await poll(it, [0])).body, '{"acks":{"0":true}}')
  t.strictSame(it.acks.count(nowMs), { channels: 2, pending: 2 })
  t.strictSame(it.acks.count(nowMs + 600_000), { channels: 0, pending: 0 })
})

t.test('channels behave as a list of requests for each', async () => {
  const limits = { channels: 3, pending: 6, pendingPerChannel: 4, idleMs: 10 }
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom('give' as const, 'release' as const), key: fc.constantFrom('a', 'b', 'c', 'd') }),
    fc.record({ kind: fc.constant('query' as const), key: fc.constantFrom('a', 'b', 'c', 'd'), ids: fc.array(fc.integer({ min: 0, max: 6 })) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12 }) })
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), steps => {
    const acks = openAcks(limits)
    const model = new Map<string, { next: number, pending: number[], usedMs: number }>()
    let nowMs = 0
    for (const one of steps) {
      if (one.kind === 'wait') nowMs += one.ms
      for (const [key, { usedMs }] of model) if (usedMs <= nowMs - limits.idleMs) model.delete(key)
      const pending = [...model.values()].reduce((sum, channel) => sum + channel.pending.length, 0)
      if (one.kind === 'give' || one.kind === 'release') {
        const known = model.get(one.key)
        const isFull = pending >= limits.pending || (known === undefined ? model.size >= limits.channels : known.pending.length >= limits.pendingPerChannel)
        let place
        try {
          place = acks.reserve(one.key, nowMs)
        } catch {
          if (!isFull) throw new Error('refused though there is room')
          continue
        }
        if (isFull) throw new Error('taken though there is no room')
        if (one.kind === 'give') {
          const channel = known ?? { next: 0, pending: [], usedMs: nowMs }
          if (place.give() !== channel.next) throw new Error('another id')
          channel.pending.push(channel.next++)
          channel.usedMs = nowMs
          model.set(one.key, channel)
        } else if (known !== undefined) known.usedMs = nowMs
        place.release()
      }
      if (one.kind === 'query') {
        const channel = model.get(one.key)
        const want = [...new Set(one.ids)].map(id => [id, channel?.pending.includes(id) ?? false])
        if (channel !== undefined) {
          channel.pending = channel.pending.filter(id => !one.ids.includes(id))
          channel.usedMs = nowMs
        }
        if (JSON.stringify([...acks.query(one.key, new Set(one.ids), nowMs)]) !== JSON.stringify(want)) throw new Error('other answers')
      }
      const count = { channels: model.size, pending: [...model.values()].reduce((sum, channel) => sum + channel.pending.length, 0) }
      if (JSON.stringify(acks.count(nowMs)) !== JSON.stringify(count)) throw new Error('other counts')
    }
  }), { numRuns: 2_000 })
})
