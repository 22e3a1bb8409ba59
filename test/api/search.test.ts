import t from 'tap'
import { ARRIVAL_MS, bearer, post, testApp } from '../fixtures/app.js'
import type { TestApp } from '../fixtures/app.js'

function search ({ app }: TestApp, payload: object) {
  return app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload })
}

const EVENTS = [
  { time: 100, sourcetype: 'st', event: { a: 'x', n: 1, list: ['p', 'q'] } },
  { time: 200, sourcetype: 'st', event: { a: 'y', n: 2 } },
  { time: 300, sourcetype: 'other', event: 'plain text' },
].map(event => JSON.stringify(event)).join('')

t.test('a search without stats gives events, newest first, with the columns of table', async t => {
  const server = await testApp(t)
  await post(server, EVENTS)

  const res = await search(server, { search: 'sourcetype=st | table _time a list{} nothing' })

  t.equal(res.statusCode, 200)
  const { stats, window, ...rest } = res.json()
  t.strictSame(rest, {
    fields: ['_time', 'a', 'list{}', 'nothing'],
    rows: [{ _time: 200, a: 'y' }, { _time: 100, a: 'x', 'list{}': ['p', 'q'] }],
    truncated: false,
    warnings: [],
  })
  t.strictSame(stats, { scanned_events: 3, elapsed_ms: 0 })
  t.match(window, { earliest: /^0000/, latest: /^9999/ })
})

t.test('now() is the start of the search, and a text that is too costly for a pattern is a warning', async t => {
  const server = await testApp(t)
  await post(server, JSON.stringify({ time: 100, sourcetype: 'st', event: { a: 'a'.repeat(5_000) + '!' } }).repeat(2))

  const res = await search(server, { search: '* | eval x=now(), y=if(match(a, "(?=(a+)+$)"), 1, 0) | table x y' })

  t.strictSame(res.json().rows, [{ x: ARRIVAL_MS / 1000, y: 0 }, { x: ARRIVAL_MS / 1000, y: 0 }])
  t.strictSame(res.json().warnings, ['A text took too many steps for the regular expression "(?=(a+)+$)", and counts as no match (2 times)'])
})

t.test('stats, the window and the limit', async t => {
  const server = await testApp(t)
  await post(server, EVENTS)

  t.strictSame((await search(server, { search: '* | stats count' })).json().rows, [{ count: 3 }])
  t.strictSame((await search(server, { search: '* | stats count', earliest: 100, latest: '200' })).json().rows, [{ count: 1 }])
  t.match((await search(server, { search: '* | table _time', limit: 2 })).json(), { rows: [{ _time: 300 }, { _time: 200 }], truncated: true })
  t.strictSame((await search(server, { search: '* | stats values(a) AS a BY sourcetype' })).json().rows, [{ sourcetype: 'other' }, { sourcetype: 'st', a: ['x', 'y'] }])
})

t.test('all fields of events are columns where the search does not say', async t => {
  const server = await testApp(t)
  await post(server, EVENTS)

  const { fields, rows } = (await search(server, { search: 'a=x' })).json()

  t.strictSame(fields, Object.keys(rows[0]))
  t.match(rows, [{ _time: 100, a: 'x', n: 1, 'list{}': ['p', 'q'], sourcetype: 'st', index: 'main', _raw: '{"a":"x","n":1,"list":["p","q"]}' }])
})

t.test('what can not be run says where and why', async t => {
  const server = await testApp(t)

  const res = await search(server, { search: '*\n| transaction host' })

  t.equal(res.statusCode, 400)
  t.match(res.json().detail, /^2:3: .*transaction.*\n {2}\| transaction host\n {4}\^$/)
  t.match(res.json().errors, [{ pointer: '/search', detail: /transaction/ }])
})

t.test('hostile field names are plain columns', async t => {
  const server = await testApp(t)
  await post(server, '{"time":1,"event":{"__proto__":"p","constructor":"c","toString":"t"}}')

  const { rows } = JSON.parse((await search(server, { search: '* | table __proto__ constructor toString' })).body.replace('__proto__', 'proto').replace('__proto__', 'proto'))

  t.strictSame(rows, [{ proto: 'p', constructor: 'c', toString: 't' }])
})

t.test('a search that would hold too much is refused with the reason', async t => {
  const server = await testApp(t)
  await post(server, JSON.stringify({ event: Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`f${n}`, n])) }))

  const res = await search(server, { search: '* | foreach f* [eval x_<<FIELD>> = 1]' })

  t.equal(res.statusCode, 400)
  t.match(res.json().detail, /^foreach would have to go through more than 1000 fields$/)
})

t.test('commands that hang on the order of events get them newest first', async t => {
  const server = await testApp(t)
  await post(server, EVENTS)

  const rowsOf = async (text: string) => (await search(server, { search: text })).json().rows

  t.strictSame(await rowsOf('* | head 1 | table _time'), [{ _time: 300 }])
  t.strictSame(await rowsOf('* | tail 2 | table _time'), [{ _time: 100 }, { _time: 200 }])
  t.strictSame(await rowsOf('* | dedup sourcetype | stats values(_time) AS t'), [{ t: [200, 300] }])
  t.strictSame(await rowsOf('* | sort 1 sourcetype | stats max(_time) AS t'), [{ t: 300 }])
})

function explain ({ app }: TestApp, text: string) {
  return app.inject({ method: 'POST', url: '/api/v1/search/explain', headers: bearer, payload: { search: text } })
}

t.test('explain tells what the store does of a search from what is left for its rows', async t => {
  const server = await testApp(t)
  const text = 'process_name=sh\n| bin _time span=5m | stats count BY _time pod_name\n| where count > 3 | table pod_name'

  const { commands, ...rest } = (await explain(server, text)).json()

  t.match(rest, { errors: [], warnings: [], fields: [], tokens: [{ start: 0, end: 12, kind: 'field' }, { start: 12, end: 13, kind: 'operator' }] })
  t.strictSame(commands.map(({ start, end, runs }: { start: number, end: number, runs: string }) => [runs, text.slice(start, end)]), [
    ['store', 'process_name=sh'], ['store', 'bin _time span=5m'], ['store', 'stats count BY _time pod_name'], ['rows', 'where count > 3'], ['rows', 'table pod_name'],
  ])
  const plain = (await explain(server, 'pod_name=* | eval a=lower(process) | table a')).json()
  t.strictSame([plain.commands.map(({ runs }: { runs: string }) => runs), plain.fields], [['store', 'rows', 'rows'], ['process']])
  t.equal((await explain(server, 'pod_name=*')).json().fields, null)
})

t.test('explain tells what is wrong with a search, and where, and colours it all the same', async t => {
  const server = await testApp(t)

  const { tokens, ...rest } = (await explain(server, '*\n| stast count')).json()

  t.match(rest, { errors: [{ line: 2, column: 3, start: 4, end: 9, message: 'The command "stast" isn\'t supported; the nearest name that is: "stats"' }], commands: [], fields: null })
  t.strictSame(tokens.map(({ kind }: { kind: string }) => kind), ['value', 'pipe', 'command', 'field'])
  t.equal((await explain(server, '')).statusCode, 400)
})

t.test('a command that a store begins and its rows end is run by both', async t => {
  const server = await testApp(t)
  const text = '| tstats count FROM datamodel=Endpoint.Processes BY Processes.process_name | head 3'

  const { commands } = (await explain(server, text)).json()

  t.strictSame(commands, [{ start: 2, end: 74, runs: 'both' }, { start: 77, end: 83, runs: 'rows' }])
})
