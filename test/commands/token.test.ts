import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { tempDir } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { hecate, printedBy } from '../fixtures/process.js'

const token = (cwd: string, args: readonly string[], env: Record<string, string> = {}) => command(['token', ...args], { cwd, env })

/** The same in a process of its own. */
async function tokenProcess (t: Test, cwd: string, args: readonly string[], env: Record<string, string> = {}) {
  const run = hecate(t, ['token', ...args], { cwd, env })
  return { code: await run.exited, ...run.printed }
}

async function listed (cwd: string, args: readonly string[] = []): Promise<{ name: string, requests: number, events: number }[]> {
  const { stdout } = await token(cwd, ['list', '--format', 'json', ...args])
  return (JSON.parse(stdout) as { tokens: { name: string, requests: number, events: number }[] }).tokens
}

/** Sends until HEC's code is what is expected; the test's own time-out is the limit. */
async function sendUntil (url: string, secret: string, expected: number): Promise<number> {
  for (;;) {
    const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${secret}` }, body: '{"event":"x"}' })
    if ((await res.json() as { code: number }).code === expected) return res.status
  }
}

t.test('a running server takes events of an added token, and no more once it is revoked', async t => {
  const cwd = tempDir(t)
  const server = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, url = ''] = await printedBy(server, /"url":"([^"]+)"/)
  const added = await tokenProcess(t, cwd, ['add', 'forwarder', '--index', 'metrics'])
  t.equal(added.code, 0, added.stderr)
  t.match(added.stdout, /^[0-9a-f-]{36}\n$/, 'the secret alone, for $(…)')
  const secret = added.stdout.trim()

  t.equal(await sendUntil(url, secret, 0), 200)
  t.equal((await tokenProcess(t, cwd, ['revoke', 'forwarder'])).code, 0)
  t.equal(await sendUntil(url, secret, 4), 403)

  t.match((await listed(cwd)).map(({ name }) => name), ['first'])
  server.child.kill('SIGTERM')
  t.equal(await server.exited, 0)
  t.notMatch(server.printed.stdout, secret)
})

t.test('what a token was used for is there after the server has ended', async t => {
  const cwd = tempDir(t)
  const secret = (await token(cwd, ['add', 'forwarder'])).stdout.trim()
  const server = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, url = ''] = await printedBy(server, /"url":"([^"]+)"/)
  t.equal(await sendUntil(url, secret, 0), 200)
  server.child.kill('SIGTERM')
  await server.exited

  t.match(await listed(cwd), [{ name: 'forwarder', requests: 1, events: 1, last_used_at: String }])
  t.match((await token(cwd, ['list'])).stdout, /^forwarder +added +enabled +main +any +no +20\S+Z +20\S+Z +1 +1$/m)
})

t.test('a token can be added before the first start, which then makes none', async t => {
  const cwd = tempDir(t)
  const added = await token(cwd, ['add', 'forwarder', '--data-dir', 'own'])
  t.equal(added.code, 0, added.stderr)
  t.equal(statSync(join(cwd, 'own')).mode & 0o777, 0o700)

  const server = hecate(t, ['serve', '--listen-port', '0', '--data-dir', 'own'], { cwd })
  const [, url = ''] = await printedBy(server, /"url":"([^"]+)"/)

  t.equal(await sendUntil(url, added.stdout.trim(), 0), 200)
  t.notMatch(readFileSync(join(cwd, 'own', 'first-start'), 'utf8'), /HEC token/)
  t.match(readFileSync(join(cwd, 'own', 'first-start'), 'utf8'), /API key/)
})

t.test('all settings of a token can be given', async t => {
  const cwd = tempDir(t)
  const run = await token(cwd, [
    'add', 'all', '--index', 'main', '--indexes', 'main,metrics', '--sourcetype', 'st', '--source', 'src', '--host', 'h', '--ack', '--query-string-auth',
    '--default', 'cluster_name=prod', '--default', 'query=a=b',
  ])

  t.equal(run.code, 0, run.stderr)
  t.match(await listed(cwd), [{
    name: 'all', origin: 'added', enabled: true, index: 'main', indexes: ['main', 'metrics'], sourcetype: 'st', source: 'src', host: 'h', ack: true,
    query_string_auth: true, defaults: { cluster_name: 'prod', query: 'a=b' }, last_used_at: null, requests: 0, events: 0,
  }])
})

t.test('a secret that senders have already comes from the environment, a file or the command line, and is not printed', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'secret'), 'from-a-file\n')
  const runs = await Promise.all([
    tokenProcess(t, cwd, ['add', 'a', '--token', 'env:SPLUNK_TOKEN'], { SPLUNK_TOKEN: 'from-the-environment' }),
    tokenProcess(t, cwd, ['add', 'b', '--token', 'file:secret']),
    tokenProcess(t, cwd, ['add', 'c', '--token', 'plain']),
  ])
  t.strictSame(runs.map(({ code, stdout }) => [code, stdout]), [[0, ''], [0, ''], [0, '']])

  const server = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, url = ''] = await printedBy(server, /"url":"([^"]+)"/)

  for (const secret of ['from-the-environment', 'from-a-file', 'plain']) t.equal(await sendUntil(url, secret, 0), 200, secret)
})

const CONFIG = `indexes: [main, own]
hec:
  tokens:
    - { name: other, token: other-secret }
    - { name: set, token: set-secret, index: own, enabled: false }
`
const REFUSED = [
  { what: 'no action', args: [], code: 2, stderr: /hecate token add NAME/ },
  { what: 'an unknown action', args: ['make', 'x'], code: 2, stderr: /hecate token add NAME/ },
  { what: 'no name', args: ['add'], code: 2, stderr: /name of the token is missing/ },
  { what: 'two names', args: ['add', 'a', 'b'], code: 2, stderr: /more than one name/ },
  { what: 'a name with an escape', args: ['add', 'a\u001b[31m'], code: 2, stderr: /NAME: .*control characters/ },
  { what: 'a long name', args: ['add', 'x'.repeat(201)], code: 2, stderr: /NAME: / },
  { what: 'an unknown flag', args: ['add', 'a', '--colour', 'red'], code: 2, stderr: /--colour/ },
  { what: 'an index of no configuration', args: ['add', 'a', '--index', 'metrics'], code: 2, stderr: /index "metrics" is not in the indexes/ },
  { what: 'such an index in the list', args: ['add', 'a', '--indexes', 'own,metrics'], code: 2, stderr: /index "metrics" is not in the indexes/ },
  { what: 'a default without a value', args: ['add', 'a', '--default', 'b'], code: 2, stderr: /--default: must be NAME=VALUE/ },
  { what: 'a default of nothing', args: ['add', 'a', '--default', 'b='], code: 2, stderr: /--default: / },
  { what: 'an empty secret', args: ['add', 'a', '--token', ''], code: 2, stderr: /--token: the secret is empty/ },
  { what: 'a variable that is not set', args: ['add', 'a', '--token', 'env:NOTHING'], code: 2, stderr: /--token: environment variable NOTHING is not set/ },
  { what: 'a file that is none', args: ['add', 'a', '--token', 'file:nothing'], code: 2, stderr: /--token: .*nothing/ },
  { what: 'a name of the configuration', args: ['add', 'set'], code: 1, stderr: /the configuration sets the token "set": hec\.tokens\.1/ },
  { what: 'a secret of the configuration', args: ['add', 'a', '--token', 'set-secret'], code: 1, stderr: /another token has this secret/ },
  { what: 'a name twice', args: ['add', 'taken'], code: 1, stderr: /there is a token "taken" already/ },
  { what: 'a secret twice', args: ['add', 'a', '--token', 'taken-secret'], code: 1, stderr: /another token has this secret/ },
  { what: 'to revoke what the configuration sets', args: ['revoke', 'set'], code: 1, stderr: /the configuration sets the token "set": hec\.tokens\.1/ },
  { what: 'to revoke what is not there', args: ['revoke', 'nothing\u001b[31m'], code: 1, stderr: /there is no token "nothing\\u\{1b\}\[31m"/ },
  { what: 'a list of one name', args: ['list', 'set'], code: 2, stderr: /takes no name/ },
  { what: 'an unknown format', args: ['list', '--format', 'xml'], code: 2, stderr: /--format: must be text or json/ },
]
t.test('what makes no sense ends with exit code 2, what can not be done with 1, and neither changes anything', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), CONFIG)
  await token(cwd, ['add', 'taken', '--token', 'taken-secret', '--config', 'hecate.yaml'])
  const runs = await Promise.all(REFUSED.map(({ args }) => token(cwd, args, { HECATE_CONFIG: 'hecate.yaml' })))

  REFUSED.forEach(({ what, code, stderr }, i) => {
    t.equal(runs[i]!.code, code, what)
    t.match(runs[i]!.stderr, stderr, what)
    t.equal(runs[i]!.stdout, '', what)
  })
  const { stdout } = await token(cwd, ['list', '--config', 'hecate.yaml'])
  t.strictSame(stdout.split('\n').slice(2).map(row => row.split(/ {2,}/).slice(0, 5)), [
    ['other', 'configuration', 'enabled', 'main', 'any'], ['set', 'configuration', 'disabled', 'own', 'any'], ['taken', 'added', 'enabled', 'main', 'any'], [''],
  ])
  t.notMatch(stdout, 'secret')
})

t.test('an empty data folder has no tokens; help makes none', async t => {
  const cwd = tempDir(t)
  const help = await token(cwd, ['add', '--help'])
  t.match(help.stdout, /^usage: hecate token add/)
  t.notOk(existsSync(join(cwd, 'data')))

  t.match(await token(cwd, ['list']), { code: 0, stdout: /^there are no tokens in .*data\n$/ })
  t.strictSame(await listed(cwd), [])
})
