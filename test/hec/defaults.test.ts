import t from 'tap'
import type { TestApp } from '../fixtures/app.js'
import { ARRIVAL_MS, bearer, FILLING_TOKEN, post, storedEvents, testApp } from '../fixtures/app.js'

const OWN_SECONDS = 1773140710 // of the event below
const event = { process_exec: { process: { binary: '/bin/ls' } }, time: '2026-03-10T11:05:10.000000001Z' }

async function metric ({ app }: TestApp, name: string): Promise<string[]> {
  return (await app.inject('/metrics')).body.split('\n').filter(line => line.startsWith(name))
}

const times = async (it: TestApp) => (await storedEvents(it)).map(({ time }) => time)

t.test('without a time in the envelope it is the time of arrival, as in Splunk', async t => {
  const it = await testApp(t)

  await post(it, { event })
  await post(it, { event }, {}, '/services/collector/event?auto_extract_timestamp=false')

  t.strictSame(await times(it), [ARRIVAL_MS / 1000, ARRIVAL_MS / 1000])
  t.strictSame(await metric(it, 'hecate_hec_own_times_total'), [])
})

t.test('hec.time_from: event takes the event\'s own time, where nothing else says it', async t => {
  const it = await testApp(t, { timeFrom: 'event' })

  await post(it, { event })
  await post(it, { event: JSON.stringify(event) })
  await post(it, { event: { log: JSON.stringify(event) }, sourcetype: 'cisco:isovalent' })
  await post(it, { event: '2026-03-10T11:05:10Z some text' })
  await post(it, { event, time: 1 })
  await post(it, { event }, {}, '/services/collector/event?time=2')
  await post(it, { event: 'no time' })

  t.strictSame(await times(it), [OWN_SECONDS, OWN_SECONDS, OWN_SECONDS, OWN_SECONDS, 1, 2, ARRIVAL_MS / 1000])
  t.strictSame(await metric(it, 'hecate_hec_own_times_total'), ['hecate_hec_own_times_total{token="test"} 4'])
})

t.test('a token\'s defaults are set where an event has none of that name', async t => {
  const it = await testApp(t)
  const headers = { authorization: `Splunk ${FILLING_TOKEN}` }
  const sourcetype = 'cisco:isovalent'

  await post(it, { event, sourcetype }, headers)
  await post(it, { event: { ...event, cluster_name: 'own' }, sourcetype }, headers)
  await post(it, { event, sourcetype, fields: { cluster_name: 'envelope', x: 'y' } }, headers)
  await post(it, { event: 'text', fields: { cluster_name: '', team: 'red' } }, headers)
  await post(it, `${JSON.stringify(event)}\n${JSON.stringify({ ...event, cluster_name: 'own', team: 'own' })}`, headers, `/services/collector/raw?sourcetype=${sourcetype}`)

  t.strictSame((await storedEvents(it)).map(({ fields }) => fields), [
    { cluster_name: 'prod', team: 'blue' },
    { team: 'blue' },
    { cluster_name: 'envelope', x: 'y', team: 'blue' },
    { cluster_name: '', team: 'red' },
    { cluster_name: 'prod', team: 'blue' },
    {},
  ])
  const search = async (text: string) => (await it.app.inject({ method: 'POST', url: '/api/v1/search', headers: bearer, payload: { search: text } })).json().rows as unknown
  t.strictSame(await search('sourcetype=cisco:isovalent:processExec process_name=ls | stats count BY cluster_name'), [
    { cluster_name: 'envelope', count: 1 }, { cluster_name: 'own', count: 2 }, { cluster_name: 'prod', count: 2 },
  ])
  t.strictSame(await search('cluster_name=prod team=blue | stats count'), [{ count: 2 }], 'with a column and without')
  t.strictSame(await metric(it, 'hecate_hec_filled_total'), ['hecate_hec_filled_total{token="filling"} 4'])
})
