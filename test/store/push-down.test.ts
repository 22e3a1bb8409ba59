import { cpSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Window } from '../../src/event.js'
import { ALL_TIME } from '../../src/event.js'
import type { Macros } from '../../src/spl/macro.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import type { EventStore, Position } from '../../src/store/events.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
import { spoilColumns, toFirstSchema } from '../fixtures/partitions.js'
import { COLUMN_NAMES, openFilled, search, window } from '../fixtures/random-events.js'

interface Run { readonly rows: readonly (readonly [origin: unknown, values: readonly (readonly [string, unknown])[]])[], readonly pushed: boolean }

async function runSearch (events: EventStore, text: string, pushDown: 'on' | 'off', { window = ALL_TIME, since, position = events.position(), macros = new Map() }: { window?: Window, since?: Position | undefined, position?: Position, macros?: Macros } = {}): Promise<Run> {
  const plan = planSearch(parseSearch(text, macros), { columns: new Set(COLUMN_NAMES), pushDown })
  const { rows } = await events.search(plan, { window, since, position, timeZone: 'UTC', nowMs: 0, limit: 1_000_000 })
  return {
    rows: rows.map(({ origin, values }) => [origin, plan.columns === null ? [...values].sort(([a], [b]) => a < b ? -1 : 1) : [...values]]),
    pushed: plan.query.stats !== null,
  }
}

async function assertSame (events: EventStore, numRuns: number, seed: number): Promise<{ rows: number, pushed: number }> {
  const last = Number(events.position())
  // Any id, not only those that a commit ends with: blocks may be merged, and then a position lies inside one.
  const position = fc.oneof(fc.constant(last), fc.integer({ min: 0, max: last })).map(id => String(id) as Position)
  const since = fc.option(fc.integer({ min: 0, max: last }).map(id => String(id) as Position), { freq: 3, nil: undefined })
  const seen = { rows: 0, pushed: 0 }
  await fc.assert(fc.asyncProperty(search, window, since, position, async (text, window, since, position) => {
    const options = { window, since, position }
    const [on, off] = await Promise.all([runSearch(events, text, 'on', options), runSearch(events, text, 'off', options)])
    const difference = [on, off].map(({ rows }) => rows.map(row => JSON.stringify(row)))
    const [onRows, offRows] = difference as [string[], string[]]
    const at = offRows.findIndex((row, i) => row !== onRows[i])
    if (at !== -1 || onRows.length !== offRows.length) {
      throw new Error(`${text}\n${onRows.length} and ${offRows.length} rows; pushed down, row ${at} is ${onRows[at === -1 ? offRows.length : at]}, else ${offRows[at]}`)
    }
    if (off.rows.length > 1) seen.rows++
    if (on.pushed) seen.pushed++
  }), { numRuns, seed })
  return seen
}

t.test('a search gives the same rows whether the store does a part of it or none', async t => {
  const events = await openFilled(tempDir(t))
  t.teardown(() => events.close())
  t.equal(events.stats().partitions, 3)

  const { rows, pushed } = await assertSame(events, 300, 3)

  t.ok(rows > 100, `${rows} of the searches found something`)
  t.ok(pushed > 60, `${pushed} of them were aggregated by the store`)
})

t.test('nor does it matter how many threads aggregate, also where blocks are not what they say, and a search is told of all that they look at', async t => {
  const dataDir = tempDir(t)
  await (await openFilled(dataDir)).close()
  const path = join(dataDir, 'events', '2026-03-11.db')
  spoilColumns(path)
  const db = new Database(path)
  db.exec("UPDATE partition SET fields_hash = 'other'")
  db.close()
  const copy = tempDir(t)
  cpSync(dataDir, copy, { recursive: true })
  const alone = await openTestEvents(dataDir, { minPartEvents: Infinity })
  const together = await openTestEvents(copy, { minPartEvents: 0 })
  t.teardown(async () => { await Promise.all([alone.close(), together.close()]) })

  const { pushed } = await assertSame(together, 200, 7)

  t.ok(pushed > 40, `${pushed} of them were aggregated by the store`)
  for (const text of ['* | stats count dc(process) AS d min(_time) AS a max(process) AS b values(user) AS u BY cluster_name', '* | bin _time span=1h | stats count BY _time | where count > 3 | sort - count']) {
    const plan = planSearch(parseSearch(text, new Map()), { columns: new Set(COLUMN_NAMES), pushDown: 'on' })
    const options = { window: ALL_TIME, position: alone.position(), timeZone: 'UTC', nowMs: 0, limit: 1_000 }
    const told: number[] = []
    const [one, all] = await Promise.all([alone.search(plan, options), together.search(plan, { ...options, onProgress: scanned => told.push(scanned) })])
    t.ok(one.rows.length > 1)
    t.strictSame(all, one)
    t.ok(told.every((scanned, i) => scanned >= (told[i - 1] ?? 0) && scanned <= one.scannedEvents))
  }
  const stop = new AbortController()
  const stopped = together.search(planSearch(parseSearch('* | stats count', new Map()), { columns: new Set(COLUMN_NAMES), pushDown: 'on' }), { window: ALL_TIME, position: together.position(), timeZone: 'UTC', nowMs: 0, limit: 1, signal: stop.signal })
  stop.abort()
  await t.rejects(stopped, { code: 'unavailable' })
  t.match(await runSearch(together, '* | stats count', 'on'), { rows: [[[], [['count', Number(together.position())]]]] }, 'the threads are free again')
})

