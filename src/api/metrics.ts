import type { Registry } from 'prom-client'
import { Counter } from 'prom-client'
import type { AuthFailure } from './auth.js'

/** Counts requests of the API that were refused for who they came from. */
export function openApiMetrics (registry: Registry) {
  const failures = new Counter({ name: 'hecate_api_auth_failures_total', help: 'Requests of the API without a credential that it takes, by reason.', labelNames: ['reason'], registers: [registry] })
  return {
    failed (reason: AuthFailure): void { failures.inc({ reason }) },
  }
}
export type ApiMetrics = ReturnType<typeof openApiMetrics>
