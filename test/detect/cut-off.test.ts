import t from 'tap'
import type { Test } from 'tap'
import type { Finding } from '../../src/finding.js'
import { at, openTriage, stanzaOf } from '../fixtures/workflow.js'

const PODS = 100

/** A server with a pod for each of so many rows, whose first run fails once it has posted the risk of so many findings. */
async function openFailing (t: Test, failsAfter: number, search = 'sourcetype=st | stats count BY pod | where count=1') {
  let left = failsAfter
  const server = await openTriage(t, {
    stanzas: stanzaOf('a_rule', search),
    countRisk: what => { if (what === 'posted' && left-- === 0) throw new Error('the disk has a bad day') },
  })
  await server.happen(...Array.from({ length: PODS }, (_, n) => ({ pod: `p${n}` })))
  server.ledger.complete(at('20:00:00'))
  return {
    ...server,
    tryRun: () => server.ledger.run('a_rule', at('09:00:00')),
    slot: () => server.ledgerStore.slot('a_rule', at('09:00:00'))!,
    /** What runs say that they have written, and how much there is. */
    written: () => server.control.prepare('SELECT (SELECT sum(created + throttled + suppressed + revised + gone) FROM run) AS said, (SELECT count(*) FROM finding_revision) AS found').get() as { said: number, found: number },
    /** Looks at the database whenever others have their turn, until the work is done. */
    async lookWhile<T> (work: Promise<T>, sql: string): Promise<{ seen: number[], done: T }> {
      const seen = new Set<number>()
      let isOver = false
      const look = () => {
        seen.add(server.control.prepare(sql).pluck().get() as number)
        if (!isOver) setImmediate(look)
      }
      look()
      try {
        const done = await work
        return { seen: [...seen], done }
      } finally {
        isOver = true
      }
    },
    pods: async () => (await server.list('limit=1000')).map(({ result }: Finding) => (result as { pod: string }).pod),
  }
}

t.test('others get their turn while a run writes many findings', async t => {
  const server = await openFailing(t, Infinity)
  const { seen, done } = await server.lookWhile(server.tryRun(), 'SELECT count(*) FROM finding')

  t.match(done, { status: 'succeeded', row_count: PODS, created: PODS, unchanged: 0, error: null })
  t.ok(seen.some(count => count > 0 && count < PODS), `findings that were seen: ${seen.join(', ')}`)
})

t.test('what a run gives no more is gone before it gives anything: nobody has the risk of both', async t => {
  const server = await openFailing(t, Infinity, 'sourcetype=st | stats count AS events BY pod | stats count BY pod events')
  await server.tryRun()
  await server.happen(...Array.from({ length: PODS }, (_, n) => ({ pod: `p${n}` })))
  const { seen, done } = await server.lookWhile(server.tryRun(), 'SELECT count(*) FROM risk_posting WHERE ended_ms IS NULL')

  t.match(done, { status: 'succeeded', created: PODS, gone: PODS })
  t.ok(seen.length > 10, 'in steps')
  t.equal(Math.max(...seen), PODS)
  t.strictSame(server.written(), { said: 3 * PODS, found: 3 * PODS })
})

t.test('a server that is stopped does not wait for the rest of a run, which the next one takes over', async t => {
  const server = await openFailing(t, Infinity)
  const running = server.tryRun()
  while (server.control.prepare('SELECT count(*) FROM finding').pluck().get() === 0) await new Promise(resolve => setImmediate(resolve))
  server.stop.abort()

  await t.rejects(running, { code: 'unavailable' })
  t.match(server.control.prepare('SELECT status, error, created FROM run').get(), { status: 'failed', error: 'not all findings of the run have been written', created: 8 })
  t.match(server.slot(), { state: 'running' })
  t.strictSame(server.written(), { said: 8, found: 8 })
})

t.test('a run that fails while it writes findings says so, and the next one takes over what was written', async t => {
  const server = await openFailing(t, 70)

  t.match(await server.tryRun(), { status: 'failed', error: 'the disk has a bad day' })
  t.equal((await server.pods()).length, 64, 'whole commits')
  t.match(server.slot(), { state: 'failed', position: null })
  t.match((await server.get('detections/a_rule/runs')).items, [{ status: 'failed', error: 'the disk has a bad day', findings: { created: 64 } }])
  t.strictSame(server.written(), { said: 64, found: 64 })

  const { id, ...run } = await server.tryRun()
  t.match(run, { status: 'succeeded', created: PODS, unchanged: 0, gone: 0 })
  const found = await server.list('limit=1000')
  t.strictSame(found.map(({ run, revision }) => [run, revision]), Array(PODS).fill([id, 1]))
  t.strictSame((await server.get(`findings/${found[0]!.id}/revisions`)).items.map(({ run }: { run: string }) => run), [id])
  t.strictSame(server.written(), { said: PODS, found: PODS })
  t.match(await server.tryRun(), { status: 'succeeded', created: 0, unchanged: PODS })
  t.match(server.slot(), { state: 'done' })
})

t.test('what a run that was cut off has given and the next one does not is gone', async t => {
  const server = await openFailing(t, 70)
  await server.tryRun()
  const [{ id, result }] = await server.list() as [Finding]
  await server.happen(result as object)

  t.match(await server.tryRun(), { status: 'succeeded', created: PODS - 1, unchanged: 0, gone: 1 })
  t.match((await server.get(`findings/${id}`)), { change: { row: 'gone' } })
  t.strictSame(server.written(), { said: PODS + 1, found: PODS + 1 })
})

t.test('a run stands as failed until its last findings are written', async t => {
  const server = await openFailing(t, Infinity)
  const running = server.tryRun()
  let runs: { status: string, error: string | null }[] = []
  while (runs.length === 0) {
    await new Promise(resolve => setImmediate(resolve))
    runs = server.control.prepare<[], { status: string, error: string | null }>('SELECT status, error FROM run').all()
  }
  t.match(runs, [{ status: 'failed', error: 'not all findings of the run have been written' }])
  await running
  t.match((await server.get('detections/a_rule/runs')).items, [{ status: 'succeeded', error: null, findings: { created: PODS } }])
})
