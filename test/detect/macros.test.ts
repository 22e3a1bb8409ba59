import { join } from 'node:path'
import t from 'tap'
import { openFolders } from '../../src/detect/folders.js'
import { bearer, testApp } from '../fixtures/app.js'
import { folderOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025].replace(/search: .*\n/, 'search: |\n  `tools(mount, "nsenter")`\n  | stats count values(tool) AS tool values(user) AS user BY pod\n  | `a_rule_filter`\n')
const YAML = 'name: tools\nid: 4b0b2f9e-5f8e-4d8a-9f0a-1d2c3b4a5f61\nversion: 1\narguments: [one, other]\ndefinition: "`source` tool IN ($one$, $other$)"\ndescription: Tools\n'
const CONF = '# macros\n[tools(2)]\nargs = one, other\ndefinition = `source` \\\n  tool IN ($one$, $other$)\niseval = 0\n\n[source]\ndefinition = sourcetype=st\ndescription = where they are\n'

function contentOf (t: Parameters<typeof folderOf>[0], texts: Record<string, string>, define: Record<string, string> = {}) {
  const dir = folderOf(t, texts)
  return openFolders({ shipped: [], paths: [join(dir, 'detections')], macros: [join(dir, 'macros')], lookups: [], define }).read()
}

const FORMS: readonly { form: string, files: Record<string, string> }[] = [
  { form: 'security_content YAML', files: { 'macros/tools.yml': YAML, 'macros/deeper/source.yml': 'name: source\ndefinition: sourcetype=st\n' } },
  { form: 'macros.conf', files: { 'macros/default/macros.conf': CONF } },
]
for (const { form, files } of FORMS) {
  t.test(`macros with and without arguments come from ${form}`, async t => {
    const { detections, macroFiles } = contentOf(t, { 'detections/a_rule.yml': RULE, ...files })
    const server = await testApp(t, { files: detections, macroFiles, nowMs: Date.parse('2026-03-10T12:30:00Z') })
    await sendTools(server)

    t.strictSame(macroFiles.flatMap(({ errors, warnings }) => [...errors, ...warnings]), [])
    t.strictSame((await get(server, 'detections/a_rule')).errors, [])
    t.match(await runAt(server, 'a_rule'), { status: 'succeeded', row_count: 1 })
    t.match((await get(server, 'findings')).items, [{ result: { count: 2 } }])
    const res = await server.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: '`source` | stats count', earliest: '2026-03-10T11:00:00Z' } })
    t.match(res.json().rows, [{ count: 2 }], 'searches have them too')
  })
}

t.test('define wins over files, the last file over those before it, with a warning', async t => {
  const { macros, macroFiles } = contentOf(t, {
    'detections/a_rule.yml': RULE,
    'macros/a.yml': 'name: source\ndefinition: index=a\n',
    'macros/b/macros.conf': '[source]\ndefinition = index=b\n[other]\ndefinition = index=b\n',
    'macros/c.yml': 'name: cisco_isovalent\ndefinition: index=c\n',
  }, { other: 'index=defined' })

  t.match([...['source', 'other', 'cisco_isovalent'].map(name => macros.get(name)?.definition)], ['index=b', 'index=defined', 'index=c'])
  t.match(macroFiles.map(({ warnings }) => warnings), [[], [{ line: 1, message: /^source is also in .*a\.yml; this one counts$/ }], []])
})

t.test('what security_content relies on is there from the start', async t => {
  const { macros } = contentOf(t, { 'detections/a_rule.yml': RULE, 'macros/a.yml': 'name: source\ndefinition: index=a\n' })
  for (const key of ['cisco_isovalent_process_exec', 'drop_dm_object_name(1)', 'security_content_summariesonly', 'summariesonly_config']) t.ok(macros.has(key), key)
  const server = await testApp(t)
  const search = (text: string) => server.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: text } })
  t.equal((await search('a=1 | `security_content_ctime(firstTime)` | `any_rule_filter`')).statusCode, 200)
})

const REFUSED = [
  { what: 'iseval', name: 'macros.conf', text: '[a]\ndefinition = "x"\niseval = 1\n', line: 3, message: /^a: iseval is not supported/ },
  { what: 'another number of arguments', name: 'macros.conf', text: '[a(2)]\nargs = one\ndefinition = x\n', line: 2, message: /^a\(2\): the name says 2 arguments, args has 1$/ },
  { what: 'arguments without a number', name: 'macros.conf', text: '[a]\nargs = one\ndefinition = x\n', line: 2, message: /says 0 arguments, args has 1/ },
  { what: 'a stanza without a definition', name: 'macros.conf', text: '[a]\nargs =\n', line: 1, message: /^a: the macro has no definition$/ },
  { what: 'a name that is none', name: 'macros.conf', text: '[a b]\ndefinition = x\n', line: 1, message: /expected a name such as/ },
  { what: 'a line that sets nothing', name: 'macros.conf', text: '[a]\noops\n', line: 2, message: /expected key = value/ },
  { what: 'YAML without a definition', name: 'a.yml', text: 'name: a\n', line: 1, message: /^definition: / },
  { what: 'YAML with a name that is none', name: 'a.yml', text: 'definition: x\nname: a b\n', line: 2, message: /^name: expected letters/ },
  { what: 'no YAML', name: 'a.yml', text: 'name: [', line: 1, message: /.+/ },
]
for (const { what, name, text, line, message } of REFUSED) {
  t.test(`${what} is an error, and other macros hold`, async t => {
    const { macros, macroFiles } = contentOf(t, { 'detections/a_rule.yml': RULE, [`macros/${name}`]: text, 'macros/z/macros.conf': CONF })
    t.match(macroFiles[0]!.errors, [{ line, message }])
    t.notOk(macros.has('a'))
    t.ok(macros.has('tools(2)'))
  })
}

t.test('a macro that uses itself is an error of the detection that calls it', async t => {
  const { detections, macroFiles } = contentOf(t, { 'detections/a_rule.yml': RULE, 'macros/macros.conf': CONF.replace('sourcetype=st', '`tools(a,b)`') })
  const server = await testApp(t, { files: detections, macroFiles })
  t.match((await get(server, 'detections/a_rule')).errors, [{ line: 10, column: 3, message: /The macro "tools" uses itself/ }])
})
