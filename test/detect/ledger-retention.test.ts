import { parse } from 'csv-parse/sync'
import type { Test } from 'tap'
import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { openRetentionStore } from '../../src/store/control/retention.js'
import type { TestApp } from '../fixtures/app.js'
import { bearer, post, tempDir, testApp } from '../fixtures/app.js'
import { shippedFiles } from '../fixtures/detections.js'
import { GOLDEN, LITERAL, toEnvelope } from '../fixtures/golden.js'
import { get } from '../fixtures/rules.js'

const DAY_MS = 86_400_000
const BEGIN = '2025-03-10T00:30:00Z'
const NOW_MS = Date.parse('2026-03-10T12:10:00Z')
const BEFORE_MS = NOW_MS - 90 * DAY_MS
/** From the first slot, of 01:00, to that of 12:00, a year and a day later. */
const SLOTS = 365 * 24 + 12
/** Those up to 2025-12-10T12:00Z. */
const OLD = 275 * 24 + 12
const FAILED_MS = Date.parse('2025-05-01T12:00:00Z')
const OWED_MS = Date.parse('2025-05-02T12:00:00Z')

type Golden = Parameters<typeof toEnvelope>[0]
const [nsenter, mount] = GOLDEN.find(({ id }) => id === 'G01')!.events as [Golden, Golden]

/** A server whose clock is set by hand, with one hourly detection. */
async function open (t: Test, dataDir: string, nowMs: number) {
  const clock = { nowMs }
  const server = await testApp(t, { dataDir, now: () => clock.nowMs, files: shippedFiles().filter(({ id }) => id === LITERAL) })
  server.control.pragma('synchronous = OFF')
  server.ledger.complete(nowMs)
  return { ...server, clock, retention: openRetentionStore(server.control) }
}

/** A year of hourly slots with a run each, done 15 s after their time but for one that has failed and one that is owed. */
async function openYear (t: Test) {
  const dataDir = tempDir(t)
  const server = await open(t, dataDir, Date.parse(BEGIN))
  server.clock.nowMs = NOW_MS
  server.ledger.complete(NOW_MS)
  server.control.prepare("UPDATE slot SET state = 'done', position = ?, row_count = 0, first_done_ms = slot_ms + 15000, done_ms = slot_ms + 15000 WHERE slot_ms NOT IN (?, ?)").run(server.events.position(), FAILED_MS, OWED_MS)
  server.control.prepare("UPDATE slot SET state = 'failed', tries = 1, error = 'no disk' WHERE slot_ms = ?").run(FAILED_MS)
  server.control.exec(`
    INSERT INTO run (id, detection_id, slot_ms, definition_hash, status, earliest_us, latest_us, started_ms, finished_ms, row_count, scanned_events, created, revised, unchanged)
    SELECT 'r' || slot_ms, detection_id, slot_ms, definition_hash, iif(state = 'failed', 'failed', 'succeeded'), earliest_us, latest_us, slot_ms, slot_ms + 15000, 0, 0, 0, 0, 0 FROM slot WHERE state <> 'owed'
  `)
  t.equal(countOf(server, 'slot'), SLOTS)
  return { ...server, dataDir }
}

const countOf = ({ control }: Pick<TestApp, 'control'>, table: string) => control.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number

/** Removes all that is old, in pieces; gives how many slots went. */
function removeOld ({ retention }: Awaited<ReturnType<typeof open>>, t: Test, beforeMs = BEFORE_MS): number {
  let total = 0
  for (let removed = 25; removed === 25; total += removed) {
    removed = retention.removeSlots(beforeMs, 25)
    if (removed > 25) t.fail('a piece is too large')
  }
  return total
}

interface CoverageView {
  readonly summary: string
  readonly kept_after: string | null
  readonly totals: { readonly slots: number, readonly evaluated: number, readonly states: Record<string, number> }
  readonly gaps: { readonly earliest: string, readonly latest: string, readonly cause: string }[]
}

