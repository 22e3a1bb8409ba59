import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem, type } from 'node:os'
import Database from 'better-sqlite3'
import { resourcePath } from '../src/resource.js'
import type { Table } from './report.js'

/** Puts text between `<!-- name -->` and `<!-- /name -->` of a file. Throws where the file has no such marks. */
export function writeSection (path: string, name: string, text: string): void {
  const before = readFileSync(path, 'utf8')
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`].map(mark => before.indexOf(mark)) as [number, number]
  if (start === -1 || end < start) throw new Error(`${path} has no section ${name}`)
  writeFileSync(path, `${before.slice(0, start)}<!-- ${name} -->\n${text}\n${before.slice(end)}`)
}

export function toMarkdown ({ headings, rows }: Table): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replace(/^ {2}/, '&emsp;')
  return [headings, headings.map(() => '---'), ...rows].map(row => `| ${row.map(cell).join(' | ')} |`).join('\n')
}

/** Where and with what something was measured; `dir` is where the data was. */
export interface Setting { readonly date: string, readonly machine: readonly string[], readonly versions: readonly string[] }

export function readSetting (dir: string): Setting {
  const { version } = JSON.parse(readFileSync(resourcePath('package.json'), 'utf8')) as { version: string }
  const kernel = `${type()} ${release().split('.').slice(0, 2).join('.')}`
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: [cpus()[0]?.model.trim() ?? arch(), `${availableParallelism()} cores`, `${Math.round(totalmem() / 2 ** 30)} GB of memory`, fileSystemOf(dir), kernel],
    versions: [`hecate ${version} (${readCommit()})`, `Node ${process.versions.node}`, ...sqliteVersions()],
  }
}

function sqliteVersions (): string[] {
  const { version } = JSON.parse(readFileSync(resourcePath('node_modules/better-sqlite3/package.json'), 'utf8')) as { version: string }
  const db = new Database(':memory:')
  const sqlite = db.prepare<[], string>('SELECT sqlite_version()').pluck().get()!
  db.close()
  return [`better-sqlite3 ${version}`, `SQLite ${sqlite}`]
}

/** Of the checkout that this is built from; a `+` says that something is changed in it. */
function readCommit (): string {
  const git = (...args: string[]) => {
    const { status, stdout } = spawnSync('git', args, { cwd: resourcePath('.'), encoding: 'utf8' })
    return status === 0 ? stdout.trim() : null
  }
  const head = git('rev-parse', '--short', 'HEAD')
  return head === null ? 'no commit' : `${head}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+'}`
}

/** Linux alone says. */
function fileSystemOf (dir: string): string {
  if (platform() !== 'linux') return 'file system unknown'
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map(line => line.split(' ') as [device: string, path?: string, type?: string])
  const above = mounts.filter(([, path]) => path !== undefined && `${dir}/`.startsWith(path.endsWith('/') ? path : `${path}/`))
  return above.sort(([, a], [, b]) => b!.length - a!.length)[0]?.[2] ?? 'file system unknown'
}
