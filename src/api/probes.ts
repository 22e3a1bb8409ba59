import type { FastifyInstance } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import { registerGauge } from '../store/metrics.js'

/** Whether the server does its work. `reasons` say why it is not ready, `degraded` what is wrong although it is. */
export interface Readiness { readonly ready: boolean, readonly reasons: readonly string[], readonly degraded: readonly string[] }

const Ready = z.object({ status: z.enum(['ready', 'not_ready']), reasons: z.array(z.string()), degraded: z.array(z.string()) })

/** What Kubernetes and Prometheus ask; no key is needed. */
export async function probeRoutes (app: FastifyInstance, { registry, readiness }: { registry: Registry, readiness: () => Readiness }) {
  registerGauge(registry, 'hecate_ready', 'Whether /readyz answers 200.', () => Number(readiness().ready))
  const routes = app.withTypeProvider<ZodTypeProvider>()
  routes.get('/healthz', {
    schema: { summary: 'The process is alive', tags: ['probes'], security: [], response: { 200: z.object({ status: z.literal('ok') }) } },
  }, async () => ({ status: 'ok' as const }))
  routes.get('/readyz', {
    schema: { summary: 'Storage is writable, migrations are done, the scheduler runs', tags: ['probes'], security: [], response: { 200: Ready, 503: Ready } },
  }, async (_request, reply) => {
    const { ready, reasons, degraded } = readiness()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', reasons: [...reasons], degraded: [...degraded] })
  })
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
    return reply.type(registry.contentType).send(await registry.metrics())
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
}
