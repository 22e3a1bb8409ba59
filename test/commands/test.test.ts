import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { writeFileSync } from 'node:fs'
import { Parser } from 'tap-parser'
import type { Test } from 'tap'
import t from 'tap'
import { tempDir } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { hecate } from '../fixtures/process.js'
import { folderOf, GENERATIONS } from '../fixtures/rules.js'
import { parseXml } from '../fixtures/xml.js'

const RULE = GENERATIONS[2026]

const LOG = [
  '{"time":"2026-03-10T11:05:00Z","pod":"web-1","user":"root","tool":"mount"}',
  '{"time":"2026-03-10T11:05:10Z","pod":"web-1","user":"root","tool":"nsenter"}',
  '{"time":"2026-03-10T11:59:00Z","pod":"web-2","user":"bob","tool":"ls"}',
].join('\n')

/** A detection with tests over `log.log`, each with these lines more. */
function ruleWith (...tests: readonly (readonly string[])[]): string {
  return `${RULE}tests:\n${tests.map((lines, i) => [
    `  - name: test ${i + 1}`,
    '    attack_data: [{ data: log.log, source: log, sourcetype: st }]',
    '    test_type: unit',
    ...lines.map(line => `    ${line}`),
  ].join('\n')).join('\n')}\n`
}

const run = (cwd: string, args: readonly string[] = ['.']) => command(['test', ...args], { cwd })

interface Report {
  readonly detections: readonly { readonly id: string, readonly errors: readonly object[], readonly tests: readonly { readonly name: string, readonly status: string, readonly reasons: readonly string[], readonly rows: number | null, readonly duration_ms: number }[] }[]
  readonly summary: Readonly<Record<string, number>>
}

async function runJson (cwd: string, args: readonly string[] = ['.']) {
  const { code, stdout } = await run(cwd, [...args, '--format', 'json'])
  return { code, ...JSON.parse(stdout) as Report }
}

t.test('every shipped detection has tests, and all of them pass, each within a second', async t => {
  const { code, detections, summary } = await runJson(tempDir(t), [])

  t.equal(code, 0)
  t.match(summary, { failed: 0, not_run: 0, detections_without_tests: 0, detections_not_loaded: 0 })
  t.strictSame(detections.flatMap(({ id, tests }) => tests.filter(({ status }) => status !== 'passed').map(({ name, reasons }) => ({ id, name, reasons }))), [])
  const durations = detections.flatMap(({ tests }) => tests.map(one => one.duration_ms)).sort((a, b) => a - b)
  t.ok(durations[Math.floor(durations.length / 2)]! < 1_000, 'the median, since the machine may be busy')
})

