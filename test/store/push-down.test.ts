import { deepStrictEqual as deepEqual, strictEqual as equal } from 'node:assert'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import t from 'tap'
import type { Window } from '../../src/event.js'
import { ALL_TIME } from '../../src/event.js'
import { COLUMNS } from '../../src/fields/tables.js'
import type { Macros } from '../../src/spl/macro.js'
import { parseSearch } from '../../src/spl/parse.js'
import { planSearch } from '../../src/spl/plan.js'
import { relevantPredicate } from '../../src/spl/relevant.js'
import type { EventStore, Position } from '../../src/store/events.js'
import { ARRIVAL_MS, openTestEvents, tempDir } from '../fixtures/app.js'
import { append } from '../fixtures/events.js'
import { spoilColumns, toFirstSchema } from '../fixtures/partitions.js'

const DAY_MS = 86_400_000

/** Where SQL, UTF-16 and JSON have ideas of their own. */
const PIECES = ['a', 'A', 'b', '\0', '\ud800', '\udc00', 'é', 'É', 'e\u0301', 'İ', 'i', 'ı', 'Σ', 'σ', 'ς', 'ß', 'K', '😀', '～', '%', '_', '*', '[', ']', '/', '\\', '"', "'", '\n', ' ', '0', '1', '.', '-']
const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 4 }).map(pieces => pieces.join(''))

/** Few different values, so that searches find some. Each kind is seen with its look-alikes. */
const POOL = [...fc.sample(text, { numRuns: 40, seed: 7 }), '', '007', '7', '42', '1.0', '1', '1e21', '-1', 'true', 'null', '10.0.0.5', 'nsenter', 'mount']
const scalar = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...POOL) }, fc.constantFrom<unknown>(7, 42, 1, 1.5, 1e21, -1, -0, 0, true, false, null))
/** Also what no column holds, and nothing at all. */
const value = fc.oneof({ weight: 12, arbitrary: scalar }, fc.array(scalar, { maxLength: 3 }), fc.constantFrom({ x: 1 }, [['a']]))
const even = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...POOL) }, fc.constantFrom<unknown>(7, 42, null))

function optional<T extends Record<string, fc.Arbitrary<unknown>>> (model: T) {
  return fc.record(model, { requiredKeys: [], noNullPrototype: true })
}

/** Fractions are cut to whole microseconds; times before 1970 and equal ones are among them. */
const time = fc.oneof(fc.integer({ min: -700, max: 700 }), fc.integer({ min: -700_000_000, max: 700_000_000 }).map(us => us / 1e6)).map(seconds => seconds.toFixed(6))

function envelopeOf (value: fc.Arbitrary<unknown>) {
  const process = optional({ binary: fc.oneof(value, fc.constantFrom(...POOL).map(name => `/bin/${name}`)), arguments: value, pid: value, uid: value, pod: optional({ name: value, namespace: value, container: optional({ image: optional({ name: value }) }) }) })
  const exec = fc.record({ process_exec: optional({ process, parent: process }), cluster_name: value, node_name: value, a: value }, { requiredKeys: ['process_exec'], noNullPrototype: true })
  const plain = optional({ a: value, b: optional({ c: value }), process_name: value, cluster_name: value, list: fc.array(value, { maxLength: 2 }) })
  const metadata = fc.constantFrom(...POOL.slice(0, 12))
  return fc.record({
    time,
    event: fc.oneof({ weight: 5, arbitrary: exec }, plain, exec.map(event => JSON.stringify(event)), fc.constantFrom(...POOL).map(text => text.trim() === '' ? 'x' : text)),
    sourcetype: fc.constantFrom('cisco:isovalent', 'cisco:isovalent', 'cisco:isovalent:processExec', 'other'),
    host: metadata,
    source: metadata,
    index: fc.constantFrom('main', 'metrics'),
    fields: optional({ cluster_name: value.filter(one => JSON.stringify(one)?.includes('{') !== true && JSON.stringify(one)?.includes('[[') !== true), pod_name: fc.constantFrom(...POOL), a: fc.constantFrom(...POOL) }),
  }, { requiredKeys: ['event'], noNullPrototype: true })
}

/** Requests of events, half of them such that their columns hold all. */
const requests = fc.sample(fc.oneof(
  fc.array(envelopeOf(even), { minLength: 1, maxLength: 12 }),
  fc.array(envelopeOf(value), { minLength: 1, maxLength: 6 }),
), { numRuns: 90, seed: 11 })

