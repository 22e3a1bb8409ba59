import t from 'tap'
import type { Override } from '../../src/config.js'
import { activate, noSetting } from '../../src/detect/active.js'
import { toMacros } from '../../src/detect/macros.js'
import { toKnowledge } from '../../src/detect/search.js'
import { BUILT_IN_TABLES } from '../../src/fields/field-tables.js'
import { openSlotSamples } from '../../src/detect/warnings.js'
import { detectionsOf, GENERATIONS } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025]
const BINNED = 'sourcetype=st | bin _time span=5m | stats min(_time) AS first max(_time) AS last values(tool) AS tool values(user) AS user BY pod _time'

/** A search, a schedule, and the warnings that there are. */
const CASES: readonly { what: string, search?: string, message?: string, schedule?: Override, timeZone?: string, warnings: readonly RegExp[] }[] = [
  { what: 'windows that tile', warnings: [] },
  { what: 'bins in windows that tile', search: BINNED, warnings: [] },

  { what: 'a field of the message that rows have not', message: '$user$ and $host$ in $pod$, twice $host$', warnings: [/^the message has \$host\$, but rows/] },
  { what: 'fields that table takes away', search: 'sourcetype=st | stats count BY pod user tool | table pod', warnings: [/^the message has \$user\$/, /^the message has \$tool\$/, /^the risk object user is no field/, /^the threat object tool is no field/] },
  { what: 'rows that are events: nobody knows their fields', search: 'sourcetype=st', message: '$anything$', warnings: [] },

  { what: 'windows with a gap', schedule: { latest: '-20m@m' }, warnings: [/^between the windows of the slots 2026-01-01T01:00:00Z and 2026-01-01T02:00:00Z are 10m that no run looks at$/] },
  { what: 'windows that overlap', schedule: { earliest: '-24h@h', latest: '@h' }, warnings: [/overlap by 23h, which both runs look at$/] },
  { what: 'a gap at night', schedule: { cron: '0 8-18 * * *' }, warnings: [/^between the windows of the slots 2026-01-01T18:00:00Z and 2026-01-02T08:00:00Z are 13h that/] },
  { what: 'days that tile', schedule: { cron: '0 1 * * *', earliest: '-1d@d', latest: '@d' }, timeZone: 'Europe/Berlin', warnings: [] },
  { what: 'days of 24 hours where one has 23', schedule: { cron: '0 1 * * *', earliest: '-24h', latest: 'now' }, timeZone: 'Europe/Berlin', warnings: [/2026-03-29.* overlap by 1h/] },
  { what: 'weeks that tile', schedule: { cron: '0 0 * * 1', earliest: '-1w@w1', latest: '@w1' }, warnings: [] },

  { what: 'a bin that the window cuts', search: BINNED, schedule: { cron: '17 * * * *' }, warnings: [/^the window of the slot 2026-01-01T00:17:00Z cuts a bin of 5m in two, at 2025-12-31T23:07:00Z/] },
  { what: 'a bin larger than the window', search: BINNED.replace('5m', '2h'), warnings: [/cuts a bin of 2h in two/] },
  { what: 'no bin', schedule: { cron: '17 * * * *' }, warnings: [] },

  { what: 'a duration within a bin', search: `${BINNED} | eval d=round(last - first, 0)`, warnings: [/^search: last - first is always 0/] },
  { what: 'a duration in where', search: `${BINNED} | where pod="x" AND last-first < 60`, warnings: [/^search: last - first is always 0/] },
  { what: 'a duration to the bin itself', search: `${BINNED} | eval d=last-_time`, warnings: [/^search: last - _time is always 0/] },
  { what: 'a duration of renamed times', search: `${BINNED} | rename last AS to | eval d=to-first`, warnings: [/^search: to - first is always 0/] },
  { what: 'a duration of times taken before', search: BINNED.replace('| bin', '| eval t=_time | bin').replaceAll('(_time)', '(t)') + ' | eval d=last-first', warnings: [] },
  { what: 'a bin of another name', search: BINNED.replace('span=5m', 'span=5m AS t').replace('pod _time', 'pod t') + ' | eval d=last-first', warnings: [] },
  { what: 'a duration over bins', search: BINNED.replace('BY pod _time', 'BY pod') + ' | eval d=last-first', warnings: [] },
  { what: 'a time that was replaced', search: `${BINNED} | eval last=5 | eval d=last-first`, warnings: [] },

  { what: 'a full stop for a comma', search: 'sourcetype=st tool IN ("a". "b") | stats count BY pod user tool', warnings: [/^search: 1:27: A full stop/] },
]
for (const { what, search, message, schedule = {}, timeZone = 'UTC', warnings } of CASES) {
  t.test(`warnings: ${what}`, async t => {
    const text = RULE.replace(/search: (.*)\n/, (_, written: string) => `search: |-\n  ${search ?? written}\n`).replace(/message: .*/, line => message === undefined ? line : `message: ${message}`)
    const [loaded] = detectionsOf(t, { 'a_rule.yml': text })

    const active = activate(loaded!, noSetting('a_rule'), { overrides: { a_rule: schedule }, macros: toMacros({}), knowledge: toKnowledge(BUILT_IN_TABLES, new Map()), timeZone, samples: openSlotSamples() })

    t.strictSame(active.errors, [])
    t.match(active.warnings.map(one => one.message), warnings)
    t.equal(active.warnings.length, warnings.length)
  })
}

t.test('a warning about the search stands where its cause does', async t => {
  const [loaded] = detectionsOf(t, { 'a_rule.yml': RULE.replace(/search: .*\n/, 'search: |\n  sourcetype=st\n    tool IN ("a". "b")\n  | stats count BY pod user tool\n') })
  const { warnings } = activate(loaded!, noSetting('a_rule'), { overrides: {}, macros: toMacros({}), knowledge: toKnowledge(BUILT_IN_TABLES, new Map()), timeZone: 'UTC', samples: openSlotSamples() })
  t.match(warnings, [{ line: 11, column: 17, detail: 'search: A full stop between the values of a list is taken for a comma' }])
})

t.test('what of a file is not read has a warning', async t => {
  const both = GENERATIONS[2026] + 'rba: { message: x, risk_objects: [{ field: pod, type: system, score: 1 }] }\n'
  t.match(detectionsOf(t, { 'a_rule.yml': both })[0], { detection: { risk: { risk_objects: [{ score: 72 }, {}] } }, warnings: [{ line: 23, message: /^rba: not read, since the file has finding/ }] })
  t.match(detectionsOf(t, { 'a_rule.yml': RULE.replace(/rba:[^]*(?=tags:)/, '') })[0], { errors: [], warnings: [{ line: 7, message: /^type: a TTP without a risk block/ }] })
})
