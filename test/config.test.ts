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
    data: { dir: '/srv/data', durability: 'full', retention: 30 * 86_400_000, findings_retention: 730 * 86_400_000, ledger_retention: 730 * 86_400_000, audit_retention: 730 * 86_400_000, max_bytes: 50e9, reserve_bytes: 256e6 },
    indexes: ['main', 'cisco_isovalent', 'metrics'],
    hec: { compatibility: 'keep', max_body_bytes: 67108864, max_event_bytes: 5242880, time_from: 'arrival', resend_window: 0, tokens: [] },
    detections: { shipped: true, paths: [], macros: [], lookups: [], define: {}, overrides: {} },
    sources: { silent_after: 3_600_000, forget_after: 7 * 86_400_000 },
    risk: {
      cap: 3,
      half_life: 0,
      entity: [],
      rules: { score: { over: 100, in: 86_400_000 }, tactics: { at_least: 3, in: 7 * 86_400_000 }, detections: { at_least: 0, in: 7 * 86_400_000 } },
    },
    fields: [],
    routes: [],
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
  const file = withFile(t, 'data: { dir: events, backup_dir: backups }\nlisten: { tls: { cert: tls/cert.pem, key: /etc/key.pem } }\ndetections: { paths: [rules, /etc/rules], macros: [macros], lookups: [lookups] }\n')

  const config = loadConfig({ ...file, cwd: '/', file: join(file.cwd, file.file) })

  t.equal(config.data.dir, join(file.cwd, 'events'))
  t.equal(config.data.backup_dir, join(file.cwd, 'backups'))
  t.strictSame(config.listen.tls, { cert: join(file.cwd, 'tls/cert.pem'), key: '/etc/key.pem' })
  t.strictSame(config.detections.paths, [join(file.cwd, 'rules'), '/etc/rules'])
  t.strictSame(config.detections.macros, [join(file.cwd, 'macros')])
  t.strictSame(config.detections.lookups, [join(file.cwd, 'lookups')])
})

t.test('relative paths of flags and variables are relative to the working directory', async t => {
  const file = withFile(t, '')

  const { data } = loadConfig({ ...file, file: join(file.cwd, file.file), cwd: '/srv', flags: { 'data.dir': 'events' }, env: { HECATE_DATA_BACKUP_DIR: 'backups' } })

  t.match(data, { dir: '/srv/events', backup_dir: '/srv/backups' })
})

t.test('a size is a number of bytes, or has a unit of tens or of twos', async t => {
  for (const [text, bytes] of [['1', 1], ['"1000"', 1000], ['50GB', 50e9], ['3 kB', 3000], ['2MB', 2e6], ['1TB', 1e12], ['3KiB', 3072], ['2MiB', 2 << 20], ['1GiB', 2 ** 30], ['4 TiB', 2 ** 42]] as const) {
    t.equal(loadConfig(withFile(t, `data: { max_bytes: ${text} }`)).data.max_bytes, bytes, text)
  }
  t.equal(loadConfig({ ...source, env: { HECATE_DATA_MAX_BYTES: '10GiB' } }).data.max_bytes, 10 * 2 ** 30)
  t.equal(loadConfig({ ...source, flags: { 'data.max_bytes': '12345' } }).data.max_bytes, 12345)
})

t.test('secrets come from files and the environment', async t => {
  const file = withFile(t, 'hec: { tokens: [{ name: a, token: "env:TOKEN" }] }\napi: { keys: [{ name: b, key: "file:key", role: viewer }] }\n')
  writeFileSync(join(file.cwd, 'key'), 'from-a-file\nand no more\n')

  const config = loadConfig({ ...file, env: { TOKEN: 'from-the-environment' } })

  t.equal(config.hec.tokens[0]?.token, 'from-the-environment')
  t.equal(config.api.keys[0]?.key, 'from-a-file')
  t.throws(() => loadConfig(file), { message: /^hec\.tokens\.0\.token: .*TOKEN is not set/ })
})

