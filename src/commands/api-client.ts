import type { z } from 'zod'
import { resolveSecret } from '../config.js'
import { escapeControls } from '../spl/errors.js'
import type { CommandContext } from './command.js'
import { UsageError } from './command.js'

/** The API did not give what was asked for; the message says why. */
export class ApiError extends Error {
  override name = 'ApiError'
  /** `status` is null where there was no answer. */
  constructor (message: string, readonly status: number | null, options?: ErrorOptions) { super(message, options) }
}

/** Flags of every command that is a client of a running server. */
export const CLIENT_OPTIONS = { url: { type: 'string' }, key: { type: 'string' } } as const

/** The server and the key that the command line says, or the environment. Throws UsageError. */
export function toClientOptions ({ url = 'http://127.0.0.1:8088', key: given }: { readonly url?: string | undefined, readonly key?: string | undefined }, { cwd, env }: CommandContext): Omit<ApiClientOptions, 'signal'> {
  if (!URL.canParse(url)) throw new UsageError('--url is no URL')
  const key = given === undefined ? env.HECATE_API_KEY : resolveSecret(given, '--key', { base: cwd, env })
  if (key === undefined || key === '') throw new UsageError('an API key is needed: --key, or the environment variable HECATE_API_KEY')
  return { url, key }
}

export interface ApiClientOptions {
  /** The server's, as `http://127.0.0.1:8088`. */
  readonly url: string
  readonly key: string
  readonly signal: AbortSignal
}

/** The client that flags and environment ask for. Throws UsageError. */
export function toApiClient (values: Parameters<typeof toClientOptions>[0], context: CommandContext): ApiClient {
  return openApiClient({ ...toClientOptions(values, context), signal: context.signal })
}

/** Calls the API of a running server. A path begins behind `/api/v1/`; with a body the call is a POST. */
export function openApiClient ({ url, key, signal }: ApiClientOptions) {
  return {
    /** The reply, as the schema has it. Throws ApiError. */
    async call<T extends z.ZodType> (reply: T, path: string, body?: object): Promise<z.infer<T>> {
      const res = await send(path, body)
      const json = parse(await read(() => res.text()))
      if (!res.ok) throw refusal(path, res.status, json)
      const parsed = reply.safeParse(json)
      if (!parsed.success) throw new ApiError(`${path.split('?')[0]!}: the reply is not one of this version's API`, res.status)
      return parsed.data
    },
    /** The text of a reply, as it comes. Throws ApiError. */
    async * text (path: string): AsyncGenerator<string> {
      const res = await send(path, undefined)
      if (res.status !== 200) throw refusal(path, res.status, parse(await read(() => res.text())))
      const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader()
      for (let part = await read(() => reader.read()); !part.done; part = await read(() => reader.read())) yield part.value
    },
  }

  function send (path: string, body: object | undefined): Promise<Response> {
    return read(() => fetch(`${url.replace(/\/+$/, '')}/api/v1/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    }))
  }

  async function read<T> (reading: () => Promise<T>): Promise<T> {
    try {
      return await reading()
    } catch (error) {
      const { message, cause } = error as Error
      throw new ApiError(`${url} can not be reached: ${escapeControls(cause instanceof Error ? cause.message || String((cause as NodeJS.ErrnoException).code) : message)}`, null, { cause: error })
    }
  }
}
export type ApiClient = ReturnType<typeof openApiClient>

function refusal (path: string, status: number, json: unknown): ApiError {
  return new ApiError(`${path.split('?')[0]!}: ${detailOf(json) ?? `the server answered ${status}`}`, status)
}

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
