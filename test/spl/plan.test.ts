import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { Predicate } from '../../src/spl/ast.js'
import { parseSearch } from '../../src/spl/parse.js'
import { contributingPredicate, planCount, planSearch } from '../../src/spl/plan.js'
import type { SearchPlan } from '../../src/spl/plan.js'
import type { Value } from '../../src/spl/row.js'
import { compilePredicate } from '../../src/spl/stages/search.js'
import { anyFieldsStage, anyRowsStage, anyScalar, anyValue } from './arbitrary.js'
import { runPlan } from './memory-store.js'

const columns = new Set(['sourcetype', 'user', 'host', 'cmd'])

function plan (text: string, pushDown: 'on' | 'off' = 'on'): SearchPlan {
  return planSearch(parseSearch(text, new Map()), { columns, pushDown })
}

/** What is pushed, in a few words: kinds of the store's part, and of the stages that are left. */
function shape ({ query, stages }: SearchPlan): string {
  const pushed = [query.predicate.kind, query.bin?.kind, query.stats?.kind].filter(kind => kind !== undefined)
  return `${pushed.join(' ')} | ${stages.map(({ kind }) => kind).join(' ')}`
}

t.test('the store does the longest prefix it can do exactly', async t => {
  const shapes: [search: string, shape: string][] = [
    ['user=bob', 'compare | '],
    ['*', 'all | '],
    ['user=bob | search host=a | search * | where a=1', 'and | where'],
    ['other=x | stats count BY user', 'compare | stats'],
    ['user=bob | stats count BY user', 'compare stats | '],
    ['user=bob | bin _time span=5m | stats dc(cmd) values(cmd) min(_time) max(cmd) BY _time user | where x=1', 'compare bin stats | where'],
    ['user=bob | bin _time span=5m | where x=1 | stats count', 'compare | bin where stats'],
    ['user=bob | bin _time span=5m | table user', 'compare | bin table'],
    ['user=bob | bin _time span=5m AS t | stats count BY t', 'compare | bin stats'],
    ['user=bob | bin _time AS _time span=5m | stats count BY _time', 'compare bin stats | '],
    ['user=bob | bin when span=5m | stats count', 'compare | bin stats'],
    ['user=bob | bin _time span=5m | bin _time span=1h | stats count BY _time', 'compare | bin bin stats'],
    ['user=bob | stats count BY other', 'compare | stats'],
    ['user=bob | stats values(other)', 'compare | stats'],
    ['user=bob | stats count(cmd)', 'compare | stats'],
    ['user=bob | eval x=1 | stats count', 'compare | eval stats'],
    ['user=bob | stats count BY user | stats max(count)', 'compare stats | stats'],
  ]
  for (const [text, want] of shapes) t.equal(shape(plan(text)), want, text)
})

t.test('without push-down the store gives whole events', async t => {
  const { query, stages } = plan('user=bob | search host=a | stats count BY user', 'off')

  t.match(query, { predicate: { kind: 'all' }, fields: null, bin: null, stats: null })
  t.strictSame(stages.map(({ kind }) => kind), ['search', 'search', 'stats'])
})