const COLUMN_NAMES = Object.keys(COLUMNS)
const UNMAPPED = ['a', 'b.c', 'list{}', '_raw', 'process_id', 'process_exec.process.pid', 'process_exec.parent.binary', 'missing']

const quote = (text: string) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
const column = fc.constantFrom(...COLUMN_NAMES, '_time')
const field = fc.oneof({ weight: 3, arbitrary: column }, fc.constantFrom(...UNMAPPED))
/** A value of the pool as it is, in other letters, or in part with a wildcard. */
const literal = fc.oneof(
  fc.constantFrom(...POOL).chain(text => fc.constantFrom(text, text.toUpperCase(), text.toLowerCase(), `*${text}*`, `${text.slice(0, 1)}*`, `*${text.slice(-1)}`, '*')),
  fc.constantFrom('/bin/*', '* *', '7', '42', '-1', '1.5', '1e21', '10.0.0.0/8', 'main', 'other', 'cisco:isovalent*', '*:PROCESSEXEC'),
).map(quote)

function predicateOf (field: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.letrec<{ term: string, predicate: string }>(tie => ({
    term: fc.oneof(
      { weight: 4, arbitrary: fc.tuple(field, fc.constantFrom('=', '=', '=', '!=', '!=', '<', '<=', '>', '>='), literal).map(([name, op, text]) => `${quote(name)}${op}${text}`) },
      fc.constantFrom('exec', '"bin mount"', '*ls', '[search process_name="ls" | table pod_name node_name]', '[search a=* | stats count BY cluster_name | fields cluster_name]', '[search process=* | head 3 | fields process]'),
      { weight: 2, arbitrary: fc.tuple(field, fc.array(literal, { minLength: 1, maxLength: 4 })).map(([name, texts]) => `${quote(name)} IN (${texts.join(', ')})`) },
    ),
    predicate: fc.oneof({ maxDepth: 3, depthSize: 'small' },
      tie('term'),
      fc.tuple(tie('predicate'), fc.constantFrom(' AND ', ' OR ', ' '), tie('predicate')).map(parts => `(${parts.join('')})`),
      tie('predicate').map(text => `NOT ${text}`),
    ),
  })).predicate
}

/** What a store aggregates itself, and what only rows in their order give. */
const PUSHED = ['dc', 'estdc', 'values', 'min', 'max']
const OTHERS = ['count', 'list', 'first', 'last', 'earliest', 'latest', 'latest_time', 'sum', 'avg', 'stdev', 'range', 'p90', 'mode']

function statsOf (field: fc.Arbitrary<string>, names = PUSHED): fc.Arbitrary<string> {
  const aggregate = fc.oneof(fc.constant('count'), fc.tuple(fc.constantFrom(...names), field).map(([name, field]) => `${name}(${quote(field)})`))
  return fc.tuple(
    fc.uniqueArray(aggregate, { minLength: 1, maxLength: 4 }),
    fc.uniqueArray(field, { maxLength: 3 }),
    fc.constantFrom('', '| bin _time span=5m', '| bin _time span=1s', '| bin _time span=7', '| bin _time span=0.000003', '| bin _time span=1h'),
  ).map(([aggregates, by, bin]) => `${bin} | stats ${aggregates.map((one, i) => `${one} AS x${i}`).join(' ')}${by.length === 0 ? '' : ` BY ${by.map(quote).join(' ')}`}`)
}

const tableOf = fc.uniqueArray(field, { minLength: 1, maxLength: 4 }).map(fields => `| table ${fields.map(quote).join(' ')}`)

