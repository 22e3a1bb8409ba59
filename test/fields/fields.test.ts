import assert from 'node:assert/strict'
import fc from '../fixtures/fast-check.js'
import t from 'tap'
import type { ConfiguredFields } from '../../src/fields/field-tables.js'
import { buildFieldTables, BUILT_IN_TABLES, dataModelSourcetypes } from '../../src/fields/field-tables.js'
import type { IndexedEvent } from '../../src/fields/fields.js'
import { openFields } from '../../src/fields/fields.js'
import type { Route } from '../../src/fields/tables.js'
import { COLUMNS, isMetadata, isWrappable, MAPPED_FIELDS, METADATA_FIELDS, ROUTES, TETRAGON_KEYS } from '../../src/fields/tables.js'
import { openEventFields } from '../../src/store/sqlite/event-fields.js'

const EXEC = 'cisco:isovalent:processExec'
const CONNECT = 'cisco:isovalent:processConnect'

const { fieldOf, fieldsOf, route, toPayload } = openFields(BUILT_IN_TABLES, () => { throw new Error('nothing is calculated') })

const AN_EXEC = {
  process_exec: {
    process: {
      pid: 100,
      uid: 0,
      cwd: '/app',
      binary: '/usr/bin/nsenter',
      arguments: '-t 1 -m bash',
      pod: { namespace: 'shop', name: 'web-1', container: { id: 'containerd://c1', name: 'app', image: { id: 'sha256:1', name: 'reg/app:1' } } },
    },
    parent: { pid: 99, binary: '/bin/bash', arguments: '-c "ps aux"' },
    ancestors: [{ binary: '/bin/bash' }, { binary: '/sbin/init' }],
  },
  node_name: 'n1',
  time: '2026-03-10T11:05:10.000000001Z',
  cluster_name: 'prod-eu',
}

function eventOf (payload: unknown, over: Partial<IndexedEvent> = {}): IndexedEvent {
  return { timeUs: 1_500_000, raw: () => JSON.stringify(payload), payload: payload as object, fields: {}, host: 'h', source: 's', sourcetype: EXEC, index: 'main', ...over }
}

t.test('a process_exec has every field of its sourcetype', async t => {
  const fields = Object.fromEntries(Object.keys(MAPPED_FIELDS[EXEC]!).map(name => [name, fieldOf(eventOf(AN_EXEC), name)]))

  // isovalent-events.md 4.2
  t.strictSame(fields, {
    process_name: 'nsenter',
    process: '/usr/bin/nsenter -t 1 -m bash',
    process_exec: 'nsenter',
    process_id: 100,
    process_current_directory: '/app',
    user_id: 0,
    parent_process: '/bin/bash -c "ps aux"',
    parent_process_name: 'bash',
    parent_process_id: 99,
    parent_process_path: '/bin/bash',
    parent_process_exec: 'bash',
    pod_name: 'web-1',
    pod_namespace: 'shop',
    pod_image_name: 'reg/app:1',
    container_id: 'containerd://c1',
    cluster_name: 'prod-eu',
    node_name: 'n1',
    dest: 'n1',
    time: '2026-03-10T11:05:10.000000001Z',
    vendor_product: 'Cisco Isovalent',
    eventtype: 'cisco_isovalent_process_exec',
    tag: ['process', 'report'],
    'tag::eventtype': ['process', 'report'],
  })
})

t.test('without a pod its fields are missing, not empty', async t => {
  const { pod, ...process } = AN_EXEC.process_exec.process
  const event = eventOf({ ...AN_EXEC, process_exec: { ...AN_EXEC.process_exec, process } })
  const all = fieldsOf(event)

  for (const name of ['pod_name', 'pod_namespace', 'pod_image_name', 'container_id']) {
    t.equal(fieldOf(event, name), undefined, name)
    t.notOk(all.has(name), name)
  }
  t.equal(fieldOf(event, 'process_name'), 'nsenter')
})

