import fc from '../fixtures/fast-check.js'
import t from 'tap'
import { highlight } from '../../src/spl/highlight.js'

/** `kind:text` of each piece. */
const piecesOf = (search: string) => highlight(search).map(({ kind, start, end }) => `${kind}:${search.slice(start, end)}`)

const CASES: readonly (readonly [search: string, pieces: readonly string[]])[] = [
  ['`base` process_name IN ("sh", bash) NOT x=1', ['macro:`base`', 'field:process_name', 'keyword:IN', 'operator:(', 'string:"sh"', 'operator:,', 'value:bash', 'operator:)', 'keyword:NOT', 'field:x', 'operator:=', 'number:1']],
  ['search a=b | where lower(x)=\'y z\' AND n>1.5 OR like(x, y)', ['command:search', 'field:a', 'operator:=', 'value:b', 'pipe:|', 'command:where', 'function:lower', 'operator:(', 'field:x', 'operator:)', 'operator:=', 'field:\'y z\'', 'keyword:AND', 'field:n', 'operator:>', 'number:1.5', 'keyword:OR', 'function:like', 'operator:(', 'field:x', 'operator:,', 'field:y', 'operator:)']],
  ['* ```why``` | bin span=5m _time', ['value:*', 'comment:```why```', 'pipe:|', 'command:bin', 'option:span', 'operator:=', 'value:5m', 'field:_time']],
  ['* | stats count sum(eval(a/b)) AS s BY host', ['value:*', 'pipe:|', 'command:stats', 'function:count', 'function:sum', 'operator:(', 'function:eval', 'operator:(', 'field:a', 'operator:/', 'field:b', 'operator:)', 'operator:)', 'keyword:AS', 'field:s', 'keyword:BY', 'field:host']],
  ['a=1 [search b=2 | fields host] c=3', ['field:a', 'operator:=', 'number:1', 'operator:[', 'command:search', 'field:b', 'operator:=', 'number:2', 'pipe:|', 'command:fields', 'field:host', 'operator:]', 'field:c', 'operator:=', 'number:3']],
  ['* | foreach n_* [eval <<FIELD>> = <<FIELD>> + 1]', ['value:*', 'pipe:|', 'command:foreach', 'field:n_*', 'operator:[', 'command:eval', 'field:<<FIELD>>', 'operator:=', 'field:<<FIELD>>', 'operator:+', 'number:1', 'operator:]']],
  ['| tstats count FROM datamodel=Endpoint.Processes WHERE x="y"', ['pipe:|', 'command:tstats', 'function:count', 'keyword:FROM', 'field:datamodel', 'operator:=', 'value:Endpoint.Processes', 'keyword:WHERE', 'field:x', 'operator:=', 'string:"y"']],
]

t.test('the pieces of a search are told apart as its commands read them', async t => {
  for (const [search, pieces] of CASES) t.strictSame(piecesOf(search), pieces, search)
})

t.test('what is wrong, or not written to its end, has pieces too', async t => {
  t.strictSame(piecesOf('a="b | stats'), ['field:a', 'operator:=', 'string:"b | stats'])
  t.strictSame(piecesOf('* | eval x=\'y'), ['value:*', 'pipe:|', 'command:eval', 'field:x', 'operator:=', 'string:\'y'])
  t.strictSame(piecesOf('`open'), ['macro:`open'])
  t.strictSame(piecesOf('* | where \'a```b```c'), ['value:*', 'pipe:|', 'command:where', 'string:\'a', 'comment:```b```', 'string:c'])
  t.strictSame(piecesOf('* | nosuch a ] ) b'), ['value:*', 'pipe:|', 'command:nosuch', 'field:a', 'operator:]', 'operator:)', 'field:b'])
})

t.test('whatever is written, pieces are in order, apart, and none is empty', async () => {
  const part = fc.oneof(fc.constantFrom('|', '[', ']', '(', ')', '"', '\'', '`', '```', ' ', '\n', '=', '!', '\\', 'search', 'eval', 'stats', 'foreach', 'where', 'by', '<<FIELD>>', '🙂', 'a'), fc.string())
  fc.assert(fc.property(fc.array(part, { maxLength: 60 }).map(parts => parts.join('')), search => {
    let at = 0
    for (const { start, end } of highlight(search)) {
      if (start < at || end <= start || end > search.length) return false
      at = end
    }
    return true
  }), { numRuns: 5_000 })
})

t.test('a long search takes time in proportion', async t => {
  for (const text of ['[', '(', '`', '"', '\'', '| eval x=(', 'a=[', '```', ' ']) t.ok(highlight(text.repeat(Math.floor(100_000 / text.length))).length < 200_001)
})