t.test('the store is asked for the fields that are read', async t => {
  const fields: [search: string, fields: string[] | null][] = [
    ['user=bob', null],
    ['user=bob | where a=1', null],
    ['user=bob | table a b*', null],
    ['user=bob | table a b', ['a', 'b']],
    ['user=bob | where c=1 AND len(d)>2 | table a', ['a', 'c', 'd']],
    ['user=bob | where c=1 | search e=1 | table a', ['a', 'e', 'c']],
    ['user=bob | eval x=c, y=x+d, z=e | stats values(y) BY a', ['a', 'd', 'c']],
    ['user=bob | eval x=x+1 | table x', ['x']],
    ['user=bob | eval unused=c | table a', ['a']],
    ['user=bob | eval x=c | table a b | table b x', ['b']],
    ['user=bob | bin _time span=5m | stats count(x) BY _time', ['_time', 'x']],
    ['user=bob | bin t span=5m AS b | table b', ['b', 't']],
    ['user=bob | convert ctime(t) AS x ctime(u) AS y | table x', ['x', 't']],
    ['user=bob | fields a', null],
    ['user=bob | fields a b _time | table a c', ['a']],
    ['user=bob | fields - a | table a c', ['c']],
    ['user=bob | rename a AS b, b AS c | table b c d', ['a', 'd']],
    ['user=bob | rename p.* AS * | table a p.b', ['a', 'p.a', 'p.p.b']],
    ['user=bob | rename *.* AS *_* | table a', null],
    ['user=bob | fillnull | table a', ['a']],
    ['user=bob | dedup a sortby -b | sort 5 num(c) | head 3 | table d', ['d', 'c', 'a', 'b']],
    ['user=bob | dedup a', null],
    ['user=bob | top a by b', ['a', 'b']],
    ['user=bob | eventstats max(c) AS m by b | table a m', ['a', 'm', 'b', 'c']],
    ['user=bob | eventstats max(c) AS m by b | table a', ['a']],
    ['user=bob | mvexpand b | nomv c | makemv c | replace x WITH y | table a', ['a', 'b']],
    ['user=bob | foreach b [eval a=<<FIELD>>] | table a', null],
    ['user=bob | regex b="x" | table a', ['a', 'b']],
    ['user=bob | regex "x" | table a', ['a', '_raw']],
    ['user=bob | rex field=b "(?<c>x)(?<d>y)" | table a c', ['a', 'b', 'c']],
    ['user=bob | rex field=b "(?<c>x)" | rex field=b mode=sed "s/x/y/" | table a', ['a']],
    ['user=bob | spath input=b c | spath d output=e | table a c', ['a', 'b', 'c']],
    ['user=bob | spath input=b | table a', ['a', 'b']],
    ['user=bob | convert num(b*) num(c) AS d | table a d', ['a', 'c', 'd']],
    ['user=bob | addtotals fieldname=t b c | table a t', ['a', 't', 'b', 'c']],
    ['user=bob | addtotals fieldname=t b c | table a', ['a']],
    ['user=bob | addtotals fieldname=t | table a t', null],
    ['user=bob | stats count', []],
    ['other=1 | stats count', []],
  ]
  for (const [text, want] of fields) {
    const read = plan(text).query.fields
    t.strictSame(read === null ? null : [...read].sort(), want === null ? null : [...want].sort(), text)
  }
})