async function coverageOf ({ app }: Pick<TestApp, 'app'>, earliest: string, latest: string): Promise<CoverageView> {
  return (await app.inject({ url: `/api/v1/detections/${LITERAL}/coverage?earliest=${earliest}&latest=${latest}&limit=1`, headers: bearer })).json()
}
const toLines = ({ gaps }: CoverageView) => gaps.map(({ earliest, latest, cause }) => `${earliest.slice(0, 16)} ${latest.slice(0, 16)} ${cause}`)

t.test('of a year of slots those of 90 days stay, and what is owed or failed; a restart owes nothing of the past, and coverage says what is not kept', async t => {
  const before = await openYear(t)

  t.equal(removeOld(before, t), OLD - 2)

  t.equal(countOf(before, 'slot'), SLOTS - OLD + 2)
  t.equal(countOf(before, 'run'), SLOTS - OLD + 1, 'runs go with their slots')
  t.match(before.ledgerStore.slot(LITERAL, FAILED_MS), { state: 'failed' })
  t.match(before.ledgerStore.slot(LITERAL, OWED_MS), { state: 'owed' })
  t.strictSame(before.control.pragma('foreign_key_check'), [])
  t.equal(removeOld(before, t), 0)
  const keptSlots = before.ledgerStore.list({ detectionId: LITERAL, fromMs: 0, toMs: Infinity }, 10_000)
  t.equal(keptSlots.filter(({ slot_ms: ms }) => ms !== FAILED_MS && ms !== OWED_MS)[0]!.slot_ms, Date.parse('2025-12-10T13:00:00Z'))
  await before.close()

  const after = await open(t, before.dataDir, NOW_MS)
  t.strictSame(after.ledgerStore.list({ detectionId: LITERAL, fromMs: 0, toMs: Infinity }, 10_000), keptSlots, 'a start brings nothing back')
  t.strictSame(after.ledgerStore.counts(), { owed: 1, failed: 1, late: 0, oldest_owed_ms: FAILED_MS })

  const whole = await coverageOf(after, '2025-03-09T00:00:00Z', '2026-03-10T12:10:00Z')
  t.strictSame(toLines(whole), [
    '2025-03-09T00:00 2025-03-09T23:50 before_first_enabled',
    '2025-03-09T23:50 2025-05-01T10:50 not_kept',
    '2025-05-01T10:50 2025-05-01T11:50 failed',
    '2025-05-01T11:50 2025-05-02T10:50 not_kept',
    '2025-05-02T10:50 2025-05-02T11:50 owed',
    '2025-05-02T11:50 2025-12-10T11:50 not_kept',
    '2026-03-10T11:50 2026-03-10T12:10 not_due_yet',
  ])
  t.match(whole, { kept_after: '2025-12-10T12:00:00.000Z', totals: { slots: SLOTS - OLD + 2, evaluated: SLOTS - OLD, states: { owed: 1, failed: 1, missing: 0 } } })
  t.match(whole.summary, /event time has 5 gaps, .*\(failed, owed, not kept\)/)
  t.strictSame(toLines(await coverageOf(after, '2025-12-10T11:50:00Z', '2026-03-10T11:50:00Z')), [], 'from there on all is known')
  t.strictSame(toLines(await coverageOf(after, '2025-07-01T00:00:00Z', '2025-07-02T00:00:00Z')), ['2025-07-01T00:00 2025-07-02T00:00 not_kept'])

  const csv = async (earliest: string, latest: string) => parse((await after.app.inject({ url: `/api/v1/detections/${LITERAL}/coverage?earliest=${earliest}&latest=${latest}&format=csv`, headers: bearer })).body, { columns: true }) as Record<string, string>[]
  t.match(await csv('2025-12-10T09:00:00Z', '2025-12-10T13:50:00Z'), [
    { detection_id: LITERAL, scheduled_time: '', state: 'not_kept', earliest: '2025-12-10T09:00:00.000Z', latest: '2025-12-10T11:50:00.000Z', evaluated: '' },
    { scheduled_time: '2025-12-10T13:00:00.000Z', state: 'done' },
    { scheduled_time: '2025-12-10T14:00:00.000Z', state: 'done' },
  ])
  t.equal((await csv('2025-12-10T11:50:00Z', '2025-12-10T13:50:00Z')).length, 2)
})

