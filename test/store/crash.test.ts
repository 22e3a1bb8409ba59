import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import { auth, bearer, KEY, tempDir, TOKEN } from '../fixtures/app.js'
import { openRandom } from '../fixtures/events.js'
import { hecate, printedBy } from '../fixtures/process.js'

const ROUNDS = 5
const CLIENTS = 8

/** A request's number, and how many events it has; each event says both and its own place. */
interface Sent { readonly request: number, readonly count: number }

async function serve (t: Test, cwd: string) {
  const process = hecate(t, ['serve', '--config', 'hecate.yaml'], { cwd })
  const [, url] = await printedBy(process, /"url":"([^"]+)"/)
  return { ...process, url: url! }
}

/** The places of each request's events that are in the store, in the order of storing. Ids must grow. */
async function readStored (t: Test, url: string): Promise<Map<number, number[]>> {
  const stored = new Map<number, number[]>()
  let lastId = 0
  for (let cursor: string | null = ''; cursor !== null;) {
    const res = await fetch(`${url}/api/v1/events?order_by=id&limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`, { headers: bearer })
    const page = await res.json() as { items: { id: number, event: [request: number, place: number] }[], next_cursor: string | null }
    for (const { id, event: [request, place] } of page.items) {
      if (id <= lastId) t.fail(`id ${id} comes after ${lastId}`)
      lastId = id
      stored.set(request, [...stored.get(request) ?? [], place])
    }
    cursor = page.next_cursor
  }
  return stored
}

t.test('what was acknowledged is there exactly once, however often the server is killed under load', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({
    listen: { port: 0 },
    hec: { tokens: [{ name: 'test', token: TOKEN }] },
    api: { keys: [{ name: 'test', key: KEY, role: 'viewer' }] },
  }))
  const random = openRandom(1)
  const sent: Sent[] = []
  const acknowledged = new Set<number>()

  /** Posts one request after the other until the server is gone. */
  async function post (url: string, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      const one: Sent = { request: sent.length, count: 1 + Math.floor(random() * 20) }
      sent.push(one)
      const body = Array.from({ length: one.count }, (_, place) => JSON.stringify({ event: [one.request, place] })).join('')
      const zipped = { headers: { ...auth, 'content-encoding': 'gzip' }, body: gzipSync(body) }
      const res = await fetch(`${url}/services/collector`, { method: 'POST', ...(one.request % 3 === 0 ? zipped : { headers: auth, body }) }).catch(() => null)
      if (res === null) return // killed: whether it was stored is not known
      if (res.status !== 200) throw new Error(`status ${res.status}`)
      acknowledged.add(one.request)
      onAcknowledged()
    }
  }

  async function check (url: string): Promise<void> {
    const stored = await readStored(t, url)
    const isWhole = ({ request, count }: Sent) => stored.get(request)?.join() === Array.from({ length: count }, (_, place) => place).join()
    t.strictSame(sent.filter(one => acknowledged.has(one.request) && !isWhole(one)), [], 'each acknowledged request is there whole, in order and once')
    t.strictSame(sent.filter(one => stored.has(one.request) && !isWhole(one)), [], 'so is each other one, or nothing of it')
  }

  for (let round = 0; round < ROUNDS; round++) {
    const { child, url, exited } = await serve(t, cwd)
    await check(url)
    let left = 1 + Math.floor(random() * 120)
    const kill = () => { if (--left === 0) child.kill('SIGKILL') }
    await Promise.all(Array.from({ length: CLIENTS }, () => post(url, kill)))
    await exited
  }

  const last = await serve(t, cwd)
  await check(last.url)
  t.ok(acknowledged.size > 100, `${acknowledged.size} requests were acknowledged`)
  t.ok(acknowledged.size < sent.length, `${sent.length - acknowledged.size} were not`)
  last.child.kill('SIGTERM')
  t.equal(await last.exited, 0)
})
