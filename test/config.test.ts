import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { ConfigError, loadConfig } from '../src/config.js'

const source = { env: {}, flags: {}, cwd: '/srv' }

function withFile (t: Test, yaml: string) {
  const dir = t.testdir({ 'hecate.yaml': yaml })
  return { ...source, cwd: dir, file: 'hecate.yaml' }
}

t.test('without a file every key has its default', async t => {
  t.strictSame(loadConfig(source), {
    listen: { host: '127.0.0.1', port: 8088 },
    data: { dir: '/srv/data', durability: 'full' },
    indexes: ['main', 'cisco_isovalent', 'metrics'],
    hec: { compatibility: 'keep', max_body_bytes: 67108864, max_event_bytes: 5242880, time_from: 'arrival', resend_window: 0, tokens: [] },
    detections: { shipped: true, paths: [], macros: [], lookups: [], define: {}, overrides: {} },
    timezone: 'UTC',
    api: { keys: [] },
    notify: [],
  })
})

t.test('a flag wins over the environment, which wins over the file', async t => {
  const file = withFile(t, 'listen: { port: 1000, host: 0.0.0.0 }\ndata: { dir: events }\n')

  t.equal(loadConfig(file).listen.port, 1000)
  t.equal(loadConfig({ ...file, env: { HECATE_LISTEN_PORT: '2000' } }).listen.port, 2000)
  t.equal(loadConfig({ ...file, env: { HECATE_LISTEN_PORT: '2000' }, flags: { 'listen.port': '3000' } }).listen.port, 3000)
  t.equal(loadConfig({ ...file, env: { HECATE_LISTEN_PORT: '2000' } }).listen.host, '0.0.0.0', 'the rest of the section stays')
})

t.test('relative paths of the file are relative to it', async t => {
  const file = withFile(t, 'data: { dir: events }\nlisten: { tls: { cert: tls/cert.pem, key: /etc/key.pem } }\ndetections: { paths: [rules, /etc/rules], macros: [macros], lookups: [lookups] }\n')

  const config = loadConfig({ ...file, cwd: '/', file: join(file.cwd, file.file) })

  t.equal(config.data.dir, join(file.cwd, 'events'))
  t.strictSame(config.listen.tls, { cert: join(file.cwd, 'tls/cert.pem'), key: '/etc/key.pem' })
  t.strictSame(config.detections.paths, [join(file.cwd, 'rules'), '/etc/rules'])
  t.strictSame(config.detections.macros, [join(file.cwd, 'macros')])
  t.strictSame(config.detections.lookups, [join(file.cwd, 'lookups')])
})

t.test('secrets come from files and the environment', async t => {
  const file = withFile(t, 'hec: { tokens: [{ name: a, token: "env:TOKEN" }] }\napi: { keys: [{ name: b, key: "file:key", role: viewer }] }\n')
  writeFileSync(join(file.cwd, 'key'), 'from-a-file\nand no more\n')

  const config = loadConfig({ ...file, env: { TOKEN: 'from-the-environment' } })

  t.equal(config.hec.tokens[0]?.token, 'from-the-environment')
  t.equal(config.api.keys[0]?.key, 'from-a-file')
  t.throws(() => loadConfig(file), { message: /^hec\.tokens\.0\.token: .*TOKEN is not set/ })
})

const REFUSED = [
  { what: 'an unknown key', yaml: 'listen:\n  prot: 1\n', message: /^hecate\.yaml:2: listen\.prot: unknown key$/ },
  { what: 'an unknown section', yaml: 'lisen: {}\n', message: /^hecate\.yaml:1: lisen: unknown key$/ },
  { what: 'a wrong type', yaml: 'listen:\n  host: a\n  port: high\n', message: /^hecate\.yaml:3: listen\.port: .*number/ },
  { what: 'an unknown key of a token', yaml: 'hec:\n  tokens:\n    - name: a\n      token: b\n      colour: c\n', message: /^hecate\.yaml:5: hec\.tokens\.0\.colour: unknown key$/ },
  { what: 'a missing key', yaml: 'hec:\n  tokens:\n    - name: a\n', message: /^hecate\.yaml:3: hec\.tokens\.0\.token: / },
  { what: 'what is not there yet', yaml: 'timezone: UTC\nnotify: [a]\n', message: /^hecate\.yaml:2: notify: is not supported yet$/ },
  { what: 'a duration without a unit', yaml: 'hec:\n  resend_window: 10\n', message: /^hecate\.yaml:2: hec\.resend_window: / },
  { what: 'broken YAML', yaml: 'listen: [\n', message: /^.*hecate\.yaml: .*line 2/ },
  { what: 'no mapping', yaml: '- a\n', message: /expected keys and values/ },
  { what: 'a key given twice', yaml: 'timezone: UTC\ntimezone: UTC\n', message: /unique/ },
  { what: 'an unknown zone', yaml: 'timezone: Mars/Olympus\n', message: /^hecate\.yaml:1: timezone: is no IANA time zone$/ },
  { what: 'a token whose index is none', yaml: 'hec: { tokens: [{ name: a, token: b, index: nowhere }] }\n', message: /index "nowhere" is not in indexes/ },
  { what: 'two tokens of one name', yaml: 'hec: { tokens: [{ name: a, token: b }, { name: a, token: c }] }\n', message: /given twice/ },
]
for (const { what, yaml, message } of REFUSED) {
  t.test(`${what} stops the start, with file, line and key`, async t => {
    t.throws(() => loadConfig(withFile(t, yaml)), { name: 'ConfigError', message })
  })
}

t.test('a wrong flag or variable is named as such', async t => {
  t.throws(() => loadConfig({ ...source, flags: { 'listen.port': '99999' } }), { message: /^--listen-port: listen\.port: / })
  t.throws(() => loadConfig({ ...source, env: { HECATE_DATA_DURABILITY: 'some' } }), { message: /^HECATE_DATA_DURABILITY: data\.durability: / })
  t.throws(() => loadConfig({ ...source, file: 'missing.yaml' }), ConfigError)
})
