import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { pino } from 'pino'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config.js'
import { resourcePath } from '../../src/resource.js'
import { systemClock } from '../../src/schedule/loop.js'
import { openServer } from '../../src/server.js'
import { tempDir } from '../fixtures/app.js'
import { PATH, withoutPromtool } from '../fixtures/clients.js'

t.setTimeout(300_000) // promtool evaluates hours, on a machine that may be busy

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string, readonly description: string }
}
interface Panel { readonly id: number, readonly type: string, readonly title: string, readonly datasource?: { readonly uid: string }, readonly targets?: readonly { readonly expr: string }[] }
interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string, readonly type: string, readonly definition?: string }[] }
}

const RULES = resourcePath('deploy/prometheus/hecate.rules.yaml')
const RULES_TEST = resourcePath('test/deploy/hecate.rules.test.yaml')
const alerts = (parse(readFileSync(RULES, 'utf8')) as { groups: readonly { rules: readonly Alert[] }[] }).groups.flatMap(({ rules }) => rules)
const dashboard = JSON.parse(readFileSync(resourcePath('deploy/grafana/hecate.json'), 'utf8')) as Dashboard
const skip = withoutPromtool()

/** The dashboard's expressions, with its variables as Grafana sets them. */
const dashboardExprs = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({
  who: title, expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$job', 'hecate').replaceAll('$instance', '.*'),
})))

/** The names of an expression's metrics: what is no string, label, range, function or word of PromQL. */
function metricsIn (expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '')
  return [...bare.matchAll(/\b[a-z_:][\w:]*\b(?!\s*\()/gi)].map(([name]) => name).filter(name => !/^(and|or|unless|offset|bool)$/.test(name))
}

/** Names and kinds of all that a server shows Prometheus, one with a certificate. */
async function exposedMetrics (t: Test): Promise<Map<string, string>> {
  const cwd = tempDir(t)
  const pem = (part: string) => resourcePath(`test/fixtures/tls/first.${part}.pem`)
  writeFileSync(join(cwd, 'hecate.yaml'), stringify({ listen: { tls: { cert: pem('cert'), key: pem('key') } } }))
  const server = await openServer(loadConfig({ file: 'hecate.yaml', env: {}, flags: {}, cwd }), { clock: systemClock, log: pino({ level: 'silent' }), version: '0' })
  t.teardown(() => server.close())
  const { body } = await server.app.inject('/metrics')
  return new Map([...body.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => [name!, kind!]))
}

t.test('every metric of the alert rules and of the dashboard is one that Hecate has', async t => {
  const exposed = await exposedMetrics(t)
  const baseOf = (name: string) => exposed.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name
  const exprs = [...alerts.map(({ alert, expr }) => ({ who: alert, expr })), ...dashboardExprs]

  for (const { who, expr } of exprs) {
    const names = metricsIn(expr)
    t.ok(names.length > 0, `${who} asks for something`)
    for (const name of names) t.ok(name === 'up' || exposed.has(baseOf(name)), `${who}: ${name}`)
  }
  for (const { definition = '' } of dashboard.templating.list) for (const [name] of definition.matchAll(/\bhecate_\w+/g)) t.ok(exposed.has(name), `variable: ${name}`)
})

t.test('promtool has nothing to say against the alert rules', { skip }, async t => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', '--lint-fatal', RULES], { encoding: 'utf8', env: { PATH } })

  t.equal(status, 0, stdout + stderr)
})

t.test('each alert fires for what it is about, and for nothing else', { skip }, async t => {
  const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', RULES_TEST], { encoding: 'utf8', env: { PATH } })

  t.equal(status, 0, stdout + stderr)
  const text = readFileSync(RULES_TEST, 'utf8')
  for (const { alert } of alerts) t.ok(text.includes(`ALERTS{alertname="${alert}",alertstate="firing"`), `${alert} is made to fire`)
})

t.test('each alert waits, has a severity, says what to do, and has a section in docs/operations.md', async t => {
  const sections = [...readFileSync(resourcePath('docs/operations.md'), 'utf8').matchAll(/^### (Hecate\w+)$/gm)].map(([, name]) => name!)

  for (const { alert, for: wait, labels, annotations } of alerts) {
    t.match(wait, /^\d+[mh]$/, alert)
    t.match(labels.severity, /^(warning|critical)$/, alert)
    t.match(annotations.summary, /./, alert)
    t.ok(annotations.description.endsWith(` docs/operations.md, ${alert}.`), alert)
  }
  t.strictSame(sections, alerts.map(({ alert }) => alert))
})

t.test('every expression of the dashboard is PromQL', { skip }, async t => {
  const file = join(tempDir(t), 'dashboard.rules.yaml')
  writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules: dashboardExprs.map(({ expr }, n) => ({ record: `panel:${n}`, expr })) }] }))

  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8', env: { PATH } })

  t.equal(status, 0, stdout + stderr)
})

t.test('every panel of the dashboard has an id of its own and the data source that is chosen', async t => {
  const ids = dashboard.panels.map(({ id }) => id)

  t.equal(new Set(ids).size, ids.length)
  t.match(dashboard.templating.list[0], { name: 'datasource', type: 'datasource' })
  for (const { title, type, datasource } of dashboard.panels) if (type !== 'row') t.equal(datasource?.uid, '${datasource}', title) // eslint-disable-line no-template-curly-in-string
})
