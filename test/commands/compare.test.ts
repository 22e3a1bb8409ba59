import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { loadDetectionFiles } from '../../src/detect/load.js'
import { readSplunkCsv } from '../../src/commands/splunk-csv.js'
import type { TestAppOptions } from '../fixtures/app.js'
import { FILLING_TOKEN, KEY, post, tempDir, testApp } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { listen } from '../fixtures/http.js'
import { hecate } from '../fixtures/process.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
/** The row of G01 as Splunk's page exports it. */
const SPLUNK_ROW = {
  _time: '2026-03-10T11:05:00.000+0000',
  cluster_name: 'prod-eu',
  node_name: 'n1',
  pod_name: 'web-7d4b9-x2x',
  total_events: '2',
  distinct_cmds: '2',
  duration_s: '0',
  firstTime: '2026-03-10T11:05:00',
  lastTime: '2026-03-10T11:05:00',
  process: '/usr/bin/mount /dev/nvme0n1p1 /mnt\n/usr/bin/nsenter --target 1 --mount --uts --ipc --net --pid -- bash',
  process_name: 'mount\nnsenter',
}
const RANGE = ['--earliest', '2026-03-10T10:50:00Z', '--latest', '2026-03-10T11:50:00Z']
/** Both after the end of the window; the slot's run is between them. */
const BEFORE_RUN_MS = Date.parse('2026-03-10T11:51:00Z')
const AFTER_RUN_MS = Date.parse('2026-03-10T12:20:00Z')

function toCsv (rows: readonly Readonly<Record<string, string>>[], columns = Object.keys(rows[0] ?? SPLUNK_ROW)): string {
  const line = (cells: readonly string[]) => `${cells.map(cell => `"${cell.replaceAll('"', '""')}"`).join(',')}\n`
  return line(columns) + rows.map(row => line(columns.map(column => row[column] ?? ''))).join('')
}

type Events = readonly { readonly time: string, readonly process_exec: object }[]

/** Events of G01 at another time of day, of another pod. */
function moved (time: string, pod = 'web-7d4b9-x2x'): Events {
  return G01.events.map(event => ({ ...JSON.parse(JSON.stringify(event).replaceAll('web-7d4b9-x2x', pod)) as Events[number], time: `2026-03-10T${time}.000Z` }))
}

/** A server that listens, whose clock is set, and `hecate compare` beside it. */
async function open (t: Test, options: TestAppOptions = {}) {
  let nowMs = BEFORE_RUN_MS
  const server = await testApp(t, { ...options, now: () => nowMs })
  const url = `http://127.0.0.1:${await listen(server)}`
  const cwd = tempDir(t)
  return {
    url,
    async send (events: Events, { atMs = BEFORE_RUN_MS, token = '' }: { atMs?: number, token?: string } = {}): Promise<void> {
      nowMs = atMs
      const res = await post(server, events.map(event => toEnvelope(event)).join(''), token === '' ? {} : { authorization: `Splunk ${token}` })
      if (res.statusCode !== 200) throw new Error(res.body)
    },
    async compare (csv: string | Buffer, args: readonly string[] = RANGE, env: Record<string, string> = { HECATE_API_KEY: KEY }) {
      writeFileSync(join(cwd, 'rows.csv'), csv)
      return command(['compare', LITERAL, 'rows.csv', '--url', url, ...args], { cwd, env })
    },
    cwd,
  }
}

interface Json {
  readonly counts: object
  readonly repeated: object
  readonly key: string[]
  readonly slots: number
  readonly columns: object
  readonly differences: { result: string, reason: string, detail: string, scheduled_time: string | null, key: object, fields: object[], there: object | null, here: object | null }[]
}

