import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { tempDir, TOKEN } from '../fixtures/app.js'
import { MAIN } from '../fixtures/process.js'

const hasStrace = spawnSync('strace', ['-V']).status === 0
const skip = hasStrace || process.env.CI === 'true' ? false : 'strace is not installed'
const REQUESTS = 10

/** System calls of a server that takes requests one after the other: 'sync' of the partition's WAL, 'ok' for a 200 of HEC. */
async function traced (t: Test, durability: string): Promise<('sync' | 'ok')[]> {
  const dir = tempDir(t)
  writeFileSync(join(dir, 'config.yaml'), `
    listen: { port: 0 }
    data: { durability: ${durability} }
    hec: { tokens: [{ name: test, token: ${TOKEN} }] }
    api: { keys: [{ name: test, key: test, role: viewer }] }
  `)
  const trace = join(dir, 'trace')
  // -y shows the path of each file descriptor, -s enough of a reply to see its status.
  const args = ['-f', '-y', '-s', '64', '-e', 'trace=fsync,fdatasync,write,writev,sendto,sendmsg', '-o', trace, process.execPath, MAIN, 'serve', '--config', 'config.yaml']
  const strace = spawn('strace', args, { cwd: dir, env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => strace.kill('SIGKILL'))
  let printed = ''
  strace.stdout.setEncoding('utf8').on('data', (text: string) => { printed += text })
  const find = async (pattern: RegExp) => {
    while (!pattern.test(printed)) await once(strace.stdout, 'data')
    return pattern.exec(printed)![1]!
  }
  const url = await find(/"url":"([^"]+)"/)
  const pid = Number(await find(/"pid":(\d+)/))

  for (let i = 0; i < REQUESTS; i++) {
    const res = await fetch(`${url}/services/collector/event`, { method: 'POST', headers: { authorization: `Splunk ${TOKEN}` }, body: `{"event":"${i}"}` })
    t.equal(res.status, 200)
  }
  process.kill(pid, 'SIGTERM')
  await once(strace, 'close')

  const steps: ('sync' | 'ok')[] = []
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    // A call that another thread interrupts is two lines; the sync counts when it is through.
    if (/f(?:data)?sync\(\d+<[^>]*\/events\/[^>]*-wal>\) += 0/.test(line) || /f(?:data)?sync resumed>\) += 0/.test(line)) steps.push('sync')
    else if (/(?:write|writev|sendto|sendmsg)\(.*HTTP\/1\.1 200 OK/.test(line)) steps.push('ok')
  }
  return steps
}

/** Whether there is a sync before each 200, after the 200 before it. */
function isSyncedBeforeEach (steps: readonly ('sync' | 'ok')[]): boolean {
  let synced = false
  for (const step of steps) {
    if (step === 'ok' && !synced) return false
    synced = step === 'sync'
  }
  return true
}

t.test('durability full: the WAL is synced before each 200', { skip }, async t => {
  const steps = await traced(t, 'full')

  t.equal(steps.filter(step => step === 'ok').length, REQUESTS)
  t.ok(isSyncedBeforeEach(steps), steps.join(' '))
})

t.test('durability normal: the same check fails', { skip }, async t => {
  const steps = await traced(t, 'normal')

  t.equal(steps.filter(step => step === 'ok').length, REQUESTS)
  t.notOk(isSyncedBeforeEach(steps), steps.join(' '))
})
