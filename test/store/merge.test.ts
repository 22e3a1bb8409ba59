import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { ALL_TIME } from '../../src/event.js'
import { COLUMNS } from '../../src/fields/tables.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import type { EventStore } from '../../src/store/events.js'
import { MAX_BLOCK_EVENTS, MAX_MERGED_BYTES, MAX_MERGED_EVENTS } from '../../src/store/sqlite/block.js'
import { FULL_EVENTS } from '../../src/store/sqlite/merge.js'
import { openReader, runAtOnce } from '../../src/store/sqlite/reader.js'
import { openWriter } from '../../src/store/sqlite/writer.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append, requestOf } from '../fixtures/events.js'
import { blockIdsOf } from '../fixtures/partitions.js'

const DAY = '2026-03-10'
const all = { predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: ALL_TIME, order: 'id', limit: 10_000 } as const

function openBoth (dir: string) {
  const writer = openWriter({ dir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 5 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
  const reader = openReader({ dir, fieldTables: BUILT_IN_TABLES })
  return { writer, reader, close: () => { reader.close(); writer.close() } }
}

const blocksOf = (dir: string) => blockIdsOf(join(dir, `${DAY}.db`))

const exec = (n: number, extra: object = {}) => ({
  time: n % 7 === 0 ? n - 500 : n,
  sourcetype: 'cisco:isovalent',
  event: { process_exec: { process: { binary: `/bin/b${n % 5}`, arguments: `-n ${n}`, pod: { name: `p${n % 3}` } } }, cluster_name: n % 11 === 0 ? ['x', 'y'] : 'c', ...extra },
})

t.test('small blocks become large ones, with the same events and the same rows, however they came', async t => {
  const sizes = fc.array(fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.integer({ min: 100, max: 300 })), { minLength: 1, maxLength: 25 })
  let merges = 0
  fc.assert(fc.property(sizes, sizes, fc.boolean(), (before, after, isReopened) => {
    const dir = join(tempDir(t), 'events')
    let { writer, reader, close } = openBoth(dir)
    let n = 0
    const reopen = () => { // what was written before is not in memory any more
      close();
      ({ writer, reader, close } = openBoth(dir))
    }
    const commit = (size: number) => {
      const outcome = writer.append([requestOf(Array.from({ length: size }, () => exec(n++)), ARRIVAL_MS)])
      if ('error' in outcome) throw outcome.error
      return outcome.partition
    }
    const look = (partition: ReturnType<typeof commit>) => {
      const scope = { partitions: [partition], window: ALL_TIME, afterId: 0, lastId: partition.lastId }
      const rows = ['* | stats count dc(process) AS d values(process_name) AS p BY cluster_name pod_name', 'process="*-n 1*" | table _time process', 'process_name=b2 | bin _time span=100s | stats count BY _time'].map(text => {
        const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown: 'on' })
        return reader.search({ plan, ...scope, timeZone: 'UTC', nowMs: 0, limit: 100_000 }, () => {}).rows.map(({ values }) => [...values])
      })
      return { events: runAtOnce(reader.find({ ...all, ...scope }, () => {})), rows }
    }
    for (const sizes of [before, after]) {
      const partition = sizes.map((size, i) => {
        if (isReopened && i === sizes.length >> 1) reopen()
        return commit(size)
      }).at(-1)!
      const wanted = look(partition)
      while (writer.merge()) merges++
      t.strictSame(look(partition), wanted)
    }
    const blocks = blocksOf(dir)
    const counts = blocks.map(([first, last]) => last - first + 1)
    t.equal(counts.reduce((sum, count) => sum + count, 0), n)
    t.ok(counts.every(count => count <= MAX_BLOCK_EVENTS))
    const small = counts.map((count, i) => ({ count, next: counts[i + 1] ?? 0 })).filter(({ count, next }) => next > 0 && count + next < FULL_EVENTS)
    t.ok(small.reduce((sum, { count }) => sum + count, 0) < MAX_MERGED_EVENTS, 'what is left small is less than a block')
    close()
  }), { numRuns: 40 })
  t.ok(merges > 10, `${merges} merges`)
})

