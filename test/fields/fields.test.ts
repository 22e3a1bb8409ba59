import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { IndexedEvent } from '../../src/fields/fields.js'
import { fieldOf, fieldsOf, routeSourcetype, toPayload } from '../../src/fields/fields.js'
import { COLUMNS, isWrappable, MAPPED_FIELDS, ROUTES, TETRAGON_KEYS } from '../../src/fields/tables.js'

const EXEC = 'cisco:isovalent:processExec'
const CONNECT = 'cisco:isovalent:processConnect'

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
  return { timeUs: 1_500_000, raw: JSON.stringify(payload), payload: payload as object, fields: {}, host: 'h', source: 's', sourcetype: EXEC, index: 'main', ...over }
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
  const event = eventOf(payload, { raw: 'a\ud800', timeUs: -1 })

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
  for (const [sourcetype, payload, routed] of cases) t.equal(routeSourcetype(sourcetype, payload), routed, `${sourcetype} with ${JSON.stringify(payload)}`)
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
  const mapped = new Set(Object.values(MAPPED_FIELDS).flatMap(Object.keys))
  for (const name of Object.keys(COLUMNS).slice(4)) t.ok(mapped.has(name), `${name} has a column because it is mapped`)
})
