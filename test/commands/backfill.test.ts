import type { Test } from 'tap'
import t from 'tap'
import type { TestAppOptions } from '../fixtures/app.js'
import { KEY, post, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { until } from '../fixtures/http.js'
import { hecate, printedBy } from '../fixtures/process.js'
import { detectionsOf, GENERATIONS } from '../fixtures/rules.js'

const G01 = GOLDEN.find(({ id }) => id === 'G01')!
const nowMs = Date.parse('2026-03-17T12:30:00Z')
const DAY = ['--earliest', '2026-03-09T22:50:00Z', '--latest', '2026-03-10T22:50:00Z']

/** A server that listens, with the events of G01, and `hecate backfill` beside it. */
async function open (t: Test, { port = 0, ...options }: TestAppOptions & { port?: number } = {}) {
  const server = await testApp(t, { ...options, nowMs })
  server.ledger.complete(nowMs)
  const url = await server.app.listen({ host: '127.0.0.1', port })
  return {
    ...server,
    url,
    send: () => post(server, G01.events.map(event => toEnvelope(event)).join('')),
    /** Does what there is to do once somebody has asked for a backfill, or so many turns of it. */
    async work (turns = Infinity): Promise<void> {
      await until(() => server.backfillStore.current() !== undefined)
      for (let i = 0; i < turns && await server.backfills.turn(nowMs) <= nowMs; i++);
    },
    backfill: (args: readonly string[], env: Record<string, string> = { HECATE_API_KEY: KEY }) => command(['backfill', ...args, '--url', url], { cwd: tempDir(t), env }),
    /** The same in a process of its own. */
    backfillProcess: (args: readonly string[]) => hecate(t, ['backfill', ...args, '--url', url], { cwd: tempDir(t), env: { HECATE_API_KEY: KEY } }),
  }
}

t.test('a backfill is followed to its end, and the summary says what it found', async t => {
  const server = await open(t)
  await server.send()

  const { exited, printed } = server.backfillProcess([LITERAL, ...DAY])
  await server.work()

  t.equal(await exited, 0, printed.stderr)
  const [{ id } = { id: '' }] = server.backfillStore.list({}, 1)
  t.equal(printed.stdout, `${LITERAL}: 24 slots in 0.0 s; 1 finding created, 0 revised, 0 gone (backfill ${id})\n`)
  t.equal(printed.stderr, `24 slots; backfill ${id}\n`)
})

t.test('a dry run prints its rows as lines of JSON, and the summary beside them', async t => {
  const server = await open(t)
  await server.send()

  const running = server.backfill([LITERAL, ...DAY, '--dry-run'])
  await server.work()
  const { code, stdout, stderr } = await running

  t.equal(code, 0, stderr)
  t.strictSame(stdout.split('\n').slice(0, -1).map(line => JSON.parse(line)), [
    { scheduled_time: '2026-03-10T12:00:00.000Z', window: { earliest: '2026-03-10T10:50:00.000Z', latest: '2026-03-10T11:50:00.000Z' }, row: G01.runs[0]!.literal[0] },
  ])
  t.match(stderr, /: 24 slots in 0\.0 s; 1 row \(backfill /)
})

t.test('what events hold does nothing to a terminal, and all pages of a dry run are printed', async t => {
  const server = await open(t, { files: detectionsOf(t, { 'a_rule.yml': GENERATIONS[2025].replace(/^search: .*$/m, 'search: sourcetype=st') }) })
  const envelopes = Array.from({ length: 1_500 }, (_, n) => JSON.stringify({ time: 1773140700, sourcetype: 'st', event: { n, text: 'a\u001b[31mb\u202e' } }))
  t.equal((await post(server, envelopes.join(''))).statusCode, 200)

  const running = server.backfill(['a_rule', ...DAY, '--dry-run'])
  await server.work()
  const { code, stdout, stderr } = await running

  t.equal(code, 0, stderr)
  t.equal(stdout.split('\n').length, 1_501)
  for (const character of ['\u001b', '\u202e']) t.notOk(stdout.includes(character))
})

t.test('with --detach the id is printed, and the backfill goes on by itself', async t => {
  const server = await open(t)

  const { code, stdout, stderr } = await server.backfill([LITERAL, ...DAY, '--detach'])

  t.equal(code, 0, stderr)
  t.equal(stdout, `${server.backfillStore.current()!.id}\n`)
})

t.test('Ctrl-C cancels the backfill, says so, and the exit code is 1', async t => {
  const server = await open(t)
  const { child, exited, printed } = server.backfillProcess([LITERAL, ...DAY])
  await server.work(7)
  await printedBy({ child, exited, printed }, /24 slots/, 'stderr')

  child.kill('SIGINT')

  t.equal(await exited, 1)
  t.match(printed.stdout, /: cancelled after 7 of 24 slots in 0\.0 s; 0 findings created/)
  t.match(server.backfillStore.list({}, 1), [{ state: 'cancelled', done_slots: 7 }])
})

t.test('slots that fail make the exit code 1, and the reason is on stderr', async t => {
  const server = await open(t, { files: detectionsOf(t, { 'a_rule.yml': GENERATIONS[2025].replace(/^search: .*$/m, 'search: sourcetype=st') }) })
  for (let part = 0; part < 3; part++) {
    await post(server, Array.from({ length: 4_000 }, (_, n) => JSON.stringify({ time: 1773140700, sourcetype: 'st', event: { n } })).join(''))
  }

  const running = server.backfill(['a_rule', ...DAY])
  await server.work()
  const { code, stdout, stderr } = await running

  t.equal(code, 1)
  t.match(stdout, /: 24 slots in 0\.0 s; 0 findings created/)
  t.match(stderr, /1 of 24 slots failed; the last: the search gives more than 10000 rows/)
})

t.test('a server that is started anew meanwhile is waited for', async t => {
  const dataDir = tempDir(t)
  const first = await open(t, { dataDir })
  await first.send()
  const { child, exited, printed } = first.backfillProcess([LITERAL, ...DAY])
  await printedBy({ child, exited, printed }, /24 slots/, 'stderr')
  await first.work(5)
  await first.close()

  const second = await open(t, { dataDir, port: Number(new URL(first.url).port) })
  await second.work()

  t.equal(await exited, 0, printed.stderr)
  t.match(printed.stdout, /: 24 slots in .* 1 finding created/)
})

const REFUSED: readonly { readonly what: string, readonly args: readonly string[], readonly env?: Record<string, string>, readonly code: number, readonly stderr: RegExp }[] = [
  { what: 'no detection', args: DAY, code: 2, stderr: /say which detection/ },
  { what: 'two of them', args: [LITERAL, 'other', ...DAY], code: 2, stderr: /say which detection/ },
  { what: 'half a range', args: [LITERAL, '--earliest', '-7d'], code: 2, stderr: /--earliest and --latest/ },
  { what: 'no key', args: [LITERAL, ...DAY], env: {}, code: 2, stderr: /an API key is needed/ },
  { what: 'a key that may only read', args: [LITERAL, ...DAY], env: { HECATE_API_KEY: VIEWER_KEY }, code: 2, stderr: /analyst/ },
  { what: 'an unknown detection', args: ['nobody\u001b[31m', ...DAY], code: 2, stderr: /there is no such detection/ },
  { what: 'a time that is none', args: [LITERAL, '--earliest', 'x', '--latest', 'now'], code: 2, stderr: /earliest is no time/ },
  { what: 'a range without a slot', args: [LITERAL, '--earliest', '-5m', '--latest', 'now'], code: 2, stderr: /no slot of the detection/ },
]
t.test('what makes no sense ends with exit code 2, a server that can not be reached with 1', async t => {
  const server = await open(t)
  for (const { what, args, env, code, stderr } of REFUSED) t.match(await server.backfill(args, env), { code, stderr }, what)
  await server.close()
  t.match(await server.backfill([LITERAL, ...DAY]), { code: 1, stderr: /can not be reached/ })
})
