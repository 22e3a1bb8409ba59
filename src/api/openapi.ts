import type { SwaggerOptions } from '@fastify/swagger'
import { SESSION_COOKIE } from './auth.js'

type OpenapiDocument = NonNullable<Extract<SwaggerOptions, { openapi?: unknown }>['openapi']>

/** What the API document says besides the routes, which describe themselves. */
export function openapiOptions (version: string): OpenapiDocument {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Hecate',
      version,
      description: 'Events, searches, detections and risk findings. HEC itself, at /services/collector, is as Splunk documents it.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'an API key' }, session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE, description: 'of POST /session' } } },
    security: [{ key: [] }, { session: [] }],
    tags: [
      { name: 'events', description: 'What forwarders sent' },
      { name: 'search', description: 'SPL over events' },
      { name: 'detections', description: 'Searches on a schedule' },
      { name: 'backfills', description: 'Detections over stretches of the past' },
      { name: 'coverage', description: 'Which event time detections have evaluated' },
      { name: 'findings', description: 'What detections found' },
      { name: 'suppressions', description: 'What findings are hidden by' },
      { name: 'deliveries', description: 'Who is told of findings' },
      { name: 'session', description: 'Who asks, and sessions of browsers' },
      { name: 'keys', description: 'API keys; an admin\'s business' },
      { name: 'tokens', description: 'HEC tokens; an admin\'s business' },
      { name: 'backups', description: 'Copies of the data folder' },
      { name: 'probes', description: 'For Kubernetes and Prometheus' },
    ],
  }
}
