import type { MemoryEvent } from './memory-events.js'
import type { Random } from './generator.js'

/** The world of a simulated ledger: its detections and what is done to them, the events and when they come. */

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** Daylight saving begins and ends within sixty days of these. */
const STARTS = [Date.parse('2026-03-01T10:17:00Z'), Date.parse('2026-09-25T05:44:00Z')]
export const TIME_ZONE = 'Europe/Berlin'

const COMMANDS = ['nsenter', 'mount', 'ps', 'ls', 'cat'] as const

export interface Shape { readonly cron: string, readonly earliest: string, readonly latest: string }

/** A detection: what its search is, and what may be made of it while it runs. Windows begin and end with bins. */
export interface Simulated {
  readonly id: string
  readonly search: string
  readonly otherSearch: string
  readonly shapes: readonly Shape[]
  /** Whether it stays as it is, so that one evaluation over all time gives its findings. */
  readonly isSteady: boolean
}

const base = 'sourcetype=exec process_name IN ("nsenter","mount","ps","ls")'
const byBin = (span: string, rest: string) => `${base} | bin _time span=${span} | stats count dc(process_name) AS commands values(process_name) AS process_name BY pod_name node_name _time ${rest}`

export const DETECTIONS: readonly Simulated[] = [
  { id: 'hourly', search: byBin('5m', '| where commands>=2'), otherSearch: '', shapes: [{ cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }], isSteady: true },
  { id: 'daily', search: byBin('1h', '| where commands>=3'), otherSearch: '', shapes: [{ cron: '10 0 * * *', earliest: '-1d@d', latest: '@d' }], isSteady: true },
  { id: 'single', search: byBin('10m', '| where commands=1'), otherSearch: byBin('10m', '| where commands=1 AND pod_name!="pod-1"'), shapes: [{ cron: '*/20 * * * *', earliest: '-30m@m', latest: '-10m@m' }, { cron: '0 * * * *', earliest: '-70m@m', latest: '-10m@m' }], isSteady: false },
  { id: 'overlapping', search: byBin('5m', '| where commands=2'), otherSearch: byBin('5m', '| where commands>=2 AND count>=3'), shapes: [{ cron: '*/30 * * * *', earliest: '-60m@m', latest: '@m' }, { cron: '15 */2 * * *', earliest: '-4h@m', latest: '-15m@m' }], isSteady: false },
  { id: 'timeless', search: `${base} | stats count values(process_name) AS process_name BY pod_name | where count>=2`, otherSearch: `${base} pod_name=pod-2 | stats count`, shapes: [{ cron: '30 */6 * * *', earliest: '-6h@h', latest: '@h' }, { cron: '0 */3 * * *', earliest: '-5h@h', latest: '@h' }], isSteady: false },
]

/** As it stands: which of its shapes it has, and what is in its file. */
interface State { shape: number, isEnabled: boolean, isOther: boolean, file: 'there' | 'broken' | 'gone' }

/** What is to be set by the API. */
export interface Setting { readonly id: string, readonly enabled: boolean, readonly schedule: Shape }

/** The detections as somebody keeps them who changes his mind. Steady ones stay. */
export function openSimulated (random: Random) {
  const states = new Map(DETECTIONS.map(({ id }): [string, State] => [id, { shape: 0, isEnabled: true, isOther: false, file: 'there' }]))
  const changeable = DETECTIONS.filter(({ isSteady }) => !isSteady)
  return {
    /** Files by the id of their detection; one that is gone is not there, and one that is broken can't be read. */
    files: (): { readonly id: string, readonly text: string }[] => DETECTIONS.flatMap(({ id, search, otherSearch }) => {
      const { isOther, file } = states.get(id)!
      if (file === 'gone') return []
      return [{ id, text: file === 'broken' ? 'name: [' : JSON.stringify({ name: id, id: '00000000-0000-4000-8000-000000000000', version: isOther ? 2 : 1, type: 'TTP', description: id, search: isOther ? otherSearch : search, tags: {} }) }]
    }),
    /** Changes one of them: its file, where null comes back, or a setting of one that `isLoaded`. */
    change (isLoaded: (id: string) => boolean): Setting | null {
      const { id, shapes } = random.pick(changeable)
      const one = states.get(id)!
      const change = random.below(5)
      if (change === 0) one.isOther = !one.isOther
      else if (change === 1) one.file = one.file === 'there' ? random.pick(['broken', 'gone'] as const) : 'there'
      else if (change === 2) {
        one.file = 'there'
        one.isOther = false
      } else if (isLoaded(id)) {
        if (change === 3) one.isEnabled = !one.isEnabled
        else one.shape = random.below(shapes.length)
        return { id, enabled: one.isEnabled, schedule: shapes[one.shape]! }
      }
      return null
    },
  }
}
export type SimulatedDetections = ReturnType<typeof openSimulated>

export function randomStart (random: Random): number {
  return STARTS[random.below(STARTS.length)]! + random.below(DAY_MS)
}

/** Events of one pod, each with when it arrives: most at once, some after days. */
export function * burst (nowMs: number, random: Random): Generator<MemoryEvent> {
  const pod = `pod-${random.below(4)}`
  const fromMs = nowMs - random.below(10 * MINUTE_MS)
  for (let left = 1 + random.below(5); left > 0; left--) {
    const timeUs = (fromMs + random.below(12 * MINUTE_MS)) * 1000 + random.below(1000)
    const delay = random.fraction()
    const delayMs = delay < 0.6 ? random.below(5_000) : delay < 0.75 ? random.below(90 * MINUTE_MS) : delay < 0.92 ? random.below(20 * HOUR_MS) : random.below(6 * DAY_MS)
    const sourcetype = random.fraction() < 0.1 ? 'other' : 'exec'
    yield { timeUs, arrivalMs: Math.ceil(timeUs / 1000) + delayMs, fields: { sourcetype, process_name: random.pick(COMMANDS), pod_name: pod, node_name: `node-${random.below(2)}` } }
  }
}
