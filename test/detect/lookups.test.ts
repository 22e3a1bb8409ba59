import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFolders } from '../../src/detect/folders.js'
import { bearer, testApp } from '../fixtures/app.js'
import { folderOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025].replace(/search: .*\n/, 'search: |\n  sourcetype=st | lookup tools tool OUTPUT kind | search kind=risky\n  | stats count values(tool) AS tool values(user) AS user BY pod\n')

function foldersOf (dir: string) {
  return openFolders({ shipped: [], paths: [join(dir, 'detections')], macros: [], lookups: [join(dir, 'lookups')], define: {} })
}

const FORMS: readonly { form: string, files: Record<string, string> }[] = [
  { form: 'a CSV file', files: { 'lookups/tools.csv': '\ufefftool,kind\nnsenter,risky\n"mount",risky\nls,"plain"\n' } },
  {
    form: 'security_content YAML and its CSV file',
    files: {
      'lookups/tools.yml': 'name: tools\nlookup_type: csv\nfilename: tools_20260101.csv\nmatch_type:\n  - WILDCARD(tool)\ncase_sensitive_match: false\nmin_matches: 1\ndefault_match: unknown\n',
      'lookups/deeper/tools_20260101.csv': 'tool,kind\nNSENT*,risky\nmou*,risky\n',
    },
  },
]
for (const { form, files } of FORMS) {
  t.test(`a detection looks values up in ${form}`, async t => {
    const { detections, lookupFiles, lookups } = foldersOf(folderOf(t, { 'detections/a_rule.yml': RULE, ...files })).read()
    const server = await testApp(t, { files: detections, lookups, nowMs: Date.parse('2026-03-10T12:30:00Z') })
    await sendTools(server)

    t.strictSame(lookupFiles.flatMap(({ errors, warnings }) => [...errors, ...warnings]), [])
    t.strictSame((await get(server, 'detections/a_rule')).errors, [])
    t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 })
    const res = await server.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: '| inputlookup tools where kind=risky | stats count' } })
    t.match(res.json().rows, [{ count: 2 }], 'searches have it too')
  })
}

t.test('a table that changes is another definition; a slot is evaluated again with the table of its own', async t => {
  const dir = folderOf(t, { 'detections/a_rule.yml': RULE, 'lookups/tools.csv': 'tool,kind\nnsenter,risky\nmount,risky\n' })
  const folders = foldersOf(dir)
  const { detections: files, lookups } = folders.read()
  const server = await testApp(t, { files, lookups, nowMs: Date.parse('2026-03-10T12:30:00Z') })
  await sendTools(server)
  const before = (await get(server, 'detections/a_rule')).definition
  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 })

  writeFileSync(join(dir, 'lookups/tools.csv'), 'tool,kind\nnothing,risky\n')
  server.ledger.reload(folders.read())

  const { definition } = await get(server, 'detections/a_rule')
  t.not(definition, before)
  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 }, 'the slot has its own definition')
  t.match((await server.app.inject({ method: 'POST', url: '/api/v1/detections/a_rule/preview', headers: bearer, payload: { scheduled_time: '2026-03-10T12:00:00Z' } })).json().rows, [])
  writeFileSync(join(dir, 'lookups/tools.csv'), 'tool,kind\nnsenter,risky\nmount,risky\n')
  server.ledger.reload(folders.read())
  t.equal((await get(server, 'detections/a_rule')).definition, before)
})

t.test('a detection whose lookup is gone goes on with the one it had', async t => {
  const dir = folderOf(t, { 'detections/a_rule.yml': RULE, 'lookups/tools.csv': 'tool,kind\nnsenter,risky\nmount,risky\n' })
  const folders = foldersOf(dir)
  const { detections: files, lookups } = folders.read()
  const server = await testApp(t, { files, lookups, nowMs: Date.parse('2026-03-10T12:30:00Z') })
  await sendTools(server)
  writeFileSync(join(dir, 'lookups/tools.csv'), 'tool,kind\n"broken')
  const content = folders.read()
  server.ledger.reload(content)

  t.match(content.lookupFiles, [{ errors: [{ line: 2, message: /^this is no CSV file/ }] }])
  t.match((await get(server, 'detections/a_rule')).errors, [{ line: 10, message: /The lookup "tools" isn't there/ }])
  t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 })
})

const REFUSED: readonly { what: string, files: Record<string, string>, errors: readonly object[] }[] = [
  { what: 'an empty file', files: { 'a.csv': '' }, errors: [{ line: 1, message: /names of the columns/ }] },
  { what: 'two columns of one name', files: { 'a.csv': 'x,y,x\n1,2,3\n' }, errors: [{ message: 'two columns are called "x"' }] },
  { what: 'a line with more cells than columns', files: { 'a.csv': 'x,y\n1,2\n1,2,3\n' }, errors: [{ line: 3, message: /^this is no CSV file/ }] },
  { what: 'settings without their file', files: { 'a.yml': 'name: tools\n' }, errors: [{ message: 'tools: there is no file a.csv that can be read' }] },
  { what: 'a model', files: { 'a.yml': 'name: tools\nlookup_type: mlmodel\n' }, errors: [{ line: 2, message: /a model is no table/ }] },
  { what: 'an unknown kind of match', files: { 'a.yml': 'name: tools\nmatch_type: LIKE(x)\n' }, errors: [{ line: 2, message: /expected WILDCARD\(column\)/ }] },
  { what: 'no YAML', files: { 'a.yml': 'name: [' }, errors: [{ line: 1 }] },
  { what: 'a name that is none', files: { 'a.yml': 'name: a b\nfilename: x.csv\n' }, errors: [{ line: 1, message: /^name: expected letters/ }] },
]
for (const { what, files, errors } of REFUSED) {
  t.test(`${what} is an error, and other lookups are there`, async t => {
    const dir = folderOf(t, { 'detections/a_rule.yml': RULE, 'lookups/tools.csv': 'tool,kind\n', ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`lookups/${name}`, text])) })
    const { lookupFiles, lookups } = foldersOf(dir).read()
    t.match(lookupFiles.flatMap(one => one.errors), errors)
    t.ok(lookups.has('tools') && lookups.has('tools.csv'))
  })
}

t.test('a KV store is an empty lookup, with a warning', async t => {
  const dir = folderOf(t, { 'detections/a_rule.yml': RULE, 'lookups/tools.yml': 'name: tools\nlookup_type: kvstore\nfields: [tool, kind]\n' })
  const { detections: files, lookupFiles, lookups } = foldersOf(dir).read()
  t.match(lookupFiles, [{ errors: [], warnings: [{ message: /KV store/ }] }])
  const server = await testApp(t, { files, lookups })
  t.strictSame((await get(server, 'detections/a_rule')).errors, [])
})
