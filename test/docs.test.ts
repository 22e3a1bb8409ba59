import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { COVERAGE_CSV_COLUMNS } from '../src/api/coverage.js'
import { CONFIG_KEYS, loadConfig, SOURCETYPE_FIELDS_KEYS, TARGET_KEYS, TOKEN_KEYS } from '../src/config.js'
import { COVERAGE_STATES, GAP_CAUSES } from '../src/detect/coverage.js'
import { BUILT_IN_TABLES, buildFieldTables, dataModelSourcetypes } from '../src/fields/field-tables.js'
import type { Mapping } from '../src/fields/tables.js'
import { MAPPED_FIELDS, ROUTES } from '../src/fields/tables.js'
import { HEC_REPLY } from '../src/hec/reply.js'
import { resourcePath } from '../src/resource.js'
import { openEventFields } from '../src/store/sqlite/event-fields.js'
import { tempDir } from './fixtures/app.js'

const read = (path: string) => readFileSync(resourcePath(path), 'utf8')

/** First cells of a Markdown table's rows, for the table that follows `after`. */
function firstCells (text: string, after: string): string[] {
  const table = text.slice(text.indexOf(after)).split('\n\n').find(block => block.startsWith('|'))!
  return table.split('\n').slice(2).map(row => row.split('|')[1]!.trim().replaceAll('`', ''))
}

t.test('docs/config.md has every key of the configuration, and no other', async t => {
  const text = read('docs/config.md')

  t.strictSame(firstCells(text, '# Configuration').sort(), [...CONFIG_KEYS].sort())
  t.strictSame(firstCells(text, 'A token of').sort(), [...TOKEN_KEYS].sort())
  t.strictSame(firstCells(text, 'A sourcetype of').sort(), [...SOURCETYPE_FIELDS_KEYS].sort())
  t.strictSame(firstCells(text, 'A target of').sort(), [...TARGET_KEYS].sort())
})

t.test('docs/hec.md has every reply of HEC with its status and text', async t => {
  const rows = read('docs/hec.md').split('\n').filter(line => /^\| \d+ \|/.test(line))

  t.strictSame(rows.map(row => row.split('|').slice(1, 4).map(cell => cell.trim())), Object.entries(HEC_REPLY).map(([code, { status, text }]) => [code, String(status), text]))
})

t.test('docs/coverage.md has every cause of a gap in the order of the code, every state, every column of the CSV', async t => {
  const text = read('docs/coverage.md')

  t.strictSame(firstCells(text, '## Causes'), GAP_CAUSES)
  for (const state of COVERAGE_STATES) t.match(text.slice(text.indexOf('## States')).split('\n## ')[0], `\`${state}\``)
  t.strictSame(firstCells(text, '## The API'), COVERAGE_CSV_COLUMNS)
})

/** The cells of the first table behind `after`, without its head. */
function rowsOf (text: string, after: string): string[][] {
  const table = text.slice(text.indexOf(after)).split('\n\n').find(block => block.startsWith('|'))!
  return table.split('\n').slice(2).map(row => row.split('|').slice(1, -1).map(cell => cell.trim()))
}

/** What docs/fields.md says of a mapping. */
function describeMapping (mapping: Mapping): string {
  if (mapping.via === 'constant') return `always ${[mapping.value].flat().map(text => `\`${text}\``).join(', ')}`
  const path = `\`${mapping.path.join('.')}\``
  switch (mapping.via) {
    case 'value': return path
    case 'lower_case': return `${path} in lower case`
    case 'basename': return `last part of the path ${path}`
    case 'command_line': return `\`binary\` and, behind a space, \`arguments\` of ${path}`
    default: return mapping satisfies never
  }
}

t.test('docs/fields.md has every sourcetype with its fields, every route, and no other', async t => {
  const text = read('docs/fields.md')

  t.strictSame([...text.matchAll(/^### (.*)$/gm)].map(([, name]) => name).sort(), Object.keys(MAPPED_FIELDS).sort())
  for (const [sourcetype, fields] of Object.entries(MAPPED_FIELDS)) {
    t.strictSame(rowsOf(text, `### ${sourcetype}\n`), Object.entries(fields).map(([name, mapping]) => [`\`${name}\``, describeMapping(mapping)]), sourcetype)
  }
  t.strictSame(rowsOf(text, 'An event of sourcetype'), ROUTES.map(route => [route.from, route.key, route.to].map(name => `\`${name}\``)))
  for (const name of dataModelSourcetypes(BUILT_IN_TABLES, 'Endpoint.Processes')) t.match(text.slice(text.indexOf(`### ${name}\n`)).split('###')[1], 'Endpoint.Processes', name)
})

t.test('the example of docs/fields.md is a configuration, and gives what is said of it', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), /```yaml\n(.*?)```/s.exec(read('docs/fields.md'))![1]!)
  const tables = buildFieldTables(loadConfig({ file: 'hecate.yaml', env: {}, flags: {}, cwd }))
  const { fieldOf, route } = openEventFields(tables, { warn: () => {}, alive: () => {} })
  const event = { proc: { exe: '/usr/bin/curl', cmdline: 'curl -s x' }, container: { labels: { 'io.kubernetes.pod.name': 'web-1' } } }

  const { sourcetype, payload } = route(event, 'falco')
  const indexed = { timeUs: 0, raw: () => '', host: 'n1', source: 's', index: 'main', fields: {}, sourcetype, payload }

  t.equal(sourcetype, 'linux_audit')
  for (const [name, value] of Object.entries({ dest: 'n1', process: 'curl -s x', process_name: 'curl', user: 'unknown', pod_name: 'web-1', vendor_product: 'Linux Audit' })) t.equal(fieldOf(indexed, name), value, name)
  t.equal(fieldOf({ ...indexed, payload: { proc: { user: 'root' } } }, 'user'), 'root', 'a calculated field sees the alias of its name')
  t.ok(dataModelSourcetypes(tables, 'Endpoint.Processes').includes('linux_audit'))
})