t.test('an event for a window whose slot went is counted as too late', async t => {
  const server = await openYear(t)
  removeOld(server, t)
  const late = (time: string) => toEnvelope({ ...mount, time })
  t.equal((await post(server, [late('2025-06-01T12:00:00Z'), late('2025-12-10T11:40:00Z'), late('2026-03-10T09:00:00Z')].join(''))).statusCode, 200)

  t.match(await server.sweep(NOW_MS), { late: 1, tooLate: 2 })

  t.match(server.ledgerStore.detectionCounts().filter(({ name }) => name === 'too_late'), [{ detection_id: LITERAL, events: 2 }])
  t.match(server.ledgerStore.slot(LITERAL, Date.parse('2026-03-10T10:00:00Z')), { late_events: 1 })
})

t.test('a backfill of a time whose slots went evaluates it anew, and its slots are as old as that; while it waits nothing of the detection goes', async t => {
  const server = await openYear(t)
  const ask = (earliest: string, latest: string) => server.app.inject({ method: 'POST', url: '/api/v1/backfills', headers: bearer, payload: { detection: LITERAL, earliest, latest } })
  const waiting = (await ask('2025-05-31T22:50:00Z', '2025-06-01T22:50:00Z')).json() as { id: string }
  t.equal(server.retention.removeSlots(BEFORE_MS, 25), 0)
  await server.app.inject({ method: 'POST', url: `/api/v1/backfills/${waiting.id}/cancel`, headers: bearer })
  t.equal(removeOld(server, t), OLD - 2)

  const { id } = (await ask('2025-05-31T22:50:00Z', '2025-06-01T22:50:00Z')).json() as { id: string }
  while (await server.ledger.turn(NOW_MS) <= NOW_MS);
  while (await server.backfills.turn(NOW_MS) <= NOW_MS);

  t.match(await get(server, `backfills/${id}`), { state: 'succeeded', progress: { done: 24, total: 24 }, lost_slots: 0 })
  t.match(server.ledgerStore.slot(LITERAL, Date.parse('2025-06-01T12:00:00Z')), { origin: 'backfill', state: 'done' })
  t.equal(removeOld(server, t), 0)
  t.strictSame(toLines(await coverageOf(server, '2025-05-31T00:00:00Z', '2025-06-02T00:00:00Z')), ['2025-05-31T00:00 2025-05-31T22:50 not_kept', '2025-06-01T22:50 2025-06-02T00:00 not_kept'])
  t.equal(removeOld(server, t, NOW_MS + 1), SLOTS - OLD + 24 + 2 - 1, 'in time they go too; the newest slot stays')
  t.strictSame(server.control.pragma('foreign_key_check'), [])
})

t.test('the newest slot stays, so that a detection that was off for years owes nothing of then', async t => {
  const server = await openYear(t)
  server.ledger.patch(LITERAL, { enabled: false })
  server.ledger.waive(LITERAL, { fromMs: 0, toMs: NOW_MS }, { by: 'ann', reason: 'too old' })
  server.clock.nowMs = NOW_MS + 800 * DAY_MS

  t.equal(removeOld(server, t, NOW_MS + 799 * DAY_MS), SLOTS - 1)
  server.ledger.patch(LITERAL, { enabled: true })
  server.ledger.complete(server.clock.nowMs + 3_600_000)

  t.equal(countOf(server, 'slot'), 2, 'the newest of then, and the one that has come due since')
  t.match(server.ledgerStore.counts(), { owed: 1 })
})

