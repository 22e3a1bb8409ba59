import t from 'tap'
import { parseSearch } from '../../src/spl/parse.js'
import { runStages } from '../../src/spl/stages/run.js'
import type { Row, Value } from '../../src/spl/row.js'
import { CONTEXT } from './memory-store.js'

function * countingRows (total: number, onRow: () => void): Iterable<Row> {
  for (let id = 0; id < total; id++) {
    onRow()
    yield { values: new Map([['_time', id]]), origin: [id] }
  }
}

const stagesOf = (text: string) => parseSearch(text, new Map()).stages

t.test('alive is asked every so many rows, and stops the search by throwing', async t => {
  let read = 0
  let asked = 0
  const alive = () => { if (++asked === 3) throw new Error('deadline') }

  t.throws(() => [...runStages(stagesOf('* | stats count BY _time'), countingRows(1e6, () => read++), { ...CONTEXT, alive })], /deadline/)

  t.ok(read < 10_000, `${read} rows were read`)
})

t.test('alive is asked while the rows of stats go by, too', async t => {
  let asked = 0
  const rows = runStages(stagesOf('* | stats count BY _time | where count>1'), countingRows(5_000, () => {}), { ...CONTEXT, alive: () => asked++ })

  t.equal([...rows].length, 0)
  t.equal(asked, 10)
})

t.test('rows come as they are read, and are read no further than asked', async t => {
  let read = 0
  const rows = runStages(stagesOf('* | bin _time span=2s | eval x=_time | where x>3 | convert ctime(x) | table x'), countingRows(1e9, () => read++), CONTEXT)

  const first = rows[Symbol.iterator]().next()

  t.strictSame(first.value?.origin, [4], 'table keeps where the row comes from')
  t.equal(read, 5)
})

t.test('head reads no further than it gives', async t => {
  let read = 0

  t.equal([...runStages(stagesOf('* | head 3'), countingRows(1e9, () => read++), CONTEXT)].length, 3)
  t.equal(read, 3)
})

t.test('what has to hold too many results is refused, not tried', async t => {
  const long = 'x'.repeat(1_000_000)
  const commands = ['sort 0 n', 'reverse', 'tail 5000', 'fillnull', 'dedup n sortby n', 'eventstats count', 'top text n', 'foreach n [eval x=1]']
  for (const command of commands) {
    const rows = Array.from({ length: 300 }, (_, n): Row => ({ values: new Map<string, Value>([['n', n], ['text', `${n}${long}`]]), origin: [n] }))
    t.throws(() => [...runStages(stagesOf(`* | ${command}`), rows, CONTEXT)], { code: 'invalid', message: new RegExp(`^${command.split(' ')[0]} .*more than 256 MB`) }, command)
  }
  const wide: Row = { values: new Map(Array.from({ length: 1_001 }, (_, n) => [`f${n}`, n])), origin: [1] }
  t.throws(() => [...runStages(stagesOf('* | foreach * [eval x_<<FIELD>> = 1]'), [wide], CONTEXT)], { code: 'invalid', message: /more than 1000 fields/ })
  t.throws(() => [...runStages(stagesOf('* | dedup _time | stats count'), countingRows(1_000_001, () => {}), CONTEXT)], /^dedup would have to hold more than 1000000 results/)
})

t.test('an unknown time zone is refused before the first row', async t => {
  t.throws(() => runStages(stagesOf('* | convert ctime(_time)'), [], { ...CONTEXT, timeZone: 'Mars/Olympus' }), /Unknown time zone/)
})
