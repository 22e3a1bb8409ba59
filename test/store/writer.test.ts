import assert from 'node:assert/strict'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from '../fixtures/fast-check.js'
import { Encoder } from '@toondepauw/node-zstd'
import t from 'tap'
import type { Test } from 'tap'
import type { Scalar } from '../../src/event.js'
import { ALL_TIME } from '../../src/event.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { COLUMNS } from '../../src/fields/tables.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import { decodeBlock, encodeBlock, MAX_BLOCK_BYTES, MAX_BLOCK_EVENTS } from '../../src/store/sqlite/block.js'
import { decodeColumns, encodeColumns } from '../../src/store/sqlite/column-block.js'
import { COLUMN_FIELDS } from '../../src/store/sqlite/columns.js'
import { openDictionary, openDictionaryReader } from '../../src/store/sqlite/dictionary.js'
import { compileNeedles } from '../../src/store/sqlite/needles.js'
import { openPartition, readSummary } from '../../src/store/sqlite/partition.js'
import type { PartitionSummary } from '../../src/store/sqlite/partition.js'
import { openReader, runAtOnce } from '../../src/store/sqlite/reader.js'
import type { Writer } from '../../src/store/sqlite/writer.js'
import { openWriter } from '../../src/store/sqlite/writer.js'
import { ARRIVAL_MS, tempDir } from '../fixtures/app.js'
import { bodyOf, requestOf } from '../fixtures/events.js'
import { spoilColumns } from '../fixtures/partitions.js'

const DAY = '2026-03-10'

const NOTHING_MORE = { ownTimes: 0, filled: 0, resent: false }

/** What the store's threads do, on this thread. */
function openStore (t: Test, dataDir = tempDir(t)) {
  const dir = join(dataDir, 'events')
  const writer = openWriter({ dir, durability: 'normal', existingIndexes: new Set(['main']), maxEventBytes: 5 << 20, compatibility: 'keep', resendWindowUs: 0, fieldTables: BUILT_IN_TABLES })
  const reader = openReader({ dir, fieldTables: BUILT_IN_TABLES })
  t.teardown(() => {
    reader.close()
    writer.close()
  })
  return { dir, dataDir, writer, reader }
}

function commit (writer: Writer, ...requests: readonly ReturnType<typeof requestOf>[]) {
  const outcome = writer.append(requests)
  if ('error' in outcome) throw outcome.error
  return outcome
}

const exec = (process_name: unknown, over: object = {}) => ({
  sourcetype: 'cisco:isovalent',
  event: { process_exec: { process: { binary: process_name, arguments: '-x' } }, node_name: 'n', ...over },
})

/** Rows of a search over one partition, as lists of columns. */
function search ({ dir, reader }: Pick<ReturnType<typeof openStore>, 'dir' | 'reader'>, text: string, pushDown: 'on' | 'off' = 'on') {
  const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown })
  const partitions = [summaryOf(dir)]
  return reader.search({ plan, partitions, window: ALL_TIME, afterId: 0, lastId: Number.MAX_SAFE_INTEGER, timeZone: 'UTC', nowMs: 0, limit: 100_000 }, () => {}).rows.map(({ values }) => [...values])
}

function summaryOf (dir: string): PartitionSummary {
  const db = new Database(join(dir, `${DAY}.db`), { readonly: true })
  try {
    return readSummary(db, DAY)
  } finally {
    db.close()
  }
}

/** Changes a partition behind the store's back. */
function change (dir: string, sql: string): void {
  const db = new Database(join(dir, `${DAY}.db`))
  db.exec(sql)
  db.close()
}

t.test('requests that wait together are committed together, each with its own outcome', async t => {
  const { dir, writer } = openStore(t)
  const good = requestOf([exec('/bin/a'), exec('/bin/b')], ARRIVAL_MS)
  const partly = { ...good, body: bodyOf('{"event":1}{"event":""}') }
  const none = { ...good, body: bodyOf('{') }

  const { results, partition } = commit(writer, { ...good, body: good.body.slice(0) }, partly, none, good)

  t.strictSame(results, [
    { stored: 2, fault: null, unknownKeys: 0, skipped: 0, ...NOTHING_MORE },
    { stored: 1, fault: { code: 13, number: 1 }, unknownKeys: 0, skipped: 0, ...NOTHING_MORE },
    { stored: 0, fault: { code: 6, number: 0 }, unknownKeys: 0, skipped: 0, ...NOTHING_MORE },
    { stored: 2, fault: null, unknownKeys: 0, skipped: 0, ...NOTHING_MORE },
  ])
  t.match(partition, { name: DAY, firstId: 1, lastId: 5, eventCount: 5 })
  t.strictSame(summaryOf(dir), partition)
})

