import { parse } from 'csv-parse/sync'
import type { Test } from 'tap'
import t from 'tap'
import type { z } from 'zod'
import type { CoverageSlot } from '../../src/api/coverage.js'
import { openCalendar } from '../../src/commands/coverage-calendar.js'
import { KEY, tempDir, testApp, VIEWER_KEY } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { LITERAL } from '../fixtures/golden.js'
import { listen } from '../fixtures/http.js'
import { hecate } from '../fixtures/process.js'

const at = (time: string) => Date.parse(time.includes('T') ? time : `2026-03-10T${time}:00Z`)

/** A server whose hourly detections began at 06:30, and `hecate` beside it. */
async function open (t: Test) {
  let nowMs = at('06:30')
  const server = await testApp(t, { now: () => nowMs })
  const url = `http://127.0.0.1:${await listen(server)}`
  const cwd = tempDir(t)
  server.ledger.complete(nowMs)
  const start = (args: readonly string[]) => hecate(t, [...args, '--url', url], { cwd, env: { HECATE_API_KEY: KEY } })
  return {
    ...server,
    /** What came due until then is evaluated, or only owed. */
    async until (time: string, work: 'done' | 'owed' = 'done') {
      nowMs = at(time)
      if (work === 'owed') server.ledger.waive('none', { fromMs: 0, toMs: 0 }, { by: 'nobody', reason: 'so that what came due is owed' })
      else while (await server.ledger.turn(nowMs) <= nowMs);
    },
    run: (args: readonly string[], env: Record<string, string> = {}) => command([...args, '--url', url], { cwd, env: { HECATE_API_KEY: KEY, ...env } }),
    /** The same in a process of its own. */
    start,
    async runProcess (args: readonly string[]) {
      const { exited, printed } = start(args)
      return { code: await exited, ...printed }
    },
  }
}

const RANGE = ['--earliest', '2026-03-10T05:50:00Z', '--latest', '2026-03-10T11:50:00Z']

t.test('hecate coverage shows a day as a calendar with its gaps, and ends with 1 where there are some', async t => {
  const server = await open(t)
  await server.until('09:10')
  await server.until('12:10', 'owed')
  server.ledger.waive(LITERAL, { fromMs: at('12:00'), toMs: at('13:00') }, { by: 'ann', reason: 'a \u001b[31mtest, später' })

  const { code, stdout, stderr } = await server.runProcess(['coverage', LITERAL, ...RANGE])

  t.equal(stderr, '')
  t.equal(code, 1)
  t.equal(stdout, `${LITERAL}, slots by scheduled time, UTC

            00    06    12    18
2026-03-10  .......###oo~...........

  . no slot
  # evaluated
  ~ waived
  o owed

  2026-03-10T08:50:00Z to 2026-03-10T10:50:00Z  2 h          owed
  2026-03-10T10:50:00Z to 2026-03-10T11:50:00Z  1 h          waived by ann: a \\u{1b}[31mtest, sp?ter

3 of 6 windows from 2026-03-10T05:50:00Z to 2026-03-10T11:50:00Z evaluated, event time has 2 gaps, 3 h in all (owed, waived), 0 windows again for late events, 2 owed, 1 waived
`)
})

t.test('on a terminal of UTF-8 it shows more than ASCII, and the exit code is 0 where nothing is left open', async t => {
  const server = await open(t)
  await server.until('12:10')

  const { code, stdout } = await server.run(['coverage', LITERAL, ...RANGE], { LANG: 'C.UTF-8' })

  t.equal(code, 0)
  t.match(stdout, '2026-03-10  ·······■■■■■■···········\n')
  t.equal((await server.run(['coverage', LITERAL])).code, 0, 'what is not due yet, and what was before, are no gaps to answer for')
})

