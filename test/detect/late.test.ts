import t from 'tap'
import type { Test } from 'tap'
import type { LoadedDetection } from '../../src/detect/load.js'
import { readSecurityContent } from '../../src/detect/security-content.js'
import type { Finding, FindingRevision } from '../../src/finding.js'
import type { RunRecord } from '../../src/store/control/findings.js'
import { bearer, openTestEvents, post, tempDir, testApp } from '../fixtures/app.js'
import { shippedFiles } from '../fixtures/detections.js'
import { GOLDEN, INTENT, LITERAL, toEnvelope } from '../fixtures/golden.js'

const at = (time: string) => Date.parse(`2026-03-10T${time}Z`)
const [nsenter, mount] = GOLDEN.find(({ id }) => id === 'G01')!.events as [{ time: string, process_exec: object }, { time: string, process_exec: object }]
const command = (binary: string, time: string, over: object = {}) => toEnvelope({ ...mount, time: `2026-03-10T${time}Z`, process_exec: { ...mount.process_exec, process: { ...(mount.process_exec as { process: object }).process, binary, arguments: '' } }, ...over })

/** A server whose ledger begins at 10:30, with the slot of 12:00 done; times are those of a day. */
async function openEvaluated (t: Test, first: readonly string[], damaged: { from?: number } = {}) {
  let nowMs = at('10:30:00')
  const ran: RunRecord[] = []
  const events = await openTestEvents(tempDir(t))
  t.teardown(() => events.close())
  const server = await testApp(t, { events: { ...events, isDamaged: ({ latestUs }) => latestUs > (damaged.from ?? Infinity) * 1000, close: async () => {} }, now: () => nowMs, files: shippedFiles().filter(({ id }) => id === LITERAL || id === INTENT), ran: run => { if (run.detection_id === LITERAL) ran.push(run) } })
  server.ledger.complete(nowMs)
  const work = async (time: string) => {
    nowMs = at(time)
    while (await server.ledger.turn(nowMs) <= nowMs);
  }
  const arrive = async (time: string, ...envelopes: readonly string[]) => {
    nowMs = at(time)
    t.equal((await post(server, envelopes.join(''))).statusCode, 200)
  }
  const sweep = (time: string) => {
    nowMs = at(time)
    return server.sweep(nowMs)
  }
  const get = async (path: string) => (await server.app.inject({ url: `/api/v1/${path}`, headers: bearer })).json() as { items: unknown[] }
  const findings = async () => (await get('findings')).items as Finding[]
  const slot = (time = '12:00:00') => server.ledgerStore.slot(LITERAL, at(time))!
  if (first.length > 0) await arrive('11:20:00', ...first)
  await work('12:00:00')
  ran.length = 0
  return { ...server, sweepAt: server.sweep, ran, work, arrive, sweep, get, findings, slot }
}

t.test('an event that comes after its window was evaluated revises the finding, and the revision says what changed and how late it came', async t => {
  const server = await openEvaluated(t, [toEnvelope(nsenter), toEnvelope(mount)])
  await server.arrive('12:20:00', command('/usr/bin/ps', '11:06:30.000'))

  t.match(await server.sweep('12:20:05'), { late: 1, tooLate: 0 })
  t.match(server.slot(), { state: 'done', late_events: 1, waiting_events: 1, late_due_ms: at('12:21:05') })
  await server.work('12:21:04')
  t.equal(server.ran.length, 0, 'it waits for more')
  await server.work('12:21:05')

  t.match(server.ran, [{ slot_ms: at('12:00:00'), created: 0, revised: 1 }])
  const [{ id, revision, result, change }] = await server.findings() as [Finding]
  t.match({ revision, result, change }, {
    revision: 2,
    result: { total_events: 3, distinct_cmds: 3 },
    change: { reason: 'late_events', row: 'changed', late: { event_count: 1, max_seconds: 4410, nodes: ['n1'] } },
  })
  t.strictSame(change!.fields.map(({ field, before, after, added }) => [field, before, after, added]), [
    ['total_events', 2, 3, []], ['distinct_cmds', 2, 3, []],
    ['process', 2, 3, ['/usr/bin/ps ']], ['process_name', 2, 3, ['ps']],
  ])
  t.equal(change!.text, 'total_events 2 → 3; distinct_cmds 2 → 3; process +1; process_name +1; 1 event arrived 1.2 h late from node n1')
  const revisions = (await server.get(`findings/${id}/revisions`)).items as FindingRevision[]
  t.strictSame(revisions.map(one => [one.revision, one.change?.reason ?? null, (one.result as { total_events: number }).total_events]), [[2, 'late_events', 3], [1, null, 2]])
  t.match(server.slot(), { late_due_ms: null, waiting_events: 0, late_events: 1, late_runs: 1 })
})

