import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { NotifyTarget } from '../config.js'
import { ConfigError } from '../config.js'
import type { BuildRequest } from './message.js'
import type { Post } from './post.js'
import { openPost } from './post.js'
import { buildWebhook } from './webhook.js'

/** A target of the configuration, and the two things that it does. */
export interface OpenTarget {
  readonly settings: NotifyTarget
  readonly build: BuildRequest
  readonly post: Post
}

/** Throws ConfigError where a file of certificates can't be used. */
export function openTargets (all: readonly NotifyTarget[]): OpenTarget[] {
  return all.map((settings, i) => ({
    settings,
    build: builderOf(settings),
    post: openPost({ url: settings.url, ca: readCa(settings, i), timeoutMs: settings.timeout, secrets: secretsOf(settings) }),
  }))
}

function builderOf (settings: NotifyTarget): BuildRequest {
  switch (settings.type) {
    case 'webhook': return buildWebhook(settings)
  }
}

/** Short values of headers are no secrets, and would be found anywhere. */
const MIN_SECRET_CHARS = 6

function secretsOf ({ url, secret, headers }: NotifyTarget): string[] {
  const { pathname, search } = new URL(url)
  return [url, `${pathname}${search}`, ...secret === undefined ? [] : [secret], ...Object.values(headers)].filter(text => text.length >= MIN_SECRET_CHARS)
}

function readCa ({ ca }: NotifyTarget, place: number): string | undefined {
  if (ca === undefined) return undefined
  try {
    const pem = readFileSync(ca, 'utf8')
    createSecureContext({ ca: pem })
    if (!pem.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${ca} has no certificate in PEM`)
    return pem
  } catch (cause) {
    throw new ConfigError(`notify.${place}.ca: ${(cause as Error).message}`, { cause })
  }
}