/** Commands that choose or order rows: those of equal time come in the order of their ids. */
const rowsStage = fc.oneof(
  fc.constantFrom('| head 3', '| tail 4', '| reverse', '| sort _time', '| sort 5 -_time', '| dedup _time', '| dedup consecutive=true host'),
  fc.tuple(field, fc.constantFrom('', '2 ', '7 ')).map(([name, count]) => `| dedup ${count}${quote(name)}`),
  fc.tuple(fc.array(fc.tuple(fc.constantFrom('-', '+'), field), { minLength: 1, maxLength: 3 }), fc.constantFrom('', '0 ', '9 '))
    .map(([keys, count]) => `| sort ${count}${keys.map(([sign, name]) => sign + quote(name)).join(' ')}`),
)
const fieldsStage = fc.oneof(
  fc.constantFrom('| join pod_name [search process=* | stats count AS a values(process_name) AS names BY pod_name]', '| join type=left max=0 cluster_name process_name [search host=* | head 20 | table cluster_name process_name node_name]', '| search NOT [search process_name="ls" | fields node_name] | fields - _raw'),
  fc.tuple(field, column).map(([name, by]) => `| eventstats count max(${quote(name)}) AS most BY ${quote(by)}`),
  fc.tuple(fc.constantFrom('mvexpand', 'nomv', 'makemv delim="a"', 'top', 'rare 3', 'addtotals'), field).map(([command, name]) => `| ${command} ${quote(name)}`),
  fc.constantFrom('| regex process="[a-z]"', '| regex "exec"', '| rex field=process "(?<process_name>[^/]+)$"', '| rex max_match=3 "(?<a>[a-z]{2})"', '| foreach p* cluster_name [eval x_<<FIELD>> = len(<<FIELD>>)]', '| spath', '| spath process_exec.process.pid output=pid', '| convert num(p*) none(pid)'),
  fc.constantFrom('| replace "*a*" WITH "*-*"', '| addtotals', '| top limit=0 process BY cluster_name'),
  fc.tuple(fc.constantFrom('', '- '), fc.array(fc.oneof(field.map(quote), fc.constantFrom('p*', '*_name', '_*')), { minLength: 1, maxLength: 3 })).map(([sign, names]) => `| fields ${sign}${names.join(' ')}`),
  fc.tuple(field, column).map(([name, as]) => `| rename ${quote(name)} AS ${quote(as)}`),
  fc.constantFrom('| rename process_* AS *', '| rename * AS x_*', '| rename *.* AS *_*', '| fillnull value="7"'),
  fc.array(field.map(quote), { minLength: 1, maxLength: 2 }).map(names => `| fillnull ${names.join(' ')}`),
)

const rest = fc.oneof(
  { weight: 4, arbitrary: statsOf(column) },
  statsOf(field),
  statsOf(field, [...OTHERS, 'values']),
  fc.constant(''),
  tableOf,
  fc.tuple(predicateOf(field), column).map(([predicate, name]) => `| search ${predicate} | table _time ${quote(name)}`),
  statsOf(column).map(stats => `${stats} | eval y = x0 . "-" | where isnotnull(y) | table y *`),
  fc.constant('| eval y = process . cluster_name | stats count dc(y) AS d'),
  fc.tuple(rowsStage, fc.oneof(rowsStage, fieldsStage, fc.constant('')), fc.oneof(statsOf(field), tableOf)).map(stages => stages.join(' ')),
  fc.tuple(fieldsStage, statsOf(column)).map(stages => stages.join(' ')),
  fc.constantFrom('| stats count(eval(match(process, "(?i)^/bin/[a-m]"))) AS a list(eval(upper(process_name))) AS b BY cluster_name',
    '| bin _time span=5m | stats earliest(process) latest(process) first(a) last(a) sum(eval(len(process))) AS n BY _time node_name',
    '| where process LIKE "%a%" OR process_name IN ("nsenter", "mount") | stats list(_time) AS t latest(host) AS h',
    '| eval x = mvappend(process, cluster_name), y = md5(process) | table _time x y'),
)
const search = fc.tuple(fc.oneof({ weight: 1, arbitrary: fc.constant('*') }, { weight: 3, arbitrary: predicateOf(column) }, { weight: 2, arbitrary: predicateOf(field) }), rest).map(parts => parts.join(' '))

const edge = fc.oneof(fc.integer({ min: -700_000_000, max: 700_000_000 }), fc.constantFrom(ALL_TIME.earliestUs, ALL_TIME.latestUs, 0, -1, 1_000_000))
const window = fc.oneof({ weight: 2, arbitrary: fc.constant(ALL_TIME) }, fc.tuple(edge, edge).map(([a, b]) => ({ earliestUs: Math.min(a, b), latestUs: Math.max(a, b) })))

interface Run { readonly rows: readonly (readonly [origin: unknown, values: readonly (readonly [string, unknown])[]])[], readonly pushed: boolean }

