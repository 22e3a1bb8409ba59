import t from 'tap'
import { bearer, post, testApp } from '../fixtures/app.js'
import { GOLDEN, INTENT, LITERAL, toEnvelope } from '../fixtures/golden.js'

const READINGS = [{ detection: LITERAL, reading: 'literal' }, { detection: INTENT, reading: 'intent' }] as const

for (const { id, title, events, runs } of GOLDEN) {
  t.test(`${id}: ${title}`, async t => {
    const server = await testApp(t, { nowMs: Date.parse('2026-03-10T12:30:00Z') })
    t.equal((await post(server, events.map(event => toEnvelope(event)).join(''))).statusCode, 200)

    for (const { scheduled_time: scheduledTime, ...expected } of runs) {
      for (const { detection, reading } of READINGS) {
        const preview = await server.app.inject({
          method: 'POST', url: `/api/v1/detections/${detection}/preview`, headers: bearer, payload: { scheduled_time: scheduledTime },
        })
        t.strictSame(preview.json().rows, expected[reading], `${reading}, run ${scheduledTime}: the preview gives the rows`)

        const run = await server.app.inject({
          method: 'POST', url: `/api/v1/detections/${detection}/runs`, headers: bearer, payload: { scheduled_time: scheduledTime },
        })
        t.equal(run.json().row_count, expected[reading].length, `${reading}, run ${scheduledTime}: the run gives as many`)
        const findings = await server.app.inject({ url: `/api/v1/findings?detection=${detection}`, headers: bearer })
        const results = findings.json().items.map((item: { result: object }) => item.result)
        for (const row of expected[reading]) t.ok(results.some((result: object) => JSON.stringify(result) === JSON.stringify(row)), 'a finding has the row')
      }
    }
  })
}

t.test('the golden examples hold for events that are routed from cisco:isovalent, sent as text, and wrapped by container logs', async t => {
  const forms = [
    (event: object) => event,
    (event: object) => JSON.stringify(event),
    (event: object) => ({ log: JSON.stringify(event) + '\n', stream: 'stdout', kubernetes: { pod_name: 'tetragon-x' } }),
  ]
  for (const form of forms) {
    const server = await testApp(t)
    const example = GOLDEN.find(({ id }) => id === 'G28')!
    const body = example.events.map(event => JSON.stringify({ time: Date.parse(event.time) / 1000, sourcetype: 'cisco:isovalent', event: form(event) })).join('\n')
    t.equal((await post(server, body)).statusCode, 200)

    const preview = await server.app.inject({
      method: 'POST', url: `/api/v1/detections/${LITERAL}/preview`, headers: bearer, payload: { scheduled_time: example.runs[0]!.scheduled_time },
    })

    t.strictSame(preview.json().rows, example.runs[0]!.literal)
  }
})
