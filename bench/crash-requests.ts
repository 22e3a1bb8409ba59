import { crc32, gzipSync } from 'node:zlib'
import { openGenerator, openRandom } from './generator.js'

/** A request as its sender knows it. Each of its events says the request's number and its own place. */
export interface Sent {
  readonly number: number
  /** Of each event's text. */
  readonly checksums: readonly number[]
  times: number
  isAcknowledged: boolean
}

/** What goes over the wire. */
export interface CrashRequest {
  readonly sent: Sent
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

export interface CrashRequestsOptions {
  readonly seed: number
  /** Requests have as many events as one of these. */
  readonly sizes: readonly number[]
  readonly token: string
}

/** Events are made of so many lines over and over, so that making them holds up nobody. */
const LINES = 1_000
const FORMATS = ['event', 'raw'] as const
const SOURCETYPE = 'cisco:isovalent'
const GZIPPED = 0.4
/** So many of the requests whose reply was lost are sent again. */
const SENT_AGAIN = 0.5

/** Requests of all kinds, and those again whose reply was lost. */
export function openCrashRequests ({ seed, sizes, token }: CrashRequestsOptions) {
  const random = openRandom(seed)
  const generator = openGenerator({ seed, startUs: Date.parse('2026-03-10T12:00:00Z') * 1_000, stepUs: 100 })
  const lines = Array.from({ length: LINES }, () => generator.line().slice(1))
  const sent: Sent[] = []
  const lost: CrashRequest[] = []
  let sentAgain = 0

  function make (): CrashRequest {
    const number = sent.length
    const texts = Array.from({ length: random.pick(sizes) }, (_, place) => `{"sent":[${number},${place}],${random.pick(lines)}`)
    const one: Sent = { number, checksums: texts.map(text => crc32(text)), times: 0, isAcknowledged: false }
    sent.push(one)
    const isGzipped = random.fraction() < GZIPPED
    const format = random.pick(FORMATS)
    const body = format === 'raw' ? texts.join('\n') : texts.map(text => `{"sourcetype":"${SOURCETYPE}","event":${text}}`).join('')
    return {
      sent: one,
      path: format === 'raw' ? `/services/collector/raw?sourcetype=${SOURCETYPE}` : '/services/collector/event',
      headers: { authorization: `Splunk ${token}`, ...isGzipped ? { 'content-encoding': 'gzip' } : {} },
      body: isGzipped ? gzipSync(body) : body,
    }
  }

  return {
    /** All that were made. */
    sent: sent as readonly Sent[],
    /** How often one was sent once more. */
    sentAgain: () => sentAgain,
    /** The next to send. */
    next (): CrashRequest {
      while (lost.length > 0) {
        const again = lost.pop()!
        if (random.fraction() >= SENT_AGAIN) continue
        sentAgain++
        return again
      }
      return make()
    },
    /** Nobody knows whether it was stored. */
    lose: (request: CrashRequest) => { lost.push(request) },
  }
}
export type CrashRequests = ReturnType<typeof openCrashRequests>
