import t from 'tap'
import { ARRIVAL_MS, post, storedEvents, testApp } from '../fixtures/app.js'

const RAW = '/services/collector/raw'

t.test('a line\'s own time is its time, unless the query has one', async t => {
  const it = await testApp(t)

  await post(it, '2026-03-10T11:05:10.123456789Z nsenter\n{"process_exec":{},"time":"2026-03-10T11:05:11Z"}\nno time', {}, RAW)
  await post(it, '2026-03-10T11:05:10Z', {}, `${RAW}?time=7`)

  t.strictSame((await storedEvents(it)).map(({ time }) => time), [1773140710.123456, 1773140711, ARRIVAL_MS / 1000, 7])
})

t.test('a Tetragon line has the fields of its event', async t => {
  const it = await testApp(t)
  const line = JSON.stringify({ process_exec: { process: { binary: '/usr/bin/nsenter', arguments: '-t 1', pod: { name: 'web-1' } } }, cluster_name: 'prod' })

  await post(it, `${line}\n`, {}, `${RAW}?sourcetype=cisco:isovalent`)

  const reply = await it.app.inject({
    method: 'POST',
    url: '/api/v1/search',
    headers: { authorization: 'Bearer an-admin-key' },
    payload: { search: 'sourcetype=cisco:isovalent:processExec process_name=nsenter | table cluster_name pod_name process' },
  })
  t.strictSame(reply.json().rows, [{ cluster_name: 'prod', pod_name: 'web-1', process: '/usr/bin/nsenter -t 1' }])
})
