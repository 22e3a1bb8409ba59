import { spawnSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AppError } from '../../src/errors.js'
import type { EventStore } from '../../src/store/events.js'
import { openDisk } from '../../src/store/disk.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
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
  t.ok(disk.tryTake(200), 'much less of it came to the disk')
  bavail = 49
  disk.look()
  t.strictSame(disk.state(), { freeBytes: 196, reserveBytes: 200, isFull: true })
})

/** Bytes of the file system that the events are to fill. */
const SIZE = 8 << 20

/** Mounts a file system of SIZE; false where the machine does not allow it. */
function mountSmall (dir: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'hecate-test', dir]).status === 0
}

function unmount (dir: string): void {
  spawnSync('umount', ['-l', dir])
}

const probeDir = tempDir(t)
const canMount = mountSmall(probeDir)
if (canMount) unmount(probeDir)

const nameOf = (event: unknown) => (event as { n: number }).n

async function storedOf (events: EventStore): Promise<number[]> {
  const found = await events.find({ predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: ALL_TIME, position: events.position(), order: 'id', limit: 100_000 })
  return found.map(({ event: { event } }) => nameOf(event))
}

t.test('where SQLite itself runs out of space nothing acknowledged is lost, and it goes on when there is room', { skip: canMount ? false : 'this machine lets nobody mount a small file system' }, async t => {
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