t.test('a merged block is no larger than others, in bytes too', async t => {
  const dir = join(tempDir(t), 'events')
  const { writer, close } = openBoth(dir)
  t.teardown(close)
  for (let i = 0; i < 12; i++) writer.append([requestOf([{ event: 'x'.repeat(MAX_MERGED_BYTES * 0.3) }], ARRIVAL_MS)])

  while (writer.merge());

  t.strictSame(blocksOf(dir), [[1, 3], [4, 6], [7, 9], [10, 10], [11, 11], [12, 12]])
})

t.test('what need not be merged is passed over in steps, since the writer takes no events meanwhile', async t => {
  const dir = join(tempDir(t), 'events')
  const { writer, close } = openBoth(dir)
  t.teardown(close)
  const send = (count: number) => writer.append([requestOf(Array.from({ length: count }, (_, n) => exec(n)), ARRIVAL_MS)])
  for (let large = 0; large < 250; large++) send(MAX_BLOCK_EVENTS)
  send(1)
  send(2)

  const steps: number[] = []
  do steps.push(blocksOf(dir).length)
  while (writer.merge())

  t.strictSame(steps, [252, 252, 252], 'two steps of a hundred blocks, one that finds too few, and no more')
  for (let n = 0; n < MAX_MERGED_EVENTS; n++) send(1)
  t.ok(writer.merge())
  t.strictSame(blocksOf(dir).slice(250, 252).map(([first, last]) => last - first + 1), [MAX_MERGED_EVENTS, 1])
})

t.test('blocks on both sides of a gap in the ids, which a crash leaves, stay apart', async t => {
  const dir = join(tempDir(t), 'events')
  const send = (writer: ReturnType<typeof openBoth>['writer'], count: number) => {
    for (let n = 0; n < count; n++) writer.append([requestOf([exec(n)], ARRIVAL_MS)])
  }
  const crashed = openBoth(dir)
  send(crashed.writer, 3)
  crashed.reader.close() // the writer is left as a crash leaves it: its run of ids is not given back
  const { writer, close } = openBoth(dir)
  t.teardown(close)
  send(writer, 4)
  const [gapId] = blocksOf(dir)[3]!

  while (writer.merge());

  t.ok(gapId > 4)
  t.strictSame(blocksOf(dir).slice(0, 1), [[1, 3]])
  t.ok(blocksOf(dir).slice(1).every(([first, last]) => first >= gapId && last <= gapId + 3))
})

t.test('a merge that fails changes nothing', async t => {
  const dir = join(tempDir(t), 'events')
  const { writer, close } = openBoth(dir)
  t.teardown(close)
  for (let n = 0; n < MAX_MERGED_EVENTS + 1; n++) writer.append([requestOf([exec(n)], ARRIVAL_MS)])
  const before = blocksOf(dir)
  const db = new Database(join(dir, `${DAY}.db`))
  db.exec("CREATE TRIGGER full BEFORE UPDATE ON partition BEGIN SELECT RAISE(ABORT, 'disk full'); END")

  t.throws(() => writer.merge(), /disk full/)
  t.strictSame(blocksOf(dir), before)

  db.exec('DROP TRIGGER full')
  db.close()
  t.ok(writer.merge())
  t.strictSame(blocksOf(dir), [[1, MAX_MERGED_EVENTS], [MAX_MERGED_EVENTS + 1, MAX_MERGED_EVENTS + 1]])
})

t.test('the store merges by itself between searches, which see every event once meanwhile', async t => {
  const dataDir = tempDir(t)
  const events: EventStore = await openTestEvents(dataDir)
  t.teardown(() => events.close())
  const counts: boolean[] = []
  const look = async () => {
    const position = events.position()
    const found = await events.find({ ...all, position })
    counts.push(found.every(({ event }, i) => event.id === i + 1) && found.length === Number(position))
  }
  for (let n = 0; n < 1_000; n++) {
    await append(events, [exec(n)], ARRIVAL_MS)
    if (n % 20 === 0) await look()
  }
  await look()

  t.strictSame(new Set(counts), new Set([true]))
  t.ok(blocksOf(join(dataDir, 'events')).length < 520, 'of a thousand blocks most are merged')
})
