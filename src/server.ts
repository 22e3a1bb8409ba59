import { randomUUID } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { setMaxListeners } from 'node:events'
import { mkdirSync, statfsSync } from 'node:fs'
import { Server as HttpsServer } from 'node:https'
import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { openApiMetrics } from './api/metrics.js'
import type { Readiness } from './api/probes.js'
import { buildApp } from './app.js'
import { openAudit } from './audit.js'
import type { Config } from './config.js'
import { ConfigError } from './config.js'
import { openCredentials } from './credentials.js'
import type { ActiveDetection } from './detect/active.js'
import { openBackfills } from './detect/backfill.js'
import { openCoverageReader } from './detect/coverage-reader.js'
import { openDefinitions } from './detect/definitions.js'
import { openDetections } from './detect/detections.js'
import { sweep } from './detect/late.js'
import { openLedger } from './detect/ledger.js'
import { toRfc3339 } from './event.js'
import type { FolderContent, FolderPaths, Folders } from './detect/folders.js'
import { openFolders } from './detect/folders.js'
import { openBackfillMetrics, openDetectMetrics, openRiskMetrics, openSourceMetrics } from './detect/metrics.js'
import { openOffers } from './detect/offer.js'
import type { Problem } from './detect/place.js'
import { openRisk } from './detect/risk.js'
import { riskOf } from './detect/risk-entity.js'
import { openRiskRules, RISK_RULE_IDS } from './detect/risk-rules.js'
import { toKnowledge } from './detect/search.js'
import { openSources } from './detect/sources.js'
import { openSuppressions } from './detect/suppressions.js'
import { buildFieldTables } from './fields/field-tables.js'
import { openAcks } from './hec/ack.js'
import { MAX_BYTES_IN_FLIGHT, MAX_LARGE_BYTES, openByteBudget } from './hec/body.js'
import { openHecMetrics } from './hec/metrics.js'
import { openTokens } from './hec/token.js'
import { openTokenUsage } from './hec/usage.js'
import { openKeys } from './keys.js'
import { openDeliveries } from './notify/deliveries.js'
import { openDeliveryMetrics } from './notify/metrics.js'
import { LOG_BOUNDS, openFindingStream } from './notify/stream.js'
import { openTargets } from './notify/targets.js'
import { resourcePath } from './resource.js'
import type { Clock } from './schedule/loop.js'
import { runLoop } from './schedule/loop.js'
import { openSessions } from './sessions.js'
import { openBackups } from './store/backups.js'
import { openAuditStore } from './store/control/audit.js'
import { openBackfillStore } from './store/control/backfills.js'
import type { Checkpoints } from './store/control/checkpoints.js'
import { startCheckpoints } from './store/control/checkpoints.js'
import { openCredentialStore } from './store/control/credentials.js'
import { openDetectionStore } from './store/control/detections.js'
import { openFindingLog } from './store/control/finding-log.js'
import { openFindingStore } from './store/control/findings.js'
import { openKeyStore } from './store/control/keys.js'
import { openLedgerStore } from './store/control/ledger.js'
import { openControlDatabase } from './store/control/open.js'
import { openOutboxStore } from './store/control/outbox.js'
import { openRetentionStore } from './store/control/retention.js'
import { openRiskStore } from './store/control/risk.js'
import { openRiskRuleStore } from './store/control/risk-rules.js'
import { openSessionStore } from './store/control/sessions.js'
import { openSourceStore } from './store/control/sources.js'
import { openSuppressionStore } from './store/control/suppressions.js'
import { openWorkflowStore } from './store/control/workflow.js'
import type { DroppedPartition } from './store/events.js'
import type { DiskSpace } from './store/disk.js'
import { openDisk } from './store/disk.js'
import { lockDataDir } from './store/lock.js'
import { openBackupMetrics, openDiskMetrics, openRetentionMetrics, openStoreMetrics } from './store/metrics.js'
import { openSqliteEvents } from './store/sqlite/open.js'
import { openTls } from './tls.js'

/** Secrets that were made because there were none of their kind; they are kept as hashes only, so this is the one time to show them. */
export interface FirstSecrets { readonly token: string | null, readonly key: string | null }