async function compareJson (opened: Awaited<ReturnType<typeof open>>, csv: string | Buffer, args: readonly string[] = RANGE): Promise<Json> {
  const { code, stdout, stderr } = await opened.compare(csv, [...args, '--format', 'json'])
  if (code === 2) throw new Error(stderr)
  const json = JSON.parse(stdout) as Json
  if ((code === 0) !== (json.differences.length === 0)) throw new Error(`exit code ${code} with ${json.differences.length} differences`)
  return json
}

t.test('rows that Splunk exports as we give them are the same, and the exit code is 0', async t => {
  const opened = await open(t)
  await opened.send(G01.events)

  writeFileSync(join(opened.cwd, 'rows.csv'), '\ufeff' + toCsv([SPLUNK_ROW]))
  const { exited, printed } = hecate(t, ['compare', LITERAL, 'rows.csv', '--url', opened.url, ...RANGE], { cwd: opened.cwd, env: { HECATE_API_KEY: KEY } })

  t.equal(await exited, 0)
  t.equal(printed.stderr, '')
  t.equal(printed.stdout, [
    `${LITERAL} from 2026-03-10T10:50:00.000Z to 2026-03-10T11:50:00.000Z, 1 slot`,
    '1 same, 0 different, 0 only there, 0 only here',
    `compared: ${Object.keys(SPLUNK_ROW).join(' ')}`,
    'matched by: cluster_name node_name pod_name _time',
    '',
  ].join('\n'))
})

const SAME: readonly { readonly what: string, readonly row: Readonly<Record<string, string>> }[] = [
  { what: 'epoch seconds', row: { _time: '1773140700' } },
  { what: 'epoch seconds with decimals', row: { _time: '1773140700.000' } },
  { what: 'a time of another zone', row: { _time: '2026-03-10T12:05:00+01:00' } },
  { what: 'a number with decimals', row: { total_events: '2.0' } },
  { what: 'a multivalue in another order, with Windows line ends', row: { process_name: 'nsenter\r\nmount' } },
  { what: 'a multivalue of outputcsv', row: { process_name: 'anything', __mv_process_name: '$mount$;$nsenter$' } },
  { what: 'a column of Splunk itself', row: { _bkt: 'main~1' } },
]
t.test('values are compared as what they are: numbers, times, sets', async t => {
  const opened = await open(t)
  await opened.send(G01.events)
  for (const { what, row } of SAME) {
    const { counts } = await compareJson(opened, toCsv([{ ...SPLUNK_ROW, ...row }]))
    t.strictSame(counts, { same: 1, different: 0, only_there: 0, only_here: 0 }, what)
  }
})

t.test('an encoded multivalue keeps dollar signs and what separates values', async t => {
  const path = join(tempDir(t), 'rows.csv')
  writeFileSync(path, toCsv([{ x: 'a', __mv_x: '$a$$;$$b$;$c$' }, { x: 'plain', __mv_x: '' }, { x: 'not closed', __mv_x: '$a' }, { x: '', __mv_x: '' }]))

  const { columns, rows } = await readSplunkCsv(path)

  t.strictSame(columns, ['x'])
  t.strictSame(rows.map(row => row.get('x')), [['a$;$b', 'c'], ['plain'], ['not closed'], undefined])
})

t.test('a row of the same key with other values is different, and says in which columns', async t => {
  const opened = await open(t)
  await opened.send(G01.events)

  const { differences, columns } = await compareJson(opened, toCsv([{ ...SPLUNK_ROW, total_events: '3', process_name: 'mount', extra: 'x' }]))

  t.match(columns, { only_there: ['extra'], only_here: [] })
  t.equal(differences.length, 1)
  t.match(differences[0], {
    result: 'different',
    reason: 'unknown',
    detail: '2 events here meet the search and have its BY values',
    scheduled_time: '2026-03-10T12:00:00.000Z',
    key: { cluster_name: 'prod-eu', pod_name: 'web-7d4b9-x2x' },
    fields: [{ field: 'total_events', there: '3', here: '2' }, { field: 'process_name', there: 'mount', here: ['mount', 'nsenter'] }],
  })
  const { code, stdout } = await opened.compare(toCsv([{ ...SPLUNK_ROW, total_events: '3' }]))
  t.equal(code, 1)
  t.match(stdout, /^different +unknown +_time|^different +unknown +cluster_name=prod-eu +total_events: there 3, here 2$/m)
})