t.test('a field comes out of every shape that its part of an event can have', async t => {
  const withProcess = (process: unknown) => ({ process_exec: { process } })
  const cases: readonly (readonly [payload: unknown, name: string, value: unknown])[] = [
    [withProcess({ binary: '/bin/ls' }), 'process', '/bin/ls'],
    [withProcess({ binary: '/bin/ls', arguments: '' }), 'process', '/bin/ls '],
    [withProcess({ binary: '/bin/sh', arguments: ' "a b"' }), 'process', '/bin/sh  "a b"'],
    [withProcess({ arguments: '-l' }), 'process', undefined],
    [withProcess({ binary: 'ls' }), 'process_name', 'ls'],
    [withProcess({ binary: '/opt/a b/c' }), 'process_name', 'c'],
    [withProcess({ binary: '/bin/' }), 'process_name', ''],
    [withProcess({ binary: '/' }), 'process_name', ''],
    [withProcess({ binary: '' }), 'process_name', ''],
    [withProcess({ binary: '/bin/\ud800' }), 'process_name', '\ufffd'],
    [withProcess({ binary: 42 }), 'process_name', 42],
    [withProcess({ binary: 42 }), 'process', 42],
    [withProcess({ binary: 42, arguments: 7 }), 'process', '42 7'],
    [withProcess({ binary: null }), 'process_name', undefined],
    [withProcess({ binary: ['/bin/ls'] }), 'process_name', undefined],
    [withProcess({ binary: { a: 1 } }), 'process_name', undefined],
    [withProcess({ pid: '42' }), 'process_id', '42'],
    [withProcess({ uid: 4294967295 }), 'user_id', 4294967295],
    [withProcess({ uid: 1e21 }), 'user_id', '1e+21'],
    [withProcess({ pod: null }), 'pod_name', undefined],
    [withProcess({ pod: 'web' }), 'pod_name', undefined],
    [withProcess({ pod: [{ name: 'web' }] }), 'pod_name', undefined],
    [withProcess(null), 'process', undefined],
    [withProcess('x'), 'process', undefined],
    [{ process_exec: null }, 'process_exec', undefined],
    [{ process_exec: { process: {} } }, 'cluster_name', undefined],
    [JSON.parse('{"process_exec":{"__proto__":{"process":{"binary":"/bin/ls"}}}}'), 'process_name', undefined],
  ]
  for (const [payload, name, value] of cases) t.strictSame(fieldOf(eventOf(payload), name), value, `${name} of ${JSON.stringify(payload)}`)
})

t.test('the event\'s own value wins over the envelope\'s, and a mapped one over an automatic one', async t => {
  const payload = { process_exec: { process: { binary: '/bin/ls' } }, process_name: 'automatic', extra: 'own', cluster_name: null }
  const event = eventOf(payload, { fields: { process_name: 'envelope', extra: 'envelope', cluster_name: 'prod', list: ['a', 1, null], one: ['a'], none: [], flag: true, nothing: null, host: 'x', _time: 1 } })

  const expected: Record<string, unknown> = {
    process_name: 'ls', extra: 'own', cluster_name: 'prod', list: ['a', 1], one: 'a', none: undefined, flag: 'true', nothing: undefined, host: 'h', _time: 1.5,
  }
  for (const [name, value] of Object.entries(expected)) t.strictSame(fieldOf(event, name), value, name)
  t.equal(fieldOf(eventOf(payload, { sourcetype: 'other' }), 'process_name'), 'automatic', 'another sourcetype has no mapped fields')
})