async function runSearch (events: EventStore, text: string, pushDown: 'on' | 'off', { window = ALL_TIME, position = events.position(), macros = new Map() }: { window?: Window, position?: Position, macros?: Macros } = {}): Promise<Run> {
  const plan = planSearch(parseSearch(text, macros), { columns: new Set(COLUMN_NAMES), pushDown })
  const { rows } = await events.search(plan, { window, position, timeZone: 'UTC', nowMs: 0, limit: 1_000_000 })
  return {
    rows: rows.map(({ origin, values }) => [origin, plan.columns === null ? [...values].sort(([a], [b]) => a < b ? -1 : 1) : [...values]]),
    pushed: plan.query.stats !== null,
  }
}

/** A store that holds the requests, arrived over three days. */
async function openFilled (dataDir: string): Promise<EventStore> {
  const events = await openTestEvents(dataDir)
  for (const [i, request] of requests.entries()) await append(events, request, ARRIVAL_MS + Math.floor(i / 35) * DAY_MS)
  return events
}

async function assertSame (events: EventStore, numRuns: number, seed: number): Promise<{ rows: number, pushed: number }> {
  const last = Number(events.position())
  // Any id, not only those that a commit ends with: blocks may be merged, and then a position lies inside one.
  const position = fc.oneof(fc.constant(last), fc.integer({ min: 0, max: last })).map(id => String(id) as Position)
  const seen = { rows: 0, pushed: 0 }
  await fc.assert(fc.asyncProperty(search, window, position, async (text, window, position) => {
    const options = { window, position }
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

/** Events that came between two positions, counted by the store in one go and, one by one, by who finds them. */
async function assertArrivals (events: EventStore, numRuns: number, seed: number): Promise<{ arrivals: number, lacking: number }> {
  const last = Number(events.position())
  const id = fc.integer({ min: 0, max: last })
  const query = fc.record({
    text: predicateOf(fc.oneof(column, field)),
    bordersUs: fc.uniqueArray(fc.integer({ min: -750_000_000, max: 750_000_000 }), { maxLength: 6 }).map(borders => borders.sort((a, b) => a - b)),
    fields: fc.uniqueArray(field, { maxLength: 2 }),
  })
  const seen = { arrivals: 0, lacking: 0 }
  const predicateFor = (text: string) => relevantPredicate(planSearch(parseSearch(text, new Map()), { columns: new Set(COLUMN_NAMES), pushDown: 'on' }))
  await fc.assert(fc.asyncProperty(id, id, fc.array(query, { minLength: 1, maxLength: 3 }), async (one, other, asked) => {
    const [after, position] = [Math.min(one, other), Math.max(one, other)].map(id => String(id) as Position) as [Position, Position]
    const queries = asked.map(({ text, ...rest }) => ({ predicate: predicateFor(text), ...rest }))
    const found = await events.since({ after, position, queries })
    for (const [i, { predicate, bordersUs, fields }] of queries.entries()) {
      const all = { predicate, window: ALL_TIME, position, order: 'id', limit: 100_000 } as const
      const fresh = await events.find({ ...all, since: after })
      deepEqual(fresh.map(({ event }) => event.id), (await events.find(all)).map(({ event }) => event.id).filter(id => id > Number(after)))
      const wanted = bordersUs.slice(1).flatMap((toUs, stretch) => {
        const within = fresh.filter(({ timeUs }) => timeUs >= bordersUs[stretch]! && timeUs < toUs)
        return within.length === 0 ? [] : [{ stretch, events: within.length, last: String(within.at(-1)!.event.id) }]
      })
      deepEqual(found[i]!.arrivals, wanted, asked[i]!.text)
      seen.arrivals += wanted.length
      for (const name of fields) {
        const having = await events.find({ ...all, since: after, predicate: { kind: 'and', terms: [predicate, predicateFor(`${quote(name)}=*`)], span: predicate.span } })
        equal(found[i]!.lacking[name], fresh.length - having.length, `${asked[i]!.text} without ${name}`)
        seen.lacking += found[i]!.lacking[name]!
      }
    }
  }), { numRuns, seed })
  return seen
}

t.test('what has arrived between two positions is counted as one would who looks at each event', async t => {
  const events = await openFilled(tempDir(t))
  t.teardown(() => events.close())

  const { arrivals, lacking } = await assertArrivals(events, 60, 21)

  t.ok(arrivals > 50, `${arrivals} stretches held some`)
  t.ok(lacking > 50, `${lacking} events lacked a field`)
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
  await assertArrivals(events, 15, 23)
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
  await assertArrivals(events, 15, 22)
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
