import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bearer, KEY, tempDir, TOKEN } from '../fixtures/app.js'
import { hecate, printedBy } from '../fixtures/process.js'
import type { Received } from '../fixtures/receiver.js'
import { openReceiver, RULE } from '../fixtures/receiver.js'
import { folderOf, GENERATIONS } from '../fixtures/rules.js'

const PODS = Array.from({ length: 30 }, (_, n) => `pod-${String(n).padStart(2, '0')}`)

/** At these requests the server is killed: before the answer, or with the answer on its way. */
const KILLS = new Map([[1, 'unanswered'], [4, 'answered'], [5, 'answered'], [12, 'unanswered'], [25, 'answered']])

const podOf = ({ body }: Received): string => (JSON.parse(body) as { data: { result: { pod: string } } }).data.result.pod

t.test('a server that is killed in the middle tells everything, in order, and what it tells twice has the same key', async t => {
  const cwd = tempDir(t)
  /** The process of now, from the moment that it is started: what it has to tell it tells before it says that it serves. */
  let server: ReturnType<typeof hecate>
  let allCame = () => {}
  const came = new Promise<void>(resolve => { allCame = resolve })
  const { received, url } = await openReceiver(t, (request, response) => {
    const kill = KILLS.get(received.length)
    if (kill === 'unanswered') response.destroy()
    else response.end()
    if (kill !== undefined && !server.child.killed) {
      server.child.kill('SIGKILL')
      server.exited.then(start, error => { throw error })
    } else if (podOf(request) === PODS.at(-1)) allCame()
  })
  writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({
    listen: { port: 0 },
    hec: { tokens: [{ name: 'test', token: TOKEN }] },
    api: { keys: [{ name: 'test', key: KEY, role: 'analyst' }] },
    detections: { shipped: false, paths: [folderOf(t, { [`${RULE}.yml`]: GENERATIONS[2025] })] },
    notify: [{ name: 'soc', type: 'webhook', url, max_per_minute: 60_000 }],
  }))
  function start (): void { server = hecate(t, ['serve', '--config', 'hecate.yaml'], { cwd }) }
  start()
  const [, address] = await printedBy(server!, /"url":"([^"]+)","data_dir"/) as unknown as [string, string]
  const time = Math.floor(Date.now() / 1000) - 1800 // within the window of a slot of now
  const events = PODS.map(pod => JSON.stringify({ time, sourcetype: 'st', event: { pod, user: 'root', tool: 'mount' } }))
  const stored = await fetch(`${address}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body: events.join('') })
  t.equal(stored.status, 200)

  // The first kill may come before the answer of the run.
  await fetch(`${address}/api/v1/detections/${RULE}/runs`, { method: 'POST', headers: { ...bearer, 'content-type': 'application/json' }, body: JSON.stringify({ scheduled_time: new Date().toISOString() }) }).catch(() => {})
  await came

  const first = new Map<string, Received>()
  for (const one of received) {
    const key = one.headers['idempotency-key'] as string
    t.equal(one.body, (first.get(key) ?? one).body)
    first.set(key, first.get(key) ?? one)
  }
  t.strictSame([...first.values()].map(podOf), PODS)
  const order = received.map(podOf)
  t.strictSame(order, [...order].sort())
  t.ok(received.length > PODS.length && received.length <= PODS.length + KILLS.size, `${received.length - PODS.length} came twice`)
  await printedBy(server!, /"data_dir"/)
  server!.child.kill('SIGTERM')
  t.equal(await server!.exited, 0)
})
