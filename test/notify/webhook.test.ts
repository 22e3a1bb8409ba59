import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { resourcePath } from '../../src/resource.js'
import { post, tempDir } from '../fixtures/app.js'
import { openReceiver, RULE, tellingApp } from '../fixtures/receiver.js'
import { detectionsOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

const SECRET = `whsec_${Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')}`

/** The sample of the docs, as a receiver would have it. */
async function sampleVerifier (dir: string) {
  const code = /```js\n(.*?)```/s.exec(readFileSync(resourcePath('docs/delivery.md'), 'utf8'))![1]!
  writeFileSync(join(dir, 'verify.mjs'), code)
  const { verify } = await import(pathToFileURL(join(dir, 'verify.mjs')).href) as { verify: (secret: string, headers: object, body: string, nowMs: number) => boolean }
  return verify
}

t.test('a webhook gets the finding as the API shows it, what happened to it, a key and a signature that the sample of the docs verifies', async t => {
  const { received, url } = await openReceiver(t)
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url, secret: SECRET, headers: { Authorization: 'Bearer abc' } }])
  const verify = await sampleVerifier(tempDir(t))
  await sendTools(server)

  await runAt(server, RULE)
  await server.tell('soc')

  const [{ headers, body }] = received as [typeof received[number]]
  const finding = (await get(server, 'findings?earliest=0')).items[0] as Finding
  t.equal(received.length, 1)
  t.strictSame(JSON.parse(body), { id: headers['webhook-id'], type: 'finding.created', timestamp: finding.created_at, data: finding })
  t.match(headers, { 'content-type': 'application/json', 'idempotency-key': headers['webhook-id'], 'webhook-timestamp': String(server.clock.nowMs / 1000), authorization: 'Bearer abc' })
  t.equal(verify(SECRET, headers, body, server.clock.nowMs), true)
  t.equal(verify(SECRET, headers, body.replace('web-1', 'web-2'), server.clock.nowMs), false, 'a body that was changed')
  t.equal(verify(SECRET, { ...headers, 'webhook-timestamp': '1' }, body, 1000), false, 'a time that was changed')
  t.equal(verify(SECRET, headers, body, server.clock.nowMs + 600_000), false, 'an old message')
  t.equal(verify(SECRET.replace('whsec_M', 'whsec_N'), headers, body, server.clock.nowMs), false, 'another secret')
})

t.test('late events are told as a revision, and a finding that a later evaluation does not give as gone', async t => {
  const { received, url } = await openReceiver(t)
  const search = 'search: sourcetype=st | stats count values(tool) AS tool values(user) AS user BY pod'
  const files = detectionsOf(t, { [`${RULE}.yml`]: GENERATIONS[2025].replace(search, `${search} | where count < 4`) })
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url }], { files })
  await sendTools(server)
  await runAt(server, RULE)
  for (const tool of ['ls', 'ps']) {
    await post(server, { time: 1773140701, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool } })
    await runAt(server, RULE)
  }

  await server.tell('soc')

  const told = received.map(({ body }) => JSON.parse(body) as { type: string, data: Finding })
  t.strictSame(told.map(({ type, data }) => [type, data.revision, data.change?.row]), [['finding.created', 1, undefined], ['finding.revised', 2, 'changed'], ['finding.gone', 3, 'gone']])
  t.equal(new Set(told.map(({ data }) => data.id)).size, 1)
  t.equal(new Set(received.map(({ headers }) => headers['webhook-id'])).size, 3)
  t.notOk(received[0]!.headers['webhook-signature'], 'without a secret there is nothing to sign with')
})

t.test('a throttled finding is not told of, nor what is new of it', async t => {
  const { received, url } = await openReceiver(t)
  const stanza = `${GENERATIONS['savedsearches.conf']}alert.suppress = 1\nalert.suppress.fields = pod\nalert.suppress.period = 3h\n`
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url }], { files: detectionsOf(t, { 'savedsearches.conf': stanza }) })
  await sendTools(server)
  await runAt(server, RULE)
  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: 'ls' } })
  await runAt(server, RULE, '2026-03-10T11:55:00Z')
  await runAt(server, RULE, '2026-03-10T12:01:00Z')
  await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: 'root', tool: 'ps' } })
  await runAt(server, RULE, '2026-03-10T12:01:00Z')

  await server.tell('soc')

  const throttled = (await get(server, 'findings?earliest=0&throttled=only')).items as Finding[]
  t.match(throttled, [{ revision: 2 }])
  t.ok(received.length > 0)
  t.ok(received.every(({ body }) => (JSON.parse(body) as { data: Finding }).data.id !== throttled[0]!.id))
})

t.test('a template makes a body of its own, and no value can leave its place', async t => {
  const { received, url } = await openReceiver(t)
  const template = { text: '$name$: $finding.risk.message$ ($what$)', score: '$finding.risk.score$', $key$: ['$result.tool$', '$result.nothing$', 7, null], user: '$result.user$ of $result.pod$', id: '$delivery_id$', at: '$trigger_time$', proto: '$finding.constructor$' }
  const server = await tellingApp(t, [{ name: 'soc', type: 'webhook', url, template }])
  const hostile = '","admin":true,"x":"\\ $name$\n'
  for (const tool of ['mount', 'nsenter']) await post(server, { time: 1773140700, sourcetype: 'st', event: { pod: 'web-1', user: hostile, tool } })

  await runAt(server, RULE)
  await server.tell('soc')

  t.strictSame(JSON.parse(received[0]!.body), {
    text: `A rule: ${hostile} ran [mount\nnsenter] in web-1 (created)`,
    score: 72,
    $key$: ['mount\nnsenter', '', 7, null],
    user: `${hostile} of web-1`,
    id: received[0]!.headers['webhook-id'],
    at: server.clock.nowMs / 1000,
    proto: '',
  })
})
