import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import Database from 'better-sqlite3'
import { auth, bearer, KEY, tempDir, TOKEN } from '../fixtures/app.js'
import { command } from '../fixtures/command.js'
import { until } from '../fixtures/http.js'
import { hecate, printedBy } from '../fixtures/process.js'

const CLIENTS = 8

/** A folder with the configuration of a server on any port that is free. */
function configured (t: Test): string {
  const cwd = tempDir(t)
  writeFileSync(join(cwd, 'hecate.yaml'), JSON.stringify({
    listen: { port: 0 },
    hec: { tokens: [{ name: 'test', token: TOKEN }] },
    api: { keys: [{ name: 'test', key: KEY, role: 'admin' }] },
  }))
  return cwd
}

async function serve (t: Test, cwd: string, args: readonly string[] = []) {
  const process = hecate(t, ['serve', '--config', 'hecate.yaml', ...args], { cwd })
  const [, url] = await printedBy(process, /"url":"([^"]+)","data_dir"/)
  return { ...process, url: url! }
}

const ENV = { HECATE_CONFIG: 'hecate.yaml' }
const backup = (cwd: string, args: readonly string[]) => command(['backup', ...args], { cwd, env: ENV })

/** The same in a process of its own. */
async function backupProcess (t: Test, cwd: string, args: readonly string[]) {
  const run = hecate(t, ['backup', ...args], { cwd, env: ENV })
  return { code: await run.exited, ...run.printed }
}

/** A folder with data that a server has made and left; made once, and copied for each test. */
async function makeUsedFolder (t: Test): Promise<string> {
  const cwd = configured(t)
  const { child, exited, url } = await serve(t, cwd)
  await send(url, 'before')
  child.kill('SIGTERM')
  await exited
  return cwd
}

const USED = await makeUsedFolder(t)

function usedFolder (t: Test): string {
  const cwd = tempDir(t)
  cpSync(USED, cwd, { recursive: true })
  return cwd
}

async function send (url: string, event: unknown): Promise<number> {
  const res = await fetch(`${url}/services/collector`, { method: 'POST', headers: auth, body: JSON.stringify({ event }) })
  return res.status
}

/** Every event with its id, in the order of storing. */
async function stored (url: string): Promise<{ id: number, event: unknown }[]> {
  const all: { id: number, event: unknown }[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const res = await fetch(`${url}/api/v1/events?order_by=id&limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`, { headers: bearer })
    const page = await res.json() as { items: { id: number, event: unknown }[], next_cursor: string | null }
    all.push(...page.items)
    cursor = page.next_cursor
  }
  return all
}

t.test('a backup beside a server under load has every event that was acknowledged before it began, and no id is dealt twice by who starts on it', async t => {
  const cwd = configured(t)
  const server = await serve(t, cwd)
  const acknowledged: number[] = []
  let next = 0
  const enough = new AbortController()
  const post = async () => {
    while (!enough.signal.aborted) {
      const one = next++
      if (await send(server.url, one) === 200) acknowledged.push(one)
    }
  }
  const posting = Array.from({ length: CLIENTS }, post)
  await until(() => acknowledged.length > 100)
  const before = [...acknowledged]

  const run = await backupProcess(t, cwd, ['copy'])
  const after = acknowledged.length
  await until(() => acknowledged.length > after + 100)
  enough.abort()
  await Promise.all(posting)
  const original = await stored(server.url)
  server.child.kill('SIGKILL')
  await server.exited

  t.equal(run.code, 0, run.stderr)
  t.match(run.stdout, /^[\d,]+ events, 3 files, [\d.,]+ MB copied to .*copy in [\d.]+ s\n$/)
  t.equal(run.stderr, '')
  const { position, event_count: count } = JSON.parse(readFileSync(join(cwd, 'copy', 'backup.json'), 'utf8')) as { position: string, event_count: number }
  rmSync(join(cwd, 'data'), { recursive: true })
  cpSync(join(cwd, 'copy'), join(cwd, 'data'), { recursive: true })
  const restored = await serve(t, cwd)
  const kept = await stored(restored.url)
  t.strictSame(kept, original.filter(({ id }) => id <= Number(position)), 'all up to its position, as they were')
  t.equal(kept.length, count)
  const events = new Set(kept.map(({ event }) => event))
  t.strictSame(before.filter(one => !events.has(one)), [])
  t.ok(original.length > kept.length, 'the server went on')
  t.equal(await send(restored.url, 'new'), 200)
  const last = (await stored(restored.url)).at(-1)!
  t.equal(last.event, 'new')
  t.ok(last.id > original.at(-1)!.id)
})