t.test('without a name all detections are shown, as text, JSON and CSV', async t => {
  const server = await open(t)
  await server.until('12:10', 'owed')
  const ids = server.detections.list().map(({ id }) => id)
  const reason = '=cmd|"x"\n\u001b[31m'
  server.ledger.waive(LITERAL, { fromMs: at('07:00'), toMs: at('07:01') }, { by: 'ann', reason })

  const text = await server.run(['coverage', ...RANGE])
  const json = await server.run(['coverage', ...RANGE, '--format', 'json'])
  const csv = await server.run(['coverage', ...RANGE, '--format', 'csv'])

  t.strictSame([text.code, json.code, csv.code], [1, 1, 1])
  t.strictSame([text.stderr, json.stderr, csv.stderr], ['', '', ''])
  for (const id of ids) t.match(text.stdout, `${id}, slots by scheduled time`)
  const all = JSON.parse(json.stdout) as { detection_id: string, totals: { states: object }, gaps: object[], slots?: object }[]
  t.strictSame(all.map(({ detection_id: id }) => id), ids)
  t.match(all.find(({ detection_id: id }) => id === LITERAL), { totals: { states: { owed: 5, waived: 1 } }, gaps: [{ cause: 'waived', waived: { by: 'ann', reason } }, { cause: 'owed' }], slots: undefined })
  t.notMatch(json.stdout, '\u001b')
  const rows = parse(csv.stdout, { columns: true }) as Record<string, string>[]
  t.strictSame([...new Set(rows.map(row => row.detection_id))], ids.filter(id => server.detectionStore.periods(id).length > 0))
  t.match(rows.find(row => row.detection_id === LITERAL), { scheduled_time: '2026-03-10T07:00:00.000Z', state: 'waived', waived_reason: `'${reason}` })
})

t.test('hecate waive waives one slot or a stretch, and says how many', async t => {
  const server = await open(t)
  await server.until('12:10', 'owed')
  const reason = ['--reason', 'maintenance']

  t.match(await server.runProcess(['waive', LITERAL, '--scheduled-time', '2026-03-10T07:00:00Z', ...reason]), { code: 0, stdout: '1 slot waived\n' })
  t.match(await server.run(['waive', LITERAL, '--earliest', '2026-03-10T08:00:00Z', '--latest', '-1h', ...reason]), { code: 0, stdout: '4 slots waived\n' })
  t.match(await server.run(['waive', LITERAL, '--scheduled-time', '2026-03-10T07:00:00Z', ...reason]), { code: 1, stdout: 'no slot there is owed or failed\n' })
  t.match(await server.run(['waive', LITERAL, '--scheduled-time', 'now', ...reason, '--key', VIEWER_KEY]), { code: 1, stderr: /asks for the role analyst/ })
  t.match(await server.run(['waive', 'none', '--scheduled-time', 'now', ...reason]), { code: 1, stderr: /no such detection/ })
})

t.test('a reader that leaves before the end is told nothing of what it has not seen', async t => {
  const server = await open(t)
  await server.until('12:10')
  const { child, exited } = server.start(['coverage', LITERAL, ...RANGE])
  child.stdout.destroy()

  t.equal(await exited, 2)
})

const BAD_USAGE: readonly (readonly [readonly string[], RegExp])[] = [
  [['coverage', '--format', 'xml'], /--format is calendar, csv or json/],
  [['coverage', 'none'], /no such detection/],
  [['coverage', '--earliest', 'soon'], /earliest is no time/],
  [['waive', '--reason', 'x', '--scheduled-time', 'now'], /say whose slots/],
  [['waive', LITERAL, '--scheduled-time', 'now'], /--reason/],
  [['waive', LITERAL, '--reason', 'x', '--scheduled-time', 'now', '--earliest', '-1h'], /either --scheduled-time, or/],
]

t.test('what makes no sense, or could not be found out, ends with 2', async t => {
  const server = await open(t)
  for (const [args, stderr] of BAD_USAGE) t.match(await server.run(args), { code: 2, stderr }, args.join(' '))
  const { exited, printed } = hecate(t, ['coverage', '--url', 'http://127.0.0.1:1'], { cwd: tempDir(t), env: { HECATE_API_KEY: KEY } })
  t.equal(await exited, 2)
  t.match(printed.stderr, /can not be reached/)
})

const ASCII = { width: 80, isUnicode: false, isColoured: false }

function slot (time: string, changes: Partial<z.infer<typeof CoverageSlot>> = {}): z.infer<typeof CoverageSlot> {
  const late = { evaluations: 0, events: 0, waiting_events: 0, too_late_events: 0 }
  return {
    scheduled_time: time, origin: 'schedule', state: 'done', window: { earliest: time, latest: time }, definition: '', evaluated: true, lateness_seconds: 0, first_evaluated_at: time, evaluated_at: time,
    row_count: 0, position: '1', late, short: false, waived: null, error: null, ...changes,
  }
}