export interface ServerDeps {
  readonly clock: Clock
  readonly log: FastifyBaseLogger
  readonly version: string
  /** Of the file system that a path is on. */
  readonly statfs?: (path: string) => DiskSpace
}

/** How long open connections get their 503 before the server closes. */
const DRAIN_MS = 300

/** A client that is still in the middle of a request by then is cut off: nothing of the request was acknowledged. */
const CUT_OFF_MS = 4_000

/** After a turn of the ledger that threw, the next one waits. */
const LEDGER_PAUSE_MS = 30_000

/** After a turn of a target that threw, the next one waits. */
const TARGET_PAUSE_MS = 30_000

/** How often control.db is asked whether a command has changed tokens or keys: it is to be seen within a second. */
const CREDENTIALS_LOOK_MS = 500

/** How often the files of detections, macros and lookups are looked at. */
const FOLDERS_LOOK_MS = 5_000

/** How often the events that have come are looked through for late ones. */
const SWEEP_MS = 10_000

/** How often it is looked how much room the disk has. */
const DISK_LOOK_MS = 1_000

const DAY_US = 86_400_000_000

/** How often old events are looked for. */
const RETENTION_MS = 60_000

/** How often partitions are looked for that can be packed: there is one a day. */
const PACK_LOOK_MS = 60_000

/** Findings, entries of the audit log, or slots, that go in one transaction: some milliseconds. */
const REMOVED_AT_A_TIME = 25

/** How often it is written down what came of each source. */
const ARRIVALS_MS = 5_000

/** How often silent sources are looked for. */
const SILENCE_LOOK_MS = 10_000

/** How often deliveries and changes of long ago are looked for. */
const FORGET_MS = 60_000
/** Findings that were there before their risk was posted are posted in turns, with a pause between them that is longer than a turn; after a failure it is tried again. */
const RISK_LOOK_MS = 60_000
const RISK_PAUSE_MS = 20

/** How often the risk rules look at the objects that have got postings. */
const RISK_RULES_MS = 1_000

/** How often it is written down what tokens were used for. */
const USAGE_FLUSH_MS = 5_000

/**
 * Everything of one server, made from its configuration: data folder locked, databases open and migrated, ledger whole.
 * Nothing listens or runs before `start`. Throws ConfigError, LockedError, SchemaError.
 */
export async function openServer (config: Config, deps: ServerDeps) {
  const opened: (() => void | Promise<void>)[] = []
  try {
    return await assembleServer(config, deps, closeLater => opened.push(closeLater))
  } catch (error) {
    for (const close of opened.reverse()) await close() // a thread that is left would keep the process
    throw error
  }
}