const REASONS: readonly {
  readonly what: string
  readonly reason: string
  readonly detail: RegExp
  readonly results: readonly string[]
  readonly rows: readonly Record<string, string>[]
  readonly send: (opened: Awaited<ReturnType<typeof open>>) => Promise<void>
  readonly options?: TestAppOptions
  readonly range?: readonly string[]
}[] = [
  {
    what: 'the event that makes the row came after the run', reason: 'late', detail: /arrived at 2026-03-10T12:20:00\.000Z, after its run of 2026-03-10T12:00/, results: ['only_here'], rows: [],
    send: async ({ send }) => {
      await send(G01.events.slice(0, 1))
      await send(G01.events.slice(1), { atMs: AFTER_RUN_MS })
    },
  },
  {
    what: 'one more event came after the run', reason: 'late', detail: /after its run/, results: ['different'], rows: [SPLUNK_ROW],
    send: async ({ send }) => {
      await send(G01.events)
      await send(moved('11:06:00').slice(0, 1), { atMs: AFTER_RUN_MS })
    },
  },
  { what: 'nothing of the row was sent', reason: 'not_sent_here', detail: /no event of its BY values/, results: ['only_there'], rows: [SPLUNK_ROW], send: ({ send }) => send(moved('11:05:00', 'other').slice(0, 1)) },
  {
    what: 'events lack a BY field', reason: 'null_by_field', detail: /2 events here that would belong to it, without cluster_name/, results: ['only_there'], rows: [SPLUNK_ROW],
    send: ({ send }) => send(G01.events.map(event => ({ ...event, cluster_name: undefined }))),
  },
  {
    what: 'the token adds a BY field', reason: 'null_by_field', detail: /cluster_name not of themselves/, results: ['only_here'], rows: [],
    send: ({ send }) => send(G01.events.map(event => ({ ...event, cluster_name: undefined })), { token: FILLING_TOKEN }),
  },
  { what: 'the key is in other letter case', reason: 'case', detail: /other letter case/, results: ['only_there', 'only_here'], rows: [{ ...SPLUNK_ROW, pod_name: 'WEB-7d4b9-x2x' }], send: ({ send }) => send(G01.events) },
  { what: 'a value is in other letter case', reason: 'case', detail: /letter case alone/, results: ['different'], rows: [{ ...SPLUNK_ROW, process_name: 'Mount\nNSENTER' }], send: ({ send }) => send(G01.events) },
  { what: 'the row lies before the range', reason: 'window_edge', detail: /in no window/, results: ['only_there'], rows: [{ ...SPLUNK_ROW, _time: '2026-03-10T10:45:00Z' }], send: ({ send }) => send(moved('10:46:00')) },
  { what: 'the row lies at the end of the range', reason: 'window_edge', detail: /in no window/, results: ['only_there'], rows: [{ ...SPLUNK_ROW, _time: '2026-03-10T11:50:00Z' }], send: ({ send }) => send(moved('11:51:00')) },
  { what: 'the bin touches the start of its window', reason: 'window_edge', detail: /first of its window/, results: ['only_here'], rows: [], send: ({ send }) => send(moved('10:50:10')) },
  { what: 'the bin touches the end of its window', reason: 'window_edge', detail: /last of its window/, results: ['only_here'], rows: [], send: ({ send }) => send(moved('11:49:59')) },
  {
    what: 'the window cuts the bin', reason: 'window_edge', detail: /cuts its bin/, results: ['only_here'], rows: [], send: ({ send }) => send(moved('11:58:00')),
    options: { overrides: { [LITERAL]: { cron: '7 * * * *' } } }, range: ['--earliest', '2026-03-10T11:57:00Z', '--latest', '2026-03-10T12:57:00Z'],
  },
  {
    what: 'events are here and none meets the search', reason: 'unknown', detail: /1 event here of its BY values; none meets/, results: ['only_there'], rows: [SPLUNK_ROW],
    send: ({ send }) => send([JSON.parse(JSON.stringify(moved('11:06:00')[0]).replace(/"binary":"[^"]*"/, '"binary":"/bin/true"').replace(/"arguments":"[^"]*"/, '"arguments":""')) as Events[number]]),
  },
]
t.test('each row that is not the same has the reason that is seen', async t => {
  for (const { what, reason, detail, results, rows, send, options, range } of REASONS) {
    await t.test(what, async t => {
      const opened = await open(t, options)
      await send(opened)

      const { differences } = await compareJson(opened, toCsv(rows), range)

      t.strictSame(differences.map(one => [one.result, one.reason]), results.map(result => [result, reason]))
      t.match(differences[0]?.detail, detail)
    })
  }
})

