import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openFolders } from '../../src/detect/folders.js'
import { bearer, tempDir, testApp } from '../fixtures/app.js'
import type { TestApp } from '../fixtures/app.js'
import { folderOf, GENERATIONS, get, runAt, sendTools } from '../fixtures/rules.js'

const RULE = GENERATIONS[2025]
const MACROS = '[source]\ndefinition = sourcetype=st\n'
const at = (time: string) => Date.parse(`2026-03-10T${time}Z`)

/** A server over a folder, whose clock is set by hand and whose folder is read again by hand. */
async function open (t: Parameters<typeof folderOf>[0], texts: Record<string, string>, { dir = folderOf(t, texts), dataDir = tempDir(t), time = '06:30:00' } = {}) {
  let nowMs = at(time)
  const ran: string[] = []
  const folders = openFolders({ shipped: [], paths: [dir], macros: [join(dir, 'macros.conf')], lookups: [], define: {} })
  const { detections: files, macroFiles } = folders.read()
  const server = await testApp(t, { dataDir, files, macroFiles, now: () => nowMs, ran: run => { ran.push(`${run.detection_id} ${new Date(run.slot_ms).toISOString().slice(11, 16)}`) } })
  server.ledger.complete(nowMs)
  return {
    ...server,
    dir,
    write: (name: string, text: string) => writeFileSync(join(dir, name), text),
    remove: (name: string) => rmSync(join(dir, name)),
    reload: () => server.ledger.reload(folders.read()),
    set (time: string) { nowMs = at(time) },
    /** Does what is due at a time; gives what was run. */
    async work (time: string): Promise<string[]> {
      nowMs = at(time)
      ran.length = 0
      while (await server.ledger.turn(nowMs) <= nowMs);
      return [...ran]
    },
  }
}

async function shown (server: Pick<TestApp, 'app'>) {
  return get(server, 'detections/a_rule')
}

t.test('files are read again where they changed, and nothing happens where none did', async t => {
  const dir = folderOf(t, { 'a_rule.yml': RULE, 'b_rule.yml': RULE, '..data/a_rule.yml': RULE, 'folder.yml/notes.txt': '', 'savedsearches.conf': '[c]\nsearch = a=1\n' })
  const folders = openFolders({ shipped: [], paths: [dir], macros: [], lookups: [], define: {} })

  const first = folders.read()
  t.equal(folders.read(), first)
  writeFileSync(join(dir, 'b_rule.yml'), RULE.replace('version: 3', 'version: 44'))
  const second = folders.read()

  t.strictSame(second.detections.map(({ id, detection }) => [id, detection?.version]), [['a_rule', 3], ['b_rule', 44], ['c', 1]])
  t.equal(second.detections[0], first.detections[0], 'the others are as they were')
  rmSync(join(dir, 'a_rule.yml'))
  t.strictSame(folders.read().detections.map(({ id }) => id), ['b_rule', 'c'])
  rmSync(dir, { recursive: true })
  t.throws(() => folders.read(), { code: 'ENOENT' }, 'a folder that is gone says nothing of its detections')
})

t.test('an edited file takes effect from its next slot on; what came due before is done as it was', async t => {
  const server = await open(t, { 'a_rule.yml': RULE, 'macros.conf': MACROS })
  t.strictSame(await server.work('07:10:00'), ['a_rule 07:00'])
  const before = (await shown(server)).definition

  server.write('a_rule.yml', RULE.replace('version: 3', 'version: 4'))
  server.set('08:10:00')
  server.reload()

  t.match(await shown(server), { version: 4, errors: [], next_run: '2026-03-10T09:00:00.000Z' })
  t.strictSame(await server.work('09:10:00'), ['a_rule 09:00', 'a_rule 08:00'])
  t.equal(server.ledgerStore.slot('a_rule', at('08:00:00'))?.definition_hash, before)
  t.equal(server.ledgerStore.slot('a_rule', at('09:00:00'))?.definition_hash, (await shown(server)).definition)
})

