import { setImmediate } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import { Counter, Gauge, Histogram } from 'prom-client'
import type { BackfillStore } from '../store/control/backfills.js'
import type { FindingStore, RunRecord } from '../store/control/findings.js'
import type { LedgerStore } from '../store/control/ledger.js'
import type { SweepReport } from './late.js'
import type { EndReason } from '../store/control/risk.js'
import { END_REASONS } from '../store/control/risk.js'
import type { SourceArrivals } from '../store/events.js'
import { lagBoundSeconds } from '../store/lag.js'
import { registerGauge } from '../store/metrics.js'
import type { Risk } from './risk.js'
import type { RiskRule } from './risk-rules.js'
import type { Sources } from './sources.js'
import type { Suppressions } from './suppressions.js'

/** Runs and the ledger. The label `detection` is a file's name. */
export function openDetectMetrics (registry: Registry, { ledger, findings, suppressions, now }: { ledger: LedgerStore, findings: FindingStore, suppressions: Pick<Suppressions, 'count'>, now: () => number }) {
  const registers = [registry]
  const labelNames = ['detection'] as const
  const runs = new Counter({ name: 'hecate_detection_runs_total', help: 'Runs by status.', labelNames: ['detection', 'status'], registers })
  const seconds = new Histogram({ name: 'hecate_detection_run_seconds', help: 'How long runs took.', labelNames, buckets: [0.01, 0.1, 0.5, 1, 5, 30, 120], registers })
  const found = new Counter({ name: 'hecate_findings_total', help: 'Findings that runs created or revised.', labelNames: ['detection', 'change'], registers })
  const throttled = new Counter({ name: 'hecate_findings_throttled_total', help: 'New findings that were throttled.', labelNames, registers })
  const suppressed = new Counter({ name: 'hecate_findings_suppressed_total', help: 'New findings that a suppression hides.', labelNames, registers })
  registerGauge(registry, 'hecate_suppressions_active', 'Suppressions that hide findings: enabled, and not expired.', () => suppressions.count({ state: 'active', nowMs: now() }))
  const twins = new Counter({ name: 'hecate_detection_twin_rows_total', help: 'Rows whose key another row of the run had too.', labelNames, registers })
  registerGauge(registry, 'hecate_ledger_owed_slots', 'Slots that are owed and have not failed.', () => ledger.counts().owed)
  registerGauge(registry, 'hecate_ledger_failed_slots', 'Slots whose last run failed.', () => ledger.counts().failed)
  registerGauge(registry, 'hecate_ledger_late_slots', 'Slots that are evaluated again soon, because events came late.', () => ledger.counts().late)
  const ofDetection = (name: string, help: string, read: (counts: ReturnType<LedgerStore['countsOf']>[number]) => number): void => registry.registerMetric(new Gauge({
    name, help, labelNames, registers: [],
    collect () {
      this.reset()
      for (const counts of ledger.countsOf()) this.set({ detection: counts.detection_id }, read(counts))
    },
  }))
  ofDetection('hecate_detection_owed_slots', 'Slots of a detection that are owed and have not failed; missing where there is none to run.', ({ owed }) => owed)
  ofDetection('hecate_detection_failed_slots', 'Slots of a detection whose last run failed.', ({ failed }) => failed)
  ofDetection('hecate_detection_late_slots', 'Slots of a detection that are evaluated again soon.', ({ late }) => late)
  ofDetection('hecate_detection_oldest_owed_seconds', 'Age of the oldest slot of a detection that is owed or failed.', ({ oldest_owed_ms: oldestMs }) => oldestMs === null ? 0 : Math.max(0, now() - oldestMs) / 1000)
  registerGauge(registry, 'hecate_ledger_oldest_owed_seconds', 'Age of the oldest slot that is owed or failed and was never evaluated; 0 without.', () => {
    const oldestMs = ledger.counts().oldest_owed_ms
    return oldestMs === null ? 0 : Math.max(0, now() - oldestMs) / 1000
  })
  registry.registerMetric(new Gauge({
    name: 'hecate_detection_last_success_seconds',
    help: 'When a run last succeeded, epoch seconds.',
    labelNames,
    registers: [],
    collect () {
      for (const [detection, finishedMs] of findings.lastSuccess()) this.set({ detection }, finishedMs / 1000)
    },
  }))
  const late = new Counter({ name: 'hecate_late_events_total', help: 'Events that came after the window they belong to was evaluated: late ones make it be evaluated again, too late ones do not.', labelNames: ['fate'], registers })
  for (const fate of ['late', 'too_late']) late.inc({ fate }, 0)
  const lacking = new Counter({ name: 'hecate_events_lacking_field_total', help: 'Events that a detection looks for, without a field that it groups by: they are in no row.', labelNames: ['detection', 'field'], registers })
  return {
    swept (report: SweepReport): void {
      late.inc({ fate: 'late' }, report.late)
      late.inc({ fate: 'too_late' }, report.tooLate)
      for (const { detectionId, field, events } of report.lacking) if (events > 0) lacking.inc({ detection: detectionId, field }, events)
    },
    ran (run: RunRecord, twinRows: number): void {
      const detection = run.detection_id
      runs.inc({ detection, status: run.status })
      seconds.observe({ detection }, (run.finished_ms - run.started_ms) / 1000)
      if (run.created > 0) found.inc({ detection, change: 'created' }, run.created)
      if (run.throttled > 0) throttled.inc({ detection }, run.throttled)
      if (run.suppressed > 0) suppressed.inc({ detection }, run.suppressed)
      if (run.revised > 0) found.inc({ detection, change: 'revised' }, run.revised)
      if (twinRows > 0) twins.inc({ detection }, twinRows)
    },
  }
}

