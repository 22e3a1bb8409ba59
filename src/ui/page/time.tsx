import { createContext } from 'preact'
import { useContext, useEffect, useState } from 'preact/hooks'
import { usePreferences } from './preferences.js'

/** Epoch milliseconds, told anew every half minute: what is relative moves on. */
const NowContext = createContext(0)
export const useNow = (): number => useContext(NowContext)

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

export function useClock (): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) setNow(Date.now()) }, MINUTE_MS / 2)
    return () => clearInterval(timer)
  }, [])
  return now
}
export const NowProvider = NowContext.Provider

/** A time: epoch seconds, as findings have it, or RFC 3339. */
export function toMs (at: number | string): number {
  return typeof at === 'number' ? at * 1000 : Date.parse(at)
}

/** `2026-03-10 11:20:00`, in UTC or where the browser is. */
export function timeText (ms: number, zone: 'utc' | 'local', precision: 'minutes' | 'seconds' | 'milliseconds' = 'seconds'): string {
  if (!Number.isFinite(ms)) return 'no time'
  const shifted = zone === 'utc' ? ms : ms - new Date(ms).getTimezoneOffset() * MINUTE_MS
  if (Math.abs(shifted) > 8.64e15) return `${ms} ms`
  const text = new Date(shifted).toISOString().replace('T', ' ').replace('Z', '')
  return precision === 'milliseconds' ? text : precision === 'seconds' ? text.slice(0, -4) : text.slice(0, -7)
}

/** `3 min ago`, `in 2 h`. */
export function relativeText (ms: number, nowMs: number): string {
  const distance = Math.abs(ms - nowMs)
  if (distance < MINUTE_MS) return 'now'
  const text = durationText(distance / 1000, 1)
  return ms > nowMs ? `in ${text}` : `${text} ago`
}

/** `1 d 4 h`, `3 min`, `250 ms`: the largest units of a duration. */
export function durationText (seconds: number, units = 2): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds < 10 && seconds % 1 !== 0 ? seconds.toFixed(1) : Math.round(seconds)} s`
  const parts: string[] = []
  let left = Math.round(seconds)
  for (const [name, size] of [['d', DAY_MS / 1000], ['h', HOUR_MS / 1000], ['min', 60], ['s', 1]] as const) {
    if (left >= size && parts.length < units) parts.push(`${Math.floor(left / size)} ${name}`)
    left %= size
  }
  return parts.join(' ')
}

/** A time with how long ago it is; the exact one is its title. */
export function Time ({ at, relative = 'hint', precision = 'seconds' }: { at: number | string, relative?: 'hint' | 'only' | 'none', precision?: 'minutes' | 'seconds' | 'milliseconds' }) {
  const { zone } = usePreferences()
  const now = useNow()
  const ms = toMs(at)
  const isTime = Number.isFinite(ms) && Math.abs(ms) <= 8.64e15
  const exact = isTime ? `${new Date(ms).toISOString()} (${timeText(ms, 'local', 'milliseconds')} here)` : String(at)
  return (
    <time class='time' title={exact} {...isTime ? { dateTime: new Date(ms).toISOString() } : {}}>
      {relative === 'only' ? relativeText(ms, now) : timeText(ms, zone, precision)}
      {relative === 'hint' && <span class='hint'> {relativeText(ms, now)}</span>}
    </time>
  )
}

/** From a time to another, with the day said once where it is the same. */
export function TimeSpan ({ from, to }: { from: number | string, to: number | string }) {
  const { zone } = usePreferences()
  const [fromText, toText] = [from, to].map(at => timeText(toMs(at), zone, 'minutes'))
  return (
    <span>
      <Time at={from} relative='none' precision='minutes' /> –{' '}
      {fromText!.slice(0, 10) === toText!.slice(0, 10) ? <time class='time' dateTime={new Date(toMs(to)).toISOString()}>{toText!.slice(11)}</time> : <Time at={to} relative='none' precision='minutes' />}
    </span>
  )
}