t.test('a burst of late events costs one evaluation, and one that goes on is not waited for longer than ten minutes', async t => {
  const server = await openEvaluated(t, [])
  for (let second = 0; second < 50; second += 10) {
    await server.arrive(`12:20:${String(second).padStart(2, '0')}`, command('/usr/bin/nsenter', '11:06:30.000'), command('/usr/bin/mount', `11:06:${second + 10}.000`))
    await server.sweep(`12:20:${String(second + 5)}`.replace(/:(\d)$/, ':0$1'))
    await server.work('12:20:55')
  }
  await server.work('12:21:45')
  t.match(server.ran, [{ created: 1 }])

  for (let minute = 30; minute < 42; minute++) {
    await server.arrive(`12:${minute}:00`, command('/usr/bin/ps', '11:06:30.000'))
    await server.sweep(`12:${minute}:50`)
    await server.work(`12:${minute}:55`)
  }
  t.equal(server.ran.length, 2, 'after ten minutes')
})

t.test('what the next slot will see is not late, unless that slot does not come', async t => {
  const server = await openEvaluated(t, [])
  const patch = (payload: object) => server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${LITERAL}`, headers: bearer, payload })
  t.equal((await patch({ schedule: { cron: '0 * * * *', earliest: '-130m@m', latest: '-10m@m' } })).statusCode, 200)
  await server.work('13:00:00')
  server.ran.length = 0
  await server.arrive('13:20:00', command('/usr/bin/nsenter', '12:06:30.000'), command('/usr/bin/mount', '12:07:00.000'))

  t.match(await server.sweep('13:20:05'), { late: 0 }, 'the window of 14:00 holds it')
  t.equal((await patch({ enabled: false })).statusCode, 200)
  await server.work('13:21:05')

  t.match(server.ran, [{ slot_ms: at('13:00:00'), created: 1 }], 'the last one that holds it is evaluated once more')
})

t.test('a finding whose row is gone is marked and kept, and a row that is there again is said to be', async t => {
  const server = await openEvaluated(t, [])
  // Two distinct commands within two minutes make a row; a third one, much later in the bin, makes the duration too long.
  await server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${INTENT}`, headers: bearer, payload: { enabled: true } })
  await server.arrive('12:30:00', command('/usr/bin/nsenter', '12:05:10.000'), command('/usr/bin/mount', '12:05:40.000'))
  await server.work('13:00:00')
  const ofIntent = async () => (await server.findings()).filter(({ detection: { id } }) => id === INTENT)
  t.match(await ofIntent(), [{ revision: 1, gone_at: null }])

  await server.arrive('13:10:00', command('/usr/bin/ls', '12:09:30.000'))
  await server.sweep('13:10:05')
  await server.work('13:11:05')

  t.match(await ofIntent(), [{ revision: 2, gone_at: '2026-03-10T13:11:05.000Z', status: 'new', change: { reason: 'late_events', row: 'gone' } }])
  const run = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${INTENT}/runs`, headers: bearer, payload: { scheduled_time: '2026-03-10T13:00:00Z' } })
  t.match(run.json(), { status: 'succeeded', row_count: 0 })
  t.match(await ofIntent(), [{ revision: 2 }], 'it is gone once')
})

t.test('events of a window that has lost events come too late, and the window stays as it was evaluated', async t => {
  const server = await openEvaluated(t, [toEnvelope(nsenter), toEnvelope(mount)])
  server.ledgerStore.addDropped({ name: '2026-03-10', reason: 'size', events: 2, earliestUs: at('11:05:10') * 1000, latestUs: at('11:05:51') * 1000, nowMs: at('12:10:00') })
  await server.arrive('12:20:00', command('/usr/bin/ps', '11:06:30.000'))

  t.match(await server.sweep('12:20:05'), { late: 0, tooLate: 1 })
  await server.work('12:40:00')

  t.equal(server.ran.length, 0)
  t.match(server.slot(), { state: 'done', too_late_events: 1, late_due_ms: null })
  const again = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/runs`, headers: bearer, payload: { scheduled_time: '2026-03-10T12:00:00Z' } })
  t.equal(again.statusCode, 409, 'nor by hand')
})

