import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Test } from 'tap'
import type { RiskRuleConfig } from '../../src/detect/risk-rules.js'
import type { RulePosting } from '../../src/detect/sliding-risk.js'
import { openSlidingRisk } from '../../src/detect/sliding-risk.js'
import type { Finding } from '../../src/finding.js'
import type { TestApp, TestAppOptions } from '../fixtures/app.js'
import { bearer, tempDir, VIEWER_KEY } from '../fixtures/app.js'
import type { Happening, Rule } from '../fixtures/risk.js'
import { addLike, explain, happen, NOW, serverOf } from '../fixtures/risk.js'
import { get } from '../fixtures/rules.js'

const HOUR_MS = 3_600_000
const OFF = { at_least: 0, in: HOUR_MS }
const SCORE: RiskRuleConfig = { score: { over: 100, in: HOUR_MS }, tactics: OFF, detections: OFF }

const RULES: Readonly<Record<string, Rule>> = {
  escape: { score: 70 },
  shell: { score: 40, techniques: ['T1059.004'] },
  token: { score: 20, techniques: ['T1528', 'T9999'] },
}

function rulesOf (t: Test, riskRuleConfig: RiskRuleConfig = SCORE, options: TestAppOptions = {}) {
  return serverOf(t, RULES, { riskRuleConfig, ...options })
}

const evaluate = (server: TestApp) => server.riskRules.evaluate(Date.parse(NOW))
const at = (time: string) => `2026-03-10T${time}:00Z`

/** What happens, and what the rules then say. */
async function given (t: Test, server: TestApp, ...happenings: readonly Happening[]): Promise<Finding[]> {
  await happen(t, server, ...happenings)
  await evaluate(server)
  return said(server)
}

async function said (server: TestApp, rule = 'score'): Promise<Finding[]> {
  return (await get(server, `findings?detection=hecate___risk_${rule}`)).items
}

t.test('an object whose score passes the bound within the span is a finding, of the findings that make it up', async t => {
  const server = await rulesOf(t)
  t.strictSame(await given(t, server, { rule: 'escape', pod: 'web-1', at: at('10:00') }, { rule: 'shell', pod: 'web-1', at: at('11:00') }, { rule: 'escape', pod: 'web-2', at: at('10:10') }), [], 'the span is over at 11:00')

  const [finding, ...others] = await given(t, server, { rule: 'shell', pod: 'web-1', at: at('10:59') })

  t.strictSame(others, [])
  t.match(finding, {
    detection: { id: 'hecate___risk_score', name: 'Hecate - Risk score' },
    time: Date.parse(at('10:59')) / 1000,
    result: { risk_object_type: 'system', risk_object: 'web-1', risk_key: 'web-1', value: 110, bound: 'above 100', risk_score: 110, detections: ['escape', 'shell'], tactics: ['execution', 'privilege-escalation'], findings: 2 },
    risk: { score: 100, message: 'risk score 110 of system web-1 in 1.0 h, above 100: 2 detections, tactics execution, privilege-escalation', objects: [{ type: 'system', value: 'web-1', score: 100 }] },
    severity: 'critical', mitre_attack: ['T1059.004', 'T1611'], status: 'new', revision: 1, window: { earliest: '2026-03-10T09:59:00.000Z', latest: '2026-03-10T10:59:00.000Z' },
  })
  const { items, total } = await get(server, `findings/${finding!.id}/findings?count=exact`)
  t.equal(total, 2)
  t.match(items, [{ detection: 'shell', time: Date.parse(at('10:59')) / 1000, score: 40, status: 'new', revision: 1 }, { detection: 'escape', score: 70 }])
  t.strictSame((await get(server, 'findings?risk_object=web-1')).items.map((one: Finding) => one.detection.id).sort(), ['escape', 'hecate___risk_score', 'shell', 'shell'])
})

