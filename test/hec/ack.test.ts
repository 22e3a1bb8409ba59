import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { openAcks } from '../../src/hec/ack.js'
import { ACK_TOKEN, ARRIVAL_MS, DISABLED_TOKEN, post, storedEvents, testApp } from '../fixtures/app.js'

const ack = { authorization: `Splunk ${ACK_TOKEN}` }
const CHANNEL = 'FE0ECFAD-13D5-401B-847D-77833BD77131'
const EVENT = '/services/collector/event'
const ACK = '/services/collector/ack'

function send (it: TestApp, payload: string, channel: string = CHANNEL, url = '/services/collector/event') {
  return post(it, payload, { ...ack, 'x-splunk-request-channel': channel }, url)
}

function poll (it: TestApp, acks: unknown, channel: string = CHANNEL, url = ACK) {
  return post(it, JSON.stringify({ acks }), { ...ack, 'x-splunk-request-channel': channel }, url)
}

t.test('what is acknowledged can be searched', async t => {
  const it = await testApp(t)
  for (let i = 0; i < 5; i++) {
    t.equal((await send(it, `{"event":"${i}"}`)).json().ackId, i)
    t.strictSame((await poll(it, [i])).json(), { acks: { [i]: true } })
    t.equal((await storedEvents(it)).length, i + 1)
  }
})

t.test('what is refused leaves no channel, no id and no bytes', async t => {
  const it = await testApp(t)
  const channel = { 'x-splunk-request-channel': CHANNEL }
  const refusals: readonly (readonly [url: string, headers: Record<string, string>, payload: string])[] = [
    [EVENT, ack, '{"event":"a"}'],
    [EVENT, { ...ack, 'x-splunk-request-channel': 'x' }, '{"event":"a"}'],
    [EVENT, { ...ack, ...channel }, '{"event":""}'],
    [EVENT, { ...ack, ...channel }, ''],
    [EVENT, { ...ack, ...channel, 'content-encoding': 'gzip' }, 'no gzip'],
    [EVENT, { ...ack, ...channel, 'content-encoding': 'deflate' }, ''],
    [ACK, channel, '{"acks":[0]}'],
    [ACK, { ...ack, ...channel }, '{'],
    [ACK, { authorization: `Splunk ${DISABLED_TOKEN}`, ...channel }, '{"acks":[0]}'],
  ]

  for (const [url, headers, payload] of refusals) t.ok((await post(it, payload, headers, url)).statusCode >= 400, payload)

  t.strictSame(await storedEvents(it), [])
  t.equal(it.budget.bytes, 0)
  t.strictSame(it.acks.count(ARRIVAL_MS), { channels: 0, pending: 0 })
})

t.test('10,000 channels with 100 ids each: every id is true once', async t => {
  const acks = openAcks()
  const ids = new Set(Array.from({ length: 100 }, (_, id) => id))
  const keys = Array.from({ length: 10_000 }, (_, channel) => `channel ${channel}`)
  for (const key of keys) for (const id of ids) if (acks.reserve(key, 0).give() !== id) throw new Error('another id')
  t.strictSame(acks.count(0), { channels: 10_000, pending: 1_000_000 })

  const answers = (want: boolean) => keys.every(key => [...acks.query(key, ids, 0).values()].every(answer => answer === want))
  t.ok(answers(true))
  t.strictSame(acks.count(0), { channels: 10_000, pending: 0 })
  t.ok(answers(false))
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