t.test('a defect that one request meets does not take the others with it', async t => {
  const { writer } = openStore(t)
  const good = requestOf([{ event: 1 }], ARRIVAL_MS)
  const defective = { ...requestOf([{ event: 2 }], ARRIVAL_MS), allowedIndexes: 7 as unknown as string[] }

  const { results, partition } = commit(writer, defective, good)

  t.match(results, [{ error: { name: 'TypeError' } }, { stored: 1 }])
  t.equal(partition.eventCount, 1)
})

t.test('nothing of a commit that fails is kept, and those after it are whole', async t => {
  const store = openStore(t)
  const { dir, writer } = store
  commit(writer, requestOf([exec('/bin/first')], ARRIVAL_MS))

  // It fails after the dictionary entries are there.
  change(dir, "CREATE TRIGGER full BEFORE INSERT ON block BEGIN SELECT RAISE(ABORT, 'disk full'); END")
  const failed = writer.append([requestOf([exec('/bin/lost'), exec('/bin/gone', { cluster_name: 'lost' })], ARRIVAL_MS), requestOf([exec('/bin/too')], ARRIVAL_MS)])
  t.match(failed, { error: { message: 'disk full' } })
  change(dir, 'DROP TRIGGER full')
  commit(writer, requestOf([exec('/bin/next', { cluster_name: 'next' }), exec('/bin/lost')], ARRIVAL_MS))

  for (const pushDown of ['on', 'off'] as const) {
    t.strictSame(search(store, '* | stats count values(cluster_name) AS c BY process_name', pushDown), [
      [['process_name', 'first'], ['count', 1]],
      [['process_name', 'lost'], ['count', 1]],
      [['process_name', 'next'], ['count', 1], ['c', 'next']],
    ], `push-down ${pushDown}`)
  }
  t.match(summaryOf(dir), { firstId: 1, lastId: 3, eventCount: 3 }, 'ids have no gap')
})

t.test('a request of many events becomes blocks of bounded size', async t => {
  const { dir, writer } = openStore(t)
  commit(writer, requestOf(Array.from({ length: 1200 }, (_, n) => ({ event: n })), ARRIVAL_MS))
  commit(writer, requestOf(Array.from({ length: 5 }, () => ({ event: 'x'.repeat(MAX_BLOCK_BYTES * 0.4) })), ARRIVAL_MS))

  const db = new Database(join(dir, `${DAY}.db`), { readonly: true })
  const blocks = db.prepare('SELECT first_id, last_id FROM block ORDER BY first_id').raw().all()
  db.close()

  t.equal(MAX_BLOCK_EVENTS, 512)
  t.strictSame(blocks, [[1, 512], [513, 1024], [1025, 1200], [1201, 1203], [1204, 1205]])
})

t.test('an event whose field its column can\'t hold is found all the same', async t => {
  const store = openStore(t)
  const odd = [
    exec('/bin/a', { cluster_name: ['x', 'y'] }),
    exec('/bin/b', { cluster_name: 'x' }),
    exec(42, { cluster_name: 'y' }), // process is the number 42, and its column holds text
    { event: 'plain', fields: { process_name: ['a', 'z'], process: 7 } },
  ]
  commit(store.writer, requestOf(odd, ARRIVAL_MS))
  commit(store.writer, requestOf([exec('/bin/a', { cluster_name: 'x' })], ARRIVAL_MS))

  const db = new Database(join(store.dir, `${DAY}.db`), { readonly: true })
  t.strictSame(db.prepare('SELECT odd FROM block ORDER BY first_id').pluck().all(), [1, 0])
  db.close()
  for (const text of [
    'cluster_name=y | table process_name cluster_name',
    'process_name=z | table process_name process',
    'process=7 | stats count',
    'process_name=a | stats count values(cluster_name) AS c',
    'NOT cluster_name=x | stats count BY process_name',
    '* | stats count dc(process) AS d BY cluster_name process_name',
  ]) {
    const rows = search(store, text, 'on')
    t.strictSame(rows, search(store, text, 'off'), text)
    t.ok(rows.length > 0, text)
  }
})

