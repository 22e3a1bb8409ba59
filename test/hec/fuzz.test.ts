import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Test } from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { ACK_TOKEN, ARRIVAL_MS, bearer, post, QUERY_TOKEN, testApp } from '../fixtures/app.js'
import { listen, until } from '../fixtures/http.js'
import { anyCut, anySending, CHANNEL, rawConnection, wildBody, wildHeaders, wildMethod, wildTarget } from './arbitrary.js'
import type { Outcome, Sending, Settings } from './model.js'
import { metadataOf, outcomeOf, REPLIES } from './model.js'

/** `FUZZ_TIMES=50` looks longer. */
const TIMES = Number(process.env.FUZZ_TIMES ?? 1)
t.setTimeout(400_000 * TIMES)

/** Holds a property against apps that are new, so that what they store stays small. */
async function check<T extends unknown[]> (t: Test, options: Parameters<typeof testApp>[1], numRuns: number, property: (it: Running) => fc.IAsyncProperty<T>): Promise<void> {
  for (let time = 0; time < TIMES; time++) {
    const it = await testApp(t, options)
    await fc.assert(property({ ...it, stored: openWatch(it) }), { numRuns, timeout: 20_000 })
    await it.close()
  }
}

type Running = TestApp & { readonly stored: () => Promise<object[]> }

const MAX_EVENT_BYTES = 1000

/** What was stored since it was asked last, in the order of storing. */
function openWatch ({ app }: TestApp) {
  let lastId = 0
  return async (): Promise<object[]> => {
    const cursor = Buffer.from(JSON.stringify([0, lastId])).toString('base64url')
    const reply = await app.inject({ url: `/api/v1/events?order_by=id&limit=1000&cursor=${cursor}`, headers: bearer })
    assert.equal(reply.statusCode, 200, reply.body)
    return (reply.json() as { items: { id: number }[] }).items.map(({ id, ...event }) => {
      assert.ok(id > lastId)
      lastId = id
      return event
    })
  }
}

/** Sends a request as it is meant. */
function send (it: TestApp, { format, token, query, time, extract, gzip, body }: Sending, channel: string) {
  const parameters = Object.entries({
    ...query,
    ...time === null ? {} : { time: time.text },
    ...extract ? { auto_extract_timestamp: 'true' } : {},
    ...token === QUERY_TOKEN ? { token } : {},
  }).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  const headers = {
    ...token === QUERY_TOKEN ? {} : { authorization: `Splunk ${token}` },
    'x-splunk-request-channel': channel,
    ...gzip ? { 'content-encoding': 'gzip' } : {},
  }
  const bytes = Buffer.from(body, 'latin1')
  return it.app.inject({
    method: 'POST',
    url: `/services/collector/${format === 'lines' ? 'raw' : 'event'}?${parameters.join('&')}`,
    headers,
    payload: gzip ? gzipSync(bytes) : bytes,
  })
}

/** The whole reply to a request of which `outcome` came. */
function replyTo ({ code, number, isReceipted }: Outcome, ackId: number | null): [status: number, body: string] {
  const [status, text] = REPLIES[code]!
  return [status, JSON.stringify({ text, code, 'invalid-event-number': number, ackId: isReceipted && ackId !== null ? ackId : undefined })]
}

const SETTINGS: readonly Settings[] = (['keep', 'splunk'] as const).flatMap(compatibility =>
  (['arrival', 'event'] as const).map(timeFrom => ({ compatibility, timeFrom, maxEventBytes: MAX_EVENT_BYTES })))

/** What a poll of `ids` is answered; it forgets those that it acknowledged. */
function poll (pending: Set<number>, ids: readonly number[]): string {
  return `{"acks":{${[...new Set(ids)].map(id => `"${id}":${pending.delete(id)}`).join(',')}}}`
}

for (const settings of SETTINGS) {
  t.test(`what any body stores and is answered is what the model says: ${settings.compatibility}, time from ${settings.timeFrom}`, async t => {
    await check(t, settings, 300, ({ stored, ...it }) => fc.asyncProperty(anySending, async sending => {
      const outcome = outcomeOf(sending, settings)

      const reply = await send(it, sending, randomUUID())
      const events = await stored()

      assert.deepStrictEqual([reply.statusCode, reply.body], replyTo(outcome, sending.token === ACK_TOKEN ? 0 : null))
      assert.deepStrictEqual(events, outcome.events)
      assert.equal(it.budget.bytes, 0)
    }))
  })
}