/** A server with a finding of the slot of 12:00, which went with its run and the next slot. */
async function openFound (t: Test) {
  const server = await open(t, tempDir(t), Date.parse('2026-03-10T11:20:00Z'))
  t.equal((await post(server, toEnvelope(nsenter) + toEnvelope(mount))).statusCode, 200)
  for (const time of ['12:00:00', '13:00:00', '14:00:00']) {
    server.clock.nowMs = Date.parse(`2026-03-10T${time}Z`)
    while (await server.ledger.turn(server.clock.nowMs) <= server.clock.nowMs);
  }
  const [finding] = (await get(server, 'findings')).items as [Finding]
  t.equal(countOf(server, 'run'), 3)

  server.clock.nowMs = Date.parse('2026-07-10T14:00:00Z')
  t.equal(removeOld(server, t, server.clock.nowMs - 90 * DAY_MS), 2)

  t.equal(countOf(server, 'run'), 1)
  return { ...server, finding }
}

t.test('a slot that went counts as one that was evaluated with all its events: where some are gone it is not evaluated again, and its findings stay', async t => {
  const server = await openFound(t)
  const times = { earliestUs: Date.parse('2026-03-10T11:00:00Z') * 1000, latestUs: Date.parse('2026-03-10T11:30:00Z') * 1000 }
  server.ledgerStore.addDropped({ name: 'p', reason: 'age', events: 2, ...times, nowMs: server.clock.nowMs - DAY_MS })

  const run = await server.app.inject({ method: 'POST', url: `/api/v1/detections/${LITERAL}/runs`, headers: bearer, payload: { scheduled_time: '2026-03-10T12:00:00Z' } })
  t.equal(run.statusCode, 409)
  for (const isDryRun of [true, false]) {
    const { id } = (await server.app.inject({ method: 'POST', url: '/api/v1/backfills', headers: bearer, payload: { detection: LITERAL, earliest: '2026-03-10T10:50:00Z', latest: '2026-03-10T12:50:00Z', dry_run: isDryRun } })).json() as { id: string }
    server.ledgerStore.waive(LITERAL, { fromMs: 0, toMs: Infinity }, { by: 'ann', reason: 'not of this test', nowMs: server.clock.nowMs })
    while (await server.backfills.turn(server.clock.nowMs) <= server.clock.nowMs);
    t.match(await get(server, `backfills/${id}`), { state: 'succeeded', progress: { done: 2 }, lost_slots: 1 })
  }

  t.strictSame((await get(server, 'findings')).items, [server.finding])
  t.equal(server.ledgerStore.slot(LITERAL, Date.parse('2026-03-10T12:00:00Z')), undefined)
})

t.test('a finding whose run went still names it, and another run of its window confirms it', async t => {
  const { finding, ...server } = await openFound(t)

  t.strictSame((await get(server, 'findings')).items, [finding], 'all of it is as it was, the name of its run too')
  t.strictSame((await get(server, `findings/${finding.id}/revisions`)).items.length, 1)
  await server.ledger.run(LITERAL, Date.parse('2026-03-10T12:00:00Z'))
  t.match(await get(server, 'findings'), { items: [{ id: finding.id, revision: 1 }] })
  t.strictSame(server.control.pragma('foreign_key_check'), [])
})

t.test('what is old is found by its age, and the runs of a slot by it', async t => {
  const server = await open(t, tempDir(t), NOW_MS)
  const planOf = (sql: string) => (server.control.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]).map(({ detail }) => detail).join('; ')

  t.match(planOf("SELECT 1 FROM slot WHERE state IN ('done', 'waived') AND max(slot_ms, coalesce(done_ms, 0), coalesce(waived_ms, 0)) < 1 ORDER BY max(slot_ms, coalesce(done_ms, 0), coalesce(waived_ms, 0)) LIMIT 1"), /^SEARCH slot USING .*slot_age_idx/)
  t.match(planOf("DELETE FROM run WHERE detection_id = '' AND slot_ms = 1"), /run_detection_id_slot_ms_idx/)
})
