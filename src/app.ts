import { randomUUID } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import type { FastifyBaseLogger, FastifyInstance, FastifyReply } from 'fastify'
import { fastify, LogController } from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import type { Registry } from 'prom-client'
import type { AuditRouteDeps } from './api/audit.js'
import { auditRoutes, useAudit } from './api/audit.js'
import type { AuthDeps } from './api/auth.js'
import { useApiKeys } from './api/auth.js'
import type { BackfillRouteDeps } from './api/backfills.js'
import { backfillRoutes } from './api/backfills.js'
import { backupRoutes } from './api/backups.js'
import type { CoverageRouteDeps } from './api/coverage.js'
import { coverageRoutes } from './api/coverage.js'
import type { DeliveryRouteDeps } from './api/deliveries.js'
import { deliveryRoutes } from './api/deliveries.js'
import type { DetectionDeps } from './api/detections.js'
import { detectionRoutes } from './api/detections.js'
import { eventRoutes } from './api/events.js'
import { evidenceRoutes } from './api/evidence.js'
import { findingBulkRoutes } from './api/finding-bulk.js'
import { findingExportRoutes } from './api/finding-export.js'
import type { FindingStreamRouteDeps } from './api/finding-stream.js'
import { findingStreamRoutes } from './api/finding-stream.js'
import type { FindingRouteDeps } from './api/findings.js'
import { findingRoutes } from './api/findings.js'
import type { LedgerRouteDeps } from './api/ledger.js'
import { ledgerRoutes } from './api/ledger.js'
import type { KeyRouteDeps } from './api/keys.js'
import { keyRoutes } from './api/keys.js'
import { describeAll, describeRoute, openapiOptions } from './api/openapi.js'
import { probeRoutes } from './api/probes.js'
import type { Readiness } from './api/probes.js'
import { useProblems } from './api/problem.js'
import { riskRoutes } from './api/risk.js'
import { sampleRoutes } from './api/samples.js'
import { searchJobRoutes } from './api/search-jobs.js'
import { searchRoutes } from './api/search.js'
import { sessionRoutes } from './api/session.js'
import type { SourceRouteDeps } from './api/sources.js'
import { sourceRoutes } from './api/sources.js'
import type { StoreRouteDeps } from './api/store.js'
import { storeRoutes } from './api/store.js'
import type { SuppressionRouteDeps } from './api/suppressions.js'
import { suppressionRoutes } from './api/suppressions.js'
import type { TokenDeps } from './api/tokens.js'
import { tokenRoutes } from './api/tokens.js'
import type { Risk } from './detect/risk.js'
import type { RiskRules } from './detect/risk-rules.js'
import type { Acks } from './hec/ack.js'
import type { ByteBudget } from './hec/body.js'
import type { HecDeps } from './hec/hec.js'
import { hec, HEC_HEADERS } from './hec/hec.js'
import type { HecMetrics } from './hec/metrics.js'
import { hecBody } from './hec/reply.js'
import type { Tokens } from './hec/token.js'
import type { Knowledge } from './spl/knowledge.js'
import type { Macros } from './spl/macro.js'
import type { Backups } from './store/backups.js'
import { ui } from './ui/ui.js'

export interface AppDeps extends DetectionDeps, LedgerRouteDeps, BackfillRouteDeps, CoverageRouteDeps, FindingRouteDeps, FindingStreamRouteDeps, SuppressionRouteDeps, DeliveryRouteDeps, TokenDeps, KeyRouteDeps, AuditRouteDeps, Pick<StoreRouteDeps, 'retention'>, SourceRouteDeps, Omit<AuthDeps, 'time' | 'audit'> {
  readonly tokens: Tokens
  readonly backups: Backups
  readonly risk: Risk
  readonly riskRules: RiskRules
  readonly acks: Acks
  readonly budget: ByteBudget
  readonly disk: HecDeps['disk']
  readonly registry: Registry
  readonly hecMetrics: HecMetrics
  readonly maxBodyBytes: number
  readonly timeFrom: HecDeps['timeFrom']
  readonly macros: () => Macros
  readonly knowledge: () => Knowledge
  readonly readiness: () => Readiness
  /** Set once SIGTERM came: HEC refuses, and every reply closes its connection. */
  readonly isShuttingDown: () => boolean
  readonly version: string
  /** Makes the app speak HTTPS instead of HTTP. */
  readonly https?: ServerOptions | undefined
  readonly log: FastifyBaseLogger
  /** For a request to come whole (300,000). */
  readonly requestTimeoutMs?: number | undefined
}

