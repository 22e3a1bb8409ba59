import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { tempDir } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { hecate, printedBy } from '../fixtures/process.js'

const key = (cwd: string, args: readonly string[], env: Record<string, string> = {}) => command(['key', ...args], { cwd, env })

async function listed (cwd: string, args: readonly string[] = []): Promise<{ name: string, role: string, expires_at: string | null }[]> {
  const { stdout } = await key(cwd, ['list', '--format', 'json', ...args])
  return (JSON.parse(stdout) as { keys: { name: string, role: string, expires_at: string | null }[] }).keys
}

t.test('a running server takes an added key, and no more once it is revoked', async t => {
  const cwd = tempDir(t)
  const server = hecate(t, ['serve', '--listen-port', '0'], { cwd })
  const [, url = ''] = await printedBy(server, /"url":"([^"]+)"/)
  const ask = async (secret: string) => (await fetch(`${url}/api/v1/session`, { headers: { authorization: `Bearer ${secret}` } })).status
  const added = await key(cwd, ['add', 'soc', '--role', 'analyst', '--expires', '+90d'])
  t.equal(added.code, 0, added.stderr)
  t.match(added.stdout, /^[\w-]{32}\n$/, 'the secret alone, for $(…)')
  const secret = added.stdout.trim()

  t.equal(await ask(secret), 200)
  t.match(await listed(cwd), [{ name: 'first', role: 'admin', expires_at: null }, { name: 'soc', role: 'analyst', expires_at: /^20/ }])
  t.equal((await key(cwd, ['revoke', 'soc'])).code, 0)
  t.equal(await ask(secret), 401)
  server.child.kill('SIGTERM')
  t.equal(await server.exited, 0)
  t.notMatch(server.printed.stdout + server.printed.stderr, secret)
})

t.test('hecate key list says what there is', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), 'api: { keys: [{ name: ops, key: a-secret, role: admin }] }\n')
  t.equal((await key(cwd, ['list'])).stdout, `there are no keys in ${join(cwd, 'data')}\n`)
  await key(cwd, ['add', 'page', '--role', 'viewer'])
  const { stdout } = await key(cwd, ['list', '--config', 'hecate.yaml'])

  t.match(stdout, /^ops +configuration +admin +enabled +never +never$/m)
  t.match(stdout, /^page +added +viewer +enabled +20\S+Z +never +never$/m)
  t.notMatch(stdout, 'a-secret')
})

const REFUSED = [
  { what: 'no action', args: [], code: 2, stderr: /hecate key add NAME/ },
  { what: 'no name', args: ['add', '--role', 'viewer'], code: 2, stderr: /name of the key is missing/ },
  { what: 'two names', args: ['add', 'a', 'b', '--role', 'viewer'], code: 2, stderr: /more than one name/ },
  { what: 'a name with an escape', args: ['add', 'a\u001b[31m', '--role', 'viewer'], code: 2, stderr: /NAME: .*control characters/ },
  { what: 'no role', args: ['add', 'a'], code: 2, stderr: /--role: must be one of viewer, analyst, admin/ },
  { what: 'a role that is none', args: ['add', 'a', '--role', 'root'], code: 2, stderr: /--role: must be one of/ },
  { what: 'an end in the past', args: ['add', 'a', '--role', 'viewer', '--expires', '-1d'], code: 2, stderr: /--expires is not in the future/ },
  { what: 'a name of the configuration', args: ['add', 'ops', '--role', 'viewer'], code: 1, stderr: /the configuration sets the key "ops": api\.keys\.0/ },
  { what: 'a name twice', args: ['add', 'taken', '--role', 'viewer'], code: 1, stderr: /there is a key "taken" already/ },
  { what: 'to revoke what the configuration sets', args: ['revoke', 'ops'], code: 1, stderr: /the configuration sets the key "ops"/ },
  { what: 'to revoke what is not there', args: ['revoke', 'nothing\u001b[31m'], code: 1, stderr: /there is no key "nothing\\u\{1b\}\[31m"/ },
  { what: 'a list of one name', args: ['list', 'ops'], code: 2, stderr: /takes no name/ },
  { what: 'an unknown format', args: ['list', '--format', 'xml'], code: 2, stderr: /--format: must be text or json/ },
]
t.test('what makes no sense ends with exit code 2, what can not be done with 1, and neither changes anything', async t => {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), 'api: { keys: [{ name: ops, key: a-secret, role: viewer }] }\n')
  await key(cwd, ['add', 'taken', '--role', 'admin', '--config', 'hecate.yaml'])
  for (const { what, args, code, stderr } of REFUSED) {
    const run = await key(cwd, args, { HECATE_CONFIG: 'hecate.yaml' })
    t.equal(run.code, code, what)
    t.match(run.stderr, stderr, what)
    t.equal(run.stdout, '', what)
  }
  const last = await key(cwd, ['revoke', 'taken'], { HECATE_CONFIG: 'hecate.yaml' })
  t.equal(last.code, 1)
  t.match(last.stderr, /"taken" is the last key with the role admin/)
  t.strictSame((await listed(cwd, ['--config', 'hecate.yaml'])).map(({ name }) => name), ['ops', 'taken'])
})