t.test('a window whose events are in a damaged partition stays as it was evaluated; one that is first evaluated without them is short, and no row of it is gone', async t => {
  const damaged: { from?: number } = {}
  const server = await openEvaluated(t, [toEnvelope(nsenter), toEnvelope(mount)], damaged)
  await server.work('13:00:00')
  const [before] = await server.findings() as [Finding]
  server.ran.length = 0
  damaged.from = at('11:00:00')
  await server.arrive('13:20:00', command('/usr/bin/ps', '11:06:30.000'), command('/usr/bin/ps', '13:06:30.000'))

  await server.sweep('13:20:05')
  await server.work('14:00:00')

  t.strictSame(server.ran.map(({ slot_ms: slotMs, gone, warnings }) => [slotMs, gone, warnings]), [[at('14:00:00'), 0, ['events of the window had been dropped or damaged before']]])
  t.match(server.slot('12:00:00'), { state: 'done', late_due_ms: null, short: 0, too_late_events: 1 })
  t.match(server.slot('14:00:00'), { state: 'done', short: 1 })
  t.strictSame((await server.findings()).find(({ id }) => id === before.id), before)
  const run = (time: string) => server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/runs`, headers: bearer, payload: { scheduled_time: `2026-03-10T${time}Z` } })
  t.equal((await run('12:00:00')).statusCode, 409)
  t.match((await run('14:00:00')).json(), { status: 'succeeded' }, 'it sees no less than before')
  const { gaps } = (await server.app.inject({ url: `/api/v1/detections/${LITERAL}/coverage?earliest=2026-03-10T11:00:00Z&latest=2026-03-10T14:00:00Z`, headers: bearer })).json()
  t.match(gaps.find(({ cause }: { cause: string }) => cause === 'data_dropped'), { cause: 'data_dropped' })
})

t.test('a week after its first evaluation a slot waits for no event, which is counted', async t => {
  const server = await openEvaluated(t, [])
  server.ledger.patch(LITERAL, { enabled: false })
  const laterMs = at('12:00:00') + 8 * 86_400_000
  await post(server, command('/usr/bin/ps', '11:16:30.000'))

  t.match(await server.sweep(new Date(laterMs).toISOString().slice(11, 19)), { late: 1 }, 'by the clock of the same day it is late')
  await post(server, command('/usr/bin/ps', '11:17:30.000'))
  const report = await server.sweepAt(laterMs)

  t.match(report, { late: 0 })
})

t.test('an event without a field that a detection groups by is counted', async t => {
  const server = await openEvaluated(t, [])
  await server.arrive('12:20:00', command('/usr/bin/ps', '12:16:30.000', { cluster_name: undefined }), command('/usr/bin/ps', '12:16:31.000'), command('/usr/bin/cat', '12:16:31.000', { cluster_name: undefined }))

  const { lacking } = await server.sweep('12:20:05')

  t.match(lacking.filter(({ events }) => events > 0), [{ detectionId: LITERAL, field: 'cluster_name', events: 1 }])
  t.match(server.ledgerStore.detectionCounts().filter(({ events }) => events > 0), [{ detection_id: LITERAL, name: 'lacking:cluster_name', events: 1 }])
})

/** A server that has run one search at 11:00 and 12:00 over windows that overlap; `between` are events that come at 11:20. */
async function openOverlapping (t: Test, search: string, window: { readonly earliest: string, readonly latest: string }, first: readonly string[], between: readonly string[] = []) {
  let nowMs = at('10:30:00')
  const id = 'overlapping'
  const text = JSON.stringify({ name: id, id: '00000000-0000-4000-8000-000000000000', version: 1, type: 'TTP', description: id, search, tags: {} })
  const files: LoadedDetection[] = [{ file: `${id}.yml`, id, ...readSecurityContent(id, text) }]
  const server = await testApp(t, { now: () => nowMs, files })
  const schedule = { cron: '0 * * * *', ...window }
  t.equal((await server.app.inject({ method: 'PATCH', url: `/api/v1/detections/${id}`, headers: bearer, payload: { enabled: true, schedule } })).statusCode, 200)
  server.ledger.complete(nowMs)
  const goTo = async (time: string) => {
    nowMs = at(time)
    while (await server.ledger.turn(nowMs) <= nowMs);
  }
  const send = async (...envelopes: readonly string[]) => t.equal((await post(server, envelopes.join(''))).statusCode, 200)
  const sweep = () => server.sweep(nowMs)
  const results = async () => {
    const { items } = (await server.app.inject({ url: '/api/v1/findings', headers: bearer })).json() as { items: Finding[] }
    return items.map(({ window: { latest }, revision, gone_at: goneAt, result }): unknown[] => [latest.slice(11, 16), revision, goneAt === null, (result as { n: number }).n]).sort()
  }
  await send(...first)
  await goTo('11:00:00')
  await goTo('11:20:00')
  if (between.length > 0) await send(...between)
  await goTo('12:00:00')
  return { goTo, send, sweep, results }
}

const EXEC = 'search sourcetype="cisco:isovalent:processExec"'

t.test('where each slot has findings of its own, each whose window holds a late event is evaluated again', async t => {
  for (const [what, search] of [
    ['without a time', `${EXEC} | stats count AS n BY pod_name`],
    ['without BY', `${EXEC} | stats count AS n`],
    ['grouped by a time that is shown no more', `${EXEC} | bin _time span=1h | stats count AS n BY pod_name _time | fields - _time`],
    ['with a time that it was not grouped by', `${EXEC} | stats count AS n max(_time) AS _time BY pod_name`],
  ] as const) {
    const server = await openOverlapping(t, search, { earliest: '-2h@h', latest: '@h' }, [toEnvelope({ ...nsenter, time: '2026-03-10T10:06:00Z' })])
    t.strictSame(await server.results(), [['11:00', 1, true, 1], ['12:00', 1, true, 1]], what)

    await server.goTo('12:20:00')
    await server.send(command('/usr/bin/ps', '10:06:30.000'))
    t.match(await server.sweep(), { late: 2 }, what)
    await server.goTo('12:40:00')

    t.strictSame(await server.results(), [['11:00', 2, true, 2], ['12:00', 2, true, 2]], what)
  }
})

t.test('where windows cut bins, each slot that has a half of one is evaluated again for an event in it, and of whole ones the newest', async t => {
  const server = await openOverlapping(t, `${EXEC} | bin _time span=30m | stats count AS n BY pod_name _time`, { earliest: '-100m', latest: '@h' }, [toEnvelope({ ...nsenter, time: '2026-03-10T10:25:00Z' }), toEnvelope({ ...nsenter, time: '2026-03-10T10:35:00Z' })])
  t.strictSame(await server.results(), [['11:00', 1, true, 1], ['11:00', 1, true, 1], ['12:00', 1, true, 1]], 'two bins, and of one of them a half')

  await server.goTo('12:20:00')
  await server.send(command('/usr/bin/ps', '10:36:30.000'))
  t.match(await server.sweep(), { late: 1 })
  await server.goTo('12:40:00')
  t.strictSame(await server.results(), [['11:00', 1, true, 1], ['12:00', 1, true, 1], ['12:00', 2, true, 2]], 'the newest speaks for both')

  await server.send(command('/usr/bin/ps', '10:26:30.000'))
  t.match(await server.sweep(), { late: 2 })
  await server.goTo('12:50:00')
  t.strictSame(await server.results(), [['11:00', 2, true, 2], ['12:00', 2, true, 2], ['12:00', 2, true, 2]], 'the half and the whole')
})

t.test('a finding is gone where a newer window holds all that its row hangs on and does not give it; where a row hangs on its window, it stays', async t => {
  const byBin = `${EXEC} | bin _time span=30m | stats dc(process_name) AS n BY pod_name _time`
  for (const [search, isThere] of [
    [`${byBin} | where n=1`, false],
    [`${byBin} | where n=1 AND _time < now()`, true],
    [`${byBin} | eventstats count AS rows | where n=1`, true],
    [`${byBin} | where n=1 | head 1`, true],
  ] as const) {
    const server = await openOverlapping(t, search, { earliest: '-2h@h', latest: '@h' }, [toEnvelope({ ...nsenter, time: '2026-03-10T10:06:00Z' })], [command('/usr/bin/ps', '10:07:00.000')])
    t.strictSame(await server.results(), [['11:00', isThere ? 1 : 2, isThere, 1]], search)
  }
})