t.test('a server can start on the copy of a server that runs, beside it', async t => {
  const cwd = configured(t)
  const server = await serve(t, cwd)
  await send(server.url, 'a')
  t.equal((await backup(cwd, ['copy'])).code, 0)

  const second = await serve(t, cwd, ['--data-dir', 'copy'])

  t.match(await stored(second.url), [{ id: 1, event: 'a' }])
  t.notOk(existsSync(join(cwd, 'copy', 'first-start')))
})

t.test('no server need run; what is copied stays as it is', async t => {
  const cwd = usedFolder(t)
  const partition = readdirSync(join(cwd, 'data', 'events')).find(name => name.endsWith('.db'))!
  const read = () => ['control.db', 'event-id-mark', join('events', partition)].map(name => readFileSync(join(cwd, 'data', name)))
  const before = read()

  const run = await backupProcess(t, cwd, ['copy', '--data-dir', 'data'])

  t.equal(run.code, 0, run.stderr)
  t.equal(statSync(join(cwd, 'copy')).mode & 0o777, 0o700)
  t.strictSame(read(), before)
  t.match(await backup(cwd, ['copy', '--verify']), { code: 0, stdout: /^1 event, 3 files, .*: as it was written\n$/, stderr: '' })
  writeFileSync(join(cwd, 'copy', 'control.db'), 'x')
  t.match(await backup(cwd, ['copy', '--verify']), { code: 1, stdout: '', stderr: 'control.db is not as it was written\n' })
})

const REFUSED = [
  { what: 'no folder', args: [], code: 2, stderr: /say which folder: hecate backup DIR/ },
  { what: 'an empty name', args: [''], code: 2, stderr: /say which folder/ },
  { what: 'two folders', args: ['a', 'b'], code: 2, stderr: /say which folder/ },
  { what: 'an unknown flag', args: ['a', '--colour'], code: 2, stderr: /--colour/ },
  { what: 'a folder that is not empty', args: ['full'], code: 2, stderr: /^hecate backup: .*full is not empty\n$/ },
  { what: 'the data folder', args: ['data'], code: 2, stderr: /data is not empty/ },
  { what: 'a file', args: ['hecate.yaml'], code: 2, stderr: /hecate\.yaml is no folder/ },
  { what: 'a folder in one that is not there', args: ['nowhere/copy'], code: 1, stderr: /^hecate backup: ENOENT: .*nowhere.copy'\n$/ },
  { what: 'a data folder that is none', args: ['a', '--data-dir', 'full'], code: 2, stderr: /full is no data folder: there is no control\.db in it/ },
  { what: 'to look at what is no backup', args: ['full', '--verify'], code: 2, stderr: /full holds no whole backup: there is no backup\.json in it/ },
]
t.test('what makes no sense ends with exit code 2, what can not be done with 1, and neither writes anything', async t => {
  const cwd = usedFolder(t)
  mkdirSync(join(cwd, 'full'))
  writeFileSync(join(cwd, 'full', 'something'), '')
  const names = readdirSync(cwd)
  const runs = await Promise.all(REFUSED.map(({ args }) => backup(cwd, args)))

  REFUSED.forEach(({ what, code, stderr }, i) => {
    t.equal(runs[i]!.code, code, what)
    t.match(runs[i]!.stderr, stderr, what)
    t.equal(runs[i]!.stdout, '', what)
  })
  t.strictSame(readdirSync(cwd), names)
})

/** A backup that waits: a first partition is locked, as no server locks one. `unlock` lets it go on. */
async function waitingBackup (t: Test, cwd: string) {
  const locked = new Database(join(cwd, 'data', 'events', '2000-01-01.db'))
  t.teardown(() => locked.close())
  locked.exec('CREATE TABLE any (a); BEGIN EXCLUSIVE')
  const run = hecate(t, ['backup', 'copy', '--config', 'hecate.yaml'], { cwd })
  await until(() => existsSync(join(cwd, 'copy', 'unfinished', 'events', '2000-01-01.db')))
  return { ...run, unlock: () => { locked.exec('COMMIT') } }
}

t.test('a backup that is interrupted ends with 1 and leaves nothing', async t => {
  const cwd = usedFolder(t)
  const { child, printed, exited, unlock } = await waitingBackup(t, cwd)

  child.kill('SIGINT')
  unlock()

  t.equal(await exited, 1)
  t.equal(printed.stderr, 'hecate backup: stopped\n')
  t.equal(printed.stdout, '')
  t.notOk(existsSync(join(cwd, 'copy')))
})

t.test('a backup that is killed can not be taken for one, and is not written over', async t => {
  const cwd = usedFolder(t)
  const { child, exited } = await waitingBackup(t, cwd)

  child.kill('SIGKILL')
  await exited

  t.strictSame(readdirSync(join(cwd, 'copy')), ['unfinished'])
  t.match(await backup(cwd, ['copy', '--verify']), { code: 2, stderr: /holds no whole backup/ })
  t.match(await backup(cwd, ['copy']), { code: 2, stderr: /holds a backup that is not finished/ })
})