t.test('a target has its defaults; its secrets come from files and the environment, its certificates are relative to the file', async t => {
  const file = withFile(t, 'notify: [{ name: soc, type: webhook, url: "env:URL", secret: "file:key", headers: { Authorization: "env:AUTH" }, ca: tls/ca.pem }]\n')
  writeFileSync(join(file.cwd, 'key'), 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n')

  t.strictSame(loadConfig({ ...file, env: { URL: 'https://soc.example.com/x', AUTH: 'Bearer abc' } }).notify, [{
    name: 'soc', type: 'webhook', url: 'https://soc.example.com/x', secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=', headers: { Authorization: 'Bearer abc' }, ca: join(file.cwd, 'tls/ca.pem'),
    timeout: 10_000, max_per_minute: 60, give_up_after: 3 * 86_400_000, filter: { detections: [], min_score: 0, severity: [], statuses: [], what: ['created', 'revised', 'gone'], backfills: false },
  }])
  t.throws(() => loadConfig({ ...file, env: { URL: 'https://a' } }), { message: /^notify\.0\.headers\.Authorization: .*AUTH is not set/ })
})

const REFUSED = [
  { what: 'an unknown key', yaml: 'listen:\n  prot: 1\n', message: /^hecate\.yaml:2: listen\.prot: unknown key$/ },
  { what: 'an unknown section', yaml: 'lisen: {}\n', message: /^hecate\.yaml:1: lisen: unknown key$/ },
  { what: 'a wrong type', yaml: 'listen:\n  host: a\n  port: high\n', message: /^hecate\.yaml:3: listen\.port: .*number/ },
  { what: 'an unknown key of a token', yaml: 'hec:\n  tokens:\n    - name: a\n      token: b\n      colour: c\n', message: /^hecate\.yaml:5: hec\.tokens\.0\.colour: unknown key$/ },
  { what: 'a missing key', yaml: 'hec:\n  tokens:\n    - name: a\n', message: /^hecate\.yaml:3: hec\.tokens\.0\.token: / },
  { what: 'a target of no type', yaml: 'notify:\n  - { name: a, url: "https://a" }\n', message: /^hecate\.yaml:2: notify\.0\.type: / },
  { what: 'an unknown key of a target', yaml: 'notify:\n  - name: a\n    type: webhook\n    url: https://a\n    colour: b\n', message: /^hecate\.yaml:5: notify\.0\.colour: unknown key$/ },
  { what: 'a filter for what does not happen', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", filter: { what: [throttled] } }]\n', message: /notify\.0\.filter\.what\.0: / },
  { what: 'a target that is told nothing', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", filter: { what: [] } }]\n', message: /notify\.0\.filter\.what: / },
  ...['ftp://a', 'a', '//a', 'javascript:1'].map(url => ({ what: `${url} as the URL of a target`, yaml: `notify: [{ name: a, type: webhook, url: "${url}" }]\n`, message: /^notify\.0\.url: is no URL of http or https$/ })),
  ...['https://u:secret@a', 'https://a/#b'].map(url => ({ what: `${url} as the URL of a target`, yaml: `notify: [{ name: a, type: webhook, url: "${url}" }]\n`, message: /^notify\.0\.url: has a user, a password or a part behind #, which are not sent$/ })),
  { what: 'a secret that is no key', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", secret: hello }]\n', message: /^notify\.0\.secret: is not whsec_ and the base64 of 24 to 64 bytes$/ },
  { what: 'a short secret', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", secret: whsec_AAAA }]\n', message: /^notify\.0\.secret: is not whsec_/ },
  ...['Host', 'content-length', 'Webhook-Id', 'a b'].map(name => ({ what: `${name} as a header of a target`, yaml: `notify: [{ name: a, type: webhook, url: "https://a", headers: { "${name}": b } }]\n`, message: /notify\.0\.headers\..*: / })),
  { what: 'a header of two lines', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", headers: { X: "a\\nb" } }]\n', message: /^notify\.0\.headers\.X: has characters that a header can't have$/ },
  { what: 'a Splunk target that is told what it can not take', yaml: 'notify: [{ name: a, type: splunk, url: "https://a", token: b, filter: { what: [gone] } }]\n', message: /notify\.0\.filter\.what\.0: / },
  { what: 'a Splunk target without a token', yaml: 'notify: [{ name: a, type: splunk, url: "https://a" }]\n', message: /notify\.0\.token: / },
  { what: 'two targets of one name', yaml: 'notify: [{ name: a, type: webhook, url: "https://a" }, { name: a, type: webhook, url: "https://b" }]\n', message: /^notify: a name or secret is given twice$/ },
  { what: 'a rate of none', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", max_per_minute: 0 }]\n', message: /notify\.0\.max_per_minute: / },
  { what: 'a time-out of none', yaml: 'notify: [{ name: a, type: webhook, url: "https://a", timeout: 0s }]\n', message: /notify\.0\.timeout: is at least 1s and at most 5m$/ },
  { what: 'a duration without a unit', yaml: 'hec:\n  resend_window: 10\n', message: /^hecate\.yaml:2: hec\.resend_window: / },
  { what: 'a silence that is shorter than what is looked for', yaml: 'sources:\n  silent_after: 59s\n', message: /^hecate\.yaml:2: sources\.silent_after: is 0s or at least a minute$/ },
  { what: 'a source that is forgotten before it is silent', yaml: 'sources: { silent_after: 7d }\n', message: /^sources\.forget_after: is not longer than sources\.silent_after/ },
  { what: 'a rule of risk objects for neither a field nor a type', yaml: 'risk: { entity: [{ by: [cluster_name] }] }\n', message: /^hecate\.yaml:1: risk\.entity\.0: names neither a field nor a type$/ },
  { what: 'a duration that would keep nothing', yaml: 'data:\n  retention: 0d\n', message: /^hecate\.yaml:2: data\.retention: is at least an hour$/ },
  { what: 'a ledger that late events would outlive', yaml: 'data:\n  ledger_retention: 89d\n', message: /^hecate\.yaml:2: data\.ledger_retention: is at least 90d$/ },
  { what: 'findings that risk rules would miss', yaml: 'data:\n  findings_retention: 89d\n', message: /^hecate\.yaml:2: data\.findings_retention: is at least 90d: risk rules look back so far$/ },
  ...['50 g', '50gb', '-1', '1.5GB', '1KB', '99999999TB', '~'].map(size => ({ what: `${size} as a size`, yaml: `data:\n  max_bytes: ${size}\n`, message: /^hecate\.yaml:2: data\.max_bytes: is no size/ })),
  { what: 'broken YAML', yaml: 'listen: [\n', message: /^.*hecate\.yaml: .*line 2/ },
  { what: 'no mapping', yaml: '- a\n', message: /expected keys and values/ },
  { what: 'a key given twice', yaml: 'timezone: UTC\ntimezone: UTC\n', message: /unique/ },
  { what: 'an unknown zone', yaml: 'timezone: Mars/Olympus\n', message: /^hecate\.yaml:1: timezone: is no IANA time zone$/ },
  { what: 'a token whose index is none', yaml: 'hec: { tokens: [{ name: a, token: b, index: nowhere }] }\n', message: /index "nowhere" is not in indexes/ },
  { what: 'an expression with an unknown function', yaml: 'fields:\n  - sourcetype: st\n    evals:\n      a: b\n      user: colesce(user, "x")\n', message: /^hecate\.yaml:5: fields\.0\.evals\.user: 1:1: The function "colesce" isn't supported; the nearest name that is: "coalesce"\n {2}colesce/ },
  { what: 'a broken expression', yaml: 'fields: [{ sourcetype: st, evals: { a: "1 +" } }]\n', message: /^hecate\.yaml:1: fields\.0\.evals\.a: 1:4: Expected a value, found the end/ },
  { what: 'a condition in place of a value', yaml: 'fields: [{ sourcetype: st, evals: { a: "b = 1" } }]\n', message: /fields\.0\.evals\.a: 1:1: Expected a value, found a condition/ },
  { what: 'a second command behind an expression', yaml: 'fields: [{ sourcetype: st, evals: { a: "b | eval c=d" } }]\n', message: /fields\.0\.evals\.a: 1:3: Expected the end of the expression, found "\|"/ },
  { what: 'two values in an expression', yaml: 'fields: [{ sourcetype: st, evals: { a: "b c" } }]\n', message: /fields\.0\.evals\.a: 1:3: Expected the end of the expression/ },
  { what: 'an expression of the moment', yaml: 'fields: [{ sourcetype: st, evals: { a: "if(b=1, -now(), 2)" } }]\n', message: /fields\.0\.evals\.a: 1:10: A calculated field can't use now\(\)/ },
  { what: 'a macro in an expression', yaml: 'fields: [{ sourcetype: st, evals: { a: "`security_content`" } }]\n', message: /fields\.0\.evals\.a: 1:1: The macro "security_content" isn't/ },
  { what: 'an empty expression', yaml: 'fields: [{ sourcetype: st, evals: { a: "" } }]\n', message: /fields\.0\.evals\.a: 1:1: Expected a value/ },
  { what: 'a number as an expression', yaml: 'fields: [{ sourcetype: st, evals: { a: 1 } }]\n', message: /fields\.0\.evals\.a: .*string/ },
  { what: 'a field that every event has', yaml: 'fields:\n  - sourcetype: st\n    aliases:\n      _time: when\n', message: /^hecate\.yaml:4: fields\.0\.aliases\._time: is a field that every event has/ },
  { what: 'an alias without a name', yaml: 'fields: [{ sourcetype: st, aliases: { "": a } }]\n', message: /fields\.0\.aliases\.: a name has 1 to 512 characters/ },
  { what: 'an alias of nothing', yaml: 'fields: [{ sourcetype: st, aliases: { a: "" } }]\n', message: /fields\.0\.aliases\.a: / },
  { what: 'too many fields', yaml: `fields: [{ sourcetype: st, aliases: { ${Array.from({ length: 201 }, (_, n) => `f${n}: x`).join(', ')} } }]\n`, message: /fields\.0\.aliases: has 201 fields, at most 200 are allowed/ },
  { what: 'too many sourcetypes', yaml: `fields: [${Array.from({ length: 101 }, (_, n) => `{ sourcetype: s${n} }`).join(', ')}]\n`, message: /fields: .*100/ },
  { what: 'an unknown data model', yaml: 'fields: [{ sourcetype: st, data_models: [Endpoint.Process] }]\n', message: /fields\.0\.data_models\.0: .*Endpoint\.Processes/ },
  { what: 'a sourcetype given twice', yaml: 'fields: [{ sourcetype: st }, { sourcetype: st }]\n', message: /fields\.1: the sourcetype "st" is given twice/ },
  { what: 'an incomplete route', yaml: 'routes:\n  - { from: a, to: b }\n', message: /^hecate\.yaml:2: routes\.0\.key: / },
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
