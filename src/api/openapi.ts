import { readFileSync } from 'node:fs'
import type { SwaggerOptions } from '@fastify/swagger'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { resourcePath } from '../resource.js'
import { SESSION_COOKIE } from './auth.js'

type OpenapiDocument = NonNullable<Extract<SwaggerOptions, { openapi?: unknown }>['openapi']>

/** What the API document says besides the routes, which describe themselves. */
export function openapiOptions (version: string): OpenapiDocument {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Hecate',
      version,
      summary: 'Events, searches, detections and risk findings',
      description: 'HEC itself, at /services/collector, is as Splunk documents it. What is the same for all calls, and examples that can be typed, are in docs/api.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'Where this document comes from' }],
    components: {
      securitySchemes: {
        key: { type: 'http', scheme: 'bearer', description: 'an API key; its role is viewer, analyst or admin, each of which may do what those before it may' },
        session: { type: 'apiKey', in: 'cookie', name: SESSION_COOKIE, description: 'of POST /session' },
      },
    },
    security: [{ key: ['viewer'] }, { session: ['viewer'] }],
    tags: [
      { name: 'events', description: 'What forwarders sent, and who sends' },
      { name: 'search', description: 'SPL over events' },
      { name: 'detections', description: 'Searches on a schedule' },
      { name: 'backfills', description: 'Detections over stretches of the past' },
      { name: 'coverage', description: 'Which event time detections have evaluated' },
      { name: 'findings', description: 'What detections found' },
      { name: 'risk', description: 'Who is at risk, how much, and why' },
      { name: 'suppressions', description: 'What findings are hidden by' },
      { name: 'deliveries', description: 'Who is told of findings' },
      { name: 'session', description: 'Who asks, and sessions of browsers' },
      { name: 'keys', description: 'API keys; an admin\'s business' },
      { name: 'audit', description: 'Who changed what' },
      { name: 'tokens', description: 'HEC tokens; an admin\'s business' },
      { name: 'backups', description: 'Copies of the data folder' },
      { name: 'store', description: 'The files of the events' },
      { name: 'probes', description: 'For Kubernetes and Prometheus' },
    ],
  }
}

/** A call and its answer, as they were when they were recorded: see test/fixtures/examples.ts. */
export interface Example {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly status: number
  /** Without its parameters. */
  readonly type: string | null
  readonly reply: unknown
}

/** By method and path of the document, such as `GET /api/v1/findings/{id}`. */
export type Examples = Readonly<Record<string, Example>>

export const EXAMPLES_FILE = 'openapi-examples.json'

type Transform = typeof jsonSchemaTransform

/** The schema of a route as the document has it, with what can be read off the route: its id, and the role that it asks for. */
export function describeRoute (...[input]: Parameters<Transform>): ReturnType<Transform> {
  const { schema, url } = jsonSchemaTransform(input)
  const { method, config } = input.route
  if (schema === undefined || schema.hide === true) return { schema, url }
  const role = config?.role ?? 'viewer'
  const description = schema.description === undefined ? '' : ` ${schema.description}`
  return {
    url,
    schema: schema.security === undefined
      ? { ...schema, operationId: operationIdOf(String(method), url), security: [{ key: [role] }, { session: [role] }], description: `Role: ${role}.${description}` }
      : { ...schema, operationId: operationIdOf(String(method), url), description: `No key is needed.${description}` },
  }
}

/** `GET /api/v1/findings/:id/comments` is `getFindingsIdComments`. */
function operationIdOf (method: string, url: string): string {
  const words = url.replace('/api/v1/', '').split(/[^A-Za-z0-9]+/).filter(word => word !== '')
  return method.toLowerCase() + words.map(word => word[0]!.toUpperCase() + word.slice(1)).join('')
}

interface Content { readonly example?: unknown }
interface Operation {
  readonly parameters?: readonly { readonly in: string, readonly name: string, example?: unknown }[]
  readonly requestBody?: { readonly content: Record<string, Content> }
  readonly responses: Record<string, { description?: string, content?: Record<string, Content> }>
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components?: { readonly schemas?: Record<string, unknown> }
}

/** The whole document: named schemas once, and the examples in their places. */
export function describeAll (input: Parameters<typeof jsonSchemaTransformObject>[0]): ReturnType<typeof jsonSchemaTransformObject> {
  const document = jsonSchemaTransformObject(input)
  const { paths, components: { schemas = {} } = {} } = document as unknown as Document
  // Each comes with a twin for requests, which no route uses.
  for (const name of Object.keys(schemas)) if (name.endsWith('Input')) delete schemas[name]
  const examples = JSON.parse(readFileSync(resourcePath(EXAMPLES_FILE), 'utf8')) as Examples
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      for (const [status, reply] of Object.entries(operation.responses)) if (reply.description === 'Default Response') reply.description = status === '202' ? 'It is begun' : status === '201' ? 'It is made' : 'It is so'
      const example = examples[`${method.toUpperCase()} ${path}`]
      if (example !== undefined) putExample(operation, example)
    }
  }
  return document
}

function putExample ({ parameters = [], requestBody, responses }: Operation, { params = {}, query = {}, headers = {}, body, status, type, reply }: Example): void {
  const given: Readonly<Record<string, Readonly<Record<string, string>>>> = { path: params, query, header: headers }
  for (const parameter of parameters) {
    const value = given[parameter.in]?.[parameter.name]
    if (value !== undefined) parameter.example = value
  }
  const put = (content: Record<string, Content> | undefined, name: string | null, example: unknown) => {
    if (content !== undefined && name !== null && content[name] !== undefined) content[name] = { ...content[name], example }
  }
  put(requestBody?.content, 'application/json', body)
  put(responses[status]?.content, type, reply)
}