t.test('a finding of a risk rule adds to no risk', async t => {
  const server = await rulesOf(t)
  await given(t, server, { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1' })

  await evaluate(server)

  t.match(await explain(server, 'web-1'), { risk_object: { score: 110, findings: 2 } })
  t.equal((await said(server)).length, 1)
})

t.test('only new evidence makes a revision: the same again does not, nor does a score that falls', async t => {
  const found: string[] = []
  const server = await rulesOf(t, SCORE, { riskFound: (rule, change) => { found.push(`${rule} ${change}`) } })
  const [first] = await given(t, server, { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1' })
  const [shell] = (await get(server, 'findings?detection=shell')).items as Finding[]
  const write = async (change: Partial<Finding>) => {
    server.riskStore.written({ ...shell!, ...change }, { what: 'revised', nowMs: Date.parse(NOW) })
    await evaluate(server)
  }

  await write({ status: 'closed', disposition: 'false_positive' })
  await write({ status: 'new', disposition: null })
  await write({ revision: 2 })
  t.match(await said(server), [{ id: first!.id, revision: 1 }])
  const [second] = await given(t, server, { rule: 'token', pod: 'web-1', at: at('11:30') })

  t.match(second, { id: first!.id, revision: 2, time: first!.time, result: { risk_score: 130, findings: 3, tactics: ['credential-access', 'execution', 'privilege-escalation'] }, mitre_attack: ['T1059.004', 'T1528', 'T1611', 'T9999'] })
  t.match(second!.change, { reason: 'evidence', row: 'changed', text: /value 110 → 130/ })
  t.strictSame(found, ['score created', 'score revised'])
  t.strictSame((await get(server, `findings/${first!.id}/findings`)).items.map((one: { revision: number }) => one.revision), [2, 1, 1])
})

t.test('what goes on for longer than the span is another finding, and what comes late for one is its evidence', async t => {
  const server = await rulesOf(t)
  await given(t, server, { rule: 'escape', pod: 'web-1', at: at('08:00') }, { rule: 'shell', pod: 'web-1', at: at('08:30') })
  await given(t, server, { rule: 'escape', pod: 'web-1', at: at('09:29') }, { rule: 'escape', pod: 'web-1', at: at('09:30') })
  const tell = (all: readonly Finding[]) => all.map(({ time, revision, result }) => `${new Date(time * 1000).toISOString().slice(11, 16)} revision ${revision}: ${(result as { findings: number }).findings}`)
  t.strictSame(tell(await said(server)), ['09:30 revision 1: 2', '08:30 revision 2: 3'])

  t.strictSame(tell(await given(t, server, { rule: 'shell', pod: 'web-1', at: at('08:10') })), ['09:30 revision 1: 2', '08:30 revision 3: 4'])
})

t.test('the cap of a detection holds in the rules too', async t => {
  const server = await rulesOf(t, { ...SCORE, score: { over: 110, in: HOUR_MS } }, { riskCap: 2 })
  const shells = [0, 1, 2, 3, 4].map(minute => ({ rule: 'shell', pod: 'web-1', at: at(`10:0${minute}`) }))

  t.strictSame(await given(t, server, ...shells), [])
  t.match(await given(t, server, { rule: 'escape', pod: 'web-1', at: at('10:30') }), [{ result: { risk_score: 150, findings: 6 } }])
})

t.test('tactics and detections of one object are counted, unknown techniques as none', async t => {
  const week = 7 * 24 * HOUR_MS
  const server = await rulesOf(t, { score: { over: 0, in: HOUR_MS }, tactics: { at_least: 3, in: week }, detections: { at_least: 3, in: HOUR_MS } })
  await given(t, server, { rule: 'token', pod: 'web-1', at: '2026-03-04T12:00:00Z' }, { rule: 'escape', pod: 'web-1', at: '2026-03-08T12:00:00Z' })
  t.strictSame(await said(server, 'tactics'), [])

  await given(t, server, { rule: 'shell', pod: 'web-1' })

  t.match(await said(server, 'tactics'), [{ result: { value: 3, bound: 'at least 3', risk_score: 130, tactics: ['credential-access', 'execution', 'privilege-escalation'], findings: 3 }, risk: { message: /^3 ATT&CK tactics of system web-1 in 7.0 d, at least 3/ } }])
  t.strictSame(await said(server, 'detections'), [], 'not within an hour')
  await given(t, server, { rule: 'token', pod: 'web-1' }, { rule: 'escape', pod: 'web-1' })
  t.match(await said(server, 'detections'), [{ result: { value: 3 } }])
  t.strictSame(await said(server), [], 'a bound of 0 turns a rule off')
})

t.test('what was posted before the process ended is looked at by the next, once', async t => {
  const dataDir = tempDir(t)
  const before = await rulesOf(t, SCORE, { dataDir })
  await happen(t, before, { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1' })
  before.stop.abort()
  await evaluate(before)
  t.strictSame(await said(before), [], 'it was ending')
  await before.close()
  const server = await rulesOf(t, SCORE, { dataDir })

  await evaluate(server)
  await evaluate(server)

  t.match(await said(server), [{ revision: 1 }])
})

t.test('a finding of a risk rule has at most 1000 findings, and says that it is full', async t => {
  const server = await rulesOf(t)
  await given(t, server, { rule: 'shell', pod: 'web-1', at: at('11:00') }, { rule: 'escape', pod: 'web-1', at: at('11:01') })
  const [shell] = (await get(server, 'findings?detection=shell')).items as Finding[]
  addLike(server, shell!, 1_100, i => ({ time: Date.parse(at('11:02')) / 1000 + i }))
  await evaluate(server)

  const [full] = await said(server)
  t.match(full, { revision: 2, result: { findings: 1_000, findings_full: true } })
  t.match(await given(t, server, { rule: 'token', pod: 'web-1', at: at('11:50') }), [{ revision: 2 }])
  t.equal((await get(server, `findings/${full!.id}/findings?limit=1&count=exact`)).total, 1_000)
})

t.test('evidence of a finding has pages, is asked for by any role, and bad questions are 400', async t => {
  const server = await rulesOf(t)
  const [finding] = await given(t, server, { rule: 'escape', pod: 'web-1' }, { rule: 'shell', pod: 'web-1' }, { rule: 'token', pod: 'web-1' })
  const url = `/api/v1/findings/${finding!.id}/findings`
  const status = async (query: string, headers: Record<string, string> = bearer) => (await server.app.inject({ url: `${url}${query}`, headers })).statusCode

  const first = await get(server, `findings/${finding!.id}/findings?limit=2`)
  const second = await get(server, `findings/${finding!.id}/findings?limit=2&cursor=${first.next_cursor}`)
  t.strictSame([...first.items, ...second.items].map(({ detection }) => detection).sort(), ['escape', 'shell', 'token'])
  t.equal(second.next_cursor, null)
  t.equal(await status('', { authorization: `Bearer ${VIEWER_KEY}` }), 200)
  t.equal(await status('', {}), 401)
  for (const query of ['?limit=0', '?cursor=a', '?earliest=0']) t.equal(await status(query), 400, query)
  t.equal((await server.app.inject({ url: '/api/v1/findings/none/findings', headers: bearer })).statusCode, 404)
  const [shell] = (await get(server, 'findings?detection=shell')).items
  t.strictSame((await get(server, `findings/${shell.id}/findings`)).items, [])
})

const DETECTIONS = [['a', ['execution']], ['b', ['execution', 'impact']], ['c', []]] as const

t.test('a window that slides has the risk of what is in it', async t => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 100 }), fc.constantFrom(...DETECTIONS)), { maxLength: 60 }), fc.integer({ min: 1, max: 30 }), fc.constantFrom(1, 2.5, 3), (given, span, cap) => {
    let timeUs = 0
    const postings = given.map(([gap, score, [detection, tactics]], id): RulePosting => {
      timeUs += gap
      return { id, timeUs, score, detection, techniques: [], tactics }
    })
    const sliding = openSlidingRisk(cap)
    let first = 0
    for (const [last, posting] of postings.entries()) {
      sliding.add(posting)
      for (; postings[first]!.timeUs <= posting.timeUs - span; first++) sliding.remove(postings[first]!)
      const inside = postings.slice(first, last + 1)
      const ofEach = DETECTIONS.map(([name]) => inside.filter(({ detection }) => detection === name).map(({ score }) => score)).filter(scores => scores.length > 0)
      const score = ofEach.reduce((sum, scores) => sum + Math.min(scores.reduce((a, b) => a + b), cap * Math.max(...scores)), 0)
      if (Math.abs(sliding.score() - score) > 0.005 || sliding.detections() !== ofEach.length || sliding.tactics() !== new Set(inside.flatMap(one => one.tactics)).size) return false
    }
    return true
  }), { seed: 1 })
  t.pass()
})