for (const { what, lines, status = 'passed', reasons = [] } of [
  { what: 'without an expectation any row will do', lines: [] },
  { what: 'the number of rows', lines: ['expected: { count: 2 }'] },
  { what: 'rows in any order, by the fields that are given', lines: ['expected: [{ pod: web-2 }, { pod: web-1, tool: [mount, nsenter], count: 2 }]'] },
  { what: 'a field that is not there', lines: ['expected: [{ pod: web-1, dest: null }, { user: bob }]'] },
  { what: 'a row that fits two expectations gives way to one that fits one', lines: ['expected: [{}, { pod: web-1 }]'] },
  { what: 'the detection\'s own window at a slot', lines: ['scheduled_time: 2026-03-10T12:00:00Z', 'expected: [{ pod: web-1 }]'] },
  { what: 'a window of its own, from the last event', lines: ['earliest_time: -10m', 'expected: [{ pod: web-2 }]'] },
  { what: 'a window of its own, absolute', lines: ['latest_time: 2026-03-10T11:05:10Z', 'expected: [{ tool: mount }]'] },
  { what: 'no row in a window', lines: ['earliest_time: 1773150000', 'latest_time: 1773150001', 'expected: []'] },
  { what: 'no row where any is wanted', lines: ['earliest_time: 1773150000', 'latest_time: 1773150001'], status: 'failed', reasons: ['expected any row, found none'] },
  { what: 'another number of rows', lines: ['expected: { count: 0 }'], status: 'failed', reasons: ['expected 0 rows, found 2 rows', 'a row that is not expected:'] },
  {
    what: 'a row that differs',
    lines: ['expected: [{ pod: web-1, count: 3 }, { pod: web-2 }]'],
    status: 'failed',
    reasons: ['expected 2 rows, found 2 rows', 'row 1 of the expected ones is missing; the nearest other one differs:', '    pod: web-1', '  - count: 3', '  + count: 2'],
  },
  { what: 'a row too many', lines: ['expected: [{ pod: web-1 }]'], status: 'failed', reasons: ['expected 1 row, found 2 rows', 'a row that is not expected:', '  + pod: web-2', '  + count: 1'] },
  { what: 'a multivalue in another order', lines: ['expected: [{ tool: [nsenter, mount] }, {}]'], status: 'failed', reasons: ['expected 2 rows, found 2 rows', 'row 1 of the expected ones is missing:', '  - tool: ["nsenter","mount"]'] },
  { what: 'times that are none', lines: ['earliest_time: yesterday'], status: 'failed', reasons: ['earliest_time "yesterday" is no time'] },
  { what: 'a window that is none', lines: ['earliest_time: now', 'latest_time: -1h'], status: 'failed', reasons: ['the window ends before it begins'] },
  { what: 'an expectation that is none', lines: ['expected: { rows: 1 }'], status: 'failed', reasons: ['tests.0.expected: expected a list of rows, each of fields and values, or count'] },
] as { what: string, lines: string[], status?: string, reasons?: string[] }[]) {
  t.test(`a test ${status === 'passed' ? 'passes' : 'fails'} on ${what}`, async t => {
    const cwd = folderOf(t, { 'a.yml': ruleWith(lines), 'log.log': LOG })

    const { code, detections } = await runJson(cwd)
    const [outcome] = detections[0]!.tests

    t.equal(code, status === 'passed' ? 0 : 1)
    t.equal(outcome!.status, status)
    t.strictSame(outcome!.reasons.slice(0, reasons.length), reasons)
    if (status === 'passed') t.strictSame(outcome!.reasons, [])
  })
}

t.test('logs are gzip or plain, envelopes or lines, several of a test, with the metadata of each', async t => {
  const cwd = folderOf(t, {
    'rules/a.yml': `${RULE.replace('BY pod', 'BY pod host index source')}tests:
  - name: many
    attack_data:
      - { data: ../logs/a.gz, source: one, sourcetype: st, host: h1, custom_index: own }
      - { data: ../logs/b.log, source: two, sourcetype: other }
    expected:
      - { pod: web-1, host: h1, index: own, source: one, count: 2 }
      - { pod: web-2, host: h1, index: own, source: one }
      - { pod: web-3, host: h3, index: metrics, source: two }
`,
    'logs/b.log': '{"time":1773140700,"sourcetype":"st","host":"h3","index":"metrics","event":{"pod":"web-3","user":"eve","tool":"ps"}}',
  })
  writeFileSync(join(cwd, 'logs/a.gz'), gzipSync(LOG))

  const { code, detections } = await runJson(cwd, ['rules'])

  t.match(detections[0]!.tests, [{ status: 'passed', reasons: [], events: 4, rows: 3 }])
  t.equal(code, 0)
})

