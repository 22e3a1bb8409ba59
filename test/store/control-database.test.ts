import { existsSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCheckpoints } from '../../src/store/control/checkpoints.js'
import { openControlDatabase, syncWal, withoutSync } from '../../src/store/control/open.js'
import { tempDir } from '../fixtures/app.js'

const FULL = 2
const NORMAL = 1
const PAGE_BYTES = 4_096

t.test('a thread takes what is committed into the database, and who commits does not', async t => {
  const dir = tempDir(t)
  const db = openControlDatabase(dir)
  const reports: string[] = []
  const checkpoints = startCheckpoints(db, message => reports.push(message))
  const sizeBefore = statSync(join(dir, 'control.db')).size
  db.exec('CREATE TABLE page (text TEXT)')
  const insert = db.prepare('INSERT INTO page (text) VALUES (?)')
  for (let n = 0; n < 1_500; n++) insert.run('x'.repeat(3_000)) // a page or more each

  // A commit of its own would do so not before 10,000 pages.
  while (statSync(join(dir, 'control.db')).size < sizeBefore + 1_000 * PAGE_BYTES) await new Promise(resolve => setTimeout(resolve, 20))

  await checkpoints.close()
  db.close()
  t.notOk(existsSync(join(dir, 'control.db-wal')), 'nobody holds it')
  t.strictSame(reports, [])
})

t.test('where the thread can not do it somebody is told, and commits go on', async t => {
  const dir = tempDir(t)
  const db = openControlDatabase(dir)
  renameSync(join(dir, 'control.db'), join(dir, 'elsewhere.db'))
  const told = new Promise<string>(resolve => {
    const checkpoints = startCheckpoints(db, resolve)
    t.teardown(async () => { await checkpoints.close(); db.close() })
  })

  t.match(await told, /unable to open|does not exist/)
  db.exec('CREATE TABLE page (text TEXT)')
})

t.test('commits that need not wait for the disk don\'t, and those behind them do', async t => {
  const db = openControlDatabase(tempDir(t))
  t.teardown(() => db.close())
  const level = () => db.pragma('synchronous', { simple: true })

  t.equal(level(), FULL)
  t.equal(withoutSync(db, level), NORMAL)
  t.equal(level(), FULL)
  t.throws(() => withoutSync(db, () => { throw new Error('no') }), /no/)
  t.equal(level(), FULL)
})

t.test('who waits for the disk waits for a sync that another has begun, and one that fails is made up for', async t => {
  const dir = tempDir(t)
  const db = openControlDatabase(dir)
  t.teardown(() => db.close())
  const wal = join(dir, 'control.db-wal')
  withoutSync(db, () => db.exec('CREATE TABLE page (text TEXT)'))
  renameSync(wal, `${wal}.away`)
  const both = await Promise.allSettled([syncWal(db), syncWal(db)])
  t.strictSame(both.map(({ status }) => status), ['rejected', 'rejected'])

  renameSync(`${wal}.away`, wal)
  await t.resolves(Promise.all([syncWal(db), syncWal(db)]))
  renameSync(wal, `${wal}.away`)
  await t.resolves(syncWal(db), 'nothing is left to do')
  renameSync(`${wal}.away`, wal)
})