t.test('a partition that was written with other field tables is read from its events', async t => {
  const dataDir = tempDir(t)
  const before = openStore(t, dataDir)
  commit(before.writer, requestOf([exec('/bin/a', { cluster_name: 'x' }), exec('/bin/b', { cluster_name: 'y' }), exec('/bin/a')], ARRIVAL_MS))
  const texts = ['process_name=a | table process_name cluster_name', '* | stats count values(process_name) AS p BY cluster_name', 'NOT cluster_name=x | stats count', 'process="*-x" | stats dc(process) AS d']
  const wanted = texts.map(text => search(before, text))
  before.reader.close()
  before.writer.close()

  spoilColumns(join(before.dir, `${DAY}.db`))
  t.notSame(texts.map(text => search({ dir: before.dir, reader: openReader({ dir: before.dir, fieldTables: BUILT_IN_TABLES }) }, text)), wanted, 'the columns are used while the tables are the same')
  change(before.dir, "UPDATE partition SET fields_hash = 'of other tables'")
  const after = openStore(t, dataDir)
  t.strictSame(texts.map(text => search(after, text)), wanted)

  commit(after.writer, requestOf([exec('/bin/c', { cluster_name: 'x' })], ARRIVAL_MS))
  t.match(summaryOf(after.dir), { fieldsHash: 'mixed', eventCount: 4 })
  t.strictSame(search(after, 'cluster_name=x | stats values(process_name) AS p'), [[['p', ['a', 'c']]]], 'rows of two tables in one file')
})

t.test('a block gives back what was put into it', async t => {
  const item = fc.record({
    kind: fc.constantFrom('envelope' as const, 'line' as const),
    bytes: fc.uint8Array({ maxLength: 50 }),
    indexTimeUs: fc.integer({ min: -1e15, max: 1e15 }),
    filled: fc.constantFrom(null, '{"a":"b"}', '{"a":"ü\\u0000"}', '{}'),
  }, { noNullPrototype: true })
  fc.assert(fc.property(fc.array(item, { maxLength: 20 }), items => {
    const back = decodeBlock(encodeBlock(items)).map(item => ({ ...item, bytes: Uint8Array.from(item.bytes) }))
    assert.deepStrictEqual(back, items)
  }), { numRuns: 100 })
  t.throws(() => decodeBlock(new Encoder(1).encodeSync(Buffer.of(2, 0, 0, 0, 0))), /unknown block format 2/)
})

t.test('columns give back what was put into them, and find the texts that hold a part', async t => {
  const text = fc.oneof(fc.constantFrom('', 'ps aux', '/bin/NSenter -t 1', 'X', 'rx', 'Übung', 'x'.repeat(300)), fc.string({ maxLength: 6 }).map(one => one.toWellFormed()))
  const row = fc.record({
    timeUs: fc.oneof(fc.integer({ min: 0, max: 5_000_000_000 }), fc.constantFrom(ALL_TIME.earliestUs, ALL_TIME.latestUs - 1, -1)),
    columns: fc.tuple(...COLUMN_FIELDS.map(field => fc.oneof(fc.constant(null), COLUMNS[field] === 'text' ? text : fc.oneof(text, fc.integer({ min: 0, max: 9 }))))),
  })
  let many = 0
  fc.assert(fc.property(fc.array(row, { maxLength: 20 }), fc.constantFrom(1, 1, 40), (some, times) => {
    const rows = Array.from({ length: times }, (_, n) => some.map(one => ({ ...one, columns: one.columns.map(value => typeof value === 'string' && times > 1 ? `${n}-${value}` : value) }))).flat()
    if (rows.length > 256) many++
    const entries: Scalar[] = []
    const columns = decodeColumns(encodeColumns(rows, (_, value) => entries.push(value)))
    assert.equal(columns.count, rows.length)
    assert.deepEqual([...columns.times()], rows.map(({ timeUs }) => timeUs))
    COLUMN_FIELDS.forEach((field, i) => {
      const wanted = rows.map(({ columns }) => columns[i]!)
      if (rows.length === 0) return
      if (COLUMNS[field] !== 'text') {
        const { idOf, places } = columns.dictionary(field)
        assert.deepEqual([...places].map(place => idOf(place) === 0 ? null : entries[idOf(place) - 1]), wanted)
        return
      }
      const { texts, places } = columns.text(field)
      assert.deepEqual([...places].map(place => texts.get(place)), wanted)
      for (const needles of [['nsenter'], ['s a'], ['ps'], ['x'], ['nsenter', 's aux'], ['enter', 'ux', '-t 1'], ['1', 'ps aux'], []]) {
        const holding = [...texts.holding(compileNeedles(needles))]
        assert.deepEqual(holding, [...new Set(holding)].sort((a, b) => a - b))
        for (let place = 0; place < texts.count; place++) {
          if (needles.some(needle => texts.get(place)?.toLowerCase().includes(needle))) assert.ok(holding.includes(place))
        }
      }
    })
  }), { numRuns: 200 })
  t.ok(many > 0, 'also of more values than a byte says')

  for (const large of ['é'.repeat(5 << 20), 'x']) { // as long as an event may be, and what comes behind it
    const columns = decodeColumns(encodeColumns([large, 'small'].map(process => ({ timeUs: 0, columns: COLUMN_FIELDS.map(field => field === 'process' ? process : null) })), () => 1))
    t.ok(columns.text('process').texts.get(0) === large)
    t.equal(columns.text('process').texts.get(1), 'small')
  }
})