/** Backfills; what is given counts a slot that is done with. */
export function openBackfillMetrics (registry: Registry, backfills: BackfillStore): (status: 'succeeded' | 'failed' | 'lost') => void {
  const slots = new Counter({ name: 'hecate_backfill_slots_total', help: 'Slots that backfills are done with; lost: left as they were, since their windows have lost events.', labelNames: ['status'], registers: [registry] })
  for (const status of ['succeeded', 'failed', 'lost']) slots.inc({ status }, 0) // from the start on, or the first would be no increase
  registerGauge(registry, 'hecate_backfills_running', 'Backfills that run: one or none.', () => backfills.runningCount())
  return status => { slots.inc({ status }) }
}

/** Risk: what is given counts postings. */
export function openRiskMetrics (registry: Registry) {
  const registers = [registry]
  const posted = new Counter({ name: 'hecate_risk_postings_total', help: 'Postings of risk: of a revision of a finding to a risk object.', registers })
  const ended = new Counter({ name: 'hecate_risk_postings_ended_total', help: 'Postings of risk that count no more, and why.', labelNames: ['why'], registers })
  for (const why of END_REASONS) ended.inc({ why }, 0)
  const found = new Counter({ name: 'hecate_risk_findings_total', help: 'Findings that risk rules created or revised.', labelNames: ['rule', 'change'], registers })
  return {
    count (what: 'posted' | EndReason, postings: number): void {
      if (what === 'posted') posted.inc(postings)
      else ended.inc({ why: what }, postings)
    },
    found (rule: RiskRule, change: 'created' | 'revised'): void {
      found.inc({ rule, change })
    },
    watch (risk: Pick<Risk, 'isPosted' | 'unknownTechniques'>): void {
      registerGauge(registry, 'hecate_risk_incomplete', '1 while findings of the past are being posted, 0 once all are.', () => risk.isPosted() ? 0 : 1)
      registerGauge(registry, 'hecate_risk_unknown_techniques', 'Techniques of findings that the table of ATT&CK tactics does not know.', () => risk.unknownTechniques().length)
    },
  }
}

/** So many lags are counted at a time, in a millisecond or two: Prometheus' histogram takes them one by one. */
const LAGS_AT_A_TIME = 10_000

/** Sources and what came of them. No label is of an event. */
export function openSourceMetrics (registry: Registry, { sources, now }: { sources: Sources, now: () => number }) {
  const registers = [registry]
  const lost = new Counter({ name: 'hecate_tetragon_lost_events_total', help: 'Events that Tetragon says its rate limit dropped.', registers })
  const throttled = new Counter({ name: 'hecate_tetragon_throttled_total', help: 'How often Tetragon says that it began to throttle a cgroup.', registers })
  const lag = new Histogram({
    name: 'hecate_event_lag_seconds', help: 'From the time of an event to its arrival, up to 19 % too large.', registers,
    buckets: [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400, 604_800],
  })
  registerGauge(registry, 'hecate_source_count', 'Sources that are known: events of one index, sourcetype, cluster and node.', () => sources.count({ isSilent: false }, now()))
  registerGauge(registry, 'hecate_source_silent', 'Sources that have sent nothing for longer than sources.silent_after.', () => sources.count({ isSilent: true }, now()))
  return {
    async arrived (all: readonly SourceArrivals[]): Promise<void> {
      let counted = 0
      for (const { lag: counts, maxLagUs, lostEvents, throttled: times } of all) {
        lost.inc(lostEvents)
        throttled.inc(times)
        for (const [bucket, events] of Object.entries(counts)) {
          const seconds = Math.min(lagBoundSeconds(Number(bucket)), maxLagUs / 1e6)
          for (let i = 0; i < events; i++) {
            lag.observe(seconds)
            if (++counted % LAGS_AT_A_TIME === 0) await setImmediate()
          }
        }
      }
    },
  }
}