/** `onFailure` is given what is to be closed where a later part can't be made. */
async function assembleServer (config: Config, { clock, log, version, statfs = statfsSync }: ServerDeps, onFailure: (close: () => void | Promise<void>) => void) {
  const folders = openFolders(foldersOf(config))
  let content = readFolders(folders, config)
  checkOverrides(config, content.detections.map(({ id }) => id))
  const fieldTables = buildFieldTables(config)
  const targets = openTargets(config.notify, {
    revisions: (id, limit, before) => findings.revisions(id, limit, before),
    storiesOf: id => detections.storiesOf(id),
    madeOfRisk: RISK_RULE_IDS,
  })
  const registry = new Registry()
  const tls = config.listen.tls === undefined ? null : openTls(config.listen.tls, { registry, log })
  mkdirSync(config.data.dir, { recursive: true, mode: 0o700 })
  const unlock = lockDataDir(config.data.dir)
  onFailure(unlock)
  const control = openControlDatabase(config.data.dir)
  onFailure(() => { control.close() })
  // Its thread starts while everything is made here that can do without it.
  const openingEvents = openSqliteEvents({
    dataDir: config.data.dir,
    durability: config.data.durability,
    existingIndexes: new Set(config.indexes),
    maxEventBytes: config.hec.max_event_bytes,
    compatibility: config.hec.compatibility,
    resendWindowUs: config.hec.resend_window * 1_000,
    fieldTables,
    retention: { ageMs: config.data.retention, bytes: config.data.max_bytes },
    report: {
      damaged: damage => { log.error(damage, 'a partition is damaged and was set aside') },
      notMerged: err => { log.error({ err }, 'small blocks could not be merged') },
      notRemoved: err => { log.error({ err }, 'the files of dropped partitions could not be removed') },
    },
  })
  onFailure(() => openingEvents.then(events => events.close(), () => {}))
  collectDefaultMetrics({ register: registry })
  const disk = openDisk({ reserveBytes: config.data.reserve_bytes, statfs: () => statfs(config.data.dir) })
  openDiskMetrics(registry, disk)
  let wasFull = false
  /** Of the packing that is under way. */
  let packStop = new AbortController()
  /** Since when HEC has taken events without a break for lack of space. */
  let openSinceMs = clock.now()
  lookAtDisk()

  const credentialStore = openCredentialStore(control)
  const credentials = openCredentials(config, credentialStore)
  const usage = openTokenUsage(credentialStore)
  const keys = openKeys(config, openKeyStore(control))
  const audit = openAudit({ store: openAuditStore(control), now: clock.now })
  const sessions = openSessions({ keys, store: openSessionStore(control) })
  warnOfHidden()
  const detectionStore = openDetectionStore(control)
  const ledgerStore = openLedgerStore(control)
  const suppressions = openSuppressions(openSuppressionStore(control))
  const stop = new AbortController()
  setMaxListeners(0, stop.signal) // every loop, search and request under way listens
  const deliveryMetrics = openDeliveryMetrics(registry, { names: targets.map(({ settings }) => settings.name) })
  const deliveries = openDeliveries({
    targets,
    outbox: openOutboxStore(control),
    newId: randomUUID,
    random: Math.random,
    signal: stop.signal,
    report: {
      tried: deliveryMetrics.tried,
      failing: (target, reason) => { log.error({ target, reason }, 'a target could not be told of a finding, and is tried again') },
      working: (target, failures) => { log.info({ target, failures }, 'a target can be told of findings again') },
      gaveUp: ({ id, target, finding_id }, reason) => {
        deliveryMetrics.gaveUp(target)
        log.error({ delivery_id: id, target, finding_id, reason }, 'a delivery was given up')
      },
    },
  })
  deliveryMetrics.watch(deliveries, clock.now)
  const riskMetrics = openRiskMetrics(registry)
  const riskStore = openRiskStore(control, { riskOf: riskOf(config.risk.entity, RISK_RULE_IDS), entity: JSON.stringify(config.risk.entity), count: riskMetrics.count })
  const findingStream = openFindingStream({ log: openFindingLog(control, LOG_BOUNDS) })
  const findings = openFindingStore(control, [riskStore.written, deliveries.keep, findingStream.keep], suppressions.suppressionOf)
  const risk = openRisk({ store: riskStore, findings, cap: config.risk.cap, halfLifeMs: config.risk.half_life })
  riskMetrics.watch(risk)
  const backfillStore = openBackfillStore(control)
  const definitions = openDefinitions(detectionStore)
  const detections = openDetections({
    files: content.detections,
    overrides: config.detections.overrides,
    macros: content.macros,
    knowledge: toKnowledge(fieldTables, content.lookups),
    timeZone: config.timezone,
    store: detectionStore,
  })
  logProblems()

  const events = await openingEvents
  const storeMetrics = openStoreMetrics(registry, events)
  const metrics = openDetectMetrics(registry, { ledger: ledgerStore, findings, suppressions, now: clock.now })
  const ledger = openLedger({
    events,
    definitions,
    findings,
    detections,
    detectionStore,
    ledger: ledgerStore,
    now: clock.now,
    newId: randomUUID,
    signal: stop.signal,
    report: {
      ran (run, failure, twins) {
        metrics.ran(run, twins)
        const { detection_id, slot_ms, row_count, created, revised, warnings } = run
        if (failure !== null) log.error({ err: failure, detection_id, slot_ms }, 'detection run failed')
        else if (created + revised > 0) log.info({ detection_id, slot_ms, row_count, created, revised }, 'detection run found something')
        if (warnings.length > 0) log.warn({ detection_id, slot_ms, warnings }, 'a detection run has warnings')
      },
      defect (err) {
        if (!stop.signal.aborted) log.error({ err }, 'the ledger could not be worked on')
      },
    },
  })
  ledger.complete(clock.now())

  const offers = openOffers({ ledger: ledgerStore, backfills: backfillStore, definitions, now: clock.now })
  const countBackfillSlot = openBackfillMetrics(registry, backfillStore)
  const backfills = openBackfills({
    events,
    backfills: backfillStore,
    definitions,
    detections,
    ledger,
    ledgerStore,
    now: clock.now,
    newId: randomUUID,
    signal: stop.signal,
    report: {
      slot: countBackfillSlot,
      failed: ({ id, detection_id }, slot_ms, err) => { log.error({ err, backfill_id: id, detection_id, slot_ms }, 'a slot of a backfill failed') },
      ended: ({ id, detection_id, state, done_slots, created, throttled, suppressed, revised, gone, error }) => {
        log[state === 'failed' ? 'error' : 'info']({ backfill_id: id, detection_id, state, slots: done_slots, created, throttled, suppressed, revised, gone, reason: error }, 'a backfill has ended')
      },
    },
  })
  const riskRules = openRiskRules({
    events,
    store: openRiskRuleStore(control),
    risk: riskStore,
    findings,
    config: config.risk.rules,
    cap: config.risk.cap,
    signal: stop.signal,
    report (rule, change) {
      riskMetrics.found(rule, change)
      log.info({ rule, change }, 'a risk rule found something')
    },
  })
  const sources = openSources({
    events,
    store: openSourceStore(control),
    findings,
    silentAfterMs: config.sources.silent_after,
    forgetAfterMs: config.sources.forget_after,
    openSinceMs: () => openSinceMs,
  })
  const sourceMetrics = openSourceMetrics(registry, { sources, now: clock.now })

  const countBackup = openBackupMetrics(registry)
  const countRemoved = openRetentionMetrics(registry)
  const retention = openRetentionStore(control)
  const backups = openBackups({
    dataDir: config.data.dir,
    backupDir: config.data.backup_dir ?? null,
    version,
    now: clock.now,
    report (backup, defect) {
      countBackup(backup)
      const { id, state, bytes, position, error } = backup
      if (state === 'failed') log.error({ backup_id: id, reason: defect ?? error }, 'backup failed')
      else log.info({ backup_id: id, bytes, position }, 'backup succeeded')
    },
  })

  const acks = openAcks()
  let loop: Promise<void> | null = null
  let checkpoints: Checkpoints | null = null
  let isShuttingDown = false
  const app = await buildApp({
    events,
    detections,
    ledger,
    ledgerStore,
    offers,
    coverage: openCoverageReader({ detectionStore, definitions, ledgerStore }),
    findings,
    findingStream,
    workflow: openWorkflowStore(control, findings),
    suppressions,
    newId: randomUUID,
    macros: detections.macros,
    knowledge: detections.knowledge,
    signal: stop.signal,
    credentials,
    usage,
    backfills,
    backups,
    sources,
    routes: config.routes,
    deliveries,
    risk,
    riskRules,
    tokens: openTokens(credentials.findToken),
    keys,
    sessions,
    audit,
    apiMetrics: openApiMetrics(registry),
    acks,
    budget: openByteBudget(MAX_BYTES_IN_FLIGHT, MAX_LARGE_BYTES),
    disk,
    retention: config.data,
    registry,
    hecMetrics: openHecMetrics(registry, { acks, now: clock.now }),
    maxBodyBytes: config.hec.max_body_bytes,
    timeFrom: config.hec.time_from,
    time: { now: clock.now, timeZone: config.timezone },
    readiness: (): Readiness => {
      const reasons = [
        ...events.failure() === null ? [] : ['the event store has failed'],
        ...loop === null ? ['the scheduler is not running'] : [],
        ...isShuttingDown ? ['the server is shutting down'] : [],
      ]
      const degraded = [
        ...disk.state().isFull ? ['the disk is full: HEC takes no events until there is room again'] : [],
        ...events.partitions().flatMap(({ name, state }) => state === 'damaged' ? `the partition ${name} is damaged` : []),
      ]
      return { ready: reasons.length === 0, reasons, degraded }
    },
    isShuttingDown: () => isShuttingDown,
    version,
    https: tls?.options,
    log,
  })

  function turnOfLedger (work: (nowMs: number) => number | Promise<number>) {
    return async (nowMs: number): Promise<number> => {
      try {
        return await work(nowMs)
      } catch (err) {
        if (!stop.signal.aborted) log.error({ err }, 'the ledger could not be worked on')
        return nowMs + LEDGER_PAUSE_MS
      }
    }
  }

  /** What can't run or can't be used; the API shows the rest too. */
  function logProblems (): void {
    const tell = (what: string, all: readonly { readonly file: string, readonly errors: readonly Problem[] }[]) => {
      for (const { file, errors } of all) for (const { line, column, message } of errors) log.error({ file, line, column, reason: message }, what)
    }
    tell('macro can not be used', content.macroFiles)
    tell('lookup can not be used', content.lookupFiles)
    tell('detection can not run', detections.list())
  }

  function refreshFolders (): void {
    const next = folders.read()
    if (next === content) return
    content = next
    const before = new Map(detections.list().map(({ id, compiled }) => [id, compiled?.hash]))
    ledger.reload(content)
    log.info({ detections: content.detections.length }, 'detections were read again')
    logProblems()
    logOffers(detections.list().filter(({ id, compiled }) => before.get(id) !== compiled?.hash))
  }

  function logOffers (changed: readonly ActiveDetection[]): void {
    for (const [detection_id, { window, changed: parts }] of offers.ofAll(changed)) {
      log.info({ detection_id, changed: parts, earliest: toRfc3339(window.earliestUs), latest: toRfc3339(window.latestUs) }, 'a detection was changed; a backfill of these windows would say what it finds in them now')
    }
  }

  function warnOfHidden (): void {
    const names = credentials.hiddenTokens()
    if (names.length > 0) log.warn({ names }, 'added tokens are not in force, since the configuration has their name or secret')
    const hiddenKeys = keys.hidden()
    if (hiddenKeys.length > 0) log.warn({ names: hiddenKeys }, 'added keys are not in force, since the configuration has their name or secret')
  }

  function refreshCredentials (): void {
    if (!credentials.refresh()) return
    log.info('tokens and keys were changed')
    warnOfHidden()
  }

  /** Tells when the disk becomes full, and when it no longer is. */
  function lookAtDisk (): void {
    disk.look()
    const { isFull, freeBytes, reserveBytes } = disk.state()
    if (isFull) {
      openSinceMs = clock.now()
      packStop.abort() // a copy takes what HEC needs
    }
    if (isFull === wasFull) return
    wasFull = isFull
    const what = { free_bytes: freeBytes, reserve_bytes: reserveBytes }
    if (isFull) log.error(what, 'the disk is full: HEC takes no events until there is room again')
    else log.info(what, 'there is room on the disk again: HEC takes events')
  }

  function flushUse (): void {
    usage.flush()
    keys.flush()
    sessions.flush()
    audit.flush()
  }

  async function collectArrivals (): Promise<void> {
    if (events.failure() !== null) return // what was not told yet is gone with it
    await sourceMetrics.arrived(await sources.take())
    await sources.write()
  }

  /** A store that has failed takes nothing, which says nothing of who sends. */
  async function lookForSilence (nowMs: number): Promise<void> {
    if (events.failure() !== null) return
    const { silent, back } = await sources.look(nowMs)
    if (silent > 0) log.warn({ sources: silent }, 'sources have fallen silent')
    if (back > 0) log.info({ sources: back }, 'silent sources send again')
  }

  async function postOldRisk (): Promise<void> {
    if (risk.isPosted()) return
    while (!risk.isPosted() && !stop.signal.aborted) {
      risk.postOld(clock.now())
      await clock.sleep(RISK_PAUSE_MS, stop.signal)
    }
    if (risk.isPosted()) log.info('the risk of all findings is posted')
  }

  async function retain (nowMs: number): Promise<void> {
    for (const partition of await events.retain(nowMs, disk.state().isFull ? 'full' : 'roomy', keepDropped)) {
      const { name, reason, events, bytes, minTimeUs, maxTimeUs } = partition
      const [earliest, latest] = [minTimeUs, maxTimeUs].map(timeUs => timeUs === null ? null : toRfc3339(timeUs))
      storeMetrics.dropped(partition)
      log.info({ partition: name, reason, events, bytes, earliest, latest }, 'a partition was dropped')
    }
  }

  async function pack (nowMs: number): Promise<void> {
    const { freeBytes, reserveBytes } = disk.state()
    packStop = new AbortController()
    const packed = await events.pack({ nowMs, spareBytes: freeBytes - reserveBytes, signal: AbortSignal.any([stop.signal, packStop.signal]) })
    if (packed !== null) log.info({ partition: packed.name, events: packed.events, bytes_before: packed.bytesBefore, bytes: packed.bytes }, 'a partition was packed')
  }

  /** What is too old in control.db. */
  async function removeOld (nowMs: number): Promise<void> {
    const { findings_retention: findingsMs, audit_retention: auditMs, ledger_retention: ledgerMs } = config.data
    await removePieces('findings', () => retention.removeFindings(nowMs - findingsMs, REMOVED_AT_A_TIME))
    await removePieces('audit', () => retention.removeAudit(nowMs - auditMs, REMOVED_AT_A_TIME))
    await removePieces('slots', () => retention.removeSlots(nowMs - ledgerMs, REMOVED_AT_A_TIME))
  }

  async function removePieces (what: 'findings' | 'audit' | 'slots', remove: () => number): Promise<void> {
    let total = 0
    for (let removed = REMOVED_AT_A_TIME; removed === REMOVED_AT_A_TIME && !stop.signal.aborted;) {
      removed = remove()
      total += removed
      countRemoved(what, removed)
      await setImmediate() // HEC has its turn
    }
    if (total > 0) log.info({ what, count: total }, 'what was too old was removed')
  }

  async function forgetNotices (nowMs: number): Promise<void> {
    while (deliveries.forget(nowMs)) await setImmediate()
    findingStream.forget(nowMs)
  }

  /** Each target has a loop of its own, so that one that is slow or down keeps no other waiting. */
  function turnOfTarget (target: string) {
    return async (nowMs: number): Promise<number> => {
      try {
        return await deliveries.turn(target, nowMs, clock.now)
      } catch (err) {
        log.error({ err, target }, 'a target could not be told of findings')
        return nowMs + TARGET_PAUSE_MS
      }
    }
  }

  async function lookForLate (nowMs: number): Promise<void> {
    await collectArrivals() // what came is of sources that are known then
    const report = await sweep(nowMs, { events, detectionStore, definitions, ledger: ledgerStore, addLacks: sources.addLacks, signal: stop.signal })
    metrics.swept(report)
    const { late, tooLate } = report
    if (late + tooLate > 0) log.info({ late, too_late: tooLate }, 'events came late')
  }

  /** Before they are gone: no window that held some of their events is evaluated again. */
  function keepDropped (partitions: readonly DroppedPartition[]): void {
    for (const { name, reason, events: count, minTimeUs, maxTimeUs, arrivedBeforeUs } of partitions) {
      // An event from the future, which anybody can send, is not to hold up the windows that are still to come.
      const latestUs = maxTimeUs === null ? null : Math.min(maxTimeUs + 1, arrivedBeforeUs + DAY_US)
      ledgerStore.addDropped({ name, reason, events: count, earliestUs: minTimeUs, latestUs, nowMs: clock.now() })
    }
  }

  /** Turns every `ms`. One that threw is logged, and the next waits longer. */
  function turnsOf (ms: number, work: (nowMs: number) => void | Promise<void>, failed: string) {
    return async (nowMs: number): Promise<number> => {
      try {
        await work(nowMs)
        return nowMs + ms
      } catch (err) {
        if (!stop.signal.aborted) log.error({ err }, failed)
        return nowMs + 10 * ms
      }
    }
  }
  const turnSweep = turnsOf(SWEEP_MS, lookForLate, 'late events could not be looked for')
  const turnFolders = turnsOf(FOLDERS_LOOK_MS, refreshFolders, 'detections could not be read again')
  const turnCredentials = turnsOf(CREDENTIALS_LOOK_MS, refreshCredentials, 'tokens and keys could not be read again')
  const turnDisk = turnsOf(DISK_LOOK_MS, lookAtDisk, 'the disk could not be looked at')
  const turnRetention = turnsOf(RETENTION_MS, retain, 'old events could not be dropped')
  const turnPack = turnsOf(PACK_LOOK_MS, pack, 'a partition could not be packed')
  const turnArrivals = turnsOf(ARRIVALS_MS, collectArrivals, 'what came of each source could not be written')
  const turnSilence = turnsOf(SILENCE_LOOK_MS, lookForSilence, 'silent sources could not be looked for')
  const turnForget = turnsOf(FORGET_MS, forgetNotices, 'old deliveries and changes could not be removed')
  const turnOld = turnsOf(RETENTION_MS, removeOld, 'what is too old could not be removed')
  const turnRiskRules = turnsOf(RISK_RULES_MS, riskRules.evaluate, 'the risk rules could not be evaluated')
  const turnOldRisk = turnsOf(RISK_LOOK_MS, postOldRisk, 'the risk of old findings could not be posted')
  const turnUsage = turnsOf(USAGE_FLUSH_MS, flushUse, 'the use of tokens and keys could not be written')

  return {
    app,
    ledger,
    findings,
    detections,
    /** Listens and begins to run detections; gives the URL, and secrets where some had to be made. */
    async start (): Promise<{ url: string, firstSecrets: FirstSecrets }> {
      const { host, port } = config.listen
      // Fastify binds `localhost` twice and shows the first server alone: the second would keep the certificate of the start.
      const url = await app.listen({ port, host: tls === null ? host : (await lookup(host)).address })
      checkpoints = startCheckpoints(control, message => { log.error({ reason: message }, 'control.db could not be checkpointed by its thread') })
      loop = Promise.all([turnOfLedger(ledger.turnCurrent), turnOfLedger(ledger.turnBacklog), turnOfLedger(backfills.turn), turnSweep, turnFolders, turnCredentials, turnDisk, turnRetention, turnPack, turnArrivals, turnSilence, turnUsage, turnOldRisk, turnRiskRules, turnForget, turnOld, ...deliveries.names().map(turnOfTarget)].map(one => runLoop({ clock, turn: one, signal: stop.signal }))).then(() => {})
      return { url, firstSecrets: { token: credentials.makeFirst(clock.now()), key: keys.makeFirst(clock.now()) } } // not before it listens: they could not be shown
    },
    /** Reads the certificate again, for connections to come; what goes wrong is logged. */
    reload (): void {
      if (tls !== null && app.server instanceof HttpsServer) tls.reload(app.server)
      else log.info('there is no certificate to read again')
    },
    /** Refuses what comes, commits what was accepted, stops searches, closes everything. */
    async close (): Promise<void> {
      isShuttingDown = true
      if (loop !== null) await clock.sleep(DRAIN_MS, new AbortController().signal)
      stop.abort()
      const cutOff = setInterval(() => app.server.closeAllConnections(), CUT_OFF_MS) // again, for who shook hands late
      await app.close()
      clearInterval(cutOff)
      const backupStopped = backups.close() // which may take a sync of its file; the events don't wait for that
      await loop
      await ledger.settled()
      await turnUsage(clock.now())
      await turnArrivals(clock.now())
      await events.close()
      await checkpoints?.close() // or the WAL would stay
      control.close()
      await backupStopped
      unlock()
    },
  }
}

export type Server = Awaited<ReturnType<typeof openServer>>

/** Where detections, macros and lookups come from. */
export function foldersOf ({ detections: { shipped, paths, macros, lookups, define } }: Config): FolderPaths {
  return { shipped: shipped ? [resourcePath('detections/')] : [], paths, macros, lookups, define }
}

/** Throws ConfigError where a path is missing. */
export function readFolders (folders: Folders, { detections: { macros, lookups } }: Config): FolderContent {
  try {
    return folders.read()
  } catch (cause) {
    const { path = '' } = cause as NodeJS.ErrnoException
    const key = macros.includes(path) ? 'macros' : lookups.includes(path) ? 'lookups' : 'paths'
    throw new ConfigError(`detections.${key}: ${(cause as Error).message}`, { cause })
  }
}

/** Throws ConfigError where the configuration overrides a detection that isn't there. */
export function checkOverrides ({ detections: { overrides } }: Config, ids: readonly string[]): void {
  const unknown = Object.keys(overrides).find(id => !ids.includes(id))
  if (unknown !== undefined) throw new ConfigError(`detections.overrides.${unknown}: there is no such detection`)
}