t.test('rows of several slots are compared, and rows that overlapping windows repeat count once', async t => {
  const opened = await open(t, { overrides: { [LITERAL]: { cron: '*/30 * * * *' } } })
  await opened.send([...G01.events, ...moved('11:35:00', 'later')])

  const json = await compareJson(opened, toCsv([SPLUNK_ROW, SPLUNK_ROW, SPLUNK_ROW]), ['--earliest', '2026-03-10T10:20:00Z', '--latest', '2026-03-10T12:20:00Z'])

  t.match(json, { slots: 3, counts: { same: 1, different: 0, only_there: 0, only_here: 1 }, repeated: { there: 2, here: 2 } })
})

t.test('rows that are still events are matched by all their columns', async t => {
  const dir = tempDir(t)
  writeFileSync(join(dir, `${LITERAL}.yml`), `name: Events
id: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f60
version: 1
type: Hunting
search: sourcetype=cisco:isovalent:processExec | table _time pod_name process_name
`)
  const opened = await open(t, { files: loadDetectionFiles({ shipped: [], paths: [dir] }) })
  await opened.send(G01.events)
  const rows = [
    { _time: G01.events[0]!.time, pod_name: 'web-7d4b9-x2x', process_name: 'mount' },
    { _time: '2026-03-10T11:30:00Z', pod_name: 'web-7d4b9-x2x', process_name: 'nsenter' },
  ]

  const { key, counts, differences } = await compareJson(opened, toCsv(rows))

  t.strictSame(key, ['_time', 'pod_name', 'process_name'])
  t.match(counts, { different: 0 })
  t.ok(differences.some(({ result, reason }) => result === 'only_there' && reason === 'not_sent_here'), 'no event is of that moment')
})

t.test('what cells hold acts on no terminal, as text or as JSON', async t => {
  const opened = await open(t)
  await opened.send(G01.events)
  const csv = toCsv([{ ...SPLUNK_ROW, pod_name: '=cmd|\' /C calc\'!A0\u001b[31m\u202e\u0007', cluster_name: '\u009b2J' }])

  const text = await opened.compare(csv)
  const json = await opened.compare(csv, [...RANGE, '--format', 'json'])

  for (const { code, stdout } of [text, json]) {
    t.equal(code, 1)
    t.notMatch(stdout, /(?!\n)[\p{Cc}\p{Cf}]/u)
    t.match(stdout, /=cmd\|/)
  }
  t.match((JSON.parse(json.stdout) as Json).differences[0], { there: { cluster_name: '\u009b2J' } }, 'JSON says the same')
})

