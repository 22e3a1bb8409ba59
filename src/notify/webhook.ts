import { createHmac } from 'node:crypto'
import type { WebhookTarget } from '../config.js'
import type { BuildRequest } from './message.js'
import { fillTemplate } from './template.js'

/**
 * A finding as the API shows it, and what happened to it, as JSON; or what a template says. Ids, times and signatures are in the headers of
 * Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
 */
export function buildWebhook ({ secret, headers, template }: Pick<WebhookTarget, 'secret' | 'headers' | 'template'>): BuildRequest {
  return (message, nowMs) => {
    const { id, what, writtenMs, finding } = message
    const body = JSON.stringify(template === undefined
      ? { id, type: what === 'test' ? 'test' : `finding.${what}`, timestamp: new Date(writtenMs).toISOString(), data: finding }
      : fillTemplate(template, message))
    const timestamp = String(Math.floor(nowMs / 1000))
    return {
      headers: {
        ...headers,
        'content-type': 'application/json',
        'idempotency-key': id,
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        ...secret === undefined ? {} : { 'webhook-signature': `v1,${sign(secret, `${id}.${timestamp}.${body}`)}` },
      },
      body,
    }
  }
}

function sign (secret: string, text: string): string {
  return createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(text).digest('base64')
}
