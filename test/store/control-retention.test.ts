import t from 'tap'
import type { Finding } from '../../src/finding.js'
import { openRetentionStore } from '../../src/store/control/retention.js'
import type { TestApp } from '../fixtures/app.js'
import { notifyOf, openReceiver } from '../fixtures/receiver.js'
import { happen, NOW, serverOf } from '../fixtures/risk.js'
import { get } from '../fixtures/rules.js'
import { analyst } from '../fixtures/workflow.js'

const NOW_MS = Date.parse(NOW)
const HOUR_MS = 3_600_000
const OFF = { at_least: 0, in: HOUR_MS }

/** A server with two findings of one object, the finding of the risk rule that they make, and one of another object; all were worked on and told. */
async function busyServer (t: Parameters<typeof happen>[0]) {
  const { url } = await openReceiver(t)
  const server = await serverOf(t, { escape: { score: 70 }, shell: { score: 40 } }, {
    riskRuleConfig: { score: { over: 100, in: HOUR_MS }, tactics: OFF, detections: OFF }, notify: notifyOf(t, [{ name: 'soc', type: 'webhook', url, max_per_minute: 60_000 }]),
  })
  await happen(t, server, { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1' }, { rule: 'shell', pod: 'web-2' })
  await server.riskRules.evaluate(NOW_MS)
  const all = await findingsOf(server)
  for (const { id } of all) await server.app.inject({ method: 'POST', url: `/api/v1/findings/${id}/comments`, headers: analyst, payload: { comment: 'seen' } })
  return { server, all, retention: openRetentionStore(server.control) }
}

const findingsOf = async (server: TestApp) => (await get(server, 'findings?limit=1000')).items as Finding[]

/** Rows of each table that names findings, by the finding. */
function rowsOf ({ control }: TestApp, id: string): Record<string, number> {
  const tables = control.prepare("SELECT m.name AS name, c.name AS col FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND c.name IN ('finding_id', 'evidence_id')").all() as { name: string, col: string }[]
  const counts = tables.map(({ name, col }) => [`${name}.${col}`, control.prepare(`SELECT count(*) FROM "${name}" WHERE ${col} = ?`).pluck().get(id) as number])
  return Object.fromEntries(counts.filter(([, count]) => count !== 0)) as Record<string, number>
}

t.test('a finding of which nothing was written for long goes with all its rows, and the others keep theirs', async t => {
  const { server, all, retention } = await busyServer(t)
  const old = all.find(({ risk }) => risk.objects.some(({ value }) => value === 'web-2'))!
  const before = Object.fromEntries(all.map(({ id }) => [id, rowsOf(server, id)]))
  t.ok(Object.keys(before[old.id]!).length >= 6, JSON.stringify(before[old.id]))
  server.control.prepare('UPDATE finding SET updated_ms = updated_ms + 1000 WHERE id <> ?').run(old.id)

  t.equal(retention.removeFindings(NOW_MS, 100), 0)
  t.equal(retention.removeFindings(NOW_MS + 1, 100), 1)

  t.strictSame((await findingsOf(server)).map(({ id }) => id), all.map(({ id }) => id).filter(id => id !== old.id))
  t.strictSame(rowsOf(server, old.id), {})
  for (const { id } of all) if (id !== old.id) t.strictSame(rowsOf(server, id), before[id])
  t.strictSame(server.control.pragma('foreign_key_check'), [])
})

t.test('what a finding of a risk rule is made of does not go before that does', async t => {
  const { server, all, retention } = await busyServer(t)
  const rule = all.find(({ detection }) => detection.id === 'hecate___risk_score')!
  server.control.prepare('UPDATE finding SET updated_ms = updated_ms + 1000 WHERE id = ?').run(rule.id)

  t.equal(retention.removeFindings(NOW_MS + 1, 100), 1)
  t.equal((await get(server, `findings/${rule.id}/findings`)).items.length, 2)
  let removed = 0
  for (let piece = 1; piece > 0; removed += piece) piece = retention.removeFindings(NOW_MS + 1001, 1)
  t.equal(removed, 3, 'piece by piece')
  t.strictSame(await findingsOf(server), [])
  t.strictSame(server.control.pragma('foreign_key_check'), [])
  for (const table of ['finding_revision', 'finding_history', 'finding_facet', 'finding_risk_object', 'finding_evidence', 'risk_posting', 'risk_episode', 'finding_evidence_finding', 'notice', 'delivery']) {
    t.equal(server.control.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0, table)
  }
})

t.test('old entries of the audit log go', async t => {
  const { server, retention } = await busyServer(t)
  const count = () => server.control.prepare('SELECT count(*) FROM audit').pluck().get() as number
  const all = count()
  server.control.exec('UPDATE audit SET at_ms = at_ms - 1000 WHERE number <= 2')

  t.equal(retention.removeAudit(NOW_MS, 1), 1)
  t.equal(retention.removeAudit(NOW_MS, 100), 1)
  t.equal(retention.removeAudit(NOW_MS, 100), 0)
  t.equal(count(), all - 2)
})

t.test('what is removed is found by indexes', async t => {
  const { server } = await busyServer(t)
  for (const [table, where, index] of [
    ['risk_posting', "finding_id IN (SELECT value FROM json_each('[]'))", 'risk_posting_finding_id_all_idx'],
    ['finding_facet', "finding_id IN (SELECT value FROM json_each('[]'))", 'finding_facet_finding_id_idx'],
    ['finding_evidence_finding', 'evidence_id = 1', 'finding_evidence_finding_evidence_id_idx'],
    ['finding', 'updated_ms < 1 ORDER BY updated_ms LIMIT 1', 'finding_updated_ms_idx'],
    ['notice', "finding_id IN (SELECT value FROM json_each('[]'))", 'notice_finding_id_idx'],
  ] as const) {
    const plan = server.control.prepare(`EXPLAIN QUERY PLAN SELECT * FROM ${table} WHERE ${where}`).all() as { detail: string }[]
    t.ok(plan.some(({ detail }) => detail.includes(index)), `${table}: ${plan.map(({ detail }) => detail).join('; ')}`)
  }
})