t.test('an event has its time, its text and Splunk\'s four as fields, which nothing in it can change', async t => {
  const payload = { host: 'own', source: 'own', sourcetype: 'own', index: 'own', _time: 7, _raw: 'own' }
  const event = eventOf(payload, { raw: () => 'a\ud800', timeUs: -1 })

  t.strictSame(Object.fromEntries(fieldsOf(event)), {
    ...Object.fromEntries(Object.entries(MAPPED_FIELDS[EXEC]!).flatMap(([name, mapping]) => mapping.via === 'constant' ? [[name, mapping.value]] : [])),
    _time: -0.000001, _raw: 'a\ufffd', host: 'h', source: 's', sourcetype: EXEC, index: 'main',
  })
})

t.test('a name from Object.prototype is no field', async t => {
  for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty', 'valueOf']) {
    t.equal(fieldOf(eventOf({}), name), undefined, name)
    t.equal(fieldOf(eventOf({}, { sourcetype: name }), 'process'), undefined, `sourcetype ${name}`)
    t.equal(fieldOf(eventOf({ [name]: 'own' }), name), 'own', `own ${name}`)
  }
})

t.test('all fields are what each field is', async () => {
  const scalar = fc.oneof(fc.string({ unit: 'binary', maxLength: 3 }), fc.integer(), fc.constantFrom(null, true, 1.5))
  const payload = fc.oneof(
    fc.dictionary(fc.oneof(fc.constantFrom('process_exec', 'cluster_name', 'host', 'a.b'), fc.string({ maxLength: 3 })), fc.oneof(scalar, fc.array(scalar, { maxLength: 2 }), fc.record({ process: fc.record({ binary: scalar, arguments: scalar }, { requiredKeys: [] }) }))),
    fc.constant(null),
  )
  const fields = fc.dictionary(fc.oneof(fc.constantFrom('process', 'cluster_name', 'a.b', '__proto__'), fc.string({ maxLength: 3 })), fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })))
  fc.assert(fc.property(payload, fields, fc.constantFrom(EXEC, 'other'), (payload, fields, sourcetype) => {
    const event = eventOf(payload, { fields, sourcetype })
    const all = fieldsOf(event)
    for (const [name, value] of all) assert.deepStrictEqual(fieldOf(event, name), value, name)
    for (const name of [...Object.keys(COLUMNS), ...Object.keys(fields)]) assert.deepStrictEqual(all.get(name), fieldOf(event, name), name)
  }), { numRuns: 500 })
})

t.test('a child sourcetype is found by what is inside', async t => {
  const cases: readonly (readonly [sourcetype: string, payload: object | null, routed: string])[] = [
    ['cisco:isovalent', { process_exec: {} }, EXEC],
    ['cisco:isovalent', { process_exec: null }, EXEC],
    ['cisco:isovalent', { process_connect: {} }, CONNECT],
    ['cisco:isovalent', { process_exit: {} }, 'cisco:isovalent'],
    ['cisco:isovalent', { process_kprobe: {} }, 'cisco:isovalent'],
    ['cisco:isovalent', { a: { process_exec: {} } }, 'cisco:isovalent'],
    ['cisco:isovalent', [{ process_exec: {} }], 'cisco:isovalent'],
    ['cisco:isovalent', null, 'cisco:isovalent'],
    [EXEC, { process_connect: {} }, EXEC],
    [EXEC, { process_exec: {} }, EXEC],
    [CONNECT, { process_connect: {} }, CONNECT],
    ['httpevent', { process_exec: {} }, 'httpevent'],
    ['Cisco:Isovalent', { process_exec: {} }, 'Cisco:Isovalent'],
  ]
  for (const [sourcetype, payload, routed] of cases) t.strictSame(route(payload, sourcetype), { sourcetype: routed, payload }, `${sourcetype} with ${JSON.stringify(payload)}`)
})