/** Longer than any forwarder keeps an idle connection; Node's own 5 s is shorter than they assume (hec.md section 8). */
const KEEP_ALIVE_MS = 120_000

/** A request that has not come whole by then is given up: what a sender holds that is gone without a word would be held for ever. As Node's own, which Fastify turns off. */
const REQUEST_TIMEOUT_MS = 300_000

/** How often it is looked for such requests. */
const REQUEST_LOOK_MS = 30_000

/** Of an id or a name in a path; the schemas of the routes say less. Fastify's own 100 is shorter than names may be. */
const MAX_PARAM_LENGTH = 1000

/** The whole HTTP face. It listens to nothing, so tests inject into it. */
export async function buildApp (deps: AppDeps): Promise<FastifyInstance> {
  const { requestTimeoutMs = REQUEST_TIMEOUT_MS } = deps
  const watched = { connectionsCheckingInterval: Math.min(requestTimeoutMs, REQUEST_LOOK_MS) }
  const app = fastify({
    ...deps.https === undefined ? { http: watched } : { https: { ...deps.https, ...watched } },
    loggerInstance: deps.log,
    logController: new LogController({ disableRequestLogging: true }), // a line per HEC request would cost more than the request
    genReqId: () => randomUUID(),
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: requestTimeoutMs,
    return503OnClosing: false,
    // Given here, Fastify does not load its own, which are a tenth of the start.
    schemaController: { compilersFactory: { buildValidator: () => validatorCompiler as never, buildSerializer: () => serializerCompiler as never } }, // typed for Ajv
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: (_error, _request, reply: FastifyReply) => {
      // A URL that can't be decoded belongs to no route.
      reply.code(404).headers({ ...HEC_HEADERS, 'content-type': 'application/json; charset=UTF-8' }).send(hecBody(404))
    },
  })
  await app.register(swagger, { openapi: openapiOptions(deps.version), transform: describeRoute, transformObject: describeAll })
  await app.register(rateLimit, { global: false })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (deps.isShuttingDown()) reply.header('connection', 'close')
    done()
  })
  useProblems(app)

  await app.register(hec, {
    prefix: '/services/collector',
    events: deps.events,
    tokens: deps.tokens,
    acks: deps.acks,
    budget: deps.budget,
    disk: deps.disk,
    metrics: deps.hecMetrics,
    usage: deps.usage,
    maxBodyBytes: deps.maxBodyBytes,
    timeFrom: deps.timeFrom,
    isShuttingDown: deps.isShuttingDown,
    now: deps.time.now,
  })
  await app.register(probeRoutes, deps)
  await app.register(ui)
  await app.register(async api => {
    await api.register(cookie)
    const auth = useApiKeys(api, deps)
    useAudit(api, deps)
    await api.register(sessionRoutes, { ...deps, auth, isSecure: deps.https !== undefined })
    await api.register(eventRoutes, deps)
    await api.register(sampleRoutes, deps)
    await api.register(searchRoutes, deps)
    await api.register(searchJobRoutes, deps)
    await api.register(detectionRoutes, deps)
    await api.register(ledgerRoutes, deps)
    await api.register(backfillRoutes, deps)
    await api.register(coverageRoutes, deps)
    await api.register(findingRoutes, deps)
    await api.register(findingBulkRoutes, deps)
    await api.register(findingStreamRoutes, deps)
    await api.register(evidenceRoutes, deps)
    await api.register(findingExportRoutes, deps)
    await api.register(suppressionRoutes, deps)
    await api.register(deliveryRoutes, deps)
    await api.register(riskRoutes, deps)
    await api.register(tokenRoutes, deps)
    await api.register(keyRoutes, deps)
    await api.register(auditRoutes, deps)
    await api.register(backupRoutes, deps)
    await api.register(storeRoutes, deps)
    await api.register(sourceRoutes, deps)
  }, { prefix: '/api/v1' })
  return app
}
