import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { post, storedEvents, testApp } from '../fixtures/app.js'

/** Real events, which lie beside the repository. */
const SAMPLES = fileURLToPath(new URL('../shared/data/tetragon', import.meta.resolve('#root/package.json')))

/** The events of a file, one JSON object or one a line, as they are written there. */
function readEvents (path: string): string[] {
  const text = readFileSync(path, 'utf8')
  return path.endsWith('.jsonl') ? text.split('\n').filter(line => line !== '') : [text.trim()]
}

const skip = existsSync(SAMPLES) ? false : 'there is no ../shared/data/tetragon'
const events = skip === false ? readdirSync(SAMPLES).flatMap(name => readEvents(join(SAMPLES, name))) : []

function sourcetypeOf (event: object): string {
  if (Object.hasOwn(event, 'process_exec')) return 'cisco:isovalent:processExec'
  return Object.hasOwn(event, 'process_connect') ? 'cisco:isovalent:processConnect' : 'cisco:isovalent'
}

/** How forwarders hand an event over: as an object, as the text of its line, and wrapped by a container's log. */
const FORMS: Readonly<Record<string, (text: string) => { event: string, sent: unknown, raw: string }>> = {
  object: text => ({ event: text, sent: JSON.parse(text) as unknown, raw: text }),
  text: text => ({ event: JSON.stringify(text), sent: text, raw: text }),
  'a log line': text => {
    const event = JSON.stringify({ log: `${text}\n`, stream: 'stdout' })
    return { event, sent: JSON.parse(event) as unknown, raw: event }
  },
}

for (const [form, make] of Object.entries(FORMS)) {
  t.test(`real Tetragon events are taken as ${form} and come back whole`, { skip }, async t => {
    const it = await testApp(t)
    const made = events.map(make)
    const body = made.map(({ event }, i) => `{"time":"${1_773_140_700 + i}.000001","sourcetype":"cisco:isovalent","source":"cisco_isovalent","index":"cisco_isovalent","event":${event}}`).join('\n')

    const reply = await post(it, gzipSync(body), { 'content-encoding': 'gzip' })

    t.equal(reply.body, '{"text":"Success","code":0}')
    const stored = await storedEvents(it, '&index=cisco_isovalent')
    t.equal(stored.length, events.length)
    stored.forEach((event, i) => {
      t.match(event, {
        id: i + 1,
        time: 1_773_140_700.000001 + i,
        host: '127.0.0.1',
        source: 'cisco_isovalent',
        sourcetype: sourcetypeOf(JSON.parse(events[i]!) as object),
        index: 'cisco_isovalent',
        raw: made[i]!.raw,
      })
      t.strictSame(event.event, made[i]!.sent)
    })
    const execs = await storedEvents(it, '&sourcetype=cisco:isovalent:processExec')
    t.equal(execs.length, events.filter(text => sourcetypeOf(JSON.parse(text) as object).endsWith('processExec')).length)
  })
}
