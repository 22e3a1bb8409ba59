import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { tempDir } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { hecate } from '../fixtures/process.js'
import { folderOf, GENERATIONS } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025]

const check = (cwd: string, args: readonly string[] = []) => command(['check', ...args], { cwd })

interface Checked { readonly file: string, readonly id: string, readonly status: string, readonly errors: object[], readonly warnings: object[], readonly notes: object[] }

async function checkJson (cwd: string, args: readonly string[] = []) {
  const { code, stdout } = await check(cwd, [...args, '--format', 'json'])
  return { code, ...JSON.parse(stdout) as { detections: Checked[], macros: Checked[] } }
}

t.test('what ships can run', async t => {
  const { code, detections } = await checkJson(tempDir(t))

  t.equal(code, 0)
  t.match(detections.filter(({ status }) => status !== 'ok'), [
    { id: 'cisco_isovalent___potential_escape_to_host', status: 'warnings', errors: [], warnings: [{ message: /^search: lastTime - firstTime is always 0/ }] },
  ])
  t.ok(detections.length > 10)
})

t.test('files, stanzas and macros of the configuration are checked as the server reads them', async t => {
  const cwd = folderOf(t, {
    'hecate.yaml': 'detections: { shipped: false, paths: [rules], macros: [macros], overrides: { good: { cron: "*/5 * * * *" } } }\n',
    'rules/good.yml': RULE.replace('search: sourcetype=st', 'search: "`source`').replace('BY pod\n', 'BY pod"\n'),
    'rules/bad.yml': RULE.replace('| stats', '| nonsense'),
    'rules/savedsearches.conf': GENERATIONS['savedsearches.conf'],
    'macros/macros.conf': '[source]\ndefinition = sourcetype=st\n[broken]\niseval = 1\ndefinition = 1\n',
  })

  const { code, detections, macros } = await checkJson(cwd, ['--config', 'hecate.yaml'])

  t.equal(code, 1)
  t.match(detections, [
    { file: join(cwd, 'rules/bad.yml'), id: 'bad', status: 'failed', errors: [{ line: 9, column: 25, message: 'search: The command "nonsense" isn\'t supported' }], warnings: [] },
    { file: join(cwd, 'rules/good.yml'), id: 'good', status: 'warnings', errors: [], warnings: [{ message: /overlap by 55m/ }] },
    { file: join(cwd, 'rules/savedsearches.conf'), id: 'a_rule', status: 'ok', errors: [], warnings: [], notes: [{ line: 17 }] },
  ])
  t.match(macros, [{ file: join(cwd, 'macros/macros.conf'), status: 'failed', errors: [{ line: 4, column: 1, message: /^broken: iseval/ }], warnings: [] }])
})

t.test('the text has file, line, column, the line and a caret', async t => {
  const cwd = folderOf(t, { 'rules/bad.yml': RULE.replace('| stats', '| nonsense').replace('type: TTP', 'type: Hunting') })

  const { exited, printed } = hecate(t, ['check', 'rules'], { cwd })

  t.equal(await exited, 1)
  t.equal(printed.stdout, `${join(cwd, 'rules/bad.yml')}:9:25: error: search: The command "nonsense" isn't supported
  search: sourcetype=st | nonsense count values(tool) AS tool values(user) AS user BY
                          ^

${join(cwd, 'rules/bad.yml')}:13:3: warning: rba: a Hunting search gives no findings, so this is not read
    message: $user$ ran [$tool$] in $pod$
    ^

detections: 0 ok, 0 with warnings, 1 failed
`)
})

t.test('nothing of a file reaches the terminal as it is', async t => {
  const evil = '\u001b[31m\u009b31m\u202e\u{e0041}'
  const cwd = folderOf(t, {
    [`rules/${'\u001b'}[1m.yml`]: RULE.replace('| stats', `| ${evil} x`),
    'rules/quoted.yml': RULE.replace('type: system', `type: "${evil}"`),
    'rules/savedsearches.conf': `[${evil}]\n${evil}\nsearch = a=1 | ${evil}\n`,
    'macros/a.yml': `name: "${evil}"\ndefinition: a\n`,
    'hecate.yaml': 'detections: { shipped: false, paths: [rules], macros: [macros] }\n',
  })
  for (const format of ['text', 'json']) {
    const { code, stdout, stderr } = await check(cwd, ['--config', 'hecate.yaml', '--format', format])

    t.equal(code, 1)
    t.notMatch(stdout + stderr, /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u, format)
    if (format === 'json') t.ok((JSON.parse(stdout) as { detections: { id: string }[] }).detections.some(({ id }) => id === evil), 'and JSON says the same')
  }
})

t.test('bad usage and configuration end with exit code 2', async t => {
  const cwd = folderOf(t, {
    'bad.yaml': 'detections:\n  path: []\n',
    'missing.yaml': 'detections: { macros: [nowhere] }\n',
    'override.yaml': 'detections: { overrides: { nothing: { enabled: true } } }\n',
    'fields.yaml': 'fields:\n  - sourcetype: st\n    evals: { user: lowr(user) }\n',
    'rules/a_rule.yml': RULE,
  })
  for (const { args, stderr } of [
    { args: ['--format', 'xml'], stderr: /--format is text or json/ },
    { args: ['--config', 'bad.yaml'], stderr: /bad\.yaml:2: detections\.path: unknown key/ },
    { args: ['--config', 'missing.yaml'], stderr: /detections\.macros: .*nowhere/ },
    { args: ['--config', 'override.yaml'], stderr: /detections\.overrides\.nothing: there is no such detection/ },
    { args: ['--config', 'fields.yaml'], stderr: /fields\.yaml:3: fields\.0\.evals\.user: 1:1: The function "lowr" isn't supported; the nearest name that is: "lower"/ },
    { args: ['nowhere'], stderr: /nowhere/ },
  ]) {
    const run = await check(cwd, args)
    t.equal(run.code, 2, args.join(' '))
    t.match(run.stderr, stderr)
  }
  t.equal((await check(cwd, ['rules', '--config', 'override.yaml'])).code, 0, 'with a path the others are not read')
})

t.test('an app of many stanzas is checked within seconds', async t => {
  const cwd = tempDir(t)
  const file = join(cwd, 'savedsearches.conf')
  writeFileSync(file, '')
  for (let i = 0; i < 600; i++) appendFileSync(file, GENERATIONS['savedsearches.conf'].replace('[a_rule]', `[ESCU - ${i} - Rule]\ndescription = ${'x'.repeat(5000)}`).replace('| stats', i % 2 ? '| stats' : '| nonsense'))

  const { code, stdout } = await check(cwd, ['savedsearches.conf'])

  t.equal(code, 1)
  t.match(stdout, /^detections: 300 ok, 0 with warnings, 300 failed\n$/m)
})
