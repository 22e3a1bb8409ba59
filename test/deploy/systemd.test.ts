import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../src/config.js'
import { resourcePath } from '../../src/resource.js'
import { tempDir } from '../fixtures/app.js'
import { PATH, withoutSystemdAnalyze } from '../fixtures/clients.js'

const unit = readFileSync(resourcePath('deploy/systemd/hecate.service'), 'utf8')
const skip = withoutSystemdAnalyze()

function analyze (t: Parameters<typeof tempDir>[0], ...args: readonly string[]) {
  const file = join(tempDir(t), 'hecate.service')
  writeFileSync(file, unit.replace('/usr/bin/node', process.execPath)) // wherever Node is here
  return spawnSync('systemd-analyze', [...args, file], { encoding: 'utf8', env: { PATH } })
}

t.test('systemd has nothing to say against the unit', { skip }, async t => {
  const { status, stdout, stderr } = analyze(t, 'verify')

  t.strictSame([status, stdout, stderr], [0, '', ''])
})

t.test('systemd finds that the unit is exposed little', { skip }, async t => {
  const { status, stdout } = analyze(t, 'security', '--offline=true', '--threshold=15') // 1.5 of 10

  t.equal(status, 0, stdout)
})

t.test('what the manual copies for the unit is what the image has', async t => {
  const [, copied] = /^sudo cp -r (.*) \/opt\/hecate$/m.exec(readFileSync(resourcePath('docs/operations.md'), 'utf8')) ?? []
  const image = readFileSync(resourcePath('Dockerfile'), 'utf8').split(/^FROM /m).at(-1)!
  const inImage = [...image.matchAll(/^COPY (?:--from=build )?(.*) \S+$/gm)].flatMap(([, from]) => from!.split(' ')).map(path => path.replace('/app/', ''))

  t.strictSame(copied?.split(' ').sort(), inImage.sort())
})

t.test('the unit\'s configuration is one, and its data folder is the unit\'s', async t => {
  const cwd = tempDir(t)
  copyFileSync(resourcePath('deploy/systemd/hecate.yaml'), join(cwd, 'hecate.yaml'))
  for (const name of ['hec-token', 'api-key']) writeFileSync(join(cwd, name), `${name} of this machine\n`)

  const { data, hec, api } = loadConfig({ file: 'hecate.yaml', env: {}, flags: {}, cwd })

  t.equal(data.dir, `/var/lib/${/^StateDirectory=(.*)$/m.exec(unit)![1]!}`)
  t.strictSame([hec.tokens[0]!.token, api.keys[0]!.key], ['hec-token of this machine', 'api-key of this machine'])
})
