import * as http from 'node:http'
import * as https from 'node:https'
import { performance } from 'node:perf_hooks'
import { rootCertificates } from 'node:tls'
import { escapeControls } from '../spl/errors.js'
import type { TargetRequest } from './message.js'

/** What a target answered. */
export interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  /** The first characters of the body, fit for a line of a log. */
  readonly text: string
  readonly elapsedMs: number
}

export interface PostOptions {
  readonly url: string
  /** Certificates, in PEM, that are trusted beside those that Node comes with. */
  readonly ca: string | undefined
  readonly timeoutMs: number
  /** What no answer is shown with, should the target send it back. */
  readonly secrets: readonly string[]
}

/** So much of an answer's body is read, and so much of that is shown. */
const MAX_READ_BYTES = 16 << 10
const MAX_SHOWN_CHARS = 200

/** Sends a request and gives the answer, whatever its status. Throws an Error, whose message may be shown, where there is none; also when the signal aborts. */
export type Post = (request: TargetRequest, signal: AbortSignal) => Promise<Answer>

/**
 * Posts to one URL and nowhere else: Node's own client follows no redirect and knows no proxy. Each request has a connection of its own, since one that is kept
 * may be closed by the other end just then, and that would look like a failure.
 */
export function openPost ({ url, ca, timeoutMs, secrets }: PostOptions): Post {
  const { request } = url.startsWith('https:') ? https : http
  const options = { method: 'POST', agent: false, ...ca === undefined ? {} : { ca: [...rootCertificates, ca] } } as const
  const show = (bytes: Buffer) => {
    const text = secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), bytes.toString())
    return escapeControls(text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text)
  }

  return ({ headers, body }, signal) => new Promise((resolve, reject) => {
    const startMs = performance.now()
    const outgoing = request(url, { ...options, headers: { 'user-agent': 'hecate', ...headers, 'content-length': Buffer.byteLength(body) } })
    /** Set once the status is there: an answer that breaks off, is too slow or too long is one all the same. */
    let answer: (() => void) | null = null
    const stop = (error: Error) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (answer === null) reject(new Error(reasonOf(error), { cause: error }))
      else answer()
      outgoing.destroy()
    }
    const onAbort = () => stop(new Error('the server is shutting down'))
    const timer = setTimeout(() => stop(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs)
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    outgoing.on('error', stop)
    outgoing.on('response', response => {
      const chunks: Buffer[] = []
      let bytes = 0
      answer = () => resolve({
        status: response.statusCode!,
        retryAfter: response.headers['retry-after'] ?? null,
        text: show(Buffer.concat(chunks)),
        elapsedMs: Math.round(performance.now() - startMs),
      })
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk.subarray(0, MAX_READ_BYTES - bytes))
        bytes += chunk.length
        if (bytes >= MAX_READ_BYTES) stop(new Error('the answer is long'))
      })
      response.on('end', () => stop(new Error('the answer has ended')))
      response.on('error', stop)
    })
    outgoing.end(body)
  })
}

/** Of an address that was tried by IPv4 and IPv6 there are two errors and no message. */
function reasonOf (error: Error & { readonly code?: string }): string {
  return escapeControls(error.message === '' ? error.code ?? error.name : error.message).slice(0, MAX_SHOWN_CHARS)
}
