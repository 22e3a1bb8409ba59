import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Test } from 'tap'
import type { Finding } from '../../src/finding.js'
import { Disposition, FindingStatus, Severity, severityOf } from '../../src/finding.js'
import type { FindingFilter } from '../../src/store/control/finding-lists.js'
import { meets as meetsFilter } from '../../src/store/control/finding-lists.js'
import { openFindingStore } from '../../src/store/control/findings.js'
import { openControlDatabase } from '../../src/store/control/open.js'
import { openWorkflowStore } from '../../src/store/control/workflow.js'
import type { Position } from '../../src/store/events.js'
import { tempDir } from '../fixtures/app.js'

interface Given {
  readonly second: number
  readonly detection: string
  readonly score: number
  readonly objects: readonly string[]
  readonly techniques: readonly string[]
  readonly workflow: Pick<Finding, 'status' | 'disposition' | 'owner'>
  readonly hiddenBy: 'throttled' | 's1' | 's2' | null
}

const DETECTIONS = ['d1', 'd2', 'd3']
const OWNERS = ['alice', 'bob']
const OBJECTS = ['a', 'b', 'É']
const TECHNIQUES = ['T1', 'T1.001', 'T2']
const position = '1' as Position

const given: fc.Arbitrary<Given> = fc.record({
  second: fc.nat(5),
  detection: fc.constantFrom(...DETECTIONS),
  score: fc.nat(100),
  objects: fc.uniqueArray(fc.constantFrom(...OBJECTS)),
  techniques: fc.uniqueArray(fc.constantFrom(...TECHNIQUES)),
  workflow: fc.record({ status: fc.constantFrom(...FindingStatus.options), disposition: fc.constantFrom(...Disposition.options, null), owner: fc.constantFrom(...OWNERS, null) }),
  hiddenBy: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom('throttled' as const, 's1' as const, 's2' as const) }),
})

const some = (...values: readonly string[]) => fc.option(fc.array(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 })
const maybe = <T>(...values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined, freq: 2 })

const asked: fc.Arbitrary<FindingFilter> = fc.record({
  window: fc.tuple(fc.nat(6), fc.nat(6)).map(([a, b]) => ({ earliestUs: Math.min(a, b) * 1e6, latestUs: Math.max(a, b) * 1e6 + 1 })),
  status: some(...FindingStatus.options),
  disposition: some(...Disposition.options, 'none'),
  owner: some(...OWNERS, 'none'),
  severity: some(...Severity.options),
  detection: some(...DETECTIONS, 'd4'),
  technique: maybe(...TECHNIQUES),
  risk_object: maybe(...OBJECTS),
  min_score: maybe(0, 20, 21, 80, 81, 100),
  throttled: maybe('include' as const, 'only' as const),
  suppressed: maybe('include' as const, 'only' as const),
  suppressed_by: maybe('s1', 's2'),
}).filter(({ throttled, suppressed, suppressed_by: by }) => throttled !== 'only' || (suppressed !== 'only' && by === undefined))

function open (t: Test) {
  const db = openControlDatabase(tempDir(t))
  db.pragma('synchronous = OFF')
  t.teardown(() => db.close())
  let hiddenBy: string | null = null
  const findings = openFindingStore(db, [], () => hiddenBy)
  const workflow = openWorkflowStore(db, findings)
  const throttle = db.prepare("UPDATE finding SET throttled_by = 'another' WHERE id = ?")
  const throttleFacets = db.prepare("UPDATE finding_facet SET visibility = 'throttled' WHERE finding_id = ?")
  const empty = db.transaction(() => {
    for (const table of ['finding_risk_object', 'finding_history', 'finding_facet', 'finding_revision', 'finding']) db.exec(`DELETE FROM ${table}`)
  })

  const put = db.transaction((all: readonly Given[]): void => {
    all.forEach(({ second, detection, score, objects, techniques, workflow: said, hiddenBy: by }, i) => {
      const id = `f${i}`
      hiddenBy = by === 'throttled' ? null : by
      findings.putOwn([{
        id,
        body: {
          detection: { id: detection, name: detection, version: 1 }, time: second, result: {}, severity: severityOf(score), mitre_attack: [...techniques], window: { earliest: '', latest: '' },
          risk: { score, message: null, objects: objects.map(value => ({ field: 'x', type: 'system', value, score })), threat_objects: [] },
        },
      }], position, 0)
      workflow.change(id, said, { by: 'me', atMs: 0 }, () => true)
      if (by !== 'throttled') return
      throttle.run(id)
      throttleFacets.run(id)
    })
  })
  return { findings, workflow, put, empty }
}