t.test('identity, bin and columns of a search', async t => {
  const by = (...fields: [name: string, computed: boolean][]) => ({ kind: 'by', fields: fields.map(([name, computed]) => ({ name, computed })) })
  const searches: [search: string, identity: object, binSeconds: number | null, columns: string[] | null][] = [
    ['*', { kind: 'event' }, null, null],
    ['* | table a b', { kind: 'event' }, null, ['a', 'b']],
    ['* | table a b | eval c=1, a=2 | convert ctime(a) AS d', { kind: 'event' }, null, ['a', 'b', 'c', 'd']],
    ['* | stats count', { kind: 'none' }, null, ['count']],
    ['* | bin _time span=5m | stats count dc(b) AS n BY _time a | table a _time', by(['_time', false], ['a', false]), 300, ['a', '_time']],
    ['* | stats count AS n BY a | eval x=1 | bin x span=1m AS y', by(['a', false]), null, ['a', 'n', 'x', 'y']],
    ['* | bin _time span=5m | bin _time span=1h | bin _time span=1m AS m', { kind: 'event' }, 3600, null],
    ['* | eval b=a | bin t span=1m | convert ctime(c) AS d | stats count BY a b t d', by(['a', false], ['b', true], ['t', true], ['d', true]), null, ['a', 'b', 't', 'd', 'count']],
    ['* | eval _time=0 | bin _time span=5m | stats count BY _time', by(['_time', true]), 300, ['_time', 'count']],
    ['* | stats count values(b) AS b BY a c | stats dc(c) BY a b', by(['a', false], ['b', true]), null, ['a', 'b', 'dc(c)']],
    ['* | stats count BY a _time | table a* nothing _*', by(['a', false], ['_time', false]), null, ['a', 'nothing', '_time']],
    ['* | table *', { kind: 'event' }, null, null],
    ['* | fields a b', { kind: 'event' }, null, null],
    ['* | table _time a b c | fields c a* | rename a AS x', { kind: 'event' }, null, ['_time', 'c', 'x']],
    ['* | table a b | fields - b | fillnull c a | sort a | dedup a | head | tail | reverse', { kind: 'event' }, null, ['a', 'c']],
    ['* | rename x.* AS y.* a AS b | stats count BY a b c x.d y.d', by(['a', true], ['b', true], ['c', false], ['x.d', true], ['y.d', true]), null, ['a', 'b', 'c', 'x.d', 'y.d', 'count']],
    ['* | top a b by c showperc=f', by(['c', false], ['a', false], ['b', false]), null, ['c', 'a', 'b', 'count']],
    ['* | nomv a | makemv b | mvexpand c | mvexpand d limit=1 | replace x WITH y IN e | eventstats count AS f | addtotals fieldname=g | stats count BY a b c d e f g h',
      by(['a', true], ['b', true], ['c', false], ['d', true], ['e', true], ['f', true], ['g', true], ['h', false]), null, ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'count']],
    ['* | rex "(?<a>x)" | rex field=b mode=sed "s/x/y/" | spath c | regex d="x" | convert num(e*) none(f) num(g) AS h | stats count BY a b c d e1 f g h',
      by(['a', true], ['b', true], ['c', true], ['d', false], ['e1', true], ['f', false], ['g', false], ['h', true]), null, ['a', 'b', 'c', 'd', 'e1', 'f', 'g', 'h', 'count']],
    ['* | spath | stats count BY a', by(['a', true]), null, ['a', 'count']],
    ['* | table a | rex field=a "(?<b>x)" | spath input=a c | convert num(a) AS d none(e)', { kind: 'event' }, null, ['a', 'b', 'c', 'd']],
    ['* | foreach a* [eval b=1, c_<<FIELD>>=2] | stats count BY a b c_a', by(['a', false], ['b', true], ['c_a', true]), null, ['a', 'b', 'c_a', 'count']],
    ['* | table a | foreach * [eval b=<<FIELD>>]', { kind: 'event' }, null, ['a', 'b']],
    ['* | table a | foreach * [eval b_<<FIELD>>=1]', { kind: 'event' }, null, null],
    ['* | table a | spath input=a', { kind: 'event' }, null, null],
    ['* | table a | eventstats count AS n by a | addtotals | mvexpand a', { kind: 'event' }, null, ['a', 'n', 'Total']],
    ['* | stats count BY a b | rename a AS b, count AS n', by(['a', false], ['b', false]), null, ['b', 'n']],
  ]
  for (const [text, identity, binSeconds, names] of searches) {
    for (const pushDown of ['on', 'off'] as const) {
      const got = plan(text, pushDown)
      t.strictSame([got.identity, got.binSeconds, got.columns], [identity, binSeconds, names], `${text} ${pushDown}`)
    }
  }
})

t.test('planCount counts the events that meet a condition', async t => {
  const { query: { predicate } } = plan('user=b*')
  const events = ['bob', 'Bea', 'eve'].map(user => new Map([['user', user]]))

  t.strictSame(runPlan(planCount(predicate, columns), events, 'UTC').map(({ values }) => values.get('count')), [2])
})

t.test('the events behind a row are found by its BY values', async t => {
  const event: Record<string, Value> = { user: 'bob', host: 'a', cmd: 'x' }
  const search = 'user=bob | search cmd=* | bin _time span=5m | stats count BY host _time'
  const isBehind = (pushDown: 'on' | 'off', fields: Record<string, Value>): boolean => {
    const { predicate, approximate } = contributingPredicate(plan(search, pushDown), ['a', 300])
    t.notOk(approximate)
    return compilePredicate(predicate)(field => fields[field])
  }

  for (const pushDown of ['on', 'off'] as const) {
    t.ok(isBehind(pushDown, event))
    t.ok(isBehind(pushDown, { ...event, host: ['b', 'a'] }))
    t.notOk(isBehind(pushDown, { ...event, host: 'A' }), 'another group')
    t.notOk(isBehind(pushDown, { ...event, user: 'eve' }), 'not in the base search')
    t.notOk(isBehind(pushDown, { user: 'bob', host: 'a' }), 'dropped by the second search')
  }
})