t.test('nor does it matter which partitions were written with other field tables', async t => {
  const dataDir = tempDir(t)
  const filled = await openFilled(dataDir)
  const wanted = await runSearch(filled, '* | stats count values(process) AS p BY cluster_name', 'off')
  await filled.close()
  const path = join(dataDir, 'events', '2026-03-11.db')
  spoilColumns(path)
  const db = new Database(path)
  db.exec("UPDATE partition SET fields_hash = 'other'")
  db.close()
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  t.strictSame((await runSearch(events, '* | stats count values(process) AS p BY cluster_name', 'on')).rows, wanted.rows)
  await assertSame(events, 60, 5)
})

t.test('nor which were written with an older schema', async t => {
  const dataDir = tempDir(t)
  const filled = await openFilled(dataDir)
  const all = { predicate: { kind: 'all', span: { start: 0, end: 0 } }, window: ALL_TIME, position: filled.position(), order: 'id', limit: 10_000 } as const
  const wanted = await filled.find(all)
  await filled.close()
  for (const day of ['2026-03-10', '2026-03-11']) toFirstSchema(join(dataDir, 'events', `${day}.db`))
  const events = await openTestEvents(dataDir)
  t.teardown(() => events.close())

  t.strictSame(await events.find(all), wanted)
  await assertSame(events, 100, 9)
})

/** The search of Splunk's "Cisco Isovalent - Potential Escape to Host". */
const SEED = `\`cisco_isovalent_process_exec\`
(
    process_name IN ("nsenter","mount","ps","ls")
    OR
    process IN ("*nsenter*", "*mount*", "*ps aux*", "*ps -ef*")
)
| bin _time span=5m
| stats
    count AS total_events
    dc(process_name) AS distinct_cmds
    min(_time) AS firstTime
    max(_time) AS lastTime
    values(process) AS process
    values(process_name) AS process_name
  BY cluster_name node_name pod_name _time
| eval duration_s = round(lastTime - firstTime, 0)
| where distinct_cmds >= 2 AND duration_s <= 120
| table _time cluster_name node_name pod_name total_events distinct_cmds duration_s firstTime lastTime process process_name
| \`security_content_ctime(firstTime)\`
| \`security_content_ctime(lastTime)\`
| \`cisco_isovalent___potential_escape_to_host_filter\``

const MACROS: Macros = new Map([
  ['cisco_isovalent_process_exec', { args: [], definition: 'sourcetype=cisco:isovalent:processExec' }],
  ['cisco_isovalent___potential_escape_to_host_filter', { args: [], definition: 'search *' }],
])

t.test('the seed\'s search gives the same rows both ways', async t => {
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  const commands = [['/usr/bin/nsenter', '-t 1 -m bash'], ['/bin/mount', '/dev/sda1 /mnt'], ['/bin/ps', 'aux'], ['/bin/ls', undefined], ['/bin/bash', '-c "ps -ef"'], ['/bin/cat', '/etc/passwd']] as const
  for (let request = 0; request < 40; request++) {
    await append(events, Array.from({ length: 7 }, (_, n) => {
      const [binary, args] = commands[(request * 5 + n) % commands.length]!
      const pod = n % 6 === 0 ? {} : { pod: { name: `web-${request % 3}` } }
      return {
        time: 1_773_140_400 + ((request * 37 + n * 11) % 900),
        sourcetype: 'cisco:isovalent',
        event: { process_exec: { process: { binary, arguments: args, ...pod } }, node_name: `n${request % 2}`, ...(request % 7 === 0 ? {} : { cluster_name: 'prod' }) },
      }
    }), ARRIVAL_MS)
  }

  const [on, off] = [await runSearch(events, SEED, 'on', { macros: MACROS }), await runSearch(events, SEED, 'off', { macros: MACROS })]

  t.ok(on.pushed)
  t.ok(off.rows.length > 0)
  t.strictSame(on.rows, off.rows)
})