t.test('what of a log can not be stored fails the test', async t => {
  const data = (name: string) => `data: ${name},`
  const cwd = folderOf(t, {
    'a.yml': ruleWith([], [], []).replace('data: log.log,', data('nothing.log')).replace('data: log.log,', data('empty.log')).replace('data: log.log,', data('refused.log')),
    'empty.log': '\n \n',
    'refused.log': `{"event":"good"}{"time":"x","event":1}\n${'x'.repeat(2_000)}`,
    'hecate.yaml': 'hec: { max_event_bytes: 1000 }\ndetections: { shipped: false }\n',
  })

  const { code, detections } = await runJson(cwd, ['a.yml', '--config', 'hecate.yaml'])

  t.equal(code, 1)
  t.match(detections[0]!.tests.map(({ reasons }) => reasons), [
    [/nothing\.log can't be read: ENOENT/],
    ['empty.log: holds no event'],
    ['refused.log: 1 are longer than an event may be (hec.max_event_bytes)', "refused.log: 1 are refused: the 2. with HEC's code 15"],
  ])
})

t.test('a message with a place that no row fills, and a risk object that no row has, fail a test', async t => {
  const cwd = folderOf(t, {
    'a.yml': ruleWith([]).replace('title: $user$', 'title: $nobody$ and $user$'),
    'b.yml': ruleWith([]).replace('entity: { field: pod', 'entity: { field: nothing'),
    'log.log': LOG,
  })

  const { code, detections } = await runJson(cwd)

  t.equal(code, 1)
  t.strictSame(detections.map(({ tests }) => tests[0]!.reasons), [
    ['the message has $nobody$, and a row has no such field'],
    ['the risk object nothing is in no row'],
  ])
})

t.test('a value that looks like a place of a message is none', async t => {
  const cwd = folderOf(t, { 'a.yml': ruleWith([]), 'log.log': '{"pod":"web","user":"echo $HOME$","tool":"sh"}' })

  t.equal((await run(cwd)).code, 0)
})

/** One of each: passed, failed, not run, without tests, not loaded; with names and values that mean something in every format. */
const EVIL = '\u001b[31m]]>&<"\'# \\ \u202e'
function folderOfAll (t: Test): string {
  return folderOf(t, {
    'a_passed.yml': ruleWith([]),
    'b_failed.yml': ruleWith(['expected: [{ pod: web-1 }]']).replace('name: test 1', `name: ${JSON.stringify(EVIL)}`),
    'c_url.yml': ruleWith([]).replace('log.log', 'https://example.com/log.log'),
    'd_none.yml': RULE,
    'e_broken.yml': RULE.replace('| stats', '| nonsense'),
    'log.log': `${LOG}\n${JSON.stringify({ pod: EVIL, user: 'x', tool: 'y' })}`,
  })
}

t.test('what is not run and what has no tests is counted and fails nothing; a failed test and a detection that is not loaded do', async t => {
  const cwd = folderOfAll(t)

  const { code, detections, summary } = await runJson(cwd)

  t.equal(code, 1)
  t.strictSame(summary, { passed: 1, failed: 1, not_run: 1, detections_without_tests: 1, detections_not_loaded: 1 })
  t.match(detections.map(({ id, errors, tests }) => ({ id, errors: errors.length, statuses: tests.map(({ status }) => status) })), [
    { id: 'a_passed', errors: 0, statuses: ['passed'] },
    { id: 'b_failed', errors: 0, statuses: ['failed'] },
    { id: 'c_url', errors: 0, statuses: ['not_run'] },
    { id: 'd_none', errors: 0, statuses: [] },
    { id: 'e_broken', errors: 1, statuses: [] },
  ])
  t.strictSame(detections[2]!.tests[0]!.reasons, ['https://example.com/log.log is not fetched'])
  t.equal((await run(cwd, ['a_passed.yml', 'c_url.yml', 'd_none.yml'])).code, 0)
})

t.test('the text says what failed and why', async t => {
  const { exited, printed } = hecate(t, ['test', '.'], { cwd: folderOfAll(t) })

  t.equal(await exited, 1)
  const { stdout } = printed
  t.match(stdout, /^passed {4}a_passed: test 1 \(\d+ ms\)\nfailed {4}b_failed: .* \(\d+ ms\)\n {4}expected 1 row, found 3 rows\n {4}a row that is not expected:\n {6}\+ pod: /)
  t.match(stdout, /^not run {3}c_url: test 1\n {4}https:\/\/example\.com\/log\.log is not fetched\nno tests {2}d_none\nfailed {4}e_broken: the detection can not be loaded\n {4}.*e_broken\.yml\n {4}10:25: search: The command "nonsense" isn't supported/m)
  t.match(stdout, /\n\ntests: 1 passed, 1 failed, 1 not run; detections: 1 without tests, 1 not loaded\n$/)
})

t.test('no report lets anything of a file or an event reach a terminal', async t => {
  const cwd = folderOfAll(t)
  for (const format of ['text', 'json', 'junit', 'tap']) {
    const { stdout } = await run(cwd, ['.', '--format', format])
    t.notMatch(stdout, /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u, format)
  }
})

t.test('the JUnit report has a suite for each detection and a case for each test', async t => {
  const { stdout } = await run(folderOfAll(t), ['.', '--format', 'junit'])

  const root = parseXml(stdout)

  t.match(root, { name: 'testsuites', attributes: { tests: '5', failures: '2', errors: '0', skipped: '2' } })
  t.match(root.children.map(({ attributes, children }) => [attributes.name, children.map(one => [one.attributes.name, one.children.map(({ name }) => name)])]), [
    ['a_passed', [['test 1', []]]],
    ['b_failed', [[`\\u{1b}${EVIL.slice(1, -1)}\\u{202e}`, ['failure']]]],
    ['c_url', [['test 1', ['skipped']]]],
    ['d_none', [['no tests', ['skipped']]]],
    ['e_broken', [['the detection can not be loaded', ['failure']]]],
  ])
  const [failure] = root.children[1]!.children[0]!.children
  t.equal(failure!.attributes.message, 'expected 1 row, found 3 rows')
  t.match(failure!.text, `  + pod: \\u{1b}${EVIL.slice(1, -1)}\\u{202e}\n`)
})

t.test('the TAP report is TAP 14', async t => {
  const { stdout } = await run(folderOfAll(t), ['.', '--format', 'tap'])
  const points: { ok: boolean, id: number, name: string, skip: boolean | string, diag: { message?: string } | null }[] = []
  const parser = new Parser({ strict: true })
  parser.on('assert', (point: typeof points[number]) => { points.push(point) })

  const complete = new Promise<{ count: number, failures: unknown[] }>(resolve => { parser.on('complete', resolve) })
  parser.end(stdout)

  t.match(await complete, { count: 5, plan: { start: 1, end: 5 }, fail: 2, skip: 2 })
  t.match(points, [
    { ok: true, id: 1, name: 'a_passed: test 1' },
    { ok: false, id: 2, name: /^b_failed: /, diag: { message: /^expected 1 row, found 3 rows\n/ } },
    { ok: true, id: 3, name: 'c_url: test 1', skip: 'https://example.com/log.log is not fetched' },
    { ok: true, id: 4, name: 'd_none: no tests', skip: 'no tests' },
    { ok: false, id: 5, name: 'e_broken: the detection can not be loaded', diag: { message: /nonsense/ } },
  ])
})

t.test('broken tests are a warning of the detection, which runs all the same', async t => {
  const cwd = folderOf(t, { 'a.yml': `${RULE}tests:\n  - name: no data\n`, 'b.yml': `${RULE}tests: 7\n` })

  const { code, stdout } = await command(['check', '.', '--format', 'json'], { cwd })

  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    detections: [
      { status: 'warnings', errors: [], warnings: [{ message: /^tests\.0\.attack_data: /, line: 24 }] },
      { status: 'warnings', errors: [], warnings: [{ message: 'tests: expected a list of tests' }] },
    ]
  })
  t.match(await runJson(cwd), { code: 1, detections: [{ tests: [{ name: 'no data', status: 'failed' }] }, { tests: [{ name: 'tests', status: 'failed' }] }] })
})

t.test('bad usage and configuration end with exit code 2', async t => {
  const cwd = folderOf(t, { 'bad.yaml': 'detections: { path: [] }\n' })
  for (const { args, stderr } of [
    { args: ['--format', 'xml'], stderr: /--format is text, junit, json or tap/ },
    { args: ['--config', 'bad.yaml'], stderr: /detections\.path: unknown key/ },
    { args: ['nowhere'], stderr: /nowhere/ },
  ]) {
    const outcome = await run(cwd, args)
    t.equal(outcome.code, 2, args.join(' '))
    t.match(outcome.stderr, stderr)
  }
})
