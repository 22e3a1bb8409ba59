import type { z } from 'zod'
import { escapeControls } from '../spl/errors.js'

/** The API did not give what was asked for; the message says why. */
export class ApiError extends Error {
  override name = 'ApiError'
}

export interface ApiClientOptions {
  /** The server's, as `http://127.0.0.1:8088`. */
  readonly url: string
  readonly key: string
  readonly signal: AbortSignal
}

/** Calls the API of a running server. A path begins behind `/api/v1/`; with a body the call is a POST. */
export function openApiClient ({ url, key, signal }: ApiClientOptions) {
  return {
    /** The reply, as the schema has it. Throws ApiError. */
    async call<T extends z.ZodType> (reply: T, path: string, body?: object): Promise<z.infer<T>> {
      const { status, text } = await send(path, body)
      const json = parse(text)
      if (status !== 200) throw new ApiError(`${path.split('?')[0]!}: ${detailOf(json) ?? `the server answered ${status}`}`)
      const parsed = reply.safeParse(json)
      if (!parsed.success) throw new ApiError(`${path.split('?')[0]!}: the reply is not one of this version's API`)
      return parsed.data
    },
  }

  async function send (path: string, body: object | undefined): Promise<{ status: number, text: string }> {
    try {
      const res = await fetch(`${url.replace(/\/+$/, '')}/api/v1/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal,
      })
      return { status: res.status, text: await res.text() }
    } catch (error) {
      const { message, cause } = error as Error
      throw new ApiError(`${url} can not be reached: ${escapeControls(cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message)}`, { cause: error })
    }
  }
}
export type ApiClient = ReturnType<typeof openApiClient>

function parse (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What a problem (RFC 9457) says. */
function detailOf (json: unknown): string | null {
  const detail = typeof json === 'object' && json !== null && 'detail' in json ? json.detail : null
  return typeof detail === 'string' ? escapeControls(detail) : null
}
