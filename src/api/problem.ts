import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { ErrorCode, ErrorDetail } from '../errors.js'
import { AppError } from '../errors.js'

/** An error reply (RFC 9457). */
export const Problem = z.object({
  type: z.string().describe('a path that tells kinds of problems apart: docs/api.md lists them'),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
  request_id: z.string(),
}).meta({ id: 'Problem' })

/** The HTTP status of each kind of error. */
export const STATUS = { invalid: 400, unauthorized: 401, forbidden: 403, not_found: 404, conflict: 409, precondition_failed: 412, too_large: 413, unavailable: 503 } as const satisfies Record<ErrorCode, number>

/** Every kind of problem, by its status; docs/api.md says when each is answered. Other statuses that Fastify may answer are `about:blank`. */
export const PROBLEMS: Readonly<Record<number, { readonly type: string, readonly title: string }>> = {
  400: { type: '/problems/invalid', title: 'Bad Request' },
  401: { type: '/problems/unauthorized', title: 'Unauthorized' },
  403: { type: '/problems/forbidden', title: 'Forbidden' },
  404: { type: '/problems/not-found', title: 'Not Found' },
  409: { type: '/problems/conflict', title: 'Conflict' },
  412: { type: '/problems/precondition-failed', title: 'Precondition Failed' },
  413: { type: '/problems/too-large', title: 'Content Too Large' },
  415: { type: '/problems/unsupported-media-type', title: 'Unsupported Media Type' },
  429: { type: '/problems/too-many-failures', title: 'Too Many Requests' },
  500: { type: '/problems/defect', title: 'Internal Server Error' },
  503: { type: '/problems/unavailable', title: 'Service Unavailable' },
}

/** What every route may answer besides its own. */
const problemReply = { description: 'A problem', content: { 'application/problem+json': { schema: Problem } } }
export const problemReplies = { '4xx': problemReply, '5xx': problemReply }

/** Answers errors and unknown paths of this scope as problems. */
export function useProblems (app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply))
  app.setNotFoundHandler((request, reply) => sendProblem(reply, request, 404, `there is no ${request.method} ${pathOf(request)}`))
}

export function sendProblem (reply: FastifyReply, request: FastifyRequest, status: number, detail: string, errors: readonly ErrorDetail[] = []) {
  const problem: z.infer<typeof Problem> = {
    ...PROBLEMS[status] ?? { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error' },
    status,
    detail,
    ...(errors.length === 0 ? {} : { errors: [...errors] }),
    request_id: request.id,
  }
  // The serializer of a route's schema would be asked for this status and type; the text is ours already.
  return reply.code(status).type('application/problem+json; charset=utf-8').serializer(String).send(JSON.stringify(problem))
}

function sendError (error: unknown, request: FastifyRequest, reply: FastifyReply) {
  if (error instanceof AppError) return sendProblem(reply, request, STATUS[error.code], error.message, error.errors)
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = error.validation.map(({ instancePath, message }) => ({ pointer: instancePath, detail: message ?? 'is not valid' }))
    return sendProblem(reply, request, 400, `${error.validationContext ?? 'request'} is not valid`, errors)
  }
  const { statusCode, message } = error as FastifyError
  // Fastify's own refusals, such as a body that is no JSON.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return sendProblem(reply, request, statusCode, message)
  request.log.error({ err: error }, 'request failed')
  return sendProblem(reply, request, 500, 'an unexpected error; the log has it under the request id')
}

function pathOf ({ url }: FastifyRequest): string {
  return url.split('?')[0]!.slice(0, 200)
}