t.test('evidence is approximate where a BY field was computed or rows were filtered in between', async t => {
  const searches: [search: string, origin: Value[], approximate: boolean][] = [
    ['user=bob | stats count', [], false],
    ['user=bob | stats count BY host | where count>1', ['a'], false],
    ['user=bob | stats count BY host | search count>1', ['a'], false],
    ['user=bob | eval x=1 | stats count BY host', ['a'], false],
    ['user=bob | eval host=1 | stats count BY host', ['a'], true],
    ['user=bob | eval x=1 | where x>1 | stats count BY host', ['a'], true],
    ['user=bob | bin _time span=5m | search x>1 | stats count BY host', ['a'], true],
    ['user=bob | stats count BY host cmd | stats count BY host', ['a'], true],
    ['user=bob', [7], true],
    ['user=bob | sort 0 host | reverse | fields host | stats count BY host', ['a'], false],
    ['user=bob | top host', ['a'], false],
    ['user=bob | top host | stats count BY host', ['a'], true],
    ['user=bob | mvexpand host | eventstats count | stats count BY host', ['a'], false],
    ['user=bob | regex cmd="x" | stats count BY host', ['a'], true],
    ['user=bob | rex field=cmd "(?<x>y)" | stats count BY host', ['a'], false],
    ['user=bob | sort host | stats count BY host', ['a'], true],
    ['user=bob | dedup host | stats count BY host', ['a'], true],
    ['user=bob | head 5 | stats count BY host', ['a'], true],
    ['user=bob | rename a AS host | stats count BY host', ['a'], true],
    ['user=bob | fillnull | stats count BY host', ['a'], false],
    ['user=bob | fillnull host | stats count BY host | stats count BY host', ['0'], true],
  ]
  for (const [text, origin, approximate] of searches) {
    for (const pushDown of ['on', 'off'] as const) t.equal(contributingPredicate(plan(text, pushDown), origin).approximate, approximate, `${text} ${pushDown}`)
  }
})

t.test('events that fillnull put into a group are those without the field, too', async t => {
  const { predicate } = contributingPredicate(plan('user=bob | fillnull value=none host | stats count BY host'), ['none'])
  const other = contributingPredicate(plan('user=bob | fillnull value=none host | stats count BY host'), ['a']).predicate
  const isBehind = (predicate: Predicate, fields: Record<string, Value>) => compilePredicate(predicate)(field => fields[field])

  t.ok(isBehind(predicate, { user: 'bob' }))
  t.ok(isBehind(predicate, { user: 'bob', host: 'none' }))
  t.notOk(isBehind(predicate, { user: 'bob', host: 'a' }))
  t.notOk(isBehind(predicate, { user: 'eve' }))
  t.ok(isBehind(other, { user: 'bob', host: 'a' }))
  t.notOk(isBehind(other, { user: 'bob' }))
})

t.test('events are asked for in any order only where the result does not hang on it', async t => {
  const orders: [search: string, order: string][] = [
    ['other=1', '-time'],
    ['other=1 | table a', '-time'],
    ['other=1 | stats count BY a', 'any'],
    ['other=1 | rename b AS a | fillnull | sort 0 a | reverse | stats count BY a', 'any'],
    ['other=1 | eventstats count BY b | mvexpand a | stats count BY a', 'any'],
    ['other=1 | top a', 'any'],
    ['other=1 | sort a | stats count BY a', '-time'],
    ['other=1 | dedup a | stats count BY a', '-time'],
    ['other=1 | head 3 | stats count BY a', '-time'],
    ['other=1 | foreach * [eval a=<<FIELD>>] | stats count BY a', '-time'],
    ['other=1 | tail 3 | stats count BY a', '-time'],
    ['user=bob | stats count BY user | head 1', 'any'],
  ]
  for (const [text, order] of orders) {
    t.equal(plan(text).query.order, order, text)
    t.equal(plan(text, 'off').query.order, '-time', text)
  }
})