t.test('a body that is cut behind any byte stores the whole envelopes in front of the cut', async t => {
  const settings = SETTINGS[0]!
  await check(t, settings, 60, ({ stored, ...it }) => fc.asyncProperty(anyCut, fc.array(fc.nat(), { maxLength: 6 }), async ({ whole, length, cutAt }, places) => {
    for (const end of new Set([0, ...places.map(place => place % (length + 1)), length])) {
      const cut = cutAt(end)
      const outcome = outcomeOf(cut, settings)
      const reply = await send(it, cut, CHANNEL)
      assert.deepStrictEqual([reply.statusCode, reply.body], replyTo(outcome, null), `cut behind ${end} bytes`)
      assert.deepStrictEqual(await stored(), outcome.events)
    }
    assert.deepStrictEqual(cutAt(length).parts, whole.parts)
  }))
})

t.test('gzip that is cut stores nothing', async t => {
  await check(t, {}, 50, ({ stored, ...it }) => fc.asyncProperty(anyCut, fc.nat(), async ({ whole }, place) => {
    const zipped = gzipSync(Buffer.from(whole.body, 'latin1'))
    const reply = await post(it, zipped.subarray(0, 1 + place % (zipped.length - 1)), { 'content-encoding': 'gzip' })
    assert.deepStrictEqual([reply.statusCode, reply.body], replyTo({ code: 6, number: 0, events: [], isReceipted: false }, null))
    assert.deepStrictEqual(await stored(), [])
    assert.equal(it.budget.bytes, 0)
  }))
})

t.test('each channel counts the requests of which something was taken, and acknowledges each once', async t => {
  const settings = SETTINGS[0]!
  const step = fc.oneof(
    fc.record({ channel: fc.nat({ max: 1 }), upper: fc.boolean(), sending: anySending }),
    fc.record({ channel: fc.nat({ max: 1 }), upper: fc.boolean(), ids: fc.array(fc.integer({ min: -1, max: 6 }), { maxLength: 6 }) }),
  )
  await check(t, settings, 50, ({ stored, ...it }) => fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
    const channels = [0, 1].map(() => ({ id: randomUUID(), next: 0, pending: new Set<number>() }))
    for (const { channel, upper, ...one } of steps) {
      const { id, next, pending } = channels[channel]!
      const name = upper ? id.toUpperCase() : id
      if ('ids' in one) {
        const reply = await post(it, { acks: one.ids }, { authorization: `Splunk ${ACK_TOKEN}`, 'x-splunk-request-channel': name }, '/services/collector/ack')
        assert.equal(reply.body, poll(pending, one.ids))
        continue
      }
      const sending = { ...one.sending, token: ACK_TOKEN }
      const outcome = outcomeOf(sending, settings)
      const reply = await send(it, sending, name)
      assert.deepStrictEqual([reply.statusCode, reply.body], replyTo(outcome, next))
      assert.deepStrictEqual(await stored(), outcome.events)
      if (outcome.isReceipted) pending.add(channels[channel]!.next++)
    }
    const all = Array.from({ length: 20 }, (_, id) => id)
    for (const { id, pending } of channels) {
      const reply = await post(it, { acks: all }, { authorization: `Splunk ${ACK_TOKEN}`, 'x-splunk-request-channel': id }, '/services/collector/ack')
      assert.equal(reply.body, poll(pending, all))
    }
    assert.equal(it.acks.count(ARRIVAL_MS).pending, 0)
  }))
})

t.test('within the window of re-sends a request is stored once, and answered as it was', async t => {
  const settings = SETTINGS[0]!
  const pool = fc.array(anySending, { minLength: 1, maxLength: 3 })
  const picks = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 1 }), fc.boolean()), { maxLength: 10 })
  await check(t, { ...settings, resendWindowUs: 600_000_000 }, 60, ({ stored, ...it }) => fc.asyncProperty(pool, picks, async (pool, picks) => {
    const channels = [randomUUID(), randomUUID()]
    const known = new Map<string, Outcome>()
    const ids = new Map<string, number>()
    for (const [pick, channel, gzip] of picks) {
      const sending = { ...pool[pick % pool.length]!, gzip }
      const { token, format, time, extract, body } = sending
      const key = JSON.stringify([token, channel, format, metadataOf(sending), String(time?.us), format === 'lines' || extract, body])
      const before = known.get(key)
      const outcome = before === undefined ? outcomeOf(sending, settings) : { ...before, events: [] }
      const ackId = ids.get(channels[channel]!) ?? 0
      const reply = await send(it, sending, channels[channel]!)
      assert.deepStrictEqual([reply.statusCode, reply.body], replyTo(outcome, token === ACK_TOKEN ? ackId : null))
      assert.deepStrictEqual(await stored(), outcome.events)
      if (token === ACK_TOKEN && outcome.isReceipted) ids.set(channels[channel]!, ackId + 1)
      if (outcome.events.length > 0) known.set(key, outcome)
    }
  }))
})