/** What a filter means, said plainly. */
function meets ({ second, detection, score, objects, techniques, workflow: { status, disposition, owner }, hiddenBy }: Given, filter: FindingFilter): boolean {
  const isOneOf = (values: readonly string[] | undefined, value: string | null) => values === undefined || values.includes(value ?? 'none')
  const isSuppressed = hiddenBy === 's1' || hiddenBy === 's2'
  const isAsked = filter.suppressed_by !== undefined
    ? hiddenBy === filter.suppressed_by
    : filter.suppressed === 'only'
      ? isSuppressed
      : filter.throttled === 'only'
        ? hiddenBy === 'throttled'
        : hiddenBy === null || (hiddenBy === 'throttled' ? filter.throttled === 'include' : filter.suppressed === 'include')
  return isAsked && second * 1e6 >= filter.window.earliestUs && second * 1e6 < filter.window.latestUs &&
    isOneOf(filter.status, status) && isOneOf(filter.disposition, disposition) && isOneOf(filter.owner, owner) && isOneOf(filter.severity, severityOf(score)) && isOneOf(filter.detection, detection) &&
    score >= (filter.min_score ?? 0) && (filter.risk_object === undefined || objects.includes(filter.risk_object)) &&
    (filter.technique === undefined || techniques.some(name => name === filter.technique || name.startsWith(`${filter.technique}.`)))
}

t.test('a list has what its filter means, each finding once, in either order, in pages of any size; the count is theirs', async t => {
  const { findings, put, empty } = open(t)
  await fc.assert(fc.asyncProperty(fc.array(given, { maxLength: 30 }), fc.array(asked, { minLength: 5, maxLength: 5 }), fc.integer({ min: 1, max: 7 }), async (all, filters, limit) => {
    empty()
    put(all)
    for (const filter of filters) {
      const wanted = all.flatMap((one, i) => meets(one, filter) ? { second: one.second, id: `f${i}` } : [])
        .sort((a, b) => a.second - b.second || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
      for (const order of ['time', '-time'] as const) {
        const listed: string[] = []
        let page = await findings.list(filter, order, limit)
        while (page.length > 0) {
          listed.push(...page.map(({ id }) => id))
          const last = page.at(-1)!
          page = await findings.list(filter, order, limit, { timeUs: last.time * 1e6, id: last.id })
        }
        t.strictSame(listed, order === 'time' ? wanted : [...wanted].reverse(), JSON.stringify(filter))
      }
      t.strictSame(findings.after('', 100).filter(one => meetsFilter(one, filter)).map(({ id }) => id).sort(), [...wanted].sort(), `one by one: ${JSON.stringify(filter)}`)
      t.equal(await findings.count(filter), wanted.length, JSON.stringify(filter))
    }
  }), { numRuns: 60 })
})

t.test('what lies far behind others is found, and others get their turn meanwhile', async t => {
  const { findings, put } = open(t)
  const workflow = { status: 'closed' as const, disposition: null, owner: null }
  const one: Given = { second: 5, detection: 'd1', score: 50, objects: ['a'], techniques: ['T1'], workflow, hiddenBy: null }
  put([
    ...Array.from({ length: 12_000 }, (_, i): Given => ({ ...one, workflow: i % 2 === 0 ? workflow : { ...workflow, status: 'new', disposition: 'benign' } })),
    { ...one, second: 0, workflow: { ...workflow, disposition: 'benign' } },
    { ...one, second: 0, workflow: { ...workflow, disposition: 'benign' } },
  ])
  const window = { earliestUs: 0, latestUs: 1e7 }
  let turns = 0
  const count = (): void => {
    turns++
    immediate = setImmediate(count)
  }
  let immediate = setImmediate(count)

  for (const filter of [{ status: ['closed'], disposition: ['benign'] }, { status: ['closed'], disposition: ['benign'], risk_object: 'a' }, { status: ['closed'], disposition: ['benign'], technique: 'T1' }]) {
    const before = turns
    t.strictSame((await findings.list({ window, ...filter }, '-time', 10)).map(({ id }) => id), ['f12001', 'f12000'])
    t.ok(turns > before, 'it let others go before')
    t.strictSame((await findings.list({ window, ...filter }, '-time', 1)).map(({ id }) => id), ['f12001'])
    t.equal(await findings.count({ window, ...filter }), 2)
  }
  clearImmediate(immediate)
  t.equal(await findings.count({ window }), 12_002)
})
