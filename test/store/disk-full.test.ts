import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import type { EventStore } from '../../src/store/events.js'
import { openDisk } from '../../src/store/disk.js'
import { ARRIVAL_MS, auth, bearer, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
import { startServer } from '../fixtures/server.js'
import { ALL_TIME } from '../../src/event.js'

t.test('what is taken in between two looks is counted, so that a burst can not overshoot', async t => {
  let bavail = 100
  const disk = openDisk({ reserveBytes: 200, statfs: () => ({ bsize: 4, bavail }) })

  t.strictSame(disk.state(), { freeBytes: 400, reserveBytes: 200, isFull: false })
  t.notOk(disk.tryTake(201))
  t.ok(disk.tryTake(150))
  t.notOk(disk.tryTake(51))
  t.ok(disk.tryTake(50))
  t.equal(disk.state().isFull, false)
  t.notOk(disk.tryTake(1))

  disk.look()
  t.notOk(disk.tryTake(1), 'it may not have come to the disk yet')
  disk.give(150)
  disk.give(50)
  t.notOk(disk.tryTake(1), 'nor before the last look')
  disk.look()
  t.ok(disk.tryTake(200), 'much less of it came to the disk')
  bavail = 49
  disk.look()
  t.strictSame(disk.state(), { freeBytes: 196, reserveBytes: 200, isFull: true })
})

t.test('without a reserve the disk is not watched: there are file systems that do not say what is free', async t => {
  const disk = openDisk({ reserveBytes: 0, statfs: () => ({ bsize: 4096, bavail: 0 }) })

  t.ok(disk.tryTake(1 << 30))
  t.strictSame(disk.state(), { freeBytes: 0, reserveBytes: 0, isFull: false })
})

/** Bytes of the file system that the events are to fill. */
const SIZE = 8 << 20

/** Mounts a file system; false where the machine does not allow it. */
function mountSmall (dir: string, size = SIZE): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'hecate-test', dir]).status === 0
}

function unmount (dir: string): void {
  spawnSync('umount', ['-l', dir])
}

const probeDir = tempDir(t)
const canMount = mountSmall(probeDir)
if (canMount) unmount(probeDir)

const skip = canMount ? false : 'this machine lets nobody mount a small file system'

const nameOf = (event: unknown) => (event as { n: number }).n

async function storedOf (events: EventStore): Promise<number[]> {
  const found = await events.find({ predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: ALL_TIME, position: events.position(), order: 'id', limit: 100_000 })
  return found.map(({ event: { event } }) => nameOf(event))
}

t.test('where SQLite itself runs out of space nothing acknowledged is lost, and it goes on when there is room', { skip }, async t => {
  const dataDir = tempDir(t)
  mountSmall(dataDir)
  const ballast = join(dataDir, 'ballast')
  writeFileSync(ballast, Buffer.alloc(SIZE / 2))
  const events = await openTestEvents(dataDir, { durability: 'full' })
  t.teardown(async () => {
    await events.close()
    unmount(dataDir)
  })
  const acknowledged: number[] = []
  let n = 0
  /** Random text, so that it does not compress away. */
  const send = async () => {
    const batch = Array.from({ length: 20 }, () => ({ event: { n: n++, text: Array.from({ length: 200 }, () => Math.random().toString(36).slice(2)).join('') } }))
    await append(events, batch, ARRIVAL_MS)
    acknowledged.push(...batch.map(({ event }) => event.n))
  }

  const refusals: unknown[] = []
  for (let i = 0; i < 400 && refusals.length < 5; i++) await send().catch((error: unknown) => { refusals.push(error) })
  t.ok(statfsSync(dataDir).bavail * statfsSync(dataDir).bsize < SIZE / 8, 'it is nearly full')
  t.equal(refusals.length, 5)
  t.ok(refusals.every(error => error instanceof AppError && error.code === 'unavailable'), String(refusals[0]))
  t.strictSame(await storedOf(events), acknowledged, 'what was acknowledged is there, and nothing else')
  t.equal(events.failure(), null)

  rmSync(ballast)
  for (let i = 0; i < 3; i++) await send()
  t.strictSame(await storedOf(events), acknowledged)
})

/** Takes all the space that is left. */
function fillUp (path: string): void {
  const file = openSync(path, 'w')
  try {
    for (let piece = 1 << 20; piece >= 1;) {
      try {
        if (writeSync(file, Buffer.alloc(piece)) < piece) piece >>= 1
      } catch {
        piece >>= 1
      }
    }
  } finally {
    closeSync(file)
  }
}

t.test('a server whose disk fills up refuses in time, goes on when there is room, and can be stopped and started on a full disk', { skip }, async t => {
  const cwd = tempDir(t)
  mountSmall(cwd, 4 * SIZE)
  t.teardown(() => unmount(cwd))
  const ballast = join(cwd, 'ballast')
  writeFileSync(ballast, Buffer.alloc(2 * SIZE))
  const data = { reserve_bytes: '8MB', durability: 'normal' }
  const server = await startServer(t, { cwd, data })
  const acknowledged: number[] = []
  let n = 0
  const send = async () => {
    const event = { n: n++, text: randomBytes(40_000).toString('base64') }
    const res = await fetch(`${server.url}/services/collector/event`, { method: 'POST', headers: auth, body: JSON.stringify({ event }) })
    const reply = await res.json()
    if (res.status === 200) acknowledged.push(event.n)
    else t.strictSame([res.status, reply], [503, { text: 'Server is busy', code: 9 }])
    return res.status
  }
  const statusOf = async (path: string) => (await fetch(`${server.url}${path}`)).status
  const untilStatus = async (wanted: number) => { while (await send() !== wanted) await new Promise(resolve => setImmediate(resolve)) }

  await untilStatus(503)
  const free = statfsSync(cwd).bavail * statfsSync(cwd).bsize
  t.ok(free > 1e6, `${free} bytes are left: SQLite has not met the end`)
  while (await statusOf('/services/collector/health') !== 503) await send() // a single event did not fit
  t.match(await (await fetch(`${server.url}/readyz`)).json(), { status: 'ready', degraded: [/disk is full/] })
  t.match(await (await fetch(`${server.url}/api/v1/store`, { headers: bearer })).json(), { disk: { reserve_bytes: 8e6, full: true } })
  t.strictSame((await server.stored(acknowledged.length)).map(({ event }) => nameOf(event)), acknowledged)

  rmSync(ballast)
  await untilStatus(200)
  t.equal(await statusOf('/services/collector/health'), 200)

  fillUp(ballast)
  await untilStatus(503)
  t.equal(await server.stop(), 0, 'it ends well, with no byte left')
  rmSync(ballast)
  const again = await startServer(t, { cwd, data })
  t.strictSame((await again.stored(acknowledged.length)).map(({ event }) => nameOf(event)), acknowledged)
})
