import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { toRfc3339, toSeconds } from '../event.js'
import type { FindingBody } from '../finding.js'
import { severityOf } from '../finding.js'
import type { FindingEnd, FindingStore, OwnFinding } from '../store/control/findings.js'
import type { NamedSource, SourceFilter, SourceRow, SourceStore } from '../store/control/sources.js'
import type { EventStore, SourceArrivals } from '../store/events.js'
import { HOUR_MS } from '../store/events.js'
import { durationText } from './change.js'
import type { DetectionLack } from './late.js'
import { SAMPLE_CLUSTER } from './sample.js'

/** In place of a detection's: no file has it. */
export const SILENT_SOURCE = { id: 'hecate___silent_source', name: 'Hecate - Silent source', version: 1 }

/** How long what came in an hour is kept. */
export const KEPT_MS = 30 * 86_400_000

/** So many sources are written at a time, in 5 to 20 ms: HEC is answered between. */
const AT_A_TIME = 200

export interface SourcesDeps {
  readonly events: Pick<EventStore, 'sourceCounts' | 'position'>
  readonly store: SourceStore
  readonly findings: FindingStore
  /** A source that has sent nothing for longer is silent; 0: none is. */
  readonly silentAfterMs: number
  /** One that has sent nothing for longer is silent no more; 0: it stays so. */
  readonly forgetAfterMs: number
  /** Since when events could come in without a break; what was not taken says nothing of who sends. Epoch milliseconds. */
  readonly openSinceMs: () => number
}

/** Who sends events, how late they come, and who has fallen silent, which is a finding. */
export function openSources ({ events, store, findings, silentAfterMs, forgetAfterMs, openSinceMs }: SourcesDeps) {
  /** What is taken from the event store and not written yet. */
  let taken: readonly SourceArrivals[] = []

  /** A source that has sent nothing since is not silent, but forgotten. */
  function forgottenMs (nowMs: number): number {
    return forgetAfterMs === 0 ? -Infinity : nowMs - forgetAfterMs
  }

  /** As `forgottenMs`, where silence is looked for. */
  const notSilentMs = (nowMs: number) => silentAfterMs === 0 ? Infinity : forgottenMs(nowMs)

  /** Ends the findings of sources that send again; gives how many. */
  async function endSilences (nowMs: number): Promise<number> {
    let count = 0
    for (let back = store.back(AT_A_TIME); back.length > 0; back = store.back(AT_A_TIME)) {
      findings.endOwn(back.map(toEnd), events.position(), nowMs)
      store.clearSilent(back.map(({ id }) => id))
      count += back.length
      await setImmediate()
    }
    return count
  }

  /** Makes findings; gives how many. One that was written without its mark, for a crash between the two, is met again and stays as it is. */
  async function findSilences (nowMs: number): Promise<number> {
    const beforeMs = nowMs - silentAfterMs
    if (silentAfterMs === 0 || openSinceMs() >= beforeMs) return 0
    const next = () => store.newlySilent(beforeMs, forgottenMs(nowMs), AT_A_TIME)
    let count = 0
    for (let silent = next(); silent.length > 0; silent = next()) {
      findings.putOwn(silent.map(source => toFinding(source, silentAfterMs, nowMs)), events.position(), nowMs)
      store.markSilent(silent.map(({ id }) => id))
      count += silent.length
      await setImmediate()
    }
    return count
  }

  return {
    /** Gives what came since the last call; nothing while some of that is not written yet. */
    async take (): Promise<readonly SourceArrivals[]> {
      if (taken.length > 0) return []
      taken = (await events.sourceCounts()).filter(({ source }) => source?.cluster_name !== SAMPLE_CLUSTER) // it would fall silent, which nobody need know
      return taken
    },
    /** Writes down what was taken. What can't be written is kept for the next call, and the error is thrown. */
    async write (): Promise<void> {
      while (taken.length > 0) {
        store.add(taken.slice(0, AT_A_TIME))
        taken = taken.slice(AT_A_TIME)
        await setImmediate()
      }
    },
    /** Makes findings of sources that have fallen silent, ends those of sources that send again, and forgets old ones. */
    async look (nowMs: number): Promise<{ silent: number, back: number }> {
      const back = await endSilences(nowMs)
      const silent = await findSilences(nowMs)
      const hoursMs = nowMs - KEPT_MS
      store.removeOld({ hoursMs, sourcesMs: Math.min(hoursMs, notSilentMs(nowMs)), forgottenMs: forgottenMs(nowMs) })
      return { silent, back }
    },
    /** In the order of their first arrival, after the source of the id `after`. */
    list (filter: Omit<SourceFilter, 'forgottenMs'>, nowMs: number, limit: number, after: number): (SourceRow & { isSilent: boolean })[] {
      const since = notSilentMs(nowMs)
      return store.list({ ...filter, forgottenMs: since }, limit, after).map(row => ({
        ...row, isSilent: row.silent_since_ms !== null && row.back_ms === null && row.last_arrival_ms >= since,
      }))
    },
    count: (filter: Omit<SourceFilter, 'forgottenMs'>, nowMs: number): number => store.count({ ...filter, forgottenMs: notSilentMs(nowMs) }),
    hours: store.hours,
    lacks: store.lacks,
    /** Keeps what events lack that were looked at by now. */
    addLacks: (lacks: readonly DetectionLack[], nowMs: number): void => store.addLacks(lacks, Math.floor(nowMs / HOUR_MS) * HOUR_MS),
  }
}
export type Sources = ReturnType<typeof openSources>

/** One for each silence: a source and when it began. */
function idOf ({ index, sourcetype, cluster_name: cluster, node_name: node }: NamedSource, silentSinceMs: number): string {
  return createHash('sha256').update(JSON.stringify([SILENT_SOURCE.id, index, sourcetype, cluster, node, silentSinceMs])).digest('hex').slice(0, 32)
}

function toFinding (source: NamedSource, silentAfterMs: number, nowMs: number): OwnFinding {
  const { index, sourcetype, cluster_name: cluster, node_name: node, last_arrival_ms: lastMs } = source
  const lastArrival = toRfc3339(lastMs * 1_000)
  const who = [...node === null ? [] : [`node ${node}`], ...cluster === null ? [] : [`cluster ${cluster}`]].join(' of ')
  const body: FindingBody = {
    detection: SILENT_SOURCE,
    time: toSeconds(lastMs * 1_000),
    result: {
      index, sourcetype, ...cluster === null ? {} : { cluster_name: cluster }, ...node === null ? {} : { node_name: node },
      last_arrival: lastArrival, silent_after: silentAfterMs / 1_000,
    },
    risk: { score: 0, message: `${who === '' ? 'nobody' : who} has sent ${who === '' ? '' : 'no '}${sourcetype} to ${index} since ${lastArrival}`, objects: [], threat_objects: [] },
    severity: severityOf(0),
    mitre_attack: [],
    window: { earliest: lastArrival, latest: toRfc3339(nowMs * 1_000) },
  }
  return { id: idOf(source, lastMs), body }
}

function toEnd (source: NamedSource & { readonly silent_since_ms: number, readonly back_ms: number }): FindingEnd {
  const { silent_since_ms: sinceMs, back_ms: backMs } = source
  const text = `sends again since ${toRfc3339(backMs * 1_000)}, after ${durationText(Math.max(0, backMs - sinceMs) / 1_000)}`
  return { id: idOf(source, sinceMs), atMs: backMs, change: { reason: 'arrival', row: 'gone', fields: [], late: null, text } }
}