const BROKEN = [
  { what: 'a quote that is not closed', csv: 'a,b\n1,2\n3,"x\ny', stderr: /rows\.csv:\d+: a quoted cell that is not closed/ },
  { what: 'too few cells', csv: 'a,b\n1,2\n3\n', stderr: /rows\.csv:3: another number of cells/ },
  { what: 'too many cells', csv: 'a,b\n1,2,3\n', stderr: /rows\.csv:2: another number of cells/ },
  { what: 'a quote in a cell', csv: 'a,b\n1,x"y"\n', stderr: /rows\.csv:2: a quote inside a cell/ },
  { what: 'a column twice', csv: 'a,b,a\n1,2,3\n', stderr: /rows\.csv:1: the column "a" is there twice/ },
  { what: 'nothing', csv: '', stderr: /rows\.csv:1: there is no header/ },
  { what: 'a cell past all bounds', csv: `a,b\n1,${'x'.repeat(5 << 20)}\n`, stderr: /rows\.csv:2: a row of more than 4194304 characters/ },
  { what: 'no column of ours', csv: 'a,b\n1,2\n', stderr: /no column is on both sides; there: a b; here: _time cluster_name/ },
]
t.test('a file that is no such CSV is refused with its line', async t => {
  const opened = await open(t)
  for (const { what, csv, stderr } of BROKEN) t.match(await opened.compare(csv), { code: 2, stdout: '', stderr }, what)
})

t.test('more rows or characters than fit into memory are refused with their line', async t => {
  const path = join(tempDir(t), 'rows.csv')
  writeFileSync(path, 'a,b\n1,2\n3,4\n5,6\n')
  await t.rejects(readSplunkCsv(path, { recordChars: 100, rows: 2, chars: 100 }), { message: /rows\.csv:4: more than 2 rows/ })
  await t.rejects(readSplunkCsv(path, { recordChars: 100, rows: 100, chars: 4 }), { message: /rows\.csv:4: more than 100 rows or 4 characters/ })
  t.equal((await readSplunkCsv(path, { recordChars: 100, rows: 3, chars: 6 })).rows.length, 3)
})

t.test('what can not be compared ends with exit code 2 and a reason', async t => {
  const opened = await open(t)
  const csv = toCsv([SPLUNK_ROW])
  t.match(await opened.compare(csv, RANGE, {}), { code: 2, stderr: /an API key is needed/ })
  t.match(await opened.compare(csv, RANGE, { HECATE_API_KEY: 'wrong' }), { code: 2, stderr: /asks for "Authorization: Bearer <key>"/ })
  t.match(await opened.compare(csv, [...RANGE, '--key', 'env:OPS'], { OPS: KEY }), { code: 1, stdout: /1 only there/ })
  t.match(await opened.compare(csv, ['--earliest', '-1d@d', '--latest', '-1d@d']), { code: 1, stdout: /2026-03-09T00:00:00.000Z, 0 slots\n0 same, 0 different, 1 only there/ })
  t.match(await opened.compare(csv, ['--earliest', '-1d']), { code: 2, stderr: /--earliest and --latest/ })
  t.match(await opened.compare(csv, ['--earliest', 'soon', '--latest', 'now']), { code: 2, stderr: /earliest is no time/ })
  t.match(await opened.compare(csv, [...RANGE, '--format', 'xml']), { code: 2, stderr: /--format is text or json/ })
  t.match(await opened.compare(csv, [...RANGE, '--url', 'nowhere']), { code: 2, stderr: /--url is no URL/ })
  t.match(await opened.compare(csv, [...RANGE, '--url', 'http://127.0.0.1:1']), { code: 2, stderr: /http:\/\/127\.0\.0\.1:1 can not be reached/ })
  t.match(await opened.compare(csv, ['more.csv', ...RANGE]), { code: 2, stderr: /say what to compare/ })
  const run = hecate(t, ['compare', 'nothing', 'rows.csv', '--url', opened.url, ...RANGE], { cwd: tempDir(t), env: { HECATE_API_KEY: KEY } })
  t.equal(await run.exited, 2)
  t.match(run.printed.stderr, /rows\.csv: ENOENT/)
})
