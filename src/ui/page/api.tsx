import { createContext } from 'preact'
import { useContext } from 'preact/hooks'
import type { Problem } from './api-types.js'

/** What a query may hold; null, undefined and '' are left out. */
export type QueryValue = string | number | readonly string[] | null | undefined

export interface CallOptions {
  readonly query?: Readonly<Record<string, QueryValue>> | undefined
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Reply<T> { readonly value: T, readonly etag: string | null, readonly headers: Headers }

/** What the API refused, in its own words. Status 0: it could not be reached. */
export class ApiError extends Error {
  override name = 'ApiError'
  constructor (readonly status: number, message: string, readonly problem: Problem | null = null) { super(message) }
}

/** The one way to the server: the public API. */
export function openApi (onUnauthorized: () => void) {
  /** A path below /api/v1, without it. Throws ApiError, and what an aborted fetch throws. */
  async function call<T> (method: string, path: string, { query = {}, body, headers = {}, signal }: CallOptions = {}): Promise<Reply<T>> {
    let res: Response
    try {
      res = await fetch(toUrl(path, query), {
        method,
        headers: {
          accept: 'application/json',
          ...method === 'GET' ? {} : { 'x-hecate-request': '1' }, // no page of another origin can send it without being asked
          ...body === undefined ? {} : { 'content-type': 'application/json' },
          ...headers,
        },
        ...body === undefined ? {} : { body: JSON.stringify(body) },
        ...signal === undefined ? {} : { signal },
        credentials: 'same-origin',
        cache: 'no-store',
      })
    } catch (error) {
      if (isAbort(error)) throw error
      throw new ApiError(0, 'the server can’t be reached')
    }
    if (!res.ok) {
      const error = await toError(res)
      if (res.status === 401 && path !== '/session') onUnauthorized()
      throw error
    }
    const isJson = /\bjson\b/.test(res.headers.get('content-type') ?? '')
    const value = (res.status === 204 ? null : isJson ? await res.json() : await res.text()) as T
    return { value, etag: res.headers.get('etag'), headers: res.headers }
  }

  return {
    call,
    get: async <T, >(path: string, options?: CallOptions): Promise<T> => (await call<T>('GET', path, options)).value,
    post: async <T, >(path: string, body: unknown, options?: CallOptions): Promise<T> => (await call<T>('POST', path, { ...options, body })).value,
  }
}
export type Api = ReturnType<typeof openApi>

export const ApiContext = createContext<Api>(openApi(() => {}))
export const useApi = (): Api => useContext(ApiContext)

/** Full URL of a path below /api/v1. */
export function toUrl (path: string, query: Readonly<Record<string, QueryValue>> = {}): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value as readonly string[] : [value as string | number | null | undefined]) {
      if (one !== null && one !== undefined && one !== '') params.append(name, String(one))
    }
  }
  const text = params.toString()
  return `/api/v1${path}${text === '' ? '' : `${path.includes('?') ? '&' : '?'}${text}`}`
}

export function isAbort (error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError'
}

/** An error in the words of a person: what the API says, with the members that it names. */
export function messageOf (error: unknown): string {
  if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error)
  const members = error.problem?.errors?.filter(({ detail }) => !error.message.includes(detail)).map(({ pointer, detail }) => `${pointer === '' ? '' : `${pointer} `}${detail}`) ?? []
  return [error.message, ...members].join('\n')
}

async function toError (res: Response): Promise<ApiError> {
  const fallback = `the server answered ${res.status}`
  try {
    const problem = await res.json() as Problem
    const wait = res.headers.get('retry-after')
    return new ApiError(res.status, `${problem.detail ?? fallback}${res.status === 429 && wait !== null ? `; try again in ${wait} s` : ''}`, problem)
  } catch {
    return new ApiError(res.status, fallback)
  }
}