t.test('the payload is the event, the object it is the text of, or the Tetragon event in a container\'s log line', async t => {
  const exec = { process_exec: { process: { pid: 1 } } }
  const text = JSON.stringify(exec)
  const cases: readonly (readonly [event: unknown, sourcetype: string, payload: unknown])[] = [
    [exec, 'x', exec],
    [text, 'x', exec],
    [` \n${text}\n`, 'x', exec],
    ['[1,{"a":2}]', 'x', [1, { a: 2 }]],
    ['text', 'x', null],
    ['', 'x', null],
    ['"text"', 'x', null],
    ['42', 'x', null],
    ['null', 'x', null],
    ['{broken', 'x', null],
    [`${text} behind`, 'x', null],
    [`${text}${text}`, 'x', null],
    [42, 'x', null],
    [true, 'x', null],
    [null, 'x', null],
    [[exec], 'x', [exec]],
    [{ log: text, stream: 'stdout' }, 'cisco:isovalent', exec],
    [{ log: exec, stream: 'stdout' }, 'cisco:isovalent', exec],
    [JSON.stringify({ log: `${text}\n`, stream: 'stdout', kubernetes: {} }), 'cisco:isovalent', exec],
    [{ log: text }, EXEC, exec],
    [{ log: text }, 'x', { log: text }],
    [{ log: text }, 'cisco:isovalents', { log: text }],
    [{ log: 'text' }, 'cisco:isovalent', { log: 'text' }],
    [{ log: '{"other":1}' }, 'cisco:isovalent', { log: '{"other":1}' }],
    [{ log: { log: text } }, 'cisco:isovalent', { log: { log: text } }],
    [{ log: null }, 'cisco:isovalent', { log: null }],
    [`{"a":${'['.repeat(256)}${']'.repeat(256)}}`, 'x', null],
    [{ log: `{"process_exec":${'['.repeat(10_000)}${']'.repeat(10_000)}}` }, 'cisco:isovalent', { log: `{"process_exec":${'['.repeat(10_000)}${']'.repeat(10_000)}}` }],
  ]
  for (const [event, sourcetype, payload] of cases) t.strictSame(toPayload(event, sourcetype), payload, `${sourcetype}: ${JSON.stringify(event).slice(0, 60)}`)
})

t.test('every Tetragon event in a log line is unwrapped', async t => {
  for (const key of TETRAGON_KEYS) t.strictSame(toPayload({ log: JSON.stringify({ [key]: {} }) }, 'cisco:isovalent'), { [key]: {} }, key)
})

t.test('the tables fit together', async t => {
  for (const { from, key, to } of ROUTES) {
    t.ok(isWrappable(from) && isWrappable(to), `${from} and ${to}`)
    t.ok(TETRAGON_KEYS.includes(key), key)
  }
  for (const name of ['host', 'source', 'sourcetype', 'index']) t.equal(COLUMNS[name], 'dictionary', `every event has ${name}`)
  for (const name of METADATA_FIELDS) t.ok(isMetadata(name), name)
  const mapped = new Set(Object.values(MAPPED_FIELDS).flatMap(Object.keys))
  for (const name of Object.keys(COLUMNS).slice(4)) t.ok(mapped.has(name), `${name} has a column because it is mapped`)
})

const A_CONNECT = {
  process_connect: {
    process: {
      pid: 1645,
      uid: 0,
      binary: '/usr/bin/curl',
      pod: { namespace: 'shop', name: 'web-1', container: { id: 'containerd://c1', image: { name: 'reg/app:1' } } },
    },
    parent: { pid: 1, binary: '/bin/sh' },
    source_ip: '10.0.0.5',
    source_port: 38106,
    destination_ip: '10.0.0.9',
    destination_port: 5432,
    destination_pod: { namespace: 'db', name: 'postgres-0' },
    sock_cookie: '18446462614959565760',
    protocol: 'TCP',
  },
  node_name: 'n1',
  time: '2026-03-10T11:05:11.401779Z',
  cluster_name: 'prod-eu',
}