t.test('dictionary ids stay the same when the cache is full, and after it forgot', async t => {
  const db = openPartition(tempDir(t), DAY, { durability: 'normal', mark: 0, fieldsHash: 'x' })
  t.teardown(() => db.close())
  const dictionary = openDictionary(db)
  const reader = openDictionaryReader(db, DAY)
  const values = ['a', 'A', '', 'é', '\0', '42', 42, '#host=1', 'x'.repeat(100_000), `${'x'.repeat(100_000)}y`]
  const ids = values.map(value => dictionary.idOf('host', value))
  const otherField = dictionary.idOf('source', 'a')

  db.transaction(() => { for (let n = 0; n < 100_001; n++) dictionary.idOf('host', `filler ${n}`) })()
  t.strictSame(values.map(value => dictionary.idOf('host', value)), ids, 'after the cache was full')
  dictionary.forget()
  t.strictSame(values.map(value => dictionary.idOf('host', value)), ids, 'after it forgot')
  t.equal(new Set([...ids, otherField]).size, values.length + 1)
  t.strictSame(ids.map(id => reader.valueOf(id)), values)
  t.throws(() => reader.valueOf(9_999_999), /missing/)
})

t.test('a page reads only the blocks that its events can be in, however many lie before it', async t => {
  const { dir, writer, reader } = openStore(t)
  for (let n = 0; n < 50; n++) commit(writer, requestOf(Array.from({ length: 4 }, (_, i) => ({ event: n, time: n * 10 + i })), ARRIVAL_MS))
  const places = { id: 161, '-id': 40, time: 161, '-time': 40 } as const
  for (const [order, id] of Object.entries(places) as [keyof typeof places, number][]) {
    const timeUs = (Math.floor((id - 1) / 4) * 10 + (id - 1) % 4) * 1_000_000
    let read = 0
    const found = runAtOnce(reader.find({
      predicate: { kind: 'all', span: { start: 0, end: 0 } }, partitions: [summaryOf(dir)], window: ALL_TIME, afterId: 0, lastId: 200, order, limit: 4, after: { timeUs, id },
    }, () => { read++ }))

    const step = order.startsWith('-') ? -1 : 1
    t.strictSame(found.map(({ event }) => event.id), [1, 2, 3, 4].map(n => id + n * step), order)
    t.ok(read <= 4, `${order}: ${read} looks`)
  }
})

t.test('a search stops when it is told to, also within one query of the database', async t => {
  const { dir, writer, reader } = openStore(t)
  for (let n = 0; n < 5; n++) commit(writer, requestOf(Array.from({ length: 1000 }, (_, i) => ({ event: i, time: i, host: `h${i}` })), ARRIVAL_MS))
  for (const text of ['*', '* | stats count BY host', 'host=h1 | table host', '* | table x | stats count', 'x=1 | stats count']) {
    const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(Object.keys(COLUMNS)), pushDown: 'on' })
    let asked = 0
    const alive = () => { if (++asked === 2) throw new Error('told to stop') }
    const job = { plan, partitions: [summaryOf(dir)], window: ALL_TIME, afterId: 0, lastId: 5000, timeZone: 'UTC', nowMs: 0, limit: 100_000 }
    t.throws(() => reader.search(job, alive), /told to stop/, text)
    t.doesNotThrow(() => reader.search(job, () => {}), `${text}: the reader goes on`)
  }
})
