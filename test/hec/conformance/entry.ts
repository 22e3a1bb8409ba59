import type { HTTPMethods } from 'fastify'
import type { Test } from 'tap'
import { AppError } from '../../../src/errors.js'
import { ACK_LIMITS, openAcks } from '../../../src/hec/ack.js'
import { openByteBudget } from '../../../src/hec/body.js'
import { ACK_TOKEN, auth, openTestEvents, tempDir } from '../../fixtures/app.js'
import type { TestApp, TestAppOptions } from '../../fixtures/app.js'
import type { Row } from './rows.js'

/** A request. What it does not say: POST, to /services/collector/event, with a good token in the header, without a body. */
export interface Sent {
  readonly method?: HTTPMethods
  readonly url?: string
  /** All of them; where there are none, the one of a good token. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

/** A reply. Of its headers only those given are looked at; null is one that must not be there. */
export interface Reply {
  readonly status: number
  /** All of it. */
  readonly body: string
  readonly headers?: Readonly<Record<string, string | RegExp | null>>
}

interface Stated {
  readonly row: Row
  /** What the row says; `differs:` where Hecate does otherwise. With the row's words it is the name of the test. */
  readonly is: string
  /** The app that is asked; `keep` where it is none of the others. Those of one app are asked one after the other. */
  readonly app?: AppName
  /** What all of its requests have stored, in order; of each event the members given here are compared. Nothing, where it is missing. */
  readonly stored?: readonly Readonly<Record<string, unknown>>[]
}

/** Requests by inject, one after the other. */
export interface Exchanges extends Stated { readonly exchanges: readonly (readonly [Sent, Reply])[] }

/** One connection: each turn writes, and reads until it has come; null is until the server closes. `replies` are all that came. */
export interface Talk extends Stated {
  readonly turns: readonly (readonly [write: string | Buffer, until: string | null])[]
  readonly replies: readonly Reply[]
}

/** What is no table. It may ask its app, and stores nothing there; most make one of their own. */
export interface Run extends Omit<Stated, 'stored'> { readonly run: (t: Test, it: TestApp) => Promise<void> }

export type Entry = Exchanges | Talk | Run

const never = () => Promise.reject(new Error('not in this test'))

/** The states of a server that rows speak of. `keep` is as it comes. */
export const APPS = {
  keep: async () => ({}),
  splunk: async () => ({ compatibility: 'splunk' }),
  'small bodies': async () => ({ maxBodyBytes: 1000 }),
  'full queue': async () => ({ budget: filled(1000, 1000) }),
  'nearly full queue': async () => ({ budget: filled(1000, 950) }),
  'full acks': async () => ({ acks: openAcks({ ...ACK_LIMITS, pending: 0 }) }),
  'nearly full acks': async () => ({ acks: openAcks({ ...ACK_LIMITS, pending: 1 }) }),
  'full queue and acks': async () => ({ budget: filled(1000, 1000), acks: openAcks({ ...ACK_LIMITS, pending: 0 }) }),
  stopping: async () => ({ isShuttingDown: () => true }),
  defect: async t => ({ events: { ...await openTestEvents(tempDir(t)), append: never } }),
  'failed store': async t => ({ events: { ...await openTestEvents(tempDir(t)), failure: () => new Error('the disk is gone') } }),
  'full disk': async t => ({ events: { ...await openTestEvents(tempDir(t)), append: () => Promise.reject(new AppError('unavailable', 'the disk is full')) } }),
} as const satisfies Record<string, (t: Test) => Promise<TestAppOptions>>

export type AppName = keyof typeof APPS

function filled (limit: number, bytes: number) {
  const budget = openByteBudget(limit)
  budget.open(0).tryTake(bytes)
  return budget
}

/** Statuses and texts of the codes, in short for the tables; section 3 has them in full. */
const CODES = {
  0: [200, 'Success'],
  1: [403, 'Token disabled'],
  2: [401, 'Token is required'],
  3: [401, 'Invalid authorization'],
  4: [403, 'Invalid token'],
  5: [400, 'No data'],
  6: [400, 'Invalid data format'],
  7: [400, 'Incorrect index'],
  9: [503, 'Server is busy'],
  10: [400, 'Data channel is missing'],
  11: [400, 'Invalid data channel'],
  12: [400, 'Event field is required'],
  13: [400, 'Event field cannot be blank'],
  14: [400, 'ACK is disabled'],
  15: [400, 'Error in handling indexed fields'],
  16: [400, 'Query string authorization is not enabled'],
  17: [200, 'HEC is healthy'],
  23: [503, 'Server is shutting down'],
} as const

/** The reply with a code; `members` are what its body has besides, as text. */
export function said (code: keyof typeof CODES, members = ''): Reply {
  const [status, text] = CODES[code]
  return { status, body: `{"text":"${text}","code":${code}${members}}` }
}

/** The reply of a faulty object. */
export function faulty (code: 6 | 7 | 12 | 13 | 15, number: number, ackId?: number): Reply {
  return said(code, `,"invalid-event-number":${number}${ackId === undefined ? '' : `,"ackId":${ackId}`}`)
}

export const SUCCESS = said(0)
export const NO_DATA = said(5)
export const HEALTHY = said(17)
export const TOO_LARGE: Reply = { status: 413, body: '{"text":"Content too large","code":6}' }
export const NOT_FOUND: Reply = { status: 404, body: '{"text":"The requested URL was not found on this server.","code":404}' }
export const NOT_ALLOWED: Reply = { ...NOT_FOUND, status: 405 }

export const EVENT = '/services/collector/event'
export const RAW = '/services/collector/raw'
export const ACK = '/services/collector/ack'
export const HEALTH = '/services/collector/health'

/** Headers of an ack token with a channel of its own; ids of each begin at 0. */
export function onChannel (n: number): Record<string, string> {
  return { authorization: `Splunk ${ACK_TOKEN}`, 'x-splunk-request-channel': channel(n) }
}

export function channel (n: number): string {
  return `FE0ECFAD-13D5-401B-847D-${String(n).padStart(12, '0')}`
}

/** Bodies to /event, each with a good token. */
export function bodies (row: Row, is: string, exchanges: readonly (readonly [body: string | Buffer, reply: Reply])[], stored: readonly unknown[] = [], app: AppName = 'keep'): Exchanges {
  return { row, is, app, exchanges: exchanges.map(([body, reply]) => [{ body }, reply]), stored: stored.map(event => ({ event })) }
}

/** Headers beside those of a good token. */
export function withToken (headers: Readonly<Record<string, string>>): Record<string, string> {
  return { ...auth, ...headers }
}