t.test('a process_connect has every field of its sourcetype', async t => {
  const fields = Object.fromEntries(Object.keys(MAPPED_FIELDS[CONNECT]!).map(name => [name, fieldOf(eventOf(A_CONNECT, { sourcetype: CONNECT }), name)]))

  // isovalent-events.md 4.3
  t.strictSame(fields, {
    dest: 'postgres-0',
    dest_ip: '10.0.0.9',
    dest_port: 5432,
    src: 'web-1',
    src_ip: '10.0.0.5',
    src_port: 38106,
    transport: 'tcp',
    session_id: '18446462614959565760',
    process_id: 1645,
    pod_name: 'web-1',
    pod_namespace: 'shop',
    pod_image_name: 'reg/app:1',
    container_id: 'containerd://c1',
    cluster_name: 'prod-eu',
    node_name: 'n1',
  })
  t.equal(fieldOf(eventOf(A_CONNECT, { sourcetype: CONNECT }), 'process_name'), undefined, 'the process has its JSON path only')
})

t.test('a connection to the outside, of a process without a pod, has addresses only', async t => {
  const { destination_pod, process: { pod, ...process }, ...connect } = A_CONNECT.process_connect
  const fields = fieldsOf(eventOf({ ...A_CONNECT, process_connect: { ...connect, process } }, { sourcetype: CONNECT }))

  for (const name of ['dest', 'src', 'pod_name', 'pod_namespace', 'pod_image_name', 'container_id']) t.notOk(fields.has(name), name)
  t.equal(fields.get('dest_ip'), '10.0.0.9')
})

t.test('a transport that is no text in small letters stays what it is', async t => {
  for (const [protocol, value] of [['UDP', 'udp'], ['icmp', 'icmp'], ['', ''], [6, 6], ['İ\ud800', 'i̇\ufffd'], [null, undefined], [['TCP'], undefined]] as const) {
    t.strictSame(fieldOf(eventOf({ process_connect: { protocol } }, { sourcetype: CONNECT }), 'transport'), value, JSON.stringify(protocol))
  }
})

t.test('a kprobe event has its cluster and node, and no fields of a pod', async t => {
  const event = eventOf({ process_kprobe: { process: { binary: '/a', pod: { name: 'web-1' } }, args: [{ string_arg: 'x' }, { int_arg: 7 }] }, node_name: 'n1', cluster_name: 'prod-eu' }, { sourcetype: 'cisco:isovalent' })

  for (const [name, value] of Object.entries({ cluster_name: 'prod-eu', node_name: 'n1', pod_name: undefined, process_name: undefined, 'process_kprobe.process.pod.name': 'web-1', 'process_kprobe.args{}.int_arg': 7 })) {
    t.equal(fieldOf(event, name), value, name)
  }
})

type Configured = Partial<ConfiguredFields> & { readonly sourcetype: string }

/** Fields as a store reads them, with what a configuration says. */
function openConfigured (fields: readonly Configured[], routes: readonly Route[] = []) {
  const tables = buildFieldTables({ fields: fields.map(one => ({ aliases: {}, evals: {}, data_models: [], ...one })), routes, timezone: 'UTC' })
  return openEventFields(tables, { warn: () => {}, alive: () => {} })
}

t.test('a sourcetype that nobody has heard of gets aliases and calculated fields', async t => {
  const { fieldOf, fieldsOf } = openConfigured([{
    sourcetype: 'linux_audit',
    aliases: { dest: 'host', process: 'proc.cmdline', args: 'proc.args{}', team: 'labels.team' },
    evals: { process_name: 'replace(\'proc.exe\', "^.*/", "")', user: 'coalesce(user, "unknown")', risk: 'if(uid=0, 1, 0) / 2', both: 'mvappend(user, process)', gone: 'null()' },
  }])
  const event = eventOf({ proc: { exe: '/usr/bin/curl', cmdline: 'curl -s x', args: ['-s', 'x'] }, uid: 0, gone: 'here' }, { sourcetype: 'linux_audit', fields: { 'labels.team': 'blue', gone: 'too' } })

  const expected = {
    dest: 'h', process: 'curl -s x', args: ['-s', 'x'], team: 'blue', process_name: 'curl', user: 'unknown', risk: '0.5',
    both: 'curl -s x', gone: undefined, 'proc.cmdline': 'curl -s x', uid: 0,
  }
  const all = fieldsOf(event)
  for (const [name, value] of Object.entries(expected)) {
    t.strictSame(fieldOf(event, name), value, name)
    t.strictSame(all.get(name), value, `all fields: ${name}`)
  }
  t.equal(fieldOf({ ...event, sourcetype: 'other' }, 'dest'), undefined, 'of that sourcetype alone')
})