const BREAKS = [
  { what: 'no YAML', text: 'name: [', errors: [{ line: 1 }] },
  { what: 'a search that can not run', text: RULE.replace('| stats', '| nonsense'), errors: [{ line: 9, column: 25, message: /nonsense/ }] },
  { what: 'a schedule that is none', text: RULE + 'deployment: { scheduling: { cron_schedule: hourly } }\n', errors: [{ message: /no cron expression/ }] },
  { what: 'a Correlation', text: RULE.replace('type: TTP', 'type: Correlation'), errors: [{ line: 7, message: /Correlation/ }] },
]
for (const { what, text, errors } of BREAKS) {
  t.test(`a file that becomes ${what} goes on as it was, with the error shown, also after a restart`, async t => {
    const dataDir = tempDir(t)
    const server = await open(t, { 'a_rule.yml': RULE, 'macros.conf': MACROS }, { dataDir })
    await server.work('07:10:00')
    const before = await shown(server)

    server.write('a_rule.yml', text)
    server.reload()

    t.match(await shown(server), { name: 'A rule', enabled: true, definition: before.definition, next_run: '2026-03-10T08:00:00.000Z', errors })
    t.strictSame(await server.work('08:10:00'), ['a_rule 08:00'])
    await server.close()

    const again = await open(t, {}, { dir: server.dir, dataDir, time: '09:10:00' })
    t.match(await shown(again), { enabled: true, definition: before.definition, errors })
    t.strictSame(await again.work('09:10:00'), ['a_rule 09:00'])
    await sendTools(again)
    again.set('12:30:00')
    t.match(await runAt(again, 'a_rule'), { status: 'succeeded', findings: { created: 1 } })

    again.write('a_rule.yml', RULE.replace('version: 3', 'version: 4'))
    again.reload()
    t.match(await shown(again), { version: 4, errors: [] })
    t.strictSame(await again.work('13:10:00'), ['a_rule 13:00', 'a_rule 10:00', 'a_rule 11:00'], 'no slot is left out; that of 12:00 was run by hand')
  })
}

t.test('settings of a detection whose file is broken can be changed', async t => {
  const server = await open(t, { 'a_rule.yml': RULE, 'macros.conf': MACROS })
  server.write('a_rule.yml', 'name: [')
  server.reload()
  const patch = async (payload: object) => (await server.app.inject({ method: 'PATCH', url: '/api/v1/detections/a_rule', headers: bearer, payload })).json()

  t.match(await patch({ schedule: { cron: 'hourly' } }), { status: 400, errors: [{ detail: /no cron expression/ }] })
  t.match(await patch({ schedule: { cron: '30 * * * *' } }), { schedule: { cron: '30 * * * *' }, definition: /./, next_run: '2026-03-10T07:30:00.000Z' })
  t.match(await patch({ enabled: false }), { enabled: false, next_run: null })
  t.strictSame(await server.work('09:10:00'), [])
})

t.test('a new file begins with its next slot, a removed one is owed nothing more', async t => {
  const server = await open(t, { 'a_rule.yml': RULE, 'macros.conf': MACROS })
  server.set('07:10:00')
  server.write('b_rule.yml', RULE)
  server.remove('a_rule.yml')
  server.reload()

  t.strictSame((await get(server, 'detections')).items.map(({ id }: { id: string }) => id), ['b_rule'])
  t.strictSame((await server.work('08:10:00')).sort(), ['a_rule 07:00', 'b_rule 08:00'], 'the slot of 07:00 came due before the file was removed')
})

t.test('an edited macro takes effect in the detections that call it', async t => {
  const server = await open(t, { 'a_rule.yml': RULE.replace('search: sourcetype=st', 'search: |-\n  `source`'), 'macros.conf': MACROS })
  const before = await shown(server)
  server.write('macros.conf', '[source]\ndefinition = sourcetype=other\n')
  server.reload()
  const changed = await shown(server)
  server.write('macros.conf', '[nothing]\ndefinition = a\n')
  server.reload()

  t.not(changed.definition, before.definition)
  t.match(await shown(server), { definition: changed.definition, errors: [{ line: 10, column: 3, message: /The macro "source"/ }] })
})
