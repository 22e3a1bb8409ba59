import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { NotifyTarget } from '../config.js'
import { ConfigError } from '../config.js'
import type { Finding, FindingRevision } from '../finding.js'
import { passes } from './filter.js'
import type { BuildRequest } from './message.js'
import type { Post } from './post.js'
import { openPost } from './post.js'
import { buildSlack } from './slack.js'
import { buildSplunk } from './splunk.js'
import { buildWebhook } from './webhook.js'

/** A target of the configuration, and the two things that it does. */
export interface OpenTarget {
  readonly settings: NotifyTarget
  readonly build: BuildRequest
  readonly post: Post
}

/** What targets have to know beside the finding. */
export interface TargetContext {
  /** Earlier revisions of a finding, the newest first, before the revision `before`. */
  readonly revisions: (id: string, limit: number, before: number) => FindingRevision[]
  /** Analytic stories of a detection; none of one that is not there. */
  readonly storiesOf: (detectionId: string) => readonly string[]
  /** Detections whose findings are made of risk, and add none. */
  readonly madeOfRisk: ReadonlySet<string>
}

/** Throws ConfigError where a file of certificates can't be used. */
export function openTargets (all: readonly NotifyTarget[], context: TargetContext): OpenTarget[] {
  return all.map((settings, i) => {
    const { build, url, secrets } = kindOf(settings, context)
    const { pathname, search } = new URL(url)
    const hidden = [url, `${pathname}${search}`, ...secrets].filter(text => text.length >= MIN_SECRET_CHARS)
    return { settings, build, post: openPost({ url, ca: readCa(settings, i), timeoutMs: settings.timeout, secrets: hidden }) }
  })
}

/** Shorter ones would be found anywhere. */
const MIN_SECRET_CHARS = 6

function kindOf (settings: NotifyTarget, { revisions, storiesOf, madeOfRisk }: TargetContext): { build: BuildRequest, url: string, secrets: string[] } {
  switch (settings.type) {
    case 'webhook': return {
      build: buildWebhook(settings), url: settings.url, secrets: [...settings.secret === undefined ? [] : [settings.secret], ...Object.values(settings.headers)],
    }
    case 'slack': return { build: buildSlack, url: settings.url, secrets: [] }
    case 'splunk': return {
      build: buildSplunk(settings, { toldBefore: finding => toldBefore(finding, settings, revisions), storiesOf, madeOfRisk }), url: collectorUrl(settings.url), secrets: [settings.token],
    }
  }
}

/** HEC's own path, where the URL has none. */
function collectorUrl (text: string): string {
  const url = new URL(text)
  if (url.pathname === '/') url.pathname = '/services/collector/event'
  return url.href
}

/** So many revisions are read at a time; each may have a megabyte. */
const REVISIONS_AT_A_TIME = 20

/** The revisions of a finding before this one that its target was told of, or would have been with its settings of now. */
function * toldBefore (finding: Finding, { filter }: NotifyTarget, revisions: TargetContext['revisions']): Generator<FindingRevision> {
  let page: FindingRevision[]
  let before = finding.revision
  do {
    page = revisions(finding.id, REVISIONS_AT_A_TIME, before)
    for (const one of page) if (passes({ ...finding, ...one }, one.revision === 1 ? 'created' : 'revised', filter)) yield one
    before = page.at(-1)?.revision ?? 0
  } while (page.length === REVISIONS_AT_A_TIME)
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