t.test('aliases see what is in the event, calculated fields also the aliases, and neither sees its own kind', async t => {
  const { fieldOf } = openConfigured([{
    sourcetype: EXEC,
    aliases: { dest: 'pod_name', chained: 'dest', process: 'nothing', cluster_name: 'node_name', node_name: 'cluster_name' },
    evals: { process_name: 'upper(process_name)', copy: 'process_name . "@" . dest', pod_name: 'null()', user_id: 'user_id + 1', next: 'user_id' },
  }])

  for (const [name, value] of Object.entries({
    dest: 'web-1', // what is configured wins over the built-in field
    chained: 'n1', // of the built-in dest
    process: '/usr/bin/nsenter -t 1 -m bash', // the event has no field "nothing"
    cluster_name: 'n1',
    node_name: 'prod-eu',
    process_name: 'NSENTER',
    copy: 'nsenter@web-1',
    pod_name: undefined, // null takes a field away
    user_id: 1,
    next: 0,
  })) t.strictSame(fieldOf(eventOf(AN_EXEC), name), value, name)
})

t.test('what an expression gives is text, a whole number, or a list of them', async t => {
  const cases: readonly (readonly [text: string, value: unknown])[] = [
    ['1/4', '0.25'], ['2', 2], ['-0', 0], ['1e300', '1e+300'], ['split("a,b", ",")', ['a', 'b']], ['split("a", ",")', 'a'],
    ['mvappend(0.5, 1)', ['0.5', 1]], ['""', ''], ['null()', undefined], ['missing . "x"', undefined], ['strftime(0, "%Y-%m-%d %H:%M")', '1970-01-01 00:00'],
    ['host . _time', 'h1.5'],
  ]
  for (const [text, value] of cases) {
    const { fieldOf, fieldsOf } = openConfigured([{ sourcetype: 'st', evals: { x: text } }])
    const event = eventOf({ x: 'before' }, { sourcetype: 'st' })
    t.strictSame(fieldOf(event, 'x'), value, text)
    t.strictSame(fieldsOf(event).get('x'), value, text)
  }
})

t.test('all fields are what each field is, also where some are configured', async () => {
  const name = fc.constantFrom('a', 'b', 'a.b', 'dest', 'process', 'process_name', 'cluster_name', '__proto__', 'toString')
  const source = fc.oneof(name, fc.constantFrom('process_exec.process.binary', 'host', '_time', 'missing'))
  const expression = fc.oneof(source.map(field => `'${field}'`), source.map(field => `upper('${field}')`), fc.tuple(source, source).map(([a, b]) => `coalesce('${a}', '${b}')`), fc.constantFrom('null()', '1/3', 'mvappend(a, b, "x")', 'mvcount(a)'))
  const record = <T>(value: fc.Arbitrary<T>) => fc.uniqueArray(fc.tuple(name, value), { selector: ([name]) => name, maxLength: 4 }).map(entries => Object.fromEntries(entries))
  const payload = fc.dictionary(fc.oneof(name, fc.constant('process_exec')), fc.oneof(fc.string(), fc.integer(), fc.constantFrom(1.5, null, true), fc.array(fc.string(), { maxLength: 2 }), fc.record({ process: fc.record({ binary: fc.string() }), b: fc.string() })))
  fc.assert(fc.property(record(source), record(expression), fc.oneof(payload, fc.constant(null)), record(fc.string()), fc.constantFrom(EXEC, 'other'), (aliases, evals, payload, fields, sourcetype) => {
    const { fieldOf, fieldsOf } = openConfigured([{ sourcetype, aliases, evals }])
    const event = eventOf(payload, { fields, sourcetype })
    const all = fieldsOf(event)
    for (const [name, value] of all) assert.deepStrictEqual(fieldOf(event, name), value, name)
    for (const name of [...Object.keys(COLUMNS), ...Object.keys(aliases), ...Object.keys(evals)]) assert.deepStrictEqual(all.get(name), fieldOf(event, name), name)
  }), { numRuns: 300 })
})