function every (minutes: number, from: string, count: number, changes: (i: number) => Partial<z.infer<typeof CoverageSlot>> = () => ({})) {
  return Array.from({ length: count }, (_, i) => slot(new Date(at(from) + i * minutes * 60_000).toISOString(), changes(i)))
}

function draw (slots: readonly z.infer<typeof CoverageSlot>[], { days = 1, zone = 'UTC', style = ASCII, keptAfter = null as string | null } = {}): string[] {
  const calendar = openCalendar(zone, slots.slice(0, 1000), days, style, keptAfter)
  for (const one of slots) calendar.add(one)
  return calendar.toLines()
}

t.test('a cell is one slot, or as many as the width asks for, and shows the worst of them', async t => {
  const unseen = { evaluated: false } as const
  const minutes = every(1, '2026-03-10T00:00:00Z', 1440, i => i === 65 ? { state: 'failed', ...unseen } : i === 66 ? { state: 'owed', ...unseen } : {})

  t.strictSame(draw(minutes).slice(0, 2), ['            00          06          12          18', '2026-03-10  ##x#############################################'])
  t.equal(draw(minutes, { style: { ...ASCII, width: 90 } })[1], `2026-03-10  ###x${'#'.repeat(68)}`, 'cells of 20 minutes')
  t.equal(draw(minutes, { style: { ...ASCII, width: 2000 } })[1]!.indexOf('x'), 12 + 65, 'cells of a minute')
  t.strictSame(draw([
    ...every(60, '2026-03-10T00:00:00Z', 9, i => [
      { state: 'missing' as const, ...unseen }, { state: 'running' as const, ...unseen }, { short: true }, { state: 'waived' as const, ...unseen }, { late: { evaluations: 1, events: 1, waiting_events: 0, too_late_events: 0 } },
      { state: 'not_due' as const, ...unseen }, { state: 'running' as const }, { state: 'failed' as const }, { origin: 'manual' as const },
    ][i]!),
  ]).slice(0, 2), ['            00    06    12    18', '2026-03-10  !os~+-#x................'])
  t.strictSame(draw([]), [])
})

t.test('days are those of the time zone, also where they have 23 or 25 hours, and days without a slot are there', async t => {
  t.strictSame(draw([...every(60, '2026-03-28T23:00:00Z', 23), ...every(60, '2026-03-30T22:00:00Z', 2)], { days: 3, zone: 'Europe/Berlin' }).slice(1, 4), [
    `2026-03-29  ##.${'#'.repeat(21)}`, `2026-03-30  ${'.'.repeat(24)}`, `2026-03-31  ##${'.'.repeat(22)}`,
  ])
  t.strictSame(draw(every(60, '2026-10-24T22:00:00Z', 25), { zone: 'Europe/Berlin' })[1], `2026-10-25  ${'#'.repeat(24)}`)
})

t.test('long ranges have a row a week, and so have slots a day', async t => {
  t.strictSame(draw(every(60, '2026-01-01T00:00:00Z', 24 * 90), { days: 90 }).slice(0, 2), [
    '            Mon     Tue     Wed     Thu     Fri     Sat     Sun', `2025-12-29  ${'.'.repeat(24)}${'#'.repeat(32)}`,
  ])
  t.strictSame(draw(every(1440, '2026-03-09T02:30:00Z', 8), { days: 8 }).slice(0, 3), ['            MTWTFSS', '2026-03-09  #######', '2026-03-16  #......'])
})

t.test('up to the newest slot that went because of its age there may have been slots', async t => {
  t.strictSame(draw([...every(60, '2026-03-10T02:00:00Z', 1), ...every(60, '2026-03-10T08:00:00Z', 3)], { keptAfter: '2026-03-10T07:00:00.000Z' }), [
    '            00    06    12    18', '2026-03-10  ??#?????###.............', '', '  . no slot', '  ? not kept: too old', '  # evaluated',
  ])
  t.equal(draw(every(60, '2026-03-09T23:00:00Z', 2), { zone: 'Europe/Berlin', keptAfter: '2026-03-08T23:30:00.000Z' })[1], `2026-03-10  ##${'.'.repeat(22)}`)
})

t.test('colours are there only where the terminal has them', async t => {
  const [, row] = draw(every(60, '2026-03-10T00:00:00Z', 2), { style: { ...ASCII, isColoured: true } })

  t.ok(row!.startsWith('2026-03-10  \u001b[32m#\u001b[0m\u001b[32m#\u001b[0m\u001b[2m.\u001b[0m'))
})