/** Status and code of every reply that HEC may give: docs/hec.md. 400 to 499 with code 6 where the request is no HTTP that HEC knows. */
const DOCUMENTED = new Set([
  '200 0', '403 1', '401 2', '401 3', '403 4', '400 5', '400 6', '413 6', '415 6', '400 7', '503 9', '400 10', '400 11', '400 12', '400 13', '400 14', '400 15', '400 16',
  '200 17', '503 18', '503 19', '503 20', '503 23', '404 404', '405 404',
])

function assertDocumented (method: string, status: number, body: string): void {
  if (body === '') return assert.ok(method === 'HEAD' || (method === 'OPTIONS' && status === 200), `${status} without a body`)
  const reply = JSON.parse(body) as { text?: unknown, code?: unknown, acks?: object }
  if (status === 200 && reply.acks !== undefined) return assert.ok(Object.values(reply.acks).every(one => typeof one === 'boolean'))
  assert.ok(DOCUMENTED.has(`${status} ${String(reply.code)}`) && typeof reply.text === 'string', `${status} ${body}`)
}

const GOOD = '{"event":"good"}'
const SUCCESS = '{"text":"Success","code":0}'

/** No request leaves bytes behind or keeps the next one from being taken. */
async function assertWell (it: TestApp): Promise<void> {
  await until(() => it.budget.bytes === 0)
  assert.equal((await post(it, GOOD)).body, SUCCESS)
  assert.equal(it.budget.bytes, 0)
}

t.test('whatever is asked, the reply is one of those that are documented', async t => {
  await check(t, { maxBodyBytes: 2000 }, 400, it => fc.asyncProperty(wildMethod, wildTarget, wildHeaders, wildBody, async (method, url, headers, payload) => {
    const reply = await it.app.inject({ method: method as 'POST', url, headers: Object.fromEntries(headers), payload })
    assertDocumented(method, reply.statusCode, reply.body)
    assert.equal(it.budget.bytes, 0)
    await assertWell(it)
  }))
})

/** What Node answers itself, mostly to what is no HTTP. */
const NODES_OWN = new Set([100, 400, 408, 413, 417, 431])

function assertReplies (received: string): void {
  for (const text of received.split(/(?=HTTP\/1\.1 \d{3} )/).filter(one => one !== '')) {
    const [head = '', body = ''] = text.split('\r\n\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    const isOfHec = head.includes('Splunkd') && body !== '' // HEAD and OPTIONS have none, and of a reply that was cut off there may be none
    if (isOfHec) assertDocumented('POST', status, body)
    else assert.ok(status < 500 && (body === '' || NODES_OWN.has(status) || head.includes('application/problem+json') || status === 404), text)
  }
}

t.test('whatever comes in over a connection, the server lives, answers and holds nothing', async t => {
  await check(t, { maxBodyBytes: 2000 }, 300, it => fc.asyncProperty(rawConnection, fc.constantFrom('end', 'abort'), async (pieces, leave) => {
    const port = it.app.server.listening ? (it.app.server.address() as AddressInfo).port : await listen(it)
    // Else a reset after the server's FIN would leave the handle open, in Node 20.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const closed = new Promise(resolve => socket.on('close', resolve))
    let received = ''
    socket.setEncoding('latin1').on('data', text => { received += text }).on('error', () => {}) // the server may close while we write
    await once(socket, 'connect')

    for (const piece of pieces) {
      socket.write(piece)
      assert.equal((await post(it, GOOD)).body, SUCCESS) // while others are in the middle of a body
    }
    if (leave === 'abort') socket.resetAndDestroy()
    else {
      socket.end()
      await closed
    }

    assertReplies(received)
    await assertWell(it)
  }))
})
