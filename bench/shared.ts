import type { Window } from '../src/event.js'
import { compileSearch, toKnowledge } from '../src/detect/search.js'
import { BUILT_IN_TABLES } from '../src/fields/field-tables.js'
import { toMacros } from '../src/detect/macros.js'
import type { EventStore } from '../src/store/events.js'
import { openSqliteEvents } from '../src/store/sqlite/open.js'
import { storeOptions } from './writer-loop.js'

export interface SharedFigures {
  readonly searches: number
  readonly events: number
  /** All at once, as detections that are due together. */
  readonly togetherMs: number
  /** One of them after the other, over some of the hour, put in proportion. */
  readonly aloneMs: number
}

/** Searches that the store can't aggregate: they read fields without columns, raw text, or need the order of events. */
const SEARCHES: readonly string[] = [
  'process_exec.process.flags="*procFS*" | stats count BY pod_name',
  'process_exec.process.cwd="/tmp*" | stats values(process) AS process BY node_name',
  'sourcetype=cisco:isovalent:processExec | regex process="(?i)(?<!\\w)-[a-z]*k" | stats count BY process_name',
  'sourcetype=cisco:isovalent:processExec | rex field=process "^(?<dir>/[^/ ]+)/" | stats count BY dir',
  'sourcetype=cisco:isovalent:processExec process_exec.process.uid=0 | stats dc(process_exec.process.pid) AS pids BY pod_name',
  'nsenter | stats list(process) AS process BY pod_name',
  '"docker" OR "containerd" | stats count BY container_id | sort -count | head 20',
  'sourcetype=cisco:isovalent:processExec | eval age=_time-strptime(\'process_exec.process.pod.container.start_time\', "%Y-%m-%dT%H:%M:%SZ") | where age>300 | stats count max(age) AS age BY pod_name',
  'sourcetype=cisco:isovalent:processExec | stats earliest(process) AS first latest(process) AS last BY pod_name',
  'sourcetype=cisco:isovalent:processExec parent_process="*bash*" | stats count BY parent_process',
  'process_exec.process.pod.container.security_context.privileged=true | stats count BY pod_name',
  '| tstats count min(_time) AS firstTime FROM datamodel=Endpoint.Processes WHERE Processes.process="* -la*" BY Processes.dest Processes.user Processes.process_name',
  '| tstats count FROM datamodel=Endpoint.Processes WHERE Processes.process_name IN ("nsenter", "mount") BY Processes.parent_process Processes.process',
  'sourcetype=cisco:isovalent:processExec | stats sum(process_exec.process.pid) AS s avg(process_exec.process.tid) AS a BY cluster_name',
  'sourcetype=cisco:isovalent:processExec | bin _time span=5m | stats count BY process_id _time | where count>3',
  'sourcetype=cisco:isovalent:processExec | eval key=md5(process) | stats dc(key) AS keys BY process_name',
  'sourcetype=cisco:isovalent:processExec process_current_directory="/" | stats count BY process_name',
  'sourcetype=cisco:isovalent:processExec | where like(process, "%shadow%") | table _time pod_name process',
  'sourcetype=cisco:isovalent:processExec | dedup pod_name process_exec | stats count BY process_exec',
  'sourcetype=cisco:isovalent:processExec vendor_product=* | stats mode(process_name) AS usual BY pod_namespace',
]

/** Runs twenty searches that the store can't aggregate over the events in `dataDir`; one by one over the first `share` of the window alone. */
export async function measureShared (dataDir: string, window: Window, share: number): Promise<SharedFigures> {
  const plans = SEARCHES.map(text => compileSearch(text, toMacros({}), toKnowledge(BUILT_IN_TABLES, new Map())))
  const part = { ...window, latestUs: window.earliestUs + Math.floor((window.latestUs - window.earliestUs) * share) }
  const events = await openSqliteEvents(storeOptions(dataDir))
  const run = async (plan: typeof plans[number], window: Window, store: EventStore) => {
    return store.search(plan, { window, position: store.position(), timeZone: 'UTC', nowMs: 0, limit: 10_000 })
  }
  try {
    const startMs = performance.now()
    const results = await Promise.all(plans.map(plan => run(plan, window, events)))
    const togetherMs = performance.now() - startMs
    const aloneStartMs = performance.now()
    for (const plan of plans) await run(plan, part, events)
    const aloneMs = (performance.now() - aloneStartMs) / share
    return { searches: plans.length, events: Math.max(...results.map(({ scannedEvents }) => scannedEvents)), togetherMs, aloneMs }
  } finally {
    await events.close()
  }
}