t.test('configured routes come before the built-in ones, and whoever reads the event later sees the same payload', async t => {
  const exec = { process_exec: { process: { pid: 1 } } }
  const wrapped = { log: JSON.stringify(exec), stream: 'stdout' }
  const { route, toPayload } = openConfigured([], [
    { from: 'cisco:isovalent', key: 'process_exec', to: 'my:exec' },
    { from: 'cisco:isovalent', key: 'process_connect', to: 'cisco:isovalent' },
    { from: 'k8s', key: 'log', to: 'cisco:isovalent' },
    { from: 'k8s', key: 'stream', to: 'never' },
  ])
  const cases: readonly (readonly [event: unknown, sourcetype: string, routed: string, payload: unknown])[] = [
    [exec, 'cisco:isovalent', 'my:exec', exec],
    [wrapped, 'cisco:isovalent', 'my:exec', exec],
    [A_CONNECT, 'cisco:isovalent', 'cisco:isovalent', A_CONNECT],
    [wrapped, 'k8s', 'cisco:isovalent', exec],
    [{ stream: 'x' }, 'k8s', 'never', { stream: 'x' }],
    ['text', 'k8s', 'k8s', null],
  ]
  for (const [event, sourcetype, routed, payload] of cases) {
    t.strictSame(route(event, sourcetype), { sourcetype: routed, payload }, `${sourcetype}: ${JSON.stringify(event)}`)
    t.strictSame(toPayload(event, routed), payload, 'as it is read later')
  }
})

t.test('the hash changes with what decides a value', async t => {
  const hashes = [
    openConfigured([]).hash,
    openConfigured([{ sourcetype: 'st', aliases: { a: 'b' } }]).hash,
    openConfigured([{ sourcetype: 'st', aliases: { a: 'c' } }]).hash,
    openConfigured([{ sourcetype: 'st', evals: { a: 'b' } }]).hash,
    openConfigured([], [{ from: 'a', key: 'b', to: 'c' }]).hash,
  ]

  t.equal(new Set(hashes).size, hashes.length)
  t.equal(openConfigured([{ sourcetype: 'st', aliases: { a: 'b' } }]).hash, hashes[1], 'and with nothing else')
  t.equal(openConfigured([{ sourcetype: EXEC, data_models: ['Endpoint.Processes'] }]).hash, hashes[0], 'data models are no part of a value')
})

t.test('the sourcetypes of a data model are the built-in ones and the configured ones', async t => {
  const sourcetype = (name: string, ...data_models: string[]): ConfiguredFields => ({ sourcetype: name, aliases: {}, evals: {}, data_models })
  const tables = buildFieldTables({ fields: [sourcetype('linux_audit', 'Endpoint.Processes'), sourcetype('other'), sourcetype(EXEC, 'Endpoint.Processes')], routes: [], timezone: 'UTC' })

  t.strictSame(dataModelSourcetypes(BUILT_IN_TABLES, 'Endpoint.Processes'), [EXEC])
  t.strictSame(dataModelSourcetypes(tables, 'Endpoint.Processes'), [EXEC, 'linux_audit'])
  for (const name of ['Endpoint.Filesystem', 'toString', '__proto__', '']) t.strictSame(dataModelSourcetypes(tables, name), [], name)
})