t.test('of a number and the same text in one group, pushed down or not, the text is kept', async t => {
  const events = [42, 42, '42', '42'].map(user => new Map<string, Value>([['user', user]]))
  for (const order of [events, events.toReversed()]) {
    for (const pushDown of ['on', 'off'] as const) {
      t.strictSame(runPlan(plan('* | stats count BY user', pushDown), order, 'UTC').map(({ values }) => [...values]), [[['user', '42'], ['count', 4]]], pushDown)
    }
  }
})

t.test('with and without push-down a search gives the same rows', async t => {
  const column = fc.option(anyScalar, { nil: undefined })
  const event = fc.record({
    _time: fc.integer({ min: -2_000_000, max: 2_000_000 }).map(timeUs => timeUs / 1_000),
    sourcetype: fc.constantFrom('x', 'X', 'y'),
    user: column,
    host: column,
    cmd: column,
    other: fc.option(anyValue, { nil: undefined }),
  }).map(fields => new Map(Object.entries(fields).filter((entry): entry is [string, Value] => entry[1] !== undefined)))
  const quoted = anyScalar.map(value => `"${String(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)
  const field = fc.constantFrom('user', 'host', 'cmd', 'other')
  const test = fc.oneof(
    fc.constantFrom('*', 'sourcetype=x', 'user=*', 'cmd="*1*"', '[search user=* | fields host cmd]', 'NOT [search sourcetype=y | stats count BY user | fields user]'),
    fc.tuple(field, fc.constantFrom('=', '!=', '<', '>='), quoted).map(parts => parts.join('')),
    fc.tuple(field, quoted).map(([name, text]) => `NOT ${name}=${text}`),
  )
  const stage = fc.oneof(
    test.map(text => `search ${text}`),
    fc.constantFrom('bin _time span=5m', 'bin _time span=1d', 'bin _time span=0.5', 'bin _time span=1m AS minute', 'bin other span=10s'),
    fc.constantFrom('eval x=user.host', 'eval user=cmd, y=user+1', 'eval minute=_time-1', 'where user=cmd', 'where isnull(other) OR other>5', 'table user _time host other x', 'convert ctime(_time) AS x'),
    anyRowsStage,
    anyFieldsStage,
    fc.constantFrom('eval z=if(match(cmd, "^[a-z]"), lower(user), mvappend(host, "z"))', 'where len(user)>1 OR cmd IN ("x", "X")', 'eval y=strftime(_time, "%M"), x=mvcount(other)'),
    fc.tuple(fc.constantFrom('count', 'dc(cmd)', 'values(user)', 'min(other)', 'max(_time)', 'count(host)', 'list(cmd)', 'first(user)', 'last(other)', 'earliest(cmd)', 'latest(other)', 'earliest_time(user)', 'latest_time(cmd)',
      'sum(_time)', 'avg(other)', 'stdev(_time)', 'var(other)', 'range(_time)', 'median(other)', 'p90(_time)', 'mode(cmd)', 'sumsq(other)', 'estdc(user)', 'count(eval(user=cmd OR other>5))', 'dc(eval(lower(user)))', 'list(eval(_time . cmd))', 'values(z)'), fc.subarray(['user', '_time', 'host', 'other', 'minute', 'x']))
      .map(([aggregate, by]) => `stats count AS n ${aggregate} AS cmd ${by.length > 0 ? `BY ${by.join(' ')}` : ''}`),
  )
  const search = fc.tuple(fc.array(test, { minLength: 1, maxLength: 3 }), fc.array(stage, { maxLength: 4 })).map(([tests, stages]) => [tests.join(' OR '), ...stages].join(' | '))

  fc.assert(fc.property(search, fc.array(event, { maxLength: 10 }), (text, events) => {
    const [want, got] = (['off', 'on'] as const).map(pushDown => runPlan(plan(text, pushDown), events, 'UTC').map(({ values, origin }) => ({ values: toColumns(text, values), origin })))
    t.strictSame(got, want, text)
  }), { numRuns: 2_000 })
})

/** Events have no order of columns; results have. */
function toColumns (text: string, values: ReadonlyMap<string, Value>): [string, Value][] {
  return /table|\bstats|top|rare/.test(text) ? [...values] : [...values].sort()
}
